//! No map at all: every byte of the device counts.

use azud_core::bitmap::Bitmap;

use super::{FsKind, Volume};

/// Block size of a raw volume in bytes.
pub const BLOCK_SIZE: u32 = 4096;

/// The whole device. What is beyond the last whole block becomes a tail.
pub fn map(device_size: u64) -> Volume {
    let blocks = device_size / u64::from(BLOCK_SIZE);
    let end = blocks * u64::from(BLOCK_SIZE);
    let tails = std::iter::once(end..device_size)
        .filter(|tail| !tail.is_empty())
        .collect();
    Volume {
        kind: FsKind::Raw,
        block_size: BLOCK_SIZE,
        used: Bitmap::full(blocks),
        device_size,
        claimed_used: blocks,
        tails,
        label: None,
        uuid: None,
        sector_size: 0,
        left_out: Vec::new(),
    }
}
