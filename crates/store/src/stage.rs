//! The hidden directory beside an image in which a change is made ready.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};

use azud_core::name::ImageFile;

use crate::durable;
use crate::error::{Result, StoreError};
use crate::owner::{self, OWNER};
use crate::plan::READY;

/// How the names of stage directories begin.
pub(crate) const PREFIX: &str = ".azud-stage-";

/// So much of the image's name is in the stage's: enough to recognise it, and it always fits.
const NAME_PART: usize = 200;

/// A stage directory of ours; whatever is in it goes with it, unless it was committed.
#[derive(Debug)]
pub(crate) struct Stage {
    path: PathBuf,
    /// Open, and so locked, as long as we work here; `None` once a committed change is all that is here.
    owner: Option<File>,
}

impl Stage {
    /// Makes a stage beside an image. The caller holds the directory's lock.
    pub(crate) fn make(image: &ImageFile) -> Result<Self> {
        let name = image.name();
        let cut = (0..=name.len().min(NAME_PART))
            .rev()
            .find(|at| name.is_char_boundary(*at))
            .unwrap_or(0);
        // Keys of a RandomState come from the system's random numbers.
        let random = RandomState::new().build_hasher().finish();
        let path = image
            .dir()
            .join(format!("{PREFIX}{}-{random:016x}", &name[..cut]));
        durable::make_dir(&path)?;
        match owner::sign(&path) {
            Ok(owner) => Ok(Self {
                path,
                owner: Some(owner),
            }),
            Err(error) => {
                let _ = durable::remove_flat_dir(&path);
                Err(error)
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// From now on the directory stays: it holds a committed change, which is anybody's to finish.
    pub(crate) fn keep(&mut self) {
        self.owner = None;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Closed first: NFS and FUSE keep a removed file that is open, and with it the directory.
        if self.owner.take().is_some() {
            // What cannot be removed now is cleared away by the next command.
            let _ = clear(&self.path);
        }
    }
}

/// Removes a stage directory, the commit mark first, so that a half-removed one is no change any more.
pub(crate) fn clear(stage: &Path) -> Result<()> {
    let ready = stage.join(READY);
    if durable::file_size(&ready)?.is_some() {
        durable::remove_file(&ready)?;
        durable::sync_dir(stage)?;
    }
    for name in durable::names(stage)? {
        if name != OWNER {
            durable::remove_file(&stage.join(name))?;
        }
    }
    durable::remove_file(&stage.join(OWNER))?;
    durable::remove_dir(stage)
}

/// Refuses names that something other than a regular file has. A link is not followed: what it
/// points to would be replaced by somebody who did not name it.
pub(crate) fn check_target(image: &ImageFile) -> Result<Option<u64>> {
    let path = image.path();
    let what = match std::fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_file() => return Ok(Some(meta.len())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("look at", &path, error)),
        Ok(meta) if meta.is_dir() => "a directory",
        Ok(meta) if meta.is_symlink() => "a symbolic link (name the file that it points to)",
        Ok(_) => "a device, pipe or socket",
    };
    Err(StoreError::NotAFile { path, what })
}

/// Refuses a directory that is not there.
pub(crate) fn check_dir(image: &ImageFile) -> Result<()> {
    match std::fs::metadata(image.dir()) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(StoreError::NotAFile {
            path: image.dir().to_owned(),
            what: "not a directory",
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(StoreError::NotFound(image.dir().to_owned()))
        }
        Err(error) => Err(StoreError::io("look at", image.dir(), error)),
    }
}
