//! What can go wrong in a repository, split by what the user can do about it.

use std::io;
use std::path::{Path, PathBuf};

use azud_core::assembly::SourceError;
use azud_core::cache::Stays;
use azud_core::code::{self, Code};
use azud_core::name::NameError;
use azud_core::progress::Interrupted;

use crate::cache::NoRoom;
use crate::lease::Holder;

/// `Result` with [`StoreError`].
pub type Result<T> = std::result::Result<T, StoreError>;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The name is not acceptable.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is no such image or directory.
    #[error("there is no {path}", path = .0.display())]
    NotFound(PathBuf),
    /// A link in the repository leads out of it.
    #[error("{path} leads out of its repository", path = .path.display())]
    Outside {
        /// What was asked for.
        path: PathBuf,
    },
    /// The name is there in another case only.
    #[error("there is no {wanted}, but {there:?} is there", wanted = .wanted.display())]
    CaseTwin {
        /// What was asked for.
        wanted: PathBuf,
        /// The name that differs from its last component.
        there: String,
    },
    /// Something of the user's has the name of an alias.
    #[error("{path} is {what}, and an alias belongs there", path = .path.display())]
    AliasTaken {
        /// The place of the alias.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// Something that is not a regular file has the image's name.
    #[error("{path} is {what}{}", of_an_image(.what), path = .path.display())]
    NotAFile {
        /// What was to be replaced or moved.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The medium, or the user's share of it, is full.
    #[error("no space left for {path}", path = .path.display())]
    NoSpace {
        /// What was being written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file system is mounted read-only.
    #[error("{path} lies on a read-only file system", path = .path.display())]
    ReadOnly {
        /// What was being written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else is changing the directory and does not come to an end.
    #[error("somebody else is changing {path}", path = .0.display())]
    Locked(PathBuf),
    /// Somebody is writing the image, or has it locked for another reason.
    #[error("{image} is locked by {by}", image = .image.display())]
    Held {
        /// The image.
        image: PathBuf,
        /// Who, where, since when.
        by: Box<Holder>,
    },
    /// The trash holds no version of the image at all.
    #[error("{} has no former version", .0.display())]
    NoFormerVersion(PathBuf),
    /// The trash holds no version that fits, or several.
    #[error("{image} has no version {which:?} to go back to: {reason}", image = .image.display())]
    NoSuchVersion {
        /// The image.
        image: PathBuf,
        /// What was asked for.
        which: String,
        /// Why nothing fits.
        reason: &'static str,
    },
    /// The image may not leave the cache.
    #[error("{image} stays in the cache: {reason}", image = .image.display(), reason = reason(.why))]
    Stays {
        /// Its path from the root.
        image: PathBuf,
        /// Why.
        why: Stays,
    },
    /// What may leave the cache is not enough.
    #[error("{} bytes more would have to be free, and {}", .0.needed, could(.0.could_free))]
    NoRoom(Box<NoRoom>),
    /// What stands on disk contradicts itself.
    #[error("{path}: {reason}", path = .path.display())]
    Corrupt {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A newer program left this.
    #[error("{path} was written by a newer version", path = .0.display())]
    Newer(PathBuf),
    /// The change is stored and certain, but could not be carried out to its end; the next command
    /// on the directory does so.
    #[error("{image} is stored whole, but could not be put in its place yet", image = .image.display())]
    Pending {
        /// The image.
        image: PathBuf,
        /// What stopped it.
        source: Box<StoreError>,
    },
    /// There is not enough room; nothing was written.
    #[error("{path} needs {needs} bytes of room, there are {has} bytes", path = .path.display())]
    TooLittleRoom {
        /// What was to be written.
        path: PathBuf,
        /// Bytes needed.
        needs: u64,
        /// Bytes there are.
        has: u64,
    },
    /// The file system holds no file of this size; nothing was written.
    #[error("{path} has {size} bytes, the file system holds files of {limit} bytes at most", path = .path.display())]
    FileTooLarge {
        /// What was to be written.
        path: PathBuf,
        /// Its size.
        size: u64,
        /// The largest size.
        limit: u64,
    },
    /// A part of the image has moved over to an update of it that was broken off.
    #[error("a part of {path} lies in an update of it that was broken off", path = .0.display())]
    HalfMoved(PathBuf),
    /// The file of the image has another name (a hard link), under which it would lose what is given up.
    #[error("{path} has a second name (a hard link), which would lose what moves", path = .0.display())]
    SecondName(PathBuf),
    /// The source of an image does not give it.
    #[error("{name} cannot be read")]
    Source {
        /// The source.
        name: String,
        /// Why.
        source: SourceError,
    },
    /// Nothing comes of any source.
    #[error("nothing comes from {0} any more")]
    Silent(String),
    /// The source gives other bytes than its index says.
    #[error("{name} is damaged at offset {offset}")]
    BadPiece {
        /// The source.
        name: String,
        /// Where the damaged piece begins.
        offset: u64,
    },
    /// What is sent for an image cannot be a part of it.
    #[error("{path} cannot be received: {reason}", path = .path.display())]
    BadUpload {
        /// The image.
        path: PathBuf,
        /// What is wrong with what is sent.
        reason: &'static str,
    },
    /// The same piece of an image is just being received.
    #[error("the piece of {path} is coming already", path = .0.display())]
    Coming(PathBuf),
    /// Somebody asked for the end of the work.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The system refused an operation.
    #[error("cannot {op} {path}", path = .path.display())]
    Io {
        /// What was tried.
        op: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The code of an error of ours that a source hands on.
fn inside(source: &SourceError) -> Option<Code> {
    let (SourceError::Temporary(error) | SourceError::Permanent(error)) = source else {
        return None;
    };
    Some(error.get_ref()?.downcast_ref::<StoreError>()?.code())
}

impl StoreError {
    /// Sorts an error of the system by what the user can do about it.
    pub(crate) fn io(op: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match code::of_io(&source) {
            Code::NoSpace => Self::NoSpace { path, source },
            Code::ReadOnly => Self::ReadOnly { path, source },
            _ => Self::Io { op, path, source },
        }
    }

    pub(crate) fn corrupt(path: &Path, reason: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    /// What it is said of, as its message names it: whoever must not tell where things lie replaces that.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::NotFound(path)
            | Self::Locked(path)
            | Self::NoFormerVersion(path)
            | Self::Newer(path)
            | Self::HalfMoved(path)
            | Self::SecondName(path)
            | Self::Coming(path)
            | Self::Outside { path }
            | Self::CaseTwin { wanted: path, .. }
            | Self::AliasTaken { path, .. }
            | Self::NotAFile { path, .. }
            | Self::NoSpace { path, .. }
            | Self::ReadOnly { path, .. }
            | Self::Held { image: path, .. }
            | Self::NoSuchVersion { image: path, .. }
            | Self::Stays { image: path, .. }
            | Self::Corrupt { path, .. }
            | Self::Pending { image: path, .. }
            | Self::TooLittleRoom { path, .. }
            | Self::FileTooLarge { path, .. }
            | Self::BadUpload { path, .. }
            | Self::Io { path, .. } => Some(path),
            Self::Source { name, .. } | Self::BadPiece { name, .. } => Some(Path::new(name)),
            Self::Name(_) | Self::NoRoom(_) | Self::Silent(_) | Self::Interrupted(_) => None,
        }
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Name(error) => error.code(),
            Self::NotFound(_) => Code::NotFound,
            Self::Outside { .. } => Code::Outside,
            Self::CaseTwin { .. } => Code::CaseTwin,
            Self::AliasTaken { .. } => Code::AliasTaken,
            Self::NotAFile { .. } => Code::NotAFile,
            Self::NoSpace { .. } => Code::NoSpace,
            Self::ReadOnly { .. } => Code::ReadOnly,
            Self::Locked(_) | Self::Held { .. } | Self::Coming(_) | Self::SecondName(_) => {
                Code::Locked
            }
            Self::NoFormerVersion(_) | Self::NoSuchVersion { .. } => Code::NoSuchVersion,
            Self::Stays { why, .. } => match why {
                Stays::Pinned => Code::Pinned,
                Stays::InUse => Code::InUse,
                Stays::HalfMoved => Code::HalfMoved,
                Stays::NotPlanned => Code::NoRoom,
                Stays::LastCopy(_) => Code::LastCopy,
            },
            Self::NoRoom(_) => Code::NoRoom,
            Self::Corrupt { .. } | Self::BadPiece { .. } => Code::Corrupt,
            Self::Silent(_) => Code::Unreachable,
            Self::Newer(_) => Code::Newer,
            Self::TooLittleRoom { .. } => Code::TooLittleRoom,
            Self::FileTooLarge { .. } => Code::FileTooLarge,
            Self::HalfMoved(_) => Code::HalfMoved,
            Self::BadUpload { .. } => Code::BadUpload,
            Self::Source { source, .. } => inside(source).unwrap_or_else(|| source.code()),
            Self::Pending { source, .. } => source.code(),
            Self::Interrupted(_) => Code::Interrupted,
            Self::Io { source, .. } => code::of_io(source),
        }
    }
}

/// What follows of a file that is no image's; of one where a directory should be, nothing.
fn of_an_image(what: &str) -> &'static str {
    if is_no_directory(what) {
        ""
    } else {
        ", not the file of an image"
    }
}

/// Whether what is said of a file is that a directory should be there.
pub fn is_no_directory(what: &str) -> bool {
    what.starts_with("not a directory")
}

fn could(bytes: u64) -> String {
    match bytes {
        0 => "nothing can go".to_owned(),
        bytes => format!("{bytes} bytes could be"),
    }
}

fn reason(why: &Stays) -> String {
    match why {
        Stays::Pinned => "it is pinned".to_owned(),
        Stays::InUse => "it is in use".to_owned(),
        Stays::HalfMoved => "a part of it lies in an update that was broken off".to_owned(),
        Stays::NotPlanned => "the plan did not name it".to_owned(),
        Stays::LastCopy(partition) => format!("it is the last copy of what {partition} runs"),
    }
}

/// So that a `Write` can carry it; the kind of the system's error is kept.
impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::NoSpace { source, .. }
            | StoreError::ReadOnly { source, .. }
            | StoreError::Io { source, .. } => source.kind(),
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// Names the operation and the path of an error of the system.
pub(crate) trait At<T> {
    /// Adds what was tried on what.
    fn at(self, op: &'static str, path: &Path) -> Result<T>;
}

impl<T, E: Into<io::Error>> At<T> for std::result::Result<T, E> {
    fn at(self, op: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| StoreError::io(op, path, source.into()))
    }
}
