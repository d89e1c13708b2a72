//! ext2, ext3 and ext4: the used blocks, from the group descriptors and block bitmaps.
//!
//! Invariants: nothing is believed before the superblock's checksum, features and state are; every
//! group's bitmap agrees with its checksum (where there is one) and with its free count, and the
//! groups' free counts add up to the superblock's. A map that this module returns therefore is what
//! the kernel and `e2fsck` would compute, or there is none.

use std::ops::Range;

use azud_core::io::ReadAt;

use super::bytes::{read_vec, text, uuid};
use super::{FsError, FsKind, MapOptions, Volume};

mod backups;
mod checksum;
mod clusters;
mod features;
mod groups;
mod layout;
mod state;
mod superblock;

use superblock::{SUPER_LEN, SUPER_OFFSET, Superblock};

/// Whether the head of a device holds an ext2, ext3 or ext4 superblock (or that of an external journal).
pub fn probe(head: &[u8]) -> bool {
    superblock_bytes(head).is_some_and(superblock::recognise)
}

/// A superblock whose magic number is there and most of its other fields, yet not those that say how to read it.
pub(super) fn ruin(head: &[u8]) -> Option<FsError> {
    let raw = superblock_bytes(head)?;
    superblock::is_ruin(raw).then(|| superblock::corrupt("ext4", superblock::RUIN))
}

/// Reads which blocks are used.
///
/// # Errors
/// [`FsError::Dirty`] when the file system was not left cleanly, [`FsError::Unsupported`] for features
/// that are not known, [`FsError::Corrupt`] when checksums, counts or sizes contradict each other, and
/// [`FsError::Read`].
pub fn map(device: &dyn ReadAt, _options: &MapOptions) -> Result<Volume, FsError> {
    if device.len() < SUPER_OFFSET + SUPER_LEN as u64 {
        return Err(superblock::corrupt(
            "ext4",
            "the device ends before the superblock does",
        ));
    }
    let raw = read_vec(device, SUPER_OFFSET, SUPER_LEN)?;
    if !superblock::recognise(&raw) {
        return Err(superblock::corrupt("ext4", "there is no superblock"));
    }
    superblock::check_checksum(&raw)?;
    features::check(&raw)?;
    let sb = Superblock::parse(&raw)?;
    sb.check(device.len())?;
    state::check(device, &sb)?;
    let clusters = groups::read(device, &sb)?;
    Ok(Volume {
        kind: FsKind::Ext,
        block_size: sb.block_size,
        used: clusters.into_blocks(sb.first_block, sb.cluster_ratio, sb.blocks),
        device_size: device.len(),
        claimed_used: sb.blocks.saturating_sub(sb.free_blocks),
        tails: Vec::new(),
        label: text(&sb.label),
        uuid: (sb.uuid != [0; 16]).then(|| uuid(&sb.uuid)),
        sector_size: 0,
        left_out: Vec::new(),
    })
}

/// Byte ranges of the primary superblock and of every backup within `device_size`, primary first.
///
/// The first range begins at 0: with 1 KiB blocks it takes in the boot block too, whose boot sector
/// `blkid` would take for a partition table once the superblock behind it is gone. Empty when the head
/// holds no superblock whose geometry makes sense; features and state do not matter here.
pub fn guards(head: &[u8], device_size: u64) -> Vec<Range<u64>> {
    let Some(raw) = superblock_bytes(head).filter(|raw| superblock::recognise(raw)) else {
        return Vec::new();
    };
    Superblock::parse(raw).map_or_else(|_| Vec::new(), |sb| backups::guards(&sb, device_size))
}

fn superblock_bytes(head: &[u8]) -> Option<&[u8]> {
    let start = usize::try_from(SUPER_OFFSET).expect("1024");
    head.get(start..start + SUPER_LEN)
}
