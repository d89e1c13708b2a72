//! Former versions: what there are, going back to one, and putting an image away.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use azud_core::assembly::SourceError;
use azud_core::name::ImageFile;

use crate::assembly::identity;
use crate::durable;
use crate::error::{Result, StoreError};
use crate::identity::{Identify, Identity};
use crate::lease::Lease;
use crate::plan::{Place, Placed, Plan};
use crate::publish::{carry_out, current};
use crate::recover::{Settled, recover_for_reading};
use crate::side::KEPT;
use crate::slot::{Slot, meta, shelf, slots};
use crate::stage::{Stage, check_dir, check_target};

/// A version of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its name in the trash; `None` for the current one.
    pub slot: Option<String>,
    /// Who it is, if that can be told.
    pub identity: Option<Identity>,
    /// When it went to the trash by its name there, which is in the order of events and may be ahead of the clock.
    pub moved_at: Option<SystemTime>,
    /// When it went to the trash by the clock, as far as that is known.
    pub replaced: Option<SystemTime>,
    /// When its image was last written.
    pub modified: Option<SystemTime>,
    /// Size of the image in bytes.
    pub size: u64,
    /// The same as it went to the trash, if that was written down.
    pub size_then: Option<u64>,
    /// The image.
    pub path: PathBuf,
}

/// Which former version is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The one that went to the trash last.
    Latest,
    /// By its name in the trash, the beginning of that, or the beginning of its identity.
    Named(String),
}

/// The versions of an image: the current one first (if there is one), then the former, newest first.
///
/// # Errors
/// [`StoreError::NotFound`] if there is neither, [`StoreError::NotAFile`], or what the system says.
pub fn history(
    image: &ImageFile,
    now: SystemTime,
    identify: &Identify<'_>,
) -> Result<Vec<Version>> {
    check_dir(image)?;
    recover_for_reading(image.dir(), now);
    let mut versions = Vec::new();
    if let Some(current) = current(image, identify)? {
        let path = image.path();
        let (identity, size) = (current.identity, current.size);
        versions.push(Version {
            slot: None,
            identity,
            moved_at: None,
            replaced: None,
            modified: modified(&path),
            size,
            size_then: None,
            path,
        });
    }
    versions.extend(former(image)?);
    for version in &mut versions {
        version.replaced = version.replaced.map(|time| time.min(now));
    }
    if versions.is_empty() {
        return Err(StoreError::NotFound(image.path()));
    }
    Ok(versions)
}

/// The former version that is meant. Nothing is touched.
///
/// # Errors
/// [`StoreError::NoSuchVersion`], [`StoreError::NotAFile`], or what the system says.
pub fn find(image: &ImageFile, which: &Which, now: SystemTime) -> Result<Version> {
    check_dir(image)?;
    check_target(image)?;
    recover_for_reading(image.dir(), now);
    choose(image, which, former(image)?)
}

/// Refuses a version whose file is another one than that which went to the trash, by its size and by who it says it is.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn refuse_other(version: &Version) -> Result<()> {
    let another_size = version.size_then.is_some_and(|then| then != version.size);
    let is_another = || match (version.identity, identity(&version.path)) {
        (Some(then), Some(now)) => then != now,
        _ => false,
    };
    if another_size || is_another() {
        return Err(StoreError::corrupt(
            &version.path,
            "it is not what went to the trash",
        ));
    }
    Ok(())
}

/// The newest former version of an image that is this one, for whoever began to read it before it was put away.
/// Nothing is touched.
///
/// # Errors
/// [`StoreError::NotAFile`], or what the system says.
pub fn of_identity(
    image: &ImageFile,
    wanted: Identity,
    identify: &Identify<'_>,
) -> Result<Option<Version>> {
    let mut versions = former(image)?.into_iter();
    // As long as a version is on its way to the trash, and if it is of another program, only its image tells who it is.
    let is_it = |version: &Version| {
        let told = version.identity;
        told.or_else(|| identify(&version.path)) == Some(wanted)
    };
    Ok(versions.find(is_it))
}

