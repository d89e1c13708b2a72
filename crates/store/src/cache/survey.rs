//! Everything that takes space in a cache, and what is known of it.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use azud_core::cache::{Item, Sort, Space};
use azud_core::name::ImageFile;

use super::Cache;
use super::record::{RunsOn, Stamp, Verified, seconds, time};
use crate::assembly::is_half_moved;
use crate::durable;
use crate::error::{At, Result};
use crate::identity::{Identify, Identity};
use crate::lease::is_held;
use crate::list::{Entry, list};
use crate::room::on_medium;
use crate::side::KEPT;
use crate::slot::shelved;
use crate::trash::former;

/// Deeper directories are not looked into: bind mounts can make a tree endless.
const MAX_DEPTH: usize = 64;

/// An image in the cache, or a former version of one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "facts that have nothing to do with each other"
)]
pub struct Cached {
    /// Its path from the root.
    pub path: PathBuf,
    /// Image or former version.
    pub sort: Sort,
    /// Size of the image in bytes.
    pub size: u64,
    /// Bytes on the medium, side files included.
    pub bytes: u64,
    /// Of these, those that are certainly free once it is gone.
    pub surely: u64,
    /// When it was last of use; for a former version, when it became one.
    pub used: SystemTime,
    /// Whether it is pinned.
    pub pinned: bool,
    /// Whether somebody is at work with it.
    pub in_use: bool,
    /// Whether a part of it lies in an update of it that was broken off.
    pub half_moved: bool,
    /// Whether the plan that was agreed to does not name it.
    pub not_planned: bool,
    /// Its last check.
    pub verified: Option<Verified>,
    /// Who it is, if that can be told.
    pub identity: Option<Identity>,
    /// The partitions of this machine that run what it holds.
    pub runs_on: Vec<String>,
    /// The image that it is a former version of, and its name in the trash.
    pub(crate) slot: Option<(ImageFile, String)>,
}

impl Cached {
    /// The path from the root of the image that this is a former version of.
    pub fn former_of(&self) -> Option<PathBuf> {
        let (image, _) = self.slot.as_ref()?;
        // …/.azud-trash/NAME/SLOT/NAME
        let dir = self.path.ancestors().nth(4)?;
        Some(dir.join(image.name()))
    }

    /// As the policy sees it.
    pub fn item(&self) -> Item {
        Item {
            name: self.path.display().to_string(),
            sort: self.sort,
            bytes: self.bytes,
            surely: self.surely,
            used: seconds(self.used),
            pinned: self.pinned,
            in_use: self.in_use,
            half_moved: self.half_moved,
            not_planned: self.not_planned,
            identity: self.identity.map(|identity| identity.0),
            damaged: self.verified.as_ref().is_some_and(|v| !v.sound),
            runs_on: self.runs_on.clone(),
        }
    }
}

/// What a cache holds.
#[derive(Debug)]
pub struct Survey {
    /// Images and former versions, by path.
    pub cached: Vec<Cached>,
    /// Space of the file system.
    pub space: Space,
    /// Files of the state that are damaged; what they said was made good from the images, or is lost.
    pub damaged: Vec<PathBuf>,
    /// What was passed over, and why.
    pub skipped: Vec<(PathBuf, String)>,
}

impl Survey {
    /// As the policy sees it, in the same order.
    pub fn items(&self) -> Vec<Item> {
        self.cached.iter().map(Cached::item).collect()
    }

    /// Has these images, by their paths from the root, in use as well.
    pub fn keep(&mut self, images: &[PathBuf]) {
        for cached in &mut self.cached {
            cached.in_use |= images.contains(&cached.path);
        }
    }

    /// Paths from the root of these of its images.
    pub fn paths(&self, images: &[usize]) -> Vec<PathBuf> {
        let paths = images.iter().map(|&at| self.cached[at].path.clone());
        paths.collect()
    }

    /// Has everything stay that these, by their paths from the root, do not name.
    pub fn spare_all_but(&mut self, agreed: &[PathBuf]) {
        for cached in &mut self.cached {
            cached.not_planned |= !agreed.contains(&cached.path);
        }
    }
}

/// What holds for all images of a survey.
struct Seen<'a> {
    cache: &'a Cache,
    leased: BTreeSet<PathBuf>,
    installed: RunsOn,
    shares: bool,
    now: SystemTime,
    identify: &'a Identify<'a>,
}

impl Cache {
    /// Looks at everything. Nothing is written, but what a crash left, beside images and of evictions, is finished.
    ///
    /// # Errors
    /// What the system says of the root; trouble further down is told in [`Survey::skipped`].
    pub fn survey(&self, now: SystemTime, identify: &Identify<'_>) -> Result<Survey> {
        self.settle(now);
        let leased = self.leased(now, false)?;
        let (installed, mut damaged) = self.installed()?;
        damaged.extend(self.usurped());
        let seen = Seen {
            cache: self,
            leased,
            installed,
            shares: shares_extents(&self.root),
            now,
            identify,
        };
        let listing = list(&self.root, now)?;
        let mut skipped = listing.skipped;
        let mut cached = Vec::new();
        for entry in &listing.images {
            match seen.image(entry, &mut damaged) {
                Ok(one) => cached.extend(one),
                Err(error) => skipped.push((entry.path.clone(), error.to_string())),
            }
        }
        for dir in directories(&self.root) {
            match seen.former(&dir) {
                Ok(all) => cached.extend(all),
                Err(error) => skipped.push((dir, error.to_string())),
            }
        }
        cached.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Survey {
            cached,
            space: self.space()?,
            damaged,
            skipped,
        })
    }

    /// The space of the file system now.
    ///
    /// # Errors
    /// What the system says.
    pub fn space(&self) -> Result<Space> {
        let facts = rustix::fs::statvfs(&self.root).at("look at", &self.root)?;
        Ok(Space {
            total: facts.f_blocks.saturating_mul(facts.f_frsize),
            free: facts.f_bavail.saturating_mul(facts.f_frsize),
        })
    }
}

