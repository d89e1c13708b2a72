//! Verify: is every stored byte what the index says; `deep`: does it also decode to what the index says.

use std::sync::Mutex;

use azud_core::io::ReadAt;
use azud_core::progress::{Phase, Progress};

use crate::codec::Decoder;
use crate::error::ImageError;
use crate::indexed::Indexed;
use crate::par::{cores, each};

/// Checks all frames of an image whose index is known to be good, those of header and bitmap as well. What they say together is
/// checked by [`Native::of`](crate::Native::of).
///
/// # Errors
/// `Frames` with the numbers of all damaged frames; `Read` when the file cannot be read.
pub fn verify(
    indexed: &Indexed,
    file: &dyn ReadAt,
    deep: bool,
    progress: &dyn Progress,
) -> Result<(), ImageError> {
    let frames = indexed.frames();
    progress.begin(
        Phase::Verify,
        frames
            .iter()
            .map(|frame| u64::from(frame.compressed_len))
            .sum(),
    );
    let bad = Mutex::new(Vec::new());
    let state = || (deep.then(Decoder::new), Vec::new(), Vec::new());
    each(
        cores(),
        frames.len(),
        state,
        |(decoder, bytes, content), number| {
            let good = check(indexed, file, number, (decoder.as_mut(), bytes, content));
            progress.advance(frames[number].compressed_len.into())?;
            match good {
                Ok(()) => Ok(()),
                Err(ImageError::Frame { .. }) => {
                    bad.lock().expect("no holder panics").push(number);
                    Ok(())
                }
                Err(error) => Err(error),
            }
        },
    )?;
    progress.end();
    let mut bad = bad.into_inner().expect("no holder panics");
    bad.sort_unstable();
    if bad.is_empty() {
        Ok(())
    } else {
        Err(ImageError::Frames {
            bad,
            total: frames.len(),
        })
    }
}

fn check(
    indexed: &Indexed,
    file: &dyn ReadAt,
    number: usize,
    (decoder, bytes, content): (Option<&mut Decoder>, &mut Vec<u8>, &mut Vec<u8>),
) -> Result<(), ImageError> {
    indexed.read_frame(file, number, bytes)?;
    let Some(decoder) = decoder else {
        return Ok(());
    };
    let frame = &indexed.frames()[number];
    content.resize(frame.content_len as usize, 0);
    decoder.decode(number, bytes, content)?;
    if blake3::hash(content).as_bytes() != &frame.content_hash {
        return Err(ImageError::Frame {
            number,
            what: "its content does not match its hash".into(),
        });
    }
    Ok(())
}
