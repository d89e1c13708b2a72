//! Receiving an image: pieces that are here are shared, copied or moved, the rest is read from a source;
//! each is held against its hash, and the whole is published.
//!
//! An assembly lies in a directory of its own beside the image and outlives its process: the next one goes
//! on where the journal says. [`azud_core::assembly`] decides, this module acts.

mod around;
mod arrivals;
mod check;
mod fill;
mod former;
mod hurt;
mod inbox;
mod local;
mod look;
mod lookup;
mod moving;
mod reader;
mod remains;
mod report;
mod several;
mod state;
mod union;
mod work;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use azud_core::assembly::{Layout, Piece, RECORD_BYTES, Source};
use azud_core::name::ImageFile;
use azud_core::progress::Progress;

use crate::durable;
use crate::error::Result;
use crate::publish::Staging;
use crate::recover::recover_for_reading;
use crate::side::Carried;
use crate::stage;
use crate::stored::Stored;
use arrivals::{Arrivals, Ending};
use local::Local;
use look::{Asked, View};

pub(crate) use inbox::leave_for;
pub(crate) use state::{State, may_have_moved};
pub(crate) use union::Parts;

pub use around::Around;
pub use arrivals::NotComing;
pub use hurt::{Hurt, Hurts};
pub use inbox::{Inbox, Incoming};
pub use local::{FileSource, INDEX, identity, known_layout};
pub use lookup::Lookup;
pub use reader::Reader;
pub use remains::{check as check_remains, clear as clear_remains, of as remains};
pub use report::{Facts, Moving, Prospect, Report, Way};
pub use several::{Given, Several, Shared, Wait};

/// An image to be received.
pub struct Assembly<'a> {
    image: &'a ImageFile,
    source: &'a dyn Source,
    moving: Moving,
    doubt: Option<Vec<u64>>,
    around: Option<Around>,
    wanted: Layout,
    prospect: Prospect,
    /// The numbers of the pieces that the source gives, run by run.
    fetched: Vec<Range<usize>>,
    arrivals: Arc<Arrivals>,
    hurts: Arc<Hurts>,
    step: u64,
}

impl std::fmt::Debug for Assembly<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Assembly({}, {:?})", self.image, self.prospect)
    }
}

impl<'a> Assembly<'a> {
    /// Looks at the source and at what is here, and decides what to do. Nothing is written. There may be too
    /// little room ([`Prospect::lacks`]): then it is refused when it is run.
    ///
    /// # Errors
    /// [`crate::StoreError::Source`]; [`crate::StoreError::FileTooLarge`], so that nothing is begun that cannot
    /// end; [`crate::StoreError::NotAFile`]. The directory may be missing until it is run.
    pub fn look(image: &'a ImageFile, source: &'a dyn Source, moving: Moving) -> Result<Self> {
        if let Some(size) = source.size() {
            look::refuse_impossible(image, size)?;
        }
        let wanted = source
            .layout()
            .map_err(|error| local::failed(source, error))?;
        look::refuse_impossible(image, wanted.size())?;
        let around = Around::in_cache(image);
        let asked = Asked {
            moving,
            doubt: None,
            around: around.as_ref(),
        };
        let view = View::of(image, &wanted, asked)?;
        let (prospect, fetched) = (view.prospect(&wanted), view.fetched());
        Ok(Self {
            image,
            source,
            moving,
            doubt: None,
            around,
            arrivals: Arc::new(Arrivals::of(&wanted)),
            hurts: Arc::default(),
            wanted,
            prospect,
            fetched,
            step: RECORD_BYTES,
        })
    }

    /// As [`Assembly::look`], where there is room enough.
    ///
    /// # Errors
    /// As there, and [`crate::StoreError::TooLittleRoom`].
    pub fn plan(image: &'a ImageFile, source: &'a dyn Source, moving: Moving) -> Result<Self> {
        let assembly = Self::look(image, source, moving)?;
        let Prospect {
            needs, has, lacks, ..
        } = assembly.prospect;
        if lacks > 0 {
            let path = image.path();
            return Err(crate::StoreError::TooLittleRoom { path, needs, has });
        }
        Ok(assembly)
    }

