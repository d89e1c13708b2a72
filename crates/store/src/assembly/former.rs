//! What was begun for another image than is wanted now: the old image gets back what had moved, and what
//! was fetched serves once more.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use azud_core::assembly::{Layout, Piece};
use azud_core::name::ImageFile;

use super::State;
use super::fill::is;
use super::local::Local;
use super::state::{Journal, WANTED};
use crate::durable;
use crate::error::{At, Result, StoreError};
use crate::publish::Staging;
use crate::stage::{self, JOURNAL};
use crate::stored::Stored;

/// The file of an image that is no longer wanted, and what tells what of it is there.
const FORMER: &str = "former";
const FORMER_WANTED: &str = "former.wanted";
const FORMER_JOURNAL: &str = "former.journal";

/// So many bytes go back at once.
const BATCH: u64 = 4 << 20;

/// Pieces of images that were begun: of the wanted one, which may have them at other places as well, and of one that
/// is not wanted now.
pub(super) fn pieces(stage: &Path, image: &ImageFile) -> Vec<Local> {
    let begun = State::read(stage).map(|state| (stage.join(image.name()), state));
    let (wanted, journal) = (stage.join(FORMER_WANTED), stage.join(FORMER_JOURNAL));
    let set_aside = State::read_from(&wanted, &journal).map(|state| (stage.join(FORMER), state));
    let there = begun.into_iter().chain(set_aside);
    let opened = there.filter_map(|(path, state)| {
        Some(Local {
            stored: Stored::open(&path).ok()?,
            layout: state.wanted.only(&state.record.verified),
        })
    });
    opened.collect()
}

/// Leaves the directory as it must be to begin, or to go on with, the wanted image.
pub(super) fn settle(
    staging: &Staging,
    image: &ImageFile,
    (wanted, step): (&Layout, u64),
) -> Result<()> {
    let dir = staging.dir();
    let state = State::sure(dir, image)?;
    let there = durable::file_size(&staging.path())?;
    if there.is_none() && state.as_ref().is_some_and(|it| it.record.moving.is_some()) {
        // A part of the old image was in it, and is nowhere else.
        return Err(StoreError::HalfMoved(image.path()));
    }
    let Some(state) = state.filter(|_| there.is_some()) else {
        return stage::empty(dir, &[FORMER, FORMER_WANTED, FORMER_JOURNAL]);
    };
    if state.wanted.identity() == wanted.identity() {
        return Ok(());
    }
    if let Some(old) = Old::of(&state, image)? {
        let journal = Journal::resume(dir, state.record.clone())?;
        old.take_back((&staging.path(), journal), step.min(BATCH))?;
    }
    // From here on the journal is a word about pieces that serve once more, and about nothing that moved.
    durable::rename(&dir.join(JOURNAL), &dir.join(FORMER_JOURNAL))?;
    durable::sync_dir(dir)?;
    durable::rename(&dir.join(WANTED), &dir.join(FORMER_WANTED))?;
    durable::rename(&staging.path(), &dir.join(FORMER))?;
    durable::sync_dir(dir)
}

/// Gives up pieces that only serve once more.
pub(super) fn forget(staging: &Staging) -> Result<()> {
    [FORMER_JOURNAL, FORMER_WANTED, FORMER]
        .iter()
        .try_for_each(|name| durable::remove_file(&staging.dir().join(name)))
}

/// An old image whose pieces have moved over to one that is no longer wanted.
struct Old {
    file: File,
    path: PathBuf,
    layout: Layout,
    wanted: Layout,
    block: u64,
    _lock: Local,
}

impl Old {
    fn of(state: &State, image: &ImageFile) -> Result<Option<Self>> {
        let path = image.path();
        let Some(moving) = state.record.moving else {
            return Ok(None);
        };
        let local = match Stored::open(&path) {
            Err(StoreError::NotFound(_)) => return Ok(None),
            stored => {
                let stored = stored?;
                stored.refuse_torn()?;
                Local::told(stored)?
            }
        };
        // Another image is here by now: what had moved is of no use to it.
        let Some(local) = local.filter(|local| *local.layout.identity() == moving) else {
            return Ok(None);
        };
        let fs = rustix::fs::statfs(&path).at("look at", &path)?;
        Ok(Some(Self {
            file: local.stored.lock_alone()?,
            path,
            layout: local.layout.clone(),
            wanted: state.wanted.clone(),
            block: u64::try_from(fs.f_bsize).unwrap_or(4096),
            _lock: local,
        }))
    }

    /// Writes back what was given up; the journal says after each batch what is no longer needed there.
    fn take_back(&self, (from, mut journal): (&Path, Journal), most: u64) -> Result<()> {
        let new = durable::reopen(from)?;
        let mut places: HashMap<_, Vec<&Piece>> = HashMap::new();
        for piece in self.layout.pieces() {
            places
                .entry((piece.hash, piece.len))
                .or_default()
                .push(piece);
        }
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for (number, piece) in self.wanted.pieces().iter().enumerate() {
            let there = journal.tracker().recorded().verified.get(number as u64);
            let Some(old) = places.get(&(piece.hash, piece.len)).filter(|_| there) else {
                continue;
            };
            for place in old {
                self.put_back(place, (&new, from), piece)?;
            }
            batch.push(number);
            bytes += u64::from(piece.len);
            if bytes >= most {
                self.settle(&batch, &mut journal, (&new, from))?;
                (batch, bytes) = (Vec::new(), 0);
            }
        }
        self.settle(&batch, &mut journal, (&new, from))
    }

    fn put_back(&self, place: &Piece, (new, from): (&File, &Path), piece: &Piece) -> Result<()> {
        let mut buf = vec![0; place.len as usize];
        let read = self.file.read_exact_at(&mut buf, place.offset);
        read.at("read", &self.path)?;
        if !is(place, &buf) {
            new.read_exact_at(&mut buf, piece.offset).at("read", from)?;
            if !is(place, &buf) {
                return Err(StoreError::corrupt(
                    from,
                    "a piece that had moved is damaged",
                ));
            }
        }
        // What seems to be there may be in memory alone, if a sync of it failed: then only what is written is synced.
        self.file
            .write_all_at(&buf, place.offset)
            .at("write", &self.path)
    }

    /// What is back is synced, then taken out of the record, then out of the new file.
    fn settle(&self, batch: &[usize], journal: &mut Journal, new: (&File, &Path)) -> Result<()> {
        durable::sync_file(&self.file, &self.path)?;
        journal.forget(batch)?;
        for number in batch {
            let piece = &self.wanted.pieces()[*number];
            let start = piece.offset.next_multiple_of(self.block);
            let end = piece.end() / self.block * self.block;
            if start < end {
                durable::punch(new.0, new.1, start, end - start)?;
            }
        }
        Ok(())
    }
}
