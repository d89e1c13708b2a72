//! Where images may be that hold pieces of a new version, besides the one that it replaces.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use azud_core::name::{ImageFile, is_side_file};

use crate::cache::Cache;
use crate::durable;
use crate::error::Result;
use crate::list::list;
use crate::slot::{shelf, slots};

/// So many neighbours are looked into.
const NEIGHBOURS: usize = 8;
/// And so many former versions.
const FORMER: usize = 4;
/// And so many images in other folders of the tree.
const ELSEWHERE: usize = 8;

/// Whether an image may serve, by its path from the root of the tree.
type Sees = Arc<dyn Fn(&Path) -> bool + Send + Sync>;

/// A tree whose images may hold pieces of one in a folder of it.
#[derive(Clone)]
pub struct Around {
    root: PathBuf,
    /// From the root.
    folder: PathBuf,
    sees: Sees,
}

impl fmt::Debug for Around {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Around({:?} in {:?})", self.folder, self.root)
    }
}

impl Around {
    /// A folder of the tree below `root`, for somebody who sees of it what `sees` says.
    pub fn new(
        root: PathBuf,
        folder: PathBuf,
        sees: impl Fn(&Path) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            root,
            folder,
            sees: Arc::new(sees),
        }
    }

    /// The cache that an image lies in, if it lies in one. Its folder may still have to be made.
    pub(super) fn in_cache(image: &ImageFile) -> Option<Self> {
        let dir = image.dir();
        let there = dir.ancestors().find(|dir| dir.exists())?;
        let (cache, folder) = Cache::around_folder(there)?;
        let folder = folder.join(dir.strip_prefix(there).ok()?);
        Some(Self::new(cache.root().to_owned(), folder, |_| true))
    }

    fn sees_neighbour(&self, name: &str) -> bool {
        (self.sees)(&self.folder.join(name))
    }

    /// Images in other folders, those of the same name before the newest: rooms have versions of one image.
    fn elsewhere(&self, image: &ImageFile) -> Vec<PathBuf> {
        // What cannot be listed has nothing for us.
        let Ok(listing) = list(&self.root, SystemTime::now()) else {
            return Vec::new();
        };
        let mut others = listing.images;
        others.retain(|other| {
            !other.is_dir && other.path.parent() != Some(&self.folder) && (self.sees)(&other.path)
        });
        let name = Some(OsStr::new(image.name()));
        others.sort_by_key(|other| (other.path.file_name() != name, Reverse(other.modified)));
        let others = others.iter().take(ELSEWHERE);
        others.map(|other| self.root.join(&other.path)).collect()
    }
}

/// The images that may hold pieces of a new version: the current one is given, then its former versions,
/// then its neighbours, the newest first, then those in other folders of the tree that it lies in.
pub(super) fn candidates(image: &ImageFile, around: Option<&Around>) -> Result<Vec<PathBuf>> {
    let shelf = shelf(image);
    let former = slots(image)?.into_iter().rev().take(FORMER);
    let former = former.map(|slot| shelf.join(slot.to_string()).join(image.name()));
    let mut neighbours = Vec::new();
    for name in durable::names(image.dir())? {
        let Some(name) = name.to_str() else { continue };
        let ours = name != image.name() && !is_side_file(name) && !name.starts_with('.');
        let ours = ours && around.is_none_or(|around| around.sees_neighbour(name));
        let path = image.dir().join(name);
        let meta = std::fs::symlink_metadata(&path);
        if let Some(meta) = meta.ok().filter(|meta| ours && meta.is_file()) {
            neighbours.push((meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), path));
        }
    }
    neighbours.sort();
    let neighbours = neighbours.into_iter().rev().take(NEIGHBOURS);
    let neighbours = neighbours.map(|(_, path)| path);
    let elsewhere = around.map(|around| around.elsewhere(image));
    Ok(former
        .chain(neighbours)
        .chain(elsewhere.into_iter().flatten())
        .collect())
}
