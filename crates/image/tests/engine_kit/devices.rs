//! Devices with a will of their own.

use std::sync::atomic::{AtomicUsize, Ordering};

use azud_core::io::{ReadAt, WriteAt};
use azud_testkit::memory::Memory;

/// A device that counts how often it was told to forget; from then on a byte of it may be another.
pub(crate) struct Forgetful(
    pub(crate) Memory,
    pub(crate) AtomicUsize,
    pub(crate) Option<usize>,
);

impl ReadAt for Forgetful {
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<()> {
        self.0.read_exact_at(buf, offset)?;
        let lost = self.2.and_then(|at| at.checked_sub(offset as usize));
        if let Some(byte) = lost.and_then(|at| buf.get_mut(at))
            && self.1.load(Ordering::Relaxed) > 0
        {
            *byte ^= 1;
        }
        Ok(())
    }
}

impl WriteAt for Forgetful {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> std::io::Result<()> {
        self.0.write_all_at(buf, offset)
    }
    fn flush(&self) -> std::io::Result<()> {
        self.0.flush()
    }
    fn discard(&self, offset: u64, len: u64) -> std::io::Result<()> {
        self.0.discard(offset, len)
    }
    fn zero(&self, offset: u64, len: u64) -> std::io::Result<()> {
        self.0.zero(offset, len)
    }
    fn forget(&self) -> std::io::Result<()> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A device that takes whole sectors only.
pub(crate) struct Sectors(pub(crate) Memory);

impl ReadAt for Sectors {
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }
}

impl WriteAt for Sectors {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> std::io::Result<()> {
        if !(offset | buf.len() as u64).is_multiple_of(512) {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        self.0.write_all_at(buf, offset)
    }
    fn flush(&self) -> std::io::Result<()> {
        self.0.flush()
    }
    fn discard(&self, offset: u64, len: u64) -> std::io::Result<()> {
        self.0.discard(offset, len)
    }
    fn zero(&self, offset: u64, len: u64) -> std::io::Result<()> {
        self.0.zero(offset, len)
    }
}
