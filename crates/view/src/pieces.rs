//! Pieces of images that were fetched whole and fit their hashes; those that were used last are kept.

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use azud_core::assembly::Piece;
use azud_core::format::Hash;

use crate::Image;
use crate::errors::again;

/// Bytes of pieces that are kept.
const KEPT: usize = 64 << 20;
/// A longer piece is none of a sound image.
const LONGEST: u32 = 32 << 20;

/// A piece by the identity of its image and its number in it.
type Key = (Hash, usize);

/// The bytes of a piece.
pub(crate) type Bytes = Arc<Vec<u8>>;

#[derive(Debug, Default)]
struct State {
    kept: HashMap<Key, (Bytes, u64)>,
    coming: HashMap<Key, Arc<Coming>>,
    bytes: usize,
    clock: u64,
}

/// A piece that somebody fetches.
#[derive(Debug, Default)]
struct Coming {
    came: Mutex<Option<io::Result<Bytes>>>,
    told: Condvar,
}

/// The pieces of all images.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    state: Mutex<State>,
}

impl Pieces {
    /// A piece of an image, by its number. Who wants what comes already waits for it.
    ///
    /// # Errors
    /// What the image says; `InvalidData` when the bytes do not fit.
    pub(crate) fn get(&self, image: &dyn Image, number: usize) -> io::Result<Bytes> {
        let key = (*image.layout().identity(), number);
        let mut state = self.lock();
        state.clock += 1;
        let now = state.clock;
        if let Some((bytes, used)) = state.kept.get_mut(&key) {
            *used = now;
            return Ok(Arc::clone(bytes));
        }
        if let Some(coming) = state.coming.get(&key) {
            let coming = Arc::clone(coming);
            drop(state);
            return coming.wait();
        }
        let coming = Arc::new(Coming::default());
        state.coming.insert(key, Arc::clone(&coming));
        drop(state);
        // Whoever waits is told in any case.
        let came = catch_unwind(AssertUnwindSafe(|| fetch(image, number)));
        let came = came.unwrap_or_else(|_| Err(io::Error::other("a piece was not fetched")));
        let mut state = self.lock();
        state.coming.remove(&key);
        if let Ok(bytes) = &came {
            state.keep(key, bytes);
        }
        drop(state);
        coming.tell(&came);
        came
    }

    /// Whether a piece is there or comes.
    pub(crate) fn has(&self, identity: &Hash, number: usize) -> bool {
        let (state, key) = (self.lock(), (*identity, number));
        state.kept.contains_key(&key) || state.coming.contains_key(&key)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, key: Key, bytes: &Bytes) {
        self.bytes += bytes.len();
        self.kept.insert(key, (Arc::clone(bytes), self.clock));
        while self.bytes > KEPT {
            let oldest = self.kept.iter().min_by_key(|(_, (_, used))| *used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else {
                return;
            };
            if let Some((bytes, _)) = self.kept.remove(&oldest) {
                self.bytes -= bytes.len();
            }
        }
    }
}

impl Coming {
    fn wait(&self) -> io::Result<Bytes> {
        let mut came = self.lock();
        loop {
            match &*came {
                Some(Ok(bytes)) => return Ok(Arc::clone(bytes)),
                Some(Err(error)) => return Err(again(error)),
                None => came = self.told.wait(came).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn tell(&self, came: &io::Result<Bytes>) {
        *self.lock() = Some(match came {
            Ok(bytes) => Ok(Arc::clone(bytes)),
            Err(error) => Err(again(error)),
        });
        self.told.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Option<io::Result<Bytes>>> {
        self.came.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fetch(image: &dyn Image, number: usize) -> io::Result<Bytes> {
    let Some(Piece { offset, len, hash }) = image.layout().pieces().get(number).copied() else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    if len > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    image.read_exact_at(&mut bytes, offset)?;
    if *blake3::hash(&bytes).as_bytes() != hash {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Arc::new(bytes))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use azud_core::assembly::{Layout, Piece};
    use azud_core::io::ReadAt;

    use super::{KEPT, Pieces};
    use crate::Image;

    const LEN: u32 = 1 << 20;

    /// An image of equal pieces; each has its number in every byte.
    #[derive(Debug)]
    struct Numbers {
        layout: Layout,
        read: AtomicUsize,
        lies: bool,
    }

    impl Numbers {
        fn new(count: u8) -> Self {
            let pieces = (0..count).map(|number| Piece {
                offset: u64::from(number) * u64::from(LEN),
                len: LEN,
                hash: *blake3::hash(&vec![number; LEN as usize]).as_bytes(),
            });
            Self {
                layout: Layout::loose(pieces.collect()),
                read: AtomicUsize::new(0),
                lies: false,
            }
        }
    }

    impl ReadAt for Numbers {
        fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
            self.read.fetch_add(1, Ordering::SeqCst);
            let number = u8::try_from(offset / u64::from(LEN)).unwrap();
            assert_ne!(number, 3, "the third is bad luck");
            buf.fill(number + u8::from(self.lies));
            Ok(())
        }

        fn len(&self) -> u64 {
            self.layout.size()
        }
    }

    impl Image for Numbers {
        fn layout(&self) -> &Layout {
            &self.layout
        }
    }

    #[test]
    fn what_is_kept_is_not_fetched_again_and_does_not_grow() {
        let (pieces, image) = (Pieces::default(), Numbers::new(200));
        let first = (4..200).map(|number| pieces.get(&image, number).unwrap()[0]);
        assert!(first.eq(4..200));
        let held = pieces.lock().bytes;
        assert!(held <= KEPT, "{held}");
        let before = image.read.load(Ordering::SeqCst);
        pieces.get(&image, 199).unwrap();
        assert_eq!(image.read.load(Ordering::SeqCst), before, "kept");
        pieces.get(&image, 4).unwrap();
        assert_eq!(image.read.load(Ordering::SeqCst), before + 1, "let go");
    }

    #[test]
    fn other_bytes_are_an_error_and_are_not_kept() {
        let (pieces, mut image) = (Pieces::default(), Numbers::new(3));
        image.lies = true;
        let error = pieces.get(&image, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        image.lies = false;
        assert_eq!(pieces.get(&image, 1).unwrap()[0], 1);
        let beyond = pieces.get(&image, 3).unwrap_err();
        assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn nobody_waits_for_a_piece_that_broke_off() {
        let (pieces, image) = (Arc::new(Pieces::default()), Arc::new(Numbers::new(4)));
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let (pieces, image) = (Arc::clone(&pieces), Arc::clone(&image));
                std::thread::spawn(move || pieces.get(&*image, 3).is_err())
            })
            .collect();
        assert!(readers.into_iter().all(|reader| reader.join().unwrap()));
        assert!(!pieces.has(image.layout.identity(), 3));
    }
}
