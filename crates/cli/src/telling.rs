//! Telling the manager of this computer's work: the room is visible, and no work waits for that but at its end.
//!
//! A job is told from the first phase of work on that comes after the plan was agreed on. What was refused before is
//! told where it is of interest to who looks after the room, which a slip of whoever typed the line is not.
//!
//! Invariant: `advance` is an addition. A thread of its own looks at the counts from time to time and sends what it
//! sees; what lies between is nobody's loss. Whether it arrives changes nothing about the work, which waits once, when
//! it is over, until how it ended has arrived: a second at most where the manager heard nothing of it before.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use azud_core::code::Code;
use azud_core::progress::Phase;
use azud_core::reference::{ImageRef, Where};
use azud_core::report::Report;
use azud_store::Identity;
use azud_transport::http::Client;

use crate::commands::{Context, repo};
use crate::failure::Failure;
use crate::i18n::{Catalog, Lang};
use crate::interrupt;
use crate::opened::host;
use crate::output;
use crate::progress::meter::Meter;

/// Between two reports.
const PACE: Duration = Duration::from_millis(500);
/// After one that did not arrive.
const LULL: Duration = Duration::from_secs(10);
/// The last report is waited for so long.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Where it does not arrive, it is sent again after this time,
const AGAIN: Duration = Duration::from_millis(500);
/// to a manager that heard of the work for this part of the time that it took,
const SHARE: u32 = 10;
/// and never longer than this: a manager that was started anew is back by then.
const LONGEST_LAST_WORDS: Duration = Duration::from_secs(10);

/// Tells the manager, if there is one that takes reports.
#[derive(Debug, Default)]
pub struct Teller {
    heeded: bool,
    next: Mutex<Option<Next>>,
    work: OnceLock<Arc<Work>>,
}

/// A job that has not begun.
#[derive(Debug)]
struct Next {
    report: Report,
    client: Client,
    names: Relative,
    /// Whether its plan is agreed on.
    agreed: bool,
}

/// The names of a job that begin in the directory of whoever typed them: nobody else knows which that is.
#[derive(Debug, Default)]
struct Relative(Vec<String>);

/// What the command and the thread share.
#[derive(Debug)]
struct Work {
    begun: Instant,
    done: AtomicU64,
    now: Mutex<Now>,
    changed: Condvar,
}

#[derive(Debug)]
struct Now {
    /// The manager that is told.
    told: String,
    report: Report,
    names: Relative,
    meter: Meter,
    /// The command is over.
    last: bool,
    /// A report arrived.
    heard: bool,
    /// Nothing more is sent.
    silent: bool,
}

impl Teller {
    /// One that tells; that of `Default` is for work that is nobody's business.
    pub(crate) fn heeded() -> Self {
        Self {
            heeded: true,
            ..Self::default()
        }
    }

    fn next(&self) -> MutexGuard<'_, Option<Next>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A command is about to work with what it names, the image first; one that is made of several says so of each.
    pub(crate) fn plans(&self, context: &Context, job: &str, names: &[&Path]) {
        if !self.heeded {
            return;
        }
        // Where no manager is known nobody is told.
        let Ok(Some(client)) = repo::manager(context, &Where::Manager) else {
            return;
        };
        let image = names.first().map(|name| called(context, &client, name));
        let image = image.unwrap_or_default();
        *self.next() = Some(Next {
            report: Report::begun(&host(), job, &image),
            client,
            names: Relative::among(names),
            agreed: false,
        });
    }

    /// It is a copy, which goes there.
    pub(crate) fn goes(&self, context: &Context, to: &Path) {
        if let Some(next) = self.next().as_mut() {
            let to = called(context, &next.client, to);
            next.report = next.report.clone().going_to(&to);
        }
    }

    /// The plan is agreed on: what comes now is the work.
    pub(crate) fn agreed(&self) {
        if let Some(next) = self.next().as_mut() {
            next.agreed = true;
        }
    }

