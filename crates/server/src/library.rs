//! The images that a manager has, as its routes see them. Everything here may block.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use azud_core::assembly::Layout;
use azud_core::code::Code;
use azud_core::io::ReadAt;
use azud_core::name::ImageFile;
use azud_core::reference::{Host, SubPath};
use azud_store::assembly::identity;
use azud_store::lease::{Holder, refuse_others};
use azud_store::list::{Entry, list};
use azud_store::side;
use azud_store::trash;
use azud_store::tree::{Spot, Tree};
use azud_store::{Identity, StoreError, Stored};
use serde::Serialize;
use utoipa::ToSchema;

use crate::conditions::Meant;
use crate::history::Told;
use crate::indexes::{Indexes, Seen, be_courteous};
use crate::mounts::{self, Mounts, placed};
use crate::problem::{Problem, of_root};
use crate::seclusion::Seclusion;

/// How often it is looked for images whose index is missing.
const ROUND: Duration = Duration::from_mins(2);
/// Of so many identities that are named, former versions are looked for.
const MEANT: usize = 8;
/// After its start, a manager has other things to do for so long.
const SETTLE: Duration = Duration::from_secs(5);

/// The images.
#[derive(Debug)]
pub(crate) struct Library {
    root: PathBuf,
    indexes: Arc<Indexes>,
    mounts: Arc<dyn Mounts>,
    seclusion: Seclusion,
}

/// An image that was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) stored: Arc<Stored>,
    pub(crate) layout: Arc<Layout>,
    /// Whether it travels over HTTPS alone.
    pub(crate) https_only: bool,
}

impl Found {
    pub(crate) fn identity(&self) -> Identity {
        Identity(*self.layout.identity())
    }
}

/// An image in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed {
    name: String,
    size: u64,
    /// Seconds since 1970.
    modified: Option<u64>,
    /// Not told of a foreign image whose index was not made yet.
    #[schema(value_type = Option<String>)]
    identity: Option<Identity>,
    /// Whether it is a native image, where its index is known.
    native: Option<bool>,
    /// Whether it is a native image whose header is damaged, or that does not end as one. Its frames are not read for that.
    damaged: bool,
    /// The file system in a native image.
    fs: Option<String>,
    /// The line of `.info`.
    info: Option<String>,
    /// When its bytes were last verified, in seconds since 1970.
    verified: Option<u64>,
    /// Who changes it now, or has it mounted.
    lock: Option<Lock>,
    /// Whether it travels over HTTPS alone.
    https_only: bool,
    /// The files that stand beside it.
    beside: Vec<Beside>,
}

/// A lock in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Lock {
    /// `azud`, `ownerless`, `mounted`, `reduced`.
    kind: &'static str,
    /// Who holds it, for people.
    text: String,
}

impl From<&Holder> for Lock {
    fn from(holder: &Holder) -> Self {
        let (kind, text) = (holder.word(), holder.to_string());
        Self { kind, text }
    }
}

/// A side file in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Beside {
    /// What its name has more than the image's.
    ending: &'static str,
    size: u64,
    /// Seconds since 1970.
    modified: Option<u64>,
}

impl From<side::Beside> for Beside {
    fn from(beside: side::Beside) -> Self {
        Self {
            ending: beside.ending,
            size: beside.size,
            modified: beside.modified.and_then(seconds),
        }
    }
}

