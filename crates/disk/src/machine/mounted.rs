//! What is mounted in some places.

use std::path::Path;

use crate::mounting::MountFacts;
use crate::mounts::mounts;

/// What is mounted at or below a directory, oldest first. No place is looked at: that may take for ever.
pub fn mounted_below(dir: &Path) -> Vec<MountFacts> {
    let found = mounts()
        .into_iter()
        .filter(|mount| mount.at.starts_with(dir));
    let facts = found.map(|mount| MountFacts {
        at: mount.at,
        source: mount.source,
        fs_type: mount.fs_type,
        read_only: mount.read_only,
    });
    facts.collect()
}
