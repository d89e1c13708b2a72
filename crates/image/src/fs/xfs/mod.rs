//! XFS, v4 and v5, with an internal log and no realtime device.
//!
//! What is free is what the by-block free-space tree of each allocation group lists; everything else
//! is used, the few blocks of the AGFL (free, but held back for the trees) included. The map is
//! believed only when the log ends with an unmount record, every checksum holds, the free blocks add
//! up in each group and in the superblock, and no inode, tree node or header lies in free space.

use std::ops::Range;

use azud_core::bitmap::Bitmap;
use azud_core::io::ReadAt;

use super::{FsError, FsKind, MapOptions, Volume, bytes};
use superblock::Superblock;

mod ag;
mod btree;
mod log;
mod superblock;

const NAME: &str = "XFS";

/// More allocation groups than this are refused: 16 TiB of the smallest that `mkfs.xfs` makes.
const MAX_GROUPS: u64 = 1 << 20;

/// Offset of the superblock's magic number, and of the device's first group.
const MAGIC: &[u8; 4] = b"XFSB";

/// Whether `head` begins with an XFS superblock.
pub fn probe(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// The superblock of every allocation group, the primary first, one sector each.
///
/// Empty when `head` is no XFS; only the primary when its geometry makes no sense. `xfs_repair` scans
/// the whole device for secondary superblocks, so all of them count.
pub fn guards(head: &[u8], device_size: u64) -> Vec<Range<u64>> {
    if !probe(head) {
        return Vec::new();
    }
    let sector = bytes::be16(head, 102).map_or(0, u64::from);
    let sector = if sector.is_power_of_two() && (512..=32768).contains(&sector) {
        sector
    } else {
        512
    };
    let block = bytes::be32(head, 4).map_or(0, u64::from);
    let group_blocks = bytes::be32(head, 84).map_or(0, u64::from);
    let groups = bytes::be32(head, 88).map_or(0, u64::from);
    let group = if block.is_power_of_two() && (512..=65536).contains(&block) {
        block * group_blocks
    } else {
        0
    };
    // Groups closer to each other than the smallest possible one would be nonsense of a hostile head.
    let count = if group < 64 * 512 {
        1
    } else {
        groups.clamp(1, MAX_GROUPS)
    };
    (0..count)
        .map(|number| number * group)
        .take_while(|start| {
            start
                .checked_add(sector)
                .is_some_and(|end| end <= device_size)
        })
        .map(|start| start..start + sector)
        .collect()
}

/// Reads which blocks hold anything.
///
/// # Errors
/// [`FsError::Dirty`] when the log must be replayed, [`FsError::Unsupported`] for realtime devices,
/// external logs and unknown features, [`FsError::Corrupt`] when the structures contradict each other,
/// [`FsError::Read`] when the device fails.
pub fn map(device: &dyn ReadAt, _options: &MapOptions) -> Result<Volume, FsError> {
    let sb = Superblock::read(device)?;
    log::check_clean(device, &sb)?;
    let mut used = Bitmap::full(sb.blocks);
    let mut counted = ag::Counts::default();
    for number in 0..sb.groups {
        counted.add(&ag::apply(device, &sb, number, &mut used)?);
    }
    log_is_used(&sb, &used)?;
    check_totals(&sb, &counted)?;
    Ok(Volume {
        kind: FsKind::Xfs,
        block_size: sb.block_size,
        used,
        device_size: device.len(),
        claimed_used: sb.blocks.saturating_sub(sb.free_blocks),
        tails: Vec::new(),
        label: sb.label,
        uuid: Some(bytes::uuid(&sb.uuid)),
        sector_size: sb.sector_size,
        left_out: Vec::new(),
    })
}

fn log_is_used(sb: &Superblock, used: &Bitmap) -> Result<(), FsError> {
    if (sb.log_start..sb.log_start + sb.log_blocks).all(|block| used.get(block)) {
        return Ok(());
    }
    Err(corrupt("part of the log is listed as free"))
}

/// The superblock counts the blocks of the free-space trees as free where it counts lazily; kernels that
/// write it eagerly do not. After an unmount one of the two always holds exactly.
fn check_totals(sb: &Superblock, counted: &ag::Counts) -> Result<(), FsError> {
    let eager = counted.free + counted.held;
    let lazy = eager + counted.tree;
    if sb.free_blocks == lazy || (!sb.lazy_counters && sb.free_blocks == eager) {
        return Ok(());
    }
    Err(corrupt(format!(
        "the superblock counts {} free blocks, the groups {lazy}",
        sb.free_blocks
    )))
}

fn corrupt(what: impl Into<String>) -> FsError {
    FsError::Corrupt {
        fs: NAME,
        what: what.into(),
    }
}

fn unsupported(what: impl Into<String>) -> FsError {
    FsError::Unsupported {
        fs: NAME,
        what: what.into(),
    }
}

/// Big-endian fields of a structure that was read whole: outside of it there are only zeros.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u8(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    fn u16(&self, at: usize) -> u16 {
        bytes::be16(self.0, at).unwrap_or(0)
    }

    fn u32(&self, at: usize) -> u32 {
        bytes::be32(self.0, at).unwrap_or(0)
    }

    fn u64(&self, at: usize) -> u64 {
        bytes::be64(self.0, at).unwrap_or(0)
    }

    fn has(&self, at: usize, what: &[u8]) -> bool {
        self.0.get(at..).is_some_and(|rest| rest.starts_with(what))
    }

    /// Whether the CRC-32C kept little-endian at `at` is that of the structure with zeros in its place.
    fn crc_holds(&self, at: usize) -> bool {
        let Some(kept) = bytes::le32(self.0, at) else {
            return false;
        };
        let sum = crc32c::crc32c(&self.0[..at]);
        let sum = crc32c::crc32c_append(sum, &[0; 4]);
        crc32c::crc32c_append(sum, &self.0[at + 4..]) == kept
    }
}