    /// The work has begun.
    fn begin(&self) {
        let Some(next) = self.next().take() else {
            return;
        };
        let Next {
            report,
            client,
            names,
            ..
        } = next;
        if let Some(work) = self.work.get() {
            work.done.store(0, Ordering::Relaxed);
            let mut now = work.now();
            (now.report, now.names) = (report, names);
            return;
        }
        let work = Arc::new(Work {
            begun: Instant::now(),
            done: AtomicU64::new(0),
            now: Mutex::new(Now {
                told: client.host().to_owned(),
                report,
                names,
                meter: Meter::new(0, Duration::ZERO),
                last: false,
                heard: false,
                silent: false,
            }),
            changed: Condvar::new(),
        });
        let told = Arc::clone(&work);
        let tell = move || told.tell(|report| client.report(report));
        let thread = std::thread::Builder::new().name("reports".to_owned());
        if thread.spawn(tell).is_ok() {
            let _ = self.work.set(work);
        }
    }

    /// Which image it is.
    pub(crate) fn identity(&self, identity: &Identity) {
        let identity = Some(identity.to_string());
        if let Some(next) = self.next().as_mut() {
            next.report.identity = identity;
        } else if let Some(work) = self.work.get() {
            work.now().report.identity = identity;
        }
    }

    /// A phase begins. One before the plan is looking, and no work.
    pub(crate) fn phase(&self, phase: Phase, total: u64) {
        if self.next().as_ref().is_some_and(|next| !next.agreed) {
            return;
        }
        self.begin();
        if let Some(work) = self.work.get() {
            let mut now = work.now();
            work.done.store(0, Ordering::Relaxed);
            now.meter = Meter::new(total, work.begun.elapsed());
            now.report.phase = Some(phase.name().to_owned());
        }
    }

