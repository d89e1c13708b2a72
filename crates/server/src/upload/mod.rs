//! Images that clients send, `docs/formats/upload.md`: which uploads there are, and for how long.
//!
//! What arrives lies beside the image's later place, in the store's hands; an upload that lapses leaves it there for
//! the next one of that name.

mod receive;
mod routes;
mod session;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_core::reference::SubPath;
use azud_core::upload::{Going, Opened, Opening};
use azud_store::assembly::{Around, Inbox};
use azud_store::lease::computer_of;
use azud_store::list::list;
use azud_store::publish::{check, check_assembling};
use azud_store::retention::due_of_all;
use azud_store::side::InfoLine;
use azud_store::trash::remove_if;
use azud_store::tree::{Spot, Tree};
use azud_store::{Identify, StoreError};

use crate::budget::{Budget, Short};
use crate::clock::Rules;
use crate::conditions::{Meant, another};
use crate::grant::Grant;
use crate::mounts::placed;
use crate::problem::{Problem, of_root};
use crate::state;
use session::Session;
use tokio::sync::Semaphore;

pub(crate) use routes::routes;

/// So many images are received at once.
const MOST: usize = 64;
/// Bytes in memory, about: enough for the largest image there can be, or for hundreds of usual ones.
const MEMORY: u64 = 1 << 30;
/// Bytes of what is known of where pieces lie in images: of ten uploads that could not know more, of hundreds of usual
/// ones.
const LOOKUPS: u64 = 256 << 20;
/// For so many it is found out at once: each reads indexes of several images.
const LOOKING: usize = 2;
/// A client has so long for a whole body. How long it may be still, `patience` says.
const BODY: Duration = Duration::from_mins(10);
/// So many are known at once, with those that are over.
const KNOWN: usize = 2 * MOST;
/// After so long without a word, an upload has lapsed.
const LAPSE: Duration = Duration::from_mins(2);
/// How often it is looked whether one has.
const SWEEP: Duration = Duration::from_secs(5);
/// When to try again, in seconds, while the manager is busy with what is asked for.
const AGAIN: u32 = 1;
/// For so long, another request that begins with the same image is waited for.
const SHORT_WAIT: Duration = Duration::from_secs(2);
/// The longest word of a client about itself.
const MAX_SENDER: usize = 512;
const ID_BYTES: usize = 16;

/// All uploads.
#[derive(Debug)]
pub(crate) struct Uploads {
    root: PathBuf,
    /// For how long former versions stay.
    rules: Arc<Rules>,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    /// The images of which a request is beginning one.
    beginning: Mutex<HashSet<SubPath>>,
    begun: Condvar,
    budget: Arc<Budget>,
    /// For where pieces lie in images.
    lookups: Arc<Budget>,
    looking: Arc<Semaphore>,
    /// So long a whole body may take.
    body: Duration,
}

impl Uploads {
    /// Into the images below `root`.
    pub(crate) fn new(root: PathBuf, rules: Rules) -> Arc<Self> {
        Self::within(root, rules, BODY)
    }

    /// The same, where a body has another time.
    fn within(root: PathBuf, rules: Rules, body: Duration) -> Arc<Self> {
        let uploads = Arc::new(Self {
            root,
            rules: Arc::new(rules),
            sessions: Mutex::default(),
            beginning: Mutex::default(),
            begun: Condvar::new(),
            budget: Budget::of(MEMORY),
            lookups: Budget::of(LOOKUPS),
            looking: Arc::new(Semaphore::new(LOOKING)),
            body,
        });
        let weak = Arc::downgrade(&uploads);
        std::thread::spawn(move || sweep(&weak));
        uploads
    }

