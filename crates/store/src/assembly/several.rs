//! Several sources of one image as one: whoever can give a piece gives it, and whoever gives wrong bytes is found out.

mod asking;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use azud_core::assembly::{Layout, Source, SourceError};
use azud_core::format::Hash;
use azud_core::io::ReadAt;

use self::asking::{Among, Asking, Terms};

/// Between two rounds in which nobody answers.
const PAUSE: Duration = Duration::from_millis(250);
/// What all of them have wrong is asked for so often by whoever reads the image as a file.
const TRIES: u32 = 3;

/// A source that may still be asked when nobody waits for its answer any more.
pub type Shared = Arc<dyn Source + Send>;

/// Sources that all have the same image.
pub struct Several<'a> {
    among: Arc<Among>,
    patience: Duration,
    /// Whether somebody waits already.
    waiting: AtomicBool,
    /// Of whom it was told that nothing comes.
    silent: Mutex<Vec<usize>>,
    go_on: Box<GoOn<'a>>,
}

/// What a source gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Given {
    /// Right bytes; some of them others may have given, too.
    pub bytes: u64,
    /// How often it gave others.
    pub wrong: u64,
    /// How often it gave none, or was silent for a while.
    pub silent: u64,
    /// Whether it is not asked any more: it gave wrong bytes too often, or has another image by now.
    pub is_out: bool,
}

/// What is told to whoever waits for sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait<'w> {
    /// Nobody answers: they are waited for so long at most.
    Begins(Duration),
    /// Still nobody does, or one who is asked has not answered yet.
    Lasts,
    /// Nothing comes of this one any more; others are asked. It is told once.
    Without(&'w str),
}

/// Whether it is waited on.
type GoOn<'a> = dyn Fn(Wait<'_>) -> bool + Send + Sync + 'a;

impl std::fmt::Debug for Several<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Several").field(&self.name()).finish()
    }
}

impl<'a> Several<'a> {
    /// Of sources with their ranks, the lowest of which is asked first. When nobody answers, they are waited for as long
    /// as `patience` says and `go_on` allows.
    pub fn of(
        wanted: Layout,
        sources: Vec<(Shared, u32)>,
        (patience, go_on): (Duration, impl Fn(Wait<'_>) -> bool + Send + Sync + 'a),
    ) -> Self {
        Self {
            among: Arc::new(Among::of(wanted, sources)),
            patience,
            waiting: AtomicBool::new(false),
            silent: Mutex::default(),
            go_on: Box::new(go_on),
        }
    }

    /// What each gave so far, with its name.
    pub fn given(&self) -> Vec<(String, Given)> {
        let names = self.among.sources.iter().map(|source| source.name());
        names.zip(self.among.given()).collect()
    }

    /// Rounds, until somebody answers or it was waited for long enough.
    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<bool, SourceError> {
        let mut asking = Asking::new(&self.among, (offset, buf.len()));
        // Each is asked once, however long that takes.
        let mut most = None;
        loop {
            let terms = Terms {
                most,
                silent: &|number| self.tell_silent(number),
                goes_on: &|| (self.go_on)(Wait::Lasts),
            };
            let error = match asking.round(buf, &terms) {
                Err(error) if !self.among.roster().is_empty() => error,
                done => {
                    if matches!(done, Ok(true)) {
                        self.waiting.store(false, Ordering::Relaxed);
                    }
                    return done;
                }
            };
            let left = self.patience.saturating_sub(asking.in_vain());
            if left.is_zero() {
                return Err(over(error));
            }
            let begins = !self.waiting.swap(true, Ordering::Relaxed);
            let wait = if begins {
                Wait::Begins(left)
            } else {
                Wait::Lasts
            };
            if !(self.go_on)(wait) {
                return Err(over(error));
            }
            most = Some(self.patience);
            thread::sleep(PAUSE);
        }
    }

    fn tell_silent(&self, number: usize) {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        if !silent.contains(&number) {
            silent.push(number);
            // Whether the work goes on is asked where somebody waits.
            let _ = (self.go_on)(Wait::Without(&self.among.sources[number].name()));
        }
    }
}

/// Another try may help, but it was waited for as long as was said.
fn over(error: SourceError) -> SourceError {
    match error {
        SourceError::Temporary(error) => SourceError::Permanent(error),
        other => other,
    }
}

impl Source for Several<'_> {
    fn layout(&self) -> Result<Layout, SourceError> {
        Ok(self.among.wanted.clone())
    }

    fn size(&self) -> Option<u64> {
        Some(self.among.wanted.size())
    }

    fn is_far(&self) -> bool {
        self.among.sources.iter().any(|source| source.is_far())
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        self.fetch(offset, buf).map(drop)
    }

    fn identity(&self) -> Result<Hash, SourceError> {
        let mut last = Err(self.among.nobody());
        let mut numbers: Vec<usize> = (0..self.among.sources.len()).collect();
        // Who is silent comes last.
        numbers.sort_by_cached_key(|number| self.among.roster().is_silent(*number));
        for number in numbers {
            if self.among.roster().is_out(number) {
                continue;
            }
            last = self.among.sources[number].identity();
            if matches!(last, Ok(identity) if identity == *self.among.wanted.identity()) {
                return last;
            }
        }
        last
    }

    fn name(&self) -> String {
        self.among.name()
    }
}

/// As a file whose ending is the right one, and of which somebody holds each piece against its hash.
impl ReadAt for Several<'_> {
    fn len(&self) -> u64 {
        self.among.wanted.size()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64);
        if end.is_none_or(|end| end > self.among.wanted.size()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The ending is known, and that of a source may be damaged.
        let ending_at = self.among.wanted.ending_offset();
        let before = usize::try_from(ending_at.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (pieces, ending) = buf.split_at_mut(before.min(buf.len()));
        if !ending.is_empty() {
            let start = usize::try_from(offset.saturating_sub(ending_at));
            let start = start.map_err(io::Error::other)?;
            let known = &self.among.wanted.ending()[start..start + ending.len()];
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