    /// More bytes are done.
    pub(crate) fn advance(&self, bytes: u64) {
        if let Some(work) = self.work.get() {
            work.done.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// The command is over. The last word is given a moment to arrive.
    pub(crate) fn end(&self, failure: Option<&Failure>) {
        let agreed = self.next().as_ref().map(|next| next.agreed);
        let failure = match (agreed, failure) {
            // What was only planned is no job; one that was done before it came to its end.
            (Some(false), None) => None,
            (Some(_), Some(failure)) if is_slip(failure.code) => None,
            (_, failure) => {
                self.begin();
                failure
            }
        };
        if let Some(work) = self.work.get() {
            work.end(failure);
        }
    }
}

/// A name that begins where it was typed, if it is one.
fn relative(name: &Path) -> bool {
    // Standard input is no file.
    name != Path::new("-")
        && name.is_relative()
        && matches!(ImageRef::parse(name), Ok(ImageRef::Path(_)))
}

/// What others can call an image: the whole path of its file, or its place as the manager that is told calls it, and its
/// name, in one spelling.
fn called(context: &Context, told: &Client, image: &Path) -> String {
    if let Ok(ImageRef::Placed { place, image }) = ImageRef::parse(image) {
        let place = repo::as_told(context, told, &place);
        return ImageRef::Placed { place, image }.brief();
    }
    let whole = relative(image).then(|| std::path::absolute(image).ok());
    let whole = whole.flatten();
    let name = whole.as_deref().unwrap_or(image);
    name.to_string_lossy().into_owned()
}

impl Relative {
    fn among(names: &[&Path]) -> Self {
        let names = names.iter().filter(|name| relative(name));
        Self(
            names
                .map(|name| name.to_string_lossy().into_owned())
                .collect(),
        )
    }

    /// An account, with where its names begin if it has any of these.
    fn placed(&self, catalog: &Catalog, detail: String) -> String {
        let begins = |at: usize| !detail[..at].ends_with(|c: char| c == '/' || c.is_alphanumeric());
        let has = |name: &String| detail.match_indices(name).any(|(at, _)| begins(at));
        match std::env::current_dir() {
            Ok(here) if self.0.iter().any(has) => {
                let dir = here.display().to_string().into();
                catalog.fmt("room-in", &[("detail", detail.into()), ("dir", dir)])
            }
            _ => detail,
        }
    }
}

/// A report of work that failed: in English, and in every language with what to do about it.
fn failed(report: Report, failure: &Failure, names: &Relative) -> Report {
    let catalogs = Lang::ALL.map(Catalog::new);
    let [english, ..] = &catalogs;
    let detail = names.placed(english, failure.detail.clone());
    let mut report = report.failed(failure.code.as_str(), &detail);
    for catalog in &catalogs {
        let said = names.placed(catalog, output::detail(catalog, failure));
        let said = Some(said).filter(|said| *said != detail);
        let hint = output::hint(catalog, failure);
        let hint = Some(hint).filter(|hint| *hint != catalog.hint(failure.code));
        report = report.said_in(catalog.lang().code(), said.as_deref(), hint.as_deref());
    }
    report
}

/// The manager that failed or refused, if that is why.
fn manager(failure: &Failure) -> Option<&str> {
    let own = failure.words.as_deref()?;
    let all = std::iter::once(own).chain(own.causes.iter().flatten());
    let net = all.filter(|words| words.key.starts_with("net-"));
    let mut values = net.flat_map(|words| &words.values);
    let host = values.find(|(name, _)| *name == "host");
    host.map(|(_, host)| host.as_str())
}

/// Whether a refusal says something of who typed the line, and nothing of the computer.
const fn is_slip(code: Code) -> bool {
    matches!(
        code,
        Code::Usage
            | Code::BadConfig
            | Code::NotConfirmed
            | Code::Interrupted
            | Code::BadName
            | Code::BadPlace
            | Code::AmbiguousPlace
            | Code::NoManager
            | Code::BadDevice
            | Code::AmbiguousDevice
            | Code::NotAllowed
            | Code::OnlyReadOut
    )
}

impl Work {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, failure: Option<&Failure>) {
        let mut now = self.now();
        if now.last {
            return;
        }
        self.read(&mut now);
        let report = now.report.clone();
        now.report = match failure {
            None => report.finished(),
            Some(failure) => {
                let other = manager(failure).filter(|it| *it != now.told);
                failed(report, failure, &now.names).concerning(other)
            }
        };
        now.last = true;
        self.changed.notify_all();
        // Also after one that did not arrive: the manager may be back.
        let longest = self.last_words(now.heard, failure);
        let since = Instant::now();
        loop {
            let waited = since.elapsed();
            let is_asked = waited >= LAST_WORDS && interrupt::is_asked();
            if now.silent || waited >= longest || is_asked {
                break;
            }
            let pause = longest.saturating_sub(waited).min(AGAIN);
            let woken = self.changed.wait_timeout(now, pause);
            (now, _) = woken.unwrap_or_else(PoisonError::into_inner);
        }
        now.silent = true;
        self.changed.notify_all();
    }

    /// How long how it ended is worth waiting for: no longer than is not felt after such work, and but a moment where
    /// the manager has not heard of it at all.
    fn last_words(&self, heard: bool, failure: Option<&Failure>) -> Duration {
        let is_hopeless = |failure: &Failure| {
            matches!(
                failure.code,
                Code::Interrupted | Code::Unreachable | Code::TooBusy
            )
        };
        if !heard || failure.is_some_and(is_hopeless) {
            return LAST_WORDS;
        }
        let share = self.begun.elapsed() / SHARE;
        share.clamp(LAST_WORDS, LONGEST_LAST_WORDS)
    }

    /// Brings the report up to date.
    fn read(&self, now: &mut Now) {
        let done = self.done.load(Ordering::Relaxed);
        let reading = now.meter.read(self.begun.elapsed(), done);
        now.report.done = reading.done;
        now.report.total = reading.total;
        now.report.rate = reading.rate;
        now.report.left = reading.left.map(|left| left.as_secs());
    }

    /// Sends what there is to tell until the command is over, or the manager does not want it.
    fn tell(&self, send: impl Fn(&Report) -> azud_transport::Result<()>) {
        loop {
            let (report, last) = {
                let mut now = self.now();
                if !now.last {
                    self.read(&mut now);
                }
                (now.report.clone(), now.last)
            };
            let sent = send(&report);
            let refused = sent.as_ref().is_err_and(|error| !error.is_temporary());
            let arrived = sent.is_ok();
            let mut now = self.now();
            now.heard |= arrived;
            now.silent |= refused || (last && arrived);
            self.changed.notify_all();
            if now.silent {
                return;
            }
            let pause = match (last, arrived) {
                (true, _) => AGAIN,
                (false, true) => PACE,
                (false, false) => LULL,
            };
            let goes_on = |now: &mut Now| !now.silent && now.last == last;
            drop(self.changed.wait_timeout_while(now, pause, goes_on));
        }
    }
}

#[cfg(test)]
mod tests;
