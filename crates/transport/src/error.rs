//! Why another computer does not give what it was asked for.

use std::io;
use std::time::Duration;

use azud_core::assembly::SourceError;
use azud_core::code::Code;
use azud_core::progress::Interrupted;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, NetError>;

/// A failure on the way to another computer, or its refusal.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// It does not answer, or the connection broke.
    #[error("{host} does not answer")]
    Unreachable {
        /// Which.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// No address is known for its name.
    #[error("{name} cannot be resolved: nobody says which address it has")]
    Nameless {
        /// Who was to be asked.
        host: String,
        /// The name: the same, or that of a proxy.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// Its certificate is not of the authority that was pinned.
    #[error("{host} is not who it was")]
    Untrusted {
        /// Which.
        host: String,
    },
    /// The authority that it shows is not the one that was named.
    #[error("{host} has the authority {found}, not {wanted}")]
    WrongPin {
        /// Which.
        host: String,
        /// The fingerprint of its authority.
        found: String,
        /// The one that was named.
        wanted: String,
    },
    /// The token is not accepted.
    #[error("{host} does not accept the token")]
    Unauthorised {
        /// Which.
        host: String,
    },
    /// The token has ended.
    #[error("the token for {host} has ended")]
    TokenExpired {
        /// Which.
        host: String,
    },
    /// The token is not good where this computer is.
    #[error("{host} does not accept the token from this address")]
    TokenElsewhere {
        /// Which.
        host: String,
    },
    /// The token is good, for less than was asked for.
    #[error("the token for {host} may only read")]
    MayOnlyRead {
        /// Which.
        host: String,
    },
    /// The token is good, for other images.
    #[error("the token for {host} is not for {name}")]
    NotItsImage {
        /// Which.
        host: String,
        /// What was asked for.
        name: String,
    },
    /// It takes nothing from anybody.
    #[error("{host} only reads out what it has")]
    OnlyReadOut {
        /// Which.
        host: String,
    },
    /// The code for a login is not good.
    #[error("{host} does not accept the code")]
    BadLogin {
        /// Which.
        host: String,
    },
    /// It has no such image.
    #[error("{name} is not there")]
    NotFound {
        /// What was asked for.
        name: String,
    },
    /// It is another image by now.
    #[error("{name} is another image by now")]
    Changed {
        /// What was asked for.
        name: String,
    },
    /// It has to prepare first, or has too much to do.
    #[error("{host} asks to try again later{}", tail(.detail))]
    Later {
        /// Which.
        host: String,
        /// In its words.
        detail: String,
        /// When it may be asked again.
        after: Duration,
        /// The code that it says, if it says one that is known.
        code: Option<Code>,
    },
    /// It refuses for a reason of its own.
    #[error("{host} answers {status}{}", tail(.detail))]
    Refused {
        /// Which.
        host: String,
        /// HTTP's number.
        status: u16,
        /// In its words.
        detail: String,
    },
    /// It refuses, and says why in a code.
    #[error("{host}: {detail}")]
    Said {
        /// Which.
        host: String,
        /// The code.
        code: Code,
        /// In its words.
        detail: String,
        /// Who sends the image already, if that is why.
        sender: Option<String>,
    },
    /// It does not have frames that it had, and nobody here can give them again.
    #[error("{host} lost {bytes} bytes of what it had been sent")]
    Lost {
        /// Which.
        host: String,
        /// How many.
        bytes: u64,
    },
    /// Somebody asked for the end of the work.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// What is to be sent cannot be read.
    #[error("{name} cannot be read")]
    Source {
        /// What.
        name: String,
        /// Why.
        source: SourceError,
    },
    /// What is to be sent is not what its description says.
    #[error("{name} is damaged at {offset}")]
    Damaged {
        /// What.
        name: String,
        /// Where the piece begins.
        offset: u64,
    },
    /// What it sends is not what was asked for.
    #[error("{host} sends {what}")]
    Protocol {
        /// Which.
        host: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A certificate that is none.
    #[error("no certificate")]
    BadCertificate,
}

/// What is added in the other side's words, if it says any.
fn tail(detail: &str) -> String {
    match detail {
        "" => String::new(),
        detail => format!(": {detail}"),
    }
}

impl NetError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Unreachable { .. } | Self::Nameless { .. } => Code::Unreachable,
            // An older manager calls itself unreachable then.
            Self::Later { code, .. } => code
                .filter(|code| *code != Code::Unreachable)
                .unwrap_or(Code::TooBusy),
            Self::Untrusted { .. } | Self::WrongPin { .. } => Code::Untrusted,
            Self::Unauthorised { .. } => Code::Unauthorised,
            Self::BadLogin { .. } => Code::BadLogin,
            Self::TokenExpired { .. } => Code::TokenExpired,
            Self::TokenElsewhere { .. } => Code::TokenElsewhere,
            Self::MayOnlyRead { .. } | Self::NotItsImage { .. } => Code::NotAllowed,
            Self::OnlyReadOut { .. } => Code::OnlyReadOut,
            Self::NotFound { .. } => Code::NotFound,
            Self::Changed { .. } => Code::SourceChanged,
            Self::Refused { .. } | Self::Protocol { .. } => Code::BadAnswer,
            Self::Said { code, .. } => *code,
            Self::Lost { .. } => Code::NoUpload,
            Self::Interrupted(_) => Code::Interrupted,
            Self::Source { source, .. } => source.code(),
            Self::Damaged { .. } => Code::Corrupt,
            Self::BadCertificate => Code::BadCertificate,
        }
    }

    /// How long to wait before the same request, as the other side asks for.
    pub fn pause(&self) -> Duration {
        match self {
            Self::Later { after, .. } => *after,
            _ => Duration::from_secs(1),
        }
    }

    /// Whether it is that nothing came in time, and nobody said no.
    pub fn is_silence(&self) -> bool {
        let Self::Unreachable { source, .. } = self else {
            return false;
        };
        let inner = source.get_ref().and_then(|inner| inner.downcast_ref());
        source.kind() == io::ErrorKind::TimedOut || matches!(inner, Some(ureq::Error::Timeout(_)))
    }

    /// Whether somebody is there and broke the connection off.
    pub(crate) fn is_broken_off(&self) -> bool {
        use io::ErrorKind as Kind;
        matches!(self, Self::Unreachable { source, .. } if matches!(
            source.kind(),
            Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::UnexpectedEof
        ))
    }

    /// Whether it is an answer that is wrong, and not that there is none.
    pub(crate) fn is_fault(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Protocol { .. })
    }

    /// Whether the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Refused { status, .. } => *status >= 500,
            // A flaw of one answer need not be met again.
            Self::Unreachable { .. }
            | Self::Nameless { .. }
            | Self::Later { .. }
            | Self::Protocol { .. } => true,
            _ => false,
        }
    }
}

impl From<NetError> for SourceError {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Changed { .. } => Self::Changed,
            error if error.is_temporary() => Self::Temporary(io::Error::other(error)),
            error => Self::Permanent(io::Error::other(error)),
        }
    }
}

impl From<NetError> for io::Error {
    fn from(error: NetError) -> Self {
        Self::other(error)
    }
}
