//! One upload: what arrives, and how the image is put together in the end.

mod held;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, TryLockError};
use std::time::{Duration, Instant, SystemTime};

use axum::body::Bytes;
use axum::http::StatusCode;
use azud_core::assembly::{Layout, Piece};
use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_core::reference::SubPath;
use azud_core::upload::{MAX_BESIDE, MAX_DESCRIPTION, Opening, RECORD_LEN, State, encode, in_runs};
use azud_store::StoreError;
use azud_store::assembly::{Facts, Inbox, Lookup, Report, Way};
use azud_store::publish::Outcome;
use azud_store::retention;
use azud_store::side::{CARRIED, Carried, InfoLine};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::AGAIN;
use super::receive::busy;
use crate::audit::Changed;
use crate::budget::{Budget, Share};
use crate::clock::Rules;
use crate::far::Far;
use crate::grant::Grant;
use crate::problem::{Problem, told};

/// What small images may have.
const LEAST_DESCRIPTION: u64 = 8 << 20;
const LEAST_BESIDE: u64 = 64 << 10;
/// So many bytes are as good as a request: who sends fewer is as good as silent.
const SIGN_OF_LIFE: usize = 64 << 10;
/// What a piece costs in the table of those that are there, in bytes of memory, about.
const ROW: u64 = 80;
/// The way of an image that was there already.
const NOTHING: &str = "nothing";

/// An upload.
#[derive(Debug)]
pub(super) struct Session {
    name: SubPath,
    sender: String,
    /// The same, as people are told.
    shown: String,
    info: Option<InfoLine>,
    /// The most bytes that the image can have.
    bytes: u64,
    /// Of the manager's.
    rules: Arc<Rules>,
    /// What its sender may see.
    grant: Grant,
    /// Records of what an earlier upload left.
    left: Mutex<Bytes>,
    carried: Mutex<Vec<(Carried, Share)>>,
    /// What the table of pieces costs.
    table: Mutex<Share>,
    /// Of descriptions one comes at a time.
    describing: Arc<Semaphore>,
    last: Mutex<Instant>,
    /// Bytes of bodies since the last sign of life.
    came: AtomicUsize,
    /// Taken when the image is put together, or the upload given up.
    pub(super) inbox: RwLock<Option<Inbox>>,
    state: Mutex<State>,
    /// What is said of pieces that are lacking, which may be long.
    lacking: Mutex<Bytes>,
    far: Far,
    /// Where pieces lie in images of the manager, once somebody asked, and what it costs.
    lookup: Mutex<Option<(Arc<Lookup>, Share)>>,
    /// Who asks first looks; the others wait for that, also when he hangs up meanwhile.
    pub(super) looking: Arc<tokio::sync::Mutex<()>>,
    /// Bytes of pieces that these had.
    held: AtomicU64,
}

