//! Which file system is it: one row for each that is read natively.

use std::ops::Range;

use azud_core::io::ReadAt;

use super::{FsError, FsKind, HEAD_LEN, MapOptions, Volume, read_head};

/// What every file system's module offers.
struct Known {
    kind: FsKind,
    probe: fn(&[u8]) -> bool,
    map: fn(&dyn ReadAt, &MapOptions) -> Result<Volume, FsError>,
    guards: fn(&[u8], u64) -> Vec<Range<u64>>,
}

macro_rules! known {
    ($module:ident, $kind:ident) => {
        Known {
            kind: FsKind::$kind,
            probe: super::$module::probe,
            map: super::$module::map,
            guards: super::$module::guards,
        }
    };
}

/// In the order in which they are asked: the least ambiguous first.
const KNOWN: &[Known] = &[
    known!(ext, Ext),
    known!(ntfs, Ntfs),
    known!(exfat, ExFat),
    known!(xfs, Xfs),
    known!(btrfs, Btrfs),
    known!(swap, Swap),
    known!(fat, Fat32),
];

fn find(head: &[u8]) -> Option<&'static Known> {
    KNOWN.iter().find(|known| (known.probe)(head))
}

/// Which file system a device that begins with `head` holds; any FAT counts as [`FsKind::Fat32`].
pub fn kind(head: &[u8]) -> Option<FsKind> {
    find(head).map(|known| known.kind)
}

/// Looks for what bears the marks of a file system, though it makes so little sense that its probe passes it over.
type Ruin = fn(&[u8]) -> Option<FsError>;

/// Of those whose marks are weak, so that their probes look at more. A mark alone says enough of the others.
const RUINS: [Ruin; 3] = [super::ext::ruin, super::exfat::ruin, super::fat::ruin];

/// What is left of a file system whose head makes no sense, if a device is that. Before a partition table it may
/// be a leftover of whatever was there.
fn ruin(head: &[u8]) -> Option<FsError> {
    let found = RUINS.iter().find_map(|ruin| ruin(head));
    found.filter(|_| !crate::sniff::is_disk(head))
}

/// Reads the map of whatever file system a device holds; `None` when it is not one that is read natively.
///
/// # Errors
/// Any [`FsError`]; [`FsError::Corrupt`] also for one that its own head hardly describes any more: taken whole, its
/// damage would go into the image unseen.
pub fn map(device: &dyn ReadAt, options: &MapOptions) -> Result<Option<Volume>, FsError> {
    let head = read_head(device)?;
    match find(&head) {
        Some(known) => (known.map)(device, options).map(Some),
        None => ruin(&head).map_or(Ok(None), Err),
    }
}

/// Every place whose content makes a kernel or a repair tool accept what a device of `size` bytes
/// beginning with `head` holds. For the unknown: its beginning and its end, and the second header of LUKS2.
pub fn guards(head: &[u8], size: u64) -> Vec<Range<u64>> {
    if let Some(known) = find(head) {
        return (known.guards)(head, size);
    }
    let edge = HEAD_LEN as u64;
    let second = super::signature::second_luks2(head).filter(|second| second.end <= size);
    let ends = [0..edge.min(size), size.saturating_sub(edge)..size];
    ends.into_iter().chain(second).collect()
}
