//! Writing only what differs, in one pass over the target.
//!
//! Invariant: before the first write, what the places to be wiped will hold is in memory, checked, whether the target had
//! it already or the image gave it. Without a difference there is no write at all.

mod touched;

use std::mem;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

use azud_core::io::PageBuf;

use super::gate::Gate;
use super::order::Order;
use super::sink::{Piece, Sink};
use super::{Job, Loader, Writes};
use crate::error::ImageError;
use crate::par::{Pipeline, each};
use touched::Touched;

/// Where a disk turns, this much content waits in memory before reading stops and it is written, in bytes.
const BATCH: usize = 32 << 20;

/// What one worker keeps between frames.
struct Worker {
    loader: Loader,
    content: PageBuf,
    current: PageBuf,
}

impl Worker {
    fn new(job: &Job<'_>) -> Self {
        Self {
            loader: Loader::new(job.native),
            content: job.buffer(),
            current: job.buffer(),
        }
    }
}

/// What differs in a frame.
struct Change {
    content: PageBuf,
    pieces: Vec<Piece>,
}

/// One pass over the target.
struct Pass<'a> {
    job: &'a Job<'a>,
    sink: &'a Sink<'a>,
    gate: Gate<'a>,
    touched: Touched,
    /// Bytes of compressed frames that were read.
    fetched: AtomicU64,
}

/// Writes what differs, but for what the sink holds until the end. Returns the bytes of frames that were read, or `None`
/// when nothing differs and the target was not touched. Unless `idle`, there is more to be written than frames.
pub(super) fn update(
    job: &Job<'_>,
    sink: &Sink<'_>,
    order: &Order,
    idle: bool,
) -> Result<Option<u64>, ImageError> {
    let count = job.starts.len();
    let total = (0..count).map(|n| job.content_len(n)).sum();
    job.progress.begin(job.options.phase(), total);
    let touched = touched::look(job, sink, order)?;
    let pass = Pass {
        job,
        sink,
        gate: Gate::new(sink),
        fetched: AtomicU64::new(touched.different.iter().map(|n| job.stored_len(*n)).sum()),
        touched,
    };
    if !(idle && pass.touched.different.is_empty()) {
        pass.gate.pass()?;
    }
    let kept = &pass.touched.same;
    let work: Vec<usize> = (0..count)
        .filter(|n| kept.binary_search(n).is_err())
        .collect();
    match job.options.writes {
        Writes::Parallel => pass.in_parallel(&work)?,
        Writes::Ascending => pass.in_batches(&work)?,
    }
    job.progress.end();
    Ok(pass.gate.is_open().then(|| pass.fetched.into_inner()))
}

impl Pass<'_> {
    /// What differs in a frame whose blocks are `current` on the target; its content is in `content` then.
    fn differing(
        &self,
        n: usize,
        current: &[u8],
        (loader, content): (&mut Loader, &mut PageBuf),
    ) -> Result<Vec<Piece>, ImageError> {
        let job = self.job;
        if job.holds(n, current) {
            return Ok(Vec::new());
        }
        job.load(loader, n, content)?;
        if self.touched.different.binary_search(&n).is_err() {
            self.fetched.fetch_add(job.stored_len(n), Ordering::Relaxed);
        }
        Ok(self.sink.changes(job.starts[n], content, current))
    }

    /// Every worker reads, compares and writes by itself.
    fn in_parallel(&self, work: &[usize]) -> Result<(), ImageError> {
        let job = self.job;
        let frame = |worker: &mut Worker, turn: usize| {
            let n = work[turn];
            job.read_current(n, &mut worker.current)?;
            let loaded = (&mut worker.loader, &mut worker.content);
            let pieces = self.differing(n, &worker.current, loaded)?;
            if !pieces.is_empty() && self.gate.pass()? {
                self.sink.write_pieces(&worker.content, &pieces)?;
            }
            job.progress.advance(job.content_len(n))?;
            Ok::<_, ImageError>(())
        };
        each(job.comparers(), work.len(), || Worker::new(job), frame)
    }

    /// What differs gathers and is written, ascending, while reading rests: the heads of a disk go to and fro once for
    /// each batch.
    fn in_batches(&self, work: &[usize]) -> Result<(), ImageError> {
        let job = self.job;
        // Many may read at once, one writes alone.
        let disk = RwLock::new(());
        let compare = |worker: &mut Worker, n: usize| {
            {
                let _reading = disk.read().expect("no holder panics");
                job.read_current(n, &mut worker.current)?;
            }
            let loaded = (&mut worker.loader, &mut worker.content);
            let pieces = self.differing(n, &worker.current, loaded)?;
            let change = (!pieces.is_empty()).then(|| Change {
                content: mem::take(&mut worker.content),
                pieces,
            });
            Ok((n, change))
        };
        let mut list = work.iter().copied();
        let (mut batch, mut gathered) = (Vec::new(), 0);
        let threads = job.comparers();
        let pipeline = Pipeline {
            threads,
            depth: 2 * threads,
        };
        let gather = |(n, change): (usize, Option<Change>)| {
            gathered += change.as_ref().map_or(0, |change| change.content.len());
            batch.extend(change);
            if gathered >= BATCH {
                let _writing = disk.write().expect("no holder panics");
                self.write_batch(mem::take(&mut batch))?;
                gathered = 0;
            }
            job.progress.advance(job.content_len(n))?;
            Ok::<_, ImageError>(())
        };
        pipeline.run(|| Ok(list.next()), || Worker::new(job), compare, gather)?;
        self.write_batch(batch)
    }

    fn write_batch(&self, batch: Vec<Change>) -> Result<(), ImageError> {
        if batch.is_empty() || !self.gate.pass()? {
            return Ok(());
        }
        for Change { content, pieces } in batch {
            self.sink.write_pieces(&content, &pieces)?;
        }
        Ok(())
    }
}
