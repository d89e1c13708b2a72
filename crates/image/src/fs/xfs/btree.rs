//! Walking the B+trees of an allocation group: nodes with 32-bit pointers within the group.
//!
//! Levels strictly decrease on the way down and no walk visits more nodes than the group has blocks, so
//! a hostile tree ends. Whoever visits the records must demand that they ascend.

use azud_core::io::ReadAt;

use super::superblock::Superblock;
use super::{Fields, bytes, corrupt};
use crate::fs::FsError;

/// More levels than any XFS tree can have.
const MAX_LEVELS: u32 = 9;

/// A kind of tree.
#[derive(Debug)]
pub(super) struct Kind {
    /// For messages.
    pub(super) name: &'static str,
    magic_v4: [u8; 4],
    magic_v5: [u8; 4],
    record: usize,
    key: usize,
}

/// Free space by block: records of start and count.
pub(super) const FREE_SPACE: Kind = Kind {
    name: "free-space tree",
    magic_v4: *b"ABTB",
    magic_v5: *b"AB3B",
    record: 8,
    key: 8,
};
/// The same free space by size.
pub(super) const BY_SIZE: Kind = Kind {
    name: "by-size tree",
    magic_v4: *b"ABTC",
    magic_v5: *b"AB3C",
    record: 8,
    key: 8,
};
/// Inode chunks: records of first inode, holes, counts, free mask.
pub(super) const INODES: Kind = Kind {
    name: "inode tree",
    magic_v4: *b"IABT",
    magic_v5: *b"IAB3",
    record: 16,
    key: 4,
};

/// A tree of a group, ready to be walked.
pub(super) struct Tree<'a> {
    pub(super) device: &'a dyn ReadAt,
    pub(super) sb: &'a Superblock,
    pub(super) group: u64,
    pub(super) kind: &'static Kind,
}

impl Tree<'_> {
    /// Visits every record in order; returns the blocks of the tree itself, relative to the group.
    pub(super) fn walk(
        &self,
        root: u32,
        levels: u32,
        visit: &mut dyn FnMut(Fields) -> Result<(), FsError>,
    ) -> Result<Vec<u32>, FsError> {
        if !(1..=MAX_LEVELS).contains(&levels) {
            return Err(self.corrupt(root, "has an impossible number of levels"));
        }
        let mut visited = Vec::new();
        // Depth first by an explicit stack: the pointers of a node are pushed in reverse.
        let mut stack = vec![(root, levels - 1)];
        while let Some((block, level)) = stack.pop() {
            if visited.len() as u64 >= self.sb.group_len(self.group) {
                return Err(self.corrupt(block, "runs in circles"));
            }
            visited.push(block);
            let node = self.read(block, level)?;
            let fields = Fields(&node);
            let header = self.header();
            let count = usize::from(fields.u16(6));
            if count == 0 && visited.len() > 1 {
                return Err(self.corrupt(block, "has an empty node"));
            }
            if level == 0 {
                for record in self
                    .slice(&node, block, header, count * self.kind.record)?
                    .chunks(self.kind.record)
                {
                    visit(Fields(record))?;
                }
            } else {
                let most = (node.len() - header) / (self.kind.key + 4);
                if count > most {
                    return Err(self.corrupt(block, "has an overfull node"));
                }
                let pointers =
                    self.slice(&node, block, header + most * self.kind.key, count * 4)?;
                stack.extend(
                    pointers
                        .chunks(4)
                        .rev()
                        .map(|pointer| (Fields(pointer).u32(0), level - 1)),
                );
            }
        }
        Ok(visited)
    }

    fn header(&self) -> usize {
        if self.sb.v5 { 56 } else { 16 }
    }

    fn slice<'n>(
        &self,
        node: &'n [u8],
        block: u32,
        start: usize,
        len: usize,
    ) -> Result<&'n [u8], FsError> {
        node.get(start..start + len)
            .ok_or_else(|| self.corrupt(block, "has an overfull node"))
    }

    /// A node that says of itself that it is the one looked for.
    fn read(&self, block: u32, level: u32) -> Result<Vec<u8>, FsError> {
        if block == 0 || u64::from(block) >= self.sb.group_len(self.group) {
            return Err(self.corrupt(block, "leaves its group"));
        }
        let at = self.sb.group_start(self.group) + u64::from(block);
        let offset = at * u64::from(self.sb.block_size);
        let node = bytes::read_vec(self.device, offset, self.sb.block_size as usize)?;
        let fields = Fields(&node);
        let magic = if self.sb.v5 {
            self.kind.magic_v5
        } else {
            self.kind.magic_v4
        };
        if !fields.has(0, &magic) || u32::from(fields.u16(4)) != level {
            return Err(self.corrupt(block, "has something else in place of a node"));
        }
        if self.sb.v5 {
            let own = fields.u64(16) == offset / 512
                && fields.has(32, &self.sb.meta_uuid)
                && u64::from(fields.u32(48)) == self.group;
            if !own || !fields.crc_holds(52) {
                return Err(self.corrupt(block, "has a node with a wrong checksum, place or owner"));
            }
        }
        Ok(node)
    }

    fn corrupt(&self, block: u32, what: &str) -> FsError {
        corrupt(format!(
            "the {} of group {} {what} (block {block})",
            self.kind.name, self.group
        ))
    }
}
