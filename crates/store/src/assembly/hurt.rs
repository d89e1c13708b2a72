//! Images in which damage was found while they were read: whoever keeps count of them has to know.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use azud_core::name::ImageFile;

use super::is_half_moved;
use super::local::known_layout;
use crate::catalogue::Stamp;
use crate::stored::Stored;

/// An image with bytes that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hurt {
    /// Its file.
    pub path: PathBuf,
    /// What tells whether the file is still the one that was read.
    pub stamp: Stamp,
    /// Numbers of the pieces that were found damaged; there may be more.
    pub bad: Vec<u64>,
}

/// What was found so far.
#[derive(Debug, Default)]
pub struct Hurts {
    here: Mutex<BTreeMap<PathBuf, Hurt>>,
    source: Mutex<Vec<u64>>,
}

impl Hurts {
    /// Images here, by path. Of one that is half moved it is not known whose bytes are wrong.
    pub fn here(&self) -> Vec<Hurt> {
        let here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        here.values().cloned().collect()
    }

    /// Numbers of damaged pieces of the source.
    pub fn of_source(&self) -> Vec<u64> {
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        source.clone()
    }

    /// A piece of the source is not what the source itself says that it is.
    pub(super) fn note_source(&self, number: u64) {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        source.push(number);
    }

    /// The bytes at a place of an image here are not what its own index says.
    pub(super) fn note(&self, stored: &Stored, offset: u64) {
        if let Some(number) = number_at(stored, offset) {
            self.note_piece(stored, number);
        }
    }

    /// A piece of an image here, which is all of itself, is not what its own index says.
    pub(super) fn note_piece(&self, stored: &Stored, number: u64) {
        let Ok(stamp) = stored.stamp() else { return };
        let path = stored.path().to_owned();
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        let hurt = here.entry(path.clone()).or_insert(Hurt {
            path,
            stamp,
            bad: Vec::new(),
        });
        if !hurt.bad.contains(&number) {
            hurt.bad.push(number);
        }
    }
}

/// The number of the piece there, as the whole image counts them; none of what lies in directories of ours.
fn number_at(stored: &Stored, offset: u64) -> Option<u64> {
    let path = stored.path();
    let name = path.file_name()?.to_str()?;
    let image = ImageFile::in_dir(path.parent()?, name).ok()?;
    if is_ours(path) || is_half_moved(&image) {
        return None;
    }
    let layout = known_layout(stored)?;
    let pieces = layout.pieces();
    let at = pieces.binary_search_by_key(&offset, |piece| piece.offset);
    u64::try_from(at.ok()?).ok()
}

/// Whether a file lies in a trash or an assembly.
fn is_ours(path: &Path) -> bool {
    path.iter()
        .any(|name| name.as_encoded_bytes().starts_with(b".azud-"))
}
