//! Where verified content goes: to the target at once, or withheld until the end.

use std::io::ErrorKind;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use azud_core::format::index::Tail;
use azud_core::io::{PageBuf, WriteAt};

use super::order::Order;
use super::read_back::read_content;
use super::{RestoreOptions, Unused, Zeros};
use crate::error::ImageError;
use crate::fs::HEAD_LEN;
use crate::native::Geometry;

/// Zeros are looked for in pieces of this many bytes.
const ZERO_PIECE: usize = 64 << 10;

/// Some content of a frame that goes to one place on the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where on the target.
    offset: u64,
    /// Which bytes of the frame's content.
    range: Range<usize>,
}

impl Piece {
    /// Whether what belongs to `offset` and is at `at` in the content goes on where this ends.
    fn follows(&self, offset: u64, at: usize) -> bool {
        self.range.end == at && self.offset + self.range.len() as u64 == offset
    }
}

/// An offset on the target, the bytes of the content that belong there, and whether they are withheld.
type Part = (u64, Range<usize>, bool);

/// Writes content of one restore.
pub(super) struct Sink<'a> {
    geometry: &'a Geometry,
    target: &'a dyn WriteAt,
    order: &'a Order,
    options: RestoreOptions,
    withheld: Mutex<Vec<(u64, Vec<u8>)>>,
    written: AtomicU64,
    undiscarded: AtomicBool,
}

impl<'a> Sink<'a> {
    pub(super) fn new(
        geometry: &'a Geometry,
        target: &'a dyn WriteAt,
        order: &'a Order,
        options: RestoreOptions,
    ) -> Self {
        let (withheld, written) = (Mutex::default(), AtomicU64::new(0));
        Self {
            geometry,
            target,
            order,
            options,
            withheld,
            written,
            undiscarded: AtomicBool::new(false),
        }
    }

    /// Wipes what would be accepted, flushes, then treats unused blocks as asked.
    pub(super) fn prepare(&self) -> Result<(), ImageError> {
        if self.options.zeros != Zeros::Skip {
            self.wipe()?;
        }
        match self.options.unused {
            Unused::Leave => Ok(()),
            Unused::Discard => self.discard_unused(),
            Unused::Zero => self.each_unused(|range| {
                self.target
                    .zero(range.start, range.end - range.start)
                    .map_err(ImageError::target("zero", range.start))
            }),
        }
    }

    /// What lies far from the head goes first, and for certain: the primary superblocks, all in the head, tell where the
    /// backups are. Were they to go first, a run after this one would not find what is left.
    fn wipe(&self) -> Result<(), ImageError> {
        let in_head = |range: &Range<u64>| range.start < HEAD_LEN as u64;
        let all = self.order.withheld.iter().cloned();
        let (head, far): (Vec<_>, Vec<_>) = all.partition(in_head);
        for places in [far, head].into_iter().filter(|it| !it.is_empty()) {
            for range in places {
                self.write_zeros(range)?;
            }
            self.flush()?;
        }
        Ok(())
    }

    /// Discarding is a favour to the device; one that cannot is left in peace, and the result says so.
    fn discard_unused(&self) -> Result<(), ImageError> {
        self.each_unused(|range| {
            if self.undiscarded.load(Ordering::Relaxed) {
                return Ok(());
            }
            match self.target.discard(range.start, range.end - range.start) {
                Err(error) if error.kind() == ErrorKind::Unsupported => {
                    self.undiscarded.store(true, Ordering::Relaxed);
                    Ok(())
                }
                other => other.map_err(ImageError::target("discard", range.start)),
            }
        })
    }

    /// Whether the device could not discard.
    pub(super) fn undiscarded(&self) -> bool {
        self.undiscarded.load(Ordering::Relaxed)
    }

