//! The first format: a bigger header without a checksum, one byte a block, a CRC after each block.
//!
//! Writers of the first format differ in how they compute the CRC ([`super::sum::V1`]) and in how
//! much space they give it: four bytes, or four and four more of no meaning. The first two blocks
//! tell.

use std::io::{self, Read};

use super::content::{Content, Input};
use super::sum::{Sum, V1};
use super::{PREFIX_LEN, map, volume};
use crate::foreign::{ForeignError, fill};
use crate::fs::Volume;

const HEADER_LEN: usize = 4160;
/// Where the file system's name stands in the prefix.
const FS: std::ops::Range<usize> = 15..30;
const AFTER_MAP: &[u8; 8] = b"BiTmAgIc";
const NARROW: usize = 4;
const WIDE: usize = 8;

/// The header's fields, checked against one another.
pub(super) struct Header {
    fs: [u8; 15],
    block_size: u32,
    device_size: u64,
    total_blocks: u64,
    claimed_blocks: u64,
}

impl Header {
    /// Reads what follows the prefix.
    pub(super) fn read(
        prefix: &[u8; PREFIX_LEN],
        reader: &mut impl Read,
    ) -> Result<Self, ForeignError> {
        let mut rest = [0; HEADER_LEN - PREFIX_LEN];
        fill(reader, &mut rest, "header")?;
        let word = |at: usize| -> [u8; 8] {
            let at = at - PREFIX_LEN;
            rest[at..at + 8].try_into().expect("within the header")
        };
        let half = |at: usize| -> [u8; 4] { word(at)[..4].try_into().expect("half of eight") };
        let with = |number: fn([u8; 4]) -> u32, long: fn([u8; 8]) -> u64| Self {
            fs: prefix[FS].try_into().expect("15 bytes"),
            block_size: number(half(36)),
            device_size: long(word(40)),
            total_blocks: long(word(48)),
            claimed_blocks: long(word(56)),
        };
        let header = with(u32::from_le_bytes, u64::from_le_bytes);
        match header.check() {
            Ok(()) => Ok(header),
            // There is no byte-order mark: the sizes fit in one order only.
            Err(_) if with(u32::from_be_bytes, u64::from_be_bytes).check().is_ok() => {
                Err(ForeignError::ForeignEndian)
            }
            Err(field) => Err(ForeignError::corrupt(format!(
                "the header's {field} cannot be"
            ))),
        }
    }

    /// The file system's name, the device's size and the bytes in use.
    pub(super) fn told(&self) -> ([u8; 15], u64, u64) {
        let used = self.claimed_blocks * u64::from(self.block_size);
        (self.fs, self.device_size, used)
    }

    fn check(&self) -> Result<(), &'static str> {
        let size = self.block_size;
        if !size.is_power_of_two() || !(512..=64 << 20).contains(&size) {
            return Err("block size");
        }
        let covered = self.total_blocks.checked_mul(u64::from(size));
        if covered.is_none_or(|covered| covered > self.device_size) {
            return Err("number of blocks");
        }
        if self.claimed_blocks > self.total_blocks {
            return Err("number of used blocks");
        }
        Ok(())
    }

    /// Reads the map, which here counts alone: the header's number is the superblock's.
    pub(super) fn volume(&self, reader: &mut impl Read) -> Result<Volume, ForeignError> {
        let used = map::pack(reader, self.total_blocks, |_| ())?;
        let mut magic = [0; AFTER_MAP.len()];
        fill(reader, &mut magic, "map of used blocks")?;
        if &magic != AFTER_MAP {
            return Err(ForeignError::corrupt("the mark after its map is missing"));
        }
        Ok(volume(&self.fs, self.block_size, used, |volume| {
            volume.device_size = self.device_size;
            volume.claimed_used = self.claimed_blocks;
        }))
    }
}

/// The data area of an image of the first format.
pub(super) fn content<R: Read>(mut reader: R, volume: &Volume) -> Result<Content<R>, ForeignError> {
    let block = usize::try_from(volume.block_size).expect("at most 64 MiB");
    let ahead = read_ahead(&mut reader, 2 * (block + WIDE))?;
    let width = match volume.used.count() {
        1 if ahead.len() == block + WIDE => WIDE,
        0 | 1 => NARROW,
        _ => [NARROW, WIDE]
            .into_iter()
            .find(|width| fits(&ahead, block, *width))
            .unwrap_or(NARROW),
    };
    let input: Input<R> = io::Cursor::new(ahead).chain(reader);
    Content::with_input(input, volume, 1, Sum::v1(V1::new().with_size(width)))
}

/// As much as there is, up to `len` bytes.
fn read_ahead(reader: &mut impl Read, len: usize) -> Result<Vec<u8>, ForeignError> {
    let mut ahead = Vec::new();
    reader
        .take(len as u64)
        .read_to_end(&mut ahead)
        .map_err(ForeignError::from_io)?;
    Ok(ahead)
}

/// Whether the first two blocks agree with checksums of this width.
fn fits(ahead: &[u8], block: usize, width: usize) -> bool {
    let mut sum = V1::new();
    ahead.len() >= 2 * (block + width)
        && ahead.chunks(block + width).take(2).all(|piece| {
            sum.update(&piece[..block]);
            sum.verify(&piece[block..])
        })
}