/// What is behind such a lock is right whenever it is free.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    pub(super) fn new(
        name: SubPath,
        (opening, shown): (&Opening, String),
        info: Option<InfoLine>,
        (inbox, left, budget): (Inbox, &[Piece], &Arc<Budget>),
        (rules, grant): (Arc<Rules>, Grant),
    ) -> Result<Self, Problem> {
        let (mut of_left, mut table) = (budget.share(), budget.share());
        let held = of_left.hold((left.len() * RECORD_LEN) as u64);
        let held = held.and_then(|()| table.hold(ROW * inbox.pieces() as u64));
        if let Err(short) = held {
            // What cannot be given back is room for the next one.
            let _ = inbox.leave();
            return Err(short.into());
        }
        let left = of_left.with(left.iter().flat_map(encode).collect::<Vec<_>>());
        Ok(Self {
            name,
            sender: opening.sender.clone(),
            shown,
            info,
            bytes: opening.bytes,
            rules,
            grant,
            left: Mutex::new(left),
            carried: Mutex::default(),
            table: Mutex::new(table),
            describing: Arc::new(Semaphore::new(1)),
            last: Mutex::new(Instant::now()),
            came: AtomicUsize::new(0),
            inbox: RwLock::new(Some(inbox)),
            state: Mutex::new(State::Receiving),
            lacking: Mutex::default(),
            far: Far::default(),
            lookup: Mutex::default(),
            looking: Arc::default(),
            held: AtomicU64::new(0),
        })
    }

    pub(super) fn sender(&self) -> &str {
        &self.sender
    }

    /// Whether it is the upload under way of this image.
    pub(super) fn is_about(&self, name: &SubPath) -> bool {
        self.name == *name && !self.is_over()
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(*self.lock(), State::Done { .. } | State::Failed { .. })
    }

    pub(super) fn is_working(&self) -> bool {
        matches!(*self.lock(), State::Working { .. })
    }

    /// The longest description that an image of this size has: a frame holds at least a block.
    pub(super) fn longest_description(&self) -> u64 {
        (LEAST_DESCRIPTION + self.bytes / 32).min(MAX_DESCRIPTION)
    }

    /// The longest side file that goes along with an image of this size.
    pub(super) fn longest_beside(&self) -> u64 {
        (LEAST_BESIDE + self.bytes / 4096).min(MAX_BESIDE)
    }

    /// A side file that goes along; `false` if none of that ending does.
    pub(super) fn carry(&self, ending: &str, (content, share): (Vec<u8>, Share)) -> bool {
        let Some(ending) = CARRIED.into_iter().find(|one| *one == ending) else {
            return false;
        };
        let mut carried = held(&self.carried);
        carried.retain(|(one, _)| one.ending != ending);
        // Who comes again when it is over does not know that.
        if !self.is_over() {
            carried.push((Carried { ending, content }, share));
        }
        true
    }

    /// What arrived, unless the image is put together or given up just now.
    pub(super) fn try_inbox(&self) -> Result<RwLockReadGuard<'_, Option<Inbox>>, Problem> {
        self.inbox.try_read().or_else(|error| match error {
            TryLockError::WouldBlock => Err(busy(StatusCode::SERVICE_UNAVAILABLE, Code::Locked)),
            TryLockError::Poisoned(poisoned) => Ok(poisoned.into_inner()),
        })
    }

    /// Makes sure that there is memory for the table of pieces as it is.
    pub(super) fn hold_table_of(&self, inbox: &Inbox) -> Result<(), Problem> {
        Ok(held(&self.table).hold(ROW * inbox.pieces() as u64)?)
    }

    /// Refuses a second description while one comes. `None` if it is too late for one.
    pub(super) fn describe(&self) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        if !self.awaits_description() {
            return Ok(None);
        }
        let one = Arc::clone(&self.describing).try_acquire_owned();
        let one = one.map_err(|_| {
            let text = "its description is coming already";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Problem::new(status, Code::Locked, text).retry_after(AGAIN)
        })?;
        Ok(Some(one))
    }

    /// The image that is sent.
    pub(super) fn name(&self) -> String {
        self.name.to_string()
    }

    /// Its client gave a sign of life.
    pub(super) fn touch(&self) {
        *held(&self.last) = Instant::now();
    }

    /// Bytes came from it.
    pub(super) fn came(&self, bytes: usize) {
        let before = self.came.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes >= SIGN_OF_LIFE {
            self.came.store(0, Ordering::Relaxed);
            self.touch();
        }
    }

    /// When it gave one last.
    pub(super) fn last(&self) -> Instant {
        *held(&self.last)
    }

    pub(super) fn has_lapsed(&self, after: Duration) -> bool {
        // Nor does one whose bytes are just written.
        !self.is_working() && self.last().elapsed() > after && self.inbox.try_write().is_ok()
    }

    /// Whose it is, and when it ends by itself at the latest if nothing comes of it any more.
    pub(super) fn standing(&self, lapse: Duration) -> String {
        let (name, shown) = (&self.name, &self.shown);
        if self.is_working() {
            return format!("{name} came from {shown} and is being put together");
        }
        let left = lapse.saturating_sub(self.last().elapsed()).as_secs();
        format!(
            "{name} is being received from {shown}, which lapses after {left} seconds without a sign of life"
        )
    }

    /// Nobody else changes the image meanwhile.
    pub(super) fn is_in_the_way(&self, lapse: Duration) -> Problem {
        Problem::new(StatusCode::CONFLICT, Code::Locked, self.standing(lapse))
    }

    /// Unlocks the image, and keeps nothing in memory but how it stands; waits for bytes that are just written.
    pub(super) fn give_up(&self) {
        let mut inbox = self.inbox.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(inbox) = inbox.take() {
            // What cannot be given back is room for the next one.
            let _ = inbox.leave();
        }
        held(&self.carried).clear();
        *held(&self.left) = Bytes::new();
        *held(&self.lookup) = None;
        // To hold nothing is not refused.
        let _ = held(&self.table).hold(0);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        held(&self.state)
    }

    /// How it stands, as JSON.
    pub(super) fn state(&self) -> Bytes {
        let state = match &*self.lock() {
            State::Working { .. } => State::Working {
                done: self.far.done(),
                total: self.far.total(),
            },
            State::Lacking { .. } => return held(&self.lacking).clone(),
            other => other.clone(),
        };
        json(&state).into()
    }

    /// Records of what an earlier upload of this name left.
    pub(super) fn left(&self) -> Bytes {
        held(&self.left).clone()
    }

    fn awaits_description(&self) -> bool {
        matches!(*self.lock(), State::Receiving | State::Lacking { .. })
    }

    /// Begins to put the image together; `false` if it is too late for that, or it was begun already.
    pub(super) fn begin_work(&self) -> bool {
        let mut state = self.lock();
        let ready = matches!(*state, State::Receiving | State::Lacking { .. });
        if ready {
            let (done, total) = (0, 0);
            *state = State::Working { done, total };
        }
        ready
    }

    /// Puts the image together, or says what is lacking.
    pub(super) fn work(&self, (description, mut share): (Vec<u8>, Share)) {
        let state = self.put_together(description).unwrap_or_else(|error| {
            let code = match &error {
                // Nobody is asked but what lies here.
                StoreError::Source { .. } => Code::Corrupt,
                // Somebody took it away, or its folder.
                other if other.code() == Code::NotFound => {
                    let text = format!("what was sent of {} is not there any more", self.name);
                    return failed(Code::NoUpload, &text);
                }
                other => other.code(),
            };
            failed(code, &told(&error, &self.name()))
        });
        let state = if let State::Lacking { .. } = state {
            let text = json(&state);
            // It is shorter than the description was.
            let _ = share.hold(text.len() as u64);
            *held(&self.lacking) = share.with(text);
            let pieces = Vec::new();
            State::Lacking { pieces }
        } else {
            self.give_up();
            state
        };
        self.touch();
        *self.lock() = state;
    }

    /// What became of the image, where it is another than before.
    pub(super) fn changed(&self) -> Option<Changed> {
        match &*self.lock() {
            State::Done { way, replaced, .. } if way != NOTHING => {
                let what = if *replaced { "replaced" } else { "written" };
                Some(Changed::image(&self.name(), what))
            }
            _ => None,
        }
    }

    /// Something broke that must not.
    pub(super) fn broke(&self) {
        self.give_up();
        let text = "the manager broke it off";
        *self.lock() = failed(Code::Io, &text);
    }

    /// Former versions of images that the sender sees go as the manager's rules say; bytes. The image stands by then:
    /// who cannot tidy now does it after the next one.
    fn purge(&self, image: &ImageFile) -> u64 {
        let now = SystemTime::now();
        let rules = self.rules.at(now);
        let due = retention::trashed(image.dir()).map(|mut there| {
            there.retain(|version| self.grant.sees_beside(&self.name, &version.image));
            rules.plan(&there, now)
        });
        let freed = due.and_then(|due| retention::apply(image.dir(), &due, now));
        freed.unwrap_or_default().bytes
    }

    fn put_together(&self, description: Vec<u8>) -> Result<State, StoreError> {
        let wanted = match Layout::parse(description) {
            Ok(wanted) => wanted,
            Err(error) => return Ok(failed(Code::BadUpload, &error)),
        };
        let mut there = self.inbox.write().unwrap_or_else(PoisonError::into_inner);
        // Where that fails, it stays to be given up.
        let lacking = there.as_mut().map(|inbox| inbox.lacking(&wanted));
        let lacking = lacking.transpose()?.unwrap_or_default();
        if !lacking.is_empty() {
            let pieces = in_runs(lacking);
            return Ok(State::Lacking { pieces });
        }
        let Some(inbox) = there.take() else {
            return Ok(failed(Code::NoUpload, &"it was given up"));
        };
        drop(there);
        let carried = std::mem::take(&mut *held(&self.carried));
        let (carried, _shares): (Vec<_>, Vec<_>) = carried.into_iter().unzip();
        let facts = Facts {
            info: self.info.clone(),
            carried,
            now: SystemTime::now(),
        };
        let image = inbox.image().clone();
        let report = inbox.publish(wanted, &facts, &self.far)?;
        let local = report.local - report.left + self.held.load(Ordering::Relaxed);
        let report = Report { local, ..report };
        Ok(done(&report, self.purge(&image)))
    }
}

fn json(state: &State) -> Vec<u8> {
    serde_json::to_vec(state).expect("our own types serialise")
}

fn failed(code: Code, why: &dyn std::fmt::Display) -> State {
    State::Failed {
        code: code.as_str().to_owned(),
        detail: why.to_string(),
    }
}

fn done(report: &Report, purged: u64) -> State {
    let way = match report.way {
        Way::Nothing => NOTHING,
        Way::Copy => "copy",
        Way::Move => "move",
    };
    State::Done {
        identity: report.identity.to_string(),
        size: report.size,
        way: way.to_owned(),
        held: report.local,
        replaced: matches!(report.outcome, Some(Outcome::Updated { .. })),
        purged,
    }
}
