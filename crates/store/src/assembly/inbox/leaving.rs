//! The end of an upload that did not come to its end, and its going on.

use std::fs::File;
use std::path::Path;

use azud_core::assembly::Piece;
use azud_core::name::ImageFile;

use super::Inbox;
use super::kept::SPARE;
use crate::durable;
use crate::error::{At, Result};
use crate::room::{Room, on_medium};

impl Inbox {
    /// Leaves what arrived to the next one. Others get the room that was set aside for what did not, and where nothing
    /// arrived, nothing stays.
    ///
    /// # Errors
    /// What the system says.
    pub fn leave(self) -> Result<()> {
        let end = {
            let held = self.held();
            let there = held.pieces.values().filter(|(_, there)| *there);
            there.map(|(piece, _)| Piece::end(piece)).max().unwrap_or(0)
        };
        if end == 0 && durable::file_size(&self.staging.dir().join(SPARE))?.is_none() {
            return self.staging.abandon();
        }
        self.file.set_len(end).at("set the length of", &self.path)
    }
}

/// Sets aside again what a broken-off upload gave back.
pub(super) fn set_room_aside(
    image: &ImageFile,
    (file, path): (&File, &Path),
    limit: u64,
) -> Result<()> {
    let there = on_medium(&file.metadata().at("look at", path)?);
    let rest = limit.saturating_sub(there);
    Room::of(image.dir())?.refuse(&image.path(), rest)?;
    durable::reserve(file, path, 0, limit)
}
