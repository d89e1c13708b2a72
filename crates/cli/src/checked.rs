//! What a check of an image found is remembered beside it, and in the cache that it is in.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use azud_core::name::ImageFile;
use azud_store::Identity;
use azud_store::ant;
use azud_store::assembly::{Hurt, Hurts, is_half_moved};
use azud_store::cache::{self, Cache, Verified};
use azud_store::catalogue::{By, Stamp, forget, remember};

use crate::cached::tell;
use crate::commands::Context;
use crate::failure::Failure;
use crate::opened::now;
use crate::origin::Origin;

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

/// Remembers damage that was found in images while they were read for something else, of those that lie in a cache.
pub(crate) fn remember_hurts(context: &Context, from: &Origin, hurts: &Hurts) {
    let source = match from {
        Origin::File(path, source) => source.stored().stamp().ok().map(|stamp| Hurt {
            path: path.clone(),
            stamp,
            bad: hurts.of_source(),
        }),
        Origin::Manager(_) => None,
    };
    let source = source.filter(|hurt| !hurt.bad.is_empty());
    for hurt in hurts.here().iter().chain(&source) {
        tell(context, note_hurt(hurt));
    }
}

fn note_hurt(hurt: &Hurt) -> azud_store::Result<()> {
    let Some((cache, path)) = Cache::around(&hurt.path) else {
        return Ok(());
    };
    let file = cache.root().join(&path);
    let image = ImageFile::parse(&file)?;
    // Another file by now, or one of whose parts some lie elsewhere.
    let same = std::fs::metadata(&file).is_ok_and(|meta| Stamp::of(&meta) == hurt.stamp);
    if !same || is_half_moved(&image) {
        return Ok(());
    }
    forget(&image)?;
    let bad = match cache.known_damage(&path)? {
        // It could not be told which: these are not all.
        Some(known) if known.is_empty() => known,
        known => {
            let known = known.unwrap_or_default().into_iter();
            let all: BTreeSet<u64> = known.chain(hurt.bad.iter().copied()).collect();
            all.into_iter().collect()
        }
    };
    let verified = Verified::new(now(), cache::Stamp::of(&file)?, false, bad);
    cache.mark_verified(&path, verified, None)
}

fn stamp(path: &Path) -> Result<Stamp, Failure> {
    let meta = std::fs::metadata(path).map_err(|error| Failure::io(path, &error))?;
    Ok(Stamp::of(&meta))
}
