//! Pieces of an image that is being received, for those who do not wait until it is whole.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use azud_core::assembly::Layout;
use azud_core::bitmap::Bitmap;
use azud_core::io::ReadAt;

/// Nothing more will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the image is not received any further")]
pub struct NotComing;

/// The image as it is to be. Who reads it waits for what is not here yet; what is read was verified when it was
/// written, and whoever reads verifies it once more.
#[derive(Debug)]
pub struct Arrivals {
    wanted: Layout,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    file: Option<Arc<File>>,
    there: Bitmap,
    ended: bool,
}

impl Arrivals {
    pub(super) fn of(wanted: &Layout) -> Self {
        Self {
            wanted: wanted.clone(),
            state: Mutex::new(State {
                file: None,
                there: Bitmap::new(wanted.pieces().len() as u64),
                ended: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// The file is there, and of it these pieces.
    pub(super) fn begin(&self, file: File, there: &Bitmap) {
        let mut state = self.lock();
        state.file = Some(Arc::new(file));
        state.there = there.clone();
        drop(state);
        self.changed.notify_all();
    }

    /// The whole image is in a file.
    pub(super) fn whole(&self, file: File) {
        self.begin(file, &Bitmap::full(self.wanted.pieces().len() as u64));
    }

    pub(super) fn place(&self, pieces: Range<usize>) {
        let mut state = self.lock();
        for piece in pieces {
            state.there.set(piece as u64);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Nobody reads any more.
    pub(super) fn close(&self) {
        self.lock().file = None;
    }

    /// Whoever waits need not wait any longer.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Waits for pieces; the file that holds them.
    pub(super) fn wait(&self, pieces: Range<usize>) -> Result<Arc<File>, NotComing> {
        let mut state = self.lock();
        loop {
            let is_there = |piece: usize| state.there.get(piece as u64);
            if let Some(file) = &state.file
                && pieces.clone().all(is_there)
            {
                return Ok(Arc::clone(file));
            }
            if state.ended {
                return Err(NotComing);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadAt for Arrivals {
    fn len(&self) -> u64 {
        self.wanted.size()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64);
        let end = end.filter(|end| *end <= self.wanted.size());
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let (pieces, ending_at) = (self.wanted.pieces(), self.wanted.ending_offset());
        let len = usize::try_from(ending_at.saturating_sub(offset).min(end - offset));
        let (from_file, from_ending) = buf.split_at_mut(len.map_err(io::Error::other)?);
        if !from_file.is_empty() {
            let first = pieces.partition_point(|piece| piece.end() <= offset);
            let last = pieces.partition_point(|piece| piece.offset < end);
            let file = self.wait(first..last).map_err(io::Error::other)?;
            file.read_exact_at(from_file, offset)?;
        }
        let at = usize::try_from(offset.saturating_sub(ending_at)).map_err(io::Error::other)?;
        let ending = self.wanted.ending().get(at..at + from_ending.len());
        from_ending.copy_from_slice(ending.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Ends the waiting of others however its own work ends.
#[derive(Debug)]
pub(super) struct Ending<'a>(pub(super) &'a Arrivals);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
