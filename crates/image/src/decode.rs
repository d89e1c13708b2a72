//! The decoded stream of an image: what `zstd -dc` gives, which is a partclone image.

use std::io::Write;

use azud_core::io::ReadAt;
use azud_core::progress::{Phase, Progress};

use crate::codec::Decoder;
use crate::error::ImageError;
use crate::native::Native;
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
    let frames = native.frames();
    progress.begin(
        Phase::Convert,
        frames
            .iter()
            .map(|frame| u64::from(frame.content_len))
            .sum(),
    );
    let mut numbers = 0..frames.len();
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
            Ok(content)
        },
        |content| {
            out.write_all(&content)
                .map_err(|source| ImageError::Write { source })?;
            Ok(progress.advance(content.len() as u64)?)
        },
    )?;
    progress.end();
    Ok(())
}
