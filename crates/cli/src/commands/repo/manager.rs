//! A repository that is a manager: its authority, its token, and asking it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use azud_core::access::is_token;
use azud_core::code::Code;
use azud_core::reference::Where;
use azud_server::Role;
use azud_transport::NetError;
use azud_transport::http::{Client, Manager, authority, pin_of};

use super::access::How;
use super::asked::PATIENCE;
use super::known::{Known, Register, remove, replace, settings};
use super::{Goal, login};
use crate::args::size::pin;
use crate::commands::Context;
use crate::commands::serve::PORT;
use crate::failure::{Failure, Hint};
use crate::interrupt;
use crate::site::Site;

/// Longest token that is taken.
const MAX_TOKEN: usize = 4096;
/// No secret is longer, in bytes.
const MAX_SECRET: u64 = 64 << 10;

/// What the command line says of a manager.
#[derive(Debug, Clone, clap::Args)]
pub struct Way {
    /// Its port.
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// The fingerprint of its authority.
    #[arg(long, value_name = "PIN", value_parser = pin)]
    pub pin: Option<String>,
    /// A file with a token.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// A manager that was asked who it is.
#[derive(Debug)]
pub(super) struct Introduced {
    manager: Manager,
    pub(super) pin: String,
}

impl Way {
    /// Asks a manager for its authority, and holds it against the pin, if one was said. The token is sent to nobody yet.
    pub(super) fn introduce(&self, host: &str) -> Result<Introduced, Failure> {
        let port = self.port.unwrap_or(PORT);
        let missing = || {
            let failure = Failure::new(Code::Usage, "--token-file FILE is missing");
            failure.in_words("token-missing", [("host", host.to_owned())])
        };
        let file = self.token_file.as_deref().ok_or_else(missing)?;
        let token = token_in(file)?;
        let (authority, pin) = meet(host, port, self.pin.as_deref())?;
        let manager = Manager {
            host: host.to_owned(),
            port,
            authority,
            token,
        };
        Ok(Introduced { manager, pin })
    }

    /// The manager that is meant: as it is said here, else as it is kept. It has shown who it is, and takes the token.
    pub(super) fn manager(&self, host: &str) -> Result<Manager, Failure> {
        if self.token_file.is_some() {
            if self.pin.is_none() {
                return Err(Failure::new(Code::Usage, "--pin PIN"));
            }
            let introduced = self.introduce(host)?;
            introduced.check()?;
            return Ok(introduced.manager);
        }
        let mut manager = kept(host)?.ok_or_else(|| Failure::new(Code::UnknownRepo, host))?;
        manager.port = self.port.unwrap_or(manager.port);
        if let Some(wanted) = &self.pin {
            fits(host, wanted, pin_of(&manager.authority)?)?;
        }
        Client::new(&manager)?.until(interrupt::is_asked).check()?;
        Ok(manager)
    }
}

/// What its token allows, as the manager says it.
fn role(manager: &Manager) -> Option<Role> {
    let standing = Client::new(manager).ok()?.standing(PATIENCE);
    let said = standing.allowed.ok()?.role?;
    Role::ALL.into_iter().find(|role| role.as_str() == said)
}

/// Refuses another pin than the one that was said.
fn fits(host: &str, wanted: &str, found: String) -> Result<(), NetError> {
    if wanted.eq_ignore_ascii_case(&found) {
        return Ok(());
    }
    Err(NetError::WrongPin {
        host: host.to_owned(),
        found,
        wanted: wanted.to_owned(),
    })
}

/// Asks a computer for the authority of its manager and holds it against the pin, if one was said; its
/// certificate and its pin.
pub(super) fn meet(
    host: &str,
    port: u16,
    wanted: Option<&str>,
) -> Result<(String, String), Failure> {
    let authority = authority(host, port)?;
    let pin = pin_of(&authority)?;
    if let Some(wanted) = wanted {
        fits(host, wanted, pin.clone())?;
    }
    Ok((authority, pin))
}

impl Introduced {
    /// Whether it takes the token, which is sent to it.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let client = Client::new(&self.manager)?.until(interrupt::is_asked);
        client.check().map_err(|error| {
            let failure = Failure::of(&error);
            // The token that was said is meant, whoever is logged in.
            match error {
                NetError::Unauthorised { host } => Failure {
                    code: Code::Unauthorised,
                    ..failure.in_words("net-unauthorised", [("host", host)])
                },
                _ => failure,
            }
        })
    }

