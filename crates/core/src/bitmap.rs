//! The bitmap of used blocks, in partclone's bit order: block `i` is bit `i % 8` of byte `i / 8`.

/// A run of consecutive blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// First block.
    pub start: u64,
    /// Number of blocks, never 0.
    pub count: u64,
}

/// A fixed-length set of block numbers. Bits beyond the length are always zero.
#[derive(Clone, PartialEq, Eq)]
pub struct Bitmap {
    words: Vec<u64>,
    len: u64,
}

impl std::fmt::Debug for Bitmap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bitmap({} of {} set)", self.count(), self.len)
    }
}

const WORD: u64 = 64;

impl Bitmap {
    /// `len` blocks, none used.
    pub fn new(len: u64) -> Self {
        let words = usize::try_from(len.div_ceil(WORD)).expect("a bitmap fits the address space");
        Self {
            words: vec![0; words],
            len,
        }
    }

    /// `len` blocks, all used.
    pub fn full(len: u64) -> Self {
        let mut map = Self::new(len);
        map.set_range(0, len);
        map
    }

    /// From `ceil(len / 8)` bytes, least significant bit first; surplus bits of the last byte are ignored.
    /// `None` when the number of bytes is another.
    pub fn from_bytes(bytes: &[u8], len: u64) -> Option<Self> {
        if bytes.len() as u64 != len.div_ceil(8) {
            return None;
        }
        let mut map = Self::new(len);
        map.set_bytes(0, bytes);
        Some(map)
    }

    /// Marks used what is a one in `bytes`, of which the first stands for the eight blocks from `8 * first`; surplus bits and
    /// bytes are ignored. Zeros are not written: the memory of a bitmap that was just made stays untouched.
    pub fn set_bytes(&mut self, first: u64, bytes: &[u8]) {
        for (at, byte) in (first..self.len.div_ceil(8)).zip(bytes) {
            if *byte != 0 {
                self.words[word_of(at * 8)] |= u64::from(*byte) << (at * 8 % WORD);
            }
        }
        self.mask_tail();
    }

    /// The `ceil(len / 8)` bytes, surplus bits zero.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self
            .words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        bytes.truncate(usize::try_from(self.len.div_ceil(8)).expect("fits: it is in memory"));
        bytes
    }

    fn mask_tail(&mut self) {
        let rest = self.len % WORD;
        if rest != 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << rest) - 1;
        }
    }

    /// Number of blocks, used or not.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no blocks at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of used blocks.
    pub fn count(&self) -> u64 {
        self.words
            .iter()
            .map(|word| u64::from(word.count_ones()))
            .sum()
    }

    /// Whether a block is used; blocks beyond the end are not.
    pub fn get(&self, block: u64) -> bool {
        block < self.len && self.words[word_of(block)] >> (block % WORD) & 1 == 1
    }

    /// Marks a block used.
    ///
    /// # Panics
    /// When the block is beyond the end: callers check ranges they read from a disk first.
    pub fn set(&mut self, block: u64) {
        assert!(block < self.len, "block {block} of {}", self.len);
        self.words[word_of(block)] |= 1 << (block % WORD);
    }

    /// Marks a block free.
    ///
    /// # Panics
    /// When the block is beyond the end.
    pub fn clear(&mut self, block: u64) {
        assert!(block < self.len, "block {block} of {}", self.len);
        self.words[word_of(block)] &= !(1 << (block % WORD));
    }

    /// Marks `count` blocks from `start` used; what lies beyond the end is ignored.
    pub fn set_range(&mut self, start: u64, count: u64) {
        self.for_words(start, count, |word, mask| *word |= mask);
    }

    /// Marks `count` blocks from `start` free; what lies beyond the end is ignored.
    pub fn clear_range(&mut self, start: u64, count: u64) {
        self.for_words(start, count, |word, mask| *word &= !mask);
    }

    fn for_words(&mut self, start: u64, count: u64, change: impl Fn(&mut u64, u64)) {
        let end = start.saturating_add(count).min(self.len);
        let mut at = start;
        while at < end {
            let bit = at % WORD;
            let take = (WORD - bit).min(end - at);
            let ones = if take == WORD {
                u64::MAX
            } else {
                (1 << take) - 1
            };
            change(&mut self.words[word_of(at)], ones << bit);
            at += take;
        }
    }

    /// The first block at or after `from` whose state is `used`.
    fn seek(&self, from: u64, used: bool) -> Option<u64> {
        if from >= self.len {
            return None;
        }
        let flip = if used { 0 } else { u64::MAX };
        let mut index = word_of(from);
        let mut word = (self.words[index] ^ flip) & (u64::MAX << (from % WORD));
        loop {
            if word != 0 {
                let block = index as u64 * WORD + u64::from(word.trailing_zeros());
                return (block < self.len).then_some(block);
            }
            index += 1;
            word = *self.words.get(index)? ^ flip;
        }
    }

    /// The runs of used blocks, ascending.
    pub fn runs(&self) -> Runs<'_> {
        self.runs_from(0)
    }

    /// The runs of used blocks at or after a block; the first may begin inside a longer run.
    pub fn runs_from(&self, block: u64) -> Runs<'_> {
        Runs {
            map: self,
            next: block,
        }
    }

    /// The runs of free blocks, ascending.
    pub fn free_runs(&self) -> impl Iterator<Item = Run> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            let start = self.seek(next, false)?;
            next = self.seek(start, true).unwrap_or(self.len);
            Some(Run {
                start,
                count: next - start,
            })
        })
    }

    /// The last used block.
    pub fn last_used(&self) -> Option<u64> {
        let (index, word) = self
            .words
            .iter()
            .enumerate()
            .rev()
            .find(|(_, word)| **word != 0)?;
        Some(index as u64 * WORD + (WORD - 1) - u64::from(word.leading_zeros()))
    }
}

