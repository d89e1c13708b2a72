//! Memory that direct I/O can use as it is.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// Alignment of an [`AlignedBuf`]: that of a page, which no device is stricter than.
pub const ALIGN: usize = 4096;

/// Bytes that begin at a multiple of [`ALIGN`]. Reading into it and writing from it needs no copy under `O_DIRECT`.
///
/// It is a slice of a `Vec` that is a little too long: no `unsafe` is needed, and the `Vec` never
/// grows in place, because growing could move its bytes.
#[derive(Default)]
pub struct AlignedBuf {
    store: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuf {
    /// Nothing, and nothing allocated.
    pub fn new() -> Self {
        Self::default()
    }

    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        let store = vec![
            0;
            len.checked_add(ALIGN - 1)
                .expect("a buffer fits the address space")
        ];
        let address = store.as_ptr().addr();
        let start = address.next_multiple_of(ALIGN) - address;
        Self { store, start, len }
    }

    /// Nothing, with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        let mut buf = Self::zeroed(capacity);
        buf.len = 0;
        buf
    }

    /// How many bytes it can have without being allocated anew.
    pub fn capacity(&self) -> usize {
        self.store.len().saturating_sub(ALIGN - 1)
    }

    /// Makes it `len` bytes long. Bytes kept keep their value; bytes gained have any value they
    /// had in this buffer before, or zero.
    pub fn resize(&mut self, len: usize) {
        if len > self.capacity() {
            let mut larger = Self::zeroed(len.max(self.capacity().saturating_mul(2)));
            larger[..self.len].copy_from_slice(self);
            *self = larger;
        }
        self.len = len;
    }

    /// Forgets all but the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Forgets all bytes and keeps the memory.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Appends bytes.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        let old = self.len;
        self.resize(
            old.checked_add(bytes.len())
                .expect("a buffer fits the address space"),
        );
        self[old..].copy_from_slice(bytes);
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.store[self.start..self.start + self.len]
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.store[self.start..self.start + self.len]
    }
}

impl Clone for AlignedBuf {
    fn clone(&self) -> Self {
        let mut copy = Self::zeroed(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl AsRef<[u8]> for AlignedBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for AlignedBuf {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl PartialEq for AlignedBuf {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for AlignedBuf {}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlignedBuf({} of {} bytes)", self.len, self.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::{ALIGN, AlignedBuf};

    #[test]
    fn aligned_through_every_change() {
        let mut buf = AlignedBuf::new();
        let mut model = Vec::new();
        for step in 1..200_usize {
            let bytes: Vec<u8> = (0..step * 37 % 501)
                .map(|i| (i + step).to_le_bytes()[0])
                .collect();
            buf.extend_from_slice(&bytes);
            model.extend_from_slice(&bytes);
            if step % 50 == 49 {
                buf.truncate(1000);
                model.truncate(1000);
            }
            assert_eq!(*buf, *model);
            assert_eq!(buf.as_ptr().addr() % ALIGN, 0);
            assert_eq!(buf.clone(), buf);
            assert_eq!(buf.clone().as_ptr().addr() % ALIGN, 0);
        }
        assert!(AlignedBuf::with_capacity(10).is_empty());
        assert_eq!(AlignedBuf::zeroed(4097)[..], [0; 4097]);
    }
}
