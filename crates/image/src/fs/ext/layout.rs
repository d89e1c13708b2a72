//! Where things are: groups, superblock copies and descriptor blocks, all computed from the superblock.

use std::ops::Range;

use super::features::{COMPAT_SPARSE_SUPER2, INCOMPAT_META_BG, RO_SPARSE_SUPER};
use super::superblock::{SUPER_OFFSET, Superblock};

impl Superblock {
    /// Number of groups.
    pub(super) fn groups(&self) -> u64 {
        (self.blocks - self.first_block).div_ceil(self.blocks_per_group)
    }

    /// The first block of a group.
    pub(super) fn group_start(&self, group: u64) -> u64 {
        self.first_block + group * self.blocks_per_group
    }

    /// Clusters in all, a last partial one included.
    pub(super) fn clusters(&self) -> u64 {
        (self.blocks - self.first_block).div_ceil(self.cluster_ratio)
    }

    /// Bits of a group's bitmap.
    pub(super) fn clusters_per_group(&self) -> u64 {
        self.blocks_per_group / self.cluster_ratio
    }

    /// The clusters that a range of blocks touches.
    pub(super) fn clusters_of(&self, blocks: Range<u64>) -> Range<u64> {
        let start = blocks.start.saturating_sub(self.first_block) / self.cluster_ratio;
        let end = blocks
            .end
            .saturating_sub(self.first_block)
            .div_ceil(self.cluster_ratio);
        start..end
    }

    /// Blocks of one group's inode table.
    pub(super) fn inode_table_blocks(&self) -> u64 {
        let bytes = u64::from(self.inodes_per_group) * u64::from(self.inode_size);
        bytes.div_ceil(self.block_size.into())
    }

    /// How many group descriptors a block holds.
    pub(super) fn descriptors_per_block(&self) -> u64 {
        u64::from(self.block_size) / self.desc_size as u64
    }

    /// Number of blocks with group descriptors, not counting copies.
    pub(super) fn descriptor_blocks(&self) -> u64 {
        self.groups().div_ceil(self.descriptors_per_block())
    }

    fn meta_groups(&self) -> bool {
        self.features.incompat & INCOMPAT_META_BG != 0
    }

    /// Whether descriptor block `number` lies in its own meta group instead of behind the superblock.
    fn in_meta_group(&self, number: u64) -> bool {
        self.meta_groups() && number >= self.first_meta_group
    }

    /// Descriptor blocks behind each superblock copy, those reserved for growth included.
    pub(super) fn leading_descriptor_blocks(&self) -> u64 {
        if self.meta_groups() {
            self.first_meta_group
        } else {
            self.descriptor_blocks() + self.reserved_gdt_blocks
        }
    }

    /// Whether a group begins with a superblock, primary or backup.
    pub(super) fn has_super(&self, group: u64) -> bool {
        if group == 0 {
            true
        } else if self.features.compat & COMPAT_SPARSE_SUPER2 != 0 {
            self.backup_groups
                .iter()
                .any(|backup| u64::from(*backup) == group)
        } else if self.features.ro_compat & RO_SPARSE_SUPER != 0 {
            group == 1 || [3, 5, 7].iter().any(|base| is_power(group, *base))
        } else {
            true
        }
    }

    /// The block that follows the superblock of a group that has one. Group 0's superblock is at byte
    /// 1024 whatever the block size, hence in block 1 with 1 KiB blocks even if the group begins at 0.
    fn after_super(&self, group: u64) -> u64 {
        if group == 0 {
            SUPER_OFFSET / u64::from(self.block_size) + 1
        } else {
            self.group_start(group) + 1
        }
    }

    /// Where descriptor block `number` is.
    pub(super) fn descriptor_block(&self, number: u64) -> u64 {
        if !self.in_meta_group(number) {
            return self.after_super(0) + number;
        }
        let group = number * self.descriptors_per_block();
        if self.has_super(group) {
            self.after_super(group)
        } else {
            self.group_start(group)
        }
    }

    /// The blocks at the beginning of a group that hold superblock and descriptors: they are in use
    /// even when the group's bitmap was never written.
    pub(super) fn leading_blocks(&self, group: u64) -> Range<u64> {
        let start = self.group_start(group);
        let supers = if self.has_super(group) {
            self.after_super(group)
        } else {
            start
        };
        let per_block = self.descriptors_per_block();
        let descriptors = if self.in_meta_group(group / per_block) {
            // A meta group keeps its descriptors in its first, second and last group.
            u64::from(matches!(group % per_block, 0 | 1) || group % per_block == per_block - 1)
        } else if self.has_super(group) {
            self.leading_descriptor_blocks()
        } else {
            0
        };
        start..supers + descriptors
    }
}

/// Whether `number` is `base` to some power of at least 1.
fn is_power(number: u64, base: u64) -> bool {
    let mut rest = number;
    while rest > 1 && rest.is_multiple_of(base) {
        rest /= base;
    }
    rest == 1 && number > 1
}

#[cfg(test)]
mod tests {
    use super::is_power;

    #[test]
    fn powers() {
        let threes: Vec<u64> = (0..100).filter(|n| is_power(*n, 3)).collect();
        assert_eq!(threes, [3, 9, 27, 81]);
    }
}