fn word_of(block: u64) -> usize {
    usize::try_from(block / WORD).expect("a block of an in-memory bitmap")
}

/// Iterator over runs of used blocks.
#[derive(Debug, Clone)]
pub struct Runs<'a> {
    map: &'a Bitmap,
    next: u64,
}

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        let start = self.map.seek(self.next, true)?;
        let end = self.map.seek(start, false).unwrap_or(self.map.len);
        self.next = end;
        Some(Run {
            start,
            count: end - start,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Bitmap, Run};
    use proptest::prelude::*;

    #[test]
    fn runs_cross_words_and_stop_at_the_end() {
        let mut map = Bitmap::new(130);
        map.set_range(60, 10);
        map.set_range(128, 500);
        let runs: Vec<Run> = map.runs().collect();
        assert_eq!(
            runs,
            [
                Run {
                    start: 60,
                    count: 10
                },
                Run {
                    start: 128,
                    count: 2
                }
            ]
        );
        assert_eq!(map.last_used(), Some(129));
        assert_eq!(
            map.runs_from(65).next(),
            Some(Run {
                start: 65,
                count: 5
            })
        );
    }

    #[test]
    fn surplus_bits_are_no_blocks() {
        let map = Bitmap::from_bytes(&[0xff], 3).expect("one byte");
        assert_eq!((map.count(), map.to_bytes()), (3, vec![7]));
        assert_eq!(map, Bitmap::full(3));
    }

    proptest! {
        #[test]
        fn proptest_bytes_round_trip(bits in proptest::collection::vec(any::<bool>(), 0..400)) {
            let mut map = Bitmap::new(bits.len() as u64);
            for (i, used) in bits.iter().enumerate() {
                if *used { map.set(i as u64) }
            }
            prop_assert_eq!(map.count(), bits.iter().filter(|b| **b).count() as u64);
            let again = Bitmap::from_bytes(&map.to_bytes(), map.len()).expect("same length");
            prop_assert_eq!(&again, &map);
            let bytes = map.to_bytes();
            let (early, late) = bytes.split_at(bits.len() / 19);
            let mut pieces = Bitmap::new(map.len());
            pieces.set_bytes(early.len() as u64, late);
            pieces.set_bytes(0, early);
            prop_assert_eq!(&pieces, &map);
            let from_runs: Vec<u64> = map.runs().flat_map(|r| r.start..r.start + r.count).collect();
            let free: u64 = map.free_runs().inspect(|r| assert!(!map.get(r.start) && r.count > 0)).map(|r| r.count).sum();
            prop_assert_eq!(free, map.len() - map.count());
            let from_bits: Vec<u64> = (0..map.len()).filter(|b| map.get(*b)).collect();
            prop_assert_eq!(from_runs, from_bits);
        }

        #[test]
        fn proptest_ranges_agree_with_single_bits(len in 1u64..300, start in 0u64..300, count in 0u64..300) {
            let mut ranged = Bitmap::full(len);
            ranged.clear_range(start, count);
            let mut single = Bitmap::full(len);
            for block in start..(start + count).min(len) { single.clear(block) }
            prop_assert_eq!(ranged, single);
        }
    }
}
