//! One allocation group: its free space, and what must not lie in it.

use std::ops::Range;

use azud_core::bitmap::Bitmap;
use azud_core::io::ReadAt;

use super::btree::{self, Tree};
use super::superblock::Superblock;
use super::{Fields, bytes, corrupt};
use crate::fs::FsError;

/// Inodes in a chunk, one record of the inode tree.
const CHUNK: u32 = 64;
/// No root there.
const NULL_BLOCK: u32 = u32::MAX;

/// What the header of a group counts.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Blocks in the free-space trees.
    pub(super) free: u64,
    /// Blocks in the AGFL.
    pub(super) held: u64,
    /// Blocks that the free-space and reverse-mapping trees consist of, beyond their roots.
    pub(super) tree: u64,
}

impl Counts {
    /// Adds those of another group.
    pub(super) fn add(&mut self, other: &Self) {
        self.free += other.free;
        self.held += other.held;
        self.tree += other.tree;
    }
}

struct Group<'a> {
    device: &'a dyn ReadAt,
    sb: &'a Superblock,
    number: u64,
}

/// Clears the free blocks of a group in `used`, and checks the group.
pub(super) fn apply(
    device: &dyn ReadAt,
    sb: &Superblock,
    number: u64,
    used: &mut Bitmap,
) -> Result<Counts, FsError> {
    let group = Group { device, sb, number };
    let agf = group.header(1, *b"XAGF", (64, 216))?;
    let agi = group.header(2, *b"XAGI", (296, 312))?;
    let (agf, agi) = (Fields(&agf), Fields(&agi));
    let counts = Counts {
        free: u64::from(agf.u32(52)),
        held: u64::from(agf.u32(48)),
        tree: u64::from(agf.u32(60)),
    };
    let mut nodes = group.clear_free(agf, used)?;
    nodes.extend(group.check_by_size(agf, used)?);
    let headers = (4 * sb.sector_size).div_ceil(sb.block_size);
    group.need(used, 0..headers, "its headers")?;
    for node in nodes {
        group.need_block(used, node, "a free-space tree")?;
    }
    if sb.v5 {
        for (at, feature, name) in [(24, 0x02, "reverse-mapping"), (88, 0x04, "reference-count")] {
            if group.sb.ro_compat & feature != 0 {
                group.need_block(used, agf.u32(at), name)?;
            }
        }
    }
    group.need_inodes(agi, used)?;
    Ok(counts)
}

