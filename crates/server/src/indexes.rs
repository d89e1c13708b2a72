//! What images consist of. A native one says so itself; a foreign one is read whole, once: when somebody asks for it
//! first, or before that while nobody is served. What was found is kept with the state, as long as the image stays
//! as it was.

mod asked;
mod kept;

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use axum::http::StatusCode;
use azud_core::assembly::Layout;
use azud_core::code::Code;
use azud_core::format::Hash;
use azud_store::assembly::{FileSource, known_layout};
use azud_store::catalogue::Stamp;
use azud_store::{Identity, StoreError, Stored};
use rustix::process::setpriority_process;
use serde::{Deserialize, Serialize};

use self::asked::Asked;
use self::kept::Kept;
use crate::limits::Bodies;
use crate::problem::Problem;

/// Indexes of so many bytes are kept in memory, besides those that are in use; as many of images that were replaced.
const KEPT: usize = 64 << 20;
/// When to ask again for an index that is being made, in seconds.
const ASK_AGAIN: u32 = 2;
/// How often somebody who gives way looks whether it is his turn.
const LOOK: Duration = Duration::from_millis(50);
/// So long somebody who asks is held, in case it is made meanwhile.
const SHORT_WAIT: Duration = Duration::from_millis(500);
/// As courteous as a thread can be.
const COURTEOUS: i32 = 19;

/// The indexes.
#[derive(Debug)]
pub(crate) struct Indexes {
    kept: Kept,
    bodies: Arc<Bodies>,
    layouts: Mutex<HashMap<PathBuf, (Seen, Arc<Layout>)>>,
    /// Of foreign images in whose place there is another one, by their identities: somebody may be fetching them still.
    replaced: Mutex<HashMap<Hash, (Seen, Arc<Layout>)>>,
    in_making: Mutex<HashMap<PathBuf, Arc<AtomicBool>>>,
    asked: Arc<Asked>,
    /// Images that could not be read, until somebody was told.
    unreadable: Mutex<HashMap<PathBuf, Seen>>,
}

/// What tells whether an image is still the one that was looked at. Who writes in place can put back when that was; when
/// the file was last touched in any way the system alone says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    #[serde(flatten)]
    stamp: Stamp,
    /// In nanoseconds since 1970.
    changed: i64,
}

impl Seen {
    pub(crate) fn of(meta: &Metadata) -> Self {
        let seconds = meta.ctime().saturating_mul(1_000_000_000);
        Self {
            stamp: Stamp::of(meta),
            changed: seconds.saturating_add(meta.ctime_nsec()),
        }
    }

    /// Whether it is what was this before it was moved: that changed when it was last touched, and nothing else.
    fn is_moved(self, before: Self) -> bool {
        self.stamp == before.stamp
    }

    fn now(stored: &Stored) -> Result<Self, StoreError> {
        Ok(Self::of(&stored.metadata()?))
    }
}

/// An index in the making; it no longer is when this is dropped.
struct Making<'a> {
    indexes: &'a Indexes,
    path: &'a Path,
    /// Whether somebody waits for it.
    wanted: Arc<AtomicBool>,
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        held(&self.indexes.in_making).remove(self.path);
    }
}

/// Puts in what fits beside the others, or alone; what it takes the place of.
fn insert<K: Eq + std::hash::Hash>(
    layouts: &mut HashMap<K, (Seen, Arc<Layout>)>,
    key: K,
    (seen, layout): (Seen, Arc<Layout>),
) -> Option<(Seen, Arc<Layout>)> {
    let size = |layout: &Layout| layout.description().len();
    let kept: usize = layouts.values().map(|(_, layout)| size(layout)).sum();
    let former = layouts.remove(&key);
    if kept + size(&layout) > KEPT {
        layouts.clear();
    }
    layouts.insert(key, (seen, layout));
    former
}

