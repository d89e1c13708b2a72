//! Native images made up from an input: a good one with changes in any layer, and hashes made right above them.
//!
//! Frames hold their content in raw blocks, so that a change of content needs no compressor.

use azud_core::format::container::{self, Trailer};
use azud_core::format::index::{Facts, Frame, Index, Tail};
use azud_core::format::partclone::{BitmapMode, Checksum, HEADER_LEN, Header, jamcrc};
use azud_image::foreign::partclone::PartcloneReader;
use std::io::Read;
use std::sync::OnceLock;

use super::Input;

const SEAL_CONTENT: u8 = 2;
const SEAL_FRAMES: u8 = 4;
const SEAL_INDEX: u8 = 8;
const TAIL: &[u8] = b"the last bytes of the device";
/// Content of a data frame.
const PIECE: usize = 16 << 10;

/// One change: in which layer, and how.
struct Change<'a> {
    layer: u8,
    kind: u8,
    at: usize,
    len: usize,
    bytes: &'a [u8],
}

/// The image that an input describes: the first byte 0 and the rest is the file itself; else changes, each
/// a byte (layer, kind, length), a position (24 bits) and, unless bytes are taken out, bytes.
pub fn image(choices: u8, input: &mut Input<'_>) -> Vec<u8> {
    if choices & 1 == 0 {
        return input.0.to_vec();
    }
    let changes = changes(input);
    let apply = |layer: u8, bytes: &mut Vec<u8>| {
        changes
            .iter()
            .filter(|change| change.layer == layer)
            .for_each(|change| change.apply(bytes));
    };
    let mut stream = base().to_vec();
    apply(0, &mut stream);
    if choices & SEAL_CONTENT != 0 {
        seal_content(&mut stream);
    }
    let (mut frames, mut index) = frame(&stream);
    apply(1, &mut frames);
    if choices & SEAL_FRAMES != 0 {
        seal_frames(&frames, &mut index);
    }
    let mut payload = index.encode();
    let good = *blake3::hash(&payload).as_bytes();
    apply(2, &mut payload);
    let identity = match choices & SEAL_INDEX {
        0 => good,
        _ => *blake3::hash(&payload).as_bytes(),
    };
    let mut file = frames;
    finish(&mut file, &payload, identity, &index);
    apply(3, &mut file);
    file
}

fn changes<'a>(input: &mut Input<'a>) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    while let (Some(what), Some(at)) = (input.u8(), input.u24()) {
        let kind = what >> 2 & 3;
        let len = usize::from(what >> 4) + 1;
        let bytes = if kind == 3 {
            Some(&[][..])
        } else {
            input.bytes(len)
        };
        let Some(bytes) = bytes else {
            break;
        };
        changes.push(Change {
            layer: what & 3,
            kind,
            at,
            len,
            bytes,
        });
    }
    changes
}

impl Change<'_> {
    fn apply(&self, to: &mut Vec<u8>) {
        let at = self.at % (to.len() + 1);
        let end = (at + self.len).min(to.len());
        match self.kind {
            0 | 1 => to[at..end].copy_from_slice(&self.bytes[..end - at]),
            2 => drop(to.splice(at..at, self.bytes.iter().copied())),
            // A power of two of bytes, so that whole parts can go.
            _ => drop(to.drain(at..at.saturating_add(1 << self.len).min(to.len()))),
        }
    }
}

/// The stream of the good image: header, bitmap and blocks of a real ext2.
fn base() -> &'static [u8] {
    static BASE: OnceLock<Vec<u8>> = OnceLock::new();
    BASE.get_or_init(|| {
        let image = include_bytes!("../bases/partclone-a0.img");
        let mut reader = PartcloneReader::open(&image[..]).expect("a base");
        let mut content = Vec::new();
        reader.read_to_end(&mut content).expect("a whole base");
        let volume = reader.volume();
        let mut fs = [0; 16];
        fs[..5].copy_from_slice(b"EXTFS");
        let header = Header {
            tool: [0; 14],
            fs,
            device_size: volume.used.len() * u64::from(volume.block_size) + TAIL.len() as u64,
            total_blocks: volume.used.len(),
            claimed_blocks: 0,
            used_blocks: volume.used.count(),
            block_size: volume.block_size,
            cpu_bits: 64,
            checksum: Checksum::None,
            blocks_per_checksum: 0,
            reseed: true,
            bitmap: BitmapMode::Bit,
        };
        let bitmap = volume.used.to_bytes();
        let crc = jamcrc(&bitmap).to_le_bytes();
        [&header.encode()[..], &bitmap, &crc, &content].concat()
    })
}