    fn write_zeros(&self, range: Range<u64>) -> Result<(), ImageError> {
        let zeros = PageBuf::zeroed(
            usize::try_from((range.end - range.start).min(1 << 20)).expect("at most 1 MiB"),
        );
        let mut at = range.start;
        while at < range.end {
            let len =
                usize::try_from((range.end - at).min(zeros.len() as u64)).expect("at most 1 MiB");
            self.target
                .write_all_at(&zeros[..len], at)
                .map_err(ImageError::target("write", at))?;
            at += len as u64;
        }
        Ok(())
    }

    /// Unused ranges that are not withheld, up to the end of the last whole block.
    fn each_unused(
        &self,
        act: impl Fn(&Range<u64>) -> Result<(), ImageError>,
    ) -> Result<(), ImageError> {
        let size = u64::from(self.geometry.header.block_size);
        let end = self.target.len();
        for run in self.geometry.used.free_runs() {
            let (from, to) = (run.start * size, ((run.start + run.count) * size).min(end));
            if from >= to {
                continue;
            }
            for (part, withheld) in self.order.withheld.split(from, to - from) {
                if !withheld {
                    act(&part)?;
                }
            }
        }
        Ok(())
    }

    /// Writes the blocks of `content` from `start` on, and holds what is withheld.
    pub(super) fn put(&self, start: u64, content: &[u8]) -> Result<(), ImageError> {
        self.hold(start, content);
        let open = |(_, _, withheld): &Part| !withheld;
        for (offset, range, _) in self.parts(start, content.len()).filter(open) {
            self.write(offset, &content[range])?;
        }
        Ok(())
    }

    /// The same for those blocks only that the target does not hold already; it is read into `current`.
    pub(super) fn put_changed(
        &self,
        start: u64,
        content: &[u8],
        current: &mut PageBuf,
    ) -> Result<(), ImageError> {
        let len = u32::try_from(content.len()).expect("a frame or a piece");
        read_content(self.geometry, (start, len), self.target, current)?;
        self.hold(start, content);
        self.write_pieces(content, &self.changes(start, content, current))
    }

    /// Keeps what of `content` is withheld until the end.
    pub(super) fn hold(&self, start: u64, content: &[u8]) {
        let parts = self.parts(start, content.len());
        let mut held = parts
            .filter(|(_, _, withheld)| *withheld)
            .map(|(offset, range, _)| (offset, content[range].to_vec()))
            .peekable();
        if held.peek().is_some() {
            self.withheld.lock().expect("no holder panics").extend(held);
        }
    }

    /// The runs of blocks of `content` that are not withheld and differ from `current`, ascending.
    pub(super) fn changes(&self, start: u64, content: &[u8], current: &[u8]) -> Vec<Piece> {
        let block = self.geometry.header.block_size as usize;
        let mut changes: Vec<Piece> = Vec::new();
        for (offset, range, withheld) in self.parts(start, content.len()) {
            if withheld || content[range.clone()] == current[range.clone()] {
                continue;
            }
            for at in range.clone().step_by(block) {
                let (end, offset) = (
                    (at + block).min(range.end),
                    offset + (at - range.start) as u64,
                );
                if content[at..end] == current[at..end] {
                    continue;
                }
                match changes.last_mut() {
                    Some(last) if last.follows(offset, at) => last.range.end = end,
                    _ => changes.push(Piece {
                        offset,
                        range: at..end,
                    }),
                }
            }
        }
        changes
    }

    /// Writes pieces of `content`.
    pub(super) fn write_pieces(&self, content: &[u8], pieces: &[Piece]) -> Result<(), ImageError> {
        for Piece { offset, range } in pieces {
            self.write(*offset, &content[range.clone()])?;
        }
        Ok(())
    }

