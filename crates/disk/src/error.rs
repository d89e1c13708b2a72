//! What can go wrong with a device or an external program, split by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use azud_core::code::{Code, of_io};
use rustix::io::Errno;

use crate::partition::PlanRefusal;

/// What this crate's functions return.
pub type Result<T> = std::result::Result<T, DiskError>;

/// A failure of a device or an external program.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Nothing is there, or the device has no medium.
    #[error("{}: no such device or file", path.display())]
    NotFound {
        /// What was asked for.
        path: PathBuf,
    },
    /// Disks or partitions by number or serial number that are not there.
    #[error("{name}: {reason}")]
    NoSuchDisk {
        /// What was asked for.
        name: String,
        /// What is missing.
        reason: String,
    },
    /// Several disks have the serial number.
    #[error("{name} may be {}", nodes.join(" or "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// The nodes of those that fit.
        nodes: Vec<String>,
    },
    /// A directory, a pipe, a character device …
    #[error("{}: neither a block device nor a regular file", path.display())]
    NotADevice {
        /// What was asked for.
        path: PathBuf,
    },
    /// A file system on it is mounted.
    #[error("{}: mounted on {}", path.display(), at.display())]
    Mounted {
        /// What was asked for.
        path: PathBuf,
        /// The mount point.
        at: PathBuf,
    },
    /// Used by something other than a mount.
    #[error("{}: in use by {by}", path.display())]
    Busy {
        /// What was asked for.
        path: PathBuf,
        /// Who uses it, in words.
        by: String,
    },
    /// It is no longer what was opened.
    #[error("{}: changed during the work ({what})", path.display())]
    Changed {
        /// What was opened.
        path: PathBuf,
        /// What is different.
        what: &'static str,
    },
    /// The medium cannot be written.
    #[error("{}: read-only", path.display())]
    ReadOnly {
        /// What was to be written.
        path: PathBuf,
    },
    /// The operating system does not allow it to this user.
    #[error("{}: not allowed ({op})", path.display())]
    Permission {
        /// What was asked for.
        path: PathBuf,
        /// What was being done.
        op: &'static str,
    },
    /// The kernel does not know how to mount such a file system.
    #[error("{}: this kernel cannot mount {fs}", path.display())]
    MountUnsupported {
        /// What was to be mounted.
        path: PathBuf,
        /// Type of the file system.
        fs: String,
    },
    /// What is on the device is not the file system that it says it is, or a damaged one.
    #[error("{}: the kernel finds no sound {fs} on it", path.display())]
    Unmountable {
        /// What was to be mounted.
        path: PathBuf,
        /// Type of the file system.
        fs: String,
        /// What the system said.
        source: io::Error,
    },
    /// Something that is not a plain directory is where a file system was to be mounted.
    #[error("{}: no place to mount anything ({why})", at.display())]
    BadMountPoint {
        /// The place.
        at: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A server that does not answer.
    #[error("{host}: nobody answers there ({protocol})")]
    Unreachable {
        /// Which.
        host: String,
        /// How it was asked.
        protocol: &'static str,
    },
    /// A server refuses the user, the password or this computer.
    #[error("{repo}: the server refuses it ({protocol})")]
    Denied {
        /// What was to be mounted, as the helper is told.
        repo: String,
        /// How it was asked.
        protocol: &'static str,
        /// What the helper said.
        source: Box<DiskError>,
    },
    /// A server has nothing of that name.
    #[error("{repo}: the server has no such share or directory ({protocol})")]
    NoShare {
        /// What was to be mounted, as the helper is told.
        repo: String,
        /// How it was asked.
        protocol: &'static str,
        /// What the helper said.
        source: Box<DiskError>,
    },
    /// A server answers, but not in the version of the protocol that is asked for.
    #[error("{repo}: the server does not speak this version of the protocol ({protocol})")]
    WrongProtocol {
        /// What was to be mounted, as the helper is told.
        repo: String,
        /// How it was asked.
        protocol: &'static str,
        /// What the helper said.
        source: Box<DiskError>,
    },
    /// A file of passwords that others may read.
    #[error("{}: others may read the password", path.display())]
    OpenSecret {
        /// The file.
        path: PathBuf,
    },
    /// A name or password that the file for it cannot hold.
    #[error("a name must not be empty, and neither it nor a password can have a line break")]
    BadSecret,
    /// A mount option that would show a secret. Its value is not repeated.
    #[error("the option {name} would be seen by everybody; secrets go into a file")]
    SecretOption {
        /// The option.
        name: String,
    },
    /// Nothing is mounted there.
    #[error("{}: nothing is mounted there", at.display())]
    NotMounted {
        /// The place.
        at: PathBuf,
    },
    /// A partition table that nothing can be built on.
    #[error("{}: the partition table is not usable: {why}", path.display())]
    BadTable {
        /// The disk.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// There is no place for a partition.
    #[error("{}: no place for the partition", path.display())]
    NoPlace {
        /// The disk.
        path: PathBuf,
        /// Why not.
        source: PlanRefusal,
    },
    /// The device is smaller than the file system that is wanted needs.
    #[error("{}: it has {has} bytes, at least {needs} bytes are needed", path.display())]
    TooSmall {
        /// What was to be formatted.
        path: PathBuf,
        /// Its bytes.
        has: u64,
        /// Bytes that are needed.
        needs: u64,
    },
    /// No device is a cache.
    #[error("no file system or partition is called CACHE")]
    NoCache,
    /// Several devices are caches by the same rule.
    #[error("{}", list(devices))]
    SeveralCaches {
        /// All of them.
        devices: Vec<PathBuf>,
    },
    /// Any other failure of the operating system.
    #[error("{}: {op}", path.display())]
    Io {
        /// What was worked on.
        path: PathBuf,
        /// What was being done.
        op: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// An external program is not installed.
    #[error("{program} is not installed (Debian package {package})")]
    ToolMissing {
        /// Name of the program.
        program: String,
        /// The package that brings it.
        package: String,
    },
    /// An external program ended badly.
    #[error("{program} failed ({status}){}{stderr}", if stderr.is_empty() { "" } else { ": " })]
    ToolFailed {
        /// Name of the program.
        program: String,
        /// Its arguments, separated by blanks.
        args: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it printed on its standard error.
        stderr: String,
    },
}

impl DiskError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } | Self::NotADevice { .. } | Self::NoSuchDisk { .. } => {
                Code::NotADevice
            }
            Self::Ambiguous { .. } => Code::AmbiguousDevice,
            Self::Mounted { .. } => Code::Mounted,
            Self::Busy { .. } => Code::Busy,
            Self::Changed { .. } => Code::Changed,
            Self::ReadOnly { .. } => Code::ReadOnly,
            Self::MountUnsupported { .. } => Code::MountUnsupported,
            Self::Unmountable { .. } => Code::FsCorrupt,
            Self::BadMountPoint { .. } => Code::MountPoint,
            Self::NotMounted { .. } => Code::NotMounted,
            Self::BadTable { .. } => Code::BadTable,
            Self::NoPlace { .. } => Code::NoPlace,
            Self::TooSmall { .. } => Code::TooSmall,
            Self::NoCache => Code::NoCache,
            Self::SeveralCaches { .. } => Code::SeveralCaches,
            Self::Unreachable { .. } => Code::Unreachable,
            Self::Denied { .. } => Code::Denied,
            Self::NoShare { .. } => Code::NoShare,
            Self::WrongProtocol { .. } => Code::WrongProtocol,
            Self::OpenSecret { .. } => Code::OpenSecret,
            Self::BadSecret | Self::SecretOption { .. } => Code::Usage,
            Self::Permission { .. } => Code::Permission,
            Self::Io { source, .. } => match of_io(source) {
                // "Not found" in the list of codes speaks of images.
                Code::NotFound => Code::Io,
                code => code,
            },
            Self::ToolMissing { .. } => Code::ToolMissing,
            Self::ToolFailed { .. } => Code::ToolFailed,
        }
    }

    /// The most telling variant for what the system said while doing `op` on `path`.
    pub(crate) fn at(path: &Path, op: &'static str, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        let path = path.to_owned();
        match Errno::from_io_error(&source) {
            Some(Errno::NOENT | Errno::NOTDIR | Errno::NXIO | Errno::NODEV | Errno::NOMEDIUM) => {
                Self::NotFound { path }
            }
            Some(Errno::BUSY) => Self::Busy {
                path,
                by: "another program".to_owned(),
            },
            Some(Errno::TXTBSY) => Self::Busy {
                path,
                by: "its own execution".to_owned(),
            },
            Some(Errno::ROFS) => Self::ReadOnly { path },
            Some(Errno::ACCESS | Errno::PERM) => Self::Permission { path, op },
            _ => Self::Io { path, op, source },
        }
    }
}

fn list(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    names.join(", ")
}

/// The error inside an [`io::Error`] that a reader of this crate returned, if it is one of ours.
pub fn inner(error: &io::Error) -> Option<&DiskError> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// The code of an [`io::Error`] that came through this crate's readers and writers.
pub fn code_of(error: &io::Error) -> Code {
    inner(error).map_or_else(|| of_io(error), DiskError::code)
}