    /// The image here was found damaged, in these pieces as far as they can be told: it is not there already,
    /// though it be the wanted one. What of it is right serves.
    ///
    /// # Errors
    /// What the system says.
    pub fn doubting(mut self, bad: Vec<u64>) -> Result<Self> {
        self.doubt = Some(bad);
        let view = View::of(self.image, &self.wanted, self.asked())?;
        (self.prospect, self.fetched) = (view.prospect(&self.wanted), view.fetched());
        Ok(self)
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            moving: self.moving,
            doubt: self.doubt.as_deref(),
            around: self.around.as_ref(),
        }
    }

    /// Writes down how far it is after every so many bytes, and moves no more at once.
    #[must_use]
    pub fn step(self, bytes: u64) -> Self {
        Self {
            step: bytes,
            ..self
        }
    }

    /// What will be done.
    pub fn prospect(&self) -> &Prospect {
        &self.prospect
    }

    /// The pieces of the wanted image.
    pub fn wanted(&self) -> &Layout {
        &self.wanted
    }

    /// The pieces that the source is to give.
    pub fn fetched(&self) -> impl Iterator<Item = &Piece> {
        let runs = self.fetched.iter().cloned();
        runs.flat_map(|run| &self.wanted.pieces()[run])
    }

    /// The image as it arrives, for whoever reads it meanwhile. When the work ends, nobody waits any more.
    pub fn reader(&self) -> Reader<'a> {
        Reader {
            arrivals: Arc::clone(&self.arrivals),
            hurts: Arc::clone(&self.hurts),
            source: self.source,
            fetched: AtomicU64::new(0),
        }
    }

    /// The damage that is found in images while they are read.
    pub fn hurts(&self) -> Arc<Hurts> {
        Arc::clone(&self.hurts)
    }

    /// The image, if it was found to be here already and still is, and nothing has to be put beside it.
    fn here(&self, facts: &Facts) -> Option<Stored> {
        let planned = self.prospect.way == Way::Nothing && !is_half_moved(self.image);
        let is_beside = |one: &Carried| one.is_beside(self.image);
        if !planned || !facts.carried.iter().all(is_beside) {
            return None;
        }
        let local = Local::open(&self.image.path())?;
        (local.layout.identity() == self.wanted.identity()).then_some(local.stored)
    }

    fn nothing(&self, stored: Stored) -> Result<Report> {
        self.arrivals.whole(stored)?;
        Ok(Report::nothing(&self.prospect))
    }

    /// Does it. When this fails, the old image can be restored as before, and the next run goes on.
    ///
    /// # Errors
    /// As [`Assembly::plan`]; [`crate::StoreError::NotFound`] for the directory; [`crate::StoreError::Locked`] when somebody else is at it;
    /// [`crate::StoreError::BadPiece`]; what the system says.
    pub fn run(self, facts: &Facts, progress: &dyn Progress) -> Result<Report> {
        let _ending = Ending(&self.arrivals);
        // Where nothing is to be done, nothing is locked: perhaps nothing can be.
        if let Some(stored) = self.here(facts)
            && !durable::is_dir(&stage::assembly(self.image))
        {
            // Whoever brought it may have been killed with the lock in his hands.
            recover_for_reading(self.image.dir(), facts.now);
            return self.nothing(stored);
        }
        match self.begin(facts) {
            Ok(staging) => self.run_in(staging, facts, progress),
            // What was begun goes another time: the image is here all the same.
            Err(error) => match self.here(facts) {
                Some(stored) => self.nothing(stored),
                None => Err(error),
            },
        }
    }

    fn begin(&self, facts: &Facts) -> Result<Staging> {
        let staging = Staging::resume(self.image, facts.now)?;
        former::settle(&staging, self.image, (&self.wanted, self.step))?;
        Ok(staging)
    }

    /// In a directory that is ready for the wanted image.
    fn run_in(&self, staging: Staging, facts: &Facts, progress: &dyn Progress) -> Result<Report> {
        // Under the lock, and with what another process may have done in between.
        let view = View::roomy(self.image, &self.wanted, self.asked()).or_else(|error| {
            // What was begun for another image takes room as well.
            former::forget(&staging)?;
            View::roomy(self.image, &self.wanted, self.asked()).map_err(|_| error)
        })?;
        let prospect = view.prospect(&self.wanted);
        if prospect.way == Way::Nothing {
            // What is open NFS does not remove.
            drop(view);
            let stored = Stored::open(&self.image.path())?;
            staging.accompany(&facts.carried, facts.now)?;
            // What was begun for it, or for another one, goes another time where it cannot go now.
            let _ = staging.abandon();
            return self.nothing(stored);
        }
        let replaced = view.replaces_itself(&self.wanted);
        let mut work = work::Work::begin(self, &staging, view)?;
        let written = work.run(progress)?;
        let report = work.report(&prospect);
        let used_up = work.close();
        // Whoever still reads needs the file open.
        if Arc::strong_count(&self.arrivals) == 1 {
            self.arrivals.close();
        }
        let written = (&written, used_up.is_some() || replaced);
        report::publish(staging, &self.wanted, written, facts, &report)
    }
}

/// Where what has come of an image is kept until it is whole, if any has.
pub fn begun(image: &ImageFile) -> Option<PathBuf> {
    let stage = stage::assembly(image);
    let state = State::read(&stage)?;
    (state.record.verified.count() > 0).then_some(stage)
}

/// Whether a part of an image lies in an update of it that was broken off, or may: whoever changes its file then
/// loses that part.
pub fn is_half_moved(image: &ImageFile) -> bool {
    may_have_moved(&stage::assembly(image))
}
