//! The decoded stream of an image: what `zstd -dc` gives, which is a partclone image.

use std::io::Write;

use azud_core::io::ReadAt;
use azud_core::progress::{Phase, Progress};

use crate::codec::{DEFAULT_LEVEL, Decoder, Encoder};
use crate::error::ImageError;
use crate::native::Native;
use crate::pack::Packing;
use crate::par::{Pipeline, cores};

/// Writes the partclone stream of an image, decoded in parallel, every frame verified.
///
/// # Errors
/// `Frame`, `Read`, `Write`.
pub fn write_partclone(
    native: &Native,
    file: &dyn ReadAt,
    out: &mut dyn Write,
    progress: &dyn Progress,
) -> Result<(), ImageError> {
    write_packed(native, file, Packing::None, (out, progress))
}

/// The same, compressed for programs that read no zstd. Every frame becomes a piece of its own, in parallel.
///
/// # Errors
/// `Frame`, `Read`, `Write`.
pub fn write_packed(
    native: &Native,
    file: &dyn ReadAt,
    packing: Packing,
    (out, progress): (&mut dyn Write, &dyn Progress),
) -> Result<(), ImageError> {
    let write = |out: &mut dyn Write, bytes: &[u8]| {
        out.write_all(bytes)
            .map_err(|source| ImageError::Write { source })
    };
    let frames = native.frames();
    progress.begin(
        Phase::Convert,
        frames
            .iter()
            .map(|frame| u64::from(frame.content_len))
            .sum(),
    );
    let mut numbers = 0..frames.len();
    write(out, &packing.head())?;
    let pipeline = Pipeline {
        threads: cores(),
        depth: cores() + 2,
    };
    pipeline.run(
        || Ok::<_, ImageError>(numbers.next()),
        || (Decoder::new(), Vec::new()),
        |(decoder, bytes), number| {
            native.read_frame(file, number, bytes)?;
            let mut content = vec![0; frames[number].content_len as usize];
            decoder.decode(number, bytes, &mut content)?;
            let len = content.len() as u64;
            let packed = match packing {
                // Without an index it must not begin as an image that was cut short does.
                Packing::Zstd if number == 0 => halves(&content),
                // As it is stored.
                Packing::Zstd => bytes.clone(),
                other => other
                    .pack(content)
                    .map_err(|source| ImageError::Write { source })?,
            };
            Ok((packed, len))
        },
        |(packed, len)| {
            write(out, &packed)?;
            Ok(progress.advance(len)?)
        },
    )?;
    write(out, packing.tail())?;
    progress.end();
    Ok(())
}

/// The header in two frames; a native image has it in one.
fn halves(header: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(DEFAULT_LEVEL);
    let (first, second) = header.split_at(header.len() / 2);
    let mut frames = Vec::new();
    for half in [first, second] {
        let mut frame = Vec::new();
        encoder.encode(half, &mut frame);
        frames.append(&mut frame);
    }
    frames
}
