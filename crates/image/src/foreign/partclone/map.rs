//! The map of used blocks, in the three ways it is stored.
//!
//! Memory grows with the bytes that arrive, never with what a header claims.

use std::io::Read;

use azud_core::bitmap::Bitmap;
use azud_core::format::partclone::{jamcrc, jamcrc_extend};

use crate::foreign::{ForeignError, fill};

/// The most bytes that a stored map may have: 128 TiB in blocks of 4 KiB as bits.
const MAX_STORED: u64 = 4 << 30;
/// The most bytes of a map that is not stored and so costs the file nothing: 8 TiB in blocks of 4 KiB.
const MAX_IMPLIED: u64 = 256 << 20;
const CHUNK: u64 = 1 << 20;
const WITHIN: &str = "map of used blocks";

/// A map stored as bits and then its CRC.
pub(super) fn read_bits(reader: &mut impl Read, total: u64) -> Result<Bitmap, ForeignError> {
    let mut bits = Vec::new();
    let mut crc = jamcrc(&[]);
    chunks(reader, total.div_ceil(8), |chunk| {
        crc = jamcrc_extend(crc, chunk);
        append(&mut bits, chunk)
    })?;
    check_crc(reader, crc)?;
    Ok(finish(&bits, total))
}

/// A map stored as one byte a block and then its CRC.
pub(super) fn read_bytes(reader: &mut impl Read, total: u64) -> Result<Bitmap, ForeignError> {
    let mut crc = jamcrc(&[]);
    let map = pack(reader, total, |chunk| crc = jamcrc_extend(crc, chunk))?;
    check_crc(reader, crc)?;
    Ok(map)
}

/// A map that is not stored, since every block is there; the CRC of nothing is.
pub(super) fn read_none(reader: &mut impl Read, total: u64) -> Result<Bitmap, ForeignError> {
    if total.div_ceil(8) > MAX_IMPLIED {
        return Err(too_large(MAX_IMPLIED));
    }
    check_crc(reader, jamcrc(&[]))?;
    Ok(Bitmap::full(total))
}

/// One byte a block, 1 when it is used, packed into bits as it arrives.
pub(super) fn pack(
    reader: &mut impl Read,
    total: u64,
    mut seen: impl FnMut(&[u8]),
) -> Result<Bitmap, ForeignError> {
    let mut bits = Vec::new();
    chunks(reader, total, |chunk| {
        seen(chunk);
        let packed: Vec<u8> = chunk.chunks(8).map(pack_byte).collect();
        append(&mut bits, &packed)
    })?;
    Ok(finish(&bits, total))
}

fn pack_byte(blocks: &[u8]) -> u8 {
    let bits = blocks.iter().enumerate();
    bits.fold(0, |byte, (bit, used)| byte | u8::from(*used == 1) << bit)
}

/// Reads `len` bytes in chunks, all but the last of [`CHUNK`] bytes.
fn chunks(
    reader: &mut impl Read,
    len: u64,
    mut each: impl FnMut(&[u8]) -> Result<(), ForeignError>,
) -> Result<(), ForeignError> {
    if len > MAX_STORED {
        return Err(too_large(MAX_STORED));
    }
    let mut buffer = Vec::new();
    let mut left = len;
    while left > 0 {
        let take = left.min(CHUNK);
        buffer.resize(usize::try_from(take).expect("a chunk"), 0);
        fill(reader, &mut buffer, WITHIN)?;
        each(&buffer)?;
        left -= take;
    }
    Ok(())
}

fn append(bits: &mut Vec<u8>, chunk: &[u8]) -> Result<(), ForeignError> {
    bits.try_reserve(chunk.len())
        .map_err(|_| too_large(MAX_STORED))?;
    bits.extend_from_slice(chunk);
    Ok(())
}

fn finish(bits: &[u8], total: u64) -> Bitmap {
    Bitmap::from_bytes(bits, total).expect("as many bytes as the blocks need were read")
}

fn check_crc(reader: &mut impl Read, found: u32) -> Result<(), ForeignError> {
    let mut stored = [0; 4];
    fill(reader, &mut stored, WITHIN)?;
    if u32::from_le_bytes(stored) == found {
        Ok(())
    } else {
        Err(ForeignError::corrupt("the checksum of its map is wrong"))
    }
}

fn too_large(limit: u64) -> ForeignError {
    ForeignError::TooLarge {
        what: "the map of used blocks",
        limit,
    }
}
