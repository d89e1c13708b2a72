//! What the tests of foreign images share.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::{Cursor, Read};

use azud_core::bitmap::Bitmap;
use azud_core::format::partclone::{BitmapMode, Checksum, Header, jamcrc, jamcrc_extend};
use azud_image::foreign::ForeignError;
use azud_image::foreign::compress::{Compressor, open};
use azud_image::foreign::partclone::PartcloneReader;
use azud_image::fs::Volume;

/// A small seeded generator (splitmix64).
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_le_bytes()[0]).collect()
    }

    /// Bytes of which some compress and some do not.
    pub(crate) fn mixed(&mut self, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len);
        while out.len() < len {
            let piece = 1 + self.below(9000);
            match self.below(4) {
                0 => out.extend(self.bytes(piece)),
                1 => out.resize(out.len() + piece, 0),
                2 if !out.is_empty() => {
                    let from = self.below(out.len());
                    let to = (from + piece).min(out.len());
                    out.extend_from_within(from..to);
                }
                _ => {
                    let word = self.bytes(1 + piece % 40);
                    out.extend(word.iter().cycle().take(piece));
                }
            }
        }
        out.truncate(len);
        out
    }
}

/// Drains a reader in pieces of an odd size.
pub(crate) fn drain(mut reader: impl Read, most: usize) -> Result<Vec<u8>, ForeignError> {
    let mut out = Vec::new();
    let mut piece = vec![0; 100_003];
    while out.len() < most {
        match reader.read(&mut piece).map_err(ForeignError::from_io)? {
            0 => break,
            len => out.extend_from_slice(&piece[..len]),
        }
    }
    Ok(out)
}

/// Everything inside the outer compressor.
pub(crate) fn peel(bytes: &[u8]) -> Result<(Compressor, Vec<u8>), ForeignError> {
    let opened = open(Box::new(Cursor::new(bytes.to_vec())))?;
    Ok((opened.compressor, drain(opened.reader, 64 << 20)?))
}

/// A partclone image in any compressor: its volume and its content.
pub(crate) fn read_image(bytes: &[u8]) -> Result<(Volume, Vec<u8>), ForeignError> {
    let opened = open(Box::new(Cursor::new(bytes.to_vec())))?;
    let mut reader = PartcloneReader::open(opened.reader)?;
    let content = drain(&mut reader, 256 << 20)?;
    Ok((reader.volume().clone(), content))
}

/// The content of used blocks, as the source has it.
pub(crate) fn used_of(source: &[u8], volume: &Volume) -> Vec<u8> {
    let size = u64::from(volume.block_size);
    let place = |block: u64| usize::try_from(block * size).unwrap();
    let runs = volume.used.runs();
    runs.flat_map(|run| source[place(run.start)..place(run.start + run.count)].to_vec())
        .collect()
}

/// The content put back on a device of zeros.
pub(crate) fn put_back(volume: &Volume, content: &[u8]) -> Vec<u8> {
    let mut device = vec![0; usize::try_from(volume.device_size).unwrap()];
    let size = usize::try_from(volume.block_size).unwrap();
    let blocks = volume
        .used
        .runs()
        .flat_map(|run| run.start..run.start + run.count);
    for (block, bytes) in blocks.zip(content.chunks(size)) {
        let at = usize::try_from(block).unwrap() * size;
        device[at..at + size].copy_from_slice(bytes);
    }
    device
}

/// What a made image of the second format shall be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    pub(crate) checksum: Checksum,
    pub(crate) bitmap: BitmapMode,
    pub(crate) reseed: bool,
    pub(crate) per_checksum: u32,
}

pub(crate) const BLOCK: usize = 512;

/// A map with runs, holes and an odd length.
pub(crate) fn map_for(mode: BitmapMode, rng: &mut Rng) -> Bitmap {
    if mode == BitmapMode::None {
        return Bitmap::full(37);
    }
    let mut map = Bitmap::new(203);
    for block in 0..203 {
        if rng.below(3) > 0 {
            map.set(block);
        }
    }
    map
}

