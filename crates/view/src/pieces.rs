//! Pieces of images that were fetched whole and fit their hashes; those that were used last are kept.

use std::collections::HashMap;
use std::io;
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
        let came = fetch(image, number);
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
