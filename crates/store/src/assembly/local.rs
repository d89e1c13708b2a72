//! Images that are here already, whose pieces need not be fetched.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use azud_core::assembly::{Layout, LayoutError, Source, SourceError};
use azud_core::bitmap::Bitmap;
use azud_core::format::Hash;
use azud_core::format::ranges::{RANGE, RangeIndex};
use azud_core::io::ReadAt;
use azud_core::name::beside;

use crate::durable;
use crate::error::{At, Result, StoreError};
use crate::identity::Identity;
use crate::stored::Stored;

/// Ending of the index of a foreign image.
pub const INDEX: &str = ".index";

const MAX_INDEX_FILE: u64 = 1 << 30;

/// An image here.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) stored: Stored,
    pub(super) layout: Layout,
}

impl Local {
    /// Opens an image, if its pieces are known.
    pub(super) fn open(path: &Path) -> Option<Self> {
        Self::of(Stored::open(path).ok()?)
    }

    pub(super) fn of(stored: Stored) -> Option<Self> {
        let layout = known_layout(&stored)?;
        Some(Self { stored, layout })
    }

    /// As [`Local::of`], where it matters why its pieces are not known: `None` if it is none of ours.
    pub(super) fn told(stored: Stored) -> Result<Option<Self>> {
        let path = stored.path().to_owned();
        let index = beside(&path, INDEX);
        let layout = match Layout::read_native(&stored) {
            Ok(layout) => layout,
            Err(LayoutError::Read { source, .. }) => return Err(source).at("read", &path),
            Err(LayoutError::Format(_)) if Layout::is_broken(&stored) => {
                return Err(StoreError::HalfMoved(path));
            }
            Err(LayoutError::Format(_)) => match durable::read_small(&index, MAX_INDEX_FILE) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                read => match Layout::parse(read.at("read", &index)?) {
                    Ok(layout) if !layout.is_native() => layout,
                    _ => return Err(StoreError::HalfMoved(path)),
                },
            },
        };
        let fits = layout.size() == stored.len();
        Ok(fits.then_some(Self { stored, layout }))
    }

    /// Looks for nothing in pieces that are damaged.
    pub(super) fn leave_out(&mut self, bad: &[u64]) {
        if bad.is_empty() {
            return;
        }
        let count = self.layout.pieces().len() as u64;
        let mut there = Bitmap::full(count);
        for &number in bad.iter().filter(|number| **number < count) {
            there.clear(number);
        }
        self.layout = self.layout.clone().only(&there);
    }
}

/// The layout of a stored image as far as it can be told without reading all of it: from its ending, or
/// from the index beside it.
pub fn known_layout(stored: &Stored) -> Option<Layout> {
    layout_beside(stored, stored.path())
}

/// The same of one that has this name, too.
pub(super) fn layout_beside(stored: &Stored, path: &Path) -> Option<Layout> {
    if let Ok(layout) = Layout::read_native(stored) {
        return Some(layout);
    }
    let index = beside(path, INDEX);
    let index = durable::read_small(&index, MAX_INDEX_FILE).ok()?;
    let layout = Layout::parse(index).ok()?;
    (!layout.is_native() && layout.size() == stored.len()).then_some(layout)
}

/// The identity of a stored image: of a native one by its ending, of a foreign one by the index beside it.
pub fn identity(path: &Path) -> Option<Identity> {
    let stored = Stored::open(path).ok()?;
    Some(Identity(*known_layout(&stored)?.identity()))
}

impl From<Stored> for FileSource {
    fn from(stored: Stored) -> Self {
        let heard = AtomicU64::new(0);
        Self { stored, heard }
    }
}

/// So much is read at once: of a medium that is slow, something comes now and then.
const AT_ONCE: usize = 1 << 20;

/// An image file as a source.
#[derive(Debug)]
pub struct FileSource {
    stored: Stored,
    /// Bytes that came so far.
    heard: AtomicU64,
}

impl FileSource {
    /// Opens it.
    ///
    /// # Errors
    /// As [`Stored::open`].
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Stored::open(path)?.into())
    }

    /// What it consists of by its own bytes: the ending of a native image, else every range hashed now, whatever an
    /// index beside it says.
    ///
    /// # Errors
    /// [`StoreError::Source`] when it cannot be read.
    pub fn hashed(&self) -> Result<Layout> {
        self.hashed_by_turns(|| ())
    }

    /// As [`FileSource::hashed`], for somebody who gives way to others: `turn` is called before each range and
    /// returns when it may be read.
    ///
    /// # Errors
    /// As [`FileSource::hashed`].
    pub fn hashed_by_turns(&self, turn: impl FnMut()) -> Result<Layout> {
        let layout = match Layout::read_native(&self.stored) {
            Ok(layout) => Ok(layout),
            Err(LayoutError::Read { source, .. }) => Err(SourceError::of_io(source)),
            Err(LayoutError::Format(_)) => self.hash_ranges(turn),
        };
        layout.map_err(|source| StoreError::Source {
            name: self.name(),
            source,
        })
    }

    /// Its bytes.
    pub fn stored(&self) -> &Stored {
        &self.stored
    }

    fn hash_ranges(&self, mut turn: impl FnMut()) -> std::result::Result<Layout, SourceError> {
        let permanent = |error| SourceError::Permanent(std::io::Error::other(error));
        self.stored.refuse_torn().map_err(permanent)?;
        let size = self.stored.len();
        let too_large = |error| SourceError::Permanent(std::io::Error::other(error));
        let count = RangeIndex::count(size).map_err(too_large)?;
        let mut hashes = Vec::with_capacity(count);
        let mut buf = vec![0; RANGE as usize];
        let mut offset = 0;
        while offset < size {
            turn();
            let len = usize::try_from((size - offset).min(RANGE.into())).expect("at most a range");
            self.read(offset, &mut buf[..len])?;
            hashes.push(*blake3::hash(&buf[..len]).as_bytes());
            offset += len as u64;
        }
        Layout::parse(RangeIndex { size, hashes }.encode()).map_err(too_large)
    }
}

impl Source for FileSource {
    /// From the ending, or the index beside it; else every range is read and hashed.
    fn layout(&self) -> std::result::Result<Layout, SourceError> {
        match Layout::read_native(&self.stored) {
            Ok(layout) => Ok(layout),
            Err(LayoutError::Read { source, .. }) => Err(SourceError::of_io(source)),
            Err(LayoutError::Format(_)) => match known_layout(&self.stored) {
                Some(layout) => Ok(layout),
                None => self.hash_ranges(|| ()),
            },
        }
    }

    fn size(&self) -> Option<u64> {
        Some(self.stored.len())
    }

    fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> std::result::Result<(), SourceError> {
        let mut at = offset;
        for part in buf.chunks_mut(AT_ONCE) {
            let read = self.stored.read_exact_at(part, at);
            read.map_err(SourceError::of_io)?;
            at += part.len() as u64;
            self.heard.fetch_add(part.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    fn identity(&self) -> std::result::Result<Hash, SourceError> {
        Ok(*self.layout()?.identity())
    }

    fn name(&self) -> String {
        self.stored.path().display().to_string()
    }
}

/// A failure of a source.
pub(super) fn failed(source: &dyn Source, error: SourceError) -> StoreError {
    StoreError::Source {
        name: source.name(),
        source: error,
    }
}
