//! Pieces that somebody sends: each goes to its place in the file of an image that is not whole yet.
//!
//! What the image is may be known at the end only, so a log says which pieces are there, `docs/formats/journal.md`.
//! Nothing is published but by an assembly that has looked at every byte.

mod held;
mod kept;
mod leaving;
mod nobody;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use azud_core::assembly::{Layout, Piece, RECORD_BYTES};
use azud_core::format::MAX_FRAMES;
use azud_core::format::index::ROW_LEN;
use azud_core::name::ImageFile;
use azud_core::progress::Progress;
use azud_core::upload::encode;

pub(super) use self::kept::spare;
use self::kept::{
    ARRIVED, SENDER, SPARE, SPARE_ARRIVED, SWAP, begun, by_offset, forget_spare, goes_on, logged,
    mark, set_aside, write_log,
};
pub(crate) use self::leaving::leave_for;
use self::leaving::set_room_aside;
use self::nobody::Nobody;
use super::around::Around;
use super::arrivals::Arrivals;
use super::look::{self, Asked, View};
use super::state::{Journal, State};
use super::{Assembly, Facts, Moving, Report, Way, is_half_moved};
use crate::durable;
use crate::error::{At, Result, StoreError};
use crate::publish::Staging;
use crate::recover::recover_for_reading;
use crate::room::{Room, on_medium};
use crate::stage;

/// What an earlier upload left in the same file may be pieces of another version.
const FEW_PIECES: usize = 1024;

/// The file of an image whose pieces are sent in any order. Nobody else can write the image meanwhile. Dropped, it
/// leaves what arrived to the next one.
#[derive(Debug)]
pub struct Inbox {
    image: ImageFile,
    staging: Staging,
    limit: u64,
    around: Option<Around>,
    file: File,
    path: PathBuf,
    held: Arc<Mutex<Held>>,
    /// Whether a sync failed: the system tells of lost bytes once. Then only who begins anew knows what is there.
    lost: Mutex<bool>,
}

#[derive(Debug)]
struct Held {
    /// By offset; whether its bytes are there or still coming.
    pieces: BTreeMap<u64, (Piece, bool)>,
    log: File,
    /// Records in the log.
    records: u64,
    /// Bytes that came since the file was synced.
    fresh: u64,
    /// How often it was said what the image is: what was coming then does not go on.
    round: u64,
}

impl Held {
    fn new(pieces: Vec<Piece>, log: File, records: u64) -> Self {
        Self {
            pieces: by_offset(pieces),
            log,
            records,
            fresh: 0,
            round: 0,
        }
    }
}

/// A piece whose bytes are coming. Dropped, it is none that comes.
#[derive(Debug)]
pub struct Incoming {
    held: Arc<Mutex<Held>>,
    round: u64,
    piece: Piece,
    at: u64,
    hasher: blake3::Hasher,
}

/// The most pieces that an image of so many bytes has: each has a row in its index.
fn most_pieces(limit: u64) -> usize {
    let rows = usize::try_from(limit / ROW_LEN as u64).unwrap_or(usize::MAX);
    rows.saturating_add(FEW_PIECES).min(MAX_FRAMES)
}

impl Inbox {
    /// Refuses what there can be no room for, even when what an earlier upload left makes way. Writes nothing.
    ///
    /// # Errors
    /// [`StoreError::TooLittleRoom`], [`StoreError::FileTooLarge`], [`StoreError::NotAFile`], what the system says.
    pub fn foresee(image: &ImageFile, limit: u64) -> Result<()> {
        look::refuse_impossible(image, limit)?;
        let stage = stage::assembly(image);
        let left = [stage.join(image.name()), stage.join(SPARE)];
        let left = left.iter().map(std::fs::symlink_metadata);
        let left: u64 = left.flatten().map(|meta| on_medium(&meta)).sum();
        let Room { free, largest } = Room::of(image.dir())?;
        let free = free.saturating_add(left);
        Room { free, largest }.refuse(&image.path(), limit)
    }

