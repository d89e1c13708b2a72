//! Group descriptors and block bitmaps: read, checked, merged into one map.

use std::ops::Range;

use azud_core::io::ReadAt;

use super::checksum::{crc16, crc32c};
use super::clusters::Clusters;
use super::features::RO_METADATA_CSUM;
use super::superblock::Superblock;
use crate::fs::FsError;
use crate::fs::bytes::{le16, le32, read_vec};

const BLOCK_UNINIT: u32 = 2;
/// Where a descriptor keeps its own checksum.
const CHECKSUM_AT: usize = 0x1E;
/// Length of the descriptor without the 64-bit halves.
const SHORT: usize = 32;
/// Bitmaps that follow each other are read together, up to this many bytes.
const READ_AHEAD: usize = 1 << 20;

/// One group's descriptor, its places checked.
struct Group {
    number: u64,
    block_bitmap: u64,
    bitmap_checksum: u32,
    fact: Fact,
}

/// What is kept of a group until all bitmaps are merged.
#[derive(Clone, Copy)]
struct Fact {
    /// Free clusters by its descriptor.
    free: u32,
    /// Whether the block bitmap was ever written.
    initialised: bool,
}

/// What is gathered while the descriptors go by.
struct Gathered {
    map: Clusters,
    facts: Vec<Fact>,
    /// The clusters of superblocks, descriptors, bitmaps and inode tables, checked to be within the
    /// map. With `flex_bg` they may lie in any group, also in one whose bitmap was never written.
    metadata: Vec<Range<u64>>,
}

/// Reads all groups.
pub(super) fn read(device: &dyn ReadAt, sb: &Superblock) -> Result<Clusters, FsError> {
    let map = Clusters::new(sb.clusters());
    let mut all = Gathered {
        map,
        facts: Vec::new(),
        metadata: Vec::new(),
    };
    for number in 0..sb.descriptor_blocks() {
        let groups = read_descriptors(device, sb, number, &mut all)?;
        read_bitmaps(device, sb, &groups, &mut all.map)?;
        all.facts.extend(groups.iter().map(|group| group.fact));
    }
    add_metadata(sb, &mut all)?;
    check_counts(sb, &all)?;
    Ok(all.map)
}

/// One block of descriptors.
fn read_descriptors(
    device: &dyn ReadAt,
    sb: &Superblock,
    number: u64,
    all: &mut Gathered,
) -> Result<Vec<Group>, FsError> {
    let block = sb.descriptor_block(number);
    if block >= sb.blocks {
        return Err(sb.corrupt(format!(
            "block {block} of group descriptors is beyond the end"
        )));
    }
    let size = sb.block_size as usize;
    let raw = read_vec(device, block * size as u64, size)?;
    let first = number * sb.descriptors_per_block();
    let mut groups = Vec::new();
    for (group, raw) in (first..sb.groups()).zip(raw.chunks_exact(sb.desc_size)) {
        check_descriptor(sb, group, raw)?;
        groups.push(parse(sb, group, raw, &mut all.metadata)?);
    }
    Ok(groups)
}

fn check_descriptor(sb: &Superblock, group: u64, raw: &[u8]) -> Result<(), FsError> {
    if !sb.features.descriptors_checksummed() {
        return Ok(());
    }
    let (before, after) = (&raw[..CHECKSUM_AT], &raw[CHECKSUM_AT + 2..]);
    // A checked geometry has at most 2^32 groups.
    let number = u32::try_from(group).unwrap_or(u32::MAX).to_le_bytes();
    let computed = if sb.features.ro_compat & RO_METADATA_CSUM != 0 {
        let crc = crc32c(crc32c(sb.checksum_seed, &number), before);
        let [low, high, ..] = crc32c(crc32c(crc, &[0, 0]), after).to_le_bytes();
        u16::from_le_bytes([low, high])
    } else {
        let crc = crc16(crc16(u16::MAX, &sb.uuid), &number);
        crc16(crc16(crc, before), after)
    };
    if le16(raw, CHECKSUM_AT) == Some(computed) {
        return Ok(());
    }
    Err(sb.corrupt(format!(
        "the descriptor of group {group} has a wrong checksum"
    )))
}

