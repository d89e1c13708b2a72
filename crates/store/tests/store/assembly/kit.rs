//! Small native images whose frames are told by numbers, and a source that misbehaves on demand.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use azud_core::assembly::{Layout, Source, SourceError};
use azud_core::format::Hash;
use azud_core::format::container;
use azud_core::format::index::{Frame, Index};
use azud_core::io::ReadAt;
use azud_core::name::ImageFile;
use azud_core::progress::{Progress, Silent};
use azud_store::assembly::{Assembly, Facts, Moving, Report};
use azud_store::{StoreError, Stored};

use crate::common::image;
use crate::gate::with_locks;

/// So many bytes are recorded and moved at once.
pub(super) const STEP: u64 = 100_000;

/// The bytes of a frame: noise that its number tells.
pub(super) fn frame(number: u64) -> Vec<u8> {
    let len = 20_000 + usize::try_from(number * 7919 % 40_000).unwrap();
    let mut bytes = vec![0; len];
    let mut noise = blake3::Hasher::new();
    noise.update(&number.to_le_bytes());
    noise.finalize_xof().fill(&mut bytes);
    bytes
}

/// A native image of these frames, as far as the store looks at it.
pub(super) fn native(numbers: &[u64]) -> Vec<u8> {
    let frames: Vec<Vec<u8>> = numbers.iter().map(|number| frame(*number)).collect();
    let row = |bytes: &Vec<u8>| Frame {
        compressed_len: u32::try_from(bytes.len()).unwrap(),
        content_len: u32::try_from(bytes.len()).unwrap(),
        compressed_hash: *blake3::hash(bytes).as_bytes(),
        content_hash: [0; 32],
    };
    let index = Index {
        frames: frames.iter().map(row).collect(),
        ..Index::default()
    };
    let mut bytes = frames.concat();
    bytes.extend(container::ending(&index).0);
    bytes
}

/// The image that is here …
pub(super) fn old() -> Vec<u8> {
    native(&(0..40).collect::<Vec<_>>())
}

/// … and the one that is to come: some frames are new, two have gone, one comes twice.
pub(super) fn new() -> Vec<u8> {
    let mut numbers: Vec<u64> = (0..40).filter(|n| *n != 5 && *n != 30).collect();
    numbers[20] = 120;
    numbers.insert(10, 110);
    numbers.insert(33, 3);
    native(&numbers)
}

/// Bytes that only the source has.
pub(super) fn absent() -> u64 {
    (frame(110).len() + frame(120).len()) as u64
}

/// A source in memory.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) bytes: Vec<u8>,
    layout: Layout,
    /// Bytes that were read.
    pub(super) read: AtomicU64,
    /// Reads that reach beyond this offset fail …
    pub(super) broken_from: u64,
    /// … in this way.
    pub(super) error: fn() -> SourceError,
    /// Who it says that it is by now.
    pub(super) now: Hash,
}

impl Memory {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let layout = Layout::read_native(&bytes).unwrap();
        Self {
            now: *layout.identity(),
            layout,
            bytes,
            read: AtomicU64::new(0),
            broken_from: u64::MAX,
            error: || SourceError::Permanent(io::Error::other("unplugged")),
        }
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

impl Source for Memory {
    fn layout(&self) -> Result<Layout, SourceError> {
        Ok(self.layout.clone())
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        if offset + buf.len() as u64 > self.broken_from {
            return Err((self.error)());
        }
        self.read.fetch_add(buf.len() as u64, Ordering::Relaxed);
        let read = self.bytes.read_exact_at(buf, offset);
        read.map_err(SourceError::Permanent)
    }

    fn identity(&self) -> Result<Hash, SourceError> {
        Ok(self.now)
    }

    fn name(&self) -> String {
        "memory".to_owned()
    }
}

/// Receives the image; the clock stands still.
pub(super) fn receive(
    image: &ImageFile,
    source: &dyn Source,
    moving: Moving,
) -> Result<Report, StoreError> {
    receive_seen(image, source, moving, &Silent)
}

/// The same, with somebody who looks on.
pub(super) fn receive_seen(
    image: &ImageFile,
    source: &dyn Source,
    moving: Moving,
    progress: &dyn Progress,
) -> Result<Report, StoreError> {
    receive_by(image, source, (moving, STEP), progress)
}

/// The same; how far it is is written down after every so many bytes.
pub(super) fn receive_by(
    image: &ImageFile,
    source: &dyn Source,
    (moving, step): (Moving, u64),
    progress: &dyn Progress,
) -> Result<Report, StoreError> {
    let facts = Facts {
        info: None,
        carried: Vec::new(),
        now: moment(),
    };
    with_locks(|| {
        Assembly::plan(image, source, moving)?
            .step(step)
            .run(&facts, progress)
    })
}

/// Long ago, so that nothing that the tests make counts as old.
pub(super) fn moment() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000)
}

/// A directory with the old image in it.
pub(super) fn dir_with_old() -> (tempfile::TempDir, ImageFile) {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    fs::write(image.path(), old()).unwrap();
    fs::write(image.beside(".sum"), "of the old\n").unwrap();
    (dir, image)
}

/// Everything that reading the image gives, however it lies.
pub(super) fn read_all(path: &Path) -> Vec<u8> {
    with_locks(|| read_stored(path))
}

fn read_stored(path: &Path) -> Vec<u8> {
    let stored = Stored::open(path).unwrap();
    let mut bytes = vec![0; usize::try_from(stored.len()).unwrap()];
    stored.read_exact_at(&mut bytes, 0).unwrap();
    // In pieces, too, which begin and end anywhere.
    let mut pieces = vec![0; bytes.len()];
    for (number, piece) in pieces.chunks_mut(7777).enumerate() {
        stored.read_exact_at(piece, number as u64 * 7777).unwrap();
    }
    assert!(pieces == bytes);
    bytes
}
