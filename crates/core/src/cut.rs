//! Where frames end: content-defined edges that fall on file-system blocks.
//!
//! A *unit* is the used part of one window of the device, `max(4 KiB, block size)` long and aligned to
//! its own length. A unit is hashed by CRC-32; a frame ends after a unit whose hash is below a
//! threshold, once the frame has its least size, and before it would exceed its greatest.
//! Files begin on blocks, so equal content gives equal edges wherever it lies on the disk, and halving
//! the threshold keeps a subset of the edges.
//!
//! Readers need none of this; writers must keep it, or images stop sharing frames. It is rule 1.

use crate::bitmap::Bitmap;
use crate::format::MAX_FRAME_CONTENT;

/// The smallest window in bytes.
pub const MIN_WINDOW: u32 = 4096;

/// The average frame aimed at for volumes of ordinary size, in bytes.
pub const DEFAULT_AVERAGE: u32 = 512 << 10;

/// The smallest average, in bytes.
pub const MIN_AVERAGE: u32 = 64 << 10;

/// The largest average, in bytes.
pub const MAX_AVERAGE: u32 = MAX_FRAME_CONTENT / 4;

/// More frames than this and the average grows, so that an index stays below some 20 MB.
const WANTED_FRAMES: u64 = 1 << 18;

/// A base's finer cut is kept, so that frames are shared, up to this many frames.
const TOLERATED_FRAMES: u64 = 1 << 20;

/// Odd constant (2^32 / golden ratio) that spreads a CRC over the whole range.
const SPREAD: u32 = 0x9E37_79B1;

/// The average for a volume of `used` bytes: [`DEFAULT_AVERAGE`], doubled as often as needed.
pub fn average_for(used: u64) -> u32 {
    let mut average = DEFAULT_AVERAGE;
    while average < MAX_AVERAGE && used / u64::from(average) > WANTED_FRAMES {
        average *= 2;
    }
    average
}

/// Whether `average` can serve a volume of `used` bytes without too many frames.
pub fn is_tolerable(average: u32, used: u64) -> bool {
    (MIN_AVERAGE..=MAX_AVERAGE).contains(&average) && used / u64::from(average) <= TOLERATED_FRAMES
}

/// Decides after each unit whether a frame ends there.
#[derive(Debug, Clone)]
pub struct Cutter {
    window: u32,
    min: u32,
    max: u32,
    threshold: u32,
    len: u32,
}

impl Cutter {
    /// A cutter for blocks of `block_size` bytes and frames of `average` bytes of content.
    pub fn new(block_size: u32, average: u32) -> Self {
        let window = block_size.max(MIN_WINDOW);
        let average = average.clamp(window, MAX_AVERAGE);
        let min = average / 4;
        // Beyond the least size, an edge comes after `average - min` bytes on average.
        let units = ((average - min) / window).max(1);
        Self {
            window,
            min,
            max: (average * 4).min(MAX_FRAME_CONTENT),
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

    /// Takes the next unit; `true` when the frame ends after it.
    pub fn push(&mut self, unit: &[u8]) -> bool {
        self.len += u32::try_from(unit.len()).expect("units are at most a window");
        let full = self.len + self.window > self.max;
        let edge = || crc32fast::hash(unit).wrapping_mul(SPREAD) < self.threshold;
        let cut = full || (self.len >= self.min && edge());
        if cut {
            self.len = 0;
        }
        cut
    }
}

/// The lengths in bytes of the units of a bitmap, in order.
#[derive(Debug)]
pub struct Units<'a> {
    runs: crate::bitmap::Runs<'a>,
    run: crate::bitmap::Run,
    block_size: u32,
    blocks_per_window: u64,
}

impl<'a> Units<'a> {
    /// The units of `used` with blocks of `block_size` bytes.
    pub fn new(used: &'a Bitmap, block_size: u32) -> Self {
        Self {
            runs: used.runs(),
            run: crate::bitmap::Run { start: 0, count: 0 },
            block_size,
            blocks_per_window: u64::from((MIN_WINDOW / block_size).max(1)),
        }
    }
}

impl Iterator for Units<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let mut window = None;
        let mut blocks = 0;
        loop {
            if self.run.count == 0 {
                match self.runs.next() {
                    Some(run) => self.run = run,
                    None => break,
                }
            }
            let here = self.run.start / self.blocks_per_window;
            if *window.get_or_insert(here) != here {
                break;
            }
            let end = (here + 1) * self.blocks_per_window;
            let take = self.run.count.min(end - self.run.start);
            self.run.start += take;
            self.run.count -= take;
            blocks += take;
            if self.blocks_per_window == 1 || self.run.count > 0 {
                break;
            }
        }
        (blocks > 0).then(|| u32::try_from(blocks).expect("at most a window") * self.block_size)
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "sizes of test data")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed | 1;
        (0..len)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as u8
            })
            .collect()
    }

    fn frames(units: impl Iterator<Item = Vec<u8>>, average: u32) -> Vec<usize> {
        let mut cutter = Cutter::new(4096, average);
        let mut lens = vec![0];
        for unit in units {
            *lens.last_mut().expect("never empty") += unit.len();
            if cutter.push(&unit) {
                lens.push(0);
            }
        }
        lens
    }

    #[test]
    fn frames_have_the_average_and_the_limits() {
        let lens = frames((0..20_000).map(|i| noise(i * 2 + 1, 4096)), 512 << 10);
        let mean = lens.iter().sum::<usize>() / lens.len();
        assert!((400 << 10..640 << 10).contains(&mean), "{mean}");
        let whole = &lens[..lens.len() - 1];
        assert!(whole.iter().all(|len| (128 << 10..=2 << 20).contains(len)));
    }

    #[test]
    fn zeros_are_cut_only_at_the_greatest_size() {
        for average in [256 << 10, 512 << 10, MAX_AVERAGE] {
            let lens = frames((0..9000).map(|_| vec![0; 4096]), average);
            assert_eq!(lens[0], average as usize * 4);
        }
    }

    #[test]
    fn edges_are_frozen() {
        let lens = frames((0..600).map(|i| noise(i * 2 + 1, 4096)), 256 << 10);
        assert_eq!(lens, FROZEN);
    }

    const FROZEN: &[usize] = &[
        221_184, 65_536, 110_592, 159_744, 192_512, 94_208, 118_784, 290_816, 106_496, 892_928,
        204_800,
    ];

    proptest! {
        #[test]
        fn proptest_units_cover_the_bitmap(bits in proptest::collection::vec(any::<bool>(), 0..300), shift in 0u32..5) {
            let mut used = Bitmap::new(bits.len() as u64);
            for (i, bit) in bits.iter().enumerate() { if *bit { used.set(i as u64) } }
            let block_size = 512 << shift;
            let got: Vec<u32> = Units::new(&used, block_size).collect();
            let per = (4096 / block_size).max(1) as usize;
            let want: Vec<u32> = bits.chunks(per)
                .map(|window| window.iter().filter(|b| **b).count() as u32 * block_size)
                .filter(|len| *len > 0)
                .collect();
            prop_assert_eq!(got, want);
        }
    }
}
