//! Compressing what others are to read: pieces that together are one file to gzip, lzop and zstd.

mod lzop;

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

/// How a stream for other programs is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    None,
    /// gzip, as many members one after another.
    Gzip,
    /// lzop.
    Lzop,
    /// zstd, as many frames one after another.
    Zstd,
}

impl Packing {
    /// What stands before the pieces.
    pub(crate) fn head(self) -> Vec<u8> {
        match self {
            Self::Lzop => lzop::head(),
            Self::None | Self::Gzip | Self::Zstd => Vec::new(),
        }
    }

    /// A piece of the stream; zstd's pieces are the image's own frames.
    pub(crate) fn pack(self, content: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::None | Self::Zstd => Ok(content),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(&content)?;
                encoder.finish()
            }
            Self::Lzop => lzop::blocks(&content),
        }
    }

    /// What stands behind the pieces.
    pub(crate) const fn tail(self) -> &'static [u8] {
        match self {
            Self::Lzop => &lzop::END,
            Self::None | Self::Gzip | Self::Zstd => &[],
        }
    }
}
