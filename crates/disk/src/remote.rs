//! Repositories of other computers, and directories that stand for one.
//!
//! What is mounted is asked of the kernel each time; nothing is remembered here. No question to a
//! server lasts longer than [`PATIENCE`], whatever the kernel does.

mod refusal;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use azud_core::reference::Host;
use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use crate::credentials::Credentials;
use crate::error::{DiskError, Result};
use crate::machine::within;
use crate::mounting::{Kind, MountFacts, Mounted, Mounting, mount};
use crate::mounts::mounts;
use crate::sysfs::BlockDev;

/// How long a server may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// How a repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// A directory of this computer.
    File,
    /// `mount.nfs`.
    Nfs,
    /// `mount.cifs`.
    Smb,
}

impl Protocol {
    /// The protocols of servers, in the order in which they are tried.
    pub const SERVERS: [Self; 2] = [Self::Nfs, Self::Smb];

    /// `file`, `nfs`, `smb`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Nfs => "nfs",
            Self::Smb => "smb",
        }
    }

    /// By the type of a mounted file system.
    pub fn of_type(fs_type: &str) -> Self {
        match fs_type {
            "nfs" | "nfs4" => Self::Nfs,
            "cifs" | "smb3" => Self::Smb,
            _ => Self::File,
        }
    }

    /// What OpenGnsys' servers export, where nothing else is said.
    pub const fn usual_path(self) -> Option<&'static str> {
        match self {
            Self::File => None,
            Self::Nfs => Some("/opt/opengnsys/images"),
            Self::Smb => Some("ogimages"),
        }
    }

    const fn port(self) -> Option<u16> {
        match self {
            Self::File => None,
            Self::Nfs => Some(2049),
            Self::Smb => Some(445),
        }
    }
}

/// A repository to be mounted.
#[derive(Debug)]
pub struct Remote<'a> {
    /// How.
    pub protocol: Protocol,
    /// Whose; of no meaning for [`Protocol::File`].
    pub host: &'a Host,
    /// The directory, the exported path, or the share with a folder in it.
    pub path: &'a str,
    /// Whether it may be written.
    pub write: bool,
    /// The helper's own options.
    pub options: &'a [String],
    /// For [`Protocol::Smb`]; without, the server is asked as a guest.
    pub credentials: Option<&'a Credentials>,
}

impl Remote<'_> {
    /// What the helper is told to mount.
    pub fn source(&self) -> OsString {
        let name = match (self.host, self.protocol) {
            // Names of Windows know no brackets.
            (Host::Address(address), Protocol::Smb) => address.to_string(),
            (host, _) => host.to_string(),
        };
        match self.protocol {
            Protocol::File => self.path.into(),
            Protocol::Nfs => format!("{name}:{}", self.path).into(),
            Protocol::Smb => format!("//{name}/{}", self.path.trim_matches('/')).into(),
        }
    }

    fn all_options(&self) -> String {
        let mut all: Vec<String> = match self.protocol {
            Protocol::File => Vec::new(),
            // Who only reads is told of a dead server; who writes waits for it, or writes would be lost.
            Protocol::Nfs if self.write => vec!["nolock,hard,retry=0".to_owned()],
            Protocol::Nfs => vec!["nolock,soft,timeo=50,retrans=2,retry=0".to_owned()],
            Protocol::Smb => match self.credentials {
                Some(credentials) => vec![format!("credentials={}", credentials.file().display())],
                None => vec!["guest".to_owned()],
            },
        };
        all.extend(self.options.iter().cloned());
        all.join(",")
    }

    fn port(&self) -> Option<u16> {
        let given = self.options.iter().flat_map(|option| option.split(','));
        let given = given.filter_map(|option| option.strip_prefix("port="));
        given
            .filter_map(|port| port.parse().ok())
            .next_back()
            .or(self.protocol.port())
    }

    /// Whether the server takes connections (always, for a directory).
    pub fn answers(&self) -> bool {
        self.port().is_none_or(|port| answers(self.host, port))
    }

    /// Refuses a password among the options: everybody would see it.
    ///
    /// # Errors
    /// [`DiskError::SecretOption`].
    pub fn check(&self) -> Result<()> {
        let Some(option) = self.options.iter().find(|option| is_secret(option)) else {
            return Ok(());
        };
        let name = option.split('=').next().unwrap_or_default();
        Err(DiskError::SecretOption {
            name: name.to_owned(),
        })
    }

    /// Mounts it at a place.
    ///
    /// # Errors
    /// [`DiskError::Unreachable`] when the server does not answer, [`DiskError::SecretOption`] for a
    /// password among the options, and those of [`mount`].
    pub fn mount(&self, at: &Path) -> Result<Mounted> {
        self.check()?;
        let source = self.source();
        let options = self.all_options();
        let kind = match self.protocol {
            Protocol::File => Kind::Bind,
            Protocol::Nfs => Kind::Helper("nfs"),
            Protocol::Smb => Kind::Helper("cifs"),
        };
        if !self.answers() {
            return Err(DiskError::Unreachable {
                host: self.host.to_string(),
                protocol: self.protocol.as_str(),
            });
        }
        let mounted = mount(&Mounting {
            source: &source,
            at,
            kind,
            read_only: !self.write,
            options: &options,
        });
        mounted.map_err(|error| refusal::of(self, error))
    }
}