    /// Whether it is the one that is kept under this name.
    pub(super) fn is_kept(&self) -> bool {
        let kept = read_authority(&files(&self.manager.host).0);
        kept.is_ok_and(|kept| kept == self.manager.authority)
    }

    /// Secrets that are kept for the manager and go, for this one is to be used.
    pub(super) fn retired(&self) -> Option<PathBuf> {
        let login = login::file(&self.manager.host);
        login.exists().then_some(login)
    }

    /// What the token that is kept for the manager allows and what this one does, if that is less. Where one of them
    /// is not known, nothing.
    pub(super) fn lesser(&self) -> Option<(Role, Role)> {
        let kept = kept_with(&self.manager.host, |_| Ok(None)).ok().flatten()?;
        if kept.authority != self.manager.authority || kept.token == self.manager.token {
            return None;
        }
        let before = Manager {
            token: kept.token,
            ..self.manager.clone()
        };
        let [before, now] = [&before, &self.manager].map(role);
        let (before, now) = (before?, now?);
        (now < before).then_some((before, now))
    }

    /// Writes down what is needed to ask it again; the token in a file of its owner's alone.
    pub(super) fn keep(&self) -> Result<(), Failure> {
        let Manager {
            host,
            authority,
            token,
            ..
        } = &self.manager;
        remove(&login::file(host))?;
        keep_authority(host, authority)?;
        replace(&files(host).1, token.as_bytes(), 0o600)
    }
}

/// Keeps the certificate of a manager's authority. What is another authority's secret goes before, and to nobody else.
pub(super) fn keep_authority(host: &str, authority: &str) -> Result<(), Failure> {
    let (pem, token) = files(host);
    let is_same = fs::read(&pem).is_ok_and(|kept| kept == authority.as_bytes());
    if !is_same {
        remove(&token)?;
        remove(&login::file(host))?;
    }
    replace(&pem, authority.as_bytes(), 0o644)
}

/// The client of the manager that a place is, if it is known as one.
pub(crate) fn manager(context: &Context, place: &Where) -> Result<Option<Client>, Failure> {
    if let (Some(met), Where::Manager) = (&context.site.met, place) {
        return of_work(met).map(Some);
    }
    let Some(host) = host_of(context, place)? else {
        return Ok(None);
    };
    let manager = kept(&host)?;
    manager.as_ref().map(of_work).transpose()
}

/// A client whose requests end when the work is to end.
fn of_work(manager: &Manager) -> Result<Client, Failure> {
    Ok(Client::new(manager)?.until(interrupt::is_asked))
}

/// Whose place it is, if a manager can have it.
fn host_of(context: &Context, place: &Where) -> Result<Option<String>, Failure> {
    if !matches!(place, Where::Manager | Where::Host(_)) {
        return Ok(None);
    }
    let goal = Goal::of(context, &place.to_string())?;
    Ok(Some(goal.host.to_string()))
}

/// How a computer is reached that is known as a manager.
fn known_as(host: &str) -> Result<Option<Known>, Failure> {
    let known = Register::read()?.known.into_iter();
    let mut managers = known.filter(|known| known.protocol == How::Http);
    Ok(managers.find(|known| known.address == host))
}

/// What is kept of a manager, if it is known as one.
pub(crate) fn kept(host: &str) -> Result<Option<Manager>, Failure> {
    kept_with(host, login::current)
}

/// The same with the token of a login, if there is one.
pub(super) fn kept_with(
    host: &str,
    login: impl Fn(&str) -> Result<Option<String>, Failure>,
) -> Result<Option<Manager>, Failure> {
    let Some(known) = known_as(host)? else {
        return Ok(None);
    };
    let (pem, token) = files(host);
    // Who came to write does so for as long as the login lasts.
    let token = match login(host)? {
        Some(token) => token,
        None if !token.exists() && login::has_ended(host) => {
            let host = host.to_owned();
            return Err(NetError::TokenExpired { host }.into());
        }
        None => token_in(&token)?,
    };
    Ok(Some(Manager {
        port: known.port.unwrap_or(PORT),
        authority: read_authority(&pem)?,
        token,
        host: host.to_owned(),
    }))
}

