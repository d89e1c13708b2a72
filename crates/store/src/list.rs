//! The images of a directory tree.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use azud_core::name::{ImageFile, is_side_file};

use crate::durable;
use crate::error::{Result, StoreError};
use crate::recover::recover_for_reading;
use crate::side::{INFO, InfoLine};

/// An image in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path from the root of the tree.
    pub path: PathBuf,
    /// Size in bytes.
    pub size: u64,
    /// When it was last written.
    pub modified: Option<SystemTime>,
    /// What `.info` says, if it is understood. It may be untrue.
    pub info: Option<InfoLine>,
}

/// What a tree holds.
#[derive(Debug, Default)]
pub struct Listing {
    /// The images, by path.
    pub images: Vec<Entry>,
    /// What was passed over, and why.
    pub skipped: Vec<(PathBuf, String)>,
}

/// Deeper directories are not looked into: bind mounts can make a tree endless.
const MAX_DEPTH: usize = 64;

/// Lists the images below a directory: every regular file that is no side file and not hidden. Links to
/// directories are not followed; a link to an image inside the tree is listed as one.
///
/// # Errors
/// [`StoreError::NotFound`] or what the system says about the root; trouble further down is told in
/// [`Listing::skipped`].
pub fn list(root: &Path, now: SystemTime) -> Result<Listing> {
    let real = match std::fs::canonicalize(root) {
        Ok(real) => real,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(StoreError::NotFound(root.to_owned()));
        }
        Err(error) => return Err(StoreError::io("look at", root, error)),
    };
    durable::names(&real)?;
    let mut listing = Listing::default();
    let mut todo = vec![(PathBuf::new(), 0)];
    while let Some((dir, depth)) = todo.pop() {
        recover_for_reading(&real.join(&dir), now);
        match visit(&real, &dir, &mut listing) {
            Ok(_) if depth == MAX_DEPTH => listing.skipped.push((dir, "it is too deep".into())),
            Ok(deeper) => todo.extend(deeper.into_iter().map(|dir| (dir, depth + 1))),
            Err(error) => listing.skipped.push((dir, describe(&error))),
        }
    }
    listing.images.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(listing)
}

/// Adds the images of one directory and returns the directories in it.
fn visit(root: &Path, dir: &Path, listing: &mut Listing) -> Result<Vec<PathBuf>> {
    let mut deeper = Vec::new();
    for name in durable::names(&root.join(dir))? {
        let path = dir.join(&name);
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let full = root.join(&path);
        let Ok(meta) = std::fs::symlink_metadata(&full) else {
            continue;
        };
        if meta.is_dir() {
            deeper.push(path);
            continue;
        }
        let Some(meta) = as_image(root, &full, meta) else {
            continue;
        };
        let Some(name) = name.to_str() else {
            listing.skipped.push((path, "its name is not UTF-8".into()));
            continue;
        };
        if is_side_file(name) {
            continue;
        }
        match ImageFile::in_dir(root.join(dir), name) {
            Ok(image) => listing.images.push(Entry {
                path,
                size: meta.len(),
                modified: meta.modified().ok(),
                info: InfoLine::read(&image.beside(INFO)),
            }),
            Err(error) => listing.skipped.push((path, error.reason.into())),
        }
    }
    Ok(deeper)
}

/// What is known of a file if it can be an image: it is regular, or a link to such a one in the tree.
fn as_image(root: &Path, full: &Path, meta: std::fs::Metadata) -> Option<std::fs::Metadata> {
    if !meta.is_symlink() {
        return meta.is_file().then_some(meta);
    }
    let target = std::fs::canonicalize(full)
        .ok()
        .filter(|target| target.starts_with(root))?;
    std::fs::metadata(target)
        .ok()
        .filter(std::fs::Metadata::is_file)
}

fn describe(error: &StoreError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
