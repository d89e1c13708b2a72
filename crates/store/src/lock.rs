//! One change of a directory at a time, across processes and, where the file system carries locks, machines.
//!
//! The lock is on the directory itself and goes with its process, however that ends. On NFS and SMB the kernel locks a
//! directory for its own computer alone: there, and where directories are not locked at all, it is on a file in it.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::{At, Result, StoreError};
use crate::room::is_elsewhere;

/// Held while names in a directory change.
#[derive(Debug)]
pub(crate) struct DirLock {
    _here: Option<File>,
    _there: Option<File>,
}

/// Others hold the lock for a few renames and syncs; only a broken medium takes longer.
const PATIENCE: Duration = Duration::from_mins(1);
const NAP: Duration = Duration::from_millis(10);
const LOCK_FILE: &str = ".azud-lock";

impl DirLock {
    /// Waits for the lock.
    pub(crate) fn wait(dir: &Path) -> Result<Self> {
        let start = Instant::now();
        loop {
            if let Some(lock) = Self::try_now(dir)? {
                return Ok(lock);
            }
            if start.elapsed() > PATIENCE {
                return Err(StoreError::Locked(dir.to_owned()));
            }
            sleep(NAP);
        }
    }

    /// Takes the lock if nobody has it.
    pub(crate) fn try_now(dir: &Path) -> Result<Option<Self>> {
        Self::try_as(dir, is_elsewhere(dir))
    }

    /// The directory is locked against all programs of this computer. Where others share it, a file in it is locked as well.
    fn try_as(dir: &Path, is_shared: bool) -> Result<Option<Self>> {
        let file = File::open(dir).at("open", dir)?;
        let here = match try_lock(&file) {
            Err(Errno::BADF | Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                return Ok(Self::by_file(dir)?.map(|there| Self {
                    _here: None,
                    _there: Some(there),
                }));
            }
            locked => locked.at("lock", dir)?.then_some(file),
        };
        if here.is_none() {
            return Ok(None);
        }
        let there = match is_shared.then(|| Self::by_file(dir)) {
            Some(Ok(None)) => return Ok(None),
            Some(Ok(there)) => there,
            // Where the file cannot be had, or not locked, others here are kept out at least.
            Some(Err(_)) | None => None,
        };
        Ok(Some(Self {
            _here: here,
            _there: there,
        }))
    }

    fn by_file(dir: &Path) -> Result<Option<File>> {
        let path = dir.join(LOCK_FILE);
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .at("create", &path)?;
        let locked = try_lock(&file).at("lock", &path)?;
        Ok(locked.then_some(file))
    }
}

/// Locks an open file; `false` if somebody else has it locked.
pub(crate) fn try_lock(file: &File) -> std::result::Result<bool, Errno> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::{DirLock, LOCK_FILE, NAP, sleep};

    #[test]
    fn a_file_serves_where_the_directory_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let lock = || DirLock::by_file(dir.path()).unwrap();
        let first = lock();
        assert!(first.is_some() && lock().is_none());
        drop(first);
        // A program that another test is just starting may have it for a moment.
        let is_free = || {
            lock().is_some() || {
                sleep(NAP);
                false
            }
        };
        assert!((0..500).any(|_| is_free()));
        assert!(dir.path().join(LOCK_FILE).exists(), "it stays");
        std::fs::remove_file(dir.path().join(LOCK_FILE)).unwrap();
        std::fs::create_dir(dir.path().join(LOCK_FILE)).unwrap();
        assert!(DirLock::by_file(dir.path()).is_err());
    }

    /// On a share one of them may be allowed to write the file, and the other is not.
    #[test]
    fn programs_of_one_computer_keep_each_other_out_whatever_they_can_lock() {
        let dir = tempfile::tempdir().unwrap();
        let lock = || DirLock::try_as(dir.path(), true).unwrap();
        let file = dir.path().join(LOCK_FILE);
        std::fs::create_dir(&file).unwrap();
        let one = lock();
        assert!(one.is_some());
        std::fs::remove_dir(&file).unwrap();
        assert!(lock().is_none(), "who has the file gets in as well");
        drop(one);
        // A program that another test is just starting may have it for a moment.
        let free = || lock().or_else(|| (sleep(NAP), None).1);
        let other = (0..500).find_map(|_| free());
        assert!(other.is_some() && file.exists());
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        assert!(lock().is_none(), "who has no file gets in as well");
    }
}
