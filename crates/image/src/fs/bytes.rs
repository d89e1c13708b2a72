//! Reading integers out of on-disk structures: out of range means 0 bytes there, hence an error or `None`, never a panic.

use azud_core::io::ReadAt;

use super::FsError;

/// Reads `len` bytes at `offset`. The caller bounds `len`.
pub(super) fn read_vec(device: &dyn ReadAt, offset: u64, len: usize) -> Result<Vec<u8>, FsError> {
    let mut buf = vec![0; len];
    read_into(device, offset, &mut buf)?;
    Ok(buf)
}

/// Fills `buf` from `offset`.
pub(super) fn read_into(device: &dyn ReadAt, offset: u64, buf: &mut [u8]) -> Result<(), FsError> {
    let len = buf.len();
    device
        .read_exact_at(buf, offset)
        .map_err(|source| FsError::Read {
            offset,
            len,
            source,
        })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Little-endian `u16` at `at`; `None` outside the slice. Likewise below.
pub(crate) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// Little-endian `u32`.
pub(crate) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// Little-endian `u64`.
pub(crate) fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// Big-endian `u16`.
pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

/// Big-endian `u32`.
pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

/// Big-endian `u64`.
pub(super) fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_be_bytes)
}

/// A UUID in the usual 8-4-4-4-12 form.
pub(super) fn uuid(bytes: &[u8; 16]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        write!(text, "{byte:02x}").expect("writing to a String");
    }
    text
}

/// A NUL-padded text field, lossily as UTF-8; `None` when empty.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(&bytes[..end]).trim_end().to_owned();
    (!text.is_empty()).then_some(text)
}
