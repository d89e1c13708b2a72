//! The identities in a partition table, read from the disk itself: no daemon needs to run.
//!
//! This only names what the kernel already shows; it never decides where a partition lies.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use crate::error::{DiskError, Result};
use crate::sysfs::BlockDev;

/// What names a table and one of its partitions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Identities {
    pub(crate) table: Option<String>,
    pub(crate) partition: Option<String>,
}

const MBR_SIGNATURE_AT: usize = 440;
const HEADER: usize = 92;
/// More entries, or larger ones, than any tool writes.
const MAX_ENTRIES: u32 = 4096;
const MAX_ENTRY: u32 = 4096;

/// The identities of a disk's table and, if asked, of a partition (number from 1, first byte).
pub(crate) fn identities(disk: &Path, sector: u32, partition: Option<(u32, u64)>) -> Identities {
    let Ok(disk) = File::open(disk) else {
        return Identities::default();
    };
    gpt(&disk, sector, partition)
        .or_else(|| mbr(&disk, partition))
        .unwrap_or_default()
}

/// A partition table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// `gpt` or `dos`, as `blkid` says.
    pub kind: &'static str,
    /// How many partitions it lists; those inside of an extended one only where the kernel has read it.
    pub partitions: usize,
}

/// The partition table of a device or file. `None` when there is none.
///
/// # Errors
/// [`DiskError::NotFound`], [`DiskError::Permission`], [`DiskError::Io`].
pub fn table(path: &Path) -> Result<Option<Table>> {
    let disk = File::open(path).map_err(|error| DiskError::at(path, "opening", error))?;
    // A file may come from a disk of either size.
    let listed = [512, 4096]
        .into_iter()
        .find_map(|sector| gpt_entries(&disk, sector))
        .or_else(|| mbr_entries(&disk));
    let meta = disk.metadata();
    let device = meta.ok().and_then(|meta| BlockDev::of(meta.rdev()));
    let known = device.map_or(0, |device| device.partitions());
    Ok(listed.map(|table| Table {
        partitions: table.partitions.max(known),
        ..table
    }))
}

fn gpt_entries(disk: &File, sector: u64) -> Option<Table> {
    let mut header = [0; HEADER];
    disk.read_exact_at(&mut header, sector).ok()?;
    if &header[..8] != b"EFI PART" {
        return None;
    }
    let (count, size) = (u32_at(&header, 80)?, u32_at(&header, 84)?);
    let mut partitions = 0;
    if (128..=MAX_ENTRY).contains(&size) {
        let first = u64_at(&header, 72)?.checked_mul(sector)?;
        for number in 0..count.min(MAX_ENTRIES) {
            let mut kind = [0; 16];
            let at = first.checked_add(u64::from(number) * u64::from(size))?;
            if disk.read_exact_at(&mut kind, at).is_err() {
                break;
            }
            partitions += usize::from(kind != [0; 16]);
        }
    }
    let kind = "gpt";
    Some(Table { kind, partitions })
}

fn mbr_entries(disk: &File) -> Option<Table> {
    let mut sector = [0; 512];
    disk.read_exact_at(&mut sector, 0).ok()?;
    let entries: Vec<&[u8]> = sector[446..510].chunks(16).collect();
    let flags_ok = entries.iter().all(|entry| matches!(entry[0], 0 | 0x80));
    if sector[510..] != [0x55, 0xAA] || !flags_ok || is_boot_sector(&sector) {
        return None;
    }
    let used = |entry: &&&[u8]| entry[4] != 0 && entry[12..16] != [0; 4];
    let partitions = entries.iter().filter(used).count();
    // An empty one has a signature at least; the end mark alone may be anybody's.
    let named = u32_at(&sector, MBR_SIGNATURE_AT)? != 0;
    let kind = "dos";
    (partitions > 0 || named).then_some(Table { kind, partitions })
}

fn gpt(disk: &File, sector: u32, partition: Option<(u32, u64)>) -> Option<Identities> {
    let sector = u64::from(sector);
    let mut header = [0; HEADER];
    disk.read_exact_at(&mut header, sector).ok()?;
    if &header[..8] != b"EFI PART" {
        return None;
    }
    let table = Some(guid(&header[56..72])?);
    let entry = partition.and_then(|(number, start)| {
        let (first, count, size) = (
            u64_at(&header, 72)?,
            u32_at(&header, 80)?,
            u32_at(&header, 84)?,
        );
        if number == 0 || number > count.min(MAX_ENTRIES) || !(128..=MAX_ENTRY).contains(&size) {
            return None;
        }
        let at = first
            .checked_mul(sector)?
            .checked_add(u64::from(number - 1) * u64::from(size))?;
        let mut entry = [0; 128];
        disk.read_exact_at(&mut entry, at).ok()?;
        // Another start means that the kernel's table is not the one on the disk.
        (u64_at(&entry, 32)?.checked_mul(sector)? == start)
            .then(|| guid(&entry[16..32]))
            .flatten()
    });
    Some(Identities {
        table,
        partition: entry,
    })
}

fn mbr(disk: &File, partition: Option<(u32, u64)>) -> Option<Identities> {
    let mut sector = [0; 512];
    disk.read_exact_at(&mut sector, 0).ok()?;
    let id = u32_at(&sector, MBR_SIGNATURE_AT)?;
    // Boot sectors of file systems end alike; a table shows itself by its boot flags, each 0 or 0x80.
    let flags_ok = (0..4).all(|slot| matches!(sector[446 + 16 * slot], 0 | 0x80));
    if sector[510..] != [0x55, 0xAA]
        || id == 0
        || !flags_ok
        || (partition.is_none() && is_boot_sector(&sector))
    {
        return None;
    }
    let name = |(number, _)| format!("{id:08x}-{number:02x}");
    Some(Identities {
        table: Some(format!("{id:08x}")),
        partition: partition.map(name),
    })
}

/// Whether it begins with the jump of a FAT, exFAT or NTFS boot sector.
fn is_boot_sector(sector: &[u8; 512]) -> bool {
    let words: [&[u8]; 3] = [b"NTFS", b"EXFAT", b"FAT"];
    let holds = |range: std::ops::Range<usize>| {
        words
            .iter()
            .any(|word| sector[range.clone()].starts_with(word))
    };
    holds(3..11) || holds(54..62) || holds(82..90)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// A GUID as text: its first three fields are stored little-endian. `None` for all zeros.
fn guid(raw: &[u8]) -> Option<String> {
    let number = u128::from_be_bytes(raw.try_into().ok()?);
    let short = |at: usize| Some(u16::from_le_bytes(raw.get(at..at + 2)?.try_into().ok()?));
    let (first, second, third) = (u32_at(raw, 0)?, short(4)?, short(6)?);
    let (fourth, fifth) = (number >> 48 & 0xFFFF, number & 0xFFFF_FFFF_FFFF);
    (number != 0).then(|| format!("{first:08x}-{second:04x}-{third:04x}-{fourth:04x}-{fifth:012x}"))
}

#[cfg(test)]
mod tests {
    use super::guid;

    #[test]
    fn guids_mix_their_byte_orders() {
        let raw: Vec<u8> = (1..=16).collect();
        assert_eq!(
            guid(&raw).as_deref(),
            Some("04030201-0605-0807-090a-0b0c0d0e0f10")
        );
        assert_eq!(guid(&[0; 16]), None);
        assert_eq!(guid(&[1; 15]), None);
    }
}
