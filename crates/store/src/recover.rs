//! What a crash left behind: committed changes are finished, the rest is cleared away.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use azud_core::name::ImageFile;

use crate::assembly::{is_half_moved, leave_for, may_have_moved};
use crate::durable;
use crate::error::{Result, StoreError};
use crate::lock::DirLock;
use crate::plan::{self, Plan};
use crate::slot::TRASH;
use crate::stage::is_stage;
use crate::{lease, owner, stage};

/// After this long without a write, an assembly that was broken off is cleared away.
const ABANDONED: Duration = Duration::from_hours(7 * 24);

/// What was done.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Images whose committed change was carried out.
    pub finished: Vec<String>,
    /// How many abandoned pieces of work were cleared away.
    pub removed: usize,
    /// Stage directories that had to stay, with the reason.
    pub left: Vec<Left>,
}

/// A stage directory that had to stay.
#[derive(Debug)]
pub struct Left {
    /// The directory.
    pub path: PathBuf,
    /// Whose change it holds, if it is committed.
    pub image: Option<String>,
    /// Why; `None` if somebody is still at work there.
    pub why: Option<StoreError>,
}

/// Finishes or clears away what was left in a directory.
///
/// # Errors
/// [`StoreError::Locked`], or what the system says. Trouble with one piece of work is no error: it is
/// told in [`Recovery::left`].
pub fn recover(dir: &Path, now: SystemTime) -> Result<Recovery> {
    let _lock = DirLock::wait(dir)?;
    recover_locked(dir, now)
}

/// As [`recover`], for readers: they do not wait, and what they may not change they leave.
pub(crate) fn recover_for_reading(dir: &Path, now: SystemTime) {
    let trash = |name: &str| name == TRASH && has_trash(dir);
    let left = |name: &str| is_stage(name) || lease::is_one(name) || trash(name);
    if holds(dir, left)
        && let Ok(Some(_lock)) = DirLock::try_now(dir)
    {
        // A reader is told what it came for; the next writer is told what is wrong here.
        let _ = recover_locked(dir, now);
    }
}

/// Has committed changes finished, for whoever opens one image of a directory: between them, what lies beside an image
/// may be another's. They do not wait, and what they may not change they leave.
pub fn finish_for_reading(dir: &Path, now: SystemTime) {
    if holds(dir, is_stage) {
        recover_for_reading(dir, now);
    }
}

/// Whether a directory that can be read has such a name.
fn holds(dir: &Path, such: impl Fn(&str) -> bool) -> bool {
    let names = durable::names(dir).unwrap_or_default();
    names.iter().filter_map(|name| name.to_str()).any(such)
}

/// A directory in which nothing is pending, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Settled {
    _lock: DirLock,
}

impl Settled {
    /// Takes the lock and finishes what is committed. Fails if a change of this image cannot be finished.
    /// Fails too if a part of the image is in an assembly: whatever is done to its file would lose it.
    pub(crate) fn enter(dir: &Path, image: &str, now: SystemTime) -> Result<Self> {
        let settled = Self::enter_assembling(dir, image, now)?;
        let image = ImageFile::in_dir(dir, image)?;
        if is_half_moved(&image) {
            return Err(StoreError::HalfMoved(image.path()));
        }
        Ok(settled)
    }

    /// As [`Settled::enter`], for whoever goes on with the assembly of the image.
    pub(crate) fn enter_assembling(dir: &Path, image: &str, now: SystemTime) -> Result<Self> {
        let lock = DirLock::wait(dir)?;
        let recovery = recover_locked(dir, now)?;
        // What a newer program committed may be about this image: nobody here can tell.
        let newer = |left: &Left| matches!(left.why, Some(StoreError::Newer(_)));
        let ours = recovery
            .left
            .into_iter()
            .find(|left| left.image.as_deref() == Some(image) || newer(left));
        match ours.and_then(|left| left.why) {
            Some(source) => Err(StoreError::Pending {
                image: dir.join(image),
                source: Box::new(source),
            }),
            None => Ok(Self { _lock: lock }),
        }
    }

    /// As [`Settled::enter`], for no image in particular; names those whose change could not be finished.
    pub(crate) fn enter_any(dir: &Path, now: SystemTime) -> Result<(Self, Vec<String>)> {
        let lock = DirLock::wait(dir)?;
        let left = recover_locked(dir, now)?.left;
        Ok((
            Self { _lock: lock },
            left.into_iter().filter_map(|left| left.image).collect(),
        ))
    }
}

fn recover_locked(dir: &Path, now: SystemTime) -> Result<Recovery> {
    let mut recovery = Recovery::default();
    for path in stages(dir)? {
        match settle(&path, dir, now, &mut recovery) {
            Ok(()) => {}
            Err((image, why)) => recovery.left.push(Left {
                path,
                image,
                why: Some(why),
            }),
        }
    }
    recovery.removed += lease::sweep(dir, now)?;
    // A version whose change could not be finished may have an empty place in the trash: it needs it.
    if recovery
        .left
        .iter()
        .all(|left| left.image.is_none() && left.why.is_none())
        && has_trash(dir)
    {
        plan::sweep(dir)?;
    }
    Ok(recovery)
}

fn settle(
    stage: &Path,
    dir: &Path,
    now: SystemTime,
    recovery: &mut Recovery,
) -> std::result::Result<(), (Option<String>, StoreError)> {
    if let Some(plan) = Plan::read(stage).map_err(|error| (None, error))? {
        let name = plan.name().to_owned();
        plan.roll_forward(stage, dir)
            .map_err(|error| (Some(name.clone()), error))?;
        recovery.finished.push(name);
    } else if !is_in_the_making(stage, dir)
        && owner::is_gone(stage, now)
        && (!may_go_on(stage, now) || holds_nothing(stage))
    {
        stage::clear(stage).map_err(|error| (None, error))?;
        recovery.removed += 1;
    } else {
        recovery.left.push(Left {
            path: stage.to_owned(),
            image: None,
            why: None,
        });
    }
    Ok(())
}

/// Whether somebody may just be making a stage whom no lock keeps out here: clearing it away would take what is written into
/// it for hours.
fn is_in_the_making(stage: &Path, dir: &Path) -> bool {
    owner::is_unsigned(stage) && stage::clock(dir).is_none_or(|now| owner::is_young(stage, now))
}

/// Whether nothing came of an upload that was broken off. What it set aside is given back before, if that can be: else it
/// is room for the next one.
fn holds_nothing(stage: &Path) -> bool {
    leave_for(stage).unwrap_or(false)
}

/// Whether somebody may go on with an assembly. One whose image is half moved waits for ever: a part of
/// the old image is nowhere else.
pub(crate) fn may_go_on(stage: &Path, now: SystemTime) -> bool {
    // A clock that went back makes nothing old.
    let old = |last| now.duration_since(last).is_ok_and(|age| age > ABANDONED);
    stage::is_assembling(stage)
        && (!owner::last_write(stage).is_some_and(old) || may_have_moved(stage))
}

fn has_trash(dir: &Path) -> bool {
    durable::is_dir(&dir.join(TRASH))
}

/// The stage directories, in the order of their names.
pub(crate) fn stages(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = durable::names(dir)?
        .into_iter()
        .filter(|name| name.to_str().is_some_and(is_stage))
        .map(|name| dir.join(name))
        .filter(|path| std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir()))
        .collect();
    found.sort();
    Ok(found)
}