    fn beginning(&self) -> MutexGuard<'_, HashSet<SubPath>> {
        self.beginning
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps others from beginning with an image until this request has. They may be of the same client, which heard nothing of the
    /// first one: who is in their way can be told in a moment.
    fn begin(&self, name: &SubPath) -> Result<Beginning<'_>, Problem> {
        let is_held = |names: &mut HashSet<SubPath>| names.contains(name);
        let waited = self
            .begun
            .wait_timeout_while(self.beginning(), SHORT_WAIT, is_held);
        let (mut names, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if names.insert(name.clone()) {
            return Ok(Beginning(self, name.clone()));
        }
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let text = format!("another request is beginning with {name}");
        Err(Problem::new(status, Code::Locked, text).retry_after(AGAIN))
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The upload of an id; whoever asks for it keeps it alive.
    fn find(&self, id: &str) -> Result<Arc<Session>, Problem> {
        let found = self.sessions().get(id).cloned();
        let session = found
            .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, Code::NoUpload, "no such upload"))?;
        session.touch();
        Ok(session)
    }

    /// Says whether one could begin: nothing is made for it. Of former versions that would go, its sender is told of
    /// those that it sees.
    fn rehearse(&self, opening: &Opening, grant: &Grant) -> Result<Opened, Problem> {
        let (name, _) = understood(opening)?;
        let (_, spot) = self.admit(&name, opening.bytes)?;
        let now = SystemTime::now();
        let mut purges = Vec::new();
        if !spot.missing {
            // The lock of one that is sent may be its own sender's, who comes again.
            if !self.is_sent(&name) && !self.beginning().contains(&name) {
                check_assembling(&spot.image, now)?;
            }
            let sees = |other: &str| grant.sees_beside(&name, other);
            let due = due_of_all(&spot.image, &self.rules.at(now), sees, now)?;
            purges.extend(due.iter().map(Going::from));
        }
        Ok(Opened {
            id: String::new(),
            arrived: 0,
            purges,
        })
    }

    fn is_sent(&self, name: &SubPath) -> bool {
        let sessions = self.sessions();
        sessions.values().any(|session| session.is_about(name))
    }

    /// Begins one; what is not sent may be in images that its sender sees.
    fn open(
        &self,
        opening: &Opening,
        grant: Grant,
        address: Option<IpAddr>,
    ) -> Result<Opened, Problem> {
        let (name, info) = understood(opening)?;
        let _beginning = self.begin(&name)?;
        self.make_way(&name, opening)?;
        let (tree, mut spot) = self.admit(&name, opening.bytes)?;
        if spot.missing {
            tree.make_folder(name.folder())?;
            spot = tree.spot(&name)?;
        }
        let shown = shown(&opening.sender, address);
        let sender = (opening.sender.as_str(), shown.as_str());
        let inbox = Inbox::open(&spot.image, opening.bytes, sender, SystemTime::now())?;
        let rules = (Arc::clone(&self.rules), grant.clone());
        let sees = move |path: &Path| path.to_str().is_some_and(|name| grant.sees(name));
        let around = Around::new(self.root.clone(), name.folder().path(), sees);
        let inbox = inbox.with(around);
        let left = inbox.left();
        let arrived = left.iter().map(|piece| u64::from(piece.len)).sum();
        let memory = (inbox, &left[..], &self.budget);
        let session = Session::new(name, (opening, shown), info, memory, rules)?;
        let session = Arc::new(session);
        let id = self.take_in(&session).inspect_err(|_| session.give_up())?;
        Ok(Opened {
            id,
            arrived,
            purges: Vec::new(),
        })
    }

    /// Gives an upload its id, unless there are too many by now. Of those that are over, the one that was asked for
    /// longest ago makes way.
    fn take_in(&self, session: &Arc<Session>) -> Result<String, Problem> {
        let id = state::random::<ID_BYTES>().map_err(|error| {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Problem::new(status, Code::Io, error.to_string())
        })?;
        let mut sessions = self.sessions();
        if open(&sessions) >= MOST {
            return Err(too_many());
        }
        if sessions.len() >= KNOWN {
            let over = sessions.iter().filter(|(_, session)| session.is_over());
            let oldest = over.min_by_key(|(_, session)| session.last());
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                sessions.remove(&oldest);
            }
        }
        sessions.insert(id.clone(), Arc::clone(session));
        Ok(id)
    }

    /// The place of an image of so many bytes, if there can be room for it.
    fn admit(&self, name: &SubPath, bytes: u64) -> Result<(Tree, Spot), Problem> {
        let tree = Tree::open(&self.root, Path::new("")).map_err(of_root)?;
        let spot = tree.spot(name)?;
        match Inbox::foresee(&spot.image, bytes) {
            Err(StoreError::TooLittleRoom { .. }) => {
                // Managers and others that were killed may have set room aside: whoever lists gives it back.
                let _ = list(&self.root, SystemTime::now());
                Inbox::foresee(&spot.image, bytes)?;
            }
            foreseen => foreseen?,
        }
        Ok((tree, spot))
    }

    /// Moves an image to the trash, if it is the one that is meant.
    fn remove(&self, name: &str, identify: &Identify<'_>, meant: &Meant) -> Result<(), Problem> {
        let (image, now) = (self.image(name)?, SystemTime::now());
        let removed = remove_if(&image, now, identify, |there| meant.is(there));
        removed.map(drop).map_err(|error| match error.code() {
            Code::SourceChanged => another(),
            _ => error.into(),
        })
    }

    /// Refuses what [`Uploads::remove`] would refuse. Nothing is touched.
    fn check_removal(&self, name: &str) -> Result<(), Problem> {
        let image = self.image(name)?;
        match check(&image, SystemTime::now())? {
            Some(_) => Ok(()),
            None => Err(StoreError::NotFound(image.path()).into()),
        }
    }

    fn image(&self, name: &str) -> Result<ImageFile, Problem> {
        self.refuse_sent(name)?;
        let name = SubPath::parse(name).map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, Code::BadName, error.to_string())
        })?;
        let tree = Tree::open(&self.root, Path::new("")).map_err(of_root)?;
        Ok(tree.spot(&name)?.image)
    }

    /// Refuses an image that is being sent: the lock beside it is this process', but who has to be waited for is its
    /// sender.
    pub(crate) fn refuse_sent(&self, name: &str) -> Result<(), Problem> {
        // What is no name is refused elsewhere.
        let Ok(name) = &SubPath::parse(name) else {
            return Ok(());
        };
        let sessions = self.sessions();
        let sent = sessions.values().find(|session| session.is_about(name));
        sent.map_or(Ok(()), |session| Err(session.is_in_the_way(LAPSE)))
    }

    /// Refuses one too many, and the second one of a name, unless the first one is dead.
    fn make_way(&self, name: &SubPath, opening: &Opening) -> Result<(), Problem> {
        let (found, count) = {
            let sessions = self.sessions();
            let same = |(_, session): &(&String, &Arc<Session>)| session.is_about(name);
            let found = sessions.iter().find(same);
            let found = found.map(|(id, session)| (id.clone(), Arc::clone(session)));
            (found, open(&sessions))
        };
        let Some((id, session)) = found else {
            if count < MOST {
                return Ok(());
            }
            return Err(too_many());
        };
        let is_dead =
            !session.sender().is_empty() && opening.instead_of.as_deref() == Some(session.sender());
        if !is_dead {
            let problem = session.is_in_the_way(LAPSE);
            return Err(problem.with("sender", session.sender()));
        }
        if session.is_working() {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let text = session.standing(LAPSE);
            return Err(Problem::new(status, Code::Locked, text).retry_after(AGAIN));
        }
        self.sessions().remove(&id);
        session.give_up();
        Ok(())
    }

    /// Gives up whatever has lapsed.
    fn give_up_lapsed(&self, after: Duration) {
        let lapsed: Vec<(String, Arc<Session>)> = {
            let sessions = self.sessions();
            let lapsed = sessions.iter().filter(|(_, one)| one.has_lapsed(after));
            lapsed
                .map(|(id, session)| (id.clone(), Arc::clone(session)))
                .collect()
        };
        for (id, session) in lapsed {
            self.sessions().remove(&id);
            session.give_up();
        }
    }

    /// Ends one; what arrived stays for the next.
    fn close(&self, id: &str) -> Result<(), Problem> {
        let session = self.find(id)?;
        if session.is_working() {
            let text = "it is being put together";
            return Err(Problem::new(StatusCode::CONFLICT, Code::Locked, text));
        }
        self.sessions().remove(id);
        session.give_up();
        Ok(())
    }
}

