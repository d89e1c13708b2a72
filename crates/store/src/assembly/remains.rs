//! What a copy or update that was broken off left beside an image, where nobody is to go on with it.

use std::time::SystemTime;

use azud_core::name::ImageFile;

use super::is_half_moved;
use crate::durable;
use crate::error::{Result, StoreError};
use crate::owner;
use crate::plan::READY;
use crate::publish::{Staging, check_assembling};
use crate::room::on_medium;
use crate::stage::assembly;

/// The bytes that it takes, if there is any and nobody is at work there.
pub fn of(image: &ImageFile, now: SystemTime) -> Option<u64> {
    let stage = assembly(image);
    if !durable::is_dir(&stage) || !owner::is_gone(&stage, now) {
        return None;
    }
    let names = durable::names(&stage).unwrap_or_default().into_iter();
    let metas = names.filter_map(|name| std::fs::symlink_metadata(stage.join(name)).ok());
    Some(metas.map(|meta| on_medium(&meta)).sum())
}

/// What [`clear`] clears away, and nothing else that belongs to the image: the bytes of [`of`]. What is whole already
/// is none of it.
///
/// # Errors
/// As [`clear`].
pub fn check(image: &ImageFile, now: SystemTime) -> Result<Option<u64>> {
    check_assembling(image, now)?;
    let stage = assembly(image);
    let is_whole = matches!(durable::file_size(&stage.join(READY)), Ok(Some(_)));
    if !durable::is_dir(&stage) || is_whole {
        return Ok(None);
    }
    refuse_half_moved(image)?;
    match of(image, now) {
        None => Err(StoreError::Locked(image.path())),
        bytes => Ok(bytes),
    }
}

/// Clears it away for good.
///
/// # Errors
/// [`StoreError::HalfMoved`] where a part of the image that is here lies in it; [`StoreError::Locked`] and
/// [`StoreError::Held`] while somebody is at work; what the system says.
pub fn clear(image: &ImageFile, now: SystemTime) -> Result<()> {
    if !durable::is_dir(&assembly(image)) {
        return Ok(());
    }
    let staging = Staging::resume(image, now)?;
    refuse_half_moved(image)?;
    staging.abandon()
}

/// The part that lies here is the only copy of it.
fn refuse_half_moved(image: &ImageFile) -> Result<()> {
    let is_here = std::fs::symlink_metadata(image.path()).is_ok();
    if is_here && is_half_moved(image) {
        return Err(StoreError::HalfMoved(image.path()));
    }
    Ok(())
}
