//! Reading the medium again and comparing it with the index.

use azud_core::io::{PageBuf, ReadAt, WriteAt};
use azud_core::progress::{Phase, Progress};

use super::{order, worker_count};
use crate::error::ImageError;
use crate::native::{Geometry, Native};
use crate::par::each;

/// Reads the blocks of a frame from a device.
pub(super) fn read_content(
    geometry: &Geometry,
    (start, len): (u64, u32),
    device: &(impl ReadAt + ?Sized),
    out: &mut PageBuf,
) -> Result<(), ImageError> {
    out.resize(len as usize);
    let mut at = 0;
    for (offset, len) in geometry.ranges(start, len as usize) {
        let part = &mut out[at..at + len];
        device
            .read_exact_at(part, offset)
            .map_err(ImageError::target("read", offset))?;
        at += len;
    }
    Ok(())
}

/// Compares everything an image restored with its hashes.
pub(super) fn read_back(
    native: &Native,
    starts: &[u64],
    target: &dyn WriteAt,
    progress: &dyn Progress,
) -> Result<(), ImageError> {
    target.forget().map_err(ImageError::target("read", 0))?;
    let geometry = native.geometry();
    let frames = &native.frames()[geometry.head_frames..];
    progress.begin(
        Phase::ReadBack,
        frames
            .iter()
            .map(|frame| u64::from(frame.content_len))
            .sum(),
    );
    each(
        worker_count(native),
        starts.len(),
        PageBuf::new,
        |buffer, n| {
            read_content(geometry, (starts[n], frames[n].content_len), target, buffer)?;
            if blake3::hash(buffer).as_bytes() != &frames[n].content_hash {
                return Err(ImageError::ReadBack {
                    number: geometry.head_frames + n,
                });
            }
            Ok(progress.advance(frames[n].content_len.into())?)
        },
    )?;
    progress.end();
    if order::tails_in_place(target, native.tails())? {
        Ok(())
    } else {
        Err(ImageError::ReadBack {
            number: native.frames().len(),
        })
    }
}
