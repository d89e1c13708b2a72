//! An image file opened to be read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use azud_core::io::ReadAt;

use crate::error::{Result, StoreError};

/// A stored image. Its length is that at opening; a file cut short later gives `UnexpectedEof`.
#[derive(Debug)]
pub struct Stored {
    file: File,
    path: PathBuf,
    len: u64,
}

impl Stored {
    /// Opens an image file.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::NotAFile`], [`StoreError::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::NotFound(path.to_owned()),
            _ => StoreError::io("open", path, error),
        })?;
        let meta = file
            .metadata()
            .map_err(|error| StoreError::io("look at", path, error))?;
        if !meta.is_file() {
            let what = if meta.is_dir() {
                "a directory"
            } else {
                "a device"
            };
            return Err(StoreError::NotAFile {
                path: path.to_owned(),
                what,
            });
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            len: meta.len(),
        })
    }

    /// What was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl ReadAt for Stored {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }
}
