//! The index of a foreign image, `docs/formats/index.md`: hashes of fixed ranges, and nothing else.
//!
//! It is canonical: equal files have equal indexes, whoever makes them, so its hash is an identity.

use super::{Cursor, FormatError, Hash};

/// First bytes of an index of ranges.
pub const MAGIC: &[u8; 8] = b"AZUDRNG\0";

/// The newest version that is understood here.
pub const VERSION: u16 = 1;

/// Bytes of a range; the last one of a file may be shorter.
pub const RANGE: u32 = 1 << 20;

/// The largest number of ranges; readers refuse more.
pub const MAX_RANGES: u64 = 1 << 24;

/// Bytes before the first hash.
pub const HEAD_LEN: usize = 32;

/// Hashes of the ranges of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeIndex {
    /// Bytes of the file.
    pub size: u64,
    /// BLAKE3 of each range.
    pub hashes: Vec<Hash>,
}

impl RangeIndex {
    /// How many ranges a file of this size has.
    ///
    /// # Errors
    /// `TooLarge` beyond [`MAX_RANGES`].
    pub fn count(size: u64) -> Result<usize, FormatError> {
        let count = size.div_ceil(RANGE.into());
        if count > MAX_RANGES {
            return Err(FormatError::TooLarge {
                what: "number of ranges",
                size: count,
                limit: MAX_RANGES,
            });
        }
        Ok(usize::try_from(count).expect("limited just now"))
    }

    /// The content of the file `NAME.index`. Its BLAKE3 hash is the identity of the image.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_LEN + self.hashes.len() * 32);
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend([0; 6]);
        out.extend(self.size.to_le_bytes());
        out.extend(RANGE.to_le_bytes());
        out.extend([0; 4]);
        self.hashes.iter().for_each(|hash| out.extend(hash));
        out
    }

    /// Reads an index.
    ///
    /// # Errors
    /// `NotNative` for another mark, `Newer`, `Corrupt`, `Truncated`, `TooLarge`.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(bytes, "the index of ranges");
        if cursor.bytes(8)? != MAGIC {
            return Err(FormatError::NotNative("the mark of an index of ranges"));
        }
        let version = cursor.u16()?;
        if version > VERSION {
            return Err(FormatError::Newer {
                found: version,
                known: VERSION,
            });
        }
        let reserved: [u8; 6] = cursor.array()?;
        let (size, range, zero) = (cursor.u64()?, cursor.u32()?, cursor.u32()?);
        if version == 0 || reserved != [0; 6] || range != RANGE || zero != 0 {
            return Err(FormatError::Corrupt("head of the index of ranges".into()));
        }
        let count = Self::count(size)?;
        if cursor.left() > count * 32 {
            return Err(FormatError::Corrupt("bytes after the last range".into()));
        }
        let hashes = cursor.bytes(count * 32)?;
        let (hashes, _) = hashes.as_chunks::<32>();
        Ok(Self {
            size,
            hashes: hashes.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_the_bytes_are_pinned() {
        let index = RangeIndex {
            size: u64::from(RANGE) + 1,
            hashes: vec![[0xAB; 32], *blake3::hash(b"x").as_bytes()],
        };
        let bytes = index.encode();
        let mut head = b"AZUDRNG\0\x01\0\0\0\0\0\0\0".to_vec();
        head.extend([1, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[..HEAD_LEN], head);
        assert_eq!(bytes.len(), HEAD_LEN + 64);
        assert_eq!(
            blake3::hash(&bytes).to_hex().as_str(),
            "e06ec2c56ea6e4935b445926adf0422f90736ac6eb15a6d41ab127eda3e4931b"
        );
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        let good = RangeIndex {
            size: 5,
            hashes: vec![[1; 32]],
        }
        .encode();
        for at in (0..16).chain([24, 25, 26, 27, 28, 31]) {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            assert!(RangeIndex::parse(&bad).is_err(), "byte {at}");
        }
        let mut long = good.clone();
        long.push(0);
        assert!(RangeIndex::parse(&long).is_err());
        let mut huge = good;
        huge[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(
            RangeIndex::parse(&huge),
            Err(FormatError::TooLarge { .. })
        ));
    }

    proptest! {
        #[test]
        fn proptest_ranges_round_trip(size in 0u64..9_000_000, fill in any::<u8>(), cut in any::<prop::sample::Index>()) {
            let count = RangeIndex::count(size).unwrap();
            let index = RangeIndex { size, hashes: vec![[fill; 32]; count] };
            let bytes = index.encode();
            prop_assert_eq!(RangeIndex::parse(&bytes), Ok(index));
            prop_assert!(RangeIndex::parse(&bytes[..cut.index(bytes.len())]).is_err());
        }
    }
}
