//! What an assembly's directory says: which image is wanted, and what of it is there.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use azud_core::assembly::{Layout, Tracker, journal};
use azud_core::format::index::MAX_INDEX;
use azud_core::format::ranges::{HEAD_LEN, MAX_RANGES};
use azud_core::format::{Hash, MAX_FRAMES};
use azud_core::name::ImageFile;

use crate::durable;
use crate::error::{At, Result, StoreError};
use crate::stage::JOURNAL;

/// The description of the wanted image.
pub(super) const WANTED: &str = "wanted";

/// The largest descriptions: an index with its trailer and seek table, and an index of ranges.
const MAX_NATIVE: u64 = MAX_INDEX + 8 * MAX_FRAMES as u64 + 4096;
const MAX_FOREIGN: u64 = HEAD_LEN as u64 + 32 * MAX_RANGES;
const MAX_WANTED: u64 = if MAX_NATIVE > MAX_FOREIGN {
    MAX_NATIVE
} else {
    MAX_FOREIGN
};
const MAX_JOURNAL: u64 = 8 << 20;

/// An assembly that can be gone on with.
#[derive(Debug)]
pub(crate) struct State {
    /// The image that is wanted.
    pub(crate) wanted: Layout,
    /// What of it is there.
    pub(crate) record: journal::Record,
}

impl State {
    /// Reads it; `None` if there is none, or it is damaged beyond use.
    pub(crate) fn read(stage: &Path) -> Option<Self> {
        Self::read_from(&stage.join(WANTED), &stage.join(JOURNAL))
    }

    pub(super) fn read_from(wanted: &Path, journal: &Path) -> Option<Self> {
        let journal = durable::read_small(journal, MAX_JOURNAL).ok()?;
        Self::told_by(&journal, wanted)
    }

    fn told_by(journal: &[u8], wanted: &Path) -> Option<Self> {
        let description = durable::read_small(wanted, MAX_WANTED).ok()?;
        let wanted = Layout::parse(description).ok()?;
        let record = journal::read(journal, wanted.identity(), wanted.pieces().len());
        // A journal without a record was made just before a crash.
        let pieces = wanted.pieces().len();
        let record =
            record.unwrap_or_else(|| Tracker::new(*wanted.identity(), pieces).recorded().clone());
        Some(Self { wanted, record })
    }

    /// As [`State::read`], for whoever changes something there.
    ///
    /// # Errors
    /// [`StoreError::HalfMoved`] where pieces of the image that is here may have moved, and it cannot be told which;
    /// what the system says of the journal.
    pub(super) fn sure(stage: &Path, image: &ImageFile) -> Result<Option<Self>> {
        let path = stage.join(JOURNAL);
        let Some(journal) = journal_in(&path).at("read", &path)? else {
            return Ok(None);
        };
        let state = Self::told_by(&journal, &stage.join(WANTED));
        let moving = state.as_ref().and_then(|state| state.record.moving);
        if moving.is_none() && journal::may_move(&journal) {
            return Err(StoreError::HalfMoved(image.path()));
        }
        Ok(state)
    }
}

/// Whether pieces of an image that is here may have moved into the directory of an assembly. What cannot be read or
/// understood says so too: whoever takes it for nothing loses them.
pub(crate) fn may_have_moved(stage: &Path) -> bool {
    match journal_in(&stage.join(JOURNAL)) {
        Ok(journal) => journal.is_some_and(|journal| journal::may_move(&journal)),
        Err(_) => true,
    }
}

/// The content of a journal; `None` where there is none.
fn journal_in(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let read = match std::fs::symlink_metadata(path) {
        Ok(meta) if !meta.is_file() => return Ok(None),
        Ok(_) => durable::read_small(path, MAX_JOURNAL),
        Err(error) => Err(error),
    };
    match read {
        Ok(journal) => Ok(Some(journal)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The open journal of an assembly.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    tracker: Tracker,
    /// Whether a record was written since it was opened. What was read of it may be in memory alone, if a sync failed.
    sure: bool,
    /// Whether a sync failed: the system tells of lost bytes once, and afterwards says that all is well.
    lost: bool,
}

impl Journal {
    /// Begins an assembly in an empty directory; its last step makes it one.
    pub(super) fn begin(stage: &Path, wanted: &Layout) -> Result<Self> {
        durable::write(&stage.join(WANTED), wanted.description())?;
        let path = stage.join(JOURNAL);
        let pieces = wanted.pieces().len();
        let len = usize::try_from(2 * journal::slot_len(pieces)).expect("limited by MAX_FRAMES");
        // At its full length: a record later on is written over what is there and needs no space.
        durable::write(&path, &vec![0; len])?;
        durable::sync_dir(stage)?;
        Self::open(path, Tracker::new(*wanted.identity(), pieces))
    }

    /// Goes on with one.
    pub(super) fn resume(stage: &Path, record: journal::Record) -> Result<Self> {
        Self::open(stage.join(JOURNAL), Tracker::resume(record))
    }

    fn open(path: PathBuf, tracker: Tracker) -> Result<Self> {
        let file = durable::reopen(&path)?;
        Ok(Self {
            file,
            path,
            tracker,
            sure: false,
            lost: false,
        })
    }

    pub(super) fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    pub(super) fn tracker_mut(&mut self) -> &mut Tracker {
        &mut self.tracker
    }

    /// Whether the medium certainly has a record that says that pieces of this image are moving.
    pub(super) fn surely_moves(&self, image: Hash) -> bool {
        self.sure && self.tracker.recorded().moving == Some(image)
    }

    /// Takes back that pieces are there, before they are given up.
    pub(super) fn forget(&mut self, pieces: &[usize]) -> Result<()> {
        for piece in pieces {
            self.tracker.lose(*piece);
        }
        let record = self.tracker.draw_up(None);
        self.commit(record)
    }

    /// Syncs the image, then says what of it is there. After a failure nothing more is said: what was placed before it
    /// may be lost, whatever a later sync says.
    pub(super) fn record(&mut self, image: (&File, &Path), moving: Option<Hash>) -> Result<()> {
        let record = self.tracker.draw_up(moving);
        durable::refuse_lost(self.lost, image.1)?;
        let synced = durable::sync_file(image.0, image.1);
        self.lost = synced.is_err();
        synced?;
        self.commit(record)
    }

    fn commit(&mut self, record: journal::Record) -> Result<()> {
        durable::refuse_lost(self.lost, &self.path)?;
        let (offset, slot) = journal::slot(&record);
        let written = durable::record(&self.file, &self.path, offset, &slot);
        self.lost = written.is_err();
        written?;
        self.sure = true;
        self.tracker.wrote(record);
        Ok(())
    }
}
