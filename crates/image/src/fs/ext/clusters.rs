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
        let range = range.start..range.end.min(self.len);
        for (byte, mask) in pieces(&range) {
            self.bytes[byte] |= mask;
        }
    }

    /// How many clusters of a range are used; none are beyond the end.
    pub(super) fn count(&self, range: Range<u64>) -> u64 {
        let range = range.start..range.end.min(self.len);
        pieces(&range)
            .map(|(byte, mask)| u64::from((self.bytes[byte] & mask).count_ones()))
            .sum()
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

/// The bytes of a range of bits, with the mask of the bits that belong to it.
fn pieces(range: &Range<u64>) -> impl Iterator<Item = (usize, u8)> {
    let Range { start, end } = *range;
    let bytes = if start < end {
        start / 8..end.div_ceil(8)
    } else {
        0..0
    };
    bytes.map(move |byte| {
        let low = u8::MAX << start.saturating_sub(byte * 8).min(7);
        let above = (byte * 8 + 8).saturating_sub(end);
        (index(byte * 8), low & u8::MAX >> above)
    })
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