    /// Locks the image and sets room aside for `limit` bytes. The same sender as before goes on in the same file, for
    /// it puts the same pieces at the same places. `shown` is what people are told of the sender.
    ///
    /// # Errors
    /// [`StoreError::TooLittleRoom`], [`StoreError::FileTooLarge`], [`StoreError::Held`], [`StoreError::Locked`],
    /// [`StoreError::HalfMoved`], what the system says.
    pub fn open(
        image: &ImageFile,
        limit: u64,
        (sender, shown): (&str, &str),
        now: SystemTime,
    ) -> Result<Self> {
        look::refuse_impossible(image, limit)?;
        let staging = Staging::resume_for(image, Some(shown), now)?;
        if is_half_moved(image) {
            return Err(StoreError::HalfMoved(image.path()));
        }
        let (dir, path) = (staging.dir(), staging.path());
        if goes_on(&staging, sender)? {
            let pieces = begun(&staging)?;
            let records = write_log(&dir.join(ARRIVED), pieces.iter())?;
            let (file, log) = (
                durable::reopen(&path)?,
                durable::reopen_log(&dir.join(ARRIVED))?,
            );
            set_room_aside(image, (&file, &path), limit)?;
            let held = Held::new(pieces, log, records);
            return Ok(Self::new((image, staging), limit, file, held));
        }
        set_aside(&staging)?;
        let room = || Room::of(image.dir())?.refuse(&image.path(), limit);
        if room().is_err() {
            forget_spare(dir)?;
            room()?;
        }
        let file = durable::create(&path)?;
        durable::reserve(&file, &path, 0, limit)?;
        let log = durable::create(&dir.join(ARRIVED))?;
        durable::write(&dir.join(SENDER), sender.as_bytes())?;
        durable::sync_dir(dir)?;
        let held = Held::new(Vec::new(), log, 0);
        Ok(Self::new((image, staging), limit, file, held))
    }

    fn new((image, staging): (&ImageFile, Staging), limit: u64, file: File, held: Held) -> Self {
        Self {
            image: image.clone(),
            path: staging.path(),
            staging,
            limit,
            around: None,
            file,
            held: Arc::new(Mutex::new(held)),
            lost: Mutex::new(false),
        }
    }

    /// What is not sent may also be in these images.
    #[must_use]
    pub fn with(self, around: Around) -> Self {
        Self {
            around: Some(around),
            ..self
        }
    }

    /// The image.
    pub fn image(&self) -> &ImageFile {
        &self.image
    }

    /// Pieces that an earlier upload left: they need not be sent again.
    pub fn left(&self) -> Vec<Piece> {
        let dir = self.staging.dir();
        logged(&dir.join(SPARE_ARRIVED), &dir.join(SPARE))
    }

    /// A piece begins to come; `None` if it is there already.
    ///
    /// # Errors
    /// [`StoreError::BadUpload`] when it lies beyond the room, or over another piece; [`StoreError::Coming`].
    pub fn begin(&self, piece: Piece) -> Result<Option<Incoming>> {
        if piece.end() > self.limit {
            return Err(self.refuse("it is larger than was said at first"));
        }
        let mut held = self.held();
        if held.pieces.len() >= most_pieces(self.limit) {
            return Err(self.refuse("there are more pieces than any image has"));
        }
        let before = held.pieces.range(..piece.end()).next_back();
        match before {
            Some((_, (there, true))) if *there == piece => return Ok(None),
            Some((_, (there, false))) if *there == piece => {
                return Err(StoreError::Coming(self.image.path()));
            }
            Some((_, (there, _))) if there.end() > piece.offset => {
                return Err(self.refuse("two pieces are to be at the same place"));
            }
            _ => {}
        }
        held.pieces.insert(piece.offset, (piece, false));
        Ok(Some(Incoming {
            held: Arc::clone(&self.held),
            round: held.round,
            piece,
            at: piece.offset,
            hasher: blake3::Hasher::new(),
        }))
    }

