//! The used blocks of a device as one stream.

use std::io::{self, Read};

use azud_core::bitmap::{Bitmap, Run};
use azud_core::io::{PageBuf, ReadAt};

/// Bytes asked of the device at once.
const CHUNK: usize = 4 << 20;

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

impl Read for DeviceContent<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
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
