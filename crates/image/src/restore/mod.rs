//! Restore: verified frames onto a device, in an order that never leaves a half-written file system
//! looking whole (`docs/formats/restore-order.md`).
//!
//! ```text
//! wipe what would be accepted ─ flush ─ data ─ flush ─ superblocks and tails ─ flush ─ (read back)
//! ```
//!
//! Invariant: nothing reaches the target but content whose frame matched its hash (from a file) or
//! its zstd checksum (from a pipe, where the hashes are compared before the superblocks are written).

mod changed;
mod foreign;
mod order;
mod pipe;
mod ranges;
mod read_back;
mod scan;
mod sink;
mod turnstile;

use azud_core::format::index::Facts;
use azud_core::io::{PageBuf, ReadAt, WriteAt};
use azud_core::progress::{Phase, Progress};

pub use foreign::{foreign_write_unit, restore_foreign};
pub use order::Order;
pub use pipe::{PIPE_WRITE_UNIT, restore_pipe};

use crate::codec::Decoder;
use crate::error::ImageError;
use crate::native::Native;
use crate::par::{cores, each};
use sink::Sink;
use turnstile::Turnstile;

/// What to do with blocks that the image does not use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unused {
    /// Leave them as they are.
    #[default]
    Leave,
    /// Tell the device that they hold nothing.
    Discard,
    /// Make them zero.
    Zero,
}

/// In which order data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Writes {
    /// Several at once, roughly ascending.
    #[default]
    Parallel,
    /// Strictly ascending, one at a time: for disks that turn.
    Ascending,
}

/// How to restore.
#[derive(Debug, Clone, Copy, Default)]
pub struct RestoreOptions {
    /// Compare what the target holds and write only blocks that differ.
    pub changed_only: bool,
    /// Read everything again from the medium when done.
    pub read_back: bool,
    /// Treatment of unused blocks.
    pub unused: Unused,
    /// Order of the data writes.
    pub writes: Writes,
    /// The target is a new file and reads as zeros: zeros need not be written.
    pub blank: bool,
    /// Logical sector size of the target in bytes; 0 where sectors do not matter.
    pub target_sector: u32,
}

/// What a restore did. All in bytes of content unless the name says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// Content of the image.
    pub content: u64,
    /// Written to the target.
    pub written: u64,
    /// Found in place and left.
    pub kept: u64,
    /// Bytes of compressed frames that were needed.
    pub fetched: u64,
    /// Set when unused blocks should have been discarded and the device cannot.
    pub undiscarded: bool,
}

/// Multiple of which every offset and length of a restore to this image's geometry is, in bytes (at most 4096).
pub fn write_unit(native: &Native) -> u32 {
    order::unit(native.geometry(), native.tails())
}

/// Restores `native`, whose bytes are `file`, onto `target`.
///
/// # Errors
/// `TooSmall` and `SectorSize` before anything is written; `Frame`, `Read`, `Target`, `ReadBack`.
/// After any other error the target holds nothing that looks like a file system;
/// running again with `changed_only` goes on where this ended.
pub fn restore(
    native: &Native,
    file: &dyn ReadAt,
    target: &dyn WriteAt,
    options: &RestoreOptions,
    progress: &dyn Progress,
) -> Result<Restored, ImageError> {
    let job = Job {
        native,
        file,
        target,
        options,
        progress,
        starts: native.starts(),
    };
    job.check_size()?;
    check_sectors(native.facts(), options)?;
    let head = order::image_head(native, file, &job.starts)?;
    let order = Order::new(native.geometry(), native.tails(), &head, target)?;
    // Without differences nothing is written, unless unused blocks are to be treated.
    let idle = options.changed_only
        && options.unused == Unused::Leave
        && order::tails_in_place(target, native.tails())?;
    let work = job.work(&order, idle)?;
    let mut done = Restored {
        content: native.geometry().header.used_blocks * job.block_size(),
        ..Default::default()
    };
    if work.is_empty() && idle {
        done.kept = done.content;
        if options.read_back {
            read_back::read_back(native, &job.starts, target, progress)?;
        }
        return Ok(done);
    }
    let sink = Sink::new(native.geometry(), target, &order, *options);
    sink.prepare()?;
    done.fetched = job.write_data(&sink, &work)?;
    done.undiscarded = sink.undiscarded();
    done.written = sink.finish(native.tails())?;
    done.kept = done.content.saturating_sub(done.written);
    if options.read_back {
        read_back::read_back(native, &job.starts, target, progress)?;
    }
    Ok(done)
}

