//! The exFAT boot region: twelve sectors, the last of which repeats a checksum over the others, and a
//! second copy of them all.
//!
//! Invariant: a [`Boot`] is consistent in itself and lies on the device; both regions were whole and agreed.

use azud_core::io::ReadAt;

use super::corrupt;
use crate::fs::FsError;
use crate::fs::bytes::{le16, le32, le64, read_vec};

/// Sectors of one boot region.
pub(super) const REGION: u64 = 12;

/// Clusters that a 32-bit table can number.
const MAX_CLUSTERS: u32 = 0xFFFF_FFF5;

/// What the main boot sector says. Offsets and sizes in bytes.
#[derive(Debug)]
pub(super) struct Boot {
    pub(super) sector: u64,
    pub(super) cluster: u64,
    /// Number of clusters in the heap; the first is called 2.
    pub(super) clusters: u32,
    pub(super) fat: u64,
    pub(super) heap: u64,
    pub(super) size: u64,
    pub(super) root_cluster: u32,
    pub(super) serial: u32,
    /// Bit 0: second FAT active. Bit 1: dirty. Bit 2: the medium failed.
    pub(super) flags: u16,
}

/// Bytes per sector, if this is the boot sector of an exFAT volume.
pub(super) fn sector_size(head: &[u8]) -> Option<u64> {
    let shift = *head.get(108)?;
    let ours = head.get(..11)? == b"\xEB\x76\x90EXFAT   "
        && head.get(11..64)?.iter().all(|byte| *byte == 0)
        && le16(head, 510)? == 0xAA55
        && (9..=12).contains(&shift);
    ours.then(|| 1 << shift)
}

/// Reads and checks both boot regions.
pub(super) fn read(device: &dyn ReadAt) -> Result<Boot, FsError> {
    let first = read_vec(device, 0, if device.len() < 512 { 0 } else { 512 })?;
    let unknown = || FsError::Unsupported {
        fs: "exFAT",
        what: "another format than exFAT".into(),
    };
    let sector = sector_size(&first).ok_or_else(unknown)?;
    if device.len() < 2 * REGION * sector {
        return Err(corrupt("the device ends within the boot regions"));
    }
    let len = usize::try_from(REGION * sector).expect("48 KiB at most");
    let main = read_vec(device, 0, len)?;
    let backup = read_vec(device, REGION * sector, len)?;
    let boot = Boot::parse(&main, sector)?;
    for (region, name) in [(&main, "main"), (&backup, "backup")] {
        check_sum(region, usize::try_from(sector).expect("4096 at most"))
            .map_err(|()| corrupt(format!("the checksum of the {name} boot region is wrong")))?;
    }
    if [64..104, 108..111]
        .into_iter()
        .any(|fields| main[fields.clone()] != backup[fields])
    {
        return Err(corrupt(
            "the main and the backup boot sector describe different volumes",
        ));
    }
    if boot.size > device.len() {
        let what = format!(
            "it has {} bytes but the device only {} bytes",
            boot.size,
            device.len()
        );
        return Err(corrupt(what));
    }
    Ok(boot)
}

impl Boot {
    fn parse(main: &[u8], sector: u64) -> Result<Self, FsError> {
        let word = |at| le32(main, at).unwrap_or(0);
        let offset = |at| u64::from(word(at)) * sector;
        let (revision, fats) = (le16(main, 104).unwrap_or(0), main[110]);
        if revision >> 8 != 1 {
            return Err(unsupported(format!(
                "revision {}.{}",
                revision >> 8,
                revision & 0xFF
            )));
        }
        if fats != 1 {
            return Err(unsupported(format!("{fats} FATs (TexFAT)")));
        }
        let shift = u32::from(main[108]) + u32::from(main[109]);
        if shift > 25 {
            return Err(corrupt("its clusters are larger than 32 MiB"));
        }
        let sectors = le64(main, 72).unwrap_or(0);
        let boot = Self {
            sector,
            cluster: 1 << shift,
            clusters: word(92),
            fat: offset(80),
            heap: offset(88),
            size: sectors
                .checked_mul(sector)
                .ok_or_else(|| corrupt("its size overflows"))?,
            root_cluster: word(96),
            serial: word(100),
            flags: le16(main, 106).unwrap_or(0),
        };
        boot.check(offset(84))?;
        Ok(boot)
    }

    fn check(&self, fat_size: u64) -> Result<(), FsError> {
        let clusters = u64::from(self.clusters);
        let wrong = if !(1..=MAX_CLUSTERS).contains(&self.clusters) {
            "its number of clusters is impossible"
        } else if self.fat < 2 * REGION * self.sector || self.fat + fat_size > self.heap {
            "its FAT overlaps other regions"
        } else if (clusters + 2) * 4 > fat_size {
            "its FAT is too small for its clusters"
        } else if self.heap + clusters * self.cluster > self.size {
            "its clusters reach beyond the volume"
        } else if !self.holds(self.root_cluster) {
            "its root directory lies outside"
        } else if self.flags & 1 != 0 {
            "its active FAT does not exist"
        } else {
            return Ok(());
        };
        Err(corrupt(wrong))
    }

    /// Whether a number is that of a cluster.
    pub(super) fn holds(&self, cluster: u32) -> bool {
        cluster >= 2 && cluster - 2 < self.clusters
    }

    /// First byte of a cluster that exists.
    pub(super) fn at(&self, cluster: u32) -> u64 {
        self.heap + u64::from(cluster - 2) * self.cluster
    }
}

/// The sum covers eleven sectors without flags and fill level, which change in daily use.
fn check_sum(region: &[u8], sector: usize) -> Result<(), ()> {
    let (summed, sums) = region.split_at(11 * sector);
    let sum = summed
        .iter()
        .enumerate()
        .filter(|(i, _)| !matches!(i, 106 | 107 | 112));
    let sum = sum.fold(0u32, |sum, (_, byte)| {
        sum.rotate_right(1).wrapping_add(u32::from(*byte))
    });
    let whole = sums.chunks_exact(4).all(|word| word == sum.to_le_bytes());
    if whole { Ok(()) } else { Err(()) }
}

fn unsupported(what: String) -> FsError {
    FsError::Unsupported { fs: "exFAT", what }
}
