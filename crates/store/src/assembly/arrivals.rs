//! Pieces of an image that is being received, for those who do not wait until it is whole.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use azud_core::assembly::{Layout, Queue, Run};
use azud_core::bitmap::Bitmap;

use crate::error::{At, Result as StoreResult};
use crate::stored::Stored;

/// Nothing more will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the image is not received any further")]
pub struct NotComing;

/// Which pieces of the image that is to be are here. Who wants one that is not waits for it.
#[derive(Debug)]
pub(super) struct Arrivals {
    wanted: Layout,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    file: Option<Arc<File>>,
    there: Bitmap,
    /// What lay here before the work began.
    before: Bitmap,
    /// The image, where all of it did.
    stored: Option<Arc<Stored>>,
    /// Pieces that somebody waits for, who came first before.
    awaited: Vec<Range<usize>>,
    /// What nobody fetches yet.
    queue: Queue,
    ended: bool,
}

impl State {
    fn came(&self, pieces: &Range<usize>) -> Option<Came> {
        let file = self.file.as_ref()?;
        let all = pieces.clone().all(|piece| self.there.get(piece as u64));
        all.then(|| Came {
            file: Arc::clone(file),
            is_new: !pieces.clone().any(|piece| self.before.get(piece as u64)),
            stored: self.stored.clone(),
            pieces: pieces.clone(),
        })
    }
}

/// Pieces that are here.
#[derive(Debug)]
pub(super) struct Came {
    file: Arc<File>,
    pub(super) pieces: Range<usize>,
    /// Whether all of them were verified when they were written just now.
    pub(super) is_new: bool,
    /// The image that they lie in, if that was here before.
    pub(super) stored: Option<Arc<Stored>>,
}

impl Came {
    pub(super) fn read(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }
}

impl Arrivals {
    pub(super) fn of(wanted: &Layout) -> Self {
        Self {
            wanted: wanted.clone(),
            state: Mutex::new(State {
                file: None,
                there: Bitmap::new(wanted.pieces().len() as u64),
                before: Bitmap::new(wanted.pieces().len() as u64),
                stored: None,
                awaited: Vec::new(),
                queue: Queue::default(),
                ended: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// The pieces of the image.
    pub(super) fn wanted(&self) -> &Layout {
        &self.wanted
    }

    /// The file is there, and of it these pieces.
    pub(super) fn begin(&self, file: File, there: &Bitmap) {
        self.set((file, None), there);
    }

    /// The whole image is here.
    pub(super) fn whole(&self, stored: Stored) -> StoreResult<()> {
        let file = stored.file().try_clone().at("open", stored.path())?;
        let all = Bitmap::full(self.wanted.pieces().len() as u64);
        self.set((file, Some(Arc::new(stored))), &all);
        Ok(())
    }

    fn set(&self, (file, stored): (File, Option<Arc<Stored>>), there: &Bitmap) {
        let mut state = self.lock();
        state.file = Some(Arc::new(file));
        state.stored = stored;
        state.there = there.clone();
        state.before = there.clone();
        drop(state);
        self.changed.notify_all();
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
        let mut state = self.lock();
        (state.file, state.stored) = (None, None);
    }

    /// Whoever waits need not wait any longer.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Waits for pieces; the file that holds them.
    pub(super) fn wait(&self, pieces: Range<usize>) -> Result<Arc<File>, NotComing> {
        self.wait_until(&pieces).map(|came| came.file)
    }

    /// Waits for the pieces in which these bytes lie.
    pub(super) fn wait_for(&self, offset: u64, len: usize) -> Result<Came, NotComing> {
        let (pieces, end) = (self.wanted.pieces(), offset + len as u64);
        let first = pieces.partition_point(|piece| piece.end() <= offset);
        let last = pieces.partition_point(|piece| piece.offset < end);
        self.wait_until(&(first..last))
    }

    fn wait_until(&self, pieces: &Range<usize>) -> Result<Came, NotComing> {
        let mut state = self.lock();
        if let Some(came) = state.came(pieces) {
            return Ok(came);
        }
        state.awaited.push(pieces.clone());
        let came = loop {
            let came = state.came(pieces);
            if came.is_some() || state.ended {
                break came;
            }
            let changed = self.changed.wait(state);
            state = changed.unwrap_or_else(PoisonError::into_inner);
        };
        let mut awaited = state.awaited.iter();
        if let Some(at) = awaited.position(|other| other == pieces) {
            state.awaited.remove(at);
        }
        came.ok_or(NotComing)
    }

    /// These runs are to be fetched.
    pub(super) fn offer(&self, runs: &[Run]) {
        self.lock().queue = Queue::of(runs);
    }

    /// No run is begun any more.
    pub(super) fn withdraw(&self) {
        self.lock().queue = Queue::default();
    }

    /// What is to be fetched next: what somebody waits for, else the first that is left.
    pub(super) fn next_run(&self) -> Option<Run> {
        let State { awaited, queue, .. } = &mut *self.lock();
        let mut awaited = awaited.iter();
        let run = awaited.find_map(|pieces| queue.of_these(pieces, &self.wanted));
        run.or_else(|| queue.first(&self.wanted))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
