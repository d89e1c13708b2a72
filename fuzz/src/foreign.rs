//! Targets of the readers of other programs' images.

use std::io::{Cursor, Read};

use azud_core::format::partclone::{HEADER_LEN, jamcrc};
use azud_image::foreign::ntfsclone::{self, NtfscloneReader};
use azud_image::foreign::partclone::PartcloneReader;
use azud_image::foreign::{Compressor, ForeignError, compress};

/// More output than this is not waited for: small inputs can hold very much.
const MOST: usize = 4 << 20;

/// All that a reader gives in pieces of `piece` bytes, or the first [`MOST`] bytes; whether it ended.
fn drain(mut reader: impl Read, piece: usize) -> Result<(Vec<u8>, bool), ForeignError> {
    let mut out = Vec::new();
    let mut buffer = vec![0; piece];
    while out.len() < MOST {
        match reader.read(&mut buffer).map_err(ForeignError::from_io)? {
            0 => {
                let more = reader.read(&mut buffer).map_err(ForeignError::from_io)?;
                assert_eq!(more, 0, "content after its end");
                return Ok((out, true));
            }
            len => out.extend(&buffer[..len]),
        }
    }
    Ok((out, false))
}

fn peel(data: &[u8], piece: usize) -> Result<(Compressor, Vec<u8>, bool), ForeignError> {
    let opened = compress::open(Box::new(Cursor::new(data.to_vec())))?;
    let (content, ended) = drain(opened.reader, piece)?;
    Ok((opened.compressor, content, ended))
}

/// Any bytes as a compressed file. One that is whole is no longer whole without its last byte, and gives
/// the same in pieces of any size.
pub fn foreign_compress(data: &[u8]) {
    let Ok((compressor, content, true)) = peel(data, 64 << 10) else {
        return;
    };
    let (_, pieces, _) = peel(data, 1000).expect("was read before");
    assert!(pieces == content, "{compressor}: other content in pieces");
    let Some((_, shorter)) = data.split_last() else {
        return;
    };
    if let Ok((same, _, true)) = peel(shorter, 64 << 10) {
        assert!(
            same != compressor || same == Compressor::None,
            "{compressor}: whole without its last byte"
        );
    }
}

/// Any bytes as a partclone image; the first byte asks for checksums to be made right. An image that is whole
/// is not so with a byte less or more.
pub fn foreign_partclone(data: &[u8]) {
    let Some((choices, image)) = data.split_first() else {
        return;
    };
    let mut image = image.to_vec();
    if choices & 1 != 0 {
        seal(&mut image);
    }
    let Some(content) = read_image(&image) else {
        return;
    };
    let last = image.pop().expect("images are not empty");
    let shorter = read_image(&image);
    assert!(shorter.is_none(), "whole without its last byte");
    image.extend([last, 0]);
    let longer = read_image(&image);
    // The first format does not say how long a checksum is; one block more or less of it can mean either.
    assert!(
        longer.is_none() || image[30..34] == *b"0001",
        "whole with a byte more: {} bytes",
        content.len()
    );
}

fn read_image(image: &[u8]) -> Option<Vec<u8>> {
    let mut reader = PartcloneReader::open(image).ok()?;
    let (content, ended) = drain(&mut reader, 10_000).ok()?;
    let volume = reader.volume();
    assert!(volume.block_size.is_power_of_two() && volume.block_size >= 512);
    assert!(volume.used.count() <= volume.used.len());
    if ended {
        assert_eq!(content.len() as u64, volume.used_bytes());
    }
    ended.then_some(content)
}

/// The header's checksum and that of a map of bits, in an image of the second format.
fn seal(image: &mut [u8]) {
    if image.len() < HEADER_LEN + 4 || &image[30..34] != b"0002" {
        return;
    }
    let crc = jamcrc(&image[..HEADER_LEN - 4]).to_le_bytes();
    image[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&crc);
    let blocks = u64::from_le_bytes(image[60..68].try_into().expect("eight bytes"));
    let bytes = match image[105] {
        1 => blocks.div_ceil(8),
        8 => blocks,
        _ => 0,
    };
    let end = usize::try_from(bytes)
        .ok()
        .and_then(|len| len.checked_add(HEADER_LEN));
    if let Some(end) = end.filter(|end| *end <= image.len() - 4) {
        let crc = jamcrc(&image[HEADER_LEN..end]).to_le_bytes();
        image[end..end + 4].copy_from_slice(&crc);
    }
}

/// Any bytes as an ntfsclone image: the second reading gives just what the first one found.
pub fn foreign_ntfsclone(data: &[u8]) {
    let Ok((volume, tails)) = ntfsclone::read_map(data) else {
        return;
    };
    assert!(tails.len() <= 1 && volume.used_bytes() <= data.len() as u64);
    let used = volume.used_bytes();
    let reader = NtfscloneReader::open(data, volume.used).expect("was read before");
    let (content, ended) = drain(reader, 1000).expect("was read before");
    assert!(!ended || content.len() as u64 == used);
}

/// Any bytes as a file in an image tree.
pub fn sniff(data: &[u8]) {
    let data = data.to_vec();
    let found = azud_image::sniff::sniff(&data).expect("memory does not fail");
    assert!(
        data.is_empty() == (found.format.word() == "empty") || found.compressor != Compressor::None
    );
}
