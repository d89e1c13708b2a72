//! What many hold in memory, all together. Who finds nothing left comes later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;

/// What is left.
#[derive(Debug)]
pub(crate) struct Budget(AtomicU64);

/// What is held of it as long as this lives.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    held: u64,
}

/// Bytes that are sent to whoever asks for them, with what they cost.
struct Charged<B> {
    bytes: B,
    _share: Share,
}

/// There is not as much left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Short;

impl Budget {
    /// Of so many bytes.
    pub(crate) fn of(most: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(most)))
    }

    /// Nothing of it yet.
    pub(crate) fn share(self: &Arc<Self>) -> Share {
        let budget = Arc::clone(self);
        Share { budget, held: 0 }
    }

    #[cfg(test)]
    pub(crate) fn left(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Share {
    /// Holds so many bytes from now on, neither more nor fewer.
    pub(crate) fn hold(&mut self, bytes: u64) -> Result<(), Short> {
        let left = &self.budget.0;
        if let Some(less) = self.held.checked_sub(bytes) {
            left.fetch_add(less, Ordering::Relaxed);
        } else {
            let more = bytes - self.held;
            let take = |left: u64| left.checked_sub(more);
            let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
            taken.map_err(|_| Short)?;
        }
        self.held = bytes;
        Ok(())
    }

    /// Bytes that it was held for.
    pub(crate) fn with(self, bytes: impl AsRef<[u8]> + Send + 'static) -> Bytes {
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

impl<B: AsRef<[u8]>> AsRef<[u8]> for Charged<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    const MOST: u64 = 1000;

    #[test]
    fn nothing_is_held_twice_and_all_is_given_back() {
        let budget = Budget::of(MOST);
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
