//! Zstandard: any number of frames, skippable ones anywhere.

use std::io::{self, BufRead, Read};

use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::{Bare, Compressor, window_too_large};
use crate::foreign::ForeignError;

pub(super) const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// As `zstd -d` without `--long` has it.
const WINDOW_LOG: u32 = 27;

/// The byte after a frame's magic number describes the frame; this bit says that a checksum ends it.
const CHECKSUM: u8 = 4;

/// The first bytes of the frame that is being read.
#[derive(Default)]
struct Start {
    bytes: [u8; MAGIC.len() + 1],
    len: usize,
}

impl Start {
    /// Takes over what is missing from what was consumed; true as soon as this is a frame without a checksum.
    fn is_bare(&mut self, consumed: &[u8]) -> bool {
        if self.len == self.bytes.len() {
            return false;
        }
        let len = consumed.len().min(self.bytes.len() - self.len);
        self.bytes[self.len..self.len + len].copy_from_slice(&consumed[..len]);
        self.len += len;
        let [magic @ .., description] = self.bytes;
        self.len == self.bytes.len() && magic == MAGIC && description & CHECKSUM == 0
    }
}

/// A streaming decoder; the end of the input is accepted only between frames.
pub(super) struct Decoder<R> {
    input: R,
    context: DCtx<'static>,
    within_frame: bool,
    start: Start,
    bare: Bare,
}

impl<R: BufRead> Decoder<R> {
    pub(super) fn new(input: R, bare: Bare) -> Result<Self, ForeignError> {
        let mut context = DCtx::create();
        context
            .set_parameter(DParameter::WindowLogMax(WINDOW_LOG))
            .map_err(error)?;
        Ok(Self {
            input,
            context,
            within_frame: false,
            start: Start::default(),
            bare,
        })
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let input = self.input.fill_buf()?;
            let at_end = input.is_empty();
            if at_end && !self.within_frame {
                return Ok(0);
            }
            let mut from = InBuffer::around(input);
            let mut to = OutBuffer::around(&mut *buf);
            let hint = self.context.decompress_stream(&mut to, &mut from);
            let (consumed, produced) = (from.pos(), to.pos());
            if self.start.is_bare(&input[..consumed]) {
                self.bare.set();
            }
            self.input.consume(consumed);
            // The hint is 0 exactly when a frame is complete and all of it was given out.
            self.within_frame = hint.map_err(error)? != 0;
            if !self.within_frame {
                self.start = Start::default();
            }
            if produced > 0 {
                return Ok(produced);
            }
            if at_end && self.within_frame {
                return Err(ForeignError::Truncated {
                    within: "zstd frame",
                }
                .into());
            }
        }
    }
}

fn error(code: zstd_safe::ErrorCode) -> ForeignError {
    match zstd_safe::get_error_name(code) {
        // The library is pinned, and a test holds this text.
        "Frame requires too much memory for decoding" => window_too_large(),
        name => ForeignError::Compressed {
            compressor: Compressor::Zstd,
            why: name.to_owned(),
        },
    }
}