impl Seen<'_> {
    /// What is known of a file in the tree, if it is an image and not a link to one.
    fn image(&self, entry: &Entry, damaged: &mut Vec<PathBuf>) -> Result<Option<Cached>> {
        let file = self.cache.root.join(&entry.path);
        let meta = fs::symlink_metadata(&file).at("look at", &file)?;
        if !meta.is_file() {
            return Ok(None);
        }
        let stamp = Stamp::from(&meta);
        let (record, is_damaged) = self.cache.record(&entry.path);
        let identity = record.identity(&stamp).or_else(|| (self.identify)(&file));
        // Not everything in a tree of images is one: what is none is nobody's to evict.
        let named = file
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("img") || e.eq_ignore_ascii_case("dsk"));
        if identity.is_none() && entry.info.is_none() && !named {
            return Ok(None);
        }
        if is_damaged {
            damaged.push(entry.path.clone());
        }
        let image = self.cache.image(&entry.path)?;
        let sides = KEPT.iter().map(|ending| image.beside(ending));
        let sides: u64 = sides
            .filter_map(|side| fs::symlink_metadata(side).ok())
            .map(|meta| on_medium(&meta))
            .sum();
        let bytes = on_medium(&meta).saturating_add(sides);
        Ok(Some(Cached {
            sort: Sort::Image,
            size: meta.len(),
            bytes,
            surely: self.surely(bytes, &meta),
            used: time(record.used(&meta)),
            pinned: self.cache.is_pinned(&entry.path),
            half_moved: is_half_moved(&image),
            not_planned: false,
            // Other tools say so by a lock beside it; one that they forgot keeps nothing for ever.
            in_use: self.leased.contains(&entry.path)
                || (entry.lock.is_some() && is_held(&image, self.now)),
            verified: record.verified(&stamp).cloned(),
            identity,
            runs_on: self.runs_on(identity),
            slot: None,
            path: entry.path.clone(),
        }))
    }

    /// The former versions in the trash of a directory.
    fn former(&self, dir: &Path) -> Result<Vec<Cached>> {
        let full = self.cache.root.join(dir);
        let mut all = Vec::new();
        for image in shelved(&full)? {
            for version in former(&image)? {
                let (Some(slot), Ok(path)) =
                    (version.slot, version.path.strip_prefix(&self.cache.root))
                else {
                    continue;
                };
                let home = version.path.parent().unwrap_or(&full);
                let meta = fs::symlink_metadata(&version.path).at("look at", &version.path)?;
                let mut bytes = 0_u64;
                for name in durable::names(home)? {
                    let meta = fs::symlink_metadata(home.join(name));
                    bytes = bytes.saturating_add(meta.map_or(0, |meta| on_medium(&meta)));
                }
                all.push(Cached {
                    path: path.to_owned(),
                    sort: Sort::Former,
                    size: version.size,
                    bytes,
                    surely: self.surely(bytes, &meta),
                    used: version.moved_at.unwrap_or(SystemTime::UNIX_EPOCH),
                    pinned: self.cache.is_pinned(path),
                    in_use: self.leased.contains(path),
                    half_moved: false,
                    not_planned: false,
                    verified: None,
                    identity: version.identity,
                    runs_on: self.runs_on(version.identity),
                    slot: Some((image.clone(), slot)),
                });
            }
        }
        Ok(all)
    }

    fn runs_on(&self, identity: Option<Identity>) -> Vec<String> {
        let partitions = identity.and_then(|identity| self.installed.get(&identity));
        partitions.cloned().unwrap_or_default()
    }

    /// A file with a second name, or on a file system where files share extents, may give nothing back.
    fn surely(&self, bytes: u64, meta: &Metadata) -> u64 {
        if self.shares || meta.nlink() > 1 {
            0
        } else {
            bytes
        }
    }
}

/// Whether files of this file system can share extents.
fn shares_extents(root: &Path) -> bool {
    // linux/magic.h: btrfs, XFS, OCFS2, bcachefs, ZFS, overlayfs (whatever is below).
    const MAGIC: [u32; 6] = [
        0x9123_683E,
        0x5846_5342,
        0x7461_636F,
        0xCA45_1A4E,
        0x2FC1_2FC1,
        0x794C_7630,
    ];
    let kind = rustix::fs::statfs(root).map(|facts| facts.f_type);
    // The kernel's field is wider than the numbers.
    kind.is_ok_and(|kind| {
        MAGIC
            .iter()
            .any(|magic| i64::from(*magic) == kind & 0xFFFF_FFFF)
    })
}

/// The directories of a tree that may hold images, from the root: no hidden ones and no links.
fn directories(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![(PathBuf::new(), 0)];
    while let Some((dir, depth)) = todo.pop() {
        let names = durable::names(&root.join(&dir)).unwrap_or_default();
        for name in names {
            let path = dir.join(&name);
            let hidden = name.as_encoded_bytes().starts_with(b".");
            if !hidden && depth < MAX_DEPTH && durable::is_dir(&root.join(&path)) {
                todo.push((path, depth + 1));
            }
        }
        found.push(dir);
    }
    found
}
