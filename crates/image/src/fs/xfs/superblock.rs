//! The primary superblock: what it says, checked against the device and itself.

use azud_core::io::ReadAt;

use super::{Fields, MAGIC, MAX_GROUPS, bytes, corrupt, unsupported};
use crate::fs::FsError;

/// v5: directory entry types, sparse inodes, metadata UUID, big timestamps, large extent counts,
/// exchange range, parent pointers. All that is allocated for them is in the free-space trees.
const INCOMPAT_KNOWN: u32 = 0x01 | 0x02 | INCOMPAT_META_UUID | 0x08 | 0x20 | 0x40 | 0x80;
const INCOMPAT_SPARSE_INODES: u32 = 0x02;
const INCOMPAT_META_UUID: u32 = 0x04;
const INCOMPAT_NEEDS_REPAIR: u32 = 0x10;
/// v5: free-inode tree, reverse mapping, reflink, inode tree block counts.
const RO_COMPAT_KNOWN: u32 = 0x0F;
/// Names of incompatible features that are known but not handled, for the message.
const INCOMPAT_NAMES: [(u32, &str); 3] = [
    (0x100, "a metadata directory (metadir)"),
    (0x200, "zoned allocation"),
    (0x400, "zoned gaps"),
];

/// v4 version bits: everything up to `morebits` but `shared`.
const VERSION_KNOWN: u16 = 0xFDFF;
const VERSION_MORE: u16 = 0x8000;
const FEATURES2_LAZY: u32 = 0x02;
/// v4 `features2`: lazy counters, attr2, parent pointers (never released), 32-bit project ids, v5, file types.
const FEATURES2_KNOWN: u32 = 0x02 | 0x08 | 0x80 | 0x100 | 0x200;

/// The smallest group, in blocks, that a kernel mounts.
const MIN_GROUP_BLOCKS: u64 = 64;

/// The facts of a superblock that passed every check.
#[derive(Debug)]
pub(super) struct Superblock {
    /// Whether metadata is checksummed and self-describing.
    pub(super) v5: bool,
    /// Bytes, a power of two.
    pub(super) block_size: u32,
    /// Bytes, a power of two, at most a block.
    pub(super) sector_size: u32,
    /// Blocks of the file system; they fit the device.
    pub(super) blocks: u64,
    /// Blocks of every group but the last.
    pub(super) group_blocks: u64,
    /// Number of groups.
    pub(super) groups: u64,
    /// First block of the log, counted from the beginning of the device.
    pub(super) log_start: u64,
    /// Blocks of the log; they lie in one group.
    pub(super) log_blocks: u64,
    /// Logarithm of the number of inodes in a block.
    pub(super) inodes_per_block_log: u32,
    /// Whether an inode chunk may have holes.
    pub(super) sparse_inodes: bool,
    /// v5's read-only compatible features.
    pub(super) ro_compat: u32,
    /// What the superblock believes to be free.
    pub(super) free_blocks: u64,
    /// Whether `free_blocks` is written at unmount only.
    pub(super) lazy_counters: bool,
    /// The UUID that users see.
    pub(super) uuid: [u8; 16],
    /// The UUID that v5 metadata carries.
    pub(super) meta_uuid: [u8; 16],
    /// Volume label.
    pub(super) label: Option<String>,
}

impl Superblock {
    /// Reads and checks the primary superblock.
    pub(super) fn read(device: &dyn ReadAt) -> Result<Self, FsError> {
        if device.len() < 512 {
            return Err(corrupt("the device is smaller than a superblock"));
        }
        let raw = bytes::read_vec(device, 0, 512)?;
        let first = Fields(&raw);
        if !first.has(0, MAGIC) {
            return Err(corrupt("there is no superblock at the beginning"));
        }
        let sector_size = u32::from(first.u16(102));
        if !sector_size.is_power_of_two() || !(512..=32768).contains(&sector_size) {
            return Err(corrupt(format!("sectors of {sector_size} bytes")));
        }
        if u64::from(sector_size) > device.len() {
            return Err(corrupt("the device is smaller than a superblock"));
        }
        let raw = bytes::read_vec(device, 0, sector_size as usize)?;
        let fields = Fields(&raw);
        let v5 = match fields.u16(100) & 0xF {
            5 => true,
            4 => false,
            other => return Err(unsupported(format!("version {other} of the format"))),
        };
        if v5 && !fields.crc_holds(224) {
            return Err(corrupt("the checksum of the superblock is wrong"));
        }
        check_features(fields, v5)?;
        let sb = Self::parse(fields, v5, sector_size);
        sb.check_geometry(fields, device.len())?;
        Ok(sb)
    }

    fn parse(fields: Fields, v5: bool, sector_size: u32) -> Self {
        let incompat = if v5 { fields.u32(216) } else { 0 };
        let uuid = uuid_at(fields, 32);
        let more = fields.u16(100) & VERSION_MORE != 0;
        let group_blocks = u64::from(fields.u32(84));
        let group_log = u32::from(fields.u8(124)).min(63);
        let log_start = fields.u64(48);
        Self {
            v5,
            block_size: fields.u32(4),
            sector_size,
            blocks: fields.u64(8),
            group_blocks,
            groups: u64::from(fields.u32(88)),
            log_start: (log_start >> group_log)
                .saturating_mul(group_blocks)
                .saturating_add(log_start & ((1 << group_log) - 1)),
            log_blocks: u64::from(fields.u32(96)),
            inodes_per_block_log: u32::from(fields.u8(123)),
            sparse_inodes: incompat & INCOMPAT_SPARSE_INODES != 0,
            ro_compat: if v5 { fields.u32(212) } else { 0 },
            free_blocks: fields.u64(144),
            lazy_counters: more && fields.u32(200) & FEATURES2_LAZY != 0,
            uuid,
            meta_uuid: if incompat & INCOMPAT_META_UUID != 0 {
                uuid_at(fields, 248)
            } else {
                uuid
            },
            label: bytes::text(&fields.0[108..120]),
        }
    }

