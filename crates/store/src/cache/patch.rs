//! An image of the cache is put right in its place.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Cache;
use crate::assembly::is_half_moved;
use crate::durable;
use crate::error::{At, Result, StoreError};
use crate::stage::check_target;

/// A file of which damaged ranges are written anew.
#[derive(Debug)]
pub struct Patch {
    file: File,
    path: PathBuf,
    modified: SystemTime,
}

impl Cache {
    /// Refuses an image that cannot be put right in its place. Of one that is half moved, the file has holes:
    /// what is written there would be hidden by what moved.
    ///
    /// # Errors
    /// As [`Cache::patch`].
    pub fn check_patchable(&self, path: &Path) -> Result<()> {
        let image = self.image(path)?;
        check_target(&image)?;
        if is_half_moved(&image) {
            return Err(StoreError::HalfMoved(image.path()));
        }
        Ok(())
    }

    /// Opens an image to be put right.
    ///
    /// # Errors
    /// [`crate::StoreError::NotAFile`], [`crate::StoreError::ReadOnly`], [`crate::StoreError::HalfMoved`], or
    /// what the system says.
    pub fn patch(&self, path: &Path) -> Result<Patch> {
        self.check_patchable(path)?;
        let path = self.root().join(path);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .at("open", &path)?;
        let modified = file
            .metadata()
            .and_then(|meta| meta.modified())
            .at("look at", &path)?;
        Ok(Patch {
            file,
            path,
            modified,
        })
    }
}

impl Patch {
    /// Writes bytes at an offset.
    ///
    /// # Errors
    /// [`crate::StoreError::NoSpace`] (a hole in the file, or shared extents), or what the system says.
    pub fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file
            .write_all_at(bytes, offset)
            .at("write", &self.path)
    }

    /// Gives the file its length, brings all onto the medium, and sets its time back: its content is what
    /// was published then.
    ///
    /// # Errors
    /// What the system says.
    pub fn finish(self, len: u64) -> Result<()> {
        let found = self.file.metadata().at("look at", &self.path)?.len();
        if found != len {
            self.file.set_len(len).at("set the length of", &self.path)?;
        }
        durable::sync_file(&self.file, &self.path)?;
        self.file
            .set_modified(self.modified)
            .at("set the time of", &self.path)
    }
}
