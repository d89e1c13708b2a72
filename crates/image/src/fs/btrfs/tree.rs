//! Walking btrfs trees in key order.
//!
//! Levels strictly decrease on the way down and keys strictly ascend over the whole walk, so that no tree
//! block can be entered twice and a hostile tree ends.

use std::ops::RangeInclusive;

use azud_core::io::ReadAt;

use super::chunks::Chunks;
use super::superblock::Superblock;
use super::{Fields, bytes, corrupt};
use crate::fs::FsError;

const MAX_LEVEL: u8 = 7;
/// Bytes of a tree block before its items, of an item in a leaf, of a pointer in a node.
const HEADER: usize = 101;
const ITEM: usize = 25;
const POINTER: usize = 33;

/// A key, ordered as the trees are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// What it belongs to; in the extent tree, the logical address.
    pub(super) object: u64,
    /// The type of the item.
    pub(super) kind: u8,
    /// Depends on the type.
    pub(super) offset: u64,
}

impl Key {
    pub(super) const MIN: Self = Self {
        object: 0,
        kind: 0,
        offset: 0,
    };
    pub(super) const MAX: Self = Self {
        object: u64::MAX,
        kind: u8::MAX,
        offset: u64::MAX,
    };
    /// Bytes of a key on disk.
    pub(super) const LEN: usize = 17;

    /// Reads a key; `None` when the slice ends before it does.
    pub(super) fn read(raw: &[u8], at: usize) -> Option<Self> {
        let raw = raw.get(at..at.checked_add(Self::LEN)?)?;
        let fields = Fields(raw);
        Some(Self {
            object: fields.u64(0),
            kind: fields.u8(8),
            offset: fields.u64(9),
        })
    }
}

/// The tree block at which a tree begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Root {
    /// Its logical address.
    pub(super) logical: u64,
    /// The transaction that wrote it.
    pub(super) generation: u64,
    /// Its level: 0 is a leaf.
    pub(super) level: u8,
}

/// What is needed to read trees.
pub(super) struct Trees<'a> {
    pub(super) device: &'a dyn ReadAt,
    pub(super) sb: &'a Superblock,
    pub(super) chunks: &'a Chunks,
}

/// Visits an item: its key and its data.
pub(super) type Visit<'v> = dyn FnMut(Key, &[u8]) -> Result<(), FsError> + 'v;

impl Trees<'_> {
    /// Visits the items whose keys lie in `keys`, in order.
    pub(super) fn walk(
        &self,
        root: Root,
        keys: RangeInclusive<Key>,
        visit: &mut Visit,
    ) -> Result<(), FsError> {
        if root.level > MAX_LEVEL {
            return Err(damaged(root, "has too many levels"));
        }
        let mut last = None;
        // Depth first by an explicit stack: the pointers of a node are pushed in reverse.
        let mut stack = vec![(root, None)];
        while let Some((at, first)) = stack.pop() {
            let block = self.read(at)?;
            let count = Fields(&block).u32(96) as usize;
            if count == 0 && (first.is_some() || at.level > 0) {
                return Err(damaged(at, "is empty"));
            }
            if count > 0 && first.is_some() && Key::read(&block, HEADER) != first {
                return Err(damaged(at, "does not begin with its key"));
            }
            if at.level == 0 {
                Self::walk_leaf(at, &block, (&keys, &mut last), visit)?;
            } else {
                let children = Self::children(at, &block, count)?;
                let wanted = children.iter().enumerate().filter(|(index, (_, key))| {
                    let after = children.get(index + 1).map(|(_, key)| key);
                    key <= keys.end() && after.is_none_or(|after| after > keys.start())
                });
                stack.extend(wanted.map(|(_, (child, key))| (*child, Some(*key))).rev());
            }
        }
        Ok(())
    }

    fn walk_leaf(
        at: Root,
        leaf: &[u8],
        (keys, last): (&RangeInclusive<Key>, &mut Option<Key>),
        visit: &mut Visit,
    ) -> Result<(), FsError> {
        let count = Fields(leaf).u32(96) as usize;
        let items = &leaf[HEADER..];
        let table = count.checked_mul(ITEM).filter(|len| *len <= items.len());
        let table = table.ok_or_else(|| damaged(at, "has too many items"))?;
        for item in items[..table].chunks_exact(ITEM) {
            let key = Key::read(item, 0).expect("an item begins with a key");
            if last.replace(key).is_some_and(|last| last >= key) {
                return Err(damaged(at, "is not in order"));
            }
            let (start, len) = (Fields(item).u32(17) as usize, Fields(item).u32(21) as usize);
            let data = start
                .checked_add(len)
                .and_then(|end| items.get(start..end))
                .filter(|_| start >= table);
            let data = data.ok_or_else(|| damaged(at, "has an item outside of it"))?;
            if keys.contains(&key) {
                visit(key, data)?;
            }
        }
        Ok(())
    }

    /// The pointers of a node, each with the first key below it.
    fn children(at: Root, node: &[u8], count: usize) -> Result<Vec<(Root, Key)>, FsError> {
        let pointers = count
            .checked_mul(POINTER)
            .and_then(|len| node.get(HEADER..HEADER + len));
        let pointers = pointers.ok_or_else(|| damaged(at, "has too many pointers"))?;
        let children: Vec<(Root, Key)> = pointers
            .chunks_exact(POINTER)
            .map(|pointer| {
                let fields = Fields(pointer);
                let key = Key::read(pointer, 0).expect("a pointer begins with a key");
                (
                    Root {
                        logical: fields.u64(17),
                        generation: fields.u64(25),
                        level: at.level - 1,
                    },
                    key,
                )
            })
            .collect();
        if children.windows(2).any(|pair| pair[0].1 >= pair[1].1) {
            return Err(damaged(at, "is not in order"));
        }
        Ok(children)
    }

    /// A tree block that says of itself that it is the one looked for, from whichever copy is intact.
    fn read(&self, at: Root) -> Result<Vec<u8>, FsError> {
        let len = self.sb.node_size as usize;
        let mut result = Err(damaged(at, "has no copy"));
        for place in self.chunks.copies(at.logical, len as u64)? {
            result =
                bytes::read_vec(self.device, place, len).and_then(|block| self.check(at, block));
            if result.is_ok() {
                break;
            }
        }
        result
    }

    fn check(&self, at: Root, block: Vec<u8>) -> Result<Vec<u8>, FsError> {
        let fields = Fields(&block);
        if !self.sb.checksum.holds(&block) {
            return Err(damaged(at, "has a wrong checksum"));
        }
        let own = fields.u64(48) == at.logical
            && fields.uuid(32) == self.sb.metadata_uuid
            && fields.u64(80) == at.generation
            && fields.u8(100) == at.level;
        if own {
            Ok(block)
        } else {
            Err(damaged(at, "is not where it should be"))
        }
    }
}

fn damaged(at: Root, what: &str) -> FsError {
    corrupt(format!("the tree block at {} {what}", at.logical))
}
