//! Used-block maps, read natively from the file systems' own structures.
//!
//! One file per file system; each offers `probe`, `map` and `guards` with the same shape:
//!
//! - `probe` recognises the file system in the first [`HEAD_LEN`] bytes of a device;
//! - `map` reads which blocks hold anything and refuses what it does not fully understand;
//! - `guards` lists, from the same head, every place whose content makes a kernel or a repair tool
//!   accept the file system: superblocks and their backups, primary first (`docs/formats/restore-order.md`).
//!
//! Nothing here ever writes. All sizes and offsets are in bytes unless a name says blocks. Every
//! number read from the disk is hostile until it is checked: no panic, no unbounded allocation or loop.

use std::io;
use std::ops::Range;

use azud_core::bitmap::Bitmap;
use azud_core::code::{self, Code};
use azud_core::io::ReadAt;

pub mod btrfs;
pub(crate) mod bytes;
pub mod exfat;
pub mod ext;
pub mod fat;
mod known;
mod label;
pub mod ntfs;
pub mod raw;
pub mod signature;
pub mod swap;
pub mod xfs;

pub use known::{guards, kind, map};
pub use label::seen;
pub use ntfs::{backup_boot as ntfs_backup_boot, complete as complete_ntfs};

/// How much of a device's beginning `probe` and `guards` are given (less when the device is smaller).
pub const HEAD_LEN: usize = 128 * 1024;

/// A file system that Azud knows by its structures, or the lack of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FsKind {
    /// ext2, ext3, ext4.
    Ext,
    /// NTFS.
    Ntfs,
    /// FAT with 12-bit entries.
    Fat12,
    /// FAT with 16-bit entries.
    Fat16,
    /// FAT with 32-bit entries.
    Fat32,
    /// exFAT.
    ExFat,
    /// XFS, v4 and v5.
    Xfs,
    /// btrfs on one device.
    Btrfs,
    /// Linux swap space: only its header is worth keeping.
    Swap,
    /// A file system whose map partclone extracted.
    Partclone([u8; 16]),
    /// No map: every block counts.
    Raw,
}

impl FsKind {
    /// The name in a partclone header, where stock tools look for it.
    pub fn partclone_name(&self) -> &str {
        match self {
            Self::Ext => "EXTFS",
            Self::Ntfs => "NTFS",
            Self::Fat12 => "FAT12",
            Self::Fat16 => "FAT16",
            Self::Fat32 => "FAT32",
            Self::ExFat => "EXFAT",
            Self::Xfs => "XFS",
            Self::Btrfs => "BTRFS",
            Self::Swap => "SWAP",
            Self::Raw => "raw",
            Self::Partclone(name) => {
                let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
                std::str::from_utf8(&name[..end]).unwrap_or("unknown")
            }
        }
    }
}

/// What a volume holds and which of its blocks are worth keeping.
#[derive(Debug, Clone)]
pub struct Volume {
    /// The file system.
    pub kind: FsKind,
    /// Block size in bytes, a power of two, at least 512.
    pub block_size: u32,
    /// The used blocks. `used.len() * block_size <= device_size`.
    pub used: Bitmap,
    /// Size of the device in bytes.
    pub device_size: u64,
    /// How many blocks the file system's own counters say are used; informational.
    pub claimed_used: u64,
    /// Byte ranges beyond the last whole block that must be kept as well (NTFS' backup boot sector …);
    /// small, ascending, not overlapping the blocks.
    pub tails: Vec<Range<u64>>,
    /// The volume label, if it has one.
    pub label: Option<String>,
    /// UUID or serial number as `blkid` prints it.
    pub uuid: Option<String>,
    /// Logical sector size the file system depends on (0: none), in bytes.
    pub sector_size: u32,
    /// Files whose content was left out of the map.
    pub left_out: Vec<LeftOut>,
}

impl Volume {
    /// Bytes of used blocks.
    pub fn used_bytes(&self) -> u64 {
        self.used.count() * u64::from(self.block_size)
    }

    /// The smallest device the volume can be restored to without shrinking it first: free blocks at its end
    /// count, since a kernel refuses a file system that reaches beyond its device.
    pub fn minimum_size(&self) -> u64 {
        let blocks = self.used.len() * u64::from(self.block_size);
        self.tails
            .iter()
            .map(|tail| tail.end)
            .fold(blocks, u64::max)
    }
}

/// A file whose blocks the map leaves out, since its content is worthless after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// File name, e.g. `pagefile.sys`.
    pub name: String,
    /// Bytes of blocks left out.
    pub bytes: u64,
}

/// Choices that change what a map contains.
#[derive(Debug, Clone, Copy, Default)]
pub struct MapOptions {
    /// Keep the content of Windows page, swap and hibernation files.
    pub keep_pagefile: bool,
}

/// Why a file system cannot be captured by its map.
#[derive(Debug, thiserror::Error)]
pub enum FsError {
    /// The device failed.
    #[error("cannot read {len} bytes at offset {offset} of the device")]
    Read {
        /// Where, in bytes.
        offset: u64,
        /// How much.
        len: usize,
        /// What the system said.
        source: io::Error,
    },
    /// Not shut down cleanly: its map cannot be believed.
    #[error("{fs} was not shut down cleanly: {why}")]
    Dirty {
        /// The file system.
        fs: &'static str,
        /// Which sign of it was found, naming flag or field.
        why: String,
        /// The exact commands or steps that mend it, English, one per line.
        remedy: &'static str,
    },
    /// Windows, or a Linux in its swap space, sleeps in it.
    #[error("{fs} belongs to a hibernated system: {why}")]
    Hibernated {
        /// The file system.
        fs: &'static str,
        /// Which sign of it was found.
        why: String,
        /// The exact steps that mend it.
        remedy: &'static str,
    },
    /// Contradictions within the structures.
    #[error("{fs} is damaged: {what}")]
    Corrupt {
        /// The file system.
        fs: &'static str,
        /// What contradicts what.
        what: String,
    },
    /// A feature that this program does not know or does not handle.
    #[error("{fs} uses {what}, which is not supported")]
    Unsupported {
        /// The file system.
        fs: &'static str,
        /// The feature.
        what: String,
    },
}

impl FsError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Read { source, .. } => code::of_io(source),
            Self::Dirty { .. } => Code::Dirty,
            Self::Hibernated { .. } => Code::Hibernated,
            Self::Corrupt { .. } => Code::FsCorrupt,
            Self::Unsupported { .. } => Code::FsUnsupported,
        }
    }

    /// What to do about it, if that is known.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Dirty { remedy, .. } | Self::Hibernated { remedy, .. } => Some(remedy),
            _ => None,
        }
    }
}

/// Reads the head of a device: what `probe` and `guards` look at.
///
/// # Errors
/// [`FsError::Read`].
pub fn read_head(device: &dyn ReadAt) -> Result<Vec<u8>, FsError> {
    let len = usize::try_from(device.len().min(HEAD_LEN as u64)).expect("at most HEAD_LEN");
    bytes::read_vec(device, 0, len)
}
