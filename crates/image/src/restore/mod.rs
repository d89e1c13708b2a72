//! Restore: verified frames onto a device, in an order that never leaves a half-written file system
//! looking whole (`docs/formats/restore-order.md`).
//!
//! ```text
//! wipe what would be accepted ─ flush ─ data ─ flush ─ superblocks and tails ─ flush ─ (read back)
//! ```
//!
//! Where only what differs is written, the first difference begins this.
//!
//! Invariant: nothing reaches the target but content whose frame matched its hash (from a file) or
//! its zstd checksum (from a pipe, where the hashes are compared before the superblocks are written).

mod alike;
mod changed;
mod foreign;
mod gate;
mod order;
mod pipe;
mod ranges;
mod read_back;
mod scan;
mod sink;
mod turnstile;

use azud_core::format::index::Frame;
use azud_core::io::{PageBuf, ReadAt, WriteAt};
use azud_core::progress::{Phase, Progress};

pub use alike::is_alike;
pub use foreign::{foreign_minimum_size, foreign_write_unit, restore_foreign};
pub use order::Order;
pub use pipe::{Announced, PIPE_WRITE_UNIT, announced, restore_pipe};

use crate::codec::Decoder;
use crate::error::ImageError;
use crate::native::{Geometry, Native};
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

/// What is done with long runs of zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Zeros {
    /// They are written as anything else.
    #[default]
    Write,
    /// They become holes where the target can make some: it is a file that holds something.
    Punch,
    /// Nothing: the target is a new file and reads as zeros.
    Skip,
}

/// How far away the image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Distance {
    /// On this computer.
    #[default]
    Near,
    /// Behind a network: more frames are asked for at once than there are processors.
    Far,
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
    /// What becomes of long runs of zeros.
    pub zeros: Zeros,
    /// Logical sector size of the target in bytes; 0 where sectors do not matter.
    pub target_sector: u32,
    /// Where the image is.
    pub distance: Distance,
}

impl RestoreOptions {
    /// What is being done to the target.
    const fn phase(&self) -> Phase {
        if self.changed_only {
            Phase::Compare
        } else {
            Phase::Restore
        }
    }
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
    check_sectors(native.geometry(), native.facts().sector_size, options)?;
    let head = order::image_head(native, file, &job.starts)?;
    let order = Order::new(native.geometry(), native.tails(), &head, target)?;
    // Without differences nothing is written, unless unused blocks are to be treated.
    let idle = options.changed_only
        && options.unused == Unused::Leave
        && order::tails_in_place(target, native.tails())?;
    let sink = Sink::new(native.geometry(), target, &order, *options);
    let mut done = Restored {
        content: native.geometry().header.used_blocks * job.block_size(),
        ..Default::default()
    };
    let fetched = if options.changed_only {
        changed::update(&job, &sink, &order, idle)?
    } else {
        sink.prepare()?;
        Some(job.write_all(&sink)?)
    };
    if let Some(fetched) = fetched {
        done.fetched = fetched;
        done.undiscarded = sink.undiscarded();
        done.written = sink.finish(native.tails())?;
    }
    done.kept = done.content.saturating_sub(done.written);
    if options.read_back {
        read_back::read_back(native, &job.starts, target, progress)?;
    }
    Ok(done)
}

/// The longest sectors that the file system of an image can lie on, in bytes; 0 where nothing tells.
pub fn sector_size(native: &Native) -> u32 {
    longest_sector(native.geometry(), native.facts().sector_size)
}

/// ext does not say what its sectors are, but its blocks cannot be shorter.
fn longest_sector(geometry: &Geometry, told: u32) -> u32 {
    let is_ext = geometry.header.fs.starts_with(b"EXTFS\0");
    match told {
        0 if is_ext => geometry.header.block_size,
        told => told,
    }
}

