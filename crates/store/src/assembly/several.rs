//! Several sources of one image as one: whoever can give a piece gives it, and whoever gives wrong bytes is found out.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use azud_core::assembly::{Answer, Layout, Roster, Source, SourceError};
use azud_core::format::Hash;
use azud_core::io::ReadAt;

use crate::error::StoreError;

/// Between two rounds in which nobody answers.
const PAUSE: Duration = Duration::from_millis(250);
/// What all of them have wrong is asked for so often by whoever reads the image as a file.
const TRIES: u32 = 3;

/// Sources that all have the same image.
pub struct Several<'a> {
    wanted: Layout,
    sources: Vec<&'a dyn Source>,
    roster: Mutex<Roster>,
    /// What each gave so far.
    given: Mutex<Vec<Given>>,
    begun: Instant,
    /// When somebody gave the right bytes last, or was first asked for them in vain.
    answered: Mutex<Option<Instant>>,
    patience: Duration,
    /// Whether somebody waits already.
    waiting: AtomicBool,
    go_on: Box<GoOn<'a>>,
}

/// What a source gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Given {
    /// Right bytes.
    pub bytes: u64,
    /// How often it gave others.
    pub wrong: u64,
    /// How often it gave none.
    pub silent: u64,
    /// Whether it is not asked any more: it gave wrong bytes too often, or has another image by now.
    pub is_out: bool,
}

/// Whether it is waited on. At the beginning of each waiting it hears how long that lasts at most.
type GoOn<'a> = dyn Fn(Option<Duration>) -> bool + Send + Sync + 'a;

impl std::fmt::Debug for Several<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Several").field(&self.name()).finish()
    }
}

