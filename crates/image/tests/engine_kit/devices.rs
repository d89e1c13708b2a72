//! A device with a will of its own.

use std::sync::atomic::{AtomicUsize, Ordering};

use azud_core::io::{ReadAt, WriteAt};
use azud_testkit::memory::Memory;

/// Counts how often it was told to forget.
pub(crate) struct Willful {
    pub(crate) memory: Memory,
    pub(crate) forgot: AtomicUsize,
    /// The place of a byte that is another one once it has forgotten.
    pub(crate) lost: Option<usize>,
    /// It is written by multiples of this many bytes.
    pub(crate) sector: u64,
}

impl Willful {
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self {
            memory: Memory::new(bytes),
            forgot: AtomicUsize::new(0),
            lost: None,
            sector: 1,
        }
    }
}

impl ReadAt for Willful {
    fn len(&self) -> u64 {
        self.memory.len()
    }
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<()> {
        self.memory.read_exact_at(buf, offset)?;
        let lost = self.lost.and_then(|at| at.checked_sub(offset as usize));
        if let Some(byte) = lost.and_then(|at| buf.get_mut(at))
            && self.forgot.load(Ordering::Relaxed) > 0
        {
            *byte ^= 1;
        }
        Ok(())
    }
}

impl WriteAt for Willful {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> std::io::Result<()> {
        if !(offset | buf.len() as u64).is_multiple_of(self.sector) {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        self.memory.write_all_at(buf, offset)
    }
    fn flush(&self) -> std::io::Result<()> {
        self.memory.flush()
    }
    fn discard(&self, offset: u64, len: u64) -> std::io::Result<()> {
        self.memory.discard(offset, len)
    }
    fn zero(&self, offset: u64, len: u64) -> std::io::Result<()> {
        self.memory.zero(offset, len)
    }
    fn forget(&self) -> std::io::Result<()> {
        self.forgot.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
