//! exFAT: the used clusters, from the allocation bitmap.
//!
//! Invariants: all before the cluster heap is kept (both boot regions and the FAT); in the heap, what the
//! bitmap marks. Both boot regions must be whole and agree, and the bitmap must at least know of the
//! clusters that hold it and the root directory. The fill level in percent is a hint and decides nothing.

use std::ops::Range;

use azud_core::io::ReadAt;

use super::fat::area::Area;
use super::{FsError, FsKind, MapOptions, Volume};

mod boot;
mod chain;
mod root;

use boot::{Boot, REGION};
use chain::Chain;
use root::Root;

const DIRTY: u16 = 2;
const MEDIA_FAILURE: u16 = 4;

const REMEDY: &str = "Windows: chkdsk X: /f  (X: is the volume's letter)\n\
                      Linux: fsck.exfat -p DEVICE";

/// Whether the head of a device is the boot sector of an exFAT volume.
pub fn probe(head: &[u8]) -> bool {
    boot::sector_size(head).is_some()
}

/// A boot sector that calls itself exFAT and is none.
pub(super) fn ruin(head: &[u8]) -> Option<FsError> {
    let named = head.get(3..11) == Some(b"EXFAT   ".as_slice());
    let what = "its boot sector has the name, but fields that make no sense";
    (named && !probe(head)).then(|| corrupt(what))
}

/// Reads which clusters hold anything.
///
/// # Errors
/// [`FsError::Dirty`] when the volume was not unmounted, [`FsError::Corrupt`] when a boot region is damaged,
/// structures contradict each other or the medium failed, [`FsError::Unsupported`] for `TexFAT`, newer
/// revisions and what is no exFAT, and [`FsError::Read`].
pub fn map(device: &dyn ReadAt, _options: &MapOptions) -> Result<Volume, FsError> {
    let boot = boot::read(device)?;
    check_clean(&boot)?;
    let root = Root::read(device, &boot)?;
    let mut area =
        Area::new(boot.size, &[boot.heap, boot.cluster]).ok_or_else(|| FsError::Unsupported {
            fs: "exFAT",
            what: "a volume of this size".into(),
        })?;
    area.keep(0..boot.heap);
    let (first, len) = root
        .bitmap
        .ok_or_else(|| corrupt("it has no allocation bitmap"))?;
    read_bitmap((device, &boot), (first, len), &mut area)?;
    let block_size = area.block_size();
    let (used, tails) = area.finish();
    for (cluster, what) in [
        (first, "allocation bitmap"),
        (boot.root_cluster, "root directory"),
    ] {
        if !used.get(boot.at(cluster) / u64::from(block_size)) {
            return Err(corrupt(format!(
                "cluster {cluster} of its {what} is marked free"
            )));
        }
    }
    Ok(Volume {
        kind: FsKind::ExFat,
        block_size,
        claimed_used: used.count(),
        used,
        device_size: device.len(),
        tails,
        label: root.label,
        uuid: Some(format!(
            "{:04X}-{:04X}",
            boot.serial >> 16,
            boot.serial & 0xFFFF
        )),
        sector_size: u32::try_from(boot.sector).expect("4096 at most"),
        left_out: Vec::new(),
    })
}

/// The label, whatever state the volume is in.
pub(super) fn label(device: &dyn ReadAt) -> Result<Option<String>, FsError> {
    Ok(Root::read(device, &boot::read(device)?)?.label)
}

/// The main and the backup boot region.
pub fn guards(head: &[u8], device_size: u64) -> Vec<Range<u64>> {
    let Some(sector) = boot::sector_size(head) else {
        return Vec::new();
    };
    let region = REGION * sector;
    [0..region, region..2 * region]
        .into_iter()
        .filter(|range| range.end <= device_size)
        .collect()
}

fn check_clean(boot: &Boot) -> Result<(), FsError> {
    if boot.flags & MEDIA_FAILURE != 0 {
        return Err(corrupt(
            "its media-failure flag is set: sectors could not be read or written",
        ));
    }
    if boot.flags & DIRTY != 0 {
        let why = "the volume-dirty flag in the boot sector is set".into();
        return Err(FsError::Dirty {
            fs: "exFAT",
            why,
            remedy: REMEDY,
        });
    }
    Ok(())
}

/// Keeps every cluster whose bit is set; the bitmap is as long as the heap has clusters.
fn read_bitmap(
    (device, boot): (&dyn ReadAt, &Boot),
    (first, len): (u32, u64),
    area: &mut Area,
) -> Result<(), FsError> {
    let wanted = u64::from(boot.clusters).div_ceil(8);
    if len < wanted {
        return Err(corrupt(format!(
            "its allocation bitmap has {len} bytes, {wanted} bytes are needed"
        )));
    }
    let mut chain = Chain::new((device, boot), "allocation bitmap", first, wanted)?;
    let mut read = 0;
    while let Some(piece) = chain.next()? {
        for (byte, at) in piece.iter().zip(read..).filter(|(byte, _)| **byte != 0) {
            for bit in (0..8).filter(|bit| byte >> bit & 1 == 1) {
                let index = at * 8 + bit;
                if index < u64::from(boot.clusters) {
                    let start = boot.heap + index * boot.cluster;
                    area.keep(start..start + boot.cluster);
                }
            }
        }
        read += piece.len() as u64;
    }
    if read < wanted {
        return Err(corrupt(format!(
            "the chain of its allocation bitmap ends after {read} bytes"
        )));
    }
    Ok(())
}

fn corrupt(what: impl Into<String>) -> FsError {
    FsError::Corrupt {
        fs: "exFAT",
        what: what.into(),
    }
}
