//! What a mount helper means when it fails: its words and numbers as errors that can be acted upon.

use super::{Protocol, Remote};
use crate::error::DiskError;

/// Why a server was not mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Denied,
    NoShare,
    Unreachable,
    WrongProtocol,
}

/// The most telling error for what a helper said.
pub(super) fn of(remote: &Remote<'_>, error: DiskError) -> DiskError {
    let DiskError::ToolFailed { stderr, .. } = &error else {
        return error;
    };
    let why = match remote.protocol {
        Protocol::File => None,
        Protocol::Nfs => nfs(stderr),
        Protocol::Smb => smb(stderr),
    };
    let protocol = remote.protocol.as_str();
    let repo = remote.source().to_string_lossy().into_owned();
    let source = Box::new(error);
    match why {
        None => *source,
        Some(Why::Denied) => DiskError::Denied {
            repo,
            protocol,
            source,
        },
        Some(Why::NoShare) => DiskError::NoShare {
            repo,
            protocol,
            source,
        },
        Some(Why::WrongProtocol) => DiskError::WrongProtocol {
            repo,
            protocol,
            source,
        },
        Some(Why::Unreachable) => DiskError::Unreachable {
            host: remote.host.to_string(),
            protocol,
        },
    }
}

/// `mount.cifs` gives the kernel's number: `mount error(13): Permission denied`.
fn smb(stderr: &str) -> Option<Why> {
    let (_, rest) = stderr.rsplit_once("mount error(")?;
    match rest.split(')').next()?.parse().ok()? {
        // EPERM, EACCES; of the keys: not available, expired, revoked, rejected. Samba says so of unknown and locked users too.
        1 | 13 | 126..=129 => Some(Why::Denied),
        // ENOENT, ENODEV, ENXIO (the name of the share is unknown).
        2 | 6 | 19 => Some(Why::NoShare),
        // ECONNABORTED, ECONNRESET, ETIMEDOUT, ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH, ENETUNREACH, EAGAIN.
        11 | 101 | 103 | 104 | 110..=113 => Some(Why::Unreachable),
        // EPROTO, EPROTONOSUPPORT, EOPNOTSUPP.
        71 | 93 | 95 => Some(Why::WrongProtocol),
        _ => None,
    }
}

/// `mount.nfs` speaks; it was asked to do so in English.
fn nfs(stderr: &str) -> Option<Why> {
    const WORDS: [(&str, Why); 12] = [
        ("access denied", Why::Denied),
        ("Permission denied", Why::Denied),
        ("Operation not permitted", Why::Denied),
        ("No such file or directory", Why::NoShare),
        ("Not a directory", Why::NoShare),
        ("timed out", Why::Unreachable),
        ("Connection refused", Why::Unreachable),
        ("No route to host", Why::Unreachable),
        ("Network is unreachable", Why::Unreachable),
        ("Host is down", Why::Unreachable),
        ("Protocol not supported", Why::WrongProtocol),
        ("transport protocol is not supported", Why::WrongProtocol),
    ];
    let found = WORDS.iter().find(|(words, _)| stderr.contains(words));
    found.map(|(_, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::{Why, nfs, smb};

    #[test]
    fn numbers_of_smb_and_words_of_nfs_are_understood() {
        let tail = "Refer to the mount.cifs(8) manual page (e.g. man mount.cifs)";
        for (text, why) in [
            ("mount error(13): Permission denied", Some(Why::Denied)),
            (
                "Retrying with upper case share name\nmount error(2): No such file or directory",
                Some(Why::NoShare),
            ),
            ("mount error(112): Host is down", Some(Why::Unreachable)),
            (
                "mount error(113): could not connect",
                Some(Why::Unreachable),
            ),
            (
                "mount error(95): Operation not supported",
                Some(Why::WrongProtocol),
            ),
            ("mount error(22): Invalid argument", None),
            ("mount error: cannot find it", None),
            ("mount error(x", None),
        ] {
            assert_eq!(smb(&format!("{text}\n{tail}")), why, "{text}");
        }
        for (text, why) in [
            (
                "access denied by server while mounting 10.0.0.1:/srv",
                Some(Why::Denied),
            ),
            (
                "mounting 10.0.0.1:/no failed, reason given by server: No such file or directory",
                Some(Why::NoShare),
            ),
            (
                "Connection timed out for 10.0.0.1:/srv on /x",
                Some(Why::Unreachable),
            ),
            (
                "Protocol not supported for 10.0.0.1:/srv on /x",
                Some(Why::WrongProtocol),
            ),
            ("an incorrect mount option was specified", None),
        ] {
            assert_eq!(nfs(&format!("mount.nfs: {text}")), why, "{text}");
        }
    }
}
