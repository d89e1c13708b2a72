//! How far long work is, for whoever asks again and again.

use std::sync::atomic::{AtomicU64, Ordering};

use azud_core::progress::{Interrupted, Phase, Progress};

/// Bytes of the present round.
#[derive(Debug, Default)]
pub(crate) struct Far {
    done: AtomicU64,
    total: AtomicU64,
}

impl Far {
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

impl Progress for Far {
    fn begin(&self, _: Phase, total: u64) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    fn advance(&self, bytes: u64) -> Result<(), Interrupted> {
        self.done.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}
