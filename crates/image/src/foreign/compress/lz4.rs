//! LZ4 frames: any number of them, with skippable frames in between.
//!
//! The container is read here, since an end of the input must be told from the end of a frame.

use std::hash::Hasher;
use std::io::{self, BufRead, Read};

use lz4_flex::block;
use twox_hash::XxHash32;

use super::{Bare, Compressor, is_skippable};
use crate::foreign::{ForeignError, fill};

pub(super) const MAGIC: [u8; 4] = [0x04, 0x22, 0x4D, 0x18];

const WITHIN: &str = "lz4 frame";
/// How far back a block may refer into those before it.
const WINDOW: usize = 64 * 1024;
/// Set in a block's length when the block is not compressed.
const STORED: u32 = 1 << 31;

/// What a frame's header says.
struct Frame {
    max_block: usize,
    independent: bool,
    block_sums: bool,
    content_sum: Option<XxHash32>,
    content_left: Option<u64>,
}

/// A streaming decoder that holds one block.
pub(super) struct Decoder<R> {
    input: R,
    /// The frame that is being read; `None` between frames.
    frame: Option<Frame>,
    window: Vec<u8>,
    packed: Vec<u8>,
    content: Vec<u8>,
    given: usize,
    bare: Bare,
}

impl<R: BufRead> Decoder<R> {
    pub(super) fn new(input: R, bare: Bare) -> Self {
        Self {
            input,
            bare,
            frame: None,
            window: Vec::new(),
            packed: Vec::new(),
            content: Vec::new(),
            given: 0,
        }
    }

    /// Reads on until there is content to give; false at the end of the file.
    fn advance(&mut self) -> Result<bool, ForeignError> {
        loop {
            let Some(frame) = &mut self.frame else {
                let rest = self.input.fill_buf().map_err(ForeignError::from_io)?;
                if rest.is_empty() {
                    return Ok(false);
                }
                self.frame = next_frame(&mut self.input)?;
                self.window.clear();
                continue;
            };
            let word = number(&mut self.input)?;
            if word == 0 {
                end_frame(&mut self.input, frame)?;
                self.frame = None;
                continue;
            }
            self.given = 0;
            self.read_block(word)?;
            if !self.content.is_empty() {
                return Ok(true);
            }
        }
    }

    fn read_block(&mut self, word: u32) -> Result<(), ForeignError> {
        let frame = self.frame.as_mut().expect("called within a frame");
        let len = usize::try_from(word & !STORED).map_err(|_| damaged("a block is too large"))?;
        if len > frame.max_block {
            return Err(damaged("a block is larger than the frame allows"));
        }
        self.packed.resize(len, 0);
        fill(&mut self.input, &mut self.packed, WITHIN)?;
        if frame.block_sums && number(&mut self.input)? != xxh32(&self.packed) {
            return Err(damaged("the checksum of a block is wrong"));
        }
        if word & STORED != 0 {
            std::mem::swap(&mut self.packed, &mut self.content);
        } else {
            self.content.resize(frame.max_block, 0);
            let window = if frame.independent {
                &[]
            } else {
                &self.window[..]
            };
            let written = block::decompress_into_with_dict(&self.packed, &mut self.content, window)
                .map_err(|error| damaged(&error.to_string()))?;
            self.content.truncate(written);
        }
        if let Some(sum) = &mut frame.content_sum {
            sum.write(&self.content);
        } else if !frame.block_sums {
            self.bare.set();
        }
        if let Some(left) = &mut frame.content_left {
            *left = left
                .checked_sub(self.content.len() as u64)
                .ok_or_else(|| damaged("a frame is longer than its header says"))?;
        }
        if !frame.independent {
            slide(&mut self.window, &self.content);
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.given == self.content.len() && !self.advance()? {
            return Ok(0);
        }
        let len = buf.len().min(self.content.len() - self.given);
        buf[..len].copy_from_slice(&self.content[self.given..self.given + len]);
        self.given += len;
        Ok(len)
    }
}

/// Keeps the last [`WINDOW`] bytes of what was decoded.
fn slide(window: &mut Vec<u8>, content: &[u8]) {
    let keep = WINDOW.saturating_sub(content.len()).min(window.len());
    window.drain(..window.len() - keep);
    window.extend_from_slice(&content[content.len().saturating_sub(WINDOW)..]);
}

/// Reads the next frame's header; `None` after a skippable one.
fn next_frame(input: &mut impl Read) -> Result<Option<Frame>, ForeignError> {
    let mut magic = [0; 4];
    fill(input, &mut magic, WITHIN)?;
    if magic == MAGIC {
        return read_header(input).map(Some);
    }
    if !is_skippable(&magic) {
        return Err(ForeignError::Trailing { after: WITHIN });
    }
    let len = u64::from(number(input)?);
    let skipped = io::copy(&mut input.take(len), &mut io::sink()).map_err(ForeignError::from_io)?;
    if skipped < len {
        return Err(ForeignError::Truncated { within: WITHIN });
    }
    Ok(None)
}

fn read_header(input: &mut impl Read) -> Result<Frame, ForeignError> {
    let mut head = [0; 2];
    fill(input, &mut head, WITHIN)?;
    let [flags, sizes] = head;
    let has = |bit: u8| flags >> bit & 1 == 1;
    let mut sum = XxHash32::with_seed(0);
    sum.write(&head);
    let content_left = if has(3) {
        let mut size = [0; 8];
        fill(input, &mut size, WITHIN)?;
        sum.write(&size);
        Some(u64::from_le_bytes(size))
    } else {
        None
    };
    if flags >> 6 != 1 || has(1) || has(0) || sizes & 0x8F != 0 {
        return Err(ForeignError::Unsupported {
            what: format!("an lz4 frame with the flags {flags:#04x} {sizes:#04x}"),
        });
    }
    let max_block = match sizes >> 4 {
        size @ 4..=7 => 1 << (8 + 2 * u32::from(size)),
        _ => return Err(damaged("the frame's block size cannot be")),
    };
    let mut stored = [0; 1];
    fill(input, &mut stored, WITHIN)?;
    if stored[0] != (sum.finish_32() >> 8).to_le_bytes()[0] {
        return Err(damaged("the checksum of the frame's header is wrong"));
    }
    Ok(Frame {
        max_block,
        independent: has(5),
        block_sums: has(4),
        content_sum: has(2).then(|| XxHash32::with_seed(0)),
        content_left,
    })
}

fn end_frame(input: &mut impl Read, frame: &Frame) -> Result<(), ForeignError> {
    if frame.content_left.is_some_and(|left| left > 0) {
        return Err(damaged("a frame is shorter than its header says"));
    }
    if let Some(sum) = &frame.content_sum
        && number(input)? != sum.finish_32()
    {
        return Err(damaged("the checksum of a frame is wrong"));
    }
    Ok(())
}

fn xxh32(bytes: &[u8]) -> u32 {
    XxHash32::oneshot(0, bytes)
}

fn number(input: &mut impl Read) -> Result<u32, ForeignError> {
    let mut bytes = [0; 4];
    fill(input, &mut bytes, WITHIN)?;
    Ok(u32::from_le_bytes(bytes))
}

fn damaged(why: &str) -> ForeignError {
    ForeignError::Compressed {
        compressor: Compressor::Lz4,
        why: why.to_owned(),
    }
}
