//! Taking away a lock that counts no more, so that of several who try only one succeeds.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use md5::{Digest, Md5};

use super::holder::{Found, STALE};
use super::{NAP, PREFIX};
use crate::durable;
use crate::error::{At, Result, StoreError};
use crate::side::{LOCK, hex};

/// How the names of marks end.
const MARK: &str = "-break";

/// A file that is removed when it got no other name.
pub(super) struct Draft(pub(super) PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = durable::remove_file(&self.0);
    }
}

/// Takes a stale lock away, unless it is another one by now. The caller looks again afterwards.
///
/// The mark is a second name of the very lock, so it also tells which one it was made for. Where there are
/// no hard links there is no mark: then a lock renamed away by mistake goes back, and should somebody have
/// locked meanwhile, the one put aside learns it before it publishes.
pub(super) fn break_lock(
    lock: &Path,
    (stale, server_now): (&Found, SystemTime),
    aside: &Path,
) -> Result<()> {
    let mark = mark_of(lock);
    let marked = match durable::link(lock, &mark) {
        Ok(true) => Some(Draft(mark)),
        Ok(false) => None,
        Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(()),
        Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::AlreadyExists => {
            if is_forgotten(&mark, server_now) {
                durable::remove_file(&mark)?;
            }
            sleep(NAP);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    if let Some(Draft(mark)) = &marked
        && !stale.is_as_old_as(mark)
    {
        return Ok(());
    }
    match durable::rename(lock, aside) {
        Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    }
    let got = Found::read(aside).at("read", aside)?;
    if got.as_ref().is_some_and(|got| got != stale) {
        durable::name_exclusively(aside, lock)?;
    }
    durable::remove_file(aside)
}

/// Names of images are as long as names can be, so the mark's has their sum.
fn mark_of(lock: &Path) -> PathBuf {
    let name = lock.file_name().unwrap_or_default();
    let sum = hex(&Md5::digest(name.as_encoded_bytes()));
    lock.with_file_name(format!("{PREFIX}{sum}{MARK}"))
}

/// Whether whoever made a mark was killed over it: making it gave the file a time of change.
fn is_forgotten(mark: &Path, server_now: SystemTime) -> bool {
    let Ok(meta) = std::fs::symlink_metadata(mark) else {
        return false;
    };
    let made = SystemTime::UNIX_EPOCH + Duration::from_secs(meta.ctime().try_into().unwrap_or(0));
    server_now.duration_since(made).is_ok_and(|age| age > STALE)
}

/// Whether a name is that of a lock, or of one in the making.
pub(crate) fn is_one(name: &str) -> bool {
    name.starts_with(PREFIX) || is_placed(name)
}

/// Whether a name is that of a lock that counts.
fn is_placed(name: &str) -> bool {
    name.ends_with(LOCK) && !name.starts_with('.')
}

/// Removes the locks of owners that ended on this computer, and what their making left. One that cannot be
/// removed is no obstacle to anybody.
pub(crate) fn sweep(dir: &Path, now: SystemTime) -> Result<usize> {
    let mut removed = 0;
    for name in durable::names(dir)? {
        let Some(name) = name.to_str() else { continue };
        let path = dir.join(name);
        if name.starts_with(PREFIX) {
            let abandoned = if name.ends_with(MARK) {
                is_forgotten(&path, now)
            } else if let Ok(Some(found)) = Found::read(&path) {
                found.is_dead_here().unwrap_or_else(|| found.is_left(now))
            } else {
                false
            };
            removed += usize::from(abandoned && durable::remove_file(&path).is_ok());
        } else if is_placed(name)
            && let Ok(Some(found)) = Found::read(&path)
            && found.is_dead_here() == Some(true)
        {
            let random = RandomState::new().build_hasher().finish();
            let aside = dir.join(format!("{PREFIX}{random:016x}-swept"));
            removed += usize::from(break_lock(&path, (&found, now), &aside).is_ok());
        }
    }
    Ok(removed)
}
