//! Two versions of an image, and what the newer one has that the former one has not.

use std::path::{Path, PathBuf};

use anyhow::Result;
use azud_image::diff;

use super::change::{Spread, changed};
use super::disks::{Lab, Origin, differing, native};
use super::peers::{self, OURS, image};
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

/// The image of a volume, and the one that was captured after a change, with the former one as base.
pub(super) struct Versions {
    pub(super) old: PathBuf,
    pub(super) new: PathBuf,
    /// The changed volume.
    pub(super) volume: PathBuf,
    pub(super) absent: Absent,
}

impl Versions {
    /// Changes a copy of the volume, whose image there is already.
    pub(super) fn make(lab: &Lab, origin: &Origin, change: (u32, Spread)) -> Result<Self> {
        let volume = changed(lab, &origin.file, "changed.ext4", change)?;
        let now = Origin::open(&volume)?;
        let old = image(lab, OURS);
        peers::create(lab, &now, "newer", Some(&old))?;
        let new = image(lab, "newer");
        let absent = Absent::of((&old, &new), (origin, &now))?;
        Ok(Self {
            old,
            new,
            volume,
            absent,
        })
    }
}