/// Options that would show a secret, or name a file of secrets behind our back.
fn is_secret(options: &str) -> bool {
    const SECRET: [&str; 5] = ["pass", "cred", "user", "username", "sec_token"];
    let mut options = options
        .split(',')
        .map(|option| option.trim().to_ascii_lowercase());
    options.any(|option| SECRET.iter().any(|word| option.starts_with(word)))
}

/// Whether anybody listens. Names are asked for in a thread of their own: that may take long.
fn answers(host: &Host, port: u16) -> bool {
    let (send, receive) = channel();
    let name = match host {
        Host::Address(address) => address.to_string(),
        Host::Name(name) => name.clone(),
    };
    thread::spawn(move || {
        let addresses = (name.as_str(), port)
            .to_socket_addrs()
            .into_iter()
            .flatten();
        let mut connected = addresses.map(|address| TcpStream::connect_timeout(&address, PATIENCE));
        let _ = send.send(connected.any(|stream| stream.is_ok()));
    });
    receive.recv_timeout(PATIENCE * 2).unwrap_or(false)
}

/// How something that is mounted is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It answers.
    Mounted,
    /// What was mounted is no longer there: an export or a directory that was removed, a medium that was pulled.
    Stale,
    /// Its server does not answer.
    Unreachable,
    /// A manager that does not take the token of a view of it.
    Refused,
}

impl State {
    /// The word for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mounted => "mounted",
            Self::Stale => "stale",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
        }
    }
}

/// Asks what is mounted at a place how it is.
pub fn state(at: &Path) -> State {
    state_within(PATIENCE, at)
}

/// The same for somebody who waits no longer than this for an answer.
pub fn state_within(patience: Duration, at: &Path) -> State {
    if is_gone(at) {
        return State::Stale;
    }
    let place = at.to_owned();
    match within(patience, move || rustix::fs::statfs(&place).map(drop)) {
        Some(Ok(())) => State::Mounted,
        // Nobody answers for the view any more.
        Some(Err(Errno::NOTCONN)) if crate::view::is_at(at) => State::Stale,
        Some(Err(Errno::ACCESS)) if crate::view::is_at(at) => State::Refused,
        Some(Err(Errno::STALE | Errno::NODEV | Errno::NXIO | Errno::NOENT)) => State::Stale,
        Some(Err(_)) | None => State::Unreachable,
    }
}

/// Asks several at once, in their order: together they take no longer than one.
pub fn states(places: &[PathBuf]) -> Vec<State> {
    thread::scope(|scope| {
        let asked: Vec<_> = places.iter().map(|at| scope.spawn(|| state(at))).collect();
        let answers = asked.into_iter().map(thread::ScopedJoinHandle::join);
        answers
            .map(|answer| answer.unwrap_or(State::Unreachable))
            .collect()
    })
}

