//! Whether an image of the cache is sound: native ones by their frames, others by their `.full.sum` and
//! by what they hold themselves.

use std::path::Path;

use azud_core::code::Code;
use azud_core::io::ReadAt;
use azud_core::name::beside;
use azud_core::progress::{Phase, Progress};
use azud_image::ImageError;
use azud_image::repair::{Damage, Outline};
use azud_store::side::{FULL_SUM, Sums, read_sum};
use azud_store::{Identity, Stored};

use super::throttle::Throttle;
use crate::commands::Context;
use crate::failure::Failure;
use crate::foreign::{Decoded, decode};

/// Bytes that are read at once of an image without frames.
const PIECE: usize = 1 << 20;

/// What a check found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Every byte is right.
    Sound(Option<Identity>),
    /// Bytes are wrong.
    Damaged {
        /// Who the image is, if its index is whole.
        identity: Option<Identity>,
        /// Numbers of the damaged frames, if they can be told.
        bad: Vec<u64>,
    },
    /// Nothing tells what the bytes must be.
    NoSum,
}

impl Found {
    /// Damaged, and nothing tells what it was.
    const UNKNOWN: Self = Self::Damaged {
        identity: None,
        bad: Vec::new(),
    };
}

/// Reads an image from the medium and checks it.
///
/// # Errors
/// What reading a foreign image says; of a native one, what cannot be read is damaged.
pub(super) fn check(
    stored: &Stored,
    throttle: &Throttle,
    progress: &dyn Progress,
) -> Result<Found, Failure> {
    stored.forget_cached();
    let file = throttle.over(stored);
    match Outline::open(&file) {
        Ok(outline) => {
            let identity = Some(Identity(*outline.identity()));
            let damage = outline.check(&file, progress)?;
            Ok(if damage.is_none() {
                Found::Sound(identity)
            } else {
                let bad = numbers(&damage);
                Found::Damaged { identity, bad }
            })
        }
        Err(error) if error.code() == Code::NotNative => foreign(stored.path(), &file, progress),
        // It was a native image and has no sound ending.
        Err(_) => Ok(Found::UNKNOWN),
    }
}

/// Whether it is the image of another program: it has no frames.
pub(super) fn is_foreign(stored: &Stored) -> bool {
    Outline::open(stored).is_err_and(|error| error.code() == Code::NotNative)
}

/// How an image that has no frames is put right, by its file.
pub(super) fn renew_hint(context: &Context, file: &Path) -> String {
    let values = [("image", file.display().to_string().into())];
    context.catalog.fmt("cache-renew-hint", &values)
}

/// The numbers of damaged frames, as they are remembered.
pub(super) fn numbers(damage: &Damage) -> Vec<u64> {
    damage.frames.iter().map(|&number| number as u64).collect()
}

/// By the sum beside it, which may have been made of damaged bytes, and by what it holds itself.
fn foreign(path: &Path, file: &dyn ReadAt, progress: &dyn Progress) -> Result<Found, Failure> {
    let found = by_sum(path, file, progress)?;
    if matches!(found, Found::Damaged { .. }) {
        return Ok(found);
    }
    // What was just read from the medium is not read from it again.
    Ok(match decode(path, progress)? {
        Decoded::Sound => Found::Sound(None),
        Decoded::Readable => found,
        Decoded::Damaged => Found::UNKNOWN,
    })
}

fn by_sum(path: &Path, file: &dyn ReadAt, progress: &dyn Progress) -> Result<Found, Failure> {
    let Some(wanted) = read_sum(&beside(path, FULL_SUM)) else {
        return Ok(Found::NoSum);
    };
    progress.begin(Phase::Verify, file.len());
    let mut sums = Sums::new();
    let mut piece = vec![0; PIECE];
    let mut offset = 0;
    while offset < file.len() {
        let len = PIECE.min(usize::try_from(file.len() - offset).unwrap_or(PIECE));
        file.read_exact_at(&mut piece[..len], offset)
            .map_err(|source| ImageError::Read { offset, source })?;
        sums.update(&piece[..len]);
        offset += len as u64;
        progress.advance(len as u64)?;
    }
    progress.end();
    Ok(if sums.finish().full == wanted {
        Found::Sound(None)
    } else {
        Found::UNKNOWN
    })
}
