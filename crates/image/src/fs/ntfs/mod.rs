//! NTFS: used clusters from `$Bitmap`.
//!
//! The boot sector leads to `$MFT`, whose record 6 is `$Bitmap`; one bit per cluster. Beyond the last
//! whole cluster lies the backup boot sector, kept as a tail. Dirty and hibernated volumes are refused,
//! since Windows' memory or log then knows better than the bitmap. What the bitmap says is checked
//! against the clusters that the metadata itself occupies.
//!
//! Invariant: every number from the disk is checked before it is used as an offset or a size; all loops
//! run over something bounded by the volume's size or a constant.

use std::ops::Range;

use azud_core::bitmap::Bitmap;
use azud_core::io::ReadAt;

use self::boot::Boot;
use self::mft::{Content, Device, Mft};
use self::record::{Record, kind};
use super::{FsError, FsKind, MapOptions, Volume, bytes};

mod boot;
mod index;
mod leave;
mod mft;
mod record;
mod runs;
mod state;

const NAME: &str = "NTFS";
/// Fix-ups protect pieces of this size, whatever the sector size is.
const SECTOR: usize = 512;
const BITMAP: u64 = 6;
/// Records that `$MFTMirr` holds at least.
const MIRRORED: usize = 4;

fn corrupt(what: impl Into<String>) -> FsError {
    FsError::Corrupt {
        fs: NAME,
        what: what.into(),
    }
}

fn unsupported(what: impl Into<String>) -> FsError {
    FsError::Unsupported {
        fs: NAME,
        what: what.into(),
    }
}

/// Whether the head of a device is an NTFS boot sector (that of `BitLocker` is not).
pub fn probe(head: &[u8]) -> bool {
    boot::is_ntfs(head)
}

/// Reads which clusters are used.
///
/// # Errors
/// [`FsError::Hibernated`] and [`FsError::Dirty`] with their remedies; [`FsError::Corrupt`] when the
/// structures contradict each other; [`FsError::Unsupported`]; [`FsError::Read`].
pub fn map(device: &dyn ReadAt, options: &MapOptions) -> Result<Volume, FsError> {
    let device_size = device.len();
    let boot = read_boot(device)?;
    let device = Device { io: device, boot };
    let mft = Mft::open(&device)?;
    let facts = state::volume(&mft)?;
    state::check(&mft, &facts)?;
    check_mirror(&mft)?;
    let bitmap = mft.record(BITMAP)?;
    let bitmap = mft
        .content(&bitmap, kind::DATA, "")?
        .ok_or_else(|| corrupt("$Bitmap has no data"))?;
    let mut used = read_bitmap(&mft, &bitmap)?;
    let claimed_used = used.count();
    check_own(&mft, &bitmap, &used)?;
    let mut left_out = Vec::new();
    if !options.keep_pagefile {
        left_out = leave::leave_out(&mft, &mut used)?;
        // Once more: a hostile page file may claim to own the metadata.
        check_own(&mft, &bitmap, &used)?;
    }
    Ok(Volume {
        kind: FsKind::Ntfs,
        block_size: boot.cluster,
        used,
        device_size,
        claimed_used,
        tails: boot.tails(device_size),
        label: facts.label,
        uuid: Some(format!("{:016X}", boot.serial)),
        sector_size: boot.sector,
        left_out,
    })
}

/// The label, whatever state the volume is in.
pub(super) fn label(device: &dyn ReadAt) -> Result<Option<String>, FsError> {
    let boot = read_boot(device)?;
    let device = Device { io: device, boot };
    Ok(state::volume(&Mft::open(&device)?)?.label)
}

fn read_boot(device: &dyn ReadAt) -> Result<Boot, FsError> {
    let size = device.len();
    let len = usize::try_from(size.min(SECTOR as u64)).expect("at most a sector");
    Boot::parse(&bytes::read_vec(device, 0, len)?, size)
}

/// The boot sector, its backup behind the volume's last sector, and the device's last sector, where
/// repair tools look as well.
pub fn guards(head: &[u8], device_size: u64) -> Vec<Range<u64>> {
    let primary = 0..device_size.min(4096);
    let mut all: Vec<Range<u64>> = std::iter::once(primary)
        .filter(|range| !range.is_empty())
        .collect();
    let backup = boot::backup(head);
    let sector = backup
        .as_ref()
        .map_or(SECTOR as u64, |range| range.end - range.start);
    let last = device_size
        .checked_sub(sector)
        .map(|start| start..device_size);
    for range in backup.into_iter().chain(last) {
        if range.end <= device_size
            && all
                .iter()
                .all(|other| range.end <= other.start || other.end <= range.start)
        {
            all.push(range);
        }
    }
    all
}