fn parse(
    sb: &Superblock,
    number: u64,
    raw: &[u8],
    metadata: &mut Vec<Range<u64>>,
) -> Result<Group, FsError> {
    let wide = raw.len() > SHORT;
    let long = |at| le32(raw, at).unwrap_or(0);
    let short = |at| u32::from(le16(raw, at).unwrap_or(0));
    let place =
        |low, high| u64::from(long(low)) | if wide { u64::from(long(high)) << 32 } else { 0 };
    let pair = |low, high| short(low) | if wide { short(high) << 16 } else { 0 };

    let tables = [
        (place(0x0, 0x20), 1),
        (place(0x4, 0x24), 1),
        (place(0x8, 0x28), sb.inode_table_blocks()),
    ];
    let tables = tables.map(|(start, count)| start..start.saturating_add(count));
    for blocks in [sb.leading_blocks(number)]
        .iter()
        .chain(&tables)
        .filter(|blocks| !blocks.is_empty())
    {
        if blocks.start < sb.first_block || blocks.end > sb.blocks {
            let Range { start, end } = blocks;
            return Err(sb.corrupt(format!(
                "group {number} has its tables at the impossible blocks {start} to {end}"
            )));
        }
        metadata.push(sb.clusters_of(blocks.clone()));
    }
    let unwritten = sb.features.descriptors_checksummed() && short(0x12) & BLOCK_UNINIT != 0;
    Ok(Group {
        number,
        block_bitmap: tables[0].start,
        bitmap_checksum: pair(0x18, 0x38),
        fact: Fact {
            free: pair(0xC, 0x2C),
            initialised: !unwritten,
        },
    })
}

/// Merges the bitmaps of these groups, reading neighbours together.
fn read_bitmaps(
    device: &dyn ReadAt,
    sb: &Superblock,
    groups: &[Group],
    map: &mut Clusters,
) -> Result<(), FsError> {
    let size = sb.block_size as usize;
    let adjacent = |a: &Group, b: &Group| {
        a.fact.initialised
            && b.fact.initialised
            && a.block_bitmap.checked_add(1) == Some(b.block_bitmap)
    };
    for neighbours in groups
        .chunk_by(adjacent)
        .filter(|run| run[0].fact.initialised)
    {
        for run in neighbours.chunks((READ_AHEAD / size).max(1)) {
            let first = &run[0];
            let at = first.block_bitmap.checked_mul(size as u64).ok_or_else(|| {
                let number = first.number;
                sb.corrupt(format!(
                    "the block bitmap of group {number} is beyond the volume"
                ))
            })?;
            let bitmaps = read_vec(device, at, run.len() * size)?;
            for (group, bitmap) in run.iter().zip(bitmaps.chunks_exact(size)) {
                merge(sb, group, bitmap, map)?;
            }
        }
    }
    Ok(())
}

fn merge(sb: &Superblock, group: &Group, bitmap: &[u8], map: &mut Clusters) -> Result<(), FsError> {
    let bits = sb.clusters_per_group();
    let bytes = usize::try_from(bits / 8).expect("a bitmap fits a block");
    let bitmap = &bitmap[..bytes];
    if sb.features.ro_compat & RO_METADATA_CSUM != 0 {
        let mask = if sb.desc_size > SHORT {
            u32::MAX
        } else {
            u32::from(u16::MAX)
        };
        if crc32c(sb.checksum_seed, bitmap) & mask != group.bitmap_checksum {
            return Err(sb.corrupt(format!(
                "the block bitmap of group {} has a wrong checksum",
                group.number
            )));
        }
    }
    map.merge(group.number * bits, bitmap);
    Ok(())
}

/// Adds the metadata where bitmaps were never written; the others must have it already.
fn add_metadata(sb: &Superblock, all: &mut Gathered) -> Result<(), FsError> {
    let per_group = sb.clusters_per_group();
    for range in &all.metadata {
        let mut start = range.start;
        while start < range.end {
            let group = start / per_group;
            let part = start..range.end.min((group + 1) * per_group);
            start = part.end;
            let fact = usize::try_from(group)
                .ok()
                .and_then(|group| all.facts.get(group));
            if fact.is_none_or(|fact| !fact.initialised) {
                all.map.mark(part);
            } else if all.map.count(part.clone()) != part.end - part.start {
                return Err(sb.corrupt(format!(
                    "the block bitmap of group {group} calls bitmaps or tables free"
                )));
            }
        }
    }
    Ok(())
}

/// Compares the map with the free counts of the groups (in clusters) and of the superblock (in blocks).
fn check_counts(sb: &Superblock, all: &Gathered) -> Result<(), FsError> {
    let per_group = sb.clusters_per_group();
    let mut total = 0;
    for (group, fact) in (0u64..).zip(&all.facts) {
        let range = group * per_group..((group + 1) * per_group).min(sb.clusters());
        let free = range.end - range.start - all.map.count(range);
        if free != u64::from(fact.free) {
            return Err(sb.corrupt(format!(
                "group {group} claims {} free clusters, but its bitmap has {free}; e2fsck -f may mend it",
                fact.free
            )));
        }
        total += free;
    }
    if total * sb.cluster_ratio != sb.free_blocks {
        return Err(sb.corrupt(format!(
            "it claims {} free blocks, but its bitmaps have {}; e2fsck -f may mend it",
            sb.free_blocks,
            total * sb.cluster_ratio
        )));
    }
    Ok(())
}
