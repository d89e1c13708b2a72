//! What uploads hold in memory, all together. Who finds nothing left comes later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use axum::http::StatusCode;
use azud_core::code::Code;

use super::AGAIN;
use crate::problem::Problem;

/// Bytes, about: enough for the largest image there can be, or for hundreds of usual ones.
const MOST: u64 = 1 << 30;

/// What is left.
#[derive(Debug)]
pub(super) struct Budget(AtomicU64);

/// What is held of it as long as this lives.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    held: u64,
}

/// Bytes that are sent to whoever asks for them, with what they cost.
struct Charged {
    bytes: Vec<u8>,
    _share: Share,
}

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU64::new(MOST))
    }
}

impl Budget {
    /// Nothing of it yet.
    pub(super) fn share(self: &Arc<Self>) -> Share {
        let budget = Arc::clone(self);
        Share { budget, held: 0 }
    }

    #[cfg(test)]
    pub(super) fn left(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Share {
    /// Holds so many bytes from now on, neither more nor fewer.
    pub(super) fn hold(&mut self, bytes: u64) -> Result<(), Problem> {
        let left = &self.budget.0;
        if let Some(less) = self.held.checked_sub(bytes) {
            left.fetch_add(less, Ordering::Relaxed);
        } else {
            let more = bytes - self.held;
            let take = |left: u64| left.checked_sub(more);
            let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
            taken.map_err(|_| full())?;
        }
        self.held = bytes;
        Ok(())
    }

    /// Bytes that it was held for.
    pub(super) fn with(self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Charged {
            bytes,
            _share: self,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.held, Ordering::Relaxed);
    }
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn full() -> Problem {
    let text = "what is being received takes all the memory that there is for it";
    let status = StatusCode::TOO_MANY_REQUESTS;
    Problem::new(status, Code::TooManyUploads, text).retry_after(AGAIN)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Budget, MOST};

    #[test]
    fn nothing_is_held_twice_and_all_is_given_back() {
        let budget = Arc::<Budget>::default();
        let (mut one, mut two) = (budget.share(), budget.share());
        assert!(one.hold(MOST - 1).is_ok() && two.hold(1).is_ok());
        assert!(two.hold(2).is_err() && one.hold(MOST).is_err());
        assert!(one.hold(5).is_ok() && two.hold(MOST - 5).is_ok());
        let bytes = two.with(vec![1, 2]);
        let again = bytes.clone();
        drop((one, bytes));
        assert_eq!(budget.left(), 5, "somebody is still sent them");
        drop(again);
        assert_eq!(budget.left(), MOST);
    }
}
