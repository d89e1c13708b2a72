//! Targets of the format's pure parsers.

use azud_core::format::frame;
use azud_core::format::index::Index;
use azud_core::format::partclone::{HEADER_LEN, Header, jamcrc};

/// An index payload: what is read is written and read again as the same.
pub fn index(data: &[u8]) {
    let Ok(index) = Index::parse(data) else {
        return;
    };
    let _ = (index.frames_len(), index.content_len());
    let again = index.encode();
    assert_eq!(Index::parse(&again).as_ref(), Ok(&index));
}

/// A header, as it is and with its checksum made right.
pub fn partclone_header(data: &[u8]) {
    let mut bytes = [0; HEADER_LEN];
    let len = data.len().min(HEADER_LEN);
    bytes[..len].copy_from_slice(&data[..len]);
    let _ = Header::parse(&bytes);
    let crc = jamcrc(&bytes[..HEADER_LEN - 4]).to_le_bytes();
    bytes[HEADER_LEN - 4..].copy_from_slice(&crc);
    if let Ok(header) = Header::parse(&bytes) {
        assert_eq!(Header::parse(&header.encode()), Ok(header));
    }
}

/// Frames one after another: where each ends, libzstd must see its end too.
pub fn frame_walk(data: &[u8]) {
    let mut rest = data;
    while let Some(len) = walk(rest) {
        match zstd_safe::find_frame_compressed_size(rest) {
            Ok(theirs) => assert_eq!(theirs, len, "the end of a frame"),
            // What libzstd refuses as well: windows beyond its limit, blocks beyond the window.
            Err(_) => return,
        }
        rest = &rest[len..];
    }
}

/// The length of the frame at the beginning, if it is whole.
fn walk(bytes: &[u8]) -> Option<usize> {
    let header = frame::parse_header(bytes).ok()?;
    assert!(header.len <= frame::MAX_HEADER && header.len <= bytes.len());
    assert!(header.checksum && frame::bound(header.content_len) > header.content_len as usize);
    let mut at = header.len;
    loop {
        let block = bytes.get(at..at + 3)?.try_into().expect("three bytes");
        let (len, last) = frame::parse_block_header(block).ok()?;
        at += 3 + len;
        if last {
            return (at + 4 <= bytes.len()).then_some(at + 4);
        }
    }
}
