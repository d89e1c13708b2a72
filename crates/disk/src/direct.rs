//! Reading and writing past the page cache, whatever the alignment of the caller's memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use azud_core::io::{PAGE, PageBuf};
use rustix::fs::{AtFlags, OFlags, StatxFlags, fcntl_getfl, fcntl_setfl, statx};
use rustix::io::Errno;

use crate::facts::Kind;

/// Largest piece that goes through memory of our own.
const BOUNCE: usize = 1 << 20;
/// Kept for the next caller; more are freed.
const KEPT: usize = 4;

/// What direct I/O on a file needs, and memory to satisfy it.
#[derive(Debug)]
pub(crate) struct Direct {
    /// Offsets and lengths must be multiples of it.
    pub(crate) unit: u32,
    /// Memory must begin at a multiple of it; at most [`PAGE`].
    memory: usize,
    spare: Mutex<Vec<PageBuf>>,
}

impl Direct {
    /// What the file needs for direct I/O; `None` when it cannot do it.
    pub(crate) fn of(file: &File, kind: Kind, logical_sector: u32) -> Option<Self> {
        let facts = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN).ok();
        let told = facts.filter(|facts| {
            StatxFlags::from_bits_retain(facts.stx_mask).contains(StatxFlags::DIOALIGN)
        });
        let (unit, memory) = match (told, kind) {
            (Some(facts), _) => (facts.stx_dio_offset_align, facts.stx_dio_mem_align),
            // Kernels before 6.1 and some file systems do not tell: take what always works.
            (None, Kind::BlockDevice) => (logical_sector, 4096),
            (None, Kind::RegularFile) => (4096, 4096),
        };
        let unit = if kind == Kind::BlockDevice {
            unit.max(logical_sector)
        } else {
            unit
        };
        let memory = usize::try_from(memory).ok()?;
        let fits = unit.is_power_of_two()
            && memory.is_power_of_two()
            && memory <= PAGE
            && unit as usize <= BOUNCE;
        fits.then(|| Self {
            unit,
            memory,
            spare: Mutex::default(),
        })
    }

    /// Switches the open file to direct I/O and tries it once; on refusal the file is as before.
    pub(crate) fn switch_on(self, file: &File, len: u64) -> Option<Self> {
        let flags = fcntl_getfl(file).ok()?;
        if len < u64::from(self.unit) || fcntl_setfl(file, flags | OFlags::DIRECT).is_err() {
            return None;
        }
        let mut probe = PageBuf::zeroed(self.unit as usize);
        // Only "invalid argument" says that direct I/O does not work; a bad sector shall be met by who needs it.
        match file.read_at(&mut probe, 0) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {
                // Without the flag the file does what it did before.
                fcntl_setfl(file, flags).ok().and(None)
            }
            _ => Some(self),
        }
    }

    fn with_spare<T>(&self, work: impl FnOnce(&mut PageBuf) -> T) -> T {
        let spare = || self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = spare().pop();
        let mut buf = taken.unwrap_or_else(|| PageBuf::zeroed(BOUNCE));
        let result = work(&mut buf);
        let mut spare = spare();
        if spare.len() < KEPT {
            spare.push(buf);
        }
        result
    }

    fn takes(&self, memory: &[u8]) -> bool {
        memory.as_ptr().addr().is_multiple_of(self.memory)
    }

    /// Whether a range may be written directly.
    pub(crate) fn aligned(&self, offset: u64, len: usize) -> bool {
        let unit = u64::from(self.unit);
        offset.is_multiple_of(unit) && (len as u64).is_multiple_of(unit)
    }

    /// Fills `buf` from any offset. The caller has checked the range against the length of the file.
    pub(crate) fn read(&self, file: &File, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let unit = self.unit as usize;
        let straight = if self.takes(buf) && offset.is_multiple_of(unit as u64) {
            buf.len() - buf.len() % unit
        } else {
            0
        };
        let (head, tail) = buf.split_at_mut(straight);
        self.fill(file, head, offset, straight)?;
        if tail.is_empty() {
            return Ok(());
        }
        self.with_spare(|bounce| self.read_through(file, bounce, tail, offset + straight as u64))
    }

    fn read_through(
        &self,
        file: &File,
        bounce: &mut [u8],
        buf: &mut [u8],
        offset: u64,
    ) -> io::Result<()> {
        let unit = self.unit as usize;
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            let skip = usize::try_from(at % unit as u64).expect("less than a unit");
            let take = (buf.len() - done).min(bounce.len() - skip);
            let whole = (skip + take).next_multiple_of(unit);
            self.fill(file, &mut bounce[..whole], at - skip as u64, skip + take)?;
            buf[done..done + take].copy_from_slice(&bounce[skip..skip + take]);
            done += take;
        }
        Ok(())
    }

    /// Reads aligned memory until at least `needed` bytes are there (the end of a file need not be aligned).
    fn fill(&self, file: &File, buf: &mut [u8], offset: u64, needed: usize) -> io::Result<()> {
        let mut done = 0;
        while done < needed {
            let got = retry(|| file.read_at(&mut buf[done..], offset + done as u64))?;
            if done + got >= needed {
                break;
            }
            done += self.whole_units(got).ok_or(io::ErrorKind::UnexpectedEof)?;
        }
        Ok(())
    }

    /// Writes an aligned range from any memory.
    pub(crate) fn write(&self, file: &File, buf: &[u8], offset: u64) -> io::Result<()> {
        if self.takes(buf) {
            return self.drain(file, buf, offset);
        }
        self.with_spare(|bounce| {
            let mut at = offset;
            for piece in buf.chunks(bounce.len()) {
                bounce[..piece.len()].copy_from_slice(piece);
                self.drain(file, &bounce[..piece.len()], at)?;
                at += piece.len() as u64;
            }
            Ok(())
        })
    }

    fn drain(&self, file: &File, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buf.len() {
            let put = retry(|| file.write_at(&buf[done..], offset + done as u64))?;
            done += self.whole_units(put).ok_or(io::ErrorKind::WriteZero)?;
        }
        Ok(())
    }

    /// What of a short transfer counts: the next one must begin at a unit again.
    fn whole_units(&self, bytes: usize) -> Option<usize> {
        let whole = bytes - bytes % self.unit as usize;
        (whole > 0).then_some(whole)
    }
}

fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
