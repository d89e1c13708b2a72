//! What follows the frames: index frame, trailer, seek table. All of it is a function of the index.
//!
//! ```text
//! frames … | index (skippable) | trailer (skippable, 72 bytes) | seek table (skippable) | end of file
//! ```
//!
//! The seek table is zstd's standard one (seekable format 0.1.0), without checksums; its footer is the
//! end of the file, and its length follows from the footer, so the trailer is found from the end.

use super::index::{Index, MAX_INDEX};
use super::partclone::HEADER_LEN;
use super::{Cursor, FormatError, Hash, MAX_FRAMES, frame};
use crate::io::ReadAt;

/// Magic number of the skippable frames that are ours.
pub const AZUD_MAGIC: u32 = 0x184D_2A5A;
/// Magic number of the skippable frame that holds a seek table.
pub const SEEK_TABLE_MAGIC: u32 = 0x184D_2A5E;
/// Last four bytes of a seek table.
pub const SEEK_FOOTER_MAGIC: u32 = 0x8F92_EAB1;
/// Bytes of a skippable frame before its payload.
pub const SKIPPABLE_HEADER: usize = 8;
/// Bytes of the seek table's footer.
pub const SEEK_FOOTER_LEN: usize = 9;
/// Bytes of the trailer frame.
pub const TRAILER_LEN: usize = SKIPPABLE_HEADER + 64;

/// What the trailer's payload begins with.
pub const TRAILER_MARK: &[u8; 8] = b"AZUDEND\0";
const TRAILER_VERSION: u16 = 1;
const SEEK_ENTRY_LEN: usize = 8;

/// Where the index is and what it must hash to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// Offset of the index frame in the file: the length of all frames.
    pub index_offset: u64,
    /// Bytes of the index payload.
    pub index_len: u64,
    /// BLAKE3 of the index payload: the image's identity.
    pub identity: Hash,
}

impl Trailer {
    /// The trailer frame.
    pub fn encode(&self) -> [u8; TRAILER_LEN] {
        let mut out = Vec::with_capacity(TRAILER_LEN);
        out.extend(skippable(AZUD_MAGIC, TRAILER_LEN - SKIPPABLE_HEADER));
        out.extend(TRAILER_MARK);
        out.extend(TRAILER_VERSION.to_le_bytes());
        out.extend([0; 6]);
        out.extend(self.index_offset.to_le_bytes());
        out.extend(self.index_len.to_le_bytes());
        out.extend(self.identity);
        out.try_into().expect("the parts add up to TRAILER_LEN")
    }

    /// Reads a trailer frame.
    ///
    /// # Errors
    /// `NotNative` when it is something else, `Newer`, `Corrupt`, `TooLarge` beyond [`MAX_INDEX`].
    pub fn parse(bytes: &[u8; TRAILER_LEN]) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(bytes, "the trailer");
        if cursor.array()? != skippable(AZUD_MAGIC, TRAILER_LEN - SKIPPABLE_HEADER)
            || cursor.bytes(8)? != TRAILER_MARK
        {
            return Err(FormatError::NotNative("the trailer"));
        }
        let version = cursor.u16()?;
        if version > TRAILER_VERSION {
            return Err(FormatError::Newer {
                found: version,
                known: TRAILER_VERSION,
            });
        }
        if version == 0 || cursor.array()? != [0; 6] {
            return Err(FormatError::Corrupt("trailer".into()));
        }
        let (index_offset, index_len) = (cursor.u64()?, cursor.u64()?);
        if index_len > MAX_INDEX {
            return Err(FormatError::TooLarge {
                what: "index",
                size: index_len,
                limit: MAX_INDEX,
            });
        }
        Ok(Self {
            index_offset,
            index_len,
            identity: cursor.array()?,
        })
    }
}

/// The first 8 bytes of a skippable frame.
///
/// # Panics
/// When the payload is 4 GiB or larger: the limits of the format keep every payload below.
pub fn skippable(magic: u32, payload: usize) -> [u8; SKIPPABLE_HEADER] {
    let len = u32::try_from(payload).expect("skippable frames end at 4 GiB");
    let mut out = [0; SKIPPABLE_HEADER];
    out[..4].copy_from_slice(&magic.to_le_bytes());
    out[4..].copy_from_slice(&len.to_le_bytes());
    out
}

