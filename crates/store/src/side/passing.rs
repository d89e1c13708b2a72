//! The sums of bytes that are read for something else, in an order of their own.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fmt, io};

use super::Sums;
use azud_core::io::ReadAt;

/// So many bytes wait for those before them; more are read once more.
const MOST: usize = 64 << 20;

/// Reads an image, and keeps its sums as far as they can be told.
pub struct Passing<'a> {
    image: &'a dyn ReadAt,
    state: Mutex<State>,
}

struct State {
    sums: Sums,
    /// What lies before this is in the sums.
    at: u64,
    /// What came before its turn, by where it lies.
    waiting: BTreeMap<u64, Vec<u8>>,
    held: usize,
}

impl State {
    fn take(&mut self, bytes: &[u8], offset: u64) {
        if offset > self.at {
            if self.held + bytes.len() <= MOST && !self.waiting.contains_key(&offset) {
                self.held += bytes.len();
                self.waiting.insert(offset, bytes.to_vec());
            }
            return;
        }
        self.count(bytes, offset);
        while let Some(first) = self.waiting.first_entry() {
            if *first.key() > self.at {
                return;
            }
            let (offset, bytes) = first.remove_entry();
            self.held -= bytes.len();
            self.count(&bytes, offset);
        }
    }

    /// Of bytes that begin before `at`, or there, those that are not in the sums yet.
    fn count(&mut self, bytes: &[u8], offset: u64) {
        let known = usize::try_from(self.at - offset).unwrap_or(usize::MAX);
        let new = bytes.get(known..).unwrap_or_default();
        self.sums.update(new);
        self.at += new.len() as u64;
    }
}

impl fmt::Debug for Passing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Passing").field(&self.state().at).finish()
    }
}

impl<'a> Passing<'a> {
    /// Of an image of which nothing was read yet.
    pub fn new(image: &'a dyn ReadAt) -> Self {
        let state = Mutex::new(State {
            sums: Sums::new(),
            at: 0,
            waiting: BTreeMap::new(),
            held: 0,
        });
        Self { image, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sums of all of the image. What was not read, or came too long before its turn, is read now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn finish(self) -> io::Result<Sums> {
        let mut state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut piece = vec![0; 1 << 20];
        while state.at < self.image.len() {
            let next = state.waiting.first_key_value().map(|(offset, _)| *offset);
            let gap = next.unwrap_or(self.image.len()) - state.at;
            let len = usize::try_from(gap).map_or(piece.len(), |gap| gap.min(piece.len()));
            self.image.read_exact_at(&mut piece[..len], state.at)?;
            let at = state.at;
            state.take(&piece[..len], at);
        }
        Ok(state.sums)
    }
}

impl ReadAt for Passing<'_> {
    fn len(&self) -> u64 {
        self.image.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.image.read_exact_at(buf, offset)?;
        self.state().take(buf, offset);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicU64, Ordering};

    use azud_core::io::ReadAt;

    use super::{Passing, Sums};

    const LEN: u64 = 5000;

    /// Counts what is read of it.
    struct Counted(Vec<u8>, AtomicU64);

    impl ReadAt for Counted {
        fn len(&self) -> u64 {
            LEN
        }

        fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
            self.1.fetch_add(buf.len() as u64, Ordering::Relaxed);
            self.0.read_exact_at(buf, offset)
        }
    }

    /// Numbers without an order, the same in every run.
    fn numbers(seed: u64) -> impl Iterator<Item = u64> {
        let next = |last: &u64| Some(last.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        std::iter::successors(Some(seed), next).map(|number| number >> 33)
    }

    fn image() -> Counted {
        let bytes = numbers(7).map(|number| number.to_le_bytes()[0]);
        Counted(bytes.take(5000).collect(), AtomicU64::new(0))
    }

    #[test]
    fn the_sums_are_those_of_the_image_whatever_is_read_of_it() {
        let image = image();
        let mut sums = Sums::new();
        sums.update(&image.0);
        let sums = sums.finish();
        for seed in 0..500 {
            let mut numbers = numbers(seed).skip(1);
            let mut number = |below: u64| numbers.next().map_or(0, |number| number % below);
            let passing = Passing::new(&image);
            for _ in 0..number(40) {
                let offset = number(LEN);
                let len = number(LEN - offset + 1);
                let mut piece = vec![0; usize::try_from(len).unwrap()];
                passing.read_exact_at(&mut piece, offset).unwrap();
            }
            assert_eq!(passing.finish().unwrap().finish(), sums, "seed {seed}");
        }
    }

    #[test]
    fn nothing_is_read_twice_and_what_nobody_reads_is_read_in_the_end() {
        let image = image();
        let passing = Passing::new(&image);
        let mut pieces: Vec<u64> = (0..50).collect();
        pieces.sort_by_key(|piece| numbers(*piece).nth(2));
        assert!(!pieces.is_sorted());
        for piece in pieces {
            passing.read_exact_at(&mut [0; 90], piece * 100).unwrap();
        }
        passing.finish().unwrap();
        assert_eq!(image.1.into_inner(), LEN);
    }
}
