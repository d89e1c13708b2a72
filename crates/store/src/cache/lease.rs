//! Who is at work with what: while a lease lives, its image stays.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::ffi::OsString;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use azud_core::cache::Stays;

use super::{Cache, LEASES};
use crate::durable;
use crate::error::{Result, StoreError};
use crate::lock::DirLock;
use crate::{owner, stage};

/// The file in a lease that says which image it is.
const OF: &str = "image";
const MAX_PATH: u64 = 64 * 1024;

/// An image in use; it is free again when this is dropped, or its process ends.
#[derive(Debug)]
pub struct Lease {
    path: PathBuf,
    owner: Option<File>,
}

impl Cache {
    /// Keeps an image from going for as long as the lease lives. What the dead left of theirs is taken away.
    ///
    /// # Errors
    /// [`crate::StoreError::ReadOnly`] (where nothing can go either), [`crate::StoreError::NoSpace`], or
    /// what the system says.
    pub fn lease(&self, image: &Path, now: SystemTime) -> Result<Lease> {
        let lock = self.lock()?;
        // What cannot be looked at now keeps nobody from working.
        let _ = self.leased(now, true);
        self.sign(image, &lock)
    }

    /// As [`Cache::lease`], if nobody else is at work with the image. On a full file system there may be no
    /// room for a lease; that keeps nobody from what gives room back.
    ///
    /// # Errors
    /// [`StoreError::Stays`], [`StoreError::ReadOnly`], or what the system says.
    pub fn lease_alone(&self, image: &Path, now: SystemTime) -> Result<Option<Lease>> {
        let Some(lock) = self.lock_if_any()? else {
            return Ok(None);
        };
        if self.leased(now, true)?.contains(image) {
            let image = image.to_owned();
            let why = Stays::InUse;
            return Err(StoreError::Stays { image, why });
        }
        match self.sign(image, &lock) {
            Err(StoreError::NoSpace { .. }) => Ok(None),
            other => other.map(Some),
        }
    }

    /// The caller holds the lock.
    fn sign(&self, image: &Path, _lock: &DirLock) -> Result<Lease> {
        // Keys of a RandomState come from the system's random numbers.
        let random = RandomState::new().build_hasher().finish();
        let path = self.state(LEASES).join(format!("{random:016x}"));
        durable::make_dir(&path)?;
        let sign = || {
            durable::write(&path.join(OF), image.as_os_str().as_bytes())?;
            owner::sign(&path)
        };
        match sign() {
            Ok(owner) => Ok(Lease {
                owner: Some(owner),
                path,
            }),
            Err(error) => {
                let _ = durable::remove_flat_dir(&path);
                Err(error)
            }
        }
    }

    /// The images that somebody alive is at work with. With `clear`, for which the state must be locked,
    /// what the dead left is taken away.
    pub(crate) fn leased(&self, now: SystemTime, clear: bool) -> Result<BTreeSet<PathBuf>> {
        let dir = self.state(LEASES);
        let mut images = BTreeSet::new();
        for name in self.names_in(LEASES)? {
            let lease = dir.join(name);
            if !durable::is_dir(&lease) {
                continue;
            }
            if owner::is_gone(&lease, now) {
                if clear {
                    // What cannot be removed holds nothing either.
                    let _ = stage::clear(&lease);
                }
                continue;
            }
            if let Ok(image) = durable::read_small(&lease.join(OF), MAX_PATH) {
                images.insert(PathBuf::from(OsString::from_vec(image)));
            }
        }
        Ok(images)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Closed first: NFS and FUSE keep a removed file that is open.
        self.owner = None;
        // What cannot be removed now is seen to be nobody's once the process has ended.
        let _ = stage::clear(&self.path);
    }
}