/// A file system that depends on its sectors cannot be used on a device with larger ones. `told` is what the image's
/// facts say, 0 before they are known.
fn check_sectors(
    geometry: &Geometry,
    told: u32,
    options: &RestoreOptions,
) -> Result<(), ImageError> {
    let (has, needs) = (options.target_sector, longest_sector(geometry, told));
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

/// What reading frames of the image needs, kept between frames. Room for the largest one is taken at once: growing
/// buffers of many workers would leave holes in memory that are larger than they.
struct Loader {
    decoder: Decoder,
    compressed: Vec<u8>,
}

impl Loader {
    fn new(native: &Native) -> Self {
        let lens = native.frames().iter().map(|frame| frame.compressed_len);
        Self {
            decoder: Decoder::new(),
            compressed: Vec::with_capacity(lens.max().unwrap_or(0) as usize),
        }
    }
}

/// Data frames are named by their positions in `starts`.
impl Job<'_> {
    /// How many frames are worked on at once.
    fn workers(&self) -> usize {
        match self.options.distance {
            Distance::Near => worker_count(self.native),
            Distance::Far => waiting_worker_count(self.native),
        }
    }

    /// How many frames are compared at once: who compares waits for the target most of the time, or for a frame that still
    /// arrives. A disk that turns is read by few.
    fn comparers(&self) -> usize {
        match self.options.writes {
            Writes::Parallel => waiting_worker_count(self.native),
            Writes::Ascending => self.workers(),
        }
    }

    /// A buffer for the content of any frame.
    fn buffer(&self) -> PageBuf {
        PageBuf::zeroed(largest(self.native))
    }

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

    fn frame(&self, n: usize) -> &Frame {
        &self.native.frames()[self.native.geometry().head_frames + n]
    }

    fn content_len(&self, n: usize) -> u64 {
        self.frame(n).content_len.into()
    }

    fn stored_len(&self, n: usize) -> u64 {
        self.frame(n).compressed_len.into()
    }

    /// Reads a frame's blocks from the target.
    fn read_current(&self, n: usize, current: &mut PageBuf) -> Result<(), ImageError> {
        let range = (self.starts[n], self.frame(n).content_len);
        read_back::read_content(self.native.geometry(), range, self.target, current)
    }

    /// Whether `current` is a frame's content.
    fn holds(&self, n: usize, current: &[u8]) -> bool {
        blake3::hash(current).as_bytes() == &self.frame(n).content_hash
    }

    /// Reads, verifies and decodes a frame.
    fn load(&self, loader: &mut Loader, n: usize, content: &mut PageBuf) -> Result<(), ImageError> {
        let number = self.native.geometry().head_frames + n;
        let Loader {
            decoder,
            compressed,
        } = loader;
        self.native.read_frame(self.file, number, compressed)?;
        content.resize(self.frame(n).content_len as usize);
        decoder.decode(number, compressed, content)
    }

    /// Decodes and writes every frame; returns the bytes of frames that were read.
    fn write_all(&self, sink: &Sink<'_>) -> Result<u64, ImageError> {
        let count = self.starts.len();
        let total = (0..count).map(|n| self.content_len(n)).sum();
        self.progress.begin(self.options.phase(), total);
        let turnstile = (self.options.writes == Writes::Ascending).then(Turnstile::default);
        let state = || (Loader::new(self.native), self.buffer());
        each(self.workers(), count, state, |state, n| {
            let ticket = turnstile.as_ref().map(|turnstile| turnstile.ticket(n));
            let (loader, content) = state;
            self.load(loader, n, content)?;
            if let Some(ticket) = &ticket {
                ticket.wait();
            }
            sink.put(self.starts[n], content)?;
            Ok::<_, ImageError>(self.progress.advance(self.content_len(n))?)
        })?;
        self.progress.end();
        Ok((0..count).map(|n| self.stored_len(n)).sum())
    }
}

/// Workers for a restore: more than cores, since some wait for the device, but within some 150 MB of buffers.
fn worker_count(native: &Native) -> usize {
    ((50 << 20) / largest(native)).clamp(2, (cores() * 2).clamp(4, 16))
}

/// Workers that wait most of the time, within the same memory.
fn waiting_worker_count(native: &Native) -> usize {
    ((50 << 20) / largest(native)).clamp(2, 16)
}

fn largest(native: &Native) -> usize {
    let lens = native.frames().iter();
    let lens = lens.map(|frame| frame.content_len as usize);
    lens.max().unwrap_or(1).max(1)
}
