//! The superblock: recognised, checked, and turned into numbers that later arithmetic can rely on.
//!
//! Invariant: whoever holds a [`Superblock`] may divide, shift and multiply its fields freely: block
//! and cluster sizes are powers of two within bounds and groups have at least [`MIN_GROUP`] blocks.

use super::backups;
use super::checksum::crc32c;
use super::features::{self, Features};
use crate::fs::FsError;
use crate::fs::bytes::{le16, le32, le64};

/// Where the primary superblock begins.
pub(super) const SUPER_OFFSET: u64 = 1024;
/// Its length.
pub(super) const SUPER_LEN: usize = 1024;
/// The fewest blocks that mke2fs puts into a group; bounds what a hostile superblock can make us do.
pub(super) const MIN_GROUP: u64 = 256;

const MAGIC: u16 = 0xEF53;
const CHECKSUM_AT: usize = 0x3FC;
const CHECKSUM_CRC32C: u8 = 1;
/// 1 KiB << 6 = 64 KiB.
const MAX_LOG_BLOCK: u32 = 6;
/// 1 KiB << 19 = 512 MiB.
const MAX_LOG_CLUSTER: u32 = 19;

/// What the map needs of a superblock.
#[derive(Debug)]
pub(super) struct Superblock {
    pub(super) features: Features,
    pub(super) block_size: u32,
    /// Blocks per cluster; 1 without bigalloc.
    pub(super) cluster_ratio: u64,
    /// Blocks in all, [`Self::first_block`] included.
    pub(super) blocks: u64,
    pub(super) free_blocks: u64,
    /// Where group 0 begins: 1 with 1 KiB blocks (unless bigalloc), else 0.
    pub(super) first_block: u64,
    pub(super) blocks_per_group: u64,
    pub(super) inodes: u32,
    pub(super) inodes_per_group: u32,
    pub(super) inode_size: u32,
    /// Length of a group descriptor.
    pub(super) desc_size: usize,
    pub(super) reserved_gdt_blocks: u64,
    pub(super) first_meta_group: u64,
    /// With `sparse_super2`: the groups that hold a backup; 0 means none.
    pub(super) backup_groups: [u32; 2],
    /// What metadata checksums begin with.
    pub(super) checksum_seed: u32,
    pub(super) state: u16,
    pub(super) last_orphan: u32,
    /// The journal's inode; 0 with an external journal.
    pub(super) journal_inode: u32,
    pub(super) mmp_block: u64,
    pub(super) uuid: [u8; 16],
    pub(super) label: [u8; 16],
}

/// A contradiction found in `fs`.
pub(super) fn corrupt(fs: &'static str, what: impl Into<String>) -> FsError {
    FsError::Corrupt {
        fs,
        what: what.into(),
    }
}

/// Whether these bytes look like a superblock: the magic is only 16 bits, so sizes are looked at too.
pub(super) fn recognise(raw: &[u8]) -> bool {
    le16(raw, 0x38) == Some(MAGIC)
        && le32(raw, 0x18).is_some_and(|log| log <= MAX_LOG_BLOCK)
        && le32(raw, 0x4C).is_some_and(|revision| revision <= 1)
}

/// What is said of a superblock that [`is_ruin`].
pub(super) const RUIN: &str = "its superblock has the magic number, but sizes that make no sense";

/// Whether these bytes, which are not recognised, were a superblock. The magic number alone is in one of 65536 heads
/// of anything, so most of what hardly ever changes must be there too.
pub(super) fn is_ruin(raw: &[u8]) -> bool {
    let long = |at| le32(raw, at).unwrap_or(u32::MAX);
    let short = |at| le16(raw, at).unwrap_or(u16::MAX);
    let signs = [
        short(0x3A) != 0 && short(0x3A) <= 7,
        (1..=3).contains(&short(0x3C)),
        long(0x48) <= 4,
        long(0x4C) <= 1,
        long(0x14) <= 1,
        long(0x54) == 11,
        short(0x58).is_power_of_two() && (128..=4096).contains(&short(0x58)),
        long(0x20).is_multiple_of(8) && (1..=1 << 24).contains(&long(0x20)),
    ];
    let likely = signs.iter().filter(|sign| **sign).count();
    short(0x38) == MAGIC && likely >= 6
}

/// Checks the superblock's own checksum, if it has one.
pub(super) fn check_checksum(raw: &[u8]) -> Result<(), FsError> {
    let features = Features::read(raw);
    if features.ro_compat & features::RO_METADATA_CSUM == 0 {
        return Ok(());
    }
    let kind = raw[0x175];
    if kind != CHECKSUM_CRC32C {
        let what = format!("checksum type {kind}");
        return Err(FsError::Unsupported {
            fs: features.family(),
            what,
        });
    }
    if le32(raw, CHECKSUM_AT) != Some(crc32c(u32::MAX, &raw[..CHECKSUM_AT])) {
        return Err(corrupt(
            features.family(),
            "the superblock's checksum is wrong",
        ));
    }
    Ok(())
}

