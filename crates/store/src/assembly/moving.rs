//! Moving: pieces that are recorded in the new image give up their place in the old one.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use azud_core::assembly::{Layout, holes};
use azud_core::bitmap::Bitmap;
use azud_core::format::Hash;

use super::local::Local;
use crate::durable;
use crate::error::{At, Result, StoreError};

/// The old image, of which more and more is given up. Nobody else reads it meanwhile.
#[derive(Debug)]
pub(super) struct Old {
    file: File,
    path: PathBuf,
    layout: Layout,
    free: Bitmap,
}

impl Old {
    /// Takes it for ourselves.
    pub(super) fn take(local: &Local) -> Result<Self> {
        let path = local.stored.path().to_owned();
        // By the other name it may be open here as well.
        refuse_second_name(local.stored.file(), &path)?;
        Ok(Self {
            file: local.stored.lock_alone()?,
            path,
            free: Bitmap::new(local.layout.pieces().len() as u64),
            layout: local.layout.clone(),
        })
    }

    /// A backup may give it a second name at any time.
    pub(super) fn refuse_second_name(&self) -> Result<()> {
        refuse_second_name(&self.file, &self.path)
    }

    pub(super) fn identity(&self) -> Hash {
        *self.layout.identity()
    }

    /// Gives up what is recorded in the new image, unless it is wanted there once more.
    pub(super) fn give_up(&mut self, wanted: &Layout, recorded: &Bitmap, block: u64) -> Result<()> {
        let (mut there, mut waiting) = (HashSet::new(), HashSet::new());
        for (number, piece) in wanted.pieces().iter().enumerate() {
            let set = if recorded.get(number as u64) {
                &mut there
            } else {
                &mut waiting
            };
            set.insert((piece.hash, piece.len));
        }
        let mut fresh = Bitmap::new(self.free.len());
        for (number, piece) in self.layout.pieces().iter().enumerate() {
            let key = (piece.hash, piece.len);
            let number = number as u64;
            if !self.free.get(number) && there.contains(&key) && !waiting.contains(&key) {
                self.free.set(number);
                fresh.set(number);
            }
        }
        for (offset, len) in holes(self.layout.pieces(), &self.free, &fresh, block) {
            durable::punch(&self.file, &self.path, offset, len)?;
        }
        // Some file systems hand out freed blocks only after this.
        durable::sync_file(&self.file, &self.path)
    }
}

/// What is given up is missing under every name.
fn refuse_second_name(file: &File, path: &Path) -> Result<()> {
    match file.metadata().at("look at", path)?.nlink() {
        0 | 1 => Ok(()),
        _ => Err(StoreError::SecondName(path.to_owned())),
    }
}

/// Whether blocks of a file can be given up here; tried behind the end of one that is to have `size` bytes.
pub(super) fn can_punch(file: &File, path: &Path, size: u64, block: u64) -> bool {
    durable::punch(file, path, size.next_multiple_of(block), block).is_ok()
}