    /// The next bytes of a piece, no more than are left of it.
    ///
    /// # Errors
    /// [`StoreError::Coming`] when it was said meanwhile what the image is, what the system says.
    pub fn write(&self, incoming: &mut Incoming, bytes: &[u8]) -> Result<()> {
        debug_assert!(bytes.len() as u64 <= incoming.left(), "the caller counts");
        if incoming.round != self.held().round {
            return Err(StoreError::Coming(self.image.path()));
        }
        incoming.hasher.update(bytes);
        let written = self.file.write_all_at(bytes, incoming.at);
        written.at("write", &self.path)?;
        incoming.at += bytes.len() as u64;
        Ok(())
    }

    /// All bytes of a piece came.
    ///
    /// # Errors
    /// [`StoreError::BadPiece`] when they are not those that were announced, [`StoreError::Coming`] as before, what the
    /// system says.
    pub fn finish(&self, incoming: &Incoming) -> Result<()> {
        let piece = incoming.piece;
        if incoming.left() != 0 || incoming.hasher.finalize().as_bytes() != &piece.hash {
            return Err(StoreError::BadPiece {
                name: "what was sent".to_owned(),
                offset: piece.offset,
            });
        }
        self.note(incoming)
    }

    /// Its bytes are there.
    fn note(&self, incoming: &Incoming) -> Result<()> {
        let (piece, log) = (incoming.piece, self.staging.dir().join(ARRIVED));
        let synced = {
            let mut held = self.held();
            if incoming.round != held.round {
                return Err(StoreError::Coming(self.image.path()));
            }
            held.log.write_all(&encode(&piece)).at("write", &log)?;
            held.records += 1;
            held.fresh += u64::from(piece.len);
            held.pieces.insert(piece.offset, (piece, true));
            if held.fresh < RECORD_BYTES {
                return Ok(());
            }
            held.fresh = 0;
            held.records
        };
        self.sync()?;
        let mut held = self.held();
        held.records += 1;
        held.log.write_all(&mark(synced)).at("write", &log)
    }

    /// Returns when what came is on the medium.
    fn sync(&self) -> Result<()> {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        durable::refuse_lost(*lost, &self.path)?;
        let synced = durable::sync_file(&self.file, &self.path);
        *lost = synced.is_err();
        synced
    }

    /// How many pieces are there or coming.
    pub fn pieces(&self) -> usize {
        self.held().pieces.len()
    }

