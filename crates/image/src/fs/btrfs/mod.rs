//! btrfs on one device: single, DUP, RAID1 with both copies on it, mixed block groups.
//!
//! Used is what the extent tree lists, through every copy that the chunk tree knows, and the first MiB
//! and the superblocks, which it does not list. btrfs never overwrites in place, so any committed state
//! is whole; only a log tree (written by `fsync` between commits) lies outside the extent tree and makes
//! the map incomplete. The map is believed only when the listed bytes add up to what the superblock counts.

use std::ops::Range;

use azud_core::bitmap::Bitmap;
use azud_core::io::ReadAt;

use super::{FsError, FsKind, MapOptions, Volume, bytes};
use chunks::Chunks;
use superblock::Superblock;
use tree::{Key, Root, Trees};

mod checksum;
mod chunks;
mod superblock;
mod tree;

const NAME: &str = "btrfs";

const MAGIC: &[u8; 8] = b"_BHRfS_M";
/// Where the superblock and its two mirrors are, on devices that reach so far.
const SUPERBLOCKS: [u64; 3] = [64 << 10, 64 << 20, 256 << 30];
const SUPERBLOCK_LEN: u64 = 4096;
/// No chunk begins before: boot loaders live there.
const RESERVED: u64 = 1 << 20;

const EXTENT_TREE: u64 = 2;
const ROOT_ITEM: u8 = 132;
const EXTENT_ITEM: u8 = 168;
const METADATA_ITEM: u8 = 169;

/// Whether `head` holds a btrfs superblock in its place.
pub fn probe(head: &[u8]) -> bool {
    let at = (64 << 10) + 64;
    head.get(at..at + MAGIC.len()) == Some(MAGIC)
}

/// The superblock and its mirrors, as far as the device reaches. Empty when `head` is no btrfs.
pub fn guards(head: &[u8], device_size: u64) -> Vec<Range<u64>> {
    if !probe(head) {
        return Vec::new();
    }
    SUPERBLOCKS
        .iter()
        .map(|start| *start..start + SUPERBLOCK_LEN)
        .filter(|range| range.end <= device_size)
        .collect()
}

/// Reads which blocks hold anything.
///
/// # Errors
/// [`FsError::Dirty`] when there is a log tree, [`FsError::Unsupported`] for several devices, striped
/// profiles and unknown features, [`FsError::Corrupt`] when the structures contradict each other,
/// [`FsError::Read`] when the device fails.
pub fn map(device: &dyn ReadAt, _options: &MapOptions) -> Result<Volume, FsError> {
    let sb = Superblock::read(device)?;
    let system = Chunks::from_superblock(&sb)?;
    let chunk_trees = Trees {
        device,
        sb: &sb,
        chunks: &system,
    };
    let chunks = Chunks::from_tree(&chunk_trees)?;
    let trees = Trees {
        device,
        sb: &sb,
        chunks: &chunks,
    };
    let extents = extent_root(&trees)?;
    let sector = u64::from(sb.sector_size);
    let mut used = Bitmap::new(sb.device_bytes / sector);
    let listed = mark_extents(&trees, extents, &mut used)?;
    if listed != sb.bytes_used {
        return Err(corrupt(format!(
            "its superblock counts {} bytes in use, its extents {listed} bytes",
            sb.bytes_used
        )));
    }
    for (root, name) in [
        (sb.root, "root"),
        (sb.chunk_root, "chunk"),
        (extents, "extent"),
    ] {
        let node = chunks.copies(root.logical, u64::from(sb.node_size))?;
        if !node.iter().all(|at| used.get(at / sector)) {
            return Err(corrupt(format!("its {name} tree lies in free space")));
        }
    }
    used.set_range(0, RESERVED.div_ceil(sector));
    for start in SUPERBLOCKS {
        used.set_range(start / sector, SUPERBLOCK_LEN.div_ceil(sector));
    }
    Ok(Volume {
        kind: FsKind::Btrfs,
        block_size: sb.sector_size,
        used,
        device_size: device.len(),
        claimed_used: sb.bytes_used / sector,
        tails: Vec::new(),
        label: sb.label,
        uuid: Some(bytes::uuid(&sb.fsid)),
        sector_size: 0,
        left_out: Vec::new(),
    })
}

/// Where the root tree says that the extent tree begins.
fn extent_root(trees: &Trees) -> Result<Root, FsError> {
    let key = Key {
        object: EXTENT_TREE,
        kind: ROOT_ITEM,
        offset: 0,
    };
    let mut found = None;
    trees.walk(trees.sb.root, key..=key, &mut |_, item| {
        let logical = bytes::le64(item, 176);
        let generation = bytes::le64(item, 160);
        let level = item.get(238).copied();
        if let (Some(logical), Some(generation), Some(level)) = (logical, generation, level) {
            found = Some(Root {
                logical,
                generation,
                level,
            });
        }
        Ok(())
    })?;
    found.ok_or_else(|| corrupt("its root tree names no extent tree"))
}

/// Marks every copy of every extent; returns the bytes of the extents, each counted once.
fn mark_extents(trees: &Trees, root: Root, used: &mut Bitmap) -> Result<u64, FsError> {
    let sector = u64::from(trees.sb.sector_size);
    let (mut next, mut listed) = (0, 0u64);
    trees.walk(root, Key::MIN..=Key::MAX, &mut |key, _| {
        let len = match key.kind {
            EXTENT_ITEM => key.offset,
            METADATA_ITEM => u64::from(trees.sb.node_size),
            _ => return Ok(()),
        };
        let aligned = key.object.is_multiple_of(sector) && len.is_multiple_of(sector) && len > 0;
        let end = key
            .object
            .checked_add(len)
            .filter(|_| aligned && key.object >= next);
        let Some(end) = end else {
            return Err(corrupt(format!(
                "an extent of {len} bytes at {} overlaps another one",
                key.object
            )));
        };
        next = end;
        listed = listed.saturating_add(len);
        for copy in trees.chunks.copies(key.object, len)? {
            used.set_range(copy / sector, len / sector);
        }
        Ok(())
    })?;
    Ok(listed)
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

/// Little-endian fields of a structure that was read whole: outside of it there are only zeros.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u8(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    fn u16(&self, at: usize) -> u16 {
        bytes::le16(self.0, at).unwrap_or(0)
    }

    fn u32(&self, at: usize) -> u32 {
        bytes::le32(self.0, at).unwrap_or(0)
    }

    fn u64(&self, at: usize) -> u64 {
        bytes::le64(self.0, at).unwrap_or(0)
    }

    fn uuid(&self, at: usize) -> [u8; 16] {
        let mut uuid = [0; 16];
        if let Some(raw) = self.0.get(at..at + 16) {
            uuid.copy_from_slice(raw);
        }
        uuid
    }
}
