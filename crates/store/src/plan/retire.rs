//! The former version on its way to the trash, and what of the trash is no version.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use azud_core::name::ImageFile;
use serde::{Deserialize, Serialize};

use super::{Current, MAX_PLAN};
use crate::durable;
use crate::error::{Result, StoreError};
use crate::slot::{GONE, META, Meta, Slot, TRASH, json, seconds, shelf, shelved, slots};

/// `meta.json` as long as the version is not whole.
const META_DRAFT: &str = ".meta";

/// The current version goes to the trash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Retire {
    pub(super) slot: Slot,
    /// Its name stays until the next version takes it.
    pub(super) stays: bool,
    pub(super) endings: Vec<String>,
    meta: Meta,
}

impl Retire {
    /// Drafts how `current` goes to the trash.
    pub(super) fn draft(
        image: &ImageFile,
        current: &Current,
        (present, stays): (&[String], bool),
        now: SystemTime,
    ) -> Result<Self> {
        let shelf = shelf(image);
        let slot = Slot::after(&slots(image)?, now, current.identity.as_ref());
        let path = shelf.join(slot.to_string());
        if std::fs::symlink_metadata(&path).is_ok() {
            return Err(StoreError::corrupt(
                &path,
                "the trash has no free name for one more version",
            ));
        }
        let meta = Meta {
            identity: current.identity,
            moved_at: seconds(now),
            size: current.size,
        };
        Ok(Self {
            slot,
            stays,
            endings: present.to_vec(),
            meta,
        })
    }

    /// The directories, from the trash down to the version's own.
    fn dirs(&self, image: &ImageFile) -> [PathBuf; 3] {
        let shelf = shelf(image);
        let slot = shelf.join(self.slot.to_string());
        [image.dir().join(TRASH), shelf, slot]
    }

    /// Makes everything in the trash that needs space.
    pub(super) fn reserve(&self, image: &ImageFile) -> Result<PathBuf> {
        let dirs = self.dirs(image);
        dirs.iter().try_for_each(|dir| durable::ensure_dir(dir))?;
        let draft = dirs[2].join(META_DRAFT);
        let text = json(&self.meta, &draft)?;
        if durable::read_small(&draft, MAX_PLAN).ok().as_ref() != Some(&text) {
            durable::write(&draft, &text)?;
        }
        Ok(draft)
    }

    /// Carries it out, from wherever it was left.
    pub(super) fn carry_out(&self, image: &ImageFile) -> Result<()> {
        let [trash, shelf, slot] = self.dirs(image);
        let meta = slot.join(META);
        if durable::file_size(&meta)?.is_some() {
            return Ok(());
        }
        let draft = self.reserve(image)?;
        for ending in &self.endings {
            let (from, to) = (
                image.beside(ending),
                slot.join(format!("{}{ending}", image.name())),
            );
            let left = durable::file_size(&to)?.is_none() && durable::file_size(&from)?.is_some();
            if left && !(self.stays && durable::link(&from, &to)?) {
                durable::rename(&from, &to)?;
            }
        }
        // First the files, then the word that they are there.
        durable::sync_dir(&slot)?;
        durable::rename(&draft, &meta)?;
        for dir in [&slot, &shelf, &trash] {
            durable::sync_dir(dir)?;
        }
        durable::sync_dir(image.dir())
    }
}

/// Clears the trash of what is no version: those half purged, and places made ready for one that never
/// came. The caller holds the lock and has carried out all that is committed.
pub(crate) fn sweep(dir: &Path) -> Result<()> {
    for image in shelved(dir)? {
        let shelf = shelf(&image);
        let mut swept = false;
        for name in durable::names(&shelf)? {
            let Some(name) = name.to_str() else { continue };
            let path = shelf.join(name);
            let ours = name.starts_with(GONE) || Slot::parse(name).is_some();
            if ours && durable::is_dir(&path) && (name.starts_with(GONE) || is_empty(&path)?) {
                durable::remove_flat_dir(&path)?;
                swept = true;
            }
        }
        if swept || durable::names(&shelf)?.is_empty() {
            sweep_empty(&image)?;
        }
    }
    Ok(())
}

/// Whether a version's place holds no file of a version.
fn is_empty(slot: &Path) -> Result<bool> {
    Ok(durable::names(slot)?
        .iter()
        .all(|name| name == META || name == META_DRAFT))
}

/// Removes the directories of the trash that hold nothing any more.
pub(crate) fn sweep_empty(image: &ImageFile) -> Result<()> {
    let trash: PathBuf = image.dir().join(TRASH);
    durable::remove_dir_if_empty(&shelf(image))?;
    durable::remove_dir_if_empty(&trash)
}
