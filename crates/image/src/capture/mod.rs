//! Capture: one pass from the used blocks of a volume to a native image.
//!
//! ```text
//! content ── reader ── cut ──► frames ──► workers: hash, look up base, compress, hash ──► ordered writer
//! ```
//!
//! The image goes into any `Write`; making it visible is the caller's business (`azud-store`).

mod base;
mod content;
mod cutting;
mod sample;
mod sink;
mod slab;

use std::io::{Read, Write};

use azud_core::cut::{DEFAULT_AVERAGE, Lengths};
use azud_core::format::index::{Facts, Frame, Index, Tail};
use azud_core::format::partclone::{BitmapMode, Checksum, Header, jamcrc};
use azud_core::format::{Hash, MAX_BITMAP, MAX_BITMAP_PIECE, MAX_BLOCK, MAX_FRAMES, container};
use azud_core::io::ReadAt;
use azud_core::progress::Progress;

pub use base::Base;
use base::Check;
pub use content::DeviceContent;
pub use sample::{Sample, sample};
pub use sink::Sink;

use crate::codec::{Encoder, zstd_version};
use crate::error::ImageError;
use crate::fs::Volume;
use crate::par::{Pipeline, cores};
use cutting::Cutting;
use sink::File;
use slab::Content;

/// How to capture.
#[derive(Debug, Clone)]
pub struct CaptureOptions<'a> {
    /// zstd level of frames made anew.
    pub level: i32,
    /// An image whose frames are taken over where their content is the same.
    pub base: Option<&'a Base<'a>>,
    /// How long frames are; `None` chooses by the base, then by size.
    pub lengths: Option<Lengths>,
    /// What the caller knows: date, host, source. The rest is filled in.
    pub facts: Facts,
}

/// What became of a capture.
#[derive(Debug, Clone)]
pub struct Captured {
    /// The image's identity.
    pub identity: Hash,
    /// Its index.
    pub index: Index,
    /// Bytes of the whole file.
    pub file_len: u64,
    /// Frames taken over from the base.
    pub reused_frames: usize,
    /// Their bytes in the file.
    pub reused_bytes: u64,
}

/// A frame on its way to the file.
struct Packed {
    row: Frame,
    bytes: Vec<u8>,
    reused: bool,
}

/// Writes an image of `volume` whose used blocks, in order, are `content`.
///
/// # Errors
/// `Source` when the content fails or ends early, `Write`, `Limit`.
pub fn capture(
    volume: &Volume,
    tails: Vec<Tail>,
    content: impl Read + Send,
    options: &CaptureOptions<'_>,
    (out, progress): (&mut dyn Write, &dyn Progress),
) -> Result<Captured, ImageError> {
    let mut sink = File(out);
    capture_into(volume, tails, content, options, (&mut sink, progress))
}

/// As [`capture`], frame by frame.
///
/// # Errors
/// As [`capture`].
pub fn capture_into(
    volume: &Volume,
    tails: Vec<Tail>,
    content: impl Read + Send,
    options: &CaptureOptions<'_>,
    (out, progress): (&mut dyn Sink, &dyn Progress),
) -> Result<Captured, ImageError> {
    check_limits(volume)?;
    let lengths = choose_lengths(volume, options);
    let header = header_of(volume);
    let mut head = head_contents(&header, volume).into_iter();
    let mut cutting = Cutting::new(volume, lengths, content);
    let mut index = Index {
        facts: facts_of(volume, lengths, options),
        tails,
        ..Index::default()
    };
    let (mut reused_frames, mut reused_bytes) = (0, 0);
    let next = || match head.next() {
        Some(content) => Ok(Some(Content::Head(content))),
        None => cutting.next_frame(),
    };
    pipeline(lengths.average).run(
        next,
        || (Encoder::new(options.level), Check::new()),
        |worker, content: Content| Ok(pack(worker, options.base, &content)),
        |packed| {
            out.frame(&packed.row, &packed.bytes)
                .map_err(|source| ImageError::Write { source })?;
            progress.advance(packed.row.content_len.into())?;
            if packed.reused {
                reused_frames += 1;
                reused_bytes += u64::from(packed.row.compressed_len);
            }
            index.frames.push(packed.row);
            Ok(())
        },
    )?;
    if index.frames.len() > MAX_FRAMES {
        return Err(ImageError::Limit(format!(
            "{} frames are more than the format carries",
            index.frames.len()
        )));
    }
    let (ending, identity) = container::ending(&index);
    out.ending(&ending)
        .map_err(|source| ImageError::Write { source })?;
    let file_len = index.frames_len() + ending.len() as u64;
    Ok(Captured {
        identity,
        index,
        file_len,
        reused_frames,
        reused_bytes,
    })
}

