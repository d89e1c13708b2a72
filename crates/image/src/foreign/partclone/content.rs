//! The data area: blocks and checksums in, verified blocks out.

use std::io::{self, Read};

use super::sum::Sum;
use crate::foreign::{ForeignError, fill};
use crate::fs::Volume;

const WITHIN: &str = "blocks";

/// Bytes that were read ahead, then the rest.
pub(super) type Input<R> = io::Chain<io::Cursor<Vec<u8>>, R>;

/// The data area of an image.
pub(super) struct Content<R> {
    input: Input<R>,
    sum: Sum,
    block_size: u64,
    used: u64,
    strip_bytes: u64,
    /// Bytes of blocks that are still to come, the current strip's included.
    left: u64,
    left_in_strip: u64,
    strip: u64,
}

impl<R: Read> Content<R> {
    /// Over a reader that stands at the first block, with a checksum every `blocks` blocks.
    pub(super) fn new(
        reader: R,
        volume: &Volume,
        blocks: u64,
        sum: Sum,
    ) -> Result<Self, ForeignError> {
        Self::with_input(
            io::Cursor::new(Vec::new()).chain(reader),
            volume,
            blocks,
            sum,
        )
    }

    pub(super) fn with_input(
        input: Input<R>,
        volume: &Volume,
        blocks: u64,
        sum: Sum,
    ) -> Result<Self, ForeignError> {
        let block_size = u64::from(volume.block_size);
        let left = volume.used_bytes();
        let strip_bytes = blocks.saturating_mul(block_size);
        let mut content = Self {
            input,
            sum,
            block_size,
            used: volume.used.count(),
            strip_bytes,
            left,
            left_in_strip: left.min(strip_bytes),
            strip: 0,
        };
        if left == 0 {
            content.check_end()?;
        }
        Ok(content)
    }

    pub(super) fn read(&mut self, buf: &mut [u8]) -> Result<usize, ForeignError> {
        let most = usize::try_from(self.left_in_strip).unwrap_or(usize::MAX);
        let most = buf.len().min(most);
        if most == 0 {
            return Ok(0);
        }
        let len = self.read_some(&mut buf[..most])?;
        if len == 0 {
            return Err(ForeignError::Truncated { within: WITHIN });
        }
        self.sum.update(&buf[..len]);
        self.left -= len as u64;
        self.left_in_strip -= len as u64;
        if self.left_in_strip == 0 {
            self.end_strip()?;
        }
        Ok(len)
    }

    fn read_some(&mut self, buf: &mut [u8]) -> Result<usize, ForeignError> {
        loop {
            match self.input.read(buf) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map_err(ForeignError::from_io),
            }
        }
    }

    fn end_strip(&mut self) -> Result<(), ForeignError> {
        let mut stored = [0; 16];
        let stored = &mut stored[..self.sum.size()];
        fill(&mut self.input, stored, WITHIN)?;
        if !self.sum.verify(stored) {
            return Err(self.wrong_checksum());
        }
        self.strip += 1;
        self.left_in_strip = self.left.min(self.strip_bytes);
        if self.left == 0 {
            self.check_end()?;
        }
        Ok(())
    }

    fn wrong_checksum(&self) -> ForeignError {
        let full = self.strip_bytes / self.block_size;
        let first = self.strip.saturating_mul(full);
        ForeignError::Checksum {
            strip: self.strip,
            first,
            blocks: full.min(self.used - first),
        }
    }

    fn check_end(&mut self) -> Result<(), ForeignError> {
        if self.read_some(&mut [0])? == 0 {
            Ok(())
        } else {
            Err(ForeignError::Trailing {
                after: "last block",
            })
        }
    }
}
