//! Memory that contents of frames lie in, read from the device once and never copied.
//!
//! A slab holds many frames, goes round when the last of them is done with it, and so is allocated a few
//! times in a capture instead of once a frame.

use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex, PoisonError};

use azud_core::io::PageBuf;

/// Slabs of one size.
#[derive(Debug)]
pub(super) struct Pool {
    size: usize,
    spare: Mutex<Vec<PageBuf>>,
}

/// Bytes that return to their pool when nobody reads them any more.
#[derive(Debug)]
pub(super) struct Slab {
    bytes: PageBuf,
    pool: Arc<Pool>,
}

impl Pool {
    pub(super) fn new(size: usize) -> Arc<Self> {
        Arc::new(Self {
            size,
            spare: Mutex::default(),
        })
    }

    /// A slab whose content is anything.
    pub(super) fn take(self: &Arc<Self>) -> Slab {
        let spare = self.spare().pop();
        Slab {
            bytes: spare.unwrap_or_else(|| PageBuf::zeroed(self.size)),
            pool: Arc::clone(self),
        }
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Vec<PageBuf>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slab {
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Deref for Slab {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        self.pool.spare().push(std::mem::take(&mut self.bytes));
    }
}

/// The content of one frame.
pub(super) enum Content {
    /// Of a head frame.
    Head(Vec<u8>),
    /// Of a data frame.
    Data(Arc<Slab>, Range<usize>),
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Head(bytes) => bytes,
            Self::Data(slab, range) => &slab[range.clone()],
        }
    }
}