/// Where the blocks begin, by the stream's own header.
fn head_len(stream: &[u8]) -> Option<usize> {
    let blocks = u64::from_le_bytes(stream.get(60..68)?.try_into().expect("eight bytes"));
    let bitmap = usize::try_from(blocks.div_ceil(8)).ok()?;
    let len = bitmap.checked_add(HEADER_LEN + 4)?;
    (len <= stream.len()).then_some(len)
}

fn seal_content(stream: &mut [u8]) {
    let Some(head) = head_len(stream) else {
        return;
    };
    let crc = jamcrc(&stream[..HEADER_LEN - 4]).to_le_bytes();
    stream[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&crc);
    let crc = jamcrc(&stream[HEADER_LEN..head - 4]).to_le_bytes();
    stream[head - 4..head].copy_from_slice(&crc);
}

/// The frames of a stream, one after another, and their index.
fn frame(stream: &[u8]) -> (Vec<u8>, Index) {
    let head = head_len(stream).unwrap_or(HEADER_LEN.min(stream.len()));
    let (header, rest) = stream.split_at(HEADER_LEN.min(stream.len()));
    let (bitmap, blocks) = rest.split_at(head - header.len());
    let contents = [header, bitmap].into_iter().chain(blocks.chunks(PIECE));
    let mut index = Index {
        facts: Facts::default(),
        frames: Vec::new(),
        tails: vec![Tail {
            offset: 128 << 10,
            bytes: TAIL.to_vec(),
        }],
    };
    let mut frames = Vec::new();
    for content in contents.filter(|content| !content.is_empty()) {
        let bytes = raw_frame(content);
        index.frames.push(Frame {
            compressed_len: len32(&bytes),
            content_len: len32(content),
            compressed_hash: *blake3::hash(&bytes).as_bytes(),
            content_hash: *blake3::hash(content).as_bytes(),
        });
        frames.extend(bytes);
    }
    (frames, index)
}

fn len32(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("inputs are small")
}

/// A zstd frame of one segment with raw blocks and a checksum.
fn raw_frame(content: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 128 << 10;
    let mut out = vec![0x28, 0xB5, 0x2F, 0xFD, 0xA4];
    out.extend(len32(content).to_le_bytes());
    let mut left = content.len().div_ceil(BLOCK);
    for block in content.chunks(BLOCK) {
        left -= 1;
        let head = len32(block) << 3 | u32::from(left == 0);
        out.extend(&head.to_le_bytes()[..3]);
        out.extend(block);
    }
    let sum = twox_hash::XxHash64::oneshot(0, content).to_le_bytes();
    out.extend(&sum[..4]);
    out
}

/// Lengths and hashes of frames as they are now; what was put in or taken out belongs to the last.
fn seal_frames(bytes: &[u8], index: &mut Index) {
    let mut rest = bytes;
    let mut rows = std::mem::take(&mut index.frames);
    let last = rows.pop();
    for mut row in rows {
        let len = (row.compressed_len as usize).min(rest.len());
        let (mine, others) = rest.split_at(len);
        row.compressed_len = len32(mine);
        row.compressed_hash = *blake3::hash(mine).as_bytes();
        index.frames.push(row);
        rest = others;
    }
    if let Some(mut row) = last {
        row.compressed_len = len32(rest);
        row.compressed_hash = *blake3::hash(rest).as_bytes();
        index.frames.push(row);
    }
}

/// Index frame, trailer and seek table, where possible that of the payload as it is now.
fn finish(file: &mut Vec<u8>, payload: &[u8], identity: [u8; 32], made: &Index) {
    let trailer = Trailer {
        index_offset: file.len() as u64,
        index_len: payload.len() as u64,
        identity,
    };
    let parsed = Index::parse(payload).ok();
    let index = parsed.as_ref().unwrap_or(made);
    file.extend(container::skippable(container::AZUD_MAGIC, payload.len()));
    file.extend(payload);
    file.extend(trailer.encode());
    file.extend(container::seek_table(index, payload.len() as u64));
}
