//! Features that are tried, on files without names at most.

use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2, statvfs};

use crate::error::{DiskError, Result};

/// Room in a mounted file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes in all.
    pub size: u64,
    /// Bytes that can still be written.
    pub free: u64,
    /// Files in all; 0 where they are not counted.
    pub files: u64,
    /// Files that can still be made.
    pub free_files: u64,
}

/// Whether the kernel resolves names beneath a directory (`openat2`, Linux 5.6), and no sandbox forbids it.
pub fn resolves_beneath() -> bool {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(CWD, "/", flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS).is_ok()
}

/// Whether files in a directory can be read and written past the page cache. `None` where no file
/// without a name can be made.
pub fn direct_io(dir: &Path) -> Option<bool> {
    let nameless = |more: OFlags| {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC | more;
        openat(CWD, dir, flags, Mode::RUSR | Mode::WUSR)
    };
    nameless(OFlags::empty()).ok()?;
    Some(nameless(OFlags::DIRECT).is_ok())
}

/// Whether this process is root's.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The room of the file system that holds `path`.
///
/// # Errors
/// When it does not answer.
pub fn room(path: &Path) -> Result<Room> {
    let facts = statvfs(path).map_err(|error| DiskError::at(path, "asking for its room", error))?;
    Ok(Room {
        size: facts.f_blocks.saturating_mul(facts.f_frsize),
        free: facts.f_bavail.saturating_mul(facts.f_frsize),
        files: facts.f_files,
        free_files: facts.f_favail,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{direct_io, room};

    #[test]
    fn a_directory_is_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        direct_io(dir.path());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let room = room(dir.path()).unwrap();
        assert!(room.size >= room.free, "{room:?}");
        assert_eq!(direct_io(Path::new("/proc")), None);
        assert!(super::room(Path::new("/none")).is_err());
    }
}