impl<'a> Several<'a> {
    /// Of sources with their ranks, the lowest of which is asked first. When nobody answers, they are waited for as long
    /// as `patience` says and `go_on` allows, which hears at the beginning of each waiting how long it lasts at most.
    pub fn of(
        wanted: Layout,
        sources: Vec<(&'a dyn Source, u32)>,
        (patience, go_on): (
            Duration,
            impl Fn(Option<Duration>) -> bool + Send + Sync + 'a,
        ),
    ) -> Self {
        let ranks = sources.iter().map(|(_, rank)| *rank);
        Self {
            roster: Mutex::new(Roster::new(ranks)),
            given: Mutex::new(vec![Given::default(); sources.len()]),
            sources: sources.into_iter().map(|(source, _)| source).collect(),
            wanted,
            begun: Instant::now(),
            answered: Mutex::default(),
            patience,
            waiting: AtomicBool::new(false),
            go_on: Box::new(go_on),
        }
    }

    /// What each gave so far, with its name.
    pub fn given(&self) -> Vec<(String, Given)> {
        let names = self.sources.iter().map(|source| source.name());
        names.zip(self.lock_given().iter().copied()).collect()
    }

    /// Counts what came of asking for so many bytes, and tells whom to ask from now on.
    fn tell(&self, number: usize, answer: Answer, len: usize) {
        let mut roster = self.roster();
        roster.tell(number, answer, self.begun.elapsed());
        let given = &mut self.lock_given()[number];
        match answer {
            Answer::Good => given.bytes += len as u64,
            Answer::Lied => given.wrong += 1,
            Answer::Failed => given.silent += 1,
            Answer::Changed => {}
        }
        given.is_out = roster.is_out(number);
    }

    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks one after the other. What all of them have wrong is given as it is, and told by `false`. Who does not answer
    /// now may have it right: until nobody is left who may, the `liars` of earlier rounds are not asked again, since one
    /// bad sector is one lie.
    fn round(
        &self,
        (offset, buf): (u64, &mut [u8]),
        liars: &mut Vec<usize>,
    ) -> Result<bool, SourceError> {
        let mut tried = liars.clone();
        let (mut last, mut silent) = (None, None);
        loop {
            let asked = self.roster().ask(&tried, self.begun.elapsed());
            let Some(number) = asked else {
                match silent.map_or(last, |error| Some(Err(error))) {
                    Some(done) => return done,
                    // Others may have put out whoever was left, meanwhile.
                    None if liars.is_empty() => return Err(self.nobody()),
                    None => {
                        liars.clear();
                        tried.clear();
                        last = None;
                        silent = None;
                        continue;
                    }
                }
            };
            let given = self.sources[number].read(offset, buf);
            let answer = match &given {
                Ok(()) if self.wanted.fits(offset, buf) => Answer::Good,
                Ok(()) => Answer::Lied,
                Err(SourceError::Changed) => Answer::Changed,
                Err(_) => Answer::Failed,
            };
            self.tell(number, answer, buf.len());
            match (answer, given) {
                (Answer::Good, _) => {
                    *self.lock_answered() = Some(Instant::now());
                    self.waiting.store(false, Ordering::Relaxed);
                    return Ok(true);
                }
                (Answer::Failed, Err(error)) => silent = Some(error),
                (_, given) => last = Some(given.map(|()| false)),
            }
            if answer == Answer::Lied {
                liars.push(number);
            }
            tried.push(number);
        }
    }

    /// Rounds, until somebody answers or it was waited for long enough.
    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<bool, SourceError> {
        let mut liars = Vec::new();
        loop {
            let error = match self.round((offset, &mut *buf), &mut liars) {
                Err(error) if !self.roster().is_empty() => error,
                done => return done,
            };
            let since = *self.lock_answered().get_or_insert_with(Instant::now);
            let left = self.patience.saturating_sub(since.elapsed());
            if left.is_zero() {
                return Err(error);
            }
            let begins = !self.waiting.swap(true, Ordering::Relaxed);
            if !(self.go_on)(begins.then_some(left)) {
                return Err(error);
            }
            thread::sleep(PAUSE);
        }
    }

    /// Why nobody is asked any more: wrong bytes, or other images by now.
    fn nobody(&self) -> SourceError {
        if !self.roster().has_liars() {
            return SourceError::Changed;
        }
        let left = StoreError::corrupt(
            Path::new(&self.name()),
            "no source is left that gives the right bytes",
        );
        SourceError::Permanent(io::Error::other(left))
    }

    fn lock_given(&self) -> MutexGuard<'_, Vec<Given>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_answered(&self) -> MutexGuard<'_, Option<Instant>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Several<'_> {
    fn layout(&self) -> Result<Layout, SourceError> {
        Ok(self.wanted.clone())
    }

    fn size(&self) -> Option<u64> {
        Some(self.wanted.size())
    }

    fn is_far(&self) -> bool {
        self.sources.iter().any(|source| source.is_far())
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        self.fetch(offset, buf).map(drop)
    }

    fn identity(&self) -> Result<Hash, SourceError> {
        let mut last = Err(self.nobody());
        for (number, source) in self.sources.iter().enumerate() {
            if self.roster().is_out(number) {
                continue;
            }
            last = source.identity();
            if matches!(last, Ok(identity) if identity == *self.wanted.identity()) {
                return last;
            }
        }
        last
    }

    fn name(&self) -> String {
        let names: Vec<String> = self.sources.iter().map(|source| source.name()).collect();
        names.join(", ")
    }
}

/// As a file whose ending is the right one, and of which somebody holds each piece against its hash.
impl ReadAt for Several<'_> {
    fn len(&self) -> u64 {
        self.wanted.size()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64);
        if end.is_none_or(|end| end > self.wanted.size()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The ending is known, and that of a source may be damaged.
        let ending_at = self.wanted.ending_offset();
        let before = usize::try_from(ending_at.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (pieces, ending) = buf.split_at_mut(before.min(buf.len()));
        if !ending.is_empty() {
            let start = usize::try_from(offset.saturating_sub(ending_at));
            let start = start.map_err(io::Error::other)?;
            let known = &self.wanted.ending()[start..start + ending.len()];
            ending.copy_from_slice(known);
        }
        if pieces.is_empty() {
            return Ok(());
        }
        for _ in 0..TRIES {
            if self.fetch(offset, pieces)? {
                break;
            }
        }
        Ok(())
    }
}
