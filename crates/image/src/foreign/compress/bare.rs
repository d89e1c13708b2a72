//! Whether a compressor's own checksums cover what it holds: most formats leave them to whoever writes the file.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use liblzma::bufread::XzDecoder;
use liblzma::stream::Error;

/// A mark that the decoder sets as soon as content passes that no checksum of the compressor covers.
#[derive(Debug, Clone, Default)]
pub struct Bare(Arc<AtomicBool>);

impl Bare {
    /// Whether such content passed so far.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// xz, whose library tells of a stream without a check and goes on when it is called again.
pub(super) struct Xz<R> {
    pub(super) decoder: XzDecoder<R>,
    pub(super) bare: Bare,
}

impl<R: BufRead> Read for Xz<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let before = self.decoder.total_out();
            let error = match self.decoder.read(buf) {
                Err(error) if is_no_check(&error) => error,
                other => return other,
            };
            self.bare.set();
            // The end of the stream before may have come out in the same call.
            let given = self.decoder.total_out() - before;
            if given > 0 {
                return usize::try_from(given).map_err(|_| error);
            }
        }
    }
}

fn is_no_check(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(Error::NoCheck))
}