    /// Where `len` bytes of content from `start` on belong.
    fn parts(&self, start: u64, len: usize) -> impl Iterator<Item = Part> + '_ {
        let mut at = 0;
        let ranges = self.geometry.ranges(start, len);
        ranges.flat_map(move |(offset, len)| {
            let from = at;
            at += len;
            let within =
                move |to: u64| from + usize::try_from(to - offset).expect("within a frame");
            let split = self.order.withheld.split(offset, len as u64);
            split.into_iter().map(move |(part, withheld)| {
                (part.start, within(part.start)..within(part.end), withheld)
            })
        })
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), ImageError> {
        if self.options.zeros == Zeros::Write {
            return self.write_now(offset, bytes);
        }
        let pieces = |zero: bool, from: usize| {
            let is_zero = |at: &usize| {
                bytes[*at..(at + ZERO_PIECE).min(bytes.len())]
                    .iter()
                    .all(|b| *b == 0)
            };
            (from..bytes.len())
                .step_by(ZERO_PIECE)
                .find(|at| is_zero(at) == zero)
        };
        let mut at = 0;
        while at < bytes.len() {
            let from = pieces(false, at).unwrap_or(bytes.len());
            self.write_hole(offset + at as u64, (from - at) as u64)?;
            let to = pieces(true, from).unwrap_or(bytes.len());
            if from < to {
                self.write_now(offset + from as u64, &bytes[from..to])?;
            }
            at = to;
        }
        Ok(())
    }

    /// Zeros where a blank target has them already; else a hole, or zeros where the target can make none.
    fn write_hole(&self, offset: u64, len: u64) -> Result<(), ImageError> {
        if self.options.zeros == Zeros::Skip || len == 0 {
            return Ok(());
        }
        self.target
            .zero(offset, len)
            .map_err(ImageError::target("zero", offset))?;
        self.written.fetch_add(len, Ordering::Relaxed);
        Ok(())
    }

    fn write_now(&self, offset: u64, bytes: &[u8]) -> Result<(), ImageError> {
        self.target
            .write_all_at(bytes, offset)
            .map_err(ImageError::target("write", offset))?;
        self.written
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// A tail begins and ends anywhere; a device takes whole sectors, so what lies around it there is written with it.
    fn write_tail(&self, tail: &Tail) -> Result<(), ImageError> {
        let unit = u64::from(super::PIPE_WRITE_UNIT);
        let tail_end = tail.offset + tail.bytes.len() as u64;
        let from = tail.offset / unit * unit;
        let to = tail_end.next_multiple_of(unit).min(self.target.len());
        let len = usize::try_from(to - from).expect("tails are small");
        let mut sectors = PageBuf::zeroed(len);
        self.target
            .read_exact_at(&mut sectors, from)
            .map_err(ImageError::target("read", from))?;
        let at = usize::try_from(tail.offset - from).expect("less than a sector");
        sectors[at..at + tail.bytes.len()].copy_from_slice(&tail.bytes);
        self.write_now(from, &sectors)
    }

    fn flush(&self) -> Result<(), ImageError> {
        self.target.flush().map_err(ImageError::target("flush", 0))
    }

    /// Flushes the data; writes what was withheld but belongs to no superblock, and flushes again, since a
    /// device may reorder what lies between two flushes; then tails and superblocks. Returns the bytes written.
    pub(super) fn finish(self, tails: &[Tail]) -> Result<u64, ImageError> {
        self.flush()?;
        let mut withheld = std::mem::take(&mut *self.withheld.lock().expect("no holder panics"));
        // The primary superblock comes last: descending order.
        withheld.sort_by_key(|(offset, _)| std::cmp::Reverse(*offset));
        let mut guards = Vec::new();
        for (offset, bytes) in &withheld {
            for (part, is_guard) in self
                .order
                .guards
                .split(*offset, bytes.len() as u64)
                .into_iter()
                .rev()
            {
                let within = |at: u64| usize::try_from(at - offset).expect("within a frame");
                let bytes = &bytes[within(part.start)..within(part.end)];
                if is_guard {
                    guards.push((part.start, bytes));
                } else {
                    self.write_now(part.start, bytes)?;
                }
            }
        }
        self.flush()?;
        for tail in tails {
            self.write_tail(tail)?;
        }
        for (offset, bytes) in guards {
            self.write_now(offset, bytes)?;
        }
        self.flush()?;
        Ok(self.written.into_inner())
    }
}
