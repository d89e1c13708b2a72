//! What is open.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Open files, and open folders, at once.
const MOST: usize = 1024;

/// Open things by their numbers.
#[derive(Debug)]
pub(crate) struct Handles<T> {
    state: Mutex<(HashMap<u64, Arc<T>>, u64)>,
}

impl<T> Default for Handles<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new((HashMap::new(), 0)),
        }
    }
}

impl<T> Handles<T> {
    /// # Errors
    /// When too many are open.
    pub(crate) fn open(&self, it: T) -> io::Result<u64> {
        let mut state = self.lock();
        if state.0.len() >= MOST {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        state.1 += 1;
        let number = state.1;
        state.0.insert(number, Arc::new(it));
        Ok(number)
    }

    pub(crate) fn get(&self, number: u64) -> Option<Arc<T>> {
        self.lock().0.get(&number).cloned()
    }

    /// Any that is like this.
    pub(crate) fn find(&self, like: impl Fn(&T) -> bool) -> Option<Arc<T>> {
        self.lock().0.values().find(|it| like(it)).cloned()
    }

    pub(crate) fn close(&self, number: u64) {
        let closed = self.lock().0.remove(&number);
        // What goes with it goes without the lock.
        drop(closed);
    }

    fn lock(&self) -> MutexGuard<'_, (HashMap<u64, Arc<T>>, u64)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
