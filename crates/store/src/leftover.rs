//! What runs left in a tree, without touching it. Clearing away is [`crate::recover`]'s part.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use azud_core::layout::is_reserved;
use azud_core::name::ImageFile;

use crate::durable;
use crate::error::{At, Result};
use crate::owner;
use crate::plan::READY;
use crate::recover::{may_go_on, stages};
use crate::stage::assembly;

/// Deeper directories are not looked into: bind mounts can make a tree endless.
const MAX_DEPTH: usize = 64;

/// How a piece of work stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Somebody is at it, or may be.
    AtWork,
    /// It is whole, but was not put in its place: the next command in the directory does that.
    Committed,
    /// An image that is not whole yet, and whoever received it has ended: the same command again goes on there.
    BrokenOff,
    /// Whoever began it has ended: the next command in the directory clears it away.
    Abandoned,
}

/// A piece of work that was not brought to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The directory of images where it lies.
    pub dir: PathBuf,
    /// Its own directory.
    pub stage: PathBuf,
    /// The image that it is of, if that can be told.
    pub image: Option<PathBuf>,
    /// How it stands.
    pub standing: Standing,
}

/// What lies about below a directory, by path. Links are not followed, other repositories in it are passed over, and
/// so are directories that cannot be read.
///
/// # Errors
/// What the system says of the directory itself.
pub fn leftovers(root: &Path, now: SystemTime) -> Result<Vec<Leftover>> {
    std::fs::read_dir(root).at("read the directory", root)?;
    let mut found = Vec::new();
    let mut todo = vec![(root.to_owned(), 0)];
    while let Some((dir, depth)) = todo.pop() {
        for stage in stages(&dir).unwrap_or_default() {
            found.push(Leftover {
                standing: standing(&stage, now),
                image: image_of(&dir, &stage),
                dir: dir.clone(),
                stage,
            });
        }
        if depth < MAX_DEPTH {
            todo.extend(folders(&dir, depth == 0).map(|folder| (folder, depth + 1)));
        }
    }
    found.sort_by(|a, b| a.stage.cmp(&b.stage));
    Ok(found)
}

/// The image that an assembly is of: its file there has the very name.
fn image_of(dir: &Path, stage: &Path) -> Option<PathBuf> {
    let names = durable::names(stage).ok()?.into_iter();
    let images = names.filter_map(|name| ImageFile::in_dir(dir, name.to_str()?).ok());
    let mut images = images.filter(|image| assembly(image) == stage);
    images.next().map(|image| image.path())
}

fn standing(stage: &Path, now: SystemTime) -> Standing {
    let there = |name: &str| matches!(durable::file_size(&stage.join(name)), Ok(Some(_)));
    if there(READY) {
        Standing::Committed
    } else if (owner::is_unsigned(stage) && owner::is_young(stage, now))
        || !owner::is_gone(stage, now)
    {
        Standing::AtWork
    } else if may_go_on(stage, now) {
        Standing::BrokenOff
    } else {
        Standing::Abandoned
    }
}

/// The directories in a directory that may hold images.
fn folders(dir: &Path, top: bool) -> impl Iterator<Item = PathBuf> {
    let names = durable::names(dir).unwrap_or_default().into_iter();
    let names = names.filter(move |name| {
        let hidden = name.as_encoded_bytes().starts_with(b".");
        let other = top && name.to_str().is_some_and(is_reserved);
        !(hidden || other)
    });
    let paths = names.map(|name| dir.join(name));
    paths.filter(|path| std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir()))
}
