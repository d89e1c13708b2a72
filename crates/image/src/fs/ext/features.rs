//! Which features are understood.
//!
//! Compatible features are checked like the others: one that is not known could add places that hold
//! superblocks, or signs of an unclean state, as `sparse_super2` and `orphan_file` did.

use crate::fs::FsError;
use crate::fs::bytes::le32;

pub(super) const COMPAT_HAS_JOURNAL: u32 = 0x4;
pub(super) const COMPAT_SPARSE_SUPER2: u32 = 0x200;
pub(super) const INCOMPAT_RECOVER: u32 = 0x4;
pub(super) const INCOMPAT_JOURNAL_DEV: u32 = 0x8;
pub(super) const INCOMPAT_META_BG: u32 = 0x10;
pub(super) const INCOMPAT_64BIT: u32 = 0x80;
pub(super) const INCOMPAT_MMP: u32 = 0x100;
pub(super) const INCOMPAT_CSUM_SEED: u32 = 0x2000;
pub(super) const RO_SPARSE_SUPER: u32 = 0x1;
pub(super) const RO_GDT_CSUM: u32 = 0x10;
pub(super) const RO_BIGALLOC: u32 = 0x200;
pub(super) const RO_METADATA_CSUM: u32 = 0x400;
pub(super) const RO_ORPHAN_PRESENT: u32 = 0x1_0000;

/// `dir_prealloc`, `imagic_inodes`, `has_journal`, `ext_attr`, `resize_inode`, `dir_index`,
/// `sparse_super2`, `fast_commit`, `stable_inodes`, `orphan_file`.
const COMPAT: u32 = 0x1
    | 0x2
    | COMPAT_HAS_JOURNAL
    | 0x8
    | 0x10
    | 0x20
    | COMPAT_SPARSE_SUPER2
    | 0x400
    | 0x800
    | 0x1000;

/// `filetype`, `needs_recovery`, `meta_bg`, `extents`, `64bit`, `mmp`, `flex_bg`, `ea_inode`,
/// `metadata_csum_seed`, `large_dir`, `inline_data`, `encrypt`, `casefold`.
const INCOMPAT: u32 = 0x2
    | INCOMPAT_RECOVER
    | INCOMPAT_META_BG
    | 0x40
    | INCOMPAT_64BIT
    | INCOMPAT_MMP
    | 0x200
    | 0x400
    | INCOMPAT_CSUM_SEED
    | 0x4000
    | 0x8000
    | 0x1_0000
    | 0x2_0000;

/// `sparse_super`, `large_file`, `btree_dir`, `huge_file`, `uninit_bg`, `dir_nlink`, `extra_isize`, `quota`,
/// `bigalloc`, `metadata_csum`, `read-only`, `project`, `shared_blocks`, `verity`, `orphan_present`.
const RO_COMPAT: u32 = RO_SPARSE_SUPER
    | 0x2
    | 0x4
    | 0x8
    | RO_GDT_CSUM
    | 0x20
    | 0x40
    | 0x100
    | RO_BIGALLOC
    | RO_METADATA_CSUM
    | 0x1000
    | 0x2000
    | 0x4000
    | 0x8000
    | RO_ORPHAN_PRESENT;

/// `filetype`, `needs_recovery`, `meta_bg`.
const EXT3_INCOMPAT: u32 = 0x2 | INCOMPAT_RECOVER | INCOMPAT_META_BG;

/// `sparse_super`, `large_file`, `btree_dir`.
const EXT3_RO_COMPAT: u32 = RO_SPARSE_SUPER | 0x2 | 0x4;

/// The three feature words of a superblock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Features {
    pub(super) compat: u32,
    pub(super) incompat: u32,
    pub(super) ro_compat: u32,
}

impl Features {
    pub(super) fn read(raw: &[u8]) -> Self {
        let word = |at| le32(raw, at).unwrap_or(0);
        Self {
            compat: word(0x5C),
            incompat: word(0x60),
            ro_compat: word(0x64),
        }
    }

    /// The name of the oldest family member that has these features, as `blkid` tells them apart.
    pub(super) fn family(self) -> &'static str {
        let ext3 = self.incompat & !EXT3_INCOMPAT == 0 && self.ro_compat & !EXT3_RO_COMPAT == 0;
        let journal = self.compat & COMPAT_HAS_JOURNAL != 0;
        match (ext3, journal) {
            (true, true) => "ext3",
            (true, false) => "ext2",
            (false, _) => "ext4",
        }
    }

    /// Whether group descriptors carry a checksum, which makes the "uninitialised" flags valid.
    pub(super) fn descriptors_checksummed(self) -> bool {
        self.ro_compat & (RO_GDT_CSUM | RO_METADATA_CSUM) != 0
    }
}

/// Refuses what is not understood.
pub(super) fn check(raw: &[u8]) -> Result<(), FsError> {
    let features = Features::read(raw);
    let refuse = |what: String| {
        Err(FsError::Unsupported {
            fs: features.family(),
            what,
        })
    };
    if features.incompat & INCOMPAT_JOURNAL_DEV != 0 {
        return refuse(
            "the feature journal_dev: it is the external journal of another file system".to_owned(),
        );
    }
    for (word, known, kind) in [
        (features.incompat, INCOMPAT, "incompatible"),
        (features.ro_compat, RO_COMPAT, "read-only compatible"),
        (features.compat, COMPAT, "compatible"),
    ] {
        let unknown = word & !known;
        if unknown != 0 {
            return refuse(format!("unknown {kind} features ({unknown:#x})"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::fs::FsError;

    #[test]
    fn every_unknown_bit_is_refused() {
        for (at, known) in [
            (0x5C, super::COMPAT),
            (0x60, super::INCOMPAT),
            (0x64, super::RO_COMPAT),
        ] {
            for bit in (0..32).map(|n| 1u32 << n).filter(|bit| known & bit == 0) {
                let mut raw = vec![0; 1024];
                raw[at..at + 4].copy_from_slice(&bit.to_le_bytes());
                assert!(
                    matches!(check(&raw), Err(FsError::Unsupported { .. })),
                    "{at:#x} {bit:#x}"
                );
            }
        }
    }
}