/// Whether a place is a manager that is known. No secret is read for that, and nobody is asked.
pub(crate) fn is_manager(context: &Context, place: &Where) -> bool {
    let is_met = context.site.met.is_some() && *place == Where::Manager;
    let host = || host_of(context, place).ok().flatten();
    let is_known = |host: String| known_as(&host).is_ok_and(|known| known.is_some());
    is_met || host().is_some_and(is_known)
}

/// What to do where a place is the manager and that is known by another of its names than the first, by which it is
/// looked for.
pub(crate) fn known_otherwise(context: &Context, place: &Where) -> Option<Hint> {
    let names = Site::load(&context.site).ok()?.manager;
    let (first, others) = names.split_first()?;
    let is_known = |host: &str| known_as(host).is_ok_and(|known| known.is_some());
    if host_of(context, place).ok()?? != first.to_string() || is_known(&first.to_string()) {
        return None;
    }
    let mut others = others.iter().map(ToString::to_string);
    let known = others.find(|name| is_known(name))?;
    let values = [("first", first.to_string()), ("known", known)];
    Some(Hint::with("hint-known-otherwise", values))
}

/// The addresses of managers that are known under several: each group has one authority, and so is one manager.
pub(crate) fn known_twice(hosts: &[String]) -> Vec<Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for host in hosts {
        // What keeps it from being read is told where the manager is asked.
        if let Ok(authority) = read_authority(&files(host).0) {
            groups.entry(authority).or_default().push(host.clone());
        }
    }
    groups.retain(|_, hosts| hosts.len() > 1);
    groups.into_values().collect()
}

pub(super) fn read_authority(pem: &Path) -> Result<String, Failure> {
    fs::read_to_string(pem).map_err(|error| Failure::io(pem, &error))
}

/// How a manager is remembered.
pub(super) fn known(host: &str, port: Option<u16>) -> Known {
    Known {
        address: host.to_owned(),
        protocol: How::Http,
        path: None,
        write: false,
        options: Vec::new(),
        credentials: None,
        port,
    }
}

pub(super) fn files(host: &str) -> (PathBuf, PathBuf) {
    let dir = settings().join("managers");
    (
        dir.join(format!("{host}.pem")),
        dir.join(format!("{host}.token")),
    )
}

/// What a file holds that is nobody else's business.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Secret {
    /// A token.
    Token,
    /// A key for signatures.
    Key,
}

impl Secret {
    /// What is said when others can read it.
    fn open(self, file: &Path) -> Failure {
        let path = file.display().to_string();
        let (words, what) = match self {
            Self::Token => ("open-token", "token"),
            Self::Key => ("open-key", "secret key"),
        };
        Failure::new(
            Code::OpenSecret,
            format!("{path}: others may read the {what}"),
        )
        .in_words(words, [("path", path)])
    }
}

/// A text in a file that others cannot read.
pub(crate) fn secret_in(file: &Path, secret: Secret) -> Result<String, Failure> {
    use std::os::unix::fs::PermissionsExt;
    let failed = |error| Failure::io(file, &error);
    let open = fs::File::open(file).map_err(failed)?;
    let meta = open.metadata().map_err(failed)?;
    if meta.is_file() && meta.permissions().mode() & 0o077 != 0 {
        return Err(secret.open(file));
    }
    // Some files have no end.
    let (mut text, most) = (String::new(), MAX_SECRET);
    open.take(most).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// A token in a file that others cannot read.
fn token_in(file: &Path) -> Result<String, Failure> {
    let path = file.display().to_string();
    let none = |words, text: String| {
        Failure::new(Code::BadToken, text).in_words(words, [("path", path.clone())])
    };
    let other = || none("token-malformed", format!("{path} holds no token"));
    let text = match secret_in(file, Secret::Token) {
        Err(failure) if failure.code == Code::NotFound => {
            return Err(none("token-absent", format!("there is no {path}")));
        }
        // What is no text at all is no token either.
        Err(failure) if failure.code == Code::Io => return Err(other()),
        text => text?,
    };
    let token = text.trim();
    if token.is_empty() {
        return Err(none("token-empty", format!("{path} is empty")));
    }
    // Whatever else it is, it may be a secret of somebody's, and no server is to see it.
    if token.len() > MAX_TOKEN || !is_token(token) {
        return Err(other());
    }
    Ok(token.to_owned())
}