/// The seek table of an image: an entry for each frame, for the index and for the trailer.
pub fn seek_table(index: &Index, index_len: u64) -> Vec<u8> {
    let count = index.frames.len() + 2;
    let payload = count * SEEK_ENTRY_LEN + SEEK_FOOTER_LEN;
    let mut out = Vec::with_capacity(SKIPPABLE_HEADER + payload);
    out.extend(skippable(SEEK_TABLE_MAGIC, payload));
    let index_frame =
        u32::try_from(index_len + SKIPPABLE_HEADER as u64).expect("skippable frames end at 4 GiB");
    let trailer = u32::try_from(TRAILER_LEN).expect("72");
    let ours = [(index_frame, 0), (trailer, 0)];
    let frames = index
        .frames
        .iter()
        .map(|frame| (frame.compressed_len, frame.content_len));
    for (compressed, content) in frames.chain(ours) {
        out.extend(compressed.to_le_bytes());
        out.extend(content.to_le_bytes());
    }
    out.extend(
        u32::try_from(count)
            .expect("limited by MAX_FRAMES")
            .to_le_bytes(),
    );
    out.push(0);
    out.extend(SEEK_FOOTER_MAGIC.to_le_bytes());
    out
}

/// Everything that follows the frames, and the image's identity.
pub fn ending(index: &Index) -> (Vec<u8>, Hash) {
    let payload = index.encode();
    let identity = *blake3::hash(&payload).as_bytes();
    let index_len = payload.len() as u64;
    let trailer = Trailer {
        index_offset: index.frames_len(),
        index_len,
        identity,
    };
    let mut out = skippable(AZUD_MAGIC, payload.len()).to_vec();
    out.extend(payload);
    out.extend(trailer.encode());
    out.extend(seek_table(index, index_len));
    (out, identity)
}

/// Whether a file begins as a native image does, and as no other program's: its first frame is exactly the header.
pub fn begins_native(file: &dyn ReadAt) -> bool {
    let mut head = [0; frame::MAX_HEADER];
    file.read_exact_at(&mut head, 0).is_ok()
        && frame::parse_header(&head).is_ok_and(|header| header.content_len as usize == HEADER_LEN)
}

/// Bytes of the seek table, told by the last [`SEEK_FOOTER_LEN`] bytes of a file.
///
/// # Errors
/// `NotNative` when they are not a footer, `TooLarge` beyond [`MAX_FRAMES`].
pub fn seek_table_len(footer: [u8; SEEK_FOOTER_LEN]) -> Result<u64, FormatError> {
    let mut cursor = Cursor::new(&footer, "the seek table");
    let (count, descriptor, magic) = (cursor.u32()?, cursor.array::<1>()?[0], cursor.u32()?);
    if magic != SEEK_FOOTER_MAGIC || descriptor != 0 {
        return Err(FormatError::NotNative("the seek table"));
    }
    let limit = MAX_FRAMES as u64 + 2;
    if u64::from(count) > limit {
        return Err(FormatError::TooLarge {
            what: "number of frames",
            size: count.into(),
            limit,
        });
    }
    Ok(u64::from(count) * SEEK_ENTRY_LEN as u64 + (SKIPPABLE_HEADER + SEEK_FOOTER_LEN) as u64)
}

/// Checks an index payload against its trailer and what follows it, and reads it.
///
/// `seek` is the whole seek-table frame as found in the file.
///
/// # Errors
/// `Corrupt` when hash, offsets or seek table disagree, and what [`Index::parse`] says.
pub fn check(trailer: &Trailer, payload: &[u8], seek: &[u8]) -> Result<Index, FormatError> {
    if payload.len() as u64 != trailer.index_len {
        return Err(FormatError::Corrupt(
            "the trailer tells another length of the index".into(),
        ));
    }
    if blake3::hash(payload).as_bytes() != &trailer.identity {
        return Err(FormatError::Corrupt(
            "the index does not match its hash".into(),
        ));
    }
    let index = Index::parse(payload)?;
    if index.frames_len() != trailer.index_offset {
        return Err(FormatError::Corrupt(
            "the frames do not end where the index begins".into(),
        ));
    }
    if seek != seek_table(&index, payload.len() as u64) {
        return Err(FormatError::Corrupt(
            "the seek table disagrees with the index".into(),
        ));
    }
    Ok(index)
}
