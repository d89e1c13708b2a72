//! The leases that this process holds now. One that names this process and is not among them was left
//! behind: by a panic, or by a process that had our id and start time in another world.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

static TOKENS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn tokens() -> std::sync::MutexGuard<'static, BTreeSet<String>> {
    TOKENS.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn add(token: &str) {
    tokens().insert(token.to_owned());
}

pub(super) fn remove(token: &str) {
    tokens().remove(token);
}

pub(super) fn knows(token: &str) -> bool {
    tokens().contains(token)
}
