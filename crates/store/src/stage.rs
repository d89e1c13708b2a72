//! The hidden directory beside an image in which a change is made ready.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use azud_core::name::ImageFile;

use crate::durable;
use crate::error::{Result, StoreError};
use crate::owner::{self, OWNER};
use crate::plan::READY;

/// How the names of stage directories begin.
const PREFIX: &str = ".azud-stage-";

/// How the names of the directories begin in which images are assembled. They outlive their process.
const ASSEMBLY: &str = ".azud-assembly-";

/// What an assembly remembers. It goes first, so that one without it is nothing to go on with.
pub(crate) const JOURNAL: &str = "journal";

/// So much of the image's name is in the stage's: enough to recognise it, and it always fits.
const NAME_PART: usize = 200;

/// A stage directory of ours; whatever is in it goes with it, unless it was committed.
#[derive(Debug)]
pub(crate) struct Stage {
    path: PathBuf,
    /// Open, and so locked, as long as we work here; `None` once a committed change is all that is here.
    owner: Option<File>,
    /// Whether the directory outlives us, so that somebody can go on.
    resumable: bool,
}

impl Stage {
    /// Makes a stage beside an image. The caller holds the directory's lock.
    pub(crate) fn make(image: &ImageFile) -> Result<Self> {
        Self::make_for(image.dir(), image.name())
    }

    /// The same, for a file of any name.
    pub(crate) fn make_for(dir: &Path, name: &str) -> Result<Self> {
        let path = path_for(dir, name);
        durable::make_dir(&path)?;
        match owner::sign(&path) {
            Ok(owner) => Ok(Self {
                path,
                owner: Some(owner),
                resumable: false,
            }),
            Err(error) => {
                let _ = durable::remove_flat_dir(&path);
                Err(error)
            }
        }
    }

    /// Takes over the directory in which an image is assembled, or makes it. The caller holds the
    /// directory's lock.
    pub(crate) fn resume(image: &ImageFile, now: SystemTime) -> Result<Self> {
        let path = assembly(image);
        durable::ensure_dir(&path)?;
        if !owner::is_gone(&path, now) {
            return Err(StoreError::Locked(image.path()));
        }
        let owner = owner::sign(&path)?;
        Ok(Self {
            path,
            owner: Some(owner),
            resumable: true,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Nobody is to go on: all of it is cleared away.
    pub(crate) fn abandon(mut self) -> Result<()> {
        // Closed first: NFS and FUSE keep a removed file that is open, and with it the directory.
        self.owner = None;
        clear(&self.path)
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
            let _ = if self.resumable && is_assembling(&self.path) {
                durable::remove_file(&self.path.join(OWNER))
            } else {
                clear(&self.path)
            };
        }
    }
}

fn path_for(dir: &Path, name: &str) -> PathBuf {
    // Keys of a RandomState come from the system's random numbers.
    let random = RandomState::new().build_hasher().finish();
    dir.join(format!("{PREFIX}{}-{random:016x}", name_part(name)))
}

/// What time it is by the clock that gives files their times, which may be another computer's; `None` where nothing can be
/// made. What is made for it nobody takes for more than a stage without an owner.
pub(crate) fn clock(dir: &Path) -> Option<SystemTime> {
    let path = path_for(dir, "clock");
    durable::make_dir(&path).ok()?;
    let made = std::fs::symlink_metadata(&path).and_then(|meta| meta.modified());
    let _ = durable::remove_dir(&path);
    made.ok()
}

/// The directory in which an image is assembled: there is one for each name.
pub(crate) fn assembly(image: &ImageFile) -> PathBuf {
    let hash = blake3::hash(image.name().as_bytes()).to_hex();
    let name = format!("{ASSEMBLY}{}-{}", name_part(image.name()), &hash[..16]);
    image.dir().join(name)
}

/// The file of the image that is assembled in a directory, if it was begun.
pub(crate) fn file_in_making(stage: &Path) -> Option<PathBuf> {
    let dir = stage.parent()?;
    let names = durable::files(stage).ok()?;
    let is_its = |name: &&str| {
        let image = ImageFile::in_dir(dir, name);
        image.is_ok_and(|image| assembly(&image) == stage)
    };
    let name = names.iter().filter_map(|name| name.to_str()).find(is_its)?;
    Some(stage.join(name))
}

/// Whether a file lies in a stage: it is a part of an image in the making, and has a name that nobody knows.
pub fn is_in_making(path: &Path) -> bool {
    let stage = path.parent().and_then(Path::file_name);
    let name = stage.and_then(std::ffi::OsStr::to_str);
    name.is_some_and(is_stage)
}

/// Whether a name is that of a stage directory.
pub(crate) fn is_stage(name: &str) -> bool {
    name.starts_with(PREFIX) || name.starts_with(ASSEMBLY)
}

/// Whether a directory holds an assembly that can be gone on with, or may: one that cannot be looked at is kept.
pub(crate) fn is_assembling(stage: &Path) -> bool {
    let name = stage.file_name().and_then(std::ffi::OsStr::to_str);
    name.is_some_and(|name| name.starts_with(ASSEMBLY))
        && !matches!(durable::file_size(&stage.join(JOURNAL)), Ok(None))
}

fn name_part(name: &str) -> &str {
    let cut = (0..=name.len().min(NAME_PART))
        .rev()
        .find(|at| name.is_char_boundary(*at))
        .unwrap_or(0);
    &name[..cut]
}

/// Empties the directory of an assembly for another one, but for some files.
pub(crate) fn empty(stage: &Path, but: &[&str]) -> Result<()> {
    durable::remove_file(&stage.join(JOURNAL))?;
    durable::sync_dir(stage)?;
    for name in durable::files(stage)? {
        if name != OWNER && !but.iter().any(|kept| name == *kept) {
            durable::remove_file(&stage.join(name))?;
        }
    }
    Ok(())
}

/// Removes a stage directory, the commit mark first, so that a half-removed one is no change any more.
pub(crate) fn clear(stage: &Path) -> Result<()> {
    let journal = stage.join(JOURNAL);
    if durable::file_size(&journal)?.is_some() {
        durable::remove_file(&journal)?;
        durable::sync_dir(stage)?;
    }
    let ready = stage.join(READY);
    if durable::file_size(&ready)?.is_some() {
        durable::remove_file(&ready)?;
        durable::sync_dir(stage)?;
    }
    for name in durable::files(stage)? {
        if name != OWNER {
            durable::remove_file(&stage.join(name))?;
        }
    }
    durable::remove_file(&stage.join(OWNER))?;
    durable::remove_emptied_dir(stage)
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
