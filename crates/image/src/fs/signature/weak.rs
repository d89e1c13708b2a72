//! Signatures of two bytes: believed only when the fields around them make sense.

use super::{Found, be32, le16, le32};
use crate::fs::bytes::be16;

/// HFS and HFS+, and the copy of the header 1 KiB before the end.
pub(super) fn hfs(found: &mut Found<'_>) {
    for at in [Some(1024), found.view.size.checked_sub(1024)]
        .into_iter()
        .flatten()
    {
        let Some(header) = found.view.get(at, 64) else {
            continue;
        };
        let version = be16(header, 2);
        match &header[..2] {
            b"BD" if be32(header, 20).is_some_and(|size| size != 0 && size % 512 == 0) => {
                found.add("hfs", at, 162);
            }
            b"H+" | b"HX"
                if matches!(version, Some(4 | 5))
                    && be32(header, 40).is_some_and(u32::is_power_of_two) =>
            {
                found.add("hfsplus", at, 512);
            }
            _ => {}
        }
    }
}

/// NILFS2: the superblock at 1 KiB and its copy in the last whole 4 KiB.
pub(super) fn nilfs(found: &mut Found<'_>) {
    let copy = (found.view.size / 4096)
        .checked_sub(1)
        .map(|block| block * 4096);
    for at in [Some(1024), copy].into_iter().flatten() {
        let Some(block) = found.view.get(at, 10) else {
            continue;
        };
        let sized = le16(block, 8).is_some_and(|size| (1..=1024).contains(&size));
        if le32(block, 0) == Some(2) && le16(block, 6) == Some(0x3434) && sized {
            found.add("nilfs2", at, 1024);
        }
    }
}

/// Minix 1, 2 and 3, in either byte order.
pub(super) fn minix(found: &mut Found<'_>) {
    let Some(block) = found.view.get(1024, 32) else {
        return;
    };
    let one = |word: fn(&[u8], usize) -> Option<u16>| {
        let (inodes, maps) = (word(block, 0), (word(block, 4), word(block, 6)));
        matches!(word(block, 16), Some(0x137F | 0x138F | 0x2468 | 0x2478))
            && plausible(inodes, maps)
    };
    let three = |word: fn(&[u8], usize) -> Option<u16>| {
        let inodes = word(block, 0).max(word(block, 2));
        word(block, 24) == Some(0x4D5A) && plausible(inodes, (word(block, 6), word(block, 8)))
    };
    if one(le16) || one(be16) || three(le16) || three(be16) {
        found.add("minix", 1024, 32);
    }
}

/// There are inodes and bitmaps.
fn plausible(inodes: Option<u16>, maps: (Option<u16>, Option<u16>)) -> bool {
    [inodes, maps.0, maps.1]
        .iter()
        .all(|count| count.is_some_and(|count| count != 0))
}

/// LVM1: two letters, a version, and that the header itself begins at 0.
pub(super) fn lvm1(found: &mut Found<'_>) {
    let Some(header) = found.view.get(0, 8) else {
        return;
    };
    if header.starts_with(b"HM")
        && matches!(le16(header, 2), Some(1 | 2))
        && le32(header, 4) == Some(0)
    {
        found.add("LVM1_member", 0, 512);
    }
}

/// A partition table of the old kind. File systems end their boot sector with the same two bytes: the four
/// entries decide.
pub(super) fn mbr(found: &mut Found<'_>) {
    let Some(sector) = found.view.get(0, 512) else {
        return;
    };
    let entries = sector[446..510].chunks_exact(16);
    let flags = entries.clone().all(|entry| matches!(entry[0], 0 | 0x80));
    let empty = |entry: &[u8]| entry.iter().all(|byte| *byte == 0);
    let kind = |entry: &[u8]| entry[4];
    let filled = |entry: &[u8]| {
        kind(entry) != 0
            && le32(entry, 8).is_some_and(|at| at != 0)
            && le32(entry, 12).is_some_and(|len| len != 0)
    };
    let some = entries.clone().any(filled)
        && entries
            .clone()
            .all(|entry| filled(entry) || kind(entry) == 0);
    // A table without partitions, as tools make it: no boot code either, only the disk's number.
    let none = entries.clone().all(empty) && empty(&sector[..440]);
    if sector[510..] == [0x55, 0xAA] && flags && (some || none) {
        let protective = entries.into_iter().any(|entry| kind(entry) == 0xEE);
        found.add_range(if protective { "PMBR" } else { "dos" }, 446..512);
    }
}

/// Partition tables of Sun (all words of the sector together give 0) and Apple (a driver map of some block
/// size, and the first partition's entry in the next block).
pub(super) fn workstations(found: &mut Found<'_>) {
    let Some(sector) = found.view.get(0, 512) else {
        return;
    };
    let words = sector.chunks_exact(2);
    let sum = words.fold([0; 2], |sum, word| [sum[0] ^ word[0], sum[1] ^ word[1]]);
    if sector[508..510] == [0xDA, 0xBE] && sum == [0, 0] {
        found.add("sun", 0, 512);
    }
    let block = be16(sector, 2).map_or(0, u64::from);
    if sector.starts_with(b"ER") && block.is_power_of_two() && found.view.has(block, b"PM") {
        found.add("mac", 0, 2);
        found.add("mac", block, 2);
    }
}
