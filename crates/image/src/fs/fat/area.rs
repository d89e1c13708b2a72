//! The block map of a volume whose clusters need not begin on a multiple of anything but its sectors.
//!
//! Invariant: whatever byte range was kept is covered by the finished blocks and tails, whole; with a
//! block that divides every boundary nothing else is. FAT and exFAT share it.

use std::ops::Range;

use azud_core::bitmap::Bitmap;

/// No more blocks than this in one map (64 MiB of bits): beyond it the block grows.
const MAX_BLOCKS: u64 = 1 << 29;

/// What blocks are made of when nothing stands against it.
const USUAL_BLOCK: u64 = 4096;

/// The largest block, as in partclone's images.
const MAX_BLOCK: u64 = 64 << 20;

/// Which bytes of a volume are worth keeping.
pub(in crate::fs) struct Area {
    block: u64,
    size: u64,
    used: Bitmap,
    tail: bool,
    pending: Range<u64>,
}

impl Area {
    /// For a volume of `size` bytes: blocks of 4096 bytes, or smaller, down to a sector, so that every one of
    /// `bounds` (byte offsets and sizes) is a multiple of the block. A volume with too many such blocks gets
    /// larger ones, which then keep a little more than is used. `None` when even the largest are too many.
    pub(in crate::fs) fn new(size: u64, bounds: &[u64]) -> Option<Self> {
        let mut block = bounds.iter().fold(USUAL_BLOCK, |block, bound| {
            1 << (block | bound).trailing_zeros()
        });
        while size / block > MAX_BLOCKS {
            block *= 2;
        }
        (block <= MAX_BLOCK).then(|| Self {
            block,
            size,
            used: Bitmap::new(size / block),
            tail: false,
            pending: 0..0,
        })
    }

    /// Keeps a range of bytes. Ascending, adjoining ranges cost no more than one.
    pub(in crate::fs) fn keep(&mut self, range: Range<u64>) {
        if range.start == self.pending.end {
            self.pending.end = range.end;
        } else {
            self.settle();
            self.pending = range;
        }
    }

    fn settle(&mut self) {
        let Range { start, end } = std::mem::replace(&mut self.pending, 0..0);
        if start < end {
            let first = start / self.block;
            let after = end.div_ceil(self.block);
            self.used.set_range(first, after - first);
            self.tail |= after > self.used.len();
        }
    }

    /// Bytes per block.
    pub(in crate::fs) fn block_size(&self) -> u32 {
        u32::try_from(self.block).expect("at most MAX_BLOCK")
    }

    /// The used blocks, and what is kept behind the last whole one.
    pub(in crate::fs) fn finish(mut self) -> (Bitmap, Vec<Range<u64>>) {
        self.settle();
        let whole = self.used.len() * self.block;
        let tail = (self.tail && whole < self.size).then_some(whole..self.size);
        (self.used, tail.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Area, MAX_BLOCKS};

    #[test]
    fn the_block_divides_every_boundary() {
        let block = |bounds: &[u64]| Area::new(1 << 20, bounds).expect("small").block_size();
        assert_eq!(block(&[32768, 65536]), 4096);
        assert_eq!(block(&[512 * 7, 65536]), 512);
        assert_eq!(block(&[8192, 2048]), 2048);
    }

    #[test]
    fn large_volumes_get_large_blocks_and_a_bounded_map() {
        let area = Area::new(2 << 40, &[512]).expect("2 TiB");
        assert_eq!((area.block_size(), area.used.len()), (4096, MAX_BLOCKS));
        let area = Area::new(16 << 40, &[512]).expect("16 TiB");
        assert_eq!((area.block_size(), area.used.len()), (32768, MAX_BLOCKS));
        assert!(Area::new(u64::MAX, &[512]).is_none());
    }

    #[test]
    fn what_is_kept_is_covered_and_the_rest_of_the_volume_is_the_tail() {
        let mut area = Area::new(3 * 4096 + 100, &[4096]).expect("small");
        area.keep(0..1);
        area.keep(4097..4098);
        let (used, tails) = area.finish();
        assert_eq!((used.len(), used.count(), tails.len()), (3, 2, 0));
        let mut area = Area::new(3 * 4096 + 100, &[4096]).expect("small");
        area.keep(3 * 4096 - 1..3 * 4096 + 1);
        let (used, tails) = area.finish();
        assert_eq!(used.runs().next().map(|r| r.start), Some(2));
        assert_eq!(
            (tails[0].start, tails[0].end, tails.len()),
            (12288, 12388, 1)
        );
    }
}
