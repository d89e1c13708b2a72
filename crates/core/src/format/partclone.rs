//! The partclone v2 header, the first 110 bytes of a native image's decoded stream.
//!
//! Facts from partclone 0.3.x images: packed, in the writer's byte order (little-endian in practice),
//! protected by a CRC-32 without the final inversion.

/// Length of the header in bytes, its CRC included.
pub const HEADER_LEN: usize = 110;

const MAGIC: &[u8; 15] = b"partclone-image";
const ENDIAN_MARK: u16 = 0xC0DE;
const FEATURE_SECTION_LEN: u32 = 18;
const CRC_AT: usize = HEADER_LEN - 4;

/// partclone's CRC: CRC-32 (reflected 0xEDB88320, initial value all ones) without the final inversion.
pub fn jamcrc(bytes: &[u8]) -> u32 {
    !crc32fast::hash(bytes)
}

/// Continues a [`jamcrc`] value.
pub fn jamcrc_extend(crc: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(!crc);
    hasher.update(bytes);
    !hasher.finalize()
}

/// How the data area is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// Not at all: native images, whose zstd frames carry checksums.
    None,
    /// [`jamcrc`], 4 bytes.
    Crc32,
    /// XXH64, seed 0, 8 bytes.
    Xxh64,
    /// XXH3-128, 16 bytes.
    Xxh3,
    /// The first format's faulty per-block CRC.
    V1,
}

impl Checksum {
    fn from_raw(raw: u16) -> Option<Self> {
        Some(match raw {
            0 => Self::None,
            0x20 => Self::Crc32,
            0x30 => Self::Xxh64,
            0x31 => Self::Xxh3,
            0xFF => Self::V1,
            _ => return None,
        })
    }

    const fn raw(self) -> u16 {
        match self {
            Self::None => 0,
            Self::Crc32 => 0x20,
            Self::Xxh64 => 0x30,
            Self::Xxh3 => 0x31,
            Self::V1 => 0xFF,
        }
    }

    /// Bytes that one checksum takes.
    pub const fn size(self) -> u16 {
        match self {
            Self::None => 0,
            Self::Crc32 | Self::V1 => 4,
            Self::Xxh64 => 8,
            Self::Xxh3 => 16,
        }
    }
}

/// How the bitmap is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BitmapMode {
    /// Absent: every block is there.
    None,
    /// One bit a block, least significant first.
    Bit,
    /// One byte a block.
    Byte,
}

/// The header's fields. Sizes are in bytes unless the name says blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Version text of the writing program, NUL-padded.
    pub tool: [u8; 14],
    /// File-system name, NUL-padded.
    pub fs: [u8; 16],
    /// Size of the device; may exceed `total_blocks * block_size`.
    pub device_size: u64,
    /// Length of the bitmap in blocks.
    pub total_blocks: u64,
    /// Used blocks by the superblock's account; informational.
    pub claimed_blocks: u64,
    /// Used blocks by the bitmap.
    pub used_blocks: u64,
    /// Block size.
    pub block_size: u32,
    /// Word size of the writing machine.
    pub cpu_bits: u16,
    /// Protection of the data area.
    pub checksum: Checksum,
    /// Blocks that share one checksum; 0 without checksums.
    pub blocks_per_checksum: u32,
    /// Whether each checksum starts anew.
    pub reseed: bool,
    /// How the bitmap is stored.
    pub bitmap: BitmapMode,
}

/// Why a header was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not a partclone image.
    #[error("this is not a partclone image")]
    Magic,
    /// Another format version.
    #[error("partclone image version {0:?}")]
    Version(String),
    /// Written on a machine of the other byte order.
    #[error("written on a big-endian machine")]
    ForeignEndian,
    /// The checksum is wrong.
    #[error("the header's checksum is {found:08x}, stored is {stored:08x}")]
    Crc {
        /// Computed.
        found: u32,
        /// Read.
        stored: u32,
    },
    /// A field has a value that cannot be.
    #[error("the header's {0} cannot be")]
    Field(&'static str),
}

/// Writes fields one after another.
struct Fields {
    bytes: [u8; HEADER_LEN],
    at: usize,
}

impl Fields {
    fn put(&mut self, field: &[u8]) {
        self.bytes[self.at..self.at + field.len()].copy_from_slice(field);
        self.at += field.len();
    }
}