    fn refuse(&self, reason: &'static str) -> StoreError {
        let path = self.image.path();
        StoreError::BadUpload { path, reason }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what the image is: which pieces of it are neither here nor in images that are. A piece that is just coming
    /// has to come again.
    ///
    /// # Errors
    /// [`StoreError::BadUpload`] when it is larger than was said; what the system says.
    pub fn lacking(&mut self, wanted: &Layout) -> Result<Vec<Range<usize>>> {
        if wanted.size() > self.limit {
            return Err(self.refuse("it is larger than was said at first"));
        }
        {
            let mut held = self.held();
            held.pieces.retain(|_, (_, there)| *there);
            held.round += 1;
        }
        self.sync()?;
        self.choose(wanted)?;
        let dir = self.staging.dir();
        let state = State::read(dir).filter(|state| state.wanted.identity() == wanted.identity());
        let mut journal = match state {
            Some(state) => Journal::resume(dir, state.record)?,
            None => Journal::begin(dir, wanted)?,
        };
        let held = self.held();
        for (number, piece) in wanted.pieces().iter().enumerate() {
            if matches!(held.pieces.get(&piece.offset), Some((there, true)) if there == piece) {
                journal.tracker_mut().place(number, piece.len);
            }
        }
        drop(held);
        journal.record((&self.file, &self.path), None)?;
        let view = View::of(&self.image, wanted, asked(self.around.as_ref()))?;
        Ok(match view.way {
            Way::Nothing => Vec::new(),
            _ => view.fetched(),
        })
    }

    /// Goes on in the file that has more of the wanted image in its place.
    fn choose(&mut self, wanted: &Layout) -> Result<()> {
        let dir = self.staging.dir();
        let all = wanted.pieces();
        let is_wanted = |piece: &Piece| {
            let at = all.binary_search_by_key(&piece.offset, |one| one.offset);
            at.is_ok_and(|number| all[number] == *piece)
        };
        // What is not wanted at its place would be in the way of what is.
        let mut spare_pieces = self.left();
        spare_pieces.retain(is_wanted);
        let spare: u64 = spare_pieces.iter().map(|one| u64::from(one.len)).sum();
        let ours: u64 = {
            let held = self.held();
            let there = held
                .pieces
                .values()
                .filter(|(one, there)| *there && is_wanted(one));
            there.map(|(one, _)| u64::from(one.len)).sum()
        };
        if spare <= ours {
            return Ok(());
        }
        let (log, spare_log) = (dir.join(ARRIVED), dir.join(SPARE_ARRIVED));
        let (spare_path, swap) = (dir.join(SPARE), dir.join(SWAP));
        let pieces: Vec<Piece> = self.held().pieces.values().map(|(one, _)| *one).collect();
        // What was reserved is room for the other one.
        let end = pieces.last().map_or(0, Piece::end);
        self.file.set_len(end).at("set the length of", &self.path)?;
        // Between these steps no log says anything.
        durable::remove_file(&log)?;
        durable::remove_file(&spare_log)?;
        durable::sync_file(&self.file, &self.path)?;
        durable::sync_dir(dir)?;
        durable::rename(&self.path, &swap)?;
        durable::rename(&spare_path, &self.path)?;
        durable::rename(&swap, &spare_path)?;
        durable::sync_dir(dir)?;
        write_log(&spare_log, pieces.iter())?;
        let records = write_log(&log, spare_pieces.iter())?;
        durable::sync_dir(dir)?;
        self.file = durable::reopen(&self.path)?;
        let log = durable::reopen_log(&log)?;
        let mut held = self.held();
        let round = held.round;
        *held = Held {
            round,
            ..Held::new(spare_pieces, log, records)
        };
        Ok(())
    }

    /// Puts the image together, looks at all of it and publishes it. To be called when nothing is lacking.
    ///
    /// # Errors
    /// As [`Assembly::run`]; [`StoreError::Source`] when a piece that should be here is damaged: then all are to be
    /// sent again.
    pub fn publish(self, wanted: Layout, facts: &Facts, progress: &dyn Progress) -> Result<Report> {
        let dir = self.image.dir().to_owned();
        let done = self.put_together(wanted, facts, progress);
        if done.is_err() {
            // Others get the room that is set aside for what did not come.
            recover_for_reading(&dir, facts.now);
        }
        done
    }

    fn put_together(
        self,
        wanted: Layout,
        facts: &Facts,
        progress: &dyn Progress,
    ) -> Result<Report> {
        let Self {
            image,
            staging,
            around,
            ..
        } = self;
        let nobody = Nobody {
            dir: staging.dir().to_owned(),
        };
        let prospect = View::of(&image, &wanted, asked(around.as_ref()))?.prospect(&wanted);
        if prospect.way == Way::Nothing {
            // What arrived is of no more use.
            stage::empty(staging.dir(), &[])?;
            staging.accompany(&facts.carried, facts.now)?;
            return Ok(Report::nothing(&prospect));
        }
        let assembly = Assembly {
            image: &image,
            source: &nobody,
            moving: Moving::Never,
            doubt: None,
            around,
            arrivals: Arc::new(Arrivals::of(&wanted)),
            wanted,
            prospect,
            fetched: Vec::new(),
            hurts: Arc::default(),
            step: RECORD_BYTES,
        };
        assembly.run_in(staging, facts, progress)
    }
}

impl Incoming {
    /// Bytes that are still to come.
    pub fn left(&self) -> u64 {
        self.piece.end() - self.at
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let still = matches!(held.pieces.get(&self.piece.offset), Some((_, false)));
        if still && held.round == self.round {
            held.pieces.remove(&self.piece.offset);
        }
    }
}

/// Nobody's image is given up for one that is sent.
fn asked(around: Option<&Around>) -> Asked<'_> {
    Asked {
        moving: Moving::Never,
        doubt: None,
        around,
    }
}
