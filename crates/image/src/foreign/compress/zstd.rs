//! Zstandard: any number of frames, skippable ones anywhere.

use std::io::{self, BufRead, Read};

use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::{Compressor, window_too_large};
use crate::foreign::ForeignError;

pub(super) const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// As `zstd -d` without `--long` has it.
const WINDOW_LOG: u32 = 27;

/// A streaming decoder; the end of the input is accepted only between frames.
pub(super) struct Decoder<R> {
    input: R,
    context: DCtx<'static>,
    within_frame: bool,
}

impl<R: BufRead> Decoder<R> {
    pub(super) fn new(input: R) -> Result<Self, ForeignError> {
        let mut context = DCtx::create();
        context
            .set_parameter(DParameter::WindowLogMax(WINDOW_LOG))
            .map_err(error)?;
        Ok(Self {
            input,
            context,
            within_frame: false,
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
            self.input.consume(consumed);
            // The hint is 0 exactly when a frame is complete and all of it was given out.
            self.within_frame = hint.map_err(error)? != 0;
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
