//! Whether a target holds something like the image already, by a few frames.

use azud_core::io::{PageBuf, ReadAt};

use super::read_back::read_content;
use crate::error::ImageError;
use crate::native::Native;

/// So many frames are looked at, spread over the image.
const SAMPLES: usize = 32;

/// Whether comparing is likely to pay: whether one of a few frames is on `target` where it belongs. A target that
/// is too short for them holds nothing alike.
///
/// # Errors
/// `Target` when it cannot be read.
pub fn is_alike(native: &Native, target: &dyn ReadAt) -> Result<bool, ImageError> {
    if target.len() < native.minimum_size() {
        return Ok(false);
    }
    let geometry = native.geometry();
    let frames = &native.frames()[geometry.head_frames..];
    let starts = native.starts();
    let mut current = PageBuf::new();
    // Steps beside the first one, which every installation of a system may share.
    let step = frames.len().div_ceil(SAMPLES).max(1);
    for n in (step / 2..frames.len()).step_by(step) {
        let range = (starts[n], frames[n].content_len);
        read_content(geometry, range, target, &mut current)?;
        let is_blank = current.iter().all(|byte| *byte == 0);
        if !is_blank && blake3::hash(&current).as_bytes() == &frames[n].content_hash {
            return Ok(true);
        }
    }
    Ok(false)
}
