//! The name that a volume bears, for whoever is about to lose it.

use std::ops::Range;

use azud_core::io::ReadAt;

use super::{FsError, FsKind, bytes, exfat, fat, kind, ntfs, read_head};

const EXT: Range<usize> = 1024 + 0x78..1024 + 0x88;
const XFS: Range<usize> = 108..120;
const BTRFS: Range<usize> = (64 << 10) + 299..(64 << 10) + 299 + 256;
const SWAP: Range<usize> = 1052..1068;

/// Which file system a device holds, and its label; clean or not does not matter. A label that cannot be read is none.
///
/// # Errors
/// [`FsError::Read`] when the beginning of the device cannot be read.
pub fn seen(device: &dyn ReadAt) -> Result<Option<(FsKind, Option<String>)>, FsError> {
    let head = read_head(device)?;
    let at = |range| head.get(range).and_then(bytes::text);
    Ok(kind(&head).map(|kind| {
        let label = match kind {
            FsKind::Ext => at(EXT),
            FsKind::Xfs => at(XFS),
            FsKind::Btrfs => at(BTRFS),
            FsKind::Swap => at(SWAP),
            FsKind::Ntfs => ntfs::label(device).unwrap_or_default(),
            FsKind::ExFat => exfat::label(device).unwrap_or_default(),
            _ => fat::label(device).unwrap_or_default(),
        };
        (kind, label)
    }))
}
