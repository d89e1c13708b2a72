//! The boot sector of FAT12, FAT16 and FAT32: where everything lies.
//!
//! Invariant: a [`Boot`] is consistent in itself (regions in order, no overflow, a FAT large enough for its
//! clusters); whether the device is large enough is for the caller to see.

use std::ops::Range;

use crate::fs::FsKind;
use crate::fs::bytes::{le16, le32};

/// Everything the boot sector says. Offsets and sizes in bytes unless named otherwise.
#[derive(Debug)]
pub(super) struct Boot {
    pub(super) kind: FsKind,
    pub(super) sector: u64,
    pub(super) cluster: u64,
    /// Number of data clusters; the first is called 2.
    pub(super) clusters: u32,
    pub(super) fats: Vec<u64>,
    pub(super) fat_size: u64,
    /// Fixed root directory (FAT12, FAT16); empty on FAT32.
    pub(super) root: Range<u64>,
    /// First cluster of the root directory (FAT32).
    pub(super) root_cluster: u32,
    pub(super) data: u64,
    pub(super) size: u64,
    /// The FAT that counts, and whether the others mirror it.
    pub(super) active: usize,
    pub(super) mirrored: bool,
    /// Bit 0: dirty. Bit 1: surface errors.
    pub(super) state: u8,
    pub(super) serial: Option<u32>,
    pub(super) label: Option<[u8; 11]>,
    /// Sector numbers from the FAT32 boot sector; `None` where it names none.
    pub(super) info_sector: Option<u64>,
    pub(super) backup_sector: Option<u64>,
    pub(super) version: u16,
}

/// A boot sector that is none of FAT, or is one that contradicts itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotFat {
    /// Something else altogether.
    Foreign,
    /// FAT, but this does not fit together.
    Broken(&'static str),
}

/// What other file systems and `BitLocker` To Go write where FAT keeps the name of the formatter.
const FOREIGN_NAMES: [&[u8; 8]; 4] = [b"NTFS    ", b"EXFAT   ", b"-FVE-FS-", b"ReFS\0\0\0\0"];

/// `BitLocker` To Go hides behind a FAT32 of its own; this GUID at byte 424 tells.
const TO_GO: [u8; 16] = [
    0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a, 0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01,
];

/// Whether other formats claim this boot sector.
fn is_foreign(head: &[u8]) -> bool {
    FOREIGN_NAMES
        .iter()
        .any(|name| head.get(3..11) == Some(name.as_slice()))
        || head.get(424..440) == Some(TO_GO.as_slice())
        || head.get(54..62) == Some(b"HPFS    ".as_slice())
}

/// Whether a boot sector names its file system FAT, where every formatter writes it.
pub(super) fn is_named(head: &[u8]) -> bool {
    let has = |at: usize, name: &[u8; 8]| head.get(at..at + 8) == Some(name.as_slice());
    let named = has(54, b"FAT12   ") || has(54, b"FAT16   ") || has(82, b"FAT32   ");
    named && le16(head, 510) == Some(0xAA55) && !is_foreign(head)
}

impl Boot {
    /// Reads the boot sector at the beginning of `head`.
    pub(super) fn parse(head: &[u8]) -> Result<Self, NotFat> {
        let bpb = Bpb::read(head).ok_or(NotFat::Foreign)?;
        bpb.boot(head)
    }
}

/// The fields common to all widths, as they stand.
struct Bpb {
    sector: u64,
    per_cluster: u64,
    reserved: u64,
    fats: u64,
    root_entries: u64,
    sectors: u64,
    fat_sectors16: u64,
    fat_sectors32: u64,
}

impl Bpb {
    /// `None` for what is not FAT at all.
    fn read(head: &[u8]) -> Option<Self> {
        let sector = le16(head, 11)?;
        let (per_cluster, reserved) = (*head.get(13)?, le16(head, 14)?);
        let (fats, media) = (*head.get(16)?, *head.get(21)?);
        let jump = matches!(head.get(..3)?, [0xEB, _, 0x90] | [0xE9, _, _]);
        let ours = le16(head, 510)? == 0xAA55
            && jump
            && matches!(sector, 512 | 1024 | 2048 | 4096)
            && per_cluster.is_power_of_two()
            && reserved != 0
            && (1..=4).contains(&fats)
            && (media == 0xF0 || media >= 0xF8);
        if !ours || is_foreign(head) {
            return None;
        }
        let small = u64::from(le16(head, 19)?);
        let sectors = if small == 0 {
            u64::from(le32(head, 32)?)
        } else {
            small
        };
        let fat_sectors16 = u64::from(le16(head, 22)?);
        let fat_sectors32 = if fat_sectors16 == 0 {
            u64::from(le32(head, 36)?)
        } else {
            0
        };
        if sectors == 0 || fat_sectors16 + fat_sectors32 == 0 {
            return None;
        }
        Some(Self {
            sector: u64::from(sector),
            per_cluster: u64::from(per_cluster),
            reserved: u64::from(reserved),
            fats: u64::from(fats),
            root_entries: u64::from(le16(head, 17)?),
            sectors,
            fat_sectors16,
            fat_sectors32,
        })
    }

