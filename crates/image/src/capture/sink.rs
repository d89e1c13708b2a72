//! Where the frames of a capture go.

use std::io::{self, Write};

use azud_core::format::index::Frame;

/// Takes an image frame by frame, in the order of the file.
pub trait Sink {
    /// The next frame. `bytes` is empty when it is one of a base that the taker has ([`super::Base::held`]).
    ///
    /// # Errors
    /// What keeps it from being taken; the capture ends then.
    fn frame(&mut self, frame: &Frame, bytes: &[u8]) -> io::Result<()>;

    /// Everything that follows the frames.
    ///
    /// # Errors
    /// As [`Sink::frame`].
    fn ending(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// A file, which has nothing yet.
pub(super) struct File<'a>(pub(super) &'a mut dyn Write);

impl Sink for File<'_> {
    fn frame(&mut self, frame: &Frame, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() != frame.compressed_len as usize {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.0.write_all(bytes)
    }

    fn ending(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }
}
