//! The file allocation table: entries of 12, 16 or 32 bits, read in pieces.
//!
//! Invariant: memory stays at two pieces whatever the size of the table. Pieces begin on even entries, so
//! that no 12-bit entry is ever cut, wherever it straddles bytes or sectors.

use azud_core::io::ReadAt;

use super::boot::Boot;
use super::corrupt;
use crate::fs::bytes::{le16, le32, read_into, read_vec};
use crate::fs::{FsError, FsKind};

/// Entries per piece; even.
const PIECE: u32 = 1 << 18;

/// How entries are stored.
#[derive(Clone, Copy)]
enum Width {
    Twelve,
    Sixteen,
    ThirtyTwo,
}

impl Width {
    fn of(boot: &Boot) -> Self {
        match boot.kind {
            FsKind::Fat12 => Self::Twelve,
            FsKind::Fat16 => Self::Sixteen,
            _ => Self::ThirtyTwo,
        }
    }

    /// Bytes that hold the first `entries` entries.
    fn bytes(self, entries: u32) -> u64 {
        let entries = u64::from(entries);
        match self {
            Self::Twelve => (entries * 3).div_ceil(2),
            Self::Sixteen => entries * 2,
            Self::ThirtyTwo => entries * 4,
        }
    }

    /// Entry `i` of a piece that is long enough; the reserved bits of 32-bit entries are left out.
    fn entry(self, piece: &[u8], i: usize) -> u32 {
        let short = |at| u32::from(le16(piece, at).unwrap_or(0));
        match self {
            Self::Twelve if i.is_multiple_of(2) => short(i + i / 2) & 0xFFF,
            Self::Twelve => short(i + i / 2) >> 4,
            Self::Sixteen => short(i * 2),
            Self::ThirtyTwo => le32(piece, i * 4).unwrap_or(0) & 0x0FFF_FFFF,
        }
    }

    /// The mark of a cluster that the medium cannot hold.
    fn bad(self) -> u32 {
        match self {
            Self::Twelve => 0xFF7,
            Self::Sixteen => 0xFFF7,
            Self::ThirtyTwo => 0x0FFF_FFF7,
        }
    }
}

/// Calls `used` with every cluster that holds anything, ascending; returns how many are free.
/// The tables that mirror the active one must agree with it in every cluster's entry.
pub(super) fn walk(
    device: &dyn ReadAt,
    boot: &Boot,
    mut used: impl FnMut(u32),
) -> Result<u64, FsError> {
    let width = Width::of(boot);
    let entries = boot.clusters + 2;
    let mut free = 0;
    let mut first = 0;
    while first < entries {
        let count = PIECE.min(entries - first);
        let piece = read_piece(device, boot, first, count)?;
        for i in 0..count {
            let cluster = first + i;
            let entry = width.entry(&piece, i as usize);
            if cluster < 2 || entry == width.bad() {
                continue;
            }
            if entry == 0 {
                free += 1;
            } else {
                used(cluster);
            }
        }
        first += count;
    }
    Ok(free)
}

/// Reads a piece of the active table and compares it with its mirrors.
fn read_piece(
    device: &dyn ReadAt,
    boot: &Boot,
    first: u32,
    count: u32,
) -> Result<Vec<u8>, FsError> {
    let width = Width::of(boot);
    let offset = width.bytes(first);
    let len =
        usize::try_from(width.bytes(first + count) - offset).expect("at most 4 bytes an entry");
    let piece = read_vec(device, boot.fats[boot.active] + offset, len)?;
    if boot.mirrored {
        let mut mirror = vec![0; len];
        for (number, fat) in boot.fats.iter().enumerate().skip(1) {
            read_into(device, fat + offset, &mut mirror)?;
            if mirror != piece {
                compare(width, (first, count), &piece, &mirror)
                    .map_err(|cluster| differ(boot, number, cluster))?;
            }
        }
    }
    Ok(piece)
}

/// The first cluster whose entries differ. Entries 0 and 1 belong to no cluster, and the reserved bits of
/// 32-bit entries mean nothing.
fn compare(width: Width, (first, count): (u32, u32), a: &[u8], b: &[u8]) -> Result<(), u32> {
    let same = |i: &u32| width.entry(a, *i as usize) == width.entry(b, *i as usize);
    match (0..count).find(|i| first + i >= 2 && !same(i)) {
        Some(i) => Err(first + i),
        None => Ok(()),
    }
}

fn differ(boot: &Boot, number: usize, cluster: u32) -> FsError {
    corrupt(
        boot.kind,
        format!(
            "FAT 1 and FAT {} differ in the entry of cluster {cluster}",
            number + 1
        ),
    )
}

/// One entry of the active table.
pub(super) fn entry(device: &dyn ReadAt, boot: &Boot, cluster: u32) -> Result<u32, FsError> {
    let width = Width::of(boot);
    let even = cluster & !1;
    let len = usize::try_from(width.bytes(2)).expect("8 at most");
    // The last table entry may be an even one: then only half of the pair is there.
    let len = len.min(usize::try_from(boot.fat_size - width.bytes(even)).unwrap_or(usize::MAX));
    let pair = read_vec(device, boot.fats[boot.active] + width.bytes(even), len)?;
    Ok(width.entry(&pair, (cluster - even) as usize))
}
