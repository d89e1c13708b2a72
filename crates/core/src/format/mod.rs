//! The native image format, `docs/formats/image.md`: pure functions between bytes and structures.
//!
//! Invariant: parsing allocates no more than the bytes it was given warrant and never panics.

pub mod container;
pub mod frame;
pub mod index;
pub mod partclone;
pub mod ranges;

/// A BLAKE3 hash.
pub type Hash = [u8; 32];

/// The largest content of one frame in bytes; readers refuse more.
pub const MAX_FRAME_CONTENT: u32 = 16 << 20;

/// The largest number of frames; readers refuse more.
pub const MAX_FRAMES: usize = 1 << 22;

/// The largest piece of bitmap in one frame, in bytes.
pub const MAX_BITMAP_PIECE: usize = 1 << 20;

/// The largest bitmap, in bytes: 16 TiB of 4 KiB blocks.
pub const MAX_BITMAP: u64 = 512 << 20;

/// The largest block a native image may have, in bytes.
pub const MAX_BLOCK: u32 = 2 << 20;

/// Why bytes are not a native image, or not a whole one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Not the format at all.
    #[error("{0} is missing: not a native image")]
    NotNative(&'static str),
    /// Ends too early.
    #[error("the image ends within {0}")]
    Truncated(&'static str),
    /// Goes on after its end.
    #[error("the file has {extra} bytes after the image's end")]
    Trailing {
        /// How many.
        extra: u64,
        /// Where the image ends.
        end: u64,
    },
    /// Contradicts itself.
    #[error("the image is damaged: {0}")]
    Corrupt(String),
    /// From the future.
    #[error("the image has format version {found}, this program reads up to {known}")]
    Newer {
        /// Version of the image.
        found: u16,
        /// Newest version known here.
        known: u16,
    },
    /// Beyond a limit of the format.
    #[error("{what} of {size} exceeds the format's limit of {limit}")]
    TooLarge {
        /// Which size.
        what: &'static str,
        /// Found.
        size: u64,
        /// Allowed.
        limit: u64,
    },
    /// The partclone header.
    #[error(transparent)]
    Header(#[from] partclone::HeaderError),
}

impl FormatError {
    /// The stable code.
    pub fn code(&self) -> crate::code::Code {
        use crate::code::Code;
        match self {
            Self::NotNative(_) | Self::Header(partclone::HeaderError::Magic) => Code::NotNative,
            Self::Truncated(_) => Code::Truncated,
            Self::Newer { .. } => Code::Newer,
            Self::TooLarge { .. } => Code::TooLarge,
            Self::Header(partclone::HeaderError::ForeignEndian) => Code::ForeignEndian,
            Self::Trailing { .. } | Self::Corrupt(_) | Self::Header(_) => Code::Corrupt,
        }
    }
}

/// A cursor that hands out integers and never runs over the end.
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], FormatError> {
        let (head, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(FormatError::Truncated(self.what))?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        Ok(self.bytes(N)?.try_into().expect("N bytes were taken"))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, FormatError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FormatError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, FormatError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }
}