impl Header {
    /// The 110 bytes, little-endian, CRC included.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = Fields {
            bytes: [0; HEADER_LEN],
            at: 0,
        };
        out.put(MAGIC);
        out.put(&[0]);
        out.put(&self.tool);
        out.put(b"0002");
        out.put(&ENDIAN_MARK.to_le_bytes());
        out.put(&self.fs);
        for size in [
            self.device_size,
            self.total_blocks,
            self.claimed_blocks,
            self.used_blocks,
        ] {
            out.put(&size.to_le_bytes());
        }
        out.put(&self.block_size.to_le_bytes());
        out.put(&FEATURE_SECTION_LEN.to_le_bytes());
        for word in [2, self.cpu_bits, self.checksum.raw(), self.checksum.size()] {
            out.put(&word.to_le_bytes());
        }
        out.put(&self.blocks_per_checksum.to_le_bytes());
        let bitmap = match self.bitmap {
            BitmapMode::None => 0,
            BitmapMode::Bit => 1,
            BitmapMode::Byte => 8,
        };
        out.put(&[u8::from(self.reseed), bitmap]);
        let crc = jamcrc(&out.bytes[..CRC_AT]);
        out.put(&crc.to_le_bytes());
        out.bytes
    }

    /// Reads a header and checks what can be checked without the rest of the image.
    ///
    /// # Errors
    /// [`HeaderError`]; the magic is judged first, then version and byte order, CRC, fields.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, HeaderError> {
        if &bytes[..15] != MAGIC {
            return Err(HeaderError::Magic);
        }
        if &bytes[30..34] != b"0002" {
            return Err(HeaderError::Version(
                String::from_utf8_lossy(&bytes[30..34]).into_owned(),
            ));
        }
        match u16::from_le_bytes(take(bytes, 34)) {
            ENDIAN_MARK => {}
            other if other.swap_bytes() == ENDIAN_MARK => return Err(HeaderError::ForeignEndian),
            _ => return Err(HeaderError::Field("byte-order mark")),
        }
        let (found, stored) = (
            jamcrc(&bytes[..CRC_AT]),
            u32::from_le_bytes(take(bytes, CRC_AT)),
        );
        if found != stored {
            return Err(HeaderError::Crc { found, stored });
        }
        let header = Self {
            tool: take(bytes, 16),
            fs: take(bytes, 36),
            device_size: u64::from_le_bytes(take(bytes, 52)),
            total_blocks: u64::from_le_bytes(take(bytes, 60)),
            claimed_blocks: u64::from_le_bytes(take(bytes, 68)),
            used_blocks: u64::from_le_bytes(take(bytes, 76)),
            block_size: u32::from_le_bytes(take(bytes, 84)),
            cpu_bits: u16::from_le_bytes(take(bytes, 94)),
            checksum: Checksum::from_raw(u16::from_le_bytes(take(bytes, 96)))
                .ok_or(HeaderError::Field("checksum mode"))?,
            blocks_per_checksum: u32::from_le_bytes(take(bytes, 100)),
            reseed: bytes[104] != 0,
            bitmap: match bytes[105] {
                0 => BitmapMode::None,
                1 => BitmapMode::Bit,
                8 => BitmapMode::Byte,
                _ => return Err(HeaderError::Field("bitmap mode")),
            },
        };
        header.check(u16::from_le_bytes(take(bytes, 98)))?;
        Ok(header)
    }

    fn check(&self, checksum_size: u16) -> Result<(), HeaderError> {
        let size = self.block_size;
        if !size.is_power_of_two() || !(512..=64 << 20).contains(&size) {
            return Err(HeaderError::Field("block size"));
        }
        let covered = self.total_blocks.checked_mul(u64::from(size));
        if covered.is_none_or(|covered| covered > self.device_size) {
            return Err(HeaderError::Field("number of blocks"));
        }
        if self.used_blocks > self.total_blocks {
            return Err(HeaderError::Field("number of used blocks"));
        }
        if self.checksum != Checksum::V1 && checksum_size != self.checksum.size() {
            return Err(HeaderError::Field("checksum size"));
        }
        if self.checksum != Checksum::None && self.blocks_per_checksum == 0 {
            return Err(HeaderError::Field("blocks per checksum"));
        }
        Ok(())
    }
}

fn take<const N: usize>(bytes: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    bytes[at..at + N]
        .try_into()
        .expect("fields lie within the header")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Header {
        let mut fs = [0; 16];
        fs[..5].copy_from_slice(b"EXTFS");
        Header {
            tool: *b"azud 0.1.0\0\0\0\0",
            fs,
            device_size: 4096 * 1000 + 512,
            total_blocks: 1000,
            claimed_blocks: 10,
            used_blocks: 12,
            block_size: 4096,
            cpu_bits: 64,
            checksum: Checksum::None,
            blocks_per_checksum: 0,
            reseed: true,
            bitmap: BitmapMode::Bit,
        }
    }

    #[test]
    fn header_round_trips() {
        assert_eq!(Header::parse(&sample().encode()), Ok(sample()));
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let good = sample().encode();
        for bit in 0..HEADER_LEN * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            // Byte 15 pads the magic; it is under the CRC like the rest.
            assert!(Header::parse(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn jamcrc_continues() {
        assert_eq!(jamcrc_extend(jamcrc(b"abc"), b"def"), jamcrc(b"abcdef"));
        assert_eq!(jamcrc(b"123456789"), 0x340B_C6D9);
    }
}
