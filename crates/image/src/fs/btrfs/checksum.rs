//! The checksums at the beginning of superblocks and tree blocks.
//!
//! CRC-32C and xxHash64 are verified. SHA-256 and BLAKE2 are not: what a volume that uses them says is
//! held against generations, keys, levels, addresses and sums only, as everything here is.

use super::unsupported;
use crate::fs::FsError;
use crate::fs::bytes;

/// Bytes reserved for the checksum, whatever its length.
pub(super) const FIELD: usize = 32;

/// The kind that a superblock names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// CRC-32C, the default.
    Crc32c,
    /// xxHash, 64 bits, seed 0.
    XxHash64,
    /// SHA-256 or BLAKE2.
    Unverified,
}

impl Kind {
    /// From the superblock's number.
    pub(super) fn from_number(number: u16) -> Result<Self, FsError> {
        match number {
            0 => Ok(Self::Crc32c),
            1 => Ok(Self::XxHash64),
            2 | 3 => Ok(Self::Unverified),
            other => Err(unsupported(format!("checksum type {other}"))),
        }
    }

    /// Whether a block begins with the checksum of what follows the field.
    pub(super) fn holds(self, block: &[u8]) -> bool {
        let Some(rest) = block.get(FIELD..) else {
            return false;
        };
        match self {
            Self::Crc32c => bytes::le32(block, 0) == Some(crc32c::crc32c(rest)),
            Self::XxHash64 => bytes::le64(block, 0) == Some(xxhash64(rest)),
            Self::Unverified => true,
        }
    }
}

const P1: u64 = 0x9E37_79B1_85EB_CA87;
const P2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const P3: u64 = 0x1656_67B1_9E37_79F9;
const P4: u64 = 0x85EB_CA77_C2B2_AE63;
const P5: u64 = 0x27D4_EB2F_1656_67C5;

fn round(lane: u64, input: u64) -> u64 {
    lane.wrapping_add(input.wrapping_mul(P2))
        .rotate_left(31)
        .wrapping_mul(P1)
}

/// xxHash, 64 bits, seed 0.
fn xxhash64(data: &[u8]) -> u64 {
    let mut lanes = [P1.wrapping_add(P2), P2, 0, 0u64.wrapping_sub(P1)];
    let mut stripes = data.chunks_exact(32);
    for stripe in &mut stripes {
        for (lane, word) in lanes.iter_mut().zip(stripe.chunks_exact(8)) {
            *lane = round(*lane, word64(word));
        }
    }
    let mut hash = P5;
    if data.len() >= 32 {
        hash = lanes
            .iter()
            .zip([1, 7, 12, 18])
            .fold(0u64, |sum, (lane, by)| {
                sum.wrapping_add(lane.rotate_left(by))
            });
        for lane in lanes {
            hash = (hash ^ round(0, lane)).wrapping_mul(P1).wrapping_add(P4);
        }
    }
    hash = hash.wrapping_add(data.len() as u64);
    let mut words = stripes.remainder().chunks_exact(8);
    for word in &mut words {
        hash = (hash ^ round(0, word64(word)))
            .rotate_left(27)
            .wrapping_mul(P1)
            .wrapping_add(P4);
    }
    let mut rest = words.remainder();
    if let Some((word, after)) = rest.split_first_chunk::<4>() {
        hash ^= u64::from(u32::from_le_bytes(*word)).wrapping_mul(P1);
        hash = hash.rotate_left(23).wrapping_mul(P2).wrapping_add(P3);
        rest = after;
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte).wrapping_mul(P5))
            .rotate_left(11)
            .wrapping_mul(P1);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(P2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(P3);
    hash ^ (hash >> 32)
}

fn word64(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("chunks of eight"))
}

#[cfg(test)]
mod tests {
    use super::xxhash64;

    #[test]
    fn xxhash_of_known_inputs() {
        assert_eq!(xxhash64(b""), 0xEF46_DB37_51D8_E999);
        assert_eq!(xxhash64(b"abc"), 0x44BC_2CF5_AD77_0999);
        let long = b"Nobody inspects the spammish repetition";
        assert_eq!(xxhash64(long), 0xFBCE_A83C_8A37_8BF1);
    }
}
