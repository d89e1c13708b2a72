//! What a newer version of an image has that the former one has not.

use std::path::Path;

use anyhow::Result;
use azud_image::diff;

use super::disks::{Origin, differing, native};
use super::table::{float, mb};

/// In bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Absent {
    /// Compressed frames that the former image has none of by content: what has to travel.
    frames: u64,
    /// Blocks of 4 KiB that differ on the volume: what a file's own differences could not be less than.
    blocks: u64,
}

impl Absent {
    /// Of two images, made of these two volumes.
    pub(super) fn of(
        (old, new): (&Path, &Path),
        (former, now): (&Origin, &Origin),
    ) -> Result<Self> {
        Ok(Self {
            frames: diff(&native(old)?, &native(new)?).new_compressed,
            blocks: differing(&now.volume, &former.file, &now.file)?,
        })
    }

    /// In words.
    pub(super) fn text(&self) -> String {
        format!(
            "compressed frames absent by content {} MB; changed blocks of 4 KiB, not compressed, {} MB",
            mb(self.frames),
            mb(self.blocks)
        )
    }

    /// So many times as much as has to travel.
    pub(super) fn times(&self, bytes: u64) -> String {
        let times = float(bytes) / float(self.frames.max(1));
        format!("{times:.2} × what is absent")
    }
}
