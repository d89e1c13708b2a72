//! The cache partition: found, formatted, looked at.
//!
//! Invariants: nothing is chosen where two devices could be meant; nothing is formatted that is in
//! use; a cache that Azud made carries a marker with an identity of its own.

mod find;
mod format;
mod probe;
mod status;

pub use find::{Found, Hit, Rule, find, only};
pub use format::{CacheFs, format, furnish, identity, peek, ready};
pub use probe::{Signature, probe};
pub use status::{Space, blank, clones, space};

/// The label, and the name in a GPT, of caches.
pub const LABEL: &str = "CACHE";
