//! An image that is being received, read as a file.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use azud_core::assembly::Source;
use azud_core::io::ReadAt;

use super::arrivals::{Arrivals, Came};
use super::fill::{fetch, is, tells_damage};
use super::hurt::Hurts;

/// The image as it is to be. Who reads it waits for what is not here yet. What arrives was verified when it was written;
/// what lay here before is looked at now: what of it is damaged comes from the source, and is noted. Whoever reads verifies
/// all of it once more.
pub struct Reader<'a> {
    pub(super) arrivals: Arc<Arrivals>,
    pub(super) hurts: Arc<Hurts>,
    pub(super) source: &'a dyn Source,
    /// What came from it in the place of what is damaged here.
    pub(super) fetched: AtomicU64,
}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Reader").field(&self.source.name()).finish()
    }
}

impl Reader<'_> {
    /// Bytes that the source gave in the place of what is damaged here, beside those that the assembly asked it for.
    pub fn fetched(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
    }

    /// Bytes of pieces.
    fn read(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let wanted = self.arrivals.wanted();
        let came = self.arrivals.wait_for(offset, buf.len());
        let came = came.map_err(io::Error::other)?;
        let read = came.read(buf, offset);
        if came.is_new || (read.is_ok() && wanted.fits(offset, buf)) {
            return read;
        }
        if tells_damage(&read) {
            self.note(&came, (read.is_ok(), buf), offset);
        }
        self.fetch(buf, offset)?;
        if !wanted.fits(offset, buf) {
            self.fetch(buf, offset)?;
        }
        Ok(())
    }

    fn fetch(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        fetch(self.source, offset, buf)?;
        self.fetched.fetch_add(buf.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Remembers which pieces are damaged. Where not all could be read, each is read once more.
    fn note(&self, came: &Came, (is_read, buf): (bool, &mut [u8]), offset: u64) {
        let Some(stored) = &came.stored else { return };
        let pieces = self.arrivals.wanted().pieces();
        let end = offset + buf.len() as u64;
        for number in came.pieces.clone() {
            let piece = &pieces[number];
            let start = piece.offset.checked_sub(offset);
            let Some(start) = start.filter(|_| piece.end() <= end) else {
                continue;
            };
            let start = usize::try_from(start).expect("within the bytes");
            let bytes = &mut buf[start..start + piece.len as usize];
            let read = if is_read {
                Ok(())
            } else {
                came.read(bytes, piece.offset)
            };
            let is_right = read.is_ok() && is(piece, bytes);
            if !is_right && tells_damage(&read) {
                self.hurts.note_piece(stored, number as u64);
            }
        }
    }
}

impl ReadAt for Reader<'_> {
    fn len(&self) -> u64 {
        self.arrivals.wanted().size()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let wanted = self.arrivals.wanted();
        let end = offset.checked_add(buf.len() as u64);
        let end = end.filter(|end| *end <= wanted.size());
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let ending_at = wanted.ending_offset();
        let len = usize::try_from(ending_at.saturating_sub(offset).min(end - offset));
        let (from_file, from_ending) = buf.split_at_mut(len.map_err(io::Error::other)?);
        if !from_file.is_empty() {
            self.read(from_file, offset)?;
        }
        let at = usize::try_from(offset.saturating_sub(ending_at)).map_err(io::Error::other)?;
        let ending = wanted.ending().get(at..at + from_ending.len());
        from_ending.copy_from_slice(ending.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