/// The path of a place free of symbolic links; the path itself where nothing is. `None` when a server on the way does not answer.
pub fn reach(path: &Path) -> Option<PathBuf> {
    let asked = path.to_owned();
    let found = within(PATIENCE, move || {
        let real = std::fs::canonicalize(&asked)?;
        rustix::fs::statfs(&real)?;
        Ok(real)
    });
    let silent = |error: &std::io::Error| {
        const SILENT: [Errno; 5] = [
            Errno::TIMEDOUT,
            Errno::HOSTDOWN,
            Errno::HOSTUNREACH,
            Errno::IO,
            Errno::NOTCONN,
        ];
        Errno::from_io_error(error).is_some_and(|errno| SILENT.contains(&errno))
    };
    match found {
        None => None,
        Some(Err(error)) if silent(&error) => None,
        Some(found) => Some(found.unwrap_or_else(|_| path.to_owned())),
    }
}

/// Whether what a mount stands on was taken away: its device, or the directory that was bound.
pub fn is_gone(at: &Path) -> bool {
    let Some(mount) = mounts().into_iter().rfind(|mount| mount.at == at) else {
        return false;
    };
    let from_device = mount.source.starts_with("/dev/");
    // In a container there may be no devices to be seen: that tells nothing.
    let told = || Path::new("/sys/dev/block").is_dir();
    let device = || BlockDev::of(mount.dev).is_some() || mount.source.exists();
    mount.deleted || (from_device && told() && !device())
}

/// What is mounted at the entries of a directory, the upper of two at the same place.
pub fn mounted_in(dir: &Path) -> Vec<MountFacts> {
    let dir = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let mut seen = BTreeMap::new();
    // The table lists the lower before the upper. No place is looked at: that may take for ever.
    for mount in mounts() {
        if mount.at.parent() == Some(&dir) {
            let facts = MountFacts {
                at: mount.at.clone(),
                source: mount.source,
                fs_type: mount.fs_type,
                read_only: mount.read_only,
            };
            seen.insert(mount.at, facts);
        }
    }
    seen.into_values().collect()
}

/// Takes a mount out of the way whose server or medium is gone. Nothing more reaches it, so nothing is
/// waited for; whoever still uses it gets errors.
///
/// # Errors
/// [`DiskError::NotMounted`], [`DiskError::Permission`], [`DiskError::Io`].
pub fn withdraw(at: &Path) -> Result<()> {
    let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    rustix::mount::unmount(at, flags).map_err(|error| match error {
        Errno::INVAL => DiskError::NotMounted { at: at.to_owned() },
        error => DiskError::at(at, "unmounting", error),
    })
}

#[cfg(test)]
mod tests {
    use azud_core::code::Code;
    use azud_core::reference::Host;

    use super::{Protocol, Remote, is_secret};

    #[test]
    fn sources_are_written_as_each_helper_wants() {
        let source = |protocol, host: &str, path: &str| {
            let host = Host::parse(host).unwrap();
            let remote = Remote {
                protocol,
                host: &host,
                path,
                write: false,
                options: &[],
                credentials: None,
            };
            remote.source().into_string().unwrap()
        };
        assert_eq!(source(Protocol::Nfs, "10.0.0.9", "/srv"), "10.0.0.9:/srv");
        assert_eq!(source(Protocol::Nfs, "fe80::9", "/srv"), "[fe80::9]:/srv");
        assert_eq!(source(Protocol::Smb, "nas", "/og/aula1/"), "//nas/og/aula1");
        assert_eq!(source(Protocol::Smb, "fd00::9", "og"), "//fd00::9/og");
        assert_eq!(source(Protocol::File, "nas", "/srv/x"), "/srv/x");
    }

    #[test]
    fn secrets_are_no_options() {
        for option in [
            "password=x",
            "pass=x",
            "vers=3.0,PASSWORD=x",
            "user=a%x",
            "credentials=/x",
            "username=a",
        ] {
            assert!(is_secret(option), "{option}");
        }
        assert!(!is_secret("vers=3.0,port=4450"));
        let host = Host::parse("127.0.0.1").unwrap();
        let remote = Remote {
            protocol: Protocol::Smb,
            host: &host,
            path: "og",
            write: false,
            options: &["password2=geheim".to_owned()],
            credentials: None,
        };
        let error = remote.mount(std::path::Path::new("/nowhere")).unwrap_err();
        assert_eq!(error.code(), Code::Usage);
        assert!(!error.to_string().contains("geheim"), "{error}");
    }
}