    fn boot(&self, head: &[u8]) -> Result<Boot, NotFat> {
        let broken = NotFat::Broken;
        let wide = self.fat_sectors16 == 0;
        let fat_size = (self.fat_sectors16 + self.fat_sectors32) * self.sector;
        let fat_start = self.reserved * self.sector;
        let root_start = fat_start + self.fats * fat_size;
        let data = root_start + (self.root_entries * 32).next_multiple_of(self.sector);
        let size = self.sectors * self.sector;
        let cluster = self.per_cluster * self.sector;
        let clusters = size
            .checked_sub(data)
            .ok_or(broken("its FATs reach beyond the volume"))?
            / cluster;
        let (kind, bits) = width(wide, clusters)?;
        if (clusters + 2) * bits > fat_size * 8 {
            return Err(broken("its FAT is too small for its clusters"));
        }
        if !wide && self.root_entries == 0 {
            return Err(broken("its root directory has no room"));
        }
        let flags = if wide { le16(head, 40).unwrap_or(0) } else { 0 };
        let mirrored = flags & 0x80 == 0;
        let active = if mirrored {
            0
        } else {
            usize::from(flags & 0xF)
        };
        if active as u64 >= self.fats {
            return Err(broken("its active FAT does not exist"));
        }
        let fats = (0..self.fats).map(|i| fat_start + i * fat_size).collect();
        let clusters = u32::try_from(clusters).expect("bounded by width()");
        let mut boot = Boot {
            kind,
            sector: self.sector,
            cluster,
            clusters,
            fats,
            fat_size,
            root: root_start..data,
            root_cluster: 0,
            data,
            size,
            active,
            mirrored,
            state: 0,
            serial: None,
            label: None,
            info_sector: None,
            backup_sector: None,
            version: 0,
        };
        boot.extend(head, self.reserved);
        if wide && !(2..boot.clusters + 2).contains(&boot.root_cluster) {
            return Err(broken("its root directory lies outside"));
        }
        Ok(boot)
    }
}

/// The FAT's kind and bits per entry. As Linux, mtools and Windows see it: no 16-bit FAT size means FAT32,
/// however few the clusters; among the others their number decides.
fn width(wide: bool, clusters: u64) -> Result<(FsKind, u64), NotFat> {
    match clusters {
        0 => Err(NotFat::Broken("it has no clusters")),
        1..=0x0FFF_FFF5 if wide => Ok((FsKind::Fat32, 32)),
        1..=4084 => Ok((FsKind::Fat12, 12)),
        4085..=65524 => Ok((FsKind::Fat16, 16)),
        _ => Err(NotFat::Broken(
            "it has more clusters than its FAT can number",
        )),
    }
}

impl Boot {
    /// Whether this is FAT32.
    pub(super) fn wide(&self) -> bool {
        self.kind == FsKind::Fat32
    }

    /// Reads what lies behind the common fields; the two layouts differ by 28 bytes.
    fn extend(&mut self, head: &[u8], reserved: u64) {
        let at = if self.wide() { 64 } else { 36 };
        if matches!(head.get(at + 2), Some(0x28 | 0x29)) {
            self.state = head.get(at + 1).copied().unwrap_or(0);
            self.serial = le32(head, at + 3).filter(|serial| *serial != 0);
        }
        if head.get(at + 2) == Some(&0x29) {
            self.label = head
                .get(at + 7..at + 18)
                .and_then(|label| label.try_into().ok());
        }
        if self.wide() {
            let named = |at| {
                le16(head, at)
                    .map(u64::from)
                    .filter(|sector| (1..reserved).contains(sector))
            };
            self.version = le16(head, 42).unwrap_or(0);
            self.root_cluster = le32(head, 44).unwrap_or(0);
            self.info_sector = named(48);
            self.backup_sector = named(50);
        }
    }

    /// First byte of a cluster; the caller knows that it exists.
    pub(super) fn at(&self, cluster: u32) -> u64 {
        self.data + u64::from(cluster - 2) * self.cluster
    }
}
