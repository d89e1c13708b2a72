//! The images that a manager has, as its routes see them. Everything here may block.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use azud_core::assembly::{Layout, Source};
use azud_core::code::Code;
use azud_core::io::ReadAt;
use azud_core::reference::SubPath;
use azud_store::assembly::{FileSource, identity};
use azud_store::catalogue::Stamp;
use azud_store::lease::refuse_held;
use azud_store::list::{Entry, list};
use azud_store::tree::Tree;
use azud_store::{Identity, Stored};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::Problem;

/// Indexes of so many bytes are kept, besides those that are in use.
const KEPT: usize = 64 << 20;
/// When to ask again for an index that is being made, in seconds.
const INDEX_AFTER: u32 = 2;

/// The images.
#[derive(Debug)]
pub(crate) struct Library {
    root: PathBuf,
    layouts: Mutex<HashMap<PathBuf, (Stamp, Arc<Layout>)>>,
    in_making: Mutex<HashSet<PathBuf>>,
}

/// An image that was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) stored: Arc<Stored>,
    pub(crate) layout: Arc<Layout>,
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
    /// The line of `.info`.
    info: Option<String>,
    /// When its bytes were last verified, in seconds since 1970.
    verified: Option<u64>,
}

impl Listed {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Library {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            layouts: Mutex::default(),
            in_making: Mutex::default(),
        }
    }

    /// All images, by name.
    pub(crate) fn list(&self, now: SystemTime) -> Result<Vec<Listed>, Problem> {
        let listing = list(&self.root, now)?;
        let files = listing.images.into_iter().filter(|entry| !entry.is_dir);
        Ok(files.map(|entry| self.listed(&entry)).collect())
    }

    fn listed(&self, entry: &Entry) -> Listed {
        Listed {
            name: entry.path.to_string_lossy().into_owned(),
            size: entry.size,
            modified: entry
                .modified
                .and_then(|time| Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())),
            identity: identity(&self.root.join(&entry.path)),
            info: entry
                .info
                .as_ref()
                .map(|info| info.to_line().trim_end().to_owned()),
            verified: entry.verified,
        }
    }

    /// Finds an image by its name below the root.
    pub(crate) fn find(self: &Arc<Self>, name: &str) -> Result<Found, Problem> {
        let bad = |error: &dyn std::fmt::Display| {
            Problem::new(StatusCode::BAD_REQUEST, Code::BadName, error.to_string())
        };
        let name = SubPath::parse(name).map_err(|error| bad(&error))?;
        let spot = Tree::open(&self.root, Path::new(""))?.spot(&name)?;
        if !spot.exists {
            return Err(Problem::new(
                StatusCode::NOT_FOUND,
                Code::NotFound,
                name.to_string(),
            ));
        }
        let stored = Stored::open(&spot.image.path())?;
        let layout = self.layout(&stored)?;
        // Tools of others write in place.
        if !layout.is_native() {
            refuse_held(&spot.image)?;
        }
        Ok(Found {
            stored: Arc::new(stored),
            layout,
        })
    }

    fn layout(self: &Arc<Self>, stored: &Stored) -> Result<Arc<Layout>, Problem> {
        let path = stored.path();
        let stamp = stored.stamp()?;
        if let Some((of, layout)) = self.layouts.lock().expect("no holder panics").get(path)
            && *of == stamp
        {
            return Ok(Arc::clone(layout));
        }
        let told = Layout::read_native(stored).ok();
        if let Some(layout) = told.or_else(|| azud_store::assembly::known_layout(stored)) {
            return Ok(self.keep(path, stamp, layout));
        }
        self.make_index(path, stamp);
        let text = format!("the index of {} is being made", path.display());
        Err(
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::IndexInMaking, text)
                .retry_after(INDEX_AFTER),
        )
    }

    fn keep(&self, path: &Path, stamp: Stamp, layout: Layout) -> Arc<Layout> {
        let layout = Arc::new(layout);
        let mut layouts = self.layouts.lock().expect("no holder panics");
        let kept: usize = layouts
            .values()
            .map(|(_, layout)| layout.description().len())
            .sum();
        if kept + layout.description().len() > KEPT {
            layouts.clear();
        }
        layouts.insert(path.to_owned(), (stamp, Arc::clone(&layout)));
        layout
    }

    /// Hashes a foreign image in a thread of its own; nobody waits for it.
    fn make_index(self: &Arc<Self>, path: &Path, stamp: Stamp) {
        if !self
            .in_making
            .lock()
            .expect("no holder panics")
            .insert(path.to_owned())
        {
            return;
        }
        let (library, path) = (Arc::clone(self), path.to_owned());
        std::thread::spawn(move || {
            let layout = FileSource::open(&path)
                .ok()
                .and_then(|source| source.layout().ok());
            if let Some(layout) = layout {
                library.keep(&path, stamp, layout);
            }
            library
                .in_making
                .lock()
                .expect("no holder panics")
                .remove(&path);
        });
    }
}

/// The bytes of an image.
pub(crate) fn read(stored: &Stored, offset: u64, len: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    stored.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}
