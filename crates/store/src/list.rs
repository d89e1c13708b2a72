//! The images of a directory tree, ours and those that other programs left there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use azud_core::name::{ImageFile, SIDE_ENDINGS, is_side_file};

use crate::catalogue::{By, Catalogue, Stamp};
use crate::durable;
use crate::error::{Result, StoreError};
use crate::lease::{self, Holder};
use crate::recover::recover_for_reading;
use crate::repoinfo;
use crate::side::{FULL_SUM, INFO, InfoLine, LOCK, full_sum};

/// An image in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path from the root of the tree.
    pub path: PathBuf,
    /// Whether it is a directory: a synchronised image as a plain tree.
    pub is_dir: bool,
    /// Size in bytes; 0 for a directory.
    pub size: u64,
    /// When it was last written.
    pub modified: Option<SystemTime>,
    /// What `.info` says, if it is understood. It may be untrue.
    pub info: Option<InfoLine>,
    /// What the server's `repoinfo.json` says. It may be untrue.
    pub listed: Option<InfoLine>,
    /// Who has it locked, if anybody.
    pub lock: Option<Holder>,
    /// The endings of the files beside it.
    pub side: Vec<&'static str>,
    /// When its bytes were compared with its own hashes, or its `.full.sum`, and it has not changed since, in seconds
    /// since 1970.
    pub verified: Option<u64>,
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

/// Folders of a stock repository that hold no images of their own.
const NO_UNITS: [&str; 2] = ["mount", "groups"];
/// Files in the root of a synchronised image that is a directory.
const DIRECTORY_MARKS: [&str; 3] = [".marcimg", "ogimg.info", "ogwinimage.acl"];

/// Lists the images below a directory: every regular file that is no side file and not hidden, and every
/// directory that is a synchronised image. Links to directories are not followed; a link to an image inside
/// the tree is listed as one. In the root, folders that stand for other places (addresses, `USB-…`, `REPO` …)
/// and the server's own (`mount`, `groups`) are not looked into.
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
    let mut scan = Scan {
        claims: repoinfo::read(&real),
        root: real,
        listing: Listing::default(),
    };
    let mut todo = vec![(PathBuf::new(), 0)];
    while let Some((dir, depth)) = todo.pop() {
        recover_for_reading(&scan.root.join(&dir), now);
        match scan.visit(&dir) {
            Ok(_) if depth == MAX_DEPTH => scan.skip(dir, "it is too deep"),
            Ok(deeper) => todo.extend(deeper.into_iter().map(|dir| (dir, depth + 1))),
            Err(error) => scan.skip(dir, &describe(&error)),
        }
    }
    let mut listing = scan.listing;
    listing.images.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(listing)
}

/// What is known of one image, beside what is in it.
///
/// # Errors
/// [`StoreError::NotFound`], [`StoreError::Io`].
pub fn entry(image: &ImageFile) -> Result<Entry> {
    let path = image.path();
    let meta = match std::fs::metadata(&path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(StoreError::NotFound(path));
        }
        Err(error) => return Err(StoreError::io("look at", &path, error)),
    };
    let mut scan = Scan {
        root: image.dir().to_owned(),
        claims: repoinfo::read(image.dir()),
        listing: Listing::default(),
    };
    let all = durable::names(image.dir())?;
    let here = Here {
        dir: Path::new(""),
        names: all.iter().filter_map(|name| name.to_str()).collect(),
        catalogue: Catalogue::read(image.dir()),
    };
    scan.add(&here, image.name(), (image.name().into(), &meta));
    scan.listing.images.pop().ok_or(StoreError::NotFound(path))
}

struct Scan {
    root: PathBuf,
    claims: BTreeMap<PathBuf, InfoLine>,
    listing: Listing,
}

/// A directory being looked at.
struct Here<'a> {
    dir: &'a Path,
    names: BTreeSet<&'a str>,
    catalogue: Catalogue,
}

impl Scan {
    fn skip(&mut self, path: PathBuf, why: &str) {
        self.listing.skipped.push((path, why.to_owned()));
    }

