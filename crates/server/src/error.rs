//! Why a manager cannot start or go on.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use azud_core::code::{self, Code};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, ServerError>;

/// A failure of the manager itself; what it answers to clients is `problem`.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A file or directory of the state.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody can listen there.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A certificate of the state is none.
    #[error("{} is no certificate", .0.display())]
    BadCertificate(PathBuf),
    /// The key of the certificate beside it is not there, or is another's.
    #[error("{} is not there, or is not the key of the certificate beside it", .0.display())]
    OtherKey(PathBuf),
    /// No manager has its state there.
    #[error("{} is not the state of a manager", .0.display())]
    NoState(PathBuf),
    /// Others can read or replace what is secret in the state.
    #[error("{}: others may read or replace it", .0.display())]
    Open(PathBuf),
    /// A certificate cannot be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// The runtime cannot be started.
    #[error("cannot start")]
    Start(#[source] io::Error),
    /// The images cannot be reached.
    #[error(transparent)]
    Store(#[from] azud_store::StoreError),
}

impl ServerError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self::Io {
            action,
            path,
            source,
        }
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            // What is not there is no image.
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Code::NoState,
            Self::Io { source, .. } | Self::Start(source) => code::of_io(source),
            Self::Listen { .. } => Code::CannotListen,
            Self::BadCertificate(_) | Self::OtherKey(_) | Self::Certificate(_) | Self::Tls(_) => {
                Code::BadCertificate
            }
            Self::NoState(_) => Code::NoState,
            Self::Open(_) => Code::OpenSecret,
            Self::Store(error) => error.code(),
        }
    }
}

/// Says what was tried with a file.
pub(crate) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|error| ServerError::io(action, path, error))
    }
}