/// What is behind such a lock is right whenever it is free.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Indexes {
    /// Kept below `state`; whoever is sent one of `bodies` goes before.
    pub(crate) fn new(state: &Path, bodies: Arc<Bodies>) -> Arc<Self> {
        Arc::new(Self {
            kept: Kept::new(state),
            bodies,
            layouts: Mutex::default(),
            replaced: Mutex::default(),
            in_making: Mutex::default(),
            asked: Arc::default(),
            unreadable: Mutex::default(),
        })
    }

    /// What an image consists of, which others may have whose server hangs; 503 while that is being found out, 502 once
    /// where it cannot be read for that.
    pub(crate) fn of(
        self: &Arc<Self>,
        stored: &Stored,
        is_others: bool,
    ) -> Result<Arc<Layout>, Problem> {
        let stamp = Seen::now(stored)?;
        if let Some(layout) = self.known(stored, stamp) {
            return Ok(layout);
        }
        stored.refuse_torn()?;
        let path = stored.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if held(&self.unreadable).remove(path) == Some(stamp) {
            // Who waits for an index would wait for ever.
            let text = format!("{name} cannot be read to its end");
            return Err(Problem::new(StatusCode::BAD_GATEWAY, Code::DiskFails, text));
        }
        self.make_for_somebody(path, is_others);
        // One of a small image is there before somebody has asked again.
        for _ in 0..SHORT_WAIT.as_millis() / LOOK.as_millis() {
            thread::sleep(LOOK);
            if let Some(layout) = self.in_memory(path, stamp) {
                return Ok(layout);
            }
        }
        let text = format!("the index of {name} is being made");
        Err(
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::IndexInMaking, text)
                .retry_after(ASK_AGAIN),
        )
    }

    /// What an image that is open consists of, if that is known; it is kept in memory for whoever asks next.
    pub(crate) fn if_known(&self, stored: &Stored) -> Option<Arc<Layout>> {
        self.known(stored, Seen::now(stored).ok()?)
    }

    /// Who an image is, if that is known.
    pub(crate) fn identity(&self, path: &Path) -> Option<Identity> {
        Some(Identity(*self.glance(path)?.identity()))
    }

    /// What an image consists of, if that is known.
    pub(crate) fn glance(&self, path: &Path) -> Option<Arc<Layout>> {
        let stored = Stored::open(path).ok()?;
        let stamp = Seen::now(&stored).ok()?;
        let layout = self.in_memory(path, stamp);
        // What is asked of all images at once would drive out what clients are fetching.
        layout.or_else(|| self.look(&stored, stamp).map(Arc::new))
    }

    fn known(&self, stored: &Stored, stamp: Seen) -> Option<Arc<Layout>> {
        let path = stored.path();
        self.in_memory(path, stamp).or_else(|| {
            let layout = self.look(stored, stamp)?;
            Some(self.keep(path, stamp, layout))
        })
    }

    fn in_memory(&self, path: &Path, stamp: Seen) -> Option<Arc<Layout>> {
        let layouts = held(&self.layouts);
        let (of, layout) = layouts.get(path)?;
        (*of == stamp).then(|| Arc::clone(layout))
    }

    /// What is kept of the image, what it says itself, what lies beside it.
    fn look(&self, stored: &Stored, stamp: Seen) -> Option<Layout> {
        let kept = self.kept.read(stored.path(), stamp);
        kept.or_else(|| known_layout(stored))
    }

    fn keep(&self, path: &Path, stamp: Seen, layout: Layout) -> Arc<Layout> {
        let layout = Arc::new(layout);
        let former = insert(
            &mut held(&self.layouts),
            path.to_owned(),
            (stamp, Arc::clone(&layout)),
        );
        // A native one tells in the trash, too, what it consists of.
        if let Some((seen, former)) = former.filter(|(_, former)| !former.is_native()) {
            insert(
                &mut held(&self.replaced),
                *former.identity(),
                (seen, former),
            );
        }
        layout
    }

    /// What a version in the trash consists of that was known before it went there, as this one at a path.
    pub(crate) fn moved(
        &self,
        stored: &Stored,
        (image, wanted): (&Path, Identity),
    ) -> Option<Arc<Layout>> {
        let now = Seen::now(stored).ok()?;
        let is_it = |(seen, layout): &&(Seen, Arc<Layout>)| {
            now.is_moved(*seen) && layout.identity() == &wanted.0
        };
        // Where nothing came in its place it is known as the one that is there.
        let there = held(&self.layouts).values().find(is_it).cloned();
        let known = there.or_else(|| held(&self.replaced).get(&wanted.0).filter(is_it).cloned());
        if let Some((_, layout)) = known {
            return Some(layout);
        }
        // It went there before this manager was started.
        let (seen, layout) = self.kept.moved(image, now, wanted)?;
        let found = (seen, Arc::new(layout));
        insert(&mut held(&self.replaced), wanted.0, found.clone());
        Some(found.1)
    }

    /// In a thread of its own, when it is its turn; nobody waits for it here.
    fn make_for_somebody(self: &Arc<Self>, path: &Path, is_others: bool) {
        if let Some(wanted) = held(&self.in_making).get(path) {
            wanted.store(true, Ordering::Relaxed);
            return;
        }
        let indexes = Arc::clone(self);
        let make = move |path: &Path| indexes.make_asked(path);
        self.asked.ask((path, is_others), make);
    }

    /// Makes an index that somebody asked for a while ago.
    fn make_asked(&self, path: &Path) {
        let known = Stored::open(path).ok();
        let known = known.and_then(|stored| self.if_known(&stored));
        if known.is_none() {
            // Who asks again is told what keeps it from being made.
            let _ = self.make(path, true);
        }
    }

    /// Makes an index that nobody has asked for, and gives way to everybody who is served. Whether it is there now.
    pub(crate) fn make_ahead(&self, path: &Path) -> bool {
        self.identity(path).is_some() || self.make(path, false).is_some()
    }

    fn make(&self, path: &Path, wanted: bool) -> Option<()> {
        let making = self.begin(path, wanted)?;
        let source = FileSource::open(path).ok()?;
        let stamp = Seen::now(source.stored()).ok()?;
        let hashed = source.hashed_by_turns(|| making.wait_for_turn());
        if hashed.is_err() {
            held(&self.unreadable).insert(path.to_owned(), stamp);
        }
        let layout = hashed.ok()?;
        if !making.is_wanted() {
            source.stored().forget_cached();
        }
        // What was written meanwhile was hashed neither as it was nor as it is.
        if Seen::now(source.stored()).ok()? != stamp {
            return None;
        }
        // Without a file it has to be made again after a restart; no more than that.
        let _ = self.kept.write(path, stamp, &layout);
        self.keep(path, stamp, layout);
        Some(())
    }

    fn begin<'a>(&'a self, path: &'a Path, wanted: bool) -> Option<Making<'a>> {
        let mut in_making = held(&self.in_making);
        if let Some(already) = in_making.get(path) {
            already.fetch_or(wanted, Ordering::Relaxed);
            return None;
        }
        let wanted = Arc::new(AtomicBool::new(wanted));
        in_making.insert(path.to_owned(), Arc::clone(&wanted));
        Some(Making {
            indexes: self,
            path,
            wanted,
        })
    }

    /// Takes away what is kept of images below `root` that are gone for good, or too long.
    pub(crate) fn tidy(&self, root: &Path) {
        self.kept.tidy(root);
    }
}

impl Making<'_> {
    fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Who waits for this very index needs no more patience than for a copy.
    fn wait_for_turn(&self) {
        while self.indexes.bodies.any() && !self.is_wanted() {
            thread::sleep(LOOK);
        }
    }
}

/// Has this thread give way to all others.
pub(crate) fn be_courteous() {
    // Of no thread but this one: that is how Linux has it. Who may not is still courteous to who is served.
    let _ = setpriority_process(None, COURTEOUS);
}

#[cfg(test)]
mod tests;