/// An image with which a request is beginning.
struct Beginning<'a>(&'a Uploads, SubPath);

impl Drop for Beginning<'_> {
    fn drop(&mut self) {
        self.0.beginning().remove(&self.1);
        self.0.begun.notify_all();
    }
}

/// How many are not over.
fn open(sessions: &HashMap<String, Arc<Session>>) -> usize {
    let open = sessions.values().filter(|session| !session.is_over());
    open.count()
}

/// Who sends, as people are told: what that computer calls itself, and where it was seen.
fn shown(sender: &str, address: Option<IpAddr>) -> String {
    match (computer_of(sender), address) {
        (Some(host), Some(address)) => format!("{host} ({address})"),
        (Some(host), None) => host,
        (None, Some(address)) => address.to_string(),
        (None, None) => "somebody".to_owned(),
    }
}

fn too_many() -> Problem {
    let text = format!("{MOST} images are being received");
    let status = StatusCode::TOO_MANY_REQUESTS;
    Problem::new(status, Code::TooManyUploads, text).retry_after(AGAIN)
}

/// What is to be sent: its name, and its line of `.info`.
fn understood(opening: &Opening) -> Result<(SubPath, Option<InfoLine>), Problem> {
    let bad = |code, detail: String| Problem::new(StatusCode::BAD_REQUEST, code, detail);
    let name =
        SubPath::parse(&opening.name).map_err(|error| bad(Code::BadName, error.to_string()))?;
    if placed(&opening.name).is_some() {
        let text = format!("{} is in another repository", opening.name);
        return Err(bad(Code::BadName, text));
    }
    if opening.bytes == 0 {
        return Err(bad(Code::BadUpload, "no image has no bytes".to_owned()));
    }
    if opening.sender.len() > MAX_SENDER {
        return Err(bad(Code::BadUpload, "its sender is too long".to_owned()));
    }
    let info = opening.info.as_deref().map(|line| {
        InfoLine::parse(line).ok_or_else(|| bad(Code::BadUpload, "no line of .info".to_owned()))
    });
    Ok((name, info.transpose()?))
}

/// Looks for what has lapsed, for as long as there is somebody who could ask for it.
fn sweep(uploads: &Weak<Uploads>) {
    loop {
        std::thread::sleep(SWEEP);
        let Some(uploads) = uploads.upgrade() else {
            return;
        };
        uploads.give_up_lapsed(LAPSE);
        // A clock that nobody looked at for long seems to have leapt.
        uploads.rules.at(SystemTime::now());
    }
}

impl From<Short> for Problem {
    fn from(_: Short) -> Self {
        let text = "what is being received takes all the memory that there is for it";
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::new(status, Code::TooManyUploads, text).retry_after(AGAIN)
    }
}

#[cfg(test)]
pub(crate) mod tests;
