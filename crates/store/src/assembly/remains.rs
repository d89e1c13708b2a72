//! What a copy or update that was broken off left beside an image, where nobody is to go on with it.

use std::time::SystemTime;

use azud_core::name::ImageFile;

use super::is_half_moved;
use crate::durable;
use crate::error::{Result, StoreError};
use crate::owner;
use crate::publish::Staging;
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
    if is_half_moved(image) && std::fs::symlink_metadata(image.path()).is_ok() {
        return Err(StoreError::HalfMoved(image.path()));
    }
    staging.abandon()
}
