//! Asking for a piece. Each source is asked in a thread of its own, so that nobody has to wait for one from which nothing
//! comes: others are asked as well, and whoever gives the right bytes first has given them.
//!
//! Memory: each source that is asked fills a buffer of its own, as long as the piece, beside that of who asks. With the usual
//! few sources of which one answers, that is twice a piece for each that is under way; a silent one holds its buffer until it
//! answers or is given up.

use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use azud_core::assembly::{Answer, Layout, Roster, SourceError};

use super::{Given, Shared};
use crate::error::StoreError;

/// How often it is looked whether something comes.
const TICK: Duration = Duration::from_millis(250);
/// So often where the work is to end: who is asked over a network ends then, with what came.
const LAST_TICKS: u32 = 2;

/// The sources and what is known of them, for whoever asks and for the threads in which they are asked.
pub(super) struct Among {
    pub(super) wanted: Layout,
    pub(super) sources: Vec<Shared>,
    roster: Mutex<Roster>,
    given: Mutex<Vec<Given>>,
    begun: Instant,
    /// When somebody gave the right bytes last, or was first asked for them in vain.
    answered: Mutex<Option<Instant>>,
}

/// What came of asking.
struct Told {
    number: usize,
    answer: Answer,
    given: Result<(), SourceError>,
    /// After a failure, as far as they came.
    bytes: Vec<u8>,
}

impl Among {
    pub(super) fn of(wanted: Layout, sources: Vec<(Shared, u32)>) -> Self {
        let ranks = sources.iter().map(|(_, rank)| *rank);
        Self {
            roster: Mutex::new(Roster::new(ranks)),
            given: Mutex::new(vec![Given::default(); sources.len()]),
            sources: sources.into_iter().map(|(source, _)| source).collect(),
            wanted,
            begun: Instant::now(),
            answered: Mutex::default(),
        }
    }

    pub(super) fn name(&self) -> String {
        let names: Vec<String> = self.sources.iter().map(|source| source.name()).collect();
        names.join(", ")
    }

    /// What each gave so far, by its number.
    pub(super) fn given(&self) -> Vec<Given> {
        self.lock_given().clone()
    }

    /// How long ago somebody gave the right bytes; the first one who asks here begins the time.
    pub(super) fn since_answered(&self) -> Duration {
        let mut answered = self.lock_answered();
        answered.get_or_insert_with(Instant::now).elapsed()
    }

    pub(super) fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nobody is asked any more: wrong bytes, or other images by now.
    pub(super) fn nobody(&self) -> SourceError {
        if !self.roster().has_liars() {
            return SourceError::Changed;
        }
        let left = StoreError::corrupt(
            Path::new(&self.name()),
            "no source is left that gives the right bytes",
        );
        SourceError::Permanent(io::Error::other(left))
    }

    /// Those who do not answer are asked no more.
    fn silence(&self) -> SourceError {
        SourceError::Permanent(io::Error::other(StoreError::Silent(self.name())))
    }

    fn read(&self, number: usize, (offset, len): (u64, usize)) -> Told {
        let mut bytes = vec![0; len];
        let given = self.sources[number].read(offset, &mut bytes);
        let answer = match &given {
            Ok(()) if self.wanted.fits(offset, &bytes) => Answer::Good,
            Ok(()) => Answer::Lied,
            Err(SourceError::Changed) => Answer::Changed,
            Err(_) => Answer::Failed,
        };
        // Also where nobody waits for it any more: it may have woken up.
        self.tell(number, answer, len);
        Told {
            number,
            answer,
            given,
            bytes,
        }
    }

    /// Counts what came of asking for so many bytes, and tells whom to ask from now on.
    fn tell(&self, number: usize, answer: Answer, len: usize) {
        let mut roster = self.roster();
        roster.tell(number, answer, self.begun.elapsed());
        let given = &mut self.lock_given()[number];
        match answer {
            Answer::Good => {
                given.bytes += len as u64;
                *self.lock_answered() = Some(Instant::now());
            }
            Answer::Lied => given.wrong += 1,
            Answer::Failed => given.silent += 1,
            Answer::Changed => {}
        }
        given.is_out = roster.is_out(number);
    }

    /// A number that changes with whatever comes of any of them.
    fn heard(&self) -> u64 {
        let heard = self.sources.iter().map(|source| source.heard());
        heard.fold(0, u64::wrapping_add)
    }

    /// Looks whether something comes of one that is asked. `true` when nothing does since just now, and others are there.
    fn turned_silent(&self, number: usize) -> bool {
        let heard = self.sources[number].heard();
        let mut roster = self.roster();
        if !roster.hear(number, heard, self.begun.elapsed()) {
            return false;
        }
        self.lock_given()[number].silent += 1;
        let mut others = (0..self.sources.len()).filter(|other| *other != number);
        others.any(|other| !roster.is_out(other) && !roster.is_silent(other))
    }

    fn lock_given(&self) -> MutexGuard<'_, Vec<Given>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_answered(&self) -> MutexGuard<'_, Option<Instant>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long those who are asked for a piece are waited for.
pub(super) struct Terms<'a> {
    /// When nobody has answered for so long, it is over unless something comes.
    pub(super) most: Option<Duration>,
    /// Hears of whom nothing comes.
    pub(super) silent: &'a dyn Fn(usize),
    /// Where it does not go on, only who answers at once is heard.
    pub(super) goes_on: &'a dyn Fn() -> bool,
}