impl Superblock {
    /// Reads the [`SUPER_LEN`] bytes of a superblock and checks its geometry in itself.
    pub(super) fn parse(raw: &[u8]) -> Result<Self, FsError> {
        let long = |at| le32(raw, at).unwrap_or(0);
        let short = |at| le16(raw, at).unwrap_or(0);
        let features = Features::read(raw);
        let wide = features.incompat & features::INCOMPAT_64BIT != 0;
        let big =
            |low, high| u64::from(long(low)) | if wide { u64::from(long(high)) << 32 } else { 0 };
        let field = |at| {
            raw.get(at..at + 16)
                .and_then(|bytes| bytes.try_into().ok())
                .unwrap_or([0; 16])
        };
        let uuid = field(0x68);
        let seeded = features.incompat & features::INCOMPAT_CSUM_SEED != 0;
        let sb = Self {
            features,
            block_size: 1024 << long(0x18).min(MAX_LOG_BLOCK),
            cluster_ratio: cluster_ratio(features, long(0x18), long(0x1C))?,
            blocks: big(0x04, 0x150),
            free_blocks: big(0x0C, 0x158),
            first_block: long(0x14).into(),
            blocks_per_group: long(0x20).into(),
            inodes: long(0x00),
            inodes_per_group: long(0x28),
            inode_size: if long(0x4C) == 0 {
                128
            } else {
                short(0x58).into()
            },
            desc_size: if wide { short(0xFE).into() } else { 32 },
            reserved_gdt_blocks: short(0xCE).into(),
            first_meta_group: long(0x104).into(),
            backup_groups: [long(0x24C), long(0x250)],
            checksum_seed: if seeded {
                long(0x270)
            } else {
                crc32c(u32::MAX, &uuid)
            },
            state: short(0x3A),
            last_orphan: long(0xE8),
            journal_inode: long(0xE0),
            mmp_block: le64(raw, 0x168).unwrap_or(0),
            uuid,
            label: field(0x78),
        };
        sb.check_geometry(long(0x24).into())?;
        Ok(sb)
    }

    /// A contradiction in this file system.
    pub(super) fn corrupt(&self, what: impl Into<String>) -> FsError {
        corrupt(self.features.family(), what)
    }

    fn ensure(&self, holds: bool, what: &str) -> Result<(), FsError> {
        if holds {
            Ok(())
        } else {
            Err(self.corrupt(what))
        }
    }

    fn check_geometry(&self, clusters_per_group: u64) -> Result<(), FsError> {
        let bits = u64::from(self.block_size) * 8;
        let bigalloc = self.features.ro_compat & features::RO_BIGALLOC != 0;
        let per_group = if bigalloc {
            clusters_per_group
        } else {
            self.blocks_per_group
        };
        let fits = per_group != 0 && per_group <= bits && per_group.is_multiple_of(8);
        self.ensure(fits, "the groups' bitmaps do not fit a block")?;
        let agree = per_group * self.cluster_ratio == self.blocks_per_group;
        self.ensure(agree, "blocks and clusters per group contradict each other")?;
        self.ensure(
            self.blocks_per_group >= MIN_GROUP,
            "the groups have too few blocks",
        )?;
        let boot = u64::from(self.block_size == 1024 && self.cluster_ratio == 1);
        self.ensure(
            self.first_block == boot,
            "the first data block is not where it must be",
        )?;
        self.ensure(self.blocks > self.first_block, "there are no blocks")?;
        self.ensure(
            u32::try_from(self.groups()).is_ok(),
            "there are too many groups",
        )?;
        let size = self.desc_size;
        let wide = self.features.incompat & features::INCOMPAT_64BIT != 0;
        let sane = !wide || (64..=1024).contains(&size) && size.is_power_of_two();
        self.ensure(sane, "the size of group descriptors is impossible")
    }

    /// Checks the geometry against the device and the tables that every group must hold. After this,
    /// work and memory are linear in the size of the device.
    pub(super) fn check(&self, device_len: u64) -> Result<(), FsError> {
        if self.blocks > device_len / u64::from(self.block_size) {
            return Err(self.corrupt(format!(
                "it has {} blocks of {} bytes, but the device only {device_len} bytes",
                self.blocks, self.block_size
            )));
        }
        if backups::everywhere(self) && self.groups() > backups::MAX_BACKUPS {
            let what = format!("{} superblock backups", self.groups());
            return Err(FsError::Unsupported {
                fs: self.features.family(),
                what,
            });
        }
        let (size, per_group) = (self.inode_size, u64::from(self.inodes_per_group));
        let sane = size.is_power_of_two() && size >= 128 && size <= self.block_size;
        self.ensure(sane, "the size of inodes is impossible")?;
        let fits = per_group != 0 && per_group <= u64::from(self.block_size) * 8;
        self.ensure(fits, "the number of inodes in a group is impossible")?;
        let agree = u64::from(self.inodes) == per_group * self.groups();
        self.ensure(agree, "the number of inodes is not that of its groups")?;
        let fits = self.inode_table_blocks() < self.blocks_per_group;
        self.ensure(fits, "a group's inode table is larger than a group")?;
        let known = self.first_meta_group <= self.descriptor_blocks();
        let meta = self.features.incompat & features::INCOMPAT_META_BG != 0;
        self.ensure(!meta || known, "the first meta group is beyond the last")?;
        let fits = self.leading_descriptor_blocks() + 2 < self.blocks_per_group;
        self.ensure(fits, "the group descriptors are larger than a group")
    }
}

fn cluster_ratio(features: Features, log_block: u32, log_cluster: u32) -> Result<u64, FsError> {
    if features.ro_compat & features::RO_BIGALLOC == 0 {
        return Ok(1);
    }
    if log_cluster < log_block || log_cluster > MAX_LOG_CLUSTER {
        return Err(corrupt(
            features.family(),
            "the size of clusters is impossible",
        ));
    }
    Ok(1 << (log_cluster - log_block))
}
