//! Where the bytes of an image come from, as the assembly sees it.

use std::io;

use crate::assembly::Layout;
use crate::code::{self, Code};
use crate::format::Hash;

/// An image that can be read from somewhere: a file, a server, a neighbour.
///
/// Nothing that it says is believed: each piece is held against its hash.
pub trait Source: Sync {
    /// What the image consists of.
    ///
    /// # Errors
    /// As [`Source::read`].
    fn layout(&self) -> Result<Layout, SourceError>;

    /// How many bytes it has, where that is known without reading it: what can be nowhere is then refused at once.
    fn size(&self) -> Option<u64> {
        None
    }

    /// Whether requests wait for a network: more of them are worth having under way than there are processors.
    fn is_far(&self) -> bool {
        false
    }

    /// A number that grows with whatever comes, also before a read is done: who is slow is not taken for silent. One that
    /// does not know stays at one number, and is heard of when a read is done.
    fn heard(&self) -> u64 {
        0
    }

    /// Fills `buf` with the bytes at `offset`; called from several threads.
    ///
    /// # Errors
    /// `Temporary` when trying again may help, `Permanent` when it will not, `Changed`.
    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError>;

    /// Who the image is now: asked again when bytes do not match, and at the end.
    ///
    /// # Errors
    /// As [`Source::read`].
    fn identity(&self) -> Result<Hash, SourceError>;

    /// A name for messages.
    fn name(&self) -> String;
}

/// Why a source does not give what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Another try may succeed.
    #[error("the source does not answer")]
    Temporary(#[source] io::Error),
    /// Another try will not help.
    #[error("the source cannot be read")]
    Permanent(#[source] io::Error),
    /// It is another image by now.
    #[error("the source changed during the work")]
    Changed,
}

impl SourceError {
    /// Sorts an error of the system.
    pub fn of_io(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::Interrupted
            | Kind::TimedOut
            | Kind::WouldBlock
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::BrokenPipe
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::HostUnreachable => Self::Temporary(error),
            // It became shorter.
            Kind::UnexpectedEof | Kind::StaleNetworkFileHandle => Self::Changed,
            _ => Self::Permanent(error),
        }
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Temporary(error) | Self::Permanent(error) => code::of_io(error),
            Self::Changed => Code::SourceChanged,
        }
    }
}

/// For whoever reads a source as a file.
impl From<SourceError> for io::Error {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Temporary(error) | SourceError::Permanent(error) => error,
            SourceError::Changed => Self::other(error),
        }
    }
}
