//! Walking zstd frames without decoding them (RFC 8878 §3.1): enough to find where each ends.

use super::{FormatError, MAX_FRAME_CONTENT};

/// Magic number of a zstd frame.
pub const ZSTD_MAGIC: u32 = 0xFD2F_B528;

/// Longest possible frame header, magic included.
pub const MAX_HEADER: usize = 18;

/// The most bytes a zstd frame of `content_len` bytes can take (`ZSTD_COMPRESSBOUND` and headers).
pub const fn bound(content_len: u32) -> usize {
    let len = content_len as usize;
    let small = if len < (128 << 10) {
        ((128 << 10) - len) >> 11
    } else {
        0
    };
    len + (len >> 8) + small + MAX_HEADER + 4
}

/// Whether a magic number marks a skippable frame.
pub const fn is_skippable(magic: u32) -> bool {
    magic & 0xFFFF_FFF0 == 0x184D_2A50
}

/// What a frame's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes of the header, magic included.
    pub len: usize,
    /// Bytes of content.
    pub content_len: u32,
    /// Whether a checksum follows the blocks.
    pub checksum: bool,
}

/// Reads the header of a native image's frame: content size and checksum must be on, a dictionary must not.
///
/// # Errors
/// `Truncated` when `bytes` is shorter than the header, else what is wrong with it.
pub fn parse_header(bytes: &[u8]) -> Result<FrameHeader, FormatError> {
    let mut cursor = super::Cursor::new(bytes, "a frame header");
    if cursor.u32()? != ZSTD_MAGIC {
        return Err(FormatError::Corrupt(
            "a frame does not begin with zstd's mark".into(),
        ));
    }
    let descriptor = cursor.array::<1>()?[0];
    let single_segment = descriptor & 0x20 != 0;
    if descriptor & 0x0B != 0 || descriptor & 0x04 == 0 {
        return Err(FormatError::Corrupt(
            "a frame without checksum, with a dictionary or with reserved bits".into(),
        ));
    }
    if !single_segment {
        cursor.bytes(1)?;
    }
    let content_len = match descriptor >> 6 {
        0 if single_segment => u64::from(cursor.array::<1>()?[0]),
        0 => return Err(FormatError::Corrupt("a frame without content size".into())),
        1 => u64::from(cursor.u16()?) + 256,
        2 => u64::from(cursor.u32()?),
        _ => cursor.u64()?,
    };
    let too_large = FormatError::TooLarge {
        what: "frame",
        size: content_len,
        limit: MAX_FRAME_CONTENT.into(),
    };
    let content_len = u32::try_from(content_len)
        .ok()
        .filter(|len| *len <= MAX_FRAME_CONTENT)
        .ok_or(too_large)?;
    Ok(FrameHeader {
        len: bytes.len() - cursor.left(),
        content_len,
        checksum: true,
    })
}

/// A block header: (bytes that follow it, whether it is the last one).
///
/// # Errors
/// `Corrupt` for the reserved block type.
pub fn parse_block_header(bytes: [u8; 3]) -> Result<(usize, bool), FormatError> {
    let raw = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
    let size = (raw >> 3) as usize;
    match raw >> 1 & 3 {
        0 | 2 => Ok((size, raw & 1 == 1)),
        1 => Ok((1, raw & 1 == 1)),
        _ => Err(FormatError::Corrupt(
            "a zstd block of a reserved type".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_all_widths() {
        let mut frame = ZSTD_MAGIC.to_le_bytes().to_vec();
        frame.extend([0x24, 110]);
        let header = parse_header(&frame).expect("one byte of size");
        assert_eq!((header.len, header.content_len), (6, 110));
        frame.truncate(4);
        frame.extend([0xA4, 0, 0, 0x10, 0]);
        assert_eq!(
            parse_header(&frame).expect("four bytes").content_len,
            1 << 20
        );
        frame[8] = 0x10;
        assert!(matches!(
            parse_header(&frame),
            Err(FormatError::TooLarge { .. })
        ));
        assert!(matches!(
            parse_header(&frame[..7]),
            Err(FormatError::Truncated(_))
        ));
    }
}