impl Group<'_> {
    fn corrupt(&self, what: &str) -> FsError {
        corrupt(format!("group {}: {what}", self.number))
    }

    /// One of the header sectors, checked; `(uuid, crc)` are offsets of fields that v5 has.
    fn header(
        &self,
        sector: u64,
        magic: [u8; 4],
        (uuid, crc): (usize, usize),
    ) -> Result<Vec<u8>, FsError> {
        let size = u64::from(self.sb.sector_size);
        let start = self.sb.group_start(self.number) * u64::from(self.sb.block_size);
        let raw = bytes::read_vec(
            self.device,
            start + sector * size,
            self.sb.sector_size as usize,
        )?;
        let fields = Fields(&raw);
        let name = String::from_utf8_lossy(&magic).into_owned();
        if !fields.has(0, &magic) || fields.u32(4) != 1 {
            return Err(self.corrupt(&format!("there is no {name} header")));
        }
        if self.sb.v5 && !(fields.has(uuid, &self.sb.meta_uuid) && fields.crc_holds(crc)) {
            return Err(self.corrupt(&format!(
                "the checksum or UUID of its {name} header is wrong"
            )));
        }
        let len = self.sb.group_len(self.number);
        if u64::from(fields.u32(8)) != self.number || u64::from(fields.u32(12)) != len {
            return Err(self.corrupt(&format!("its {name} header has another number or length")));
        }
        Ok(raw)
    }

    /// Clears what the by-block tree lists; returns the blocks of the tree.
    fn clear_free(&self, agf: Fields, used: &mut Bitmap) -> Result<Vec<u32>, FsError> {
        let start = self.sb.group_start(self.number);
        let len = self.sb.group_len(self.number);
        let (mut next, mut free, mut longest) = (0, 0, 0);
        let tree = Tree {
            device: self.device,
            sb: self.sb,
            group: self.number,
            kind: &btree::FREE_SPACE,
        };
        let nodes = tree.walk(agf.u32(16), agf.u32(28), &mut |record| {
            let (first, count) = (u64::from(record.u32(0)), u64::from(record.u32(4)));
            if count == 0 || first < next || first + count > len {
                return Err(self.corrupt(&format!(
                    "{count} free blocks at {first} overlap or leave it"
                )));
            }
            next = first + count;
            free += count;
            longest = count.max(longest);
            used.clear_range(start + first, count);
            Ok(())
        })?;
        let (said, said_longest) = (u64::from(agf.u32(52)), u64::from(agf.u32(56)));
        if said != free || said_longest != longest {
            return Err(self.corrupt(&format!(
                "its header counts {said} free blocks, at most {said_longest} in a row, its tree {free} and {longest}"
            )));
        }
        Ok(nodes)
    }

    /// That the by-size tree tells the same: v4 has no checksums, so the two vouch for each other.
    fn check_by_size(&self, agf: Fields, used: &Bitmap) -> Result<Vec<u32>, FsError> {
        let start = self.sb.group_start(self.number);
        let (mut last, mut free) = ((0, 0), 0);
        let tree = Tree {
            device: self.device,
            sb: self.sb,
            group: self.number,
            kind: &btree::BY_SIZE,
        };
        let nodes = tree.walk(agf.u32(20), agf.u32(32), &mut |record| {
            let (first, count) = (u64::from(record.u32(0)), u64::from(record.u32(4)));
            free += count;
            // Bounded by the first tree's total, so that long records cannot make long work.
            if (count, first) <= last || free > u64::from(agf.u32(52)) {
                return Err(self.corrupt("its by-size tree is not in order"));
            }
            last = (count, first);
            if used
                .runs_from(start + first)
                .next()
                .is_some_and(|run| run.start < start + first + count)
            {
                return Err(
                    self.corrupt(&format!("{count} blocks at {first} are free by size only"))
                );
            }
            Ok(())
        })?;
        if free != u64::from(agf.u32(52)) {
            return Err(self.corrupt("its by-size tree lists other free blocks"));
        }
        Ok(nodes)
    }

    /// That blocks of the group are used.
    fn need(&self, used: &Bitmap, blocks: Range<u32>, what: &str) -> Result<(), FsError> {
        let start = self.sb.group_start(self.number);
        let len = self.sb.group_len(self.number);
        if u64::from(blocks.end) > len
            || !blocks
                .clone()
                .all(|block| used.get(start + u64::from(block)))
        {
            return Err(self.corrupt(&format!(
                "{what} (block {}) lies in free space",
                blocks.start
            )));
        }
        Ok(())
    }

    fn need_block(&self, used: &Bitmap, block: u32, what: &str) -> Result<(), FsError> {
        self.need(used, block..block.saturating_add(1), what)
    }

    /// That the inode trees and every inode chunk are used.
    fn need_inodes(&self, agi: Fields, used: &Bitmap) -> Result<(), FsError> {
        let free_root = agi.u32(328);
        if self.sb.v5 && self.sb.ro_compat & 0x01 != 0 && free_root != NULL_BLOCK {
            self.need_block(used, free_root, "the root of its free-inode tree")?;
        }
        let mut next = 0;
        let tree = Tree {
            device: self.device,
            sb: self.sb,
            group: self.number,
            kind: &btree::INODES,
        };
        let nodes = tree.walk(agi.u32(20), agi.u32(24), &mut |record| {
            let first = record.u32(0);
            if u64::from(first) < next {
                return Err(self.corrupt("its inode tree is not in order"));
            }
            next = u64::from(first) + u64::from(CHUNK);
            let holes = if self.sb.sparse_inodes {
                record.u16(4)
            } else {
                0
            };
            self.need_chunk(used, first, holes)
        })?;
        for node in nodes {
            self.need_block(used, node, "its inode tree")?;
        }
        Ok(())
    }

    /// A chunk's blocks; each bit of `holes` stands for four inodes that do not exist.
    fn need_chunk(&self, used: &Bitmap, first: u32, holes: u16) -> Result<(), FsError> {
        let per_block = 1u32 << self.sb.inodes_per_block_log;
        for inode in (0..CHUNK).step_by(per_block.min(CHUNK) as usize) {
            if holes >> (inode / 4) & 1 == 0 {
                let block = first.saturating_add(inode) >> self.sb.inodes_per_block_log;
                self.need(
                    used,
                    block..block.saturating_add(1),
                    &format!("inode {first} and those after it"),
                )?;
            }
        }
        Ok(())
    }
}
