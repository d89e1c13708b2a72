//! Which frames the target does not hold already.

use std::sync::Mutex;

use azud_core::io::{PageBuf, WriteAt};
use azud_core::progress::{Phase, Progress};

use super::order::Order;
use super::{read_back, worker_count};
use crate::error::ImageError;
use crate::native::Native;
use crate::par::each;

/// The data frames whose blocks on the target differ, ascending.
pub(super) fn differing(
    native: &Native,
    starts: &[u64],
    target: &dyn WriteAt,
    progress: &dyn Progress,
) -> Result<Vec<usize>, ImageError> {
    let geometry = native.geometry();
    let frames = &native.frames()[geometry.head_frames..];
    progress.begin(
        Phase::Compare,
        frames
            .iter()
            .map(|frame| u64::from(frame.content_len))
            .sum(),
    );
    let found = Mutex::new(Vec::new());
    each(
        worker_count(native),
        starts.len(),
        PageBuf::new,
        |buffer, n| {
            let frame = &frames[n];
            read_back::read_content(geometry, (starts[n], frame.content_len), target, buffer)?;
            progress.advance(frame.content_len.into());
            if blake3::hash(buffer).as_bytes() != &frame.content_hash {
                found.lock().expect("no holder panics").push(n);
            }
            Ok::<_, ImageError>(())
        },
    )?;
    progress.end();
    let mut found = found.into_inner().expect("no holder panics");
    found.sort_unstable();
    Ok(found)
}

/// Adds the frames that touch a withheld place: it will be wiped, so they are needed whatever it holds.
pub(super) fn add_touched(native: &Native, starts: &[u64], order: &Order, found: &mut Vec<usize>) {
    let geometry = native.geometry();
    let frames = &native.frames()[geometry.head_frames..];
    let touched = |n: &usize| {
        let mut ranges = geometry.ranges(starts[*n], frames[*n].content_len as usize);
        ranges.any(|(offset, len)| order.withheld.touches(offset, len as u64))
    };
    found.extend((0..starts.len()).filter(touched));
    found.sort_unstable();
    found.dedup();
}
