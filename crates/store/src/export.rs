//! A file for others: written beside its name, visible only when whole.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use azud_core::name::ImageFile;

use crate::durable;
use crate::error::{Result, StoreError};
use crate::lease::Lease;

/// A file being written beside its later name; removed when dropped unpublished.
#[derive(Debug)]
pub struct Export {
    part: PathBuf,
    out: PathBuf,
    /// Held from the first byte on, where the name is one that an image can have.
    lease: OnceLock<Lease>,
}

impl Export {
    /// Makes ready to write what will be `out`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the directory, [`StoreError::NotAFile`] when `out` has no file name or is
    /// something else than a file.
    pub fn begin(out: &Path) -> Result<Self> {
        let not_a_file = |what| StoreError::NotAFile {
            path: out.to_owned(),
            what,
        };
        let name = out.file_name().ok_or_else(|| not_a_file("a directory"))?;
        if out.is_dir() {
            return Err(not_a_file("a directory"));
        }
        if out.exists() && !out.is_file() {
            return Err(not_a_file("a device"));
        }
        let dir = out
            .parent()
            .filter(|dir| !dir.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        if !dir.is_dir() {
            return Err(StoreError::NotFound(dir.to_owned()));
        }
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.azud-part", std::process::id()));
        Ok(Self {
            part: dir.join(hidden),
            out: out.to_owned(),
            lease: OnceLock::new(),
        })
    }

    /// Makes the file to write into, empty, and locks its later name. Something that a killed run left there,
    /// or a link that somebody put there, is removed and never written through.
    ///
    /// # Errors
    /// [`StoreError::Held`], [`StoreError::ReadOnly`], [`StoreError::Io`].
    pub fn create(&self, now: SystemTime) -> Result<File> {
        let name = self.out.file_name().and_then(|name| name.to_str());
        if let (Some(name), Some(dir), None) = (name, self.part.parent(), self.lease.get())
            && let Ok(image) = ImageFile::in_dir(dir, name)
        {
            let _ = self.lease.set(Lease::take(&image, now)?);
        }
        durable::remove_file(&self.part)?;
        durable::create(&self.part)
    }

    /// Where to write.
    pub fn part(&self) -> &Path {
        &self.part
    }

    /// Takes a file that another program wrote beside it in place of what was written.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn adopt(&self, file: &Path) -> Result<()> {
        durable::rename(file, &self.part)
    }

    /// Syncs what was written and gives it its name; what had that name before is replaced.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`], [`StoreError::ReadOnly`], [`StoreError::Io`].
    pub fn publish(self) -> Result<()> {
        let file =
            File::open(&self.part).map_err(|error| StoreError::io("open", &self.part, error))?;
        durable::sync_file(&file, &self.part)?;
        self.lease.get().map_or(Ok(()), Lease::confirm)?;
        durable::rename(&self.part, &self.out)?;
        let dir = self.part.parent().unwrap_or(Path::new("."));
        durable::sync_dir(dir)
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        // Gone already when it was published.
        let _ = std::fs::remove_file(&self.part);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::Export;
    use crate::side::LOCK;

    #[test]
    fn regression_leftovers_and_links_are_not_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("disk.raw");
        let (export, now) = (Export::begin(&out).unwrap(), std::time::SystemTime::now());
        fs::write(export.part(), "what a killed run left").unwrap();
        assert_eq!(export.create(now).unwrap().metadata().unwrap().len(), 0);
        fs::remove_file(export.part()).unwrap();
        let precious = dir.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        std::os::unix::fs::symlink(&precious, export.part()).unwrap();
        export.create(now).unwrap().write_all(b"disk").unwrap();
        let lock = dir.path().join(format!("disk.raw{LOCK}"));
        assert!(lock.is_file(), "locked while it is written");
        export.publish().unwrap();
        assert!(!lock.exists());
        assert_eq!(fs::read(&precious).unwrap(), b"precious");
        assert_eq!(fs::read(&out).unwrap(), b"disk");
    }
}
