//! The frames that touch withheld places, judged while these are still what they were.

use std::sync::Mutex;

use super::super::Job;
use super::super::order::Order;
use super::super::sink::Sink;
use super::Worker;
use crate::error::ImageError;
use crate::par::each;

/// Frames that touch withheld places, by their positions among the data frames, ascending.
#[derive(Default)]
pub(super) struct Touched {
    /// The target has their content: nothing of them is to be written but what is withheld.
    pub(super) same: Vec<usize>,
    /// It has not.
    pub(super) different: Vec<usize>,
}

/// Compares them with the target and has the sink hold what belongs in the withheld places.
pub(super) fn look(job: &Job<'_>, sink: &Sink<'_>, order: &Order) -> Result<Touched, ImageError> {
    let geometry = job.native.geometry();
    let touches = |n: &usize| {
        let len = usize::try_from(job.content_len(*n)).expect("in memory");
        let mut ranges = geometry.ranges(job.starts[*n], len);
        ranges.any(|(offset, len)| order.withheld.touches(offset, len as u64))
    };
    let list: Vec<usize> = (0..job.starts.len()).filter(touches).collect();
    let found = Mutex::new(Touched::default());
    let frame = |worker: &mut Worker, turn: usize| {
        let n = list[turn];
        job.read_current(n, &mut worker.current)?;
        let same = job.holds(n, &worker.current);
        if same {
            sink.hold(job.starts[n], &worker.current);
            job.progress.advance(job.content_len(n))?;
        } else {
            job.load(&mut worker.loader, n, &mut worker.content)?;
            sink.hold(job.starts[n], &worker.content);
        }
        let mut found = found.lock().expect("no holder panics");
        if same {
            found.same.push(n);
        } else {
            found.different.push(n);
        }
        Ok::<_, ImageError>(())
    };
    each(job.comparers(), list.len(), || Worker::new(job), frame)?;
    let mut found = found.into_inner().expect("no holder panics");
    found.same.sort_unstable();
    found.different.sort_unstable();
    Ok(found)
}
