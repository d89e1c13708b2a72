//! A cache: a tree of images that looks after itself.
//!
//! What it knows beyond the files lies in `.azud-cache` at the root of the tree: `images/` (last use, last
//! check and identity of each), `pins/`, `installed/` (what this machine's partitions run), `leases/` (who
//! is at work with what) and `evicting/` (what is on its way out).
//!
//! Invariants: the images are plain files and the whole truth; what is missing or damaged here is made
//! good from them. A pin is a file whose name alone counts, so that no damaged content takes it away.
//! Changes are made under the lock of the state's directory, which is taken before that of any directory of images.

mod evict;
mod lease;
mod patch;
mod record;
mod room;
mod survey;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;
use std::path::{Component, Path, PathBuf};

use azud_core::name::ImageFile;
use md5::{Digest, Md5};

use crate::durable::{self, is_dir};
use crate::error::{At, Result, StoreError};
use crate::lock::DirLock;

pub use evict::Freed;
pub use lease::Lease;
pub use patch::Patch;
pub use record::{Record, Stamp, Verified};
pub use room::{Gone, NoRoom, Room};
pub use survey::{Cached, Survey};

/// The directory of the state, in the root of the tree.
const STATE: &str = ".azud-cache";
const IMAGES: &str = "images";
const PINS: &str = "pins";
const INSTALLED: &str = "installed";
const LEASES: &str = "leases";
const EVICTING: &str = "evicting";
const PARTS: [&str; 5] = [IMAGES, PINS, INSTALLED, LEASES, EVICTING];

/// A cache, by its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache whose tree begins at a directory. Nothing is written.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::NotAFile`], or what the system says.
    pub fn open(root: &Path) -> Result<Self> {
        let real = std::fs::canonicalize(root).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::NotFound(root.to_owned()),
            _ => StoreError::io("look at", root, error),
        })?;
        if !std::fs::metadata(&real).at("look at", &real)?.is_dir() {
            return Err(StoreError::NotAFile {
                path: root.to_owned(),
                what: "not a directory",
            });
        }
        Ok(Self { root: real })
    }

    /// The cache that a file lies in, if it lies in one that has its state, and the file's path from its root.
    pub fn around(file: &Path) -> Option<(Self, PathBuf)> {
        let real = std::fs::canonicalize(file).ok()?;
        let (cache, folder) = Self::around_folder(real.parent()?)?;
        Some((cache, folder.join(real.file_name()?)))
    }

    /// The cache that a folder lies in, or whose root it is, and the folder's path from its root.
    pub fn around_folder(folder: &Path) -> Option<(Self, PathBuf)> {
        let real = std::fs::canonicalize(folder).ok()?;
        let has_state = |dir: &&Path| is_dir(&dir.join(STATE));
        let root = real.ancestors().find(has_state)?;
        let path = real.strip_prefix(root).ok()?.to_owned();
        let root = root.to_owned();
        Some((Self { root }, path))
    }

    /// The root of the tree; no link is on the way to it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Refuses a cache in which nothing can be changed.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], or what the system says.
    pub fn check_writable(&self) -> Result<()> {
        durable::check_writable(&self.root)
    }

    /// Whether anything was ever noted here.
    pub fn has_state(&self) -> bool {
        is_dir(&self.root.join(STATE))
    }

    /// The path from the root of an image that a user names: from the root, or absolute. Links on the
    /// way to it may lead anywhere inside the tree.
    ///
    /// # Errors
    /// [`StoreError::Name`], [`StoreError::NotFound`] (also when it lies outside), [`StoreError::NotAFile`].
    pub fn locate(&self, name: &Path) -> Result<PathBuf> {
        if name.components().any(|part| part == Component::ParentDir) {
            return Err(StoreError::NotFound(name.to_owned()));
        }
        let exact = self.root.join(name);
        let path = if exact.is_file() {
            exact
        } else {
            ImageFile::parse(exact)?.path()
        };
        let real = std::fs::canonicalize(&path).map_err(|_| StoreError::NotFound(path.clone()))?;
        let inside = match real.strip_prefix(&self.root) {
            Ok(inside) if !inside.starts_with(STATE) => inside,
            _ => return Err(StoreError::NotFound(path)),
        };
        if !real.is_file() {
            return Err(StoreError::NotAFile {
                path,
                what: "no regular file",
            });
        }
        Ok(inside.to_owned())
    }

    /// The image at a path from the root.
    pub(crate) fn image(&self, path: &Path) -> Result<ImageFile> {
        let name = path.file_name().and_then(|name| name.to_str());
        let dir = self.root.join(path.parent().unwrap_or(Path::new("")));
        Ok(ImageFile::in_dir(dir, name.unwrap_or_default())?)
    }

    /// Whether a directory is there and inside the tree, whatever links lead to it.
    fn holds(&self, dir: &Path) -> bool {
        std::fs::canonicalize(dir).is_ok_and(|real| real.starts_with(&self.root))
    }

    /// A place in the state.
    fn state(&self, part: &str) -> PathBuf {
        self.root.join(STATE).join(part)
    }

    /// Whether a part of the state is a directory of ours: a link in its place, or in that of the state, leads anywhere.
    fn owns(&self, part: &str) -> bool {
        is_dir(&self.root.join(STATE)) && is_dir(&self.state(part))
    }

    /// The names in a part of the state; none where something else is in its place.
    fn names_in(&self, part: &str) -> Result<Vec<OsString>> {
        if self.owns(part) {
            durable::names(&self.state(part))
        } else {
            Ok(Vec::new())
        }
    }

    /// What stands where a directory of the state belongs and is none, from the root.
    fn usurped(&self) -> Vec<PathBuf> {
        let state = Path::new(STATE);
        let all = PARTS.iter().map(|part| state.join(part));
        let all = std::iter::once(state.to_owned()).chain(all);
        let other = |path: &PathBuf| {
            let meta = std::fs::symlink_metadata(self.root.join(path));
            meta.is_ok_and(|meta| !meta.is_dir())
        };
        all.filter(other).collect()
    }

    /// The file of the state that belongs to a path or partition.
    fn file(&self, part: &str, of: &[u8], ending: &str) -> PathBuf {
        self.state(part).join(format!("{}{ending}", key(of)))
    }

    /// The right to change the state; makes its directories if they are missing.
    fn lock(&self) -> Result<DirLock> {
        let state = self.root.join(STATE);
        make(&state)?;
        for part in PARTS {
            make(&state.join(part))?;
        }
        DirLock::wait(&state)
    }

    /// As [`Cache::lock`]; `None` on a full file system that has no room for the state either. Without
    /// state there are no pins and no leases to heed.
    fn lock_if_any(&self) -> Result<Option<DirLock>> {
        match self.lock() {
            Err(StoreError::NoSpace { .. }) if !is_dir(&self.root.join(STATE)) => Ok(None),
            Err(StoreError::NoSpace { .. }) => DirLock::wait(&self.root.join(STATE)).map(Some),
            other => other.map(Some),
        }
    }
}

/// Makes a directory; that somebody else just did so is no error.
fn make(path: &Path) -> Result<()> {
    match durable::ensure_dir(path) {
        Err(_) if is_dir(path) => Ok(()),
        other => other,
    }
}

/// A name for the state of something, whatever it is called: paths are longer than names may be.
fn key(of: &[u8]) -> String {
    let mut name = String::new();
    for byte in Md5::digest(of) {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}
