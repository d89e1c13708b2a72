//! What images consist of. A native one says so itself; a foreign one is read whole, once: when somebody asks for it
//! first, or before that while nobody is served. What was found is kept with the state, as long as the image stays
//! as it was.

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
        })
    }

    /// What an image consists of; 503 while that is being found out.
    pub(crate) fn of(self: &Arc<Self>, stored: &Stored) -> Result<Arc<Layout>, Problem> {
        let stamp = Seen::now(stored)?;
        if let Some(layout) = self.known(stored, stamp) {
            return Ok(layout);
        }
        let path = stored.path();
        self.make_for_somebody(path);
        // One of a small image is there before somebody has asked again.
        for _ in 0..SHORT_WAIT.as_millis() / LOOK.as_millis() {
            thread::sleep(LOOK);
            if let Some(layout) = self.in_memory(path, stamp) {
                return Ok(layout);
            }
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
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

    /// In a thread of its own; nobody waits for it here.
    fn make_for_somebody(self: &Arc<Self>, path: &Path) {
        if let Some(wanted) = held(&self.in_making).get(path) {
            wanted.store(true, Ordering::Relaxed);
            return;
        }
        let (indexes, path) = (Arc::clone(self), path.to_owned());
        thread::spawn(move || indexes.make(&path, true));
    }

    /// Makes an index that nobody has asked for, and gives way to everybody who is served. Whether it is there now.
    pub(crate) fn make_ahead(&self, path: &Path) -> bool {
        self.identity(path).is_some() || self.make(path, false).is_some()
    }

    fn make(&self, path: &Path, wanted: bool) -> Option<()> {
        let making = self.begin(path, wanted)?;
        let source = FileSource::open(path).ok()?;
        let stamp = Seen::now(source.stored()).ok()?;
        let layout = source.hashed_by_turns(|| making.wait_for_turn()).ok()?;
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
        if in_making.contains_key(path) {
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
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::thread;
    use std::time::{Duration, SystemTime};

    use azud_core::name::ImageFile;
    use azud_store::{Identity, Stored, trash};

    use super::Indexes;
    use crate::limits::Bodies;

    struct Site {
        dir: tempfile::TempDir,
        bodies: Arc<Bodies>,
    }

    impl Site {
        fn new() -> (Self, PathBuf) {
            let dir = tempfile::tempdir().unwrap();
            let image = dir.path().join("old.img");
            fs::write(&image, vec![7; 9 << 20]).unwrap();
            let bodies = Arc::default();
            (Self { dir, bodies }, image)
        }

        /// As after a start of the manager.
        fn indexes(&self) -> Arc<Indexes> {
            Indexes::new(self.dir.path(), Arc::clone(&self.bodies))
        }

        fn files(&self) -> usize {
            fs::read_dir(self.dir.path().join("indexes")).map_or(0, Iterator::count)
        }
    }

    fn is_known(indexes: &Indexes, image: &Path) -> bool {
        indexes.identity(image).is_some()
    }

    #[test]
    fn what_was_found_out_outlives_the_manager_and_not_the_image() {
        let (site, image) = Site::new();
        assert!(!is_known(&site.indexes(), &image));
        assert!(site.indexes().make_ahead(&image));
        let again = site.indexes();
        assert!(is_known(&again, &image));
        again.tidy(site.dir.path());
        assert_eq!(site.files(), 1);
        fs::write(&image, vec![8; (9 << 20) + 1]).unwrap();
        assert!(!is_known(&again, &image) && !is_known(&site.indexes(), &image));
        again.tidy(site.dir.path());
        assert_eq!(site.files(), 0);
    }

    #[test]
    fn what_is_in_the_trash_outlives_the_manager_as_long_as_it_is_there() {
        let (site, image) = Site::new();
        assert!(site.indexes().make_ahead(&image));
        let wanted = site.indexes().identity(&image).unwrap();
        let parsed = ImageFile::parse(image.clone()).unwrap();
        let gone = trash::remove(&parsed, SystemTime::now(), &|_| None).unwrap();
        let stored = Stored::open(&gone.join("old.img")).unwrap();
        let moved = |wanted| site.indexes().moved(&stored, (&image, wanted)).is_some();
        assert!(moved(wanted));
        site.indexes().tidy(site.dir.path());
        assert!(moved(wanted) && site.files() == 1);
        assert!(!moved(Identity([0; 32])));
        // Another one in its place, and its index, take nothing away.
        fs::write(&image, vec![8; 9 << 20]).unwrap();
        assert!(site.indexes().make_ahead(&image) && moved(wanted));
        site.indexes().tidy(site.dir.path());
        assert!(moved(wanted) && is_known(&site.indexes(), &image));
        assert_eq!(site.files(), 2);
        fs::remove_dir_all(gone).unwrap();
        site.indexes().tidy(site.dir.path());
        assert!(!moved(wanted) && is_known(&site.indexes(), &image));
        assert_eq!(site.files(), 1);
    }

    #[test]
    fn of_former_versions_a_number_is_kept() {
        let (site, image) = Site::new();
        let parsed = ImageFile::parse(image.clone()).unwrap();
        for byte in 0..34 {
            fs::write(&image, vec![byte; 9]).unwrap();
            assert!(site.indexes().make_ahead(&image));
            trash::remove(&parsed, SystemTime::now(), &|_| None).unwrap();
        }
        site.indexes().tidy(site.dir.path());
        assert_eq!(site.files(), 32);
    }

    #[test]
    fn what_is_known_of_a_repository_that_is_away_is_kept() {
        let (site, image) = Site::new();
        let nas = site.dir.path().join("10.0.0.9");
        fs::create_dir(&nas).unwrap();
        let there = nas.join("old.img");
        fs::rename(image, &there).unwrap();
        let indexes = site.indexes();
        assert!(indexes.make_ahead(&there));
        fs::remove_dir_all(&nas).unwrap();
        indexes.tidy(site.dir.path());
        assert_eq!(site.files(), 1);
    }

    /// A medium that is not mounted is an empty directory on another file system.
    #[test]
    fn regression_what_is_known_of_images_whose_medium_is_away_is_kept() {
        let (site, image) = Site::new();
        let (root, medium) = (site.dir.path().join("root"), site.dir.path().join("medium"));
        let mount = |dir: &Path| {
            let _ = fs::remove_file(&root);
            symlink(dir, &root).unwrap();
        };
        fs::create_dir(&medium).unwrap();
        mount(&medium);
        let there = root.join("old.img");
        fs::rename(image, &there).unwrap();
        assert!(site.indexes().make_ahead(&there));
        mount(Path::new("/proc"));
        site.indexes().tidy(&root);
        assert_eq!(site.files(), 1);
        mount(&medium);
        assert!(is_known(&site.indexes(), &there));
        // Of a former version, too.
        let parsed = ImageFile::parse(there.clone()).unwrap();
        trash::remove(&parsed, SystemTime::now(), &|_| None).unwrap();
        site.indexes().tidy(&root);
        mount(Path::new("/proc"));
        site.indexes().tidy(&root);
        assert_eq!(site.files(), 1);
        // What is gone while its medium is there is gone.
        mount(&medium);
        fs::remove_dir_all(medium.join(".azud-trash")).unwrap();
        site.indexes().tidy(&root);
        assert_eq!(site.files(), 0);
    }

    #[test]
    fn a_damaged_file_is_made_again() {
        let (site, image) = Site::new();
        assert!(site.indexes().make_ahead(&image));
        let kept = fs::read_dir(site.dir.path().join("indexes"));
        let file = kept.unwrap().next().unwrap().unwrap().path();
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file, bytes).unwrap();
        let again = site.indexes();
        assert!(!is_known(&again, &image));
        assert!(again.make_ahead(&image) && is_known(&site.indexes(), &image));
    }

    #[test]
    fn who_is_served_goes_before_and_who_asks_does_not_wait_for_others() {
        let (site, image) = Site::new();
        let served = site.bodies.begin();
        let indexes = site.indexes();
        let ahead = {
            let (indexes, image) = (Arc::clone(&indexes), image.clone());
            thread::spawn(move || indexes.make_ahead(&image))
        };
        while !super::held(&indexes.in_making).contains_key(&image) {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(200));
        assert!(!is_known(&indexes, &image), "it did not give way");
        // Somebody asks for it: it is made although others are served.
        let _ = indexes.of(&Stored::open(&image).unwrap());
        assert!(ahead.join().unwrap());
        assert!(indexes.of(&Stored::open(&image).unwrap()).is_ok());
        drop(served);
    }
}
