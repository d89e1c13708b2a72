//! FAT12, FAT16 and FAT32: the used clusters, from the file allocation table.
//!
//! Invariants: all before the first cluster is kept (reserved sectors, every FAT, the fixed root directory);
//! a cluster is kept unless its entry says free or bad. Volumes whose FATs disagree, or that were not
//! unmounted, are refused. FAT32's free count is a hint that many writers leave stale; it decides nothing.

use std::ops::Range;

use azud_core::io::ReadAt;

use super::bytes::{le32, read_vec};
use super::{FsError, FsKind, HEAD_LEN, MapOptions, Volume};

pub(in crate::fs) mod area;
mod boot;
mod root;
mod table;

use area::Area;
use boot::{Boot, NotFat};

const REMEDY: &str = "Windows: chkdsk X: /f  (X: is the volume's letter)\n\
                      Linux: fsck.vfat -a DEVICE";

/// Whether the head of a device is the boot sector of a FAT volume.
pub fn probe(head: &[u8]) -> bool {
    Boot::parse(head).is_ok()
}

/// A boot sector of FAT that contradicts itself, or one that only calls itself FAT.
pub(super) fn ruin(head: &[u8]) -> Option<FsError> {
    let what = match Boot::parse(head).err()? {
        NotFat::Broken(what) => what,
        NotFat::Foreign if boot::is_named(head) => {
            "its boot sector has the name, but fields that make no sense"
        }
        NotFat::Foreign => return None,
    };
    Some(FsError::Corrupt {
        fs: "FAT",
        what: what.into(),
    })
}

/// Reads which clusters hold anything.
///
/// # Errors
/// [`FsError::Dirty`] when the volume was not unmounted or met read errors, [`FsError::Corrupt`] when its
/// FATs differ or its sizes contradict each other or the device, [`FsError::Unsupported`] for what is no
/// FAT or a newer one, and [`FsError::Read`].
pub fn map(device: &dyn ReadAt, _options: &MapOptions) -> Result<Volume, FsError> {
    let boot = read_boot(device)?;
    check_clean(device, &boot)?;
    let mut area = Area::new(boot.size, &[boot.data, boot.cluster])
        .ok_or_else(|| unsupported(boot.kind, "a volume of this size".into()))?;
    area.keep(0..boot.data);
    let free = table::walk(device, &boot, |cluster| {
        let start = boot.at(cluster);
        area.keep(start..start + boot.cluster);
    })?;
    if boot.wide() && table::entry(device, &boot, boot.root_cluster)? == 0 {
        return Err(corrupt(
            boot.kind,
            format!(
                "its root directory, cluster {}, is marked free",
                boot.root_cluster
            ),
        ));
    }
    let free = free_by_hint(device, &boot)?.unwrap_or(free);
    let block_size = area.block_size();
    let kept = boot.data + (u64::from(boot.clusters) - free) * boot.cluster;
    let (used, tails) = area.finish();
    Ok(Volume {
        kind: boot.kind,
        block_size,
        used,
        device_size: device.len(),
        claimed_used: kept / u64::from(block_size),
        tails,
        label: root::label(device, &boot)?,
        uuid: boot
            .serial
            .map(|serial| format!("{:04X}-{:04X}", serial >> 16, serial & 0xFFFF)),
        sector_size: u32::try_from(boot.sector).expect("4096 at most"),
        left_out: Vec::new(),
    })
}

/// The label, whatever state the volume is in.
pub(super) fn label(device: &dyn ReadAt) -> Result<Option<String>, FsError> {
    root::label(device, &read_boot(device)?)
}

/// The boot sector and, on FAT32, its copy where the boot sector says and where everybody looks (sector 6).
pub fn guards(head: &[u8], device_size: u64) -> Vec<Range<u64>> {
    let Ok(boot) = Boot::parse(head) else {
        return Vec::new();
    };
    let mut sectors = vec![0];
    sectors.extend(boot.backup_sector);
    if boot.wide() && boot.backup_sector != Some(6) && boot.fats[0] > 6 * boot.sector {
        sectors.push(6);
    }
    let ranges = sectors
        .into_iter()
        .map(|number| number * boot.sector..(number + 1) * boot.sector);
    ranges.filter(|range| range.end <= device_size).collect()
}

fn read_boot(device: &dyn ReadAt) -> Result<Boot, FsError> {
    let len = device.len().min(HEAD_LEN as u64).min(512);
    let head = read_vec(device, 0, usize::try_from(len).expect("512 at most"))?;
    let boot = Boot::parse(&head).map_err(|error| match error {
        NotFat::Foreign => FsError::Unsupported {
            fs: "FAT",
            what: "another format than FAT".into(),
        },
        NotFat::Broken(what) => FsError::Corrupt {
            fs: "FAT",
            what: what.into(),
        },
    })?;
    if boot.version != 0 {
        return Err(unsupported(
            boot.kind,
            format!("version {:#06x}", boot.version),
        ));
    }
    if boot.size > device.len() {
        let what = format!(
            "it has {} bytes but the device only {} bytes",
            boot.size,
            device.len()
        );
        return Err(corrupt(boot.kind, what));
    }
    Ok(boot)
}

/// Two places tell: bits of the FAT's entry 1 (Windows; set means well) and of the boot sector (Linux and
/// others; set means ill).
fn check_clean(device: &dyn ReadAt, boot: &Boot) -> Result<(), FsError> {
    let (clean, whole) = match boot.kind {
        FsKind::Fat16 => (0x8000, 0x4000),
        FsKind::Fat32 => (0x0800_0000, 0x0400_0000),
        _ => (0, 0),
    };
    let entry = table::entry(device, boot, 1)?;
    let why = if entry & clean != clean {
        "the clean bit of FAT entry 1 is not set"
    } else if entry & whole != whole {
        "the no-errors bit of FAT entry 1 is not set: a read or write failed"
    } else if boot.state & 1 != 0 {
        "the dirty bit in the boot sector is set"
    } else if boot.state & 2 != 0 {
        "the surface-test bit in the boot sector is set: a read or write failed"
    } else {
        return Ok(());
    };
    Err(FsError::Dirty {
        fs: name(boot.kind),
        why: why.into(),
        remedy: REMEDY,
    })
}

/// The number of free clusters that the FAT32 info sector claims, if it is whole and possible.
fn free_by_hint(device: &dyn ReadAt, boot: &Boot) -> Result<Option<u64>, FsError> {
    let Some(sector) = boot.info_sector else {
        return Ok(None);
    };
    let info = read_vec(device, sector * boot.sector, 512)?;
    let whole = le32(&info, 0) == Some(0x4161_5252)
        && le32(&info, 484) == Some(0x6141_7272)
        && le32(&info, 508) == Some(0xAA55_0000);
    let free = le32(&info, 488).filter(|free| whole && *free <= boot.clusters);
    Ok(free.map(u64::from))
}

fn name(kind: FsKind) -> &'static str {
    match kind {
        FsKind::Fat12 => "FAT12",
        FsKind::Fat16 => "FAT16",
        _ => "FAT32",
    }
}

fn corrupt(kind: FsKind, what: String) -> FsError {
    FsError::Corrupt {
        fs: name(kind),
        what,
    }
}

fn unsupported(kind: FsKind, what: String) -> FsError {
    FsError::Unsupported {
        fs: name(kind),
        what,
    }
}