pub(crate) fn seconds(time: SystemTime) -> Option<u64> {
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

impl Listed {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Library {
    pub(crate) fn new(
        root: PathBuf,
        indexes: Arc<Indexes>,
        (mounts, seclusion): (Arc<dyn Mounts>, Seclusion),
    ) -> Self {
        Self {
            root,
            indexes,
            mounts,
            seclusion,
        }
    }

    /// All images of the manager's own, by name.
    pub(crate) fn list(&self) -> Result<Vec<Listed>, Problem> {
        self.list_below(&self.root, "").map_err(of_root)
    }

    /// All images of another computer's repository that is mounted here, by their names there.
    pub(crate) fn list_of(&self, host: &Host) -> Result<Vec<Listed>, Problem> {
        let top = mounts::top(&*self.mounts, host)?;
        Ok(self.list_below(&top, &format!("{host}:"))?)
    }

    /// `before` is what its names have before them when they are asked for.
    fn list_below(&self, dir: &Path, before: &str) -> Result<Vec<Listed>, StoreError> {
        let listing = list(dir, SystemTime::now())?;
        let files = listing.images.into_iter().filter(|entry| !entry.is_dir);
        let mut listed: Vec<Listed> = files
            .map(|entry| self.listed((dir, before), &entry))
            .collect();
        listed.retain(|image| !(image.https_only && self.seclusion.hides()));
        Ok(listed)
    }

    fn listed(&self, (dir, before): (&Path, &str), entry: &Entry) -> Listed {
        let path = dir.join(&entry.path);
        let name = entry.path.to_string_lossy().into_owned();
        let https_only = self.seclusion.holds(&format!("{before}{name}"), &path);
        let shown = |ending: &&str| !(https_only && Seclusion::withholds(ending));
        let endings: Vec<&'static str> = entry.side.iter().copied().filter(shown).collect();
        let beside = side::Beside::of(&path, &endings).into_iter();
        let layout = self.indexes.glance(&path);
        let layout = layout.as_deref();
        let damaged = Stored::open(&path).is_ok_and(|stored| match layout {
            Some(layout) if layout.is_native() => !layout.begins_right(&stored),
            _ => Layout::is_broken(&stored),
        });
        Listed {
            name,
            https_only,
            size: entry.size,
            modified: entry.modified.and_then(seconds),
            identity: layout.map(|layout| Identity(*layout.identity())),
            native: layout.map(Layout::is_native),
            damaged,
            fs: layout.and_then(|layout| layout.fs().map(str::to_owned)),
            info: entry
                .info
                .as_ref()
                .map(|info| info.to_line().trim_end().to_owned()),
            verified: entry.verified,
            lock: entry.lock.as_ref().map(Lock::from),
            beside: beside.map(Beside::from).collect(),
        }
    }

    /// Where an image is, by its name below the root, or as `ADDRESS:sub/name` in what is mounted here. The manager's
    /// own goes first.
    fn spot(&self, name: &str) -> Result<ImageFile, Problem> {
        let spot = self.place(name)?;
        if !spot.exists {
            let status = StatusCode::NOT_FOUND;
            return Err(Problem::new(status, Code::NotFound, name));
        }
        Ok(spot.image)
    }

    /// Where it is or would be.
    fn place(&self, name: &str) -> Result<Spot, Problem> {
        let own = SubPath::parse(name);
        Ok(match (&own, placed(name)) {
            (Ok(own), None) => self.own(own)?,
            (Ok(own), Some(other)) => match self.own(own)? {
                spot if spot.exists => spot,
                _ => self.other(other)?,
            },
            (Err(_), Some(other)) => self.other(other)?,
            (Err(error), None) => {
                let (status, text) = (StatusCode::BAD_REQUEST, error.to_string());
                return Err(Problem::new(status, Code::BadName, text));
            }
        })
    }

    /// One of the manager's own, to be changed; whether it is there is seen then.
    pub(crate) fn own_image(&self, name: &str) -> Result<ImageFile, Problem> {
        let own = SubPath::parse(name).map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, Code::BadName, error.to_string())
        })?;
        let image = self.own(&own)?.image;
        self.is_https_only(name, &image)?;
        Ok(image)
    }

    /// Its versions, the present one first; of one that is only in the trash, too.
    pub(crate) fn history(&self, name: &str) -> Result<Vec<Told>, Problem> {
        let image = self.place(name)?.image;
        self.is_https_only(name, &image)?;
        let versions = trash::history(&image, SystemTime::now(), &identity)?;
        Ok(versions.into_iter().map(Told::from).collect())
    }

    /// All of a side file of an image.
    pub(crate) fn beside(&self, name: &str, ending: &str) -> Result<Vec<u8>, Problem> {
        let (image, https_only) = self.shown(name)?;
        let content = if https_only && Seclusion::withholds(ending) {
            None
        } else {
            side::read_beside(&image.path(), ending)?
        };
        content.ok_or_else(|| {
            let text = format!("{name}{ending}");
            Problem::new(StatusCode::NOT_FOUND, Code::NotFound, text)
        })
    }

    /// Finds an image.
    pub(crate) fn find(&self, name: &str) -> Result<Found, Problem> {
        let (image, https_only) = self.shown(name)?;
        let stored = Stored::open(&image.path())?;
        let layout = self.indexes.of(&stored, placed(name).is_some())?;
        // Tools of others write in place. Whatever we put there, who has it open reads the former one.
        if !layout.is_native() {
            refuse_others(&image)?;
        }
        Ok(Found {
            stored: Arc::new(stored),
            layout,
            https_only,
        })
    }

    /// Finds the image that somebody means or, where it was replaced or put away, the former version that it is now:
    /// who began with it ends with it. Another one is refused.
    pub(crate) fn find_meant(&self, name: &str, meant: &Meant) -> Result<Found, Problem> {
        let present = self.find(name);
        if matches!(&present, Ok(found) if meant.is(Some(found.identity()))) {
            return present;
        }
        let mut named = meant.named().iter().take(MEANT);
        if let Some(found) = named.find_map(|identity| self.former(name, *identity)) {
            return Ok(found);
        }
        // Between the two looks it may have come back from there.
        let found = if meant.named().is_empty() {
            present
        } else {
            self.find(name)
        }?;
        meant.check(found.identity())?;
        Ok(found)
    }

    /// Who the image is that stands there now.
    pub(crate) fn identity(&self, path: &Path) -> Option<Identity> {
        self.indexes.identity(path)
    }

    /// A former version, within the same bounds as the image.
    fn former(&self, name: &str, wanted: Identity) -> Option<Found> {
        let image = self.place(name).ok()?.image;
        let place = image.path();
        let layout = |stored: &Stored| {
            let known = self.indexes.if_known(stored);
            known.or_else(|| self.indexes.moved(stored, (&place, wanted)))
        };
        let who = |path: &Path| Some(Identity(*layout(&Stored::open(path).ok()?)?.identity()));
        let path = trash::of_identity(&image, wanted, &who).ok()??.path;
        // The mark went to the trash along with it.
        let mut lies = [place.clone(), path.clone()].into_iter();
        let https_only = lies.any(|path| self.seclusion.holds(name, &path));
        if https_only && self.seclusion.hides() {
            return None;
        }
        let stored = Stored::open(&path).ok()?;
        let layout = layout(&stored)?;
        let found = Found {
            stored: Arc::new(stored),
            layout,
            https_only,
        };
        // What is said of it beside it may be wrong.
        (found.identity() == wanted).then_some(found)
    }

    /// Where an image is that may be given here; whether it travels over HTTPS alone.
    fn shown(&self, name: &str) -> Result<(ImageFile, bool), Problem> {
        let image = self.spot(name)?;
        let https_only = self.is_https_only(name, &image)?;
        Ok((image, https_only))
    }

    /// Whether an image travels over HTTPS alone; where such images are not given, it is not there.
    fn is_https_only(&self, name: &str, image: &ImageFile) -> Result<bool, Problem> {
        let https_only = self.seclusion.holds(name, &image.path());
        if https_only && self.seclusion.hides() {
            return Err(Problem::new(StatusCode::NOT_FOUND, Code::NotFound, name));
        }
        Ok(https_only)
    }

    fn own(&self, name: &SubPath) -> Result<Spot, Problem> {
        let tree = Tree::open(&self.root, Path::new("")).map_err(of_root)?;
        Ok(tree.spot(name)?)
    }

    fn other(&self, (host, name): (Host, SubPath)) -> Result<Spot, Problem> {
        Ok(mounts::tree(&*self.mounts, &host)?.spot(&name)?)
    }

    /// Makes the indexes that nobody has asked for yet, while nobody is served.
    pub(crate) fn work_ahead(self: &Arc<Self>) {
        let library = Arc::downgrade(self);
        thread::spawn(move || {
            be_courteous();
            thread::sleep(SETTLE);
            let mut known = HashMap::new();
            while let Some(now) = round(&library, &known) {
                known = now;
                thread::sleep(ROUND);
            }
        });
    }
}

/// Looks at each image that is not `known` as it is; all that are known now. `None` when there is no library any more.
fn round(
    library: &Weak<Library>,
    known: &HashMap<PathBuf, Seen>,
) -> Option<HashMap<PathBuf, Seen>> {
    let (root, indexes) = {
        let library = library.upgrade()?;
        (library.root.clone(), Arc::clone(&library.indexes))
    };
    indexes.tidy(&root);
    // A root that is away may come back.
    let listing = list(&root, SystemTime::now()).unwrap_or_default();
    let mut now = HashMap::new();
    for entry in listing.images {
        if entry.is_dir || entry.lock.is_some() {
            continue;
        }
        library.upgrade()?;
        let path = root.join(&entry.path);
        let Ok(stamp) = path.metadata().map(|meta| Seen::of(&meta)) else {
            continue;
        };
        if known.get(&path) == Some(&stamp) || indexes.make_ahead(&path) {
            now.insert(path, stamp);
        }
    }
    Some(now)
}

/// The bytes of an image.
pub(crate) fn read(stored: &Stored, offset: u64, len: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    stored.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}