    fn check_geometry(&self, fields: Fields, device_size: u64) -> Result<(), FsError> {
        let logs = |log: usize, size: u32| u64::from(size) == 1u64 << fields.u8(log).min(63);
        let inode_size = u32::from(fields.u16(104));
        if !(512..=65536).contains(&self.block_size)
            || !logs(120, self.block_size)
            || !logs(121, self.sector_size)
        {
            return Err(corrupt(format!(
                "blocks of {} bytes, sectors of {}",
                self.block_size, self.sector_size
            )));
        }
        if self.sector_size > self.block_size {
            return Err(corrupt("sectors larger than blocks"));
        }
        if !(256..=2048).contains(&inode_size)
            || !logs(122, inode_size)
            || inode_size > self.block_size
            || u64::from(self.block_size / inode_size) != 1u64 << self.inodes_per_block_log.min(63)
        {
            return Err(corrupt(format!("inodes of {inode_size} bytes")));
        }
        self.check_groups(u32::from(fields.u8(124)))?;
        if self
            .blocks
            .checked_mul(u64::from(self.block_size))
            .is_none_or(|bytes| bytes > device_size)
        {
            return Err(corrupt(format!(
                "{} blocks do not fit a device of {device_size} bytes",
                self.blocks
            )));
        }
        self.check_log()
    }

    fn check_groups(&self, group_log: u32) -> Result<(), FsError> {
        let most = self.groups.saturating_mul(self.group_blocks);
        let fits = self.groups >= 1
            && self.group_blocks >= MIN_GROUP_BLOCKS
            && self.blocks <= most
            && self.blocks >= most - self.group_blocks + MIN_GROUP_BLOCKS;
        if !fits || self.group_blocks.next_power_of_two() != 1u64 << group_log.min(63) {
            return Err(corrupt(format!(
                "{} groups of {} blocks in {} blocks",
                self.groups, self.group_blocks, self.blocks
            )));
        }
        if self.groups > MAX_GROUPS {
            return Err(unsupported(format!("{} allocation groups", self.groups)));
        }
        Ok(())
    }

    fn check_log(&self) -> Result<(), FsError> {
        let end = self.log_start.saturating_add(self.log_blocks);
        let inside = self.log_blocks > 0 && end <= self.blocks;
        if !inside || self.log_start / self.group_blocks != (end - 1) / self.group_blocks {
            return Err(corrupt(format!(
                "a log of {} blocks at block {}",
                self.log_blocks, self.log_start
            )));
        }
        Ok(())
    }

    /// First block of a group.
    pub(super) fn group_start(&self, group: u64) -> u64 {
        group * self.group_blocks
    }

    /// Number of blocks of a group: the last one may be shorter.
    pub(super) fn group_len(&self, group: u64) -> u64 {
        self.group_blocks.min(self.blocks - self.group_start(group))
    }
}

fn uuid_at(fields: Fields, at: usize) -> [u8; 16] {
    fields.0[at..at + 16]
        .try_into()
        .expect("16 bytes of at least 512")
}

fn check_features(fields: Fields, v5: bool) -> Result<(), FsError> {
    if fields.u8(126) != 0 {
        return Err(corrupt(
            "mkfs or a restore was interrupted (sb_inprogress is set)",
        ));
    }
    if fields.u64(16) != 0 || fields.u64(24) != 0 {
        return Err(unsupported("a realtime device"));
    }
    if fields.u64(48) == 0 {
        return Err(unsupported("an external log"));
    }
    if fields.u8(179) != 0 {
        return Err(unsupported("shared versions"));
    }
    if v5 {
        check_features_v5(fields)
    } else {
        check_features_v4(fields)
    }
}

fn check_features_v5(fields: Fields) -> Result<(), FsError> {
    let incompat = fields.u32(216);
    if incompat & INCOMPAT_NEEDS_REPAIR != 0 {
        return Err(corrupt("it is marked as needing xfs_repair (needsrepair)"));
    }
    if let Some((_, name)) = INCOMPAT_NAMES.iter().find(|(bit, _)| incompat & bit != 0) {
        return Err(unsupported(*name));
    }
    let unknown = incompat & !INCOMPAT_KNOWN;
    if unknown != 0 {
        return Err(unsupported(format!("incompatible features {unknown:#x}")));
    }
    let unknown = fields.u32(212) & !RO_COMPAT_KNOWN;
    if unknown != 0 {
        return Err(unsupported(format!(
            "read-only compatible features {unknown:#x}"
        )));
    }
    Ok(())
}

fn check_features_v4(fields: Fields) -> Result<(), FsError> {
    let version = fields.u16(100);
    if version & !VERSION_KNOWN != 0 {
        return Err(unsupported(format!("version bits {version:#x}")));
    }
    let unknown = if version & VERSION_MORE == 0 {
        0
    } else {
        fields.u32(200) & !FEATURES2_KNOWN
    };
    if unknown != 0 {
        return Err(unsupported(format!("features2 bits {unknown:#x}")));
    }
    Ok(())
}