    /// Adds the images of one directory and returns the directories in it.
    fn visit(&mut self, dir: &Path) -> Result<Vec<PathBuf>> {
        let mut deeper = Vec::new();
        let full = self.root.join(dir);
        let all = durable::names(&full)?;
        let here = Here {
            dir,
            names: all.iter().filter_map(|name| name.to_str()).collect(),
            catalogue: Catalogue::read(&full),
        };
        for name in &all {
            let path = dir.join(name);
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let full = self.root.join(&path);
            let Ok(meta) = std::fs::symlink_metadata(&full) else {
                continue;
            };
            if meta.is_dir() {
                if self.is_directory_image(&here, &path, &meta) {
                    continue;
                }
                if !self.is_elsewhere(&path, &meta) {
                    deeper.push(path);
                }
                continue;
            }
            let Some(meta) = self.as_image(&full, meta) else {
                continue;
            };
            match name.to_str() {
                None => self.skip(path, "its name is not UTF-8"),
                Some(name) if is_side_file(name) => self.lone(&here, name, path),
                Some(name) => self.add(&here, name, (path, &meta)),
            }
        }
        Ok(deeper)
    }

    fn add(&mut self, here: &Here<'_>, name: &str, (path, meta): (PathBuf, &Metadata)) {
        let image = match ImageFile::in_dir(self.root.join(here.dir), name) {
            Ok(image) => image,
            Err(error) => return self.skip(path, error.reason),
        };
        let side: Vec<&'static str> = SIDE_ENDINGS
            .iter()
            .copied()
            .filter(|ending| here.names.contains(format!("{name}{ending}").as_str()))
            .collect();
        let has = |ending| side.contains(&ending);
        let known = here.catalogue.verified(name, &Stamp::of(meta));
        let verified = known.filter(|known| match &known.by {
            By::Md5(sum) => {
                has(FULL_SUM) && full_sum(&image.beside(FULL_SUM)).as_ref() == Some(sum)
            }
            By::Identity(_) => true,
        });
        self.listing.images.push(Entry {
            is_dir: meta.is_dir(),
            size: if meta.is_dir() { 0 } else { meta.len() },
            modified: meta.modified().ok(),
            info: has(INFO)
                .then(|| InfoLine::read(&image.beside(INFO)))
                .flatten(),
            listed: self.claims.get(&path).cloned(),
            lock: has(LOCK).then(|| lease::holder(&image)).flatten(),
            verified: verified.map(|known| known.at),
            side,
            path,
        });
    }

    /// Whether a folder is not looked into. One that is named like an address but holds files of its own, on this
    /// very medium, is told.
    fn is_elsewhere(&mut self, path: &Path, meta: &Metadata) -> bool {
        let name = match path.to_str() {
            Some(name) if path.components().count() == 1 => name,
            _ => return false,
        };
        if NO_UNITS.contains(&name) {
            return true;
        }
        if !is_place(name) {
            return false;
        }
        let device = std::fs::metadata(&self.root).map(|root| root.dev());
        let holds_any = || durable::names(&self.root.join(path)).is_ok_and(|all| !all.is_empty());
        if device.is_ok_and(|device| device == meta.dev()) && holds_any() {
            let why =
                "it is named like an address, so it is not looked into: rename it if it is a unit";
            self.skip(path.to_owned(), why);
        }
        true
    }

    fn is_directory_image(&mut self, here: &Here<'_>, path: &Path, meta: &Metadata) -> bool {
        let full = self.root.join(path);
        let marked = |mark: &&str| std::fs::symlink_metadata(full.join(mark)).is_ok();
        if !DIRECTORY_MARKS.iter().any(marked) {
            return false;
        }
        match path.file_name().and_then(|name| name.to_str()) {
            Some(name) => self.add(here, name, (path.to_owned(), meta)),
            None => self.skip(path.to_owned(), "its name is not UTF-8"),
        }
        true
    }

    /// A former version whose image is gone is worth a word: it may be all that a failed capture left.
    fn lone(&mut self, here: &Here<'_>, name: &str, path: PathBuf) {
        let image = name
            .strip_suffix(".ant")
            .filter(|image| !is_side_file(image));
        if image.is_some_and(|image| !here.names.contains(image)) {
            self.skip(
                path,
                "it is the former version of an image that is not there",
            );
        }
    }

    /// What is known of a file if it can be an image: it is regular, or a link to such a one in the tree.
    fn as_image(&self, full: &Path, meta: Metadata) -> Option<Metadata> {
        if !meta.is_symlink() {
            return meta.is_file().then_some(meta);
        }
        let target = std::fs::canonicalize(full)
            .ok()
            .filter(|target| target.starts_with(&self.root))?;
        std::fs::metadata(target).ok().filter(Metadata::is_file)
    }
}

/// Whether a folder in the root stands for another place than the tree itself.
fn is_place(name: &str) -> bool {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let upper = name.to_ascii_uppercase();
    bare.parse::<IpAddr>().is_ok()
        || matches!(upper.as_str(), "REPO" | "CACHE" | "LOCALHOST")
        || upper.starts_with("USB-")
        || upper.starts_with("DVD-")
}

fn describe(error: &StoreError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
