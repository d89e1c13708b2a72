//! What can go wrong with an image, split by what one can do about it.

use std::io;

use azud_core::code::{self, Code};
use azud_core::format::FormatError;
use azud_core::progress::Interrupted;

use crate::fs::FsError;

/// An error of the engine.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file is not a whole native image.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The source's file system.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A frame is not what the index says.
    #[error("frame {number} is damaged: {what}")]
    Frame {
        /// Number of the frame in the file, from 0.
        number: usize,
        /// What is wrong with it.
        what: String,
    },
    /// Several frames are not what the index says.
    #[error("{} of {total} frames are damaged, the first is frame {}", bad.len(), bad.first().copied().unwrap_or(0))]
    Frames {
        /// Their numbers, ascending.
        bad: Vec<usize>,
        /// Frames in the image.
        total: usize,
    },
    /// The image cannot be read.
    #[error("cannot read the image at offset {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The image cannot be written.
    #[error("cannot write the image")]
    Write {
        /// What the system said.
        source: io::Error,
    },
    /// The source device failed or changed.
    #[error("cannot read the source at offset {offset}")]
    Source {
        /// Where.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The target device failed.
    #[error("cannot {op} the target at offset {offset}")]
    Target {
        /// `read`, `write`, `flush`, `discard`, `zero`.
        op: &'static str,
        /// Where.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The target is too small.
    #[error("the target has {has} bytes, the image needs {needs} bytes")]
    TooSmall {
        /// Bytes of the target.
        has: u64,
        /// Bytes needed.
        needs: u64,
    },
    /// The target's sectors are larger than those the file system depends on.
    #[error("the target has sectors of {has} bytes, the image {needs}")]
    SectorSize {
        /// Bytes of the target's sectors.
        has: u32,
        /// Bytes of the image's.
        needs: u32,
    },
    /// What was written is not what is read.
    #[error("reading back, frame {number} differs from what was written")]
    ReadBack {
        /// Number of the frame.
        number: usize,
    },
    /// More content than the format carries.
    #[error("{0}")]
    Limit(String),
    /// Somebody asked for the end of the work.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl ImageError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Format(error) => error.code(),
            Self::Fs(error) => error.code(),
            Self::Frame { .. } | Self::Frames { .. } => Code::Corrupt,
            Self::Read { source, .. } => match source.kind() {
                io::ErrorKind::UnexpectedEof => Code::Truncated,
                _ => code::of_io(source),
            },
            Self::Source { source, .. } => match source.kind() {
                io::ErrorKind::UnexpectedEof => Code::Changed,
                _ => code::of_io(source),
            },
            Self::Write { source } | Self::Target { source, .. } => code::of_io(source),
            Self::TooSmall { .. } => Code::TooSmall,
            Self::SectorSize { .. } => Code::SectorSize,
            Self::ReadBack { .. } => Code::ReadBack,
            Self::Limit(_) => Code::TooLarge,
            Self::Interrupted(_) => Code::Interrupted,
        }
    }

    pub(crate) fn target(op: &'static str, offset: u64) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Target { op, offset, source }
    }
}
