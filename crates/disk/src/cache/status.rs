//! What a mounted cache offers.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ioctl_ficlone, open, statvfs};

use crate::error::{DiskError, Result};

/// Bytes in which every file system has something.
const HEAD: u64 = 1 << 20;
/// Bytes written to see whether they can be shared.
const SAMPLE: [u8; 4096] = [0xA5; 4096];

/// Room in a mounted file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What the file system offers in all.
    pub size: u64,
    /// What can still be written.
    pub free: u64,
}

/// The room of the file system that holds `path`.
///
/// # Errors
/// When it does not answer.
pub fn space(path: &Path) -> Result<Space> {
    let facts = statvfs(path).map_err(|error| DiskError::at(path, "asking for its room", error))?;
    Ok(Space {
        size: facts.f_blocks.saturating_mul(facts.f_frsize),
        free: facts.f_bavail.saturating_mul(facts.f_frsize),
    })
}

/// Whether the beginning of a device is zeros, as that of one that nothing was ever put on.
///
/// # Errors
/// When it cannot be read.
pub fn blank(device: &Path) -> Result<bool> {
    let file = File::open(device).map_err(|error| DiskError::at(device, "opening", error))?;
    let mut head = Vec::new();
    file.take(HEAD)
        .read_to_end(&mut head)
        .map_err(|error| DiskError::at(device, "reading", error))?;
    Ok(head.iter().all(|byte| *byte == 0))
}

/// Whether files in a directory can share blocks (reflink); tried on two files without names.
/// `None` when nothing can be written there.
pub fn clones(dir: &Path) -> Option<bool> {
    let nameless = || {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        open(dir, flags, Mode::RUSR | Mode::WUSR).ok()
    };
    let (from, to) = (File::from(nameless()?), nameless()?);
    std::os::unix::fs::FileExt::write_all_at(&from, &SAMPLE, 0).ok()?;
    Some(ioctl_ficlone(&to, &from).is_ok())
}
