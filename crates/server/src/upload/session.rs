//! One upload: what arrives, and how the image is put together in the end.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use azud_core::assembly::{Layout, Piece};
use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_core::reference::SubPath;
use azud_core::upload::{MAX_BESIDE, MAX_DESCRIPTION, Opening, RECORD_LEN, State, encode};
use azud_store::StoreError;
use azud_store::assembly::{Facts, Inbox, Report, Way};
use azud_store::publish::Outcome;
use azud_store::retention::{self, Retention};
use azud_store::side::{CARRIED, Carried, InfoLine};

use crate::audit::Changed;
use crate::far::Far;
use crate::grant::Grant;
use crate::problem::told;

/// What small images may have.
const LEAST_DESCRIPTION: u64 = 8 << 20;
const LEAST_BESIDE: u64 = 64 << 10;
/// The way of an image that was there already.
const NOTHING: &str = "nothing";

/// An upload.
#[derive(Debug)]
pub(super) struct Session {
    name: SubPath,
    sender: String,
    info: Option<InfoLine>,
    /// The most bytes that the image can have.
    bytes: u64,
    /// Of the manager's.
    retention: Retention,
    /// What its sender may see.
    grant: Grant,
    left: Vec<Piece>,
    carried: Mutex<Vec<Carried>>,
    last: Mutex<Instant>,
    /// Taken when the image is put together, or the upload given up.
    pub(super) inbox: RwLock<Option<Inbox>>,
    state: Mutex<State>,
    far: Far,
}

impl Session {
    pub(super) fn new(
        name: SubPath,
        opening: &Opening,
        info: Option<InfoLine>,
        (inbox, left): (Inbox, Vec<Piece>),
        (retention, grant): (Retention, Grant),
    ) -> Self {
        Self {
            name,
            sender: opening.sender.clone(),
            info,
            bytes: opening.bytes,
            retention,
            grant,
            left,
            carried: Mutex::default(),
            last: Mutex::new(Instant::now()),
            inbox: RwLock::new(Some(inbox)),
            state: Mutex::new(State::Receiving),
            far: Far::default(),
        }
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
    pub(super) fn carry(&self, ending: &str, content: Vec<u8>) -> bool {
        let Some(ending) = CARRIED.into_iter().find(|one| *one == ending) else {
            return false;
        };
        let mut carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        carried.retain(|one| one.ending != ending);
        carried.push(Carried { ending, content });
        true
    }

    /// The image that is sent.
    pub(super) fn name(&self) -> String {
        self.name.to_string()
    }

    /// Its client gave a sign of life.
    pub(super) fn touch(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn has_lapsed(&self, after: Duration) -> bool {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Nor does one whose pieces are just coming.
        !self.is_working() && last.elapsed() > after && self.inbox.try_write().is_ok()
    }

    /// Unlocks the image; waits for pieces that are just coming.
    pub(super) fn give_up(&self) {
        let mut inbox = self.inbox.write().unwrap_or_else(PoisonError::into_inner);
        *inbox = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it stands.
    pub(super) fn state(&self) -> State {
        match &*self.lock() {
            State::Working { .. } => State::Working {
                done: self.far.done(),
                total: self.far.total(),
            },
            other => other.clone(),
        }
    }

    /// Records of what an earlier upload of this name left.
    pub(super) fn left(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.left.len() * RECORD_LEN);
        self.left.iter().for_each(|piece| out.extend(encode(piece)));
        out
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
    pub(super) fn work(&self, description: Vec<u8>) {
        let state = self.put_together(description).unwrap_or_else(|error| {
            let code = match &error {
                // Nobody is asked but what lies here.
                StoreError::Source { .. } => Code::Corrupt,
                other => other.code(),
            };
            failed(code, &told(&error, &self.name()))
        });
        if matches!(state, State::Failed { .. }) {
            self.give_up();
        }
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
        let due = retention::trashed(image.dir()).map(|mut there| {
            there.retain(|version| self.grant.sees_beside(&self.name, &version.image));
            self.retention.plan(&there, now)
        });
        let freed = due.and_then(|due| retention::apply(image.dir(), &due, now));
        freed.unwrap_or_default().bytes
    }

    fn put_together(&self, description: Vec<u8>) -> Result<State, StoreError> {
        let wanted = match Layout::parse(description) {
            Ok(wanted) => wanted,
            Err(error) => return Ok(failed(Code::BadUpload, &error)),
        };
        let mut held = self.inbox.write().unwrap_or_else(PoisonError::into_inner);
        let Some(mut inbox) = held.take() else {
            return Ok(failed(Code::NoUpload, &"it was given up"));
        };
        let lacking = inbox.lacking(&wanted)?;
        if !lacking.is_empty() {
            *held = Some(inbox);
            let mut pieces: Vec<(usize, usize)> = Vec::new();
            for run in lacking {
                match pieces.last_mut() {
                    Some((first, count)) if *first + *count == run.start => *count += run.len(),
                    _ => pieces.push((run.start, run.len())),
                }
            }
            return Ok(State::Lacking { pieces });
        }
        drop(held);
        let facts = Facts {
            info: self.info.clone(),
            carried: self
                .carried
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            now: SystemTime::now(),
        };
        let image = inbox.image().clone();
        let report = inbox.publish(wanted, &facts, &self.far)?;
        Ok(done(&report, self.purge(&image)))
    }
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
