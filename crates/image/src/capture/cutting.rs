//! From a content stream to frame contents.

use std::io::Read;
use std::sync::Arc;

use azud_core::cut::{Cutter, Lengths, Units};

use super::slab::{Content, Pool, Slab};
use crate::error::ImageError;
use crate::fs::Volume;

/// Bytes read at once, unless a frame may be longer.
const SLAB: usize = 8 << 20;

/// Cuts a content stream into frames.
pub(super) struct Cutting<'a, R> {
    content: R,
    /// Bytes of content that were not read yet.
    left: u64,
    units: Units<'a>,
    cutter: Cutter,
    pool: Arc<Pool>,
    slab: Arc<Slab>,
    /// How much of the slab is content, and where the next frame begins in it.
    filled: usize,
    start: usize,
    done: u64,
}

impl<'a, R: Read> Cutting<'a, R> {
    pub(super) fn new(volume: &'a Volume, lengths: Lengths, content: R) -> Self {
        let cutter = Cutter::new(volume.block_size, lengths);
        let size = SLAB.max(cutter.max() as usize);
        // Reads begin and end on blocks, so that direct I/O needs no detour.
        let pool = Pool::new(size.next_multiple_of(cutter.window() as usize));
        Self {
            content,
            left: volume.used_bytes(),
            units: Units::new(&volume.used, volume.block_size),
            cutter,
            slab: Arc::new(pool.take()),
            pool,
            filled: 0,
            start: 0,
            done: 0,
        }
    }

    /// The next frame's content; `None` at the end.
    pub(super) fn next_frame(&mut self) -> Result<Option<Content>, ImageError> {
        let mut len = 0;
        while let Some(unit) = self.units.next() {
            let size = unit.len as usize;
            if self.start + len + size > self.filled {
                self.refill()?;
            }
            let from = self.start + len;
            len += size;
            if self.cutter.push(unit, &self.slab[from..from + size]) {
                break;
            }
        }
        let range = self.start..self.start + len;
        self.start += len;
        Ok((len > 0).then(|| Content::Data(Arc::clone(&self.slab), range)))
    }

    /// Takes a slab that begins with the frame that is being cut.
    fn refill(&mut self) -> Result<(), ImageError> {
        let begun = &self.slab[self.start..self.filled];
        let mut slab = self.pool.take();
        let (front, room) = slab.bytes().split_at_mut(begun.len());
        front.copy_from_slice(begun);
        let fresh = usize::try_from(self.left).map_or(room.len(), |left| left.min(room.len()));
        let offset = self.done;
        self.content
            .read_exact(&mut room[..fresh])
            .map_err(|source| ImageError::Source { offset, source })?;
        self.filled = begun.len() + fresh;
        self.done += fresh as u64;
        self.left -= fresh as u64;
        self.slab = Arc::new(slab);
        self.start = 0;
        Ok(())
    }
}