/// Adds to a map that another program made what it does not tell: backup boot sector, sector size, serial number.
///
/// # Errors
/// As [`map`] for the boot sector; [`FsError::Corrupt`] when the map is not of the size that it names.
pub fn complete(device: &dyn ReadAt, volume: &mut Volume) -> Result<(), FsError> {
    let boot = read_boot(device)?;
    if volume.block_size != boot.cluster || volume.used.len() < boot.clusters {
        return Err(corrupt(
            "the map is not of the size that the boot sector names",
        ));
    }
    let blocks = volume.used.len() * u64::from(volume.block_size);
    volume.tails = boot.tails(device.len());
    volume.tails.retain(|tail| tail.start >= blocks);
    volume.sector_size = boot.sector;
    volume.uuid = Some(format!("{:016X}", boot.serial));
    Ok(())
}

/// Where a volume whose first block is `first` has its backup boot sector, and what is in it: it is a copy of
/// the boot sector. `None` when the blocks hold it already or `first` is no NTFS boot sector.
pub fn backup_boot(first: &[u8], volume: &Volume) -> Option<(u64, Vec<u8>)> {
    let range = boot::backup(first).filter(|_| boot::is_ntfs(first))?;
    let blocks_end = volume.used.len() * u64::from(volume.block_size);
    let len = usize::try_from(range.end - range.start).ok()?;
    (range.start >= blocks_end && range.end <= volume.device_size)
        .then(|| Some((range.start, first.get(..len)?.to_vec())))?
}

/// Whether all clusters of a range are marked used.
fn is_used(used: &Bitmap, start: u64, count: u64) -> bool {
    count == 0
        || used
            .runs_from(start)
            .next()
            .is_some_and(|run| run.start == start && run.count >= count)
}

fn read_bitmap(mft: &Mft<'_>, bitmap: &Content) -> Result<Bitmap, FsError> {
    let clusters = mft.device().boot.clusters;
    let len = clusters.div_ceil(8);
    if bitmap.size() < len {
        return Err(corrupt(format!(
            "$Bitmap has {} bytes for {clusters} clusters",
            bitmap.size()
        )));
    }
    if bitmap.stream().is_some_and(|stream| !stream.is_plain()) {
        return Err(corrupt("$Bitmap has holes or is compressed"));
    }
    // Checked before it is allocated: so many bytes are really there.
    let there = bitmap.stream().is_none_or(|stream| {
        stream
            .end()
            .saturating_mul(u64::from(mft.device().boot.cluster))
            >= len
    });
    if !there {
        return Err(corrupt("$Bitmap has fewer clusters than it says"));
    }
    let len = usize::try_from(len)
        .map_err(|_| unsupported("more clusters than this computer can address"))?;
    let mut bits = vec![0; len];
    bitmap.read(mft.device(), 0, &mut bits)?;
    Ok(Bitmap::from_bytes(&bits, clusters).expect("as many bytes as the clusters need"))
}

/// The first records of `$MFTMirr` must be of the same files as those of `$MFT`.
fn check_mirror(mft: &Mft<'_>) -> Result<(), FsError> {
    let device = mft.device();
    let size = device.boot.record as usize;
    let mirror = device
        .boot
        .read_records(device.io, device.boot.mirror, MIRRORED)?;
    for (number, copy) in (0..).zip(mirror.chunks_exact(size)) {
        let record = mft.record(number)?;
        let copy = Record::parse(copy.to_vec(), number);
        if !copy.is_ok_and(|copy| copy.sequence() == record.sequence()) {
            return Err(corrupt(format!(
                "$MFTMirr does not match $MFT in record {number}"
            )));
        }
    }
    Ok(())
}

/// The clusters that hold what was just read must be marked used.
fn check_own(mft: &Mft<'_>, bitmap: &Content, used: &Bitmap) -> Result<(), FsError> {
    let boot = &mft.device().boot;
    let mirror = (MIRRORED as u64 * u64::from(boot.record)).div_ceil(u64::from(boot.cluster));
    let fixed = [("the boot sector", 0, 1), ("$MFTMirr", boot.mirror, mirror)];
    let streams = [("$MFT", Some(mft.stream())), ("$Bitmap", bitmap.stream())];
    let runs = streams
        .iter()
        .filter_map(|(what, stream)| stream.map(|stream| (*what, stream)));
    let runs = runs.flat_map(|(what, stream)| {
        stream
            .runs
            .iter()
            .filter_map(move |run| run.lcn.map(|lcn| (what, lcn, run.count)))
    });
    for (what, lcn, count) in fixed.into_iter().chain(runs) {
        if !is_used(used, lcn, count) {
            return Err(corrupt(format!(
                "{what} lies in clusters that $Bitmap or another file claims"
            )));
        }
    }
    Ok(())
}
