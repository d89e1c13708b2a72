//! Where frames end: at gaps between used blocks, and at content-defined edges that fall on file-system blocks.
//!
//! A *unit* is the used part of one window of the device, `max(4 KiB, block size)` long and aligned to
//! its own length. A frame ends before it would exceed its greatest size; after a unit that is followed by a window
//! without used blocks, once the frame is as long as frames before a gap must be; and after a unit whose CRC-32, spread, is
//! below a threshold, once the frame has its least size.
//! File systems change in place and begin large files at round places after a gap, so a change rarely reaches over a gap. Files begin
//! on blocks, so equal content gives equal edges wherever it lies on the disk.
//!
//! Readers need none of this; writers must keep it, or images stop sharing frames. It is rule 2; rule 1 knew no gaps.

use crate::bitmap::Bitmap;
use crate::format::MAX_FRAME_CONTENT;
use crate::format::index::CutFacts;

/// The number of this rule in an index.
pub const RULE: u32 = 2;

/// The smallest window in bytes.
pub const MIN_WINDOW: u32 = 4096;

/// The average frame within long stretches aimed at for volumes of ordinary size, in bytes.
pub const DEFAULT_AVERAGE: u32 = 1280 << 10;

/// The smallest average, in bytes.
pub const MIN_AVERAGE: u32 = 64 << 10;

/// The largest average, in bytes: the default, doubled twice.
pub const MAX_AVERAGE: u32 = DEFAULT_AVERAGE * 4;

/// The least length before a gap for volumes of ordinary size, in bytes.
pub const DEFAULT_BEFORE_GAP: u32 = 64 << 10;

/// More frames of average length than this and the average grows, so that an index stays below some 20 MB.
const WANTED_FRAMES: u64 = 1 << 18;

/// As many frames may a volume of nothing but gaps have, before the least length grows.
const WANTED_GAPS: u64 = 1 << 20;

/// A base's finer cut is kept, so that frames are shared, up to this many frames of average length …
const TOLERATED_FRAMES: u64 = 1 << 20;

/// … and of the least.
const TOLERATED_GAPS: u64 = 1 << 21;

/// Odd constant (2^32 / golden ratio) that spreads a CRC over the whole range.
const SPREAD: u32 = 0x9E37_79B1;

/// How long frames are, in bytes of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// On average where nothing but content decides.
    pub average: u32,
    /// At least, before a gap. Of no account from twice the average on: then gaps end no frame.
    pub before_gap: u32,
}

impl Lengths {
    /// What a volume of `used` bytes gets: the defaults, each doubled as often as needed.
    pub fn for_used(used: u64) -> Self {
        let grown = |mut length: u32, most: u32, wanted: u64| {
            while length < most && used / u64::from(length) > wanted {
                length *= 2;
            }
            length.min(most)
        };
        let average = grown(DEFAULT_AVERAGE, MAX_AVERAGE, WANTED_FRAMES);
        Self {
            average,
            before_gap: grown(DEFAULT_BEFORE_GAP, average / 4, WANTED_GAPS),
        }
    }

    /// Of an image that was cut by this rule, if they can serve a volume of `used` bytes without too many frames.
    pub fn of(cut: CutFacts, used: u64) -> Option<Self> {
        let few = |length: u32, most: u64| used / u64::from(length.max(1)) <= most;
        (cut.rule == RULE
            && (MIN_AVERAGE..=MAX_AVERAGE).contains(&cut.average)
            && few(cut.average, TOLERATED_FRAMES)
            && few(cut.before_gap, TOLERATED_GAPS))
        .then_some(Self {
            average: cut.average,
            before_gap: cut.before_gap,
        })
    }

    /// As an index tells them.
    pub fn facts(self) -> CutFacts {
        CutFacts {
            rule: RULE,
            average: self.average,
            before_gap: self.before_gap,
        }
    }
}

/// Decides after each unit whether a frame ends there.
#[derive(Debug, Clone)]
pub struct Cutter {
    window: u32,
    min: u32,
    max: u32,
    before_gap: u32,
    threshold: u32,
    len: u32,
}

impl Cutter {
    /// A cutter for blocks of `block_size` bytes.
    pub fn new(block_size: u32, lengths: Lengths) -> Self {
        let window = block_size.max(MIN_WINDOW);
        let average = lengths.average.clamp(window, MAX_AVERAGE);
        let min = average / 4;
        // Beyond the least size, an edge comes after `average - min` bytes on average.
        let units = ((average - min) / window).max(1);
        Self {
            window,
            min,
            max: average * 2,
            before_gap: lengths.before_gap,
            threshold: u32::MAX / units,
            len: 0,
        }
    }

    /// The window in bytes: no unit is longer.
    pub fn window(&self) -> u32 {
        self.window
    }

    /// The longest frame in bytes.
    pub fn max(&self) -> u32 {
        self.max
    }

    /// Takes the next unit, whose bytes are `content`; `true` when the frame ends after it.
    pub fn push(&mut self, unit: Unit, content: &[u8]) -> bool {
        self.len += unit.len;
        let full = self.len + self.window > self.max;
        let gap = unit.gap && self.len >= self.before_gap;
        let edge = || crc32fast::hash(content).wrapping_mul(SPREAD) < self.threshold;
        let cut = full || gap || (self.len >= self.min && edge());
        if cut {
            self.len = 0;
        }
        cut
    }
}

// The longest frame is within what the format carries.
const _: () = assert!(MAX_AVERAGE * 2 <= MAX_FRAME_CONTENT);

/// The used blocks of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// Their bytes.
    pub len: u32,
    /// Whether there are used blocks after it, but none in the next window.
    pub gap: bool,
}

/// The units of a bitmap, in order.
#[derive(Debug)]
pub struct Units<'a> {
    runs: crate::bitmap::Runs<'a>,
    /// What is left of the run that is being taken; empty at the end.
    run: crate::bitmap::Run,
    block_size: u32,
    blocks_per_window: u64,
}

impl<'a> Units<'a> {
    /// The units of `used` with blocks of `block_size` bytes.
    pub fn new(used: &'a Bitmap, block_size: u32) -> Self {
        let mut runs = used.runs();
        let run = runs.next().unwrap_or(END);
        Self {
            runs,
            run,
            block_size,
            blocks_per_window: u64::from((MIN_WINDOW / block_size).max(1)),
        }
    }
}

const END: crate::bitmap::Run = crate::bitmap::Run { start: 0, count: 0 };

impl Iterator for Units<'_> {
    type Item = Unit;

    fn next(&mut self) -> Option<Unit> {
        let window = self.run.start / self.blocks_per_window;
        let end = (window + 1) * self.blocks_per_window;
        let mut blocks = 0;
        while self.run.count > 0 && self.run.start < end {
            let take = self.run.count.min(end - self.run.start);
            blocks += take;
            self.run.start += take;
            self.run.count -= take;
            if self.run.count == 0 {
                self.run = self.runs.next().unwrap_or(END);
            }
        }
        (blocks > 0).then(|| Unit {
            len: u32::try_from(blocks).expect("at most a window") * self.block_size,
            gap: self.run.count > 0 && self.run.start / self.blocks_per_window > window + 1,
        })
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "sizes of test data")]
mod tests;
