//! The seams between the engine and the machine: positioned reads and writes.
//!
//! They use `std::io::Error` as their error so that an implementation over a file loses nothing,
//! but this module performs no I/O itself.

use std::io;

/// A device or file that is only read, at absolute byte offsets.
pub trait ReadAt: Sync {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Whether there is nothing to read.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the range leaves the device, else what the device says.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
}

/// A device or file that is written at absolute byte offsets.
pub trait WriteAt: ReadAt {
    /// Writes all of `buf` at `offset`.
    ///
    /// # Errors
    /// Whatever the device says; a partial write is an error.
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;

    /// Returns when everything written before is on the medium.
    ///
    /// # Errors
    /// Whatever the device says; after an error nothing written may be trusted.
    fn flush(&self) -> io::Result<()>;

    /// Tells the device that a range holds nothing of worth (`discard`); its content becomes undefined.
    ///
    /// # Errors
    /// `Unsupported` when the device cannot.
    fn discard(&self, offset: u64, len: u64) -> io::Result<()>;

    /// Makes later reads come from the medium rather than from memory, as far as the system allows.
    ///
    /// # Errors
    /// Whatever the device says.
    fn forget(&self) -> io::Result<()> {
        Ok(())
    }

    /// Makes a range read as zeros, cheaply where the device can.
    ///
    /// # Errors
    /// Whatever the device says.
    fn zero(&self, offset: u64, len: u64) -> io::Result<()>;
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buf, offset)
    }
}

impl ReadAt for [u8] {
    fn len(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start
            .checked_add(buf.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let range = self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(range);
        Ok(())
    }
}

impl ReadAt for Vec<u8> {
    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.as_slice().read_exact_at(buf, offset)
    }
}

/// Where direct I/O wants its buffers to begin.
pub const PAGE: usize = 4096;

/// A growable byte buffer whose first byte is page-aligned, so that direct I/O needs no copy.
#[derive(Debug, Default)]
pub struct PageBuf {
    raw: Vec<u8>,
    start: usize,
    len: usize,
}

impl PageBuf {
    /// An empty buffer; nothing is allocated.
    pub fn new() -> Self {
        Self::default()
    }

    /// A buffer of `len` zero bytes.
    pub fn zeroed(len: usize) -> Self {
        let mut buf = Self::new();
        buf.resize(len);
        buf
    }

    /// Sets the length. Bytes that were there before are kept only while the capacity suffices;
    /// what is new is zero or old content, never uninitialised.
    pub fn resize(&mut self, len: usize) {
        if self.raw.len() < self.start + len {
            self.raw = vec![0; len + PAGE];
            self.start = self.raw.as_ptr().align_offset(PAGE).min(PAGE);
        }
        self.len = len;
    }
}

impl std::ops::Deref for PageBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.raw[self.start..self.start + self.len]
    }
}

impl std::ops::DerefMut for PageBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.raw[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::{PAGE, PageBuf};

    #[test]
    fn page_buffers_are_aligned_whatever_their_length() {
        let mut buf = PageBuf::new();
        for len in [1, 4096, 5000, 1 << 20, 3] {
            buf.resize(len);
            assert_eq!((buf.len(), buf.as_ptr() as usize % PAGE), (len, 0));
        }
    }
}