/// A piece that is asked for.
pub(super) struct Asking<'a> {
    among: &'a Arc<Among>,
    begun: Instant,
    piece: (u64, usize),
    tell: Sender<Told>,
    told: Receiver<Told>,
    /// Who was asked and has not answered yet.
    under_way: Vec<usize>,
    /// Who gave wrong bytes. Who does not answer now may have it right: until nobody is left who may, they are not asked
    /// again, since one bad sector is one lie.
    liars: Vec<usize>,
}

impl<'a> Asking<'a> {
    pub(super) fn new(among: &'a Arc<Among>, piece: (u64, usize)) -> Self {
        let (tell, told) = mpsc::channel();
        Self {
            among,
            begun: Instant::now(),
            piece,
            tell,
            told,
            under_way: Vec::new(),
            liars: Vec::new(),
        }
    }

    /// How long nobody answers, and it is asked for. Before, nobody may have been asked.
    pub(super) fn in_vain(&self) -> Duration {
        self.among.since_answered().min(self.begun.elapsed())
    }

    /// Asks one after the other, and the next one already where nothing comes of those who were asked; `silent` hears who
    /// that is. What all of them have wrong is given as it is, and told by `false`; after a failure there is what came.
    pub(super) fn round(&mut self, buf: &mut [u8], terms: &Terms<'_>) -> Result<bool, SourceError> {
        let heard = self.among.heard();
        let mut tried = self.liars.clone();
        let mut left = LAST_TICKS;
        let (mut last, mut failed) = (None, None);
        loop {
            let asked = self.is_nobody_at_it() && self.ask(&tried);
            if !asked && self.under_way.is_empty() {
                match failed.map_or(last, |error| Some(Err(error))) {
                    Some(done) => return done.map(|bytes: Vec<u8>| give(buf, &bytes, false)),
                    // Others may have put out whoever was left, meanwhile.
                    None if self.liars.is_empty() => return Err(self.among.nobody()),
                    None => {
                        self.liars.clear();
                        tried.clear();
                        (last, failed) = (None, None);
                        continue;
                    }
                }
            }
            let Ok(told) = self.told.recv_timeout(TICK) else {
                if self.is_over(terms, (heard, &tried, &mut left)) {
                    return Err(failed.unwrap_or_else(|| self.among.silence()));
                }
                continue;
            };
            self.under_way.retain(|number| *number != told.number);
            match (told.answer, told.given) {
                (Answer::Good, Ok(())) => return Ok(give(buf, &told.bytes, true)),
                (Answer::Failed, Err(error)) => {
                    buf.copy_from_slice(&told.bytes);
                    failed = Some(error);
                }
                (_, given) => last = Some(given.map(|()| told.bytes)),
            }
            if told.answer == Answer::Lied {
                self.liars.push(told.number);
            }
            tried.push(told.number);
        }
    }

    /// Whether it is not waited any more for those who were asked. `heard` is what had come of all at the beginning, `left`
    /// the moments in which who answers at once is still heard when it does not go on.
    fn is_over(&self, terms: &Terms<'_>, (heard, tried, left): (u64, &[usize], &mut u32)) -> bool {
        if !(terms.goes_on)() {
            *left -= 1;
            return *left == 0;
        }
        self.hear(terms.silent);
        if self.is_nobody_at_it() && !self.is_somebody_left(tried) {
            return true;
        }
        let is_long = terms.most.is_some_and(|most| self.in_vain() >= most);
        is_long && self.among.heard() == heard
    }

    /// Whether nothing comes of all that were asked.
    fn is_nobody_at_it(&self) -> bool {
        let roster = self.among.roster();
        let mut under_way = self.under_way.iter();
        under_way.all(|number| roster.is_silent(*number))
    }

    fn is_somebody_left(&self, tried: &[usize]) -> bool {
        let roster = self.among.roster();
        (0..self.among.sources.len()).any(|number| {
            let asked = tried.contains(&number) || self.under_way.contains(&number);
            !asked && !roster.is_out(number)
        })
    }

    fn ask(&mut self, tried: &[usize]) -> bool {
        let asked: Vec<usize> = tried.iter().chain(&self.under_way).copied().collect();
        let now = self.among.begun.elapsed();
        let Some(number) = self.among.roster().ask(&asked, now) else {
            return false;
        };
        self.under_way.push(number);
        let (among, piece, tell) = (Arc::clone(self.among), self.piece, self.tell.clone());
        let read = move || {
            // Perhaps nobody waits for it any more.
            let _ = tell.send(among.read(number, piece));
        };
        if thread::Builder::new().spawn(read.clone()).is_err() {
            read();
        }
        true
    }

    /// Listens whether something comes of those who were asked.
    fn hear(&self, silent: &dyn Fn(usize)) {
        for number in &self.under_way {
            if self.among.turned_silent(*number) {
                silent(*number);
            }
        }
    }
}

fn give(buf: &mut [u8], bytes: &[u8], right: bool) -> bool {
    buf.copy_from_slice(bytes);
    right
}
