//! Peels the one compressor around an image, recognised by its first bytes.
//!
//! Invariants: `Ok(0)` means that the compressed file ended where its format ends, with every
//! checksum it has verified; after an error no more data is given; memory stays below
//! [`MEMORY_LIMIT`] and a few buffers.

use std::io::{self, BufRead, BufReader, Read};

use super::ForeignError;

mod bare;
mod lz4;
pub(crate) mod lzop;
mod zstd;

pub use bare::Bare;
pub(crate) use lzop::peek as peek_lzop;

/// What a decoder may use for its window or dictionary, in bytes. Every preset of `xz` and `zstd`
/// (`--long` included) stays below.
pub const MEMORY_LIMIT: u64 = 160 << 20;

const BUFFER: usize = 256 * 1024;
const LONGEST_MAGIC: usize = 9;

/// A compressor that an image can be wrapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compressor {
    /// Not compressed.
    None,
    /// gzip, also as `pigz` writes it.
    Gzip,
    /// Zstandard.
    Zstd,
    /// xz.
    Xz,
    /// bzip2.
    Bzip2,
    /// LZ4 frames.
    Lz4,
    /// lzop.
    Lzop,
}

impl Compressor {
    /// The name of the usual program, lower case; `none` without one.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Lz4 => "lz4",
            Self::Lzop => "lzop",
        }
    }

    /// By the first bytes of a file. Skippable frames may begin `zstd` and `lz4` files alike; such
    /// a file counts as `zstd`, whose tools write them.
    pub fn detect(head: &[u8]) -> Self {
        const MAGICS: [(&[u8], Compressor); 6] = [
            (&[0x1F, 0x8B], Compressor::Gzip),
            (&zstd::MAGIC, Compressor::Zstd),
            (&[0xFD, b'7', b'z', b'X', b'Z', 0], Compressor::Xz),
            (b"BZh", Compressor::Bzip2),
            (&lz4::MAGIC, Compressor::Lz4),
            (&lzop::MAGIC, Compressor::Lzop),
        ];
        if is_skippable(head) {
            return Self::Zstd;
        }
        MAGICS
            .iter()
            .find(|(magic, _)| head.starts_with(magic))
            .map_or(Self::None, |(_, compressor)| *compressor)
    }
}

impl std::fmt::Display for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a skippable frame begins here: `5? 2A 4D 18`.
fn is_skippable(head: &[u8]) -> bool {
    matches!(head, [first, 0x2A, 0x4D, 0x18, ..] if first >> 4 == 5)
}

/// What [`open`] found.
pub struct Opened {
    /// The compressor that was peeled.
    pub compressor: Compressor,
    /// The content.
    pub reader: Box<dyn Read + Send>,
    /// Set once content passed that no checksum of the compressor covers; at once where there is none.
    pub bare: Bare,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened")
            .field("compressor", &self.compressor)
            .finish_non_exhaustive()
    }
}

/// Peels the outer compressor, if there is one. A file of an unknown kind comes back as it is.
///
/// # Errors
/// [`ForeignError::Read`] when the beginning cannot be read. Errors of the reader itself are
/// [`io::Error`]s for [`ForeignError::from_io`]: `Truncated`, `Trailing`, `Compressed`, `TooLarge`,
/// `Unsupported`, `Newer`, `Read`.
pub fn open(reader: Box<dyn Read + Send>) -> Result<Opened, ForeignError> {
    let mut source = Source { reader };
    let mut head = Vec::new();
    (&mut source)
        .take(LONGEST_MAGIC as u64)
        .read_to_end(&mut head)
        .map_err(ForeignError::from_io)?;
    let compressor = Compressor::detect(&head);
    let whole = io::Cursor::new(head).chain(source);
    let input = BufReader::with_capacity(BUFFER, whole);
    let bare = Bare::default();
    let decoder: Box<dyn Read + Send> = match compressor {
        Compressor::None => {
            bare.set();
            Box::new(input)
        }
        Compressor::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        Compressor::Zstd => Box::new(zstd::Decoder::new(input, bare.clone())?),
        Compressor::Xz => Box::new(xz(input, bare.clone())?),
        Compressor::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
        Compressor::Lz4 => Box::new(lz4::Decoder::new(input, bare.clone())),
        Compressor::Lzop => Box::new(lzop::Decoder::new(input, bare.clone())),
    };
    let reader = Box::new(Checked {
        decoder,
        compressor,
        failed: false,
    });
    Ok(Opened {
        compressor,
        reader,
        bare,
    })
}

fn xz<R: BufRead>(input: R, bare: Bare) -> Result<bare::Xz<R>, ForeignError> {
    use liblzma::stream::{CONCATENATED, Stream, TELL_NO_CHECK, TELL_UNSUPPORTED_CHECK};
    // A check that the library does not know would otherwise pass unverified.
    let flags = CONCATENATED | TELL_UNSUPPORTED_CHECK | TELL_NO_CHECK;
    let stream = Stream::new_stream_decoder(MEMORY_LIMIT, flags)
        .map_err(|error| as_foreign(Compressor::Xz, error.into()))?;
    let decoder = liblzma::bufread::XzDecoder::new_stream(input, stream);
    Ok(bare::Xz { decoder, bare })
}

/// Marks errors of the medium, so that they are told from those of a decoder.
struct Source {
    reader: Box<dyn Read + Send>,
}

impl Read for Source {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.reader.read(buf) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ForeignError::from_io(error).into()),
                Ok(len) => return Ok(len),
            }
        }
    }
}

/// Gives every decoder the same manners: typed errors, and silence after the first.
struct Checked {
    decoder: Box<dyn Read + Send>,
    compressor: Compressor,
    failed: bool,
}

impl Read for Checked {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(ForeignError::corrupt("reading went on after an error").into());
        }
        if buf.is_empty() {
            return Ok(0);
        }
        self.decoder.read(buf).map_err(|error| {
            self.failed = true;
            as_foreign(self.compressor, error).into()
        })
    }
}

fn as_foreign(compressor: Compressor, error: io::Error) -> ForeignError {
    let is_memory = |inner: &(dyn std::error::Error + Send + Sync + 'static)| {
        matches!(
            inner.downcast_ref(),
            Some(liblzma::stream::Error::MemLimit | liblzma::stream::Error::Mem)
        )
    };
    match error.downcast::<ForeignError>() {
        Ok(typed) => typed,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => ForeignError::Truncated {
            within: "compressed data",
        },
        Err(error) if error.get_ref().is_some_and(is_memory) => window_too_large(),
        Err(error) => ForeignError::Compressed {
            compressor,
            why: error.to_string(),
        },
    }
}

fn window_too_large() -> ForeignError {
    ForeignError::TooLarge {
        what: "the compressor's window",
        limit: MEMORY_LIMIT,
    }
}
