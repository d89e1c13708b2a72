//! What is mounted in some places, and whether it answers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::statvfs;
use rustix::io::Errno;

use super::within;
use crate::mounting::MountFacts;
use crate::mounts::mounts;

/// How a mounted file system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It answers.
    Well,
    /// What was mounted is gone.
    Stale,
    /// No answer came in time.
    Silent,
}

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

/// Asks what is mounted at a place how it is.
pub fn answer(at: &Path, patience: Duration) -> Answer {
    let place: PathBuf = at.to_owned();
    match within(patience, move || statvfs(&place).map(drop)) {
        None => Answer::Silent,
        Some(Err(Errno::STALE | Errno::NODEV | Errno::NXIO | Errno::IO | Errno::NOTCONN)) => {
            Answer::Stale
        }
        Some(_) => Answer::Well,
    }
}
