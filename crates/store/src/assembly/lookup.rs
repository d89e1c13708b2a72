//! Where pieces lie in images that are here, for somebody who asks for them one by one.
//!
//! What indexes say is only where to look: a piece is what its bytes are.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use azud_core::assembly::Piece;
use azud_core::format::Hash;
use azud_core::io::ReadAt;
use azud_core::name::ImageFile;

use super::around::{Around, candidates};
use super::fill::is;
use super::local::Local;
use crate::error::Result;
use crate::stored::Stored;

/// So many pieces are known at most: those of the images that come first.
const MOST: usize = 1 << 20;
/// After so long no further image is looked into: somebody waits.
const LONGEST: Duration = Duration::from_secs(15);

/// A piece of an image. Of its hash so much is kept as makes another one with the same unlikely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    mark: u64,
    len: u32,
    image: u32,
    offset: u64,
}

/// Pieces of images here.
#[derive(Debug, Default)]
pub struct Lookup {
    images: Vec<PathBuf>,
    /// In their order; of each image every piece once.
    rows: Vec<Row>,
}

/// The images as they are read.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    lookup: &'a Lookup,
    /// The one that was read last: the next piece is likely to be there, too.
    open: Option<(u32, Stored)>,
    /// Those that cannot be opened.
    shut: BTreeSet<u32>,
    bytes: Vec<u8>,
}

fn mark(hash: &Hash) -> u64 {
    let (first, _) = hash.split_first_chunk().expect("longer than this");
    u64::from_le_bytes(*first)
}

impl Lookup {
    /// Looks into the native images that an assembly of this one would look into.
    pub(super) fn of(image: &ImageFile, around: Option<&Around>) -> Result<Self> {
        let begun = Instant::now();
        let mut lookup = Self::default();
        let others = candidates(image, around)?;
        for path in std::iter::once(image.path()).chain(others) {
            if begun.elapsed() > LONGEST || lookup.rows.len() >= MOST {
                break;
            }
            let local = Local::open(&path).filter(|local| local.layout.is_native());
            if let Some(local) = local {
                lookup.add(path, local.layout.pieces());
            }
        }
        lookup.rows.sort_unstable();
        lookup
            .rows
            .dedup_by_key(|row| (row.mark, row.len, row.image));
        lookup.rows.shrink_to_fit();
        Ok(lookup)
    }

    fn add(&mut self, path: PathBuf, pieces: &[Piece]) {
        let image = u32::try_from(self.images.len()).expect("a few");
        let rows = pieces.iter().map(|piece| Row {
            mark: mark(&piece.hash),
            len: piece.len,
            image,
            offset: piece.offset,
        });
        self.rows.extend(rows.take(MOST - self.rows.len()));
        self.images.push(path);
    }

    /// Whether no piece is known.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of memory, about.
    pub fn memory(&self) -> u64 {
        std::mem::size_of_val(&self.rows[..]) as u64
    }

    fn rows(&self, piece: &Piece) -> impl Iterator<Item = Row> {
        let wanted = (mark(&piece.hash), piece.len);
        let first = self
            .rows
            .partition_point(|row| (row.mark, row.len) < wanted);
        let rows = self.rows[first..].iter().copied();
        rows.take_while(move |row| (row.mark, row.len) == wanted)
    }

    pub(super) fn reading(&self) -> Reading<'_> {
        Reading {
            lookup: self,
            open: None,
            shut: BTreeSet::new(),
            bytes: Vec::new(),
        }
    }
}

impl Reading<'_> {
    /// An image that has a piece, where in it, and its bytes: they are right.
    pub(super) fn find(&mut self, piece: &Piece) -> Option<(&Stored, u64, &[u8])> {
        let mut rows: Vec<Row> = self.lookup.rows(piece).collect();
        let last = self.open.as_ref().map(|(image, _)| *image);
        rows.sort_by_key(|row| Some(row.image) != last);
        let row = rows.into_iter().find(|row| self.holds(row, piece))?;
        let (_, stored) = self.open.as_ref()?;
        Some((stored, row.offset, &self.bytes))
    }

    fn holds(&mut self, row: &Row, piece: &Piece) -> bool {
        if self
            .open
            .as_ref()
            .is_none_or(|(image, _)| *image != row.image)
        {
            self.open_another(row.image);
        }
        let Some((_, stored)) = &self.open else {
            return false;
        };
        self.bytes.resize(piece.len as usize, 0);
        let read = stored.read_exact_at(&mut self.bytes, row.offset);
        read.is_ok() && is(piece, &self.bytes)
    }

    fn open_another(&mut self, image: u32) {
        self.open = None;
        if self.shut.contains(&image) {
            return;
        }
        match Stored::open(&self.lookup.images[image as usize]) {
            Ok(stored) => self.open = Some((image, stored)),
            Err(_) => {
                self.shut.insert(image);
            }
        }
    }
}
