//! How many images a cache holds.

use std::path::Path;

use azud_store::list::list;
use azud_store::tree::Tree;

use crate::opened::now;

/// The images of a mounted cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Images {
    /// How many.
    pub(super) count: u64,
    /// Their bytes, side files not counted.
    pub(super) bytes: u64,
}

/// Counts the images at `inner` in the cache that is mounted at `root`; `None` when there is no such place
/// within it.
pub(super) fn images(root: &Path, inner: &Path) -> Option<Images> {
    Tree::open(root, inner).ok()?;
    let listing = list(&root.join(inner), now()).ok()?;
    Some(Images {
        count: listing.images.len() as u64,
        bytes: listing.images.iter().map(|entry| entry.size).sum(),
    })
}
