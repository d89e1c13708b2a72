//! A file for others: written beside its name, visible only when whole.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use azud_core::name::{ImageFile, folder_of};

use crate::durable;
use crate::error::{Result, StoreError};
use crate::lease::Lease;
use crate::recover::Settled;
use crate::stage::Stage;

/// A file that is to be written; nothing is there yet.
#[derive(Debug)]
pub struct Export {
    dir: PathBuf,
    name: std::ffi::OsString,
    out: PathBuf,
}

/// A file being written, in a stage beside its later name as every image that is made; removed when dropped
/// unpublished. What a killed run left, the next one in the directory clears away.
#[derive(Debug)]
pub struct Draft {
    part: PathBuf,
    out: PathBuf,
    dir: PathBuf,
    stage: Stage,
    /// Where the name is one that an image can have.
    lease: Option<Lease>,
}

impl Export {
    /// Makes ready to write what will be `out`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the directory, [`StoreError::ReadOnly`], [`StoreError::NotAFile`] when `out` has no file name or is
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
        let dir = folder_of(out);
        if !dir.is_dir() {
            return Err(StoreError::NotFound(dir.to_owned()));
        }
        durable::check_writable(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            name: name.to_owned(),
            out: out.to_owned(),
        })
    }

    /// Makes the file to write into, empty, and locks its later name. What killed runs left in the directory is
    /// finished or cleared away first.
    ///
    /// # Errors
    /// [`StoreError::Held`], [`StoreError::Locked`], [`StoreError::ReadOnly`], [`StoreError::Io`].
    pub fn create(self, now: SystemTime) -> Result<(Draft, File)> {
        let Self { dir, name, out } = self;
        let image = name.to_str().map(|name| ImageFile::in_dir(&dir, name));
        let lease = match image {
            Some(Ok(image)) => Some(Lease::take(&image, now)?),
            _ => None,
        };
        let settled = Settled::enter_any(&dir, now)?;
        let stage = Stage::make_for(&dir, &name.to_string_lossy())?;
        drop(settled);
        let part = stage.path().join("file");
        let file = durable::create(&part)?;
        let draft = Draft {
            part,
            out,
            dir,
            stage,
            lease,
        };
        Ok((draft, file))
    }
}

impl Draft {
    /// Where to write.
    pub fn part(&self) -> &Path {
        &self.part
    }

    /// Where a program may write beside it; what is there goes with the stage.
    pub fn beside(&self) -> PathBuf {
        self.stage.path().join("converted")
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
        self.lease.as_ref().map_or(Ok(()), Lease::confirm)?;
        durable::rename(&self.part, &self.out)?;
        durable::sync_dir(&self.dir)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::time::{Duration, SystemTime};

    use super::Export;
    use crate::leftover::{Standing, leftovers};
    use crate::side::LOCK;

    #[test]
    fn what_is_written_is_a_stage_until_it_is_published() {
        let dir = tempfile::tempdir().unwrap();
        // A name that no image can have is as good.
        for name in ["disk.raw", "disk.tmp:1 \u{1}"] {
            let now = SystemTime::now();
            let out = dir.path().join(name);
            let begin = || Export::begin(&out).unwrap().create(now).unwrap();
            let (draft, mut file) = begin();
            file.write_all(b"disk").unwrap();
            let lock = dir.path().join(format!("{name}{LOCK}"));
            assert_eq!(
                lock.is_file(),
                name == "disk.raw",
                "locked while it is written"
            );
            let left = leftovers(dir.path(), now).unwrap();
            assert_eq!(left.len(), 1);
            assert_eq!(left[0].standing, Standing::AtWork);
            draft.publish().unwrap();
            assert!(!lock.exists());
            assert_eq!(fs::read(&out).unwrap(), b"disk");
            drop(begin());
            assert_eq!(
                leftovers(dir.path(), now).unwrap(),
                [],
                "gone with its maker"
            );
        }
    }

    #[test]
    fn regression_what_a_killed_run_left_goes_with_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let stage = dir.path().join(".azud-stage-disk.raw-0123456789abcdef");
        fs::create_dir(&stage).unwrap();
        fs::write(stage.join("owner"), "").unwrap();
        fs::write(stage.join("file"), "gigabytes").unwrap();
        let now = SystemTime::now();
        for path in [&stage.join("owner"), &stage.join("file"), &stage] {
            let file = fs::File::open(path).unwrap();
            file.set_modified(now - Duration::from_mins(2)).unwrap();
        }
        let left = leftovers(dir.path(), now).unwrap();
        assert_eq!(left[0].standing, Standing::Abandoned);
        let out = dir.path().join("other.raw");
        let (draft, _) = Export::begin(&out).unwrap().create(now).unwrap();
        assert!(!stage.exists());
        draft.publish().unwrap();
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "{out:?} alone"
        );
    }
}
