//! Readers of images that other programs made, for `import` and `restore`.
//!
//! [`compress::open`] peels the outer compressor, [`partclone::PartcloneReader`] and
//! [`ntfsclone::NtfscloneReader`] read what is inside; [`Foreign`] finds out which. Everything streams: memory is bounded by the used-block map and by what the compressor
//! needs, whatever a file claims. What a file says about itself is checked, and a file that ends
//! early, goes on too long or contradicts a checksum is an error: no end of data is ever reported
//! that was not proven to be the end.
//!
//! Readers report through [`io::Error`]; [`ForeignError::from_io`] finds the typed error in it.

use std::io::{self, Read};

use azud_core::code::{self, Code};

mod any;
pub mod compress;
pub mod ntfsclone;
pub mod partclone;

pub use any::{Again, Foreign};
pub use compress::Compressor;

/// Why a foreign image cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// The file or device that holds the image failed.
    #[error("cannot read the image")]
    Read {
        /// What the system said.
        source: io::Error,
    },
    /// The image ends within something.
    #[error("the image ends within its {within}")]
    Truncated {
        /// Where the data stops.
        within: &'static str,
    },
    /// A disk ends before its own partition table says that it does.
    #[error("the disk in it ends at {has} bytes, its partition table reaches to {needs} bytes")]
    CutShort {
        /// Bytes that there are.
        has: u64,
        /// Bytes that the table speaks of.
        needs: u64,
    },
    /// Bytes follow where the image must end.
    #[error("something follows the end of the {after}")]
    Trailing {
        /// What had ended.
        after: &'static str,
    },
    /// A compressor's own check failed.
    #[error("the {compressor} data is damaged: {why}")]
    Compressed {
        /// The compressor.
        compressor: Compressor,
        /// What its decoder found.
        why: String,
    },
    /// The image contradicts itself.
    #[error("the image is damaged: {what}")]
    Corrupt {
        /// What contradicts what.
        what: String,
    },
    /// The checksum of a group of blocks is wrong.
    #[error(
        "the image is damaged: checksum {strip} is wrong (of {blocks} blocks from used block {first})"
    )]
    Checksum {
        /// Which checksum, counted from 0.
        strip: u64,
        /// The first block under it, counting used blocks from 0.
        first: u64,
        /// How many blocks are under it.
        blocks: u64,
    },
    /// It was read before, and had other bytes.
    #[error("it is not any more what it was a moment ago")]
    Changed,
    /// Nothing at all.
    #[error("there is nothing in it")]
    Empty,
    /// None of the formats known here.
    #[error("this is no image that can be read here")]
    UnknownFormat,
    /// A known format with something that is not read here.
    #[error("{what} is not supported")]
    Unsupported {
        /// The feature.
        what: String,
    },
    /// A later format version.
    #[error("version {version} of the {format} format is newer than this program")]
    Newer {
        /// The format.
        format: &'static str,
        /// Its version as the file gives it.
        version: String,
    },
    /// Written on a machine of the other byte order.
    #[error("the image was written on a big-endian machine")]
    ForeignEndian,
    /// A size beyond what is accepted.
    #[error("{what} is beyond the limit of {limit} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit in bytes.
        limit: u64,
    },
}

impl ForeignError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Read { source } => code::of_io(source),
            Self::Truncated { .. } | Self::CutShort { .. } => Code::Truncated,
            Self::Trailing { .. }
            | Self::Compressed { .. }
            | Self::Corrupt { .. }
            | Self::Checksum { .. } => Code::Corrupt,
            Self::Changed => Code::SourceChanged,
            Self::Empty | Self::UnknownFormat | Self::Unsupported { .. } => Code::UnknownFormat,
            Self::Newer { .. } => Code::Newer,
            Self::ForeignEndian => Code::ForeignEndian,
            Self::TooLarge { .. } => Code::TooLarge,
        }
    }

    /// The typed error inside an [`io::Error`] that a reader of this module gave; any other error
    /// is one of the medium.
    pub fn from_io(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(typed) => typed,
            Err(source) => Self::Read { source },
        }
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }
}

impl From<ForeignError> for io::Error {
    fn from(error: ForeignError) -> Self {
        let kind = match &error {
            // Always the same kind, since decoders treat some kinds as an ordinary end of data.
            ForeignError::Read { .. } => io::ErrorKind::Other,
            ForeignError::Truncated { .. } | ForeignError::CutShort { .. } => {
                io::ErrorKind::UnexpectedEof
            }
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// Fills `buf`, where an end of data is a truncated image.
fn fill(
    reader: &mut (impl Read + ?Sized),
    buf: &mut [u8],
    within: &'static str,
) -> Result<(), ForeignError> {
    reader
        .read_exact(buf)
        .map_err(|error| match error.downcast::<ForeignError>() {
            Ok(typed) => typed,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                ForeignError::Truncated { within }
            }
            Err(source) => ForeignError::Read { source },
        })
}
