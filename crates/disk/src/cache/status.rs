//! What a mounted cache offers.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ioctl_ficlone, open, statvfs};

use crate::error::{DiskError, Result};

/// Bytes in which every file system has something; as much is looked at at the end.
const HEAD: u64 = 1 << 20;
/// Bytes that are looked at elsewhere.
const GLANCE: u64 = 64 << 10;
/// Where ext4 (by size of its blocks) and btrfs keep copies of their superblock.
const COPIES: [u64; 5] = [8 << 20, 32 << 20, 64 << 20, 128 << 20, 256 << 30];
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

/// Whether a device is zeros at its beginning, at its end and where file systems keep copies of what is at their
/// beginning, as one that nothing was ever put on.
///
/// # Errors
/// When it cannot be read.
pub fn blank(device: &Path) -> Result<bool> {
    let mut file = File::open(device).map_err(|error| DiskError::at(device, "opening", error))?;
    zeros(&mut file).map_err(|error| DiskError::at(device, "reading", error))
}

fn zeros(file: &mut File) -> std::io::Result<bool> {
    let len = file.seek(SeekFrom::End(0))?;
    // XFS begins its second part with a copy, and by its own choice makes four of them.
    let quarter = len / 4 / 4096 * 4096;
    let elsewhere = COPIES.into_iter().chain([quarter]).map(|at| (at, GLANCE));
    let ends = [(0, HEAD), (len.saturating_sub(HEAD), HEAD)];
    let places = ends.into_iter().chain(elsewhere);
    // A device refuses to be read beyond its end.
    for (at, count) in places.filter(|(at, _)| *at < len) {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(at))?;
        file.take(count).read_to_end(&mut bytes)?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
    Ok(true)
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::blank;

    #[test]
    fn a_copy_of_a_superblock_is_something_too() {
        let file = tempfile::NamedTempFile::new().expect("file");
        file.as_file().set_len(700 << 20).expect("length");
        assert!(blank(file.path()).expect("read"));
        for at in [0, 1 << 20, (8 << 20) + 1080, 64 << 20, 128 << 20, 175 << 20] {
            file.as_file().write_all_at(&[1], at).expect("write");
            // Behind the first MiB only the places of copies are looked at.
            assert_eq!(blank(file.path()).expect("read"), at == 1 << 20, "{at}");
            file.as_file().write_all_at(&[0], at).expect("write");
        }
        let last = (700 << 20) - 1;
        file.as_file().write_all_at(&[1], last).expect("write");
        assert!(!blank(file.path()).expect("read"));
    }
}
