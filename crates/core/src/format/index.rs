//! The index: what every frame must be, and what a partclone stream cannot carry.

use serde::{Deserialize, Serialize};

use super::{Cursor, FormatError, Hash, MAX_FRAME_CONTENT, MAX_FRAMES};

/// First bytes of an index.
pub const MAGIC: &[u8; 8] = b"AZUDIDX\0";

/// The newest version of the index that is understood here.
pub const VERSION: u16 = 1;

/// Bytes of one row of the frame table.
pub const ROW_LEN: usize = 72;

/// The most bytes that tails may hold together.
pub const MAX_TAILS: usize = 1 << 20;

/// The most bytes that the facts may take.
pub const MAX_FACTS: usize = 1 << 20;

/// The most bytes that an index may take, its unknown sections included.
pub const MAX_INDEX: u64 = (MAX_FRAMES * ROW_LEN + MAX_FACTS + MAX_TAILS + (64 << 10)) as u64;

const CRITICAL: u16 = 1;
const FACTS: u16 = 1;
const FRAMES: u16 = 2;
const TAILS: u16 = 3;

/// One frame of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Bytes in the file.
    pub compressed_len: u32,
    /// Bytes it decodes to.
    pub content_len: u32,
    /// BLAKE3 of the bytes in the file.
    pub compressed_hash: Hash,
    /// BLAKE3 of what it decodes to.
    pub content_hash: Hash,
}

/// Bytes of the device that lie beyond its last whole block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// Where on the device.
    pub offset: u64,
    /// What is there.
    pub bytes: Vec<u8>,
}

/// What is known of an image beyond its frames; descriptive, never needed to restore.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Program and version that wrote the image.
    pub tool: String,
    /// When, RFC 3339 in UTC.
    pub created: String,
    /// Name of the machine it was captured on.
    pub host: String,
    /// Name of the file system, as in the partclone header.
    pub fs: String,
    /// Volume label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// UUID or serial number, as `blkid` prints it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Smallest device the image fits on, in bytes.
    pub minimum_size: u64,
    /// Logical sector size that the file system depends on, 0 if it does not.
    pub sector_size: u32,
    /// Compression level of frames made for this image.
    pub level: i32,
    /// How frames were cut.
    pub cut: CutFacts,
    /// Files whose content was left out, with the bytes saved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<(String, u64)>,
    /// Set when a file system that was not clean was captured whole: why it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dirty: Option<String>,
    /// What is known of the source device.
    pub source: SourceFacts,
}

/// The cutter's parameters, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CutFacts {
    /// Rule: 2 is the rule of [`crate::cut`].
    pub rule: u32,
    /// Average frame content aimed at.
    pub average: u32,
    /// Least frame content before a gap.
    pub before_gap: u32,
}

/// The device an image was captured from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceFacts {
    /// Path of the device.
    pub path: String,
    /// First byte of the partition on its disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<u64>,
    /// GPT identity of the disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_guid: Option<String>,
    /// GPT identity (or MBR signature and number) of the partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_guid: Option<String>,
    /// Logical sector size of the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logical_sector: Option<u32>,
}

/// Everything the index holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// Descriptive facts.
    pub facts: Facts,
    /// The frames in file order.
    pub frames: Vec<Frame>,
    /// What lies beyond the last whole block.
    pub tails: Vec<Tail>,
}

impl Index {
    /// The payload of the index frame. Its BLAKE3 hash is the image's identity.
    pub fn encode(&self) -> Vec<u8> {
        let facts = serde_json::to_vec(&self.facts).expect("facts are plain data");
        let mut out = Vec::with_capacity(self.frames.len() * ROW_LEN + facts.len() + 4096);
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(0u16.to_le_bytes());
        out.extend(3u32.to_le_bytes());
        section(&mut out, FACTS, facts.len()).extend(facts);
        let rows = section(&mut out, FRAMES, self.frames.len() * ROW_LEN);
        for frame in &self.frames {
            rows.extend(frame.compressed_len.to_le_bytes());
            rows.extend(frame.content_len.to_le_bytes());
            rows.extend(frame.compressed_hash);
            rows.extend(frame.content_hash);
        }
        let tails_len = self.tails.iter().map(|tail| 12 + tail.bytes.len()).sum();
        let tails = section(&mut out, TAILS, tails_len);
        for tail in &self.tails {
            tails.extend(tail.offset.to_le_bytes());
            tails.extend(
                u32::try_from(tail.bytes.len())
                    .expect("tails are small")
                    .to_le_bytes(),
            );
            tails.extend(&tail.bytes);
        }
        out
    }

