//! Every place that holds a superblock: what must not be valid on a half-written target.
//!
//! The kernel and `blkid` look at the primary only. `e2fsck` falls back by itself to the first backup
//! (block 8193, 16384 or 32768 and so on by block size), and anybody may name any other with `-b` or
//! `-o sb=`; so all are listed. Descriptor tables and their backups say nothing without a superblock.

use std::ops::Range;

use super::features::{COMPAT_SPARSE_SUPER2, RO_SPARSE_SUPER};
use super::superblock::Superblock;

/// As many backups as are listed at most (a map of more groups is refused): without `sparse_super` every group has one. With the usual
/// group sizes that is 8 TiB with 1 KiB blocks and 128 TiB with 4 KiB blocks.
pub(super) const MAX_BACKUPS: u64 = 1 << 20;

/// The blocks of the superblocks, in bytes, primary first, within `device_size`.
pub(super) fn guards(sb: &Superblock, device_size: u64) -> Vec<Range<u64>> {
    let size = u64::from(sb.block_size);
    // Up to the end of the block with the primary superblock: the boot block, if separate, is the
    // boot sector that would otherwise become visible.
    let primary = 0..size.max(2048);
    let backups = backup_groups(sb)
        .map(|group| sb.group_start(group))
        .map(|block| {
            // 2^32 groups of at most 2^32 blocks of 2^16 bytes may leave 64 bits: never on a device.
            block.saturating_mul(size)..block.saturating_add(1).saturating_mul(size)
        });
    std::iter::once(primary)
        .chain(backups)
        .map(|range| range.start..range.end.min(device_size))
        .take_while(|range| range.start < range.end)
        .collect()
}

/// Whether every group begins with a superblock.
pub(super) fn everywhere(sb: &Superblock) -> bool {
    sb.features.compat & COMPAT_SPARSE_SUPER2 == 0 && sb.features.ro_compat & RO_SPARSE_SUPER == 0
}

/// The groups other than 0 that begin with a superblock, ascending.
fn backup_groups(sb: &Superblock) -> Box<dyn Iterator<Item = u64> + '_> {
    let groups = sb.groups();
    if everywhere(sb) {
        return Box::new(1..groups.min(MAX_BACKUPS + 1));
    }
    let mut some: Vec<u64> = if sb.features.compat & COMPAT_SPARSE_SUPER2 != 0 {
        sb.backup_groups
            .iter()
            .map(|group| u64::from(*group))
            .collect()
    } else {
        [3, 5, 7]
            .iter()
            .flat_map(|base| powers(*base))
            .chain([1])
            .collect()
    };
    some.sort_unstable();
    some.dedup();
    Box::new(
        some.into_iter()
            .filter(move |group| (1..groups).contains(group)),
    )
}

/// The powers of a base that a 32-bit group number can have.
fn powers(base: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(base), move |power| power.checked_mul(base))
        .take_while(|power| *power <= u32::MAX.into())
}

#[cfg(test)]
mod tests {
    use super::backup_groups;
    use crate::fs::ext::superblock::Superblock;

    fn volume(compat: u32, ro_compat: u32, groups: u32) -> Superblock {
        let mut raw = vec![0; 1024];
        for (at, value) in [
            (0x04, groups * 32_768),
            (0x18, 2),
            (0x20, 32_768),
            (0x5C, compat),
            (0x64, ro_compat),
            (0x24C, 1),
            (0x250, groups - 1),
        ] {
            raw[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
        }
        Superblock::parse(&raw).expect("plain geometry")
    }

    #[test]
    fn the_list_is_what_each_group_says() {
        for (compat, ro_compat) in [(0, 0), (0, 1), (0x200, 0), (0x200, 1)] {
            let sb = volume(compat, ro_compat, 400);
            let says: Vec<u64> = (1..400).filter(|group| sb.has_super(*group)).collect();
            let listed: Vec<u64> = backup_groups(&sb).collect();
            assert_eq!(listed, says, "{compat:#x} {ro_compat:#x}");
        }
        let sparse: Vec<u64> = backup_groups(&volume(0, 1, 400)).collect();
        assert_eq!(sparse, [1, 3, 5, 7, 9, 25, 27, 49, 81, 125, 243, 343]);
        assert_eq!(
            backup_groups(&volume(0x200, 0, 400)).collect::<Vec<_>>(),
            [1, 399]
        );
    }
}
