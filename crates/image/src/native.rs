//! An opened native image: its index checked, its bitmap decoded, every frame's place known.

use std::ops::Deref;

use azud_core::bitmap::{Bitmap, Run};
use azud_core::format::index::{Index, Tail};
use azud_core::format::partclone::Header;
use azud_core::format::{FormatError, Hash};
use azud_core::io::ReadAt;

use crate::error::ImageError;
use crate::head;
use crate::indexed::Indexed;

/// A native image whose index, header and bitmap are verified. Data frames are verified when they are read.
#[derive(Debug)]
pub struct Native {
    indexed: Indexed,
    geometry: Geometry,
}

/// Which blocks of the device the data frames hold.
#[derive(Debug, Clone)]
pub struct Geometry {
    /// The partclone header.
    pub header: Header,
    /// The used blocks.
    pub used: Bitmap,
    /// Number of frames that hold header and bitmap.
    pub head_frames: usize,
}

impl Native {
    /// Reads index, header and bitmap of an image and checks all of them.
    ///
    /// # Errors
    /// `Format`, `Frame` for the head frames, `Read`.
    pub fn open(file: &dyn ReadAt) -> Result<Self, ImageError> {
        Self::of(Indexed::open(file)?, file)
    }

    /// Reads header and bitmap of an image whose index was read, and checks them.
    ///
    /// # Errors
    /// As [`Native::open`].
    pub fn of(indexed: Indexed, file: &dyn ReadAt) -> Result<Self, ImageError> {
        let geometry = head::read(file, &indexed)?;
        check_tails(indexed.tails(), &geometry)?;
        Ok(Self { indexed, geometry })
    }

    /// The index alone.
    pub(crate) fn into_index(self) -> Indexed {
        self.indexed
    }

    /// From parts that are checked already.
    pub(crate) fn from_parts(identity: Hash, index: Index, geometry: Geometry) -> Self {
        let indexed = Indexed::new(identity, index);
        Self { indexed, geometry }
    }

    /// Header, bitmap and how the frames relate to them.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The smallest device the image can be restored to, in bytes, by its own blocks and tails.
    pub fn minimum_size(&self) -> u64 {
        self.geometry.minimum_size(self.tails())
    }

    /// The first block of each data frame, in order.
    pub fn starts(&self) -> Vec<u64> {
        let mut cursor = BlockCursor::new(&self.geometry.used);
        let size = self.geometry.header.block_size;
        self.frames()[self.geometry.head_frames..]
            .iter()
            .map(|frame| cursor.advance(u64::from(frame.content_len / size)))
            .collect()
    }
}

/// What the index alone says.
impl Deref for Native {
    type Target = Indexed;

    fn deref(&self) -> &Indexed {
        &self.indexed
    }
}

impl Geometry {
    /// The smallest device that holds the whole file system and these tails. Free blocks at its end count:
    /// a kernel refuses a file system that reaches beyond its device.
    pub fn minimum_size(&self, tails: &[Tail]) -> u64 {
        let blocks = self.header.total_blocks * u64::from(self.header.block_size);
        tails
            .iter()
            .map(|tail| tail.offset + tail.bytes.len() as u64)
            .fold(blocks, u64::max)
    }

    /// The byte ranges of the device that `len` bytes of content starting at a block fill, in order.
    pub fn ranges(&self, start: u64, len: usize) -> impl Iterator<Item = (u64, usize)> + '_ {
        let size = u64::from(self.header.block_size);
        let mut left = len as u64 / size;
        self.used
            .runs_from(start)
            .map_while(move |Run { start, count }| {
                let take = count.min(left);
                left -= take;
                let len = usize::try_from(take * size).expect("bounded by a frame");
                (take > 0).then_some((start * size, len))
            })
    }
}

/// Hands out the blocks of a bitmap in order.
#[derive(Debug)]
pub(crate) struct BlockCursor<'a> {
    used: &'a Bitmap,
    next: u64,
    taken: u64,
}

impl<'a> BlockCursor<'a> {
    pub(crate) fn new(used: &'a Bitmap) -> Self {
        Self {
            used,
            next: 0,
            taken: 0,
        }
    }

    /// How many used blocks were taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes `count` used blocks; returns the first.
    pub(crate) fn advance(&mut self, count: u64) -> u64 {
        self.taken += count;
        let mut left = count;
        let mut first = None;
        for run in self.used.runs_from(self.next) {
            first.get_or_insert(run.start);
            let take = left.min(run.count);
            self.next = run.start + take;
            left -= take;
            if left == 0 {
                break;
            }
        }
        first.unwrap_or(self.next)
    }
}

pub(crate) fn check_tails(tails: &[Tail], geometry: &Geometry) -> Result<(), FormatError> {
    let header = &geometry.header;
    let blocks_end = header.total_blocks * u64::from(header.block_size);
    let inside = |tail: &Tail| {
        tail.offset >= blocks_end && tail.offset + tail.bytes.len() as u64 <= header.device_size
    };
    if !tails.iter().all(inside) {
        return Err(FormatError::Corrupt(
            "a tail that is not between the last block and the device's end".into(),
        ));
    }
    Ok(())
}
