//! What a check of an image found is remembered beside it, and in the cache that it is in.

use std::path::{Path, PathBuf};

use azud_core::name::ImageFile;
use azud_store::Identity;
use azud_store::ant;
use azud_store::assembly::is_half_moved;
use azud_store::cache::{self, Cache, Verified};
use azud_store::catalogue::{By, Stamp, forget, remember};

use crate::cached::tell;
use crate::commands::Context;
use crate::failure::Failure;
use crate::opened::now;

/// An image that is being checked. What its file was before tells whether it still is what was checked.
#[derive(Debug)]
pub(crate) struct Checking {
    path: PathBuf,
    /// `None` of a former version beside it: nothing is remembered of that.
    image: Option<ImageFile>,
    before: Stamp,
    in_cache: cache::Stamp,
}

impl Checking {
    /// Looks at the file; to be called before its first byte is read.
    ///
    /// # Errors
    /// `image/bad-name`, what the system says.
    pub(crate) fn begin(path: &Path) -> Result<Self, Failure> {
        let image = match ant::image_of(path) {
            Some(_) => None,
            None => Some(ImageFile::parse(path)?),
        };
        Ok(Self {
            path: path.to_owned(),
            image,
            before: stamp(path)?,
            in_cache: cache::Stamp::of(path)?,
        })
    }

    /// Whether the file is another one by now.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn is_changed(&self) -> Result<bool, Failure> {
        Ok(stamp(&self.path)? != self.before)
    }

    /// Remembers that every byte is right. What cannot be remembered is right all the same.
    pub(crate) fn sound(&self, context: &Context, by: By) {
        // Of one that is half moved a part lies elsewhere; of one that changed, another was checked.
        let Some(image) = &self.image else { return };
        if is_half_moved(image) || self.is_changed().unwrap_or(true) {
            return;
        }
        let identity = match &by {
            By::Identity(identity) => Some(*identity),
            By::Md5(_) => None,
        };
        let noted = remember(image, self.before, by, now());
        tell(context, noted.and_then(|()| self.note(identity, true, &[])));
    }

    /// Remembers which frames are damaged, as far as they can be told.
    pub(crate) fn damaged(&self, context: &Context, identity: Option<Identity>, bad: &[usize]) {
        let Some(image) = &self.image else { return };
        let noted = forget(image);
        tell(
            context,
            noted.and_then(|()| self.note(identity, false, bad)),
        );
    }

    fn note(
        &self,
        identity: Option<Identity>,
        sound: bool,
        bad: &[usize],
    ) -> azud_store::Result<()> {
        let Some((cache, path)) = Cache::around(&self.path) else {
            return Ok(());
        };
        let bad = bad.iter().map(|number| *number as u64).collect();
        let verified = Verified::new(now(), self.in_cache, sound, bad);
        cache.mark_verified(&path, verified, identity)
    }
}

fn stamp(path: &Path) -> Result<Stamp, Failure> {
    let meta = std::fs::metadata(path).map_err(|error| Failure::io(path, &error))?;
    Ok(Stamp::of(&meta))
}