/// Puts the current version into the trash and another one, from there, into its place.
///
/// # Errors
/// [`StoreError::NoSuchVersion`], and those of [`crate::publish::Staging::begin`].
pub fn rollback(
    image: &ImageFile,
    which: &Which,
    now: SystemTime,
    identify: &Identify<'_>,
) -> Result<Version> {
    check_dir(image)?;
    let _lease = Lease::take(image, now)?;
    let _settled = Settled::enter(image.dir(), image.name(), now)?;
    let chosen = choose(image, which, former(image)?)?;
    let slot = chosen
        .slot
        .as_deref()
        .and_then(Slot::parse)
        .expect("versions in the trash have names");
    let dir = shelf(image).join(slot.to_string());
    let mut files = Vec::new();
    for ending in KEPT.iter().chain([&""]) {
        if let Some(size) = durable::file_size(&dir.join(format!("{}{ending}", image.name())))? {
            files.push(Placed {
                ending: (*ending).to_owned(),
                size,
            });
        }
    }
    let current = current(image, identify)?;
    let plan = Plan::draft(
        image,
        current,
        Some(Place {
            from: Some(slot),
            files,
        }),
        now,
    )?;
    carry_out(&plan, &mut Stage::make(image)?, image)?;
    Ok(Version {
        slot: None,
        moved_at: None,
        replaced: None,
        path: image.path(),
        ..chosen
    })
}

/// Puts an image away: it goes to the trash with its side files. Returns where it lies.
///
/// # Errors
/// [`StoreError::NotFound`], and those of [`crate::publish::Staging::begin`].
pub fn remove(image: &ImageFile, now: SystemTime, identify: &Identify<'_>) -> Result<PathBuf> {
    remove_if(image, now, identify, |_| true)
}

/// The same, if it is the image that is meant.
///
/// # Errors
/// [`StoreError::Source`] if it is another one by now, and those of [`remove`].
pub fn remove_if(
    image: &ImageFile,
    now: SystemTime,
    identify: &Identify<'_>,
    is_meant: impl FnOnce(Option<Identity>) -> bool,
) -> Result<PathBuf> {
    check_dir(image)?;
    let _lease = Lease::take(image, now)?;
    let _settled = Settled::enter(image.dir(), image.name(), now)?;
    let current = current(image, identify)?.ok_or_else(|| StoreError::NotFound(image.path()))?;
    if !is_meant(current.identity) {
        return Err(StoreError::Source {
            name: image.name().to_owned(),
            source: SourceError::Changed,
        });
    }
    let plan = Plan::draft(image, Some(current), None, now)?;
    carry_out(&plan, &mut Stage::make(image)?, image)?;
    let slot = plan.retired().expect("there is a current version");
    Ok(shelf(image).join(slot.to_string()))
}

/// The versions in the trash, newest first. A place without an image is none.
pub(crate) fn former(image: &ImageFile) -> Result<Vec<Version>> {
    let shelf = shelf(image);
    let mut versions = Vec::new();
    for slot in slots(image)?.into_iter().rev() {
        let dir = shelf.join(slot.to_string());
        let path = dir.join(image.name());
        let Some(size) = durable::file_size(&path)? else {
            continue;
        };
        let meta = meta(&dir);
        let told = meta.as_ref().map(|meta| Slot::time(meta.moved_at));
        versions.push(Version {
            slot: Some(slot.to_string()),
            size_then: meta.as_ref().map(|meta| meta.size),
            identity: meta.and_then(|meta| meta.identity),
            moved_at: Some(slot.moved_at()),
            replaced: told.flatten().or(Some(slot.moved_at())),
            modified: modified(&path),
            size,
            path,
        });
    }
    Ok(versions)
}

fn choose(image: &ImageFile, which: &Which, versions: Vec<Version>) -> Result<Version> {
    let text = match which {
        Which::Latest => "",
        Which::Named(text) => text,
    };
    let none = |reason| StoreError::NoSuchVersion {
        image: image.path(),
        which: text.to_owned(),
        reason,
    };
    if versions.is_empty() {
        return Err(StoreError::NoFormerVersion(image.path()));
    }
    let fits = |version: &Version| {
        let slot = version.slot.as_deref().unwrap_or_default();
        let id = version
            .identity
            .map(|id| id.to_string())
            .unwrap_or_default();
        *which == Which::Latest
            || slot.starts_with(text)
            || id.starts_with(&text.to_ascii_lowercase())
    };
    if *which != Which::Latest && text.is_empty() {
        return Err(none("nothing was named"));
    }
    let mut fitting: Vec<Version> = versions.into_iter().filter(fits).collect();
    let same = |a: &Version, b: &Version| a.identity.is_some() && a.identity == b.identity;
    if *which != Which::Latest
        && fitting.iter().any(|version| !same(version, &fitting[0]))
        && fitting.len() > 1
    {
        return Err(none("several fit; name more of it"));
    }
    if fitting.is_empty() {
        return Err(none("none fits; see the history"));
    }
    Ok(fitting.swap_remove(0))
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::symlink_metadata(path)
        .and_then(|meta| meta.modified())
        .ok()
}