/// A file system that depends on its sectors cannot be used on a device with larger ones.
fn check_sectors(facts: &Facts, options: &RestoreOptions) -> Result<(), ImageError> {
    let (has, needs) = (options.target_sector, facts.sector_size);
    if needs != 0 && has > needs {
        return Err(ImageError::SectorSize { has, needs });
    }
    Ok(())
}

/// What the parts of a restore from a file share.
struct Job<'a> {
    native: &'a Native,
    file: &'a dyn ReadAt,
    target: &'a dyn WriteAt,
    options: &'a RestoreOptions,
    progress: &'a dyn Progress,
    /// First block of each data frame.
    starts: Vec<u64>,
}

/// What one worker keeps between frames.
struct Worker {
    decoder: Decoder,
    compressed: Vec<u8>,
    content: PageBuf,
    current: PageBuf,
}

impl Worker {
    fn new() -> Self {
        let (content, current) = (PageBuf::new(), PageBuf::new());
        Self {
            decoder: Decoder::new(),
            compressed: Vec::new(),
            content,
            current,
        }
    }
}

impl Job<'_> {
    fn block_size(&self) -> u64 {
        u64::from(self.native.geometry().header.block_size)
    }

    fn check_size(&self) -> Result<(), ImageError> {
        let (has, needs) = (self.target.len(), self.native.minimum_size());
        if has < needs {
            Err(ImageError::TooSmall { has, needs })
        } else {
            Ok(())
        }
    }

    /// The data frames to be written, as positions in `starts`.
    fn work(&self, order: &Order, idle: bool) -> Result<Vec<usize>, ImageError> {
        if self.options.changed_only {
            let mut found =
                changed::differing(self.native, &self.starts, self.target, self.progress)?;
            if !(found.is_empty() && idle) {
                changed::add_touched(self.native, &self.starts, order, &mut found);
            }
            return Ok(found);
        }
        Ok((0..self.starts.len()).collect())
    }

    /// Decodes the frames of `work` and writes them; returns the bytes of frames that were read.
    fn write_data(&self, sink: &Sink<'_>, work: &[usize]) -> Result<u64, ImageError> {
        let frames = &self.native.frames()[self.native.geometry().head_frames..];
        let content = |n: &usize| u64::from(frames[*n].content_len);
        self.progress
            .begin(Phase::Restore, work.iter().map(content).sum());
        let turnstile = (self.options.writes == Writes::Ascending).then(Turnstile::default);
        each(
            worker_count(self.native),
            work.len(),
            Worker::new,
            |worker, turn| {
                let ticket = turnstile.as_ref().map(|turnstile| turnstile.ticket(turn));
                let n = work[turn];
                self.load(worker, n)?;
                if let Some(ticket) = &ticket {
                    ticket.wait();
                }
                self.store(sink, worker, n)?;
                self.progress.advance(content(&n));
                Ok::<_, ImageError>(())
            },
        )?;
        self.progress.end();
        Ok(work
            .iter()
            .map(|n| u64::from(frames[*n].compressed_len))
            .sum())
    }

    /// Reads, verifies and decodes a data frame.
    fn load(&self, worker: &mut Worker, n: usize) -> Result<(), ImageError> {
        let number = self.native.geometry().head_frames + n;
        self.native
            .read_frame(self.file, number, &mut worker.compressed)?;
        worker
            .content
            .resize(self.native.frames()[number].content_len as usize);
        worker
            .decoder
            .decode(number, &worker.compressed, &mut worker.content)
    }

    fn store(&self, sink: &Sink<'_>, worker: &mut Worker, n: usize) -> Result<(), ImageError> {
        if self.options.changed_only {
            sink.put_changed(self.starts[n], &worker.content, &mut worker.current)
        } else {
            sink.put(self.starts[n], &worker.content)
        }
    }
}

/// Workers for a restore: more than cores, since some wait for the device, but within some 150 MB of buffers.
fn worker_count(native: &Native) -> usize {
    let largest = native
        .frames()
        .iter()
        .map(|frame| frame.content_len as usize)
        .max()
        .unwrap_or(1);
    ((50 << 20) / largest.max(1)).clamp(2, (cores() * 2).clamp(4, 16))
}
