//! Images that travel over HTTPS from a manager alone: by the manager's settings, or by a mark that stands beside them.

use std::path::Path;

use azud_core::access::NamePattern;
use azud_core::name::beside;
use azud_store::side::HTTPS_ONLY;

use crate::mounts::is_meant;

/// What others join a swarm or a session with.
const WAYS: [&str; 4] = [".torrent", ".torrent.bf", ".torrent.bfog", ".mcast"];

/// Which images these are.
#[derive(Debug, Default)]
pub(crate) struct Seclusion {
    patterns: Vec<NamePattern>,
    /// Whether who serves is no manager but gives what it got from one.
    neighbour: bool,
}

impl Seclusion {
    pub(crate) fn new(patterns: Vec<NamePattern>, neighbour: bool) -> Self {
        Self {
            patterns,
            neighbour,
        }
    }

    /// Whether an image is one of them, by its name as it is asked for and by where it lies.
    pub(crate) fn holds(&self, name: &str, path: &Path) -> bool {
        is_meant(&self.patterns, name) || beside(path, HTTPS_ONLY).symlink_metadata().is_ok()
    }

    /// Whether such an image is not there for anybody who asks here.
    pub(crate) fn hides(&self) -> bool {
        self.neighbour
    }

    /// Whether a side file of such an image stays here.
    pub(crate) fn withholds(ending: &str) -> bool {
        WAYS.contains(&ending)
    }
}