/// Reads the tails of a volume from its device.
///
/// # Errors
/// `Source`.
pub fn read_tails(device: &dyn ReadAt, volume: &Volume) -> Result<Vec<Tail>, ImageError> {
    let read = |range: &std::ops::Range<u64>| {
        let len = usize::try_from(range.end - range.start)
            .ok()
            .filter(|len| *len <= azud_core::format::index::MAX_TAILS / 2)
            .ok_or_else(|| {
                ImageError::Limit(format!(
                    "{} bytes after the last block",
                    range.end - range.start
                ))
            })?;
        let mut bytes = vec![0; len];
        device
            .read_exact_at(&mut bytes, range.start)
            .map_err(|source| ImageError::Source {
                offset: range.start,
                source,
            })?;
        Ok(Tail {
            offset: range.start,
            bytes,
        })
    };
    volume.tails.iter().map(read).collect()
}

pub(crate) fn check_limits(volume: &Volume) -> Result<(), ImageError> {
    if volume.block_size > MAX_BLOCK || !volume.block_size.is_power_of_two() {
        return Err(ImageError::Limit(format!(
            "blocks of {} bytes",
            volume.block_size
        )));
    }
    if volume.used.len().div_ceil(8) > MAX_BITMAP {
        return Err(ImageError::Limit(format!(
            "{} blocks are more than the format carries",
            volume.used.len()
        )));
    }
    Ok(())
}

fn choose_lengths(volume: &Volume, options: &CaptureOptions<'_>) -> Lengths {
    let used = volume.used_bytes();
    // A base of the same cut shares frames, also when the volume has grown into another class.
    let of_base = || Lengths::of(options.base?.cut(), used);
    options
        .lengths
        .or_else(of_base)
        .unwrap_or_else(|| Lengths::for_used(used))
}

pub(crate) fn header_of(volume: &Volume) -> Header {
    let mut tool = [0; 14];
    let text = concat!("azud ", env!("CARGO_PKG_VERSION")).as_bytes();
    let len = text.len().min(tool.len());
    tool[..len].copy_from_slice(&text[..len]);
    let mut fs = [0; 16];
    let name = volume.kind.partclone_name().as_bytes();
    fs[..name.len().min(15)].copy_from_slice(&name[..name.len().min(15)]);
    Header {
        tool,
        fs,
        device_size: volume.device_size,
        total_blocks: volume.used.len(),
        claimed_blocks: volume.claimed_used,
        used_blocks: volume.used.count(),
        block_size: volume.block_size,
        cpu_bits: 64,
        checksum: Checksum::None,
        blocks_per_checksum: 0,
        reseed: true,
        bitmap: BitmapMode::Bit,
    }
}

fn head_contents(header: &Header, volume: &Volume) -> Vec<Vec<u8>> {
    let mut bitmap = volume.used.to_bytes();
    bitmap.extend(jamcrc(&bitmap).to_le_bytes());
    let pieces = bitmap.chunks(MAX_BITMAP_PIECE).map(<[u8]>::to_vec);
    std::iter::once(header.encode().to_vec())
        .chain(pieces)
        .collect()
}

fn facts_of(volume: &Volume, lengths: Lengths, options: &CaptureOptions<'_>) -> Facts {
    Facts {
        tool: format!("azud {} zstd {}", env!("CARGO_PKG_VERSION"), zstd_version()),
        fs: volume.kind.partclone_name().to_owned(),
        label: volume.label.clone(),
        uuid: volume.uuid.clone(),
        minimum_size: volume.minimum_size(),
        sector_size: volume.sector_size,
        level: options.level,
        cut: lengths.facts(),
        left_out: volume
            .left_out
            .iter()
            .map(|file| (file.name.clone(), file.bytes))
            .collect(),
        ..options.facts.clone()
    }
}

/// The most frames under way, whatever the cores, unless the workers alone are more.
const MOST_UNDER_WAY: usize = 40;

/// Frames under way: enough to keep the workers busy while a slab is read, few when they are large or the cores
/// are many, so that memory stays bounded.
fn pipeline(average: u32) -> Pipeline {
    let threads = cores();
    let least = threads + 2;
    let depth = if average <= DEFAULT_AVERAGE {
        (threads * 6 + 4).min(MOST_UNDER_WAY.max(least))
    } else {
        least
    };
    Pipeline { threads, depth }
}

fn pack(
    (encoder, check): &mut (Encoder, Check),
    base: Option<&Base<'_>>,
    content: &[u8],
) -> Packed {
    let content_len = u32::try_from(content.len()).expect("frames are at most MAX_FRAME_CONTENT");
    let content_hash = *blake3::hash(content).as_bytes();
    let mut bytes = Vec::new();
    let known = base.and_then(|base| base.take(&content_hash, content, check, &mut bytes));
    let reused = known.is_some();
    let (compressed_len, compressed_hash) = known.unwrap_or_else(|| {
        encoder.encode(content, &mut bytes);
        let len = u32::try_from(bytes.len()).expect("bounded by the content");
        (len, *blake3::hash(&bytes).as_bytes())
    });
    Packed {
        row: Frame {
            compressed_len,
            content_len,
            compressed_hash,
            content_hash,
        },
        bytes,
        reused,
    }
}
