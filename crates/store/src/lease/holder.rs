//! Who holds a lock: what stands in the file, and whether it still counts.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::live;
use crate::owner::{Owner, Standing, shown_host};
use crate::slot::rfc3339;

/// After this long without a sign of life, the lock of another computer counts as abandoned.
pub(super) const STALE: Duration = Duration::from_mins(1);
/// After this long, a lock without an owner does.
pub(super) const OWNERLESS: Duration = Duration::from_hours(24);

/// The longest lock that is read; ours are far shorter.
const MAX_LOCK: u64 = 4096;
/// So much is shown of those for whom a lock is held.
const MAX_SENDER: usize = 128;

/// What an Azud writes into its lock, on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    #[serde(flatten)]
    pub(super) owner: Owner,
    /// Tells the locks of one process apart.
    pub(super) token: String,
    /// When it was taken, in seconds since 1970, by the holder's clock: for people.
    pub(super) since: u64,
    /// Who sends the image to the holder, for people.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub(super) sender: Option<String>,
}

impl Claim {
    fn read(content: &[u8]) -> Option<Self> {
        serde_json::from_slice(content).ok()
    }
}

/// Who has an image locked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Holder {
    /// An Azud.
    Azud {
        /// The computer's name.
        host: String,
        /// The process there.
        pid: i32,
        /// Since when, in seconds since 1970, by that computer's clock.
        since: u64,
        /// Who sends the image to it, where it is a manager that receives it.
        sender: Option<String>,
        /// Whether it is this very computer.
        here: bool,
    },
    /// A tool that does not say who it is: the lock is empty, or holds something unknown.
    Ownerless,
    /// A server has the file system inside mounted (`mounted`).
    Mounted,
    /// A server is shrinking the file system inside (`reduced`).
    Reduced,
}

impl Holder {
    /// Who is named in a lock of this content.
    pub fn named_in(content: &[u8]) -> Self {
        if let Some(claim) = Claim::read(content) {
            let (owner, since) = (claim.owner, claim.since);
            let sender = claim.sender.map(|sender| {
                let shown = sender.chars().filter(|c| !c.is_control());
                shown.take(MAX_SENDER).collect()
            });
            return Self::Azud {
                here: owner.standing() != Standing::Elsewhere,
                pid: owner.pid(),
                host: shown_host(owner.host()),
                since,
                sender,
            };
        }
        match content.trim_ascii() {
            b"mounted" => Self::Mounted,
            b"reduced" => Self::Reduced,
            _ => Self::Ownerless,
        }
    }

    /// A stable word for it: `azud`, `ownerless`, `mounted`, `reduced`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Azud { .. } => "azud",
            Self::Ownerless => "ownerless",
            Self::Mounted => "mounted",
            Self::Reduced => "reduced",
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Azud {
                host,
                pid,
                since,
                sender,
                ..
            } => {
                let since = rfc3339(*since);
                write!(f, "azud on {host}, process {pid}, since {since}")?;
                match sender {
                    Some(sender) => write!(f, ", to which {sender} sends it"),
                    None => Ok(()),
                }
            }
            Self::Ownerless => f.write_str("a tool that does not say who it is"),
            Self::Mounted => f.write_str("a server that has its file system mounted"),
            Self::Reduced => f.write_str("a server that is shrinking its file system"),
        }
    }
}

/// Whether somebody removed it, which NFS may notice only when it is read.
fn is_gone(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotFound, StaleNetworkFileHandle};
    matches!(error.kind(), NotFound | StaleNetworkFileHandle)
}

/// A lock as it was found. One that is stale and another one that took its place differ in their times, so no
/// number of the file is needed, which some servers of SMB do not give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    content: Vec<u8>,
    modified: SystemTime,
}

impl Found {
    /// Reads a lock; `None` if there is none. Anything else that has the name (a directory, a pipe, a
    /// link) locks as an ownerless one does.
    pub(super) fn read(path: &Path) -> std::io::Result<Option<Self>> {
        // Opened, not only looked at: NFS asks the server for the times of what is opened.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::empty()).map(File::from);
        let file = match opened.map_err(std::io::Error::from) {
            Ok(file) => file,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => {
                let meta = std::fs::symlink_metadata(path)?;
                if meta.is_file() {
                    return Err(error);
                }
                return Self::new(&meta, Vec::new()).map(Some);
            }
        };
        match Self::of(&file) {
            Err(error) if is_gone(&error) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Reads one that is open.
    pub(super) fn of(file: &File) -> std::io::Result<Self> {
        let meta = file.metadata()?;
        let mut content = Vec::new();
        if meta.is_file() {
            file.take(MAX_LOCK).read_to_end(&mut content)?;
        }
        Self::new(&meta, content)
    }

    fn new(meta: &Metadata, content: Vec<u8>) -> std::io::Result<Self> {
        Ok(Self {
            content,
            modified: meta.modified()?,
        })
    }

    /// Whether what has this name was written when this one was. It is only looked at, since this lock may be open by
    /// another name.
    pub(super) fn is_as_old_as(&self, path: &Path) -> bool {
        let written = std::fs::symlink_metadata(path).and_then(|meta| meta.modified());
        written.is_ok_and(|written| written == self.modified)
    }

    pub(super) fn claim(&self) -> Option<Claim> {
        Claim::read(&self.content)
    }

    pub(super) fn holder(&self) -> Holder {
        Holder::named_in(&self.content)
    }

    /// Whether it counts no more. `server_now` tells the time of the clock that gave the file its times.
    pub(super) fn is_stale(&self, server_now: SystemTime) -> bool {
        let older = |limit| self.is_older(limit, server_now);
        if self.claim().is_some() {
            return match self.is_dead_here() {
                Some(dead) => dead,
                None => older(STALE),
            };
        }
        match self.holder() {
            Holder::Mounted | Holder::Reduced => false,
            _ => older(OWNERLESS),
        }
    }

    /// Whether nobody can be at work on a lock that is not in its place yet. Between making one and writing into it
    /// nothing is waited for.
    pub(super) fn is_left(&self, now: SystemTime) -> bool {
        let empty = self.content.is_empty();
        self.is_older(if empty { STALE } else { OWNERLESS }, now)
    }

    fn is_older(&self, limit: Duration, now: SystemTime) -> bool {
        now.duration_since(self.modified)
            .is_ok_and(|age| age > limit)
    }

    /// Whether its owner, on this computer, is gone; `None` if it is on another one.
    pub(super) fn is_dead_here(&self) -> Option<bool> {
        let claim = self.claim()?;
        match claim.owner.standing() {
            Standing::Elsewhere => None,
            Standing::Gone => Some(true),
            Standing::Running => Some(false),
            Standing::Ourselves => Some(!live::knows(&claim.token)),
        }
    }
}
