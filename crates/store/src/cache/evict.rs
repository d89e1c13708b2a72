//! An image leaves the cache: whole, with its side files, and for good.
//!
//! The image goes first, by one rename into `evicting/`, where nobody looks for images; then its side
//! files; then its bytes. Whoever holds the state's lock next finishes what was begun. None of this needs
//! space, so that it works on a full file system.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use azud_core::cache::{Item, Stays, may_go, may_go_even_last};
use azud_core::name::ImageFile;

use super::survey::Survey;
use super::{Cache, EVICTING, IMAGES, STATE, key};
use crate::durable::{self, is_dir};
use crate::error::{Result, StoreError};
use crate::identity::Identify;
use crate::lock::DirLock;
use crate::recover::Settled;
use crate::retention;
use crate::side::KEPT;
use crate::stored::is_open;

/// So often nothing more may have come free before no more is expected: XFS frees in the background.
const PATIENCE: u32 = 10;
const NAP: Duration = Duration::from_millis(20);

/// Whether the item at a place may go.
type Rule = fn(&[Item], &[usize]) -> std::result::Result<(), (usize, Stays)>;

/// What an eviction gave back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Freed {
    /// Bytes that the image took.
    pub bytes: u64,
    /// Bytes that are free now and were not before. Others may write meanwhile, so it is a hint.
    pub measured: u64,
}

impl Cache {
    /// Evicts an image or a former version, if it may go. What the survey said is looked at again, for
    /// others may have been at work since.
    ///
    /// # Errors
    /// [`StoreError::Stays`], [`StoreError::NotFound`] (gone already), [`StoreError::Pending`] (a change of the image could
    /// not be finished), [`StoreError::ReadOnly`], [`StoreError::Locked`], or what the system says.
    pub fn evict(&self, path: &Path, now: SystemTime, identify: &Identify<'_>) -> Result<Freed> {
        self.evict_by(may_go, path, now, identify)
    }

    /// As [`Cache::evict`], for an image that somebody gives up although it is the last copy of what a partition runs.
    ///
    /// # Errors
    /// As [`Cache::evict`].
    pub fn evict_even_last(
        &self,
        path: &Path,
        now: SystemTime,
        identify: &Identify<'_>,
    ) -> Result<Freed> {
        self.evict_by(may_go_even_last, path, now, identify)
    }

    fn evict_by(
        &self,
        rule: Rule,
        path: &Path,
        now: SystemTime,
        identify: &Identify<'_>,
    ) -> Result<Freed> {
        let lock = self.lock_if_any()?;
        if lock.is_some() {
            self.leased(now, true)?;
            self.finish_evictions(now)?;
        }
        let survey = self.survey(now, identify)?;
        let at = find(&survey, path).ok_or_else(|| StoreError::NotFound(self.root.join(path)))?;
        rule(&survey.items(), &[at]).map_err(|(_, why)| StoreError::Stays {
            image: path.to_owned(),
            why,
        })?;
        let cached = &survey.cached[at];
        if is_open(&self.root.join(path)) {
            let image = path.to_owned();
            let why = Stays::InUse;
            return Err(StoreError::Stays { image, why });
        }
        let before = survey.space.free;
        match &cached.slot {
            None => self.remove_image(path, now)?,
            Some((image, slot)) => {
                if !retention::purge(image, slot, now)? {
                    return Err(StoreError::NotFound(self.root.join(path)));
                }
            }
        }
        drop(lock);
        Ok(Freed {
            bytes: cached.bytes,
            measured: self.measure(before, cached.bytes)?,
        })
    }

    fn remove_image(&self, path: &Path, now: SystemTime) -> Result<()> {
        let image = self.image(path)?;
        let _settled = Settled::enter(image.dir(), image.name(), now)?;
        // The record says whose side files are to follow, should we not get to them.
        let waiting = self.state(EVICTING).join(key(path.as_os_str().as_bytes()));
        let moved = self
            .remember(path)
            .and_then(|()| durable::rename(&image.path(), &waiting));
        if moved.is_err() {
            // No state, no space for it, or another file system is mounted inside the tree.
            durable::remove_file(&image.path())?;
        }
        durable::sync_dir(image.dir())?;
        remove_sides(&image)?;
        durable::remove_file(&waiting)?;
        self.forget(path)
    }

    /// Makes sure that there is a record of the image. The caller holds the lock.
    fn remember(&self, path: &Path) -> Result<()> {
        let file = self.file(IMAGES, path.as_os_str().as_bytes(), ".json");
        if self.record(path).1 || !file.exists() {
            return durable::replace(&file, &crate::slot::json(&self.record(path).0, &file)?);
        }
        Ok(())
    }

    /// Takes away what evictions that were cut short left, unless somebody is at work or nothing may be written:
    /// their bytes are on no list of images, and whoever counts the room that is left would miss them.
    pub fn settle(&self, now: SystemTime) {
        let pending = self.names_in(EVICTING).is_ok_and(|names| !names.is_empty());
        if pending && let Ok(Some(_lock)) = DirLock::try_now(&self.root.join(STATE)) {
            // The next eviction tells what is wrong here.
            let _ = self.finish_evictions(now);
        }
    }

    /// Takes away what evictions that were cut short left. The caller holds the lock.
    fn finish_evictions(&self, now: SystemTime) -> Result<()> {
        let dir = self.state(EVICTING);
        for name in self.names_in(EVICTING)? {
            if let Some(path) = self.path_of(&name)
                && let Ok(image) = self.image(&path)
                && self.holds(image.dir())
            {
                let _settled = Settled::enter(image.dir(), image.name(), now)?;
                if durable::file_size(&image.path())?.is_none() {
                    remove_sides(&image)?;
                    self.forget(&path)?;
                }
            }
            let waiting = dir.join(name);
            // A directory is none of ours, and in nobody's way.
            if !is_dir(&waiting) {
                durable::remove_file(&waiting)?;
            }
        }
        Ok(())
    }

    /// Bytes that became free since `before`, once as many did as were expected or no more come.
    fn measure(&self, before: u64, expected: u64) -> Result<u64> {
        if let Ok(root) = std::fs::File::open(&self.root) {
            // btrfs frees at its next commit. Where it cannot be forced, less is seen than was freed.
            let _ = rustix::fs::syncfs(&root);
        }
        let enough = before.saturating_add(expected / 10 * 9);
        let (mut free, mut waited) = (self.space()?.free, 0);
        while free < enough && waited < PATIENCE {
            std::thread::sleep(NAP);
            let now = self.space()?.free;
            waited = if now > free { 0 } else { waited + 1 };
            free = now;
        }
        Ok(free.saturating_sub(before))
    }
}

fn find(survey: &Survey, path: &Path) -> Option<usize> {
    survey.cached.iter().position(|cached| cached.path == path)
}

/// The image is gone before the first of its side files goes. A directory of such a name is none, and stays.
fn remove_sides(image: &ImageFile) -> Result<()> {
    let sides = KEPT.iter().map(|ending| image.beside(ending));
    for side in sides.filter(|side| !is_dir(side)) {
        durable::remove_file(&side)?;
    }
    durable::sync_dir(image.dir())
}
