//! The used blocks of a device as one stream.

use std::io::{self, Read};

use azud_core::bitmap::{Bitmap, Run};
use azud_core::io::{PageBuf, ReadAt};

/// Bytes asked of the device at once for who takes little at a time.
const CHUNK: usize = 4 << 20;
/// Who takes at least so many bytes gets them without a copy.
const STRAIGHT: usize = 64 << 10;

/// Reads the used blocks of a device in ascending order.
pub struct DeviceContent<'a> {
    device: &'a dyn ReadAt,
    used: &'a Bitmap,
    block_size: u64,
    next_block: u64,
    buffer: PageBuf,
    taken: usize,
}

impl std::fmt::Debug for DeviceContent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeviceContent(at block {})", self.next_block)
    }
}

impl<'a> DeviceContent<'a> {
    /// The content of `used` blocks of `block_size` bytes.
    pub fn new(device: &'a dyn ReadAt, used: &'a Bitmap, block_size: u32) -> Self {
        let block_size = u64::from(block_size);
        Self {
            device,
            used,
            block_size,
            next_block: 0,
            buffer: PageBuf::new(),
            taken: 0,
        }
    }

    /// The same, beginning at a block.
    pub(super) fn starting_at(self, block: u64) -> Self {
        Self {
            next_block: block,
            ..self
        }
    }

    /// Fills the buffer with as many runs as fit; an empty buffer means the end.
    fn refill(&mut self) -> io::Result<()> {
        self.taken = 0;
        let room = (CHUNK as u64 / self.block_size).max(1);
        let mut pieces = Vec::new();
        let mut blocks = 0;
        for Run { start, count } in self.used.runs_from(self.next_block) {
            let take = count.min(room - blocks);
            pieces.push((start, take));
            blocks += take;
            self.next_block = start + take;
            if blocks == room {
                break;
            }
        }
        let bytes =
            |blocks: u64| usize::try_from(blocks * self.block_size).expect("at most a chunk");
        self.buffer.resize(bytes(blocks));
        let mut at = 0;
        for (start, count) in pieces {
            let len = bytes(count);
            self.device
                .read_exact_at(&mut self.buffer[at..at + len], start * self.block_size)?;
            at += len;
        }
        Ok(())
    }
}

impl DeviceContent<'_> {
    /// Reads of the next run what fits; 0 at the end.
    fn read_straight(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let room = out.len() as u64 / self.block_size;
        let Some(Run { start, count }) = self.used.runs_from(self.next_block).next() else {
            return Ok(0);
        };
        let take = count.min(room);
        let len = usize::try_from(take * self.block_size).expect("at most what was asked for");
        self.device
            .read_exact_at(&mut out[..len], start * self.block_size)?;
        self.next_block = start + take;
        Ok(len)
    }
}

impl Read for DeviceContent<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let straight = out.len() >= STRAIGHT && out.len() as u64 >= self.block_size;
        if self.taken == self.buffer.len() && straight {
            return self.read_straight(out);
        }
        if self.taken == self.buffer.len() {
            self.refill()?;
        }
        let ready = &self.buffer[self.taken..];
        let len = ready.len().min(out.len());
        out[..len].copy_from_slice(&ready[..len]);
        self.taken += len;
        Ok(len)
    }
}
