//! Repositories on disk: images with their side files, published whole or not at all, their trash and history.
//!
//! Architecture invariants: of an image's format nothing is known here but its pieces and their hashes
//! ([`azud_core::assembly::Layout`]); no network; threads only in `bulk`, in [`assembly`] and to keep
//! a lock alive; the clock is given by the caller; names of durable files are changed in [`durable`] only. Whatever is killed, wherever: the
//! directory shows a whole image of the old or the new version, and the next command finishes or clears away
//! the rest.

pub mod ant;
pub mod assembly;
pub mod beneath;
mod bulk;
pub mod cache;
pub mod catalogue;
pub mod durable;
pub mod error;
pub mod export;
pub mod identity;
pub mod lease;
pub mod leftover;
pub mod links;
pub mod list;
mod lock;
mod owner;
mod plan;
pub mod publish;
pub mod recover;
pub mod repoinfo;
pub mod retention;
pub mod room;
pub mod side;
mod slot;
mod stage;
pub mod stored;
pub mod trash;
pub mod tree;

pub use error::{Result, StoreError};
pub use identity::{Identify, Identity};
pub use stage::is_in_making;
pub use stored::Stored;
