//! When something moved last on the connections to a manager, and who hears that nothing does any more.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Nothing moves for so long before somebody hears of it.
const STILL: Duration = Duration::from_secs(5);
/// No time at all.
const NEVER: u64 = u64::MAX;

/// Is told whether anything ever came.
type Hears = Arc<dyn Fn(bool) + Send + Sync>;

/// What moves on all connections of a client.
pub(super) struct Pulse {
    begun: Instant,
    /// In milliseconds since then.
    last: AtomicU64,
    has_come: AtomicBool,
    /// Of which silence was told: the time of the last move before it.
    told: AtomicU64,
    /// So many wait for an answer with patience.
    waiting: AtomicUsize,
    hears: Mutex<Option<Hears>>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            last: AtomicU64::new(0),
            has_come: AtomicBool::new(false),
            told: AtomicU64::new(NEVER),
            waiting: AtomicUsize::new(0),
            hears: Mutex::default(),
        }
    }
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pulse").field(&self.last()).finish()
    }
}

/// Somebody waits, until this is dropped.
#[derive(Debug)]
pub(super) struct Waiting<'a>(&'a Pulse);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pulse {
    /// Something moved.
    pub(super) fn beat(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(NEVER);
        self.last.store(now, Ordering::Relaxed);
    }

    /// Something came.
    pub(super) fn hear(&self) {
        self.has_come.store(true, Ordering::Relaxed);
    }

    /// When something did last.
    pub(super) fn last(&self) -> Instant {
        self.begun + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }

    /// Somebody waits for an answer now.
    pub(super) fn waits(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(self)
    }

    /// Whoever hears of each silence, once.
    pub(super) fn is_heard_by(&self, hears: impl Fn(bool) + Send + Sync + 'static) {
        *self.hears.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hears));
    }

    /// Tells that nothing moves, where somebody waits for it and that is so for a while.
    pub(super) fn look(&self) {
        let last = self.last.load(Ordering::Relaxed);
        let is_still = self.last().elapsed() >= STILL;
        if !is_still
            || self.waiting.load(Ordering::Relaxed) == 0
            || self.told.swap(last, Ordering::Relaxed) == last
        {
            return;
        }
        let hears = self.hears.lock();
        let hears = hears.unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(hears) = hears {
            hears(self.has_come.load(Ordering::Relaxed));
        }
    }
}
