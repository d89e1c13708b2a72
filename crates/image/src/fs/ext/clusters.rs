//! A bitmap in the units of the on-disk bitmaps: clusters with bigalloc, else blocks, counted from
//! the first data block. Kept as bytes, so that a group's bitmap is merged and counted in place.

use std::ops::Range;

use azud_core::bitmap::Bitmap;

/// The used clusters of the whole file system.
pub(super) struct Clusters {
    bytes: Vec<u8>,
    len: u64,
}

impl Clusters {
    /// `len` clusters, none used.
    pub(super) fn new(len: u64) -> Self {
        let bytes = usize::try_from(len.div_ceil(8)).expect("at most the device's size / 1024 / 8");
        Self {
            bytes: vec![0; bytes],
            len,
        }
    }

    /// Adds a group's bitmap, whose first bit is cluster `start`, a multiple of 8. Bits beyond the end are padding.
    pub(super) fn merge(&mut self, start: u64, bitmap: &[u8]) {
        let own = self.bytes.iter_mut().skip(index(start));
        own.zip(bitmap).for_each(|(own, other)| *own |= other);
    }

    /// Marks a range used; what lies beyond the end is ignored.
    pub(super) fn mark(&mut self, range: Range<u64>) {
        if let Some(pieces) = Pieces::of(range.start, range.end.min(self.len)) {
            for (byte, mask) in pieces.edges {
                self.bytes[byte] |= mask;
            }
            self.bytes[pieces.whole].fill(u8::MAX);
        }
    }

    /// How many clusters of a range are used; none are beyond the end.
    pub(super) fn count(&self, range: Range<u64>) -> u64 {
        let Some(pieces) = Pieces::of(range.start, range.end.min(self.len)) else {
            return 0;
        };
        let edges = pieces
            .edges
            .iter()
            .map(|(byte, mask)| self.bytes[*byte] & mask);
        let (words, rest) = self.bytes[pieces.whole].as_chunks();
        let words = words
            .iter()
            .map(|word| u64::from_ne_bytes(*word).count_ones());
        let rest = rest.iter().copied().chain(edges).map(u8::count_ones);
        words.chain(rest).map(u64::from).sum()
    }

    /// The used blocks: cluster `c` is the `ratio` blocks from `first_block + c * ratio`, and what
    /// lies before the first data block (the boot block) is used.
    pub(super) fn into_blocks(self, first_block: u64, ratio: u64, blocks: u64) -> Bitmap {
        let clusters = Bitmap::from_bytes(&self.bytes, self.len).expect("made for this length");
        if first_block == 0 && ratio == 1 && blocks == self.len {
            return clusters;
        }
        drop(self.bytes);
        let mut map = Bitmap::new(blocks);
        map.set_range(0, first_block);
        for run in clusters.runs() {
            map.set_range(first_block + run.start * ratio, run.count * ratio);
        }
        map
    }
}

fn index(bit: u64) -> usize {
    usize::try_from(bit / 8).expect("a bit of an in-memory bitmap")
}

/// The bytes of a range of bits.
struct Pieces {
    /// The bytes at the two edges, with the mask of the bits that belong to the range.
    edges: [(usize, u8); 2],
    /// The bytes between them.
    whole: Range<usize>,
}

impl Pieces {
    /// `None` when there are no bits.
    fn of(start: u64, end: u64) -> Option<Self> {
        if start >= end {
            return None;
        }
        // The last byte is the one that holds the last bit, so it is within the map.
        let (first, last) = (index(start), index(end - 1));
        let low = u8::MAX << (start % 8);
        let high = u8::MAX >> (7 - (end - 1) % 8);
        let (edges, whole) = if first == last {
            ([(first, low & high), (first, 0)], 0..0)
        } else {
            ([(first, low), (last, high)], first + 1..last)
        };
        Some(Self { edges, whole })
    }
}

#[cfg(test)]
mod tests {
    use super::Clusters;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn proptest_marks_and_counts_bit_by_bit(
            len in 1u64..200, a in 0u64..220, b in 0u64..220, c in 0u64..220, d in 0u64..220,
        ) {
            let mut clusters = Clusters::new(len);
            clusters.mark(a..b);
            let used = |bit: u64| bit < len && (a..b).contains(&bit);
            prop_assert_eq!(clusters.count(c..d), (c..d).filter(|bit| used(*bit)).count() as u64);
            let map = clusters.into_blocks(1, 1, len + 1);
            for bit in 0..len {
                prop_assert_eq!(map.get(bit + 1), used(bit));
            }
            prop_assert!(map.get(0));
        }
    }

    #[test]
    fn a_cluster_is_all_its_blocks() {
        let mut clusters = Clusters::new(3);
        clusters.merge(0, &[0b1111_1100]);
        let map = clusters.into_blocks(0, 4, 10);
        let used: Vec<u64> = (0..10).filter(|block| map.get(*block)).collect();
        assert_eq!(
            used,
            [8, 9],
            "the last cluster is cut by the end; padding bits are not blocks"
        );
    }
}