/// An image of the second format and the content that it holds.
pub(crate) fn make_v2(made: Made, rng: &mut Rng) -> (Vec<u8>, Bitmap, Vec<u8>) {
    let map = map_for(made.bitmap, rng);
    let content = rng.mixed(usize::try_from(map.count()).unwrap() * BLOCK);
    let mut fs = [0; 16];
    fs[..8].copy_from_slice(b"HFS Plus");
    let header = Header {
        tool: *b"0.3.99\0\0\0\0\0\0\0\0",
        fs,
        device_size: map.len() * BLOCK as u64 + 17,
        total_blocks: map.len(),
        claimed_blocks: map.count() + 1,
        used_blocks: map.count(),
        block_size: 512,
        cpu_bits: 64,
        checksum: made.checksum,
        blocks_per_checksum: made.per_checksum,
        reseed: made.reseed,
        bitmap: made.bitmap,
    };
    let stored = match made.bitmap {
        BitmapMode::None => Vec::new(),
        BitmapMode::Bit => map.to_bytes(),
        BitmapMode::Byte => (0..map.len()).map(|b| u8::from(map.get(b))).collect(),
    };
    let mut out = header.encode().to_vec();
    out.extend(&stored);
    out.extend(jamcrc(&stored).to_le_bytes());
    let strip = match made.checksum {
        Checksum::None => content.len(),
        _ => BLOCK * usize::try_from(made.per_checksum).unwrap(),
    };
    let mut seen = 0;
    for piece in content.chunks(strip) {
        let from = if made.reseed { seen } else { 0 };
        seen += piece.len();
        out.extend(piece);
        out.extend(checksum(made.checksum, &content[from..seen]));
    }
    (out, map, content)
}

fn checksum(kind: Checksum, bytes: &[u8]) -> Vec<u8> {
    match kind {
        Checksum::None | Checksum::V1 => Vec::new(),
        Checksum::Crc32 => jamcrc(bytes).to_le_bytes().to_vec(),
        Checksum::Xxh64 => twox_hash::XxHash64::oneshot(0, bytes)
            .to_le_bytes()
            .to_vec(),
        Checksum::Xxh3 => {
            let hash = twox_hash::XxHash3_128::oneshot(bytes);
            // As the C structure lies in memory: the low half first.
            let (low, high) = (hash & u128::from(u64::MAX), hash >> 64);
            let half = |half: u128| u64::try_from(half).unwrap().to_le_bytes();
            [half(low), half(high)].concat()
        }
    }
}

/// How a made image of the first format computes its checksums.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MadeV1 {
    /// The first byte of the block again and again, as the real program did.
    pub(crate) first_byte: bool,
    /// Eight bytes a checksum, of which four mean nothing.
    pub(crate) wide: bool,
    pub(crate) big_endian: bool,
}

/// An image of the first format over a map and its content.
pub(crate) fn make_v1(made: MadeV1, map: &Bitmap, content: &[u8]) -> Vec<u8> {
    let mut out = b"partclone-image".to_vec();
    out.extend(b"EXTFS\0\0\0\0\0\0\0\0\0\0");
    out.extend(b"0001\0\0");
    let mut put = |number: u64, len: usize| {
        if made.big_endian {
            out.extend(&number.to_be_bytes()[8 - len..]);
        } else {
            out.extend(&number.to_le_bytes()[..len]);
        }
    };
    put(BLOCK as u64, 4);
    put(map.len() * BLOCK as u64, 8);
    put(map.len(), 8);
    put(map.count(), 8);
    out.resize(4160, 0);
    out.extend((0..map.len()).map(|block| u8::from(map.get(block))));
    out.extend(b"BiTmAgIc");
    let mut crc = jamcrc(&[]);
    for block in content.chunks(BLOCK) {
        let hashed = if made.first_byte {
            vec![block[0]; BLOCK]
        } else {
            block.to_vec()
        };
        crc = jamcrc_extend(crc, &hashed);
        out.extend(block);
        out.extend(crc.to_le_bytes());
        if made.wide {
            out.extend([0xEE; 4]);
        }
    }
    out
}
