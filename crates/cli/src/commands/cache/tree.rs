//! How many images a cache holds.

use std::path::Path;

use azud_store::list::list;

use super::INNER;
use crate::opened::now;

/// The images of a mounted cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Images {
    /// How many.
    pub(super) count: u64,
    /// Their bytes, side files not counted.
    pub(super) bytes: u64,
}

/// Counts the images of the cache that is mounted at `root`; `None` when it has no place for images.
pub(super) fn images(root: &Path) -> Option<Images> {
    let listing = list(&root.join(INNER), now()).ok()?;
    Some(Images {
        count: listing.images.len() as u64,
        bytes: listing.images.iter().map(|entry| entry.size).sum(),
    })
}