    /// Reads an index payload. Whether it is the right one is for the caller to check by its hash.
    ///
    /// # Errors
    /// Any [`FormatError`] but `NotNative` for a wrong magic.
    pub fn parse(payload: &[u8]) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(payload, "the index");
        if cursor.bytes(8)? != MAGIC {
            return Err(FormatError::NotNative("the index's mark"));
        }
        let version = cursor.u16()?;
        if version > VERSION {
            return Err(FormatError::Newer {
                found: version,
                known: VERSION,
            });
        }
        if version == 0 || cursor.u16()? != 0 {
            return Err(FormatError::Corrupt("index header".into()));
        }
        let mut index = Self::default();
        let mut last = 0;
        for _ in 0..cursor.u32()? {
            let (kind, flags, reserved) = (cursor.u16()?, cursor.u16()?, cursor.u32()?);
            if kind <= last || reserved != 0 {
                return Err(FormatError::Corrupt("index sections out of order".into()));
            }
            last = kind;
            let len =
                usize::try_from(cursor.u64()?).map_err(|_| FormatError::Truncated("the index"))?;
            index.read_section(kind, flags, cursor.bytes(len)?)?;
        }
        if cursor.left() != 0 {
            return Err(FormatError::Corrupt(
                "bytes after the last index section".into(),
            ));
        }
        Ok(index)
    }

    fn read_section(&mut self, kind: u16, flags: u16, body: &[u8]) -> Result<(), FormatError> {
        match kind {
            FACTS => self.facts = read_facts(body)?,
            FRAMES => self.frames = read_frames(body)?,
            TAILS => self.tails = read_tails(body)?,
            _ if flags & CRITICAL != 0 => {
                return Err(FormatError::Newer {
                    found: VERSION + 1,
                    known: VERSION,
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// Bytes of all frames in the file: where the index begins.
    pub fn frames_len(&self) -> u64 {
        self.frames
            .iter()
            .map(|frame| u64::from(frame.compressed_len))
            .sum()
    }

    /// Bytes that all frames decode to.
    pub fn content_len(&self) -> u64 {
        self.frames
            .iter()
            .map(|frame| u64::from(frame.content_len))
            .sum()
    }
}

fn section(out: &mut Vec<u8>, kind: u16, len: usize) -> &mut Vec<u8> {
    out.extend(kind.to_le_bytes());
    out.extend(CRITICAL.to_le_bytes());
    out.extend(0u32.to_le_bytes());
    out.extend((len as u64).to_le_bytes());
    out
}

fn read_facts(body: &[u8]) -> Result<Facts, FormatError> {
    limit("facts", body.len(), MAX_FACTS)?;
    let wrong = |error: serde_json::Error| FormatError::Corrupt(format!("facts: {error}"));
    // An object: in an array, names would be guessed from places.
    let members: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(body).map_err(wrong)?;
    serde_json::from_value(members.into()).map_err(wrong)
}

fn read_frames(body: &[u8]) -> Result<Vec<Frame>, FormatError> {
    limit("number of frames", body.len() / ROW_LEN, MAX_FRAMES)?;
    if !body.len().is_multiple_of(ROW_LEN) {
        return Err(FormatError::Corrupt("length of the frame table".into()));
    }
    body.chunks_exact(ROW_LEN).map(read_row).collect()
}

fn read_row(row: &[u8]) -> Result<Frame, FormatError> {
    let mut cursor = Cursor::new(row, "the frame table");
    let frame = Frame {
        compressed_len: cursor.u32()?,
        content_len: cursor.u32()?,
        compressed_hash: cursor.array()?,
        content_hash: cursor.array()?,
    };
    limit(
        "frame",
        frame.content_len as usize,
        MAX_FRAME_CONTENT as usize,
    )?;
    limit(
        "compressed frame",
        frame.compressed_len as usize,
        super::frame::bound(frame.content_len),
    )?;
    if frame.content_len == 0 || frame.compressed_len == 0 {
        return Err(FormatError::Corrupt("an empty frame".into()));
    }
    Ok(frame)
}

fn read_tails(body: &[u8]) -> Result<Vec<Tail>, FormatError> {
    limit("tails", body.len(), MAX_TAILS)?;
    let mut cursor = Cursor::new(body, "the tails");
    let mut tails: Vec<Tail> = Vec::new();
    while cursor.left() > 0 {
        let (offset, len) = (cursor.u64()?, cursor.u32()?);
        let bytes = cursor.bytes(len as usize)?.to_vec();
        let after_last = tails
            .last()
            .is_none_or(|last| last.offset + last.bytes.len() as u64 <= offset);
        if bytes.is_empty() || !after_last || offset.checked_add(u64::from(len)).is_none() {
            return Err(FormatError::Corrupt("tails out of order".into()));
        }
        tails.push(Tail { offset, bytes });
    }
    Ok(tails)
}

fn limit(what: &'static str, size: usize, limit: usize) -> Result<(), FormatError> {
    if size > limit {
        return Err(FormatError::TooLarge {
            what,
            size: size as u64,
            limit: limit as u64,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames() -> impl Strategy<Value = Vec<Frame>> {
        let frame = (
            1u32..=MAX_FRAME_CONTENT,
            any::<[u8; 32]>(),
            any::<[u8; 32]>(),
        )
            .prop_map(|(content_len, compressed_hash, content_hash)| Frame {
                compressed_len: content_len / 3 + 1,
                content_len,
                compressed_hash,
                content_hash,
            });
        proptest::collection::vec(frame, 0..20)
    }

    proptest! {
        #[test]
        fn proptest_index_round_trips(frames in frames(), label in ".{0,20}", tail in any::<Vec<u8>>()) {
            let facts = Facts { label: Some(label), minimum_size: 7, ..Facts::default() };
            let tails = if tail.is_empty() { vec![] } else { vec![Tail { offset: 9, bytes: tail }] };
            let index = Index { facts, frames, tails };
            prop_assert_eq!(Index::parse(&index.encode()), Ok(index));
        }

        #[test]
        fn proptest_garbage_never_panics(mut bytes in any::<Vec<u8>>(), good in frames(), at in any::<prop::sample::Index>()) {
            let _ = Index::parse(&bytes);
            let mut index = Index { frames: good, ..Index::default() }.encode();
            let at = at.index(index.len());
            index.truncate(at);
            prop_assert!(Index::parse(&index).is_err());
            index.append(&mut bytes);
            let _ = Index::parse(&index);
        }
    }

    #[test]
    fn facts_are_an_object() {
        for text in ["[]", r#"["tool", "yesterday"]"#, "null", "7"] {
            assert!(read_facts(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(read_facts(b"{}"), Ok(Facts::default()));
    }

    #[test]
    fn a_newer_version_and_an_unknown_critical_section_are_refused() {
        let mut bytes = Index::default().encode();
        bytes[8] = 2;
        assert_eq!(
            Index::parse(&bytes),
            Err(FormatError::Newer { found: 2, known: 1 })
        );
        let mut bytes = Index::default().encode();
        bytes[12] = 4;
        let plain = bytes.len();
        section(&mut bytes, 9, 0);
        assert!(matches!(
            Index::parse(&bytes),
            Err(FormatError::Newer { .. })
        ));
        bytes[plain + 2] = 0;
        assert!(
            Index::parse(&bytes).is_ok(),
            "an unknown section that is not critical is skipped"
        );
    }
}
