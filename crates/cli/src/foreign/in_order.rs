//! The bytes of a stored file in order, for readers that know nothing of places.

use std::io::{self, Read};
use std::sync::Arc;

use azud_core::io::ReadAt;
use azud_image::foreign::ForeignError;
use azud_store::Stored;

/// A reader of all of it, of both files where it is half moved over.
pub(super) struct InOrder {
    file: Arc<Stored>,
    at: u64,
}

impl InOrder {
    /// From the first byte on.
    pub(super) const fn of(file: Arc<Stored>) -> Self {
        Self { file, at: 0 }
    }
}

impl Read for InOrder {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.file.len() - self.at;
        let len = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        whole(self.file.read_exact_at(&mut buf[..len], self.at))?;
        self.at += len as u64;
        Ok(len)
    }
}

/// What a file does not have any more was changed since it was opened.
pub(super) fn whole(read: io::Result<()>) -> io::Result<()> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(ForeignError::Changed.into())
        }
        read => read,
    }
}
