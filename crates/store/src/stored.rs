//! An image file opened to be read.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use azud_core::io::ReadAt;
use rustix::fs::{Advice, OFlags, fadvise};

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
        let file = open(path).map_err(|error| match error.kind() {
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

    /// Makes later reads come from the medium, as far as the system allows.
    pub fn forget_cached(&self) {
        // Advice: where it is not taken, the check that follows is weaker, not wrong.
        let _ = fadvise(&self.file, 0, None, Advice::DontNeed);
    }
}

/// Opens for reading, leaving the file's times alone where the system allows: looking at an image is not
/// using it, and a cache goes by its last use.
fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    let flags = OFlags::NOATIME.bits().cast_signed();
    match options.read(true).custom_flags(flags).open(path) {
        // Only the owner and root may ask for it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => File::open(path),
        other => other,
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
