//! A read-only view of images that lie elsewhere, as a file system (FUSE): names and sizes come from a [`Source`],
//! bytes from its images.
//!
//! Architecture invariant: the only crate that knows `fuser`, and it knows neither networks nor disks. It is handed
//! a device on which the kernel asks, and answers until the view is unmounted.
//!
//! Invariants: no byte of an image is given out before the whole piece that it is of fits its hash; what was opened
//! stays what it was, or fails; names of others lead nowhere; memory is bounded whatever the images are.

mod content;
mod errors;
mod fresh;
mod fs;
mod handles;
mod pieces;
mod tree;

use std::fmt::Debug;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use azud_core::assembly::Layout;
use azud_core::io::ReadAt;
use fuser::{Config, Session, SessionACL};

/// Requests of the kernel that are answered at once.
const THREADS: usize = 8;

/// Where the images are.
pub trait Source: Debug + Send + Sync + 'static {
    /// All files, by their paths.
    ///
    /// # Errors
    /// What keeps it from answering; it has to give up by itself.
    fn list(&self) -> io::Result<impl Iterator<Item = Entry>>;

    /// One of them.
    ///
    /// # Errors
    /// As [`Source::list`]; `StaleNetworkFileHandle` when it is another one by now.
    fn open(&self, entry: &Entry) -> io::Result<Opened>;

    /// Whether it is there at all, cheaply.
    ///
    /// # Errors
    /// Why it is not.
    fn answers(&self) -> io::Result<()>;
}

/// A file, as the source tells of it. It may be untrue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// From the root of the view, `/` between folders.
    pub path: String,
    /// Its bytes.
    pub size: u64,
    /// When it was last written, in seconds since 1970.
    pub modified: u64,
    /// What tells it from others of the same name, where that is known.
    pub identity: Option<String>,
}

/// What can be read.
#[derive(Debug, Clone)]
pub enum Opened {
    /// A small file: all of it.
    Small(Arc<[u8]>),
    /// An image.
    Image(Arc<dyn Image>),
}

/// An image that stays the one that it was when it was opened: other bytes in its place are an error.
pub trait Image: ReadAt + Debug + Send + Sync {
    /// The pieces that it consists of.
    fn layout(&self) -> &Layout;
}

/// Who may read what is in a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Readers {
    /// Root alone: an image is a whole system, with what is secret in it.
    #[default]
    Root,
    /// Every user of the computer.
    Everybody,
}

impl Readers {
    /// What the modes of files may have.
    fn mask(self) -> u16 {
        match self {
            Self::Root => 0o700,
            Self::Everybody => 0o777,
        }
    }
}

/// Answers the kernel on a FUSE device until the view is unmounted.
///
/// # Errors
/// When the kernel speaks another protocol, or a thread cannot be had.
pub fn serve(source: impl Source, readers: Readers, device: OwnedFd) -> io::Result<()> {
    let mut config = Config::default();
    config.acl = SessionACL::All;
    config.n_threads = Some(THREADS);
    let view = fs::View::new(source, readers)?;
    Session::from_fd(view, device, SessionACL::All, config)?.run()
}
