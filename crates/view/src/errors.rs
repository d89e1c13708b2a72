//! What the kernel is told when something fails.

use std::io::{self, ErrorKind};

use fuser::Errno;
use rustix::io::Errno as System;

/// The number for an error. What has none of its own is a failure of the medium.
pub(crate) fn errno(error: &io::Error) -> Errno {
    let kind = match error.kind() {
        ErrorKind::NotFound => System::NOENT,
        ErrorKind::PermissionDenied => System::ACCESS,
        ErrorKind::StaleNetworkFileHandle => System::STALE,
        ErrorKind::TimedOut => System::TIMEDOUT,
        ErrorKind::QuotaExceeded => System::NFILE,
        _ => System::IO,
    };
    Errno::from_i32(kind.raw_os_error())
}

/// A copy of an error that several wait for.
pub(crate) fn again(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

pub(crate) fn stale() -> io::Error {
    ErrorKind::StaleNetworkFileHandle.into()
}
