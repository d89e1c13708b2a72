//! Where a native image ends whose file does not end there: something was appended or padded.

use azud_core::format::container::{
    self, SEEK_FOOTER_LEN, SEEK_TABLE_MAGIC, SKIPPABLE_HEADER, TRAILER_LEN, TRAILER_MARK, Trailer,
};
use azud_core::io::ReadAt;

/// So much is looked through at a time.
const WINDOW: u64 = 1 << 20;

/// The end of the last image that ends within `back` bytes of the file's end; `None` if there is none.
pub(crate) fn find(file: &dyn ReadAt, back: u64) -> Option<u64> {
    let first = file.len().saturating_sub(back);
    let mut end = file.len();
    while end > first {
        let start = end.saturating_sub(WINDOW).max(first);
        // A trailer may lie across two windows.
        let len = (end + TRAILER_LEN as u64).min(file.len()) - start;
        let mut window = vec![0; usize::try_from(len).ok()?];
        file.read_exact_at(&mut window, start).ok()?;
        let marks = window.windows(TRAILER_MARK.len()).enumerate().rev();
        let marks = marks.filter(|(_, bytes)| bytes == TRAILER_MARK);
        let trailers = marks.filter_map(|(at, _)| at.checked_sub(SKIPPABLE_HEADER));
        let mut ends = trailers.filter_map(|at| {
            let trailer = window.get(at..at + TRAILER_LEN)?.try_into().ok()?;
            end_of(file, start + at as u64, trailer)
        });
        if let Some(end) = ends.next() {
            return Some(end);
        }
        end = start;
    }
    None
}

/// Where an image ends with such a trailer at `at`, if index and seek table fit it.
fn end_of(file: &dyn ReadAt, at: u64, trailer: &[u8; TRAILER_LEN]) -> Option<u64> {
    let trailer = Trailer::parse(trailer).ok()?;
    let payload = trailer.index_offset.checked_add(SKIPPABLE_HEADER as u64)?;
    if payload.checked_add(trailer.index_len)? != at {
        return None;
    }
    let seek_at = at + TRAILER_LEN as u64;
    let mut header = [0; SKIPPABLE_HEADER];
    file.read_exact_at(&mut header, seek_at).ok()?;
    let (magic, len) = header.split_first_chunk::<4>()?;
    let len = u64::from(u32::from_le_bytes(len.try_into().ok()?)) + SKIPPABLE_HEADER as u64;
    let end = seek_at + len;
    if u32::from_le_bytes(*magic) != SEEK_TABLE_MAGIC || end > file.len() {
        return None;
    }
    let mut footer = [0; SEEK_FOOTER_LEN];
    let footer_at = end.checked_sub(SEEK_FOOTER_LEN as u64)?;
    file.read_exact_at(&mut footer, footer_at).ok()?;
    (container::seek_table_len(footer) == Ok(len)).then_some(end)
}
