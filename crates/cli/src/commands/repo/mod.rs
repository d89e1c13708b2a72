//! `azud repo …`: one file per verb.

pub mod access;
pub mod add;
mod asked;
pub mod forget;
mod giver;
pub mod import;
mod known;
pub mod list;
pub mod login;
mod manager;
pub mod mount;
pub mod unmount;
mod view;

use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::namespace::{Facts, Namespace, PlaceError};
use azud_core::reference::{Host, RefError, Where};
use azud_disk::mounting::{MountFacts, bound_at};
use azud_disk::own_addresses;
use azud_disk::remote::{Protocol, Remote, mounted_in, reach};
use azud_transport::http::Client;
use clap::Subcommand;

pub(crate) use asked::{Answer, Asked, PATIENCE, ask_known};
pub(crate) use giver::giver;
pub(crate) use known::{alone, written};
pub(crate) use login::{has_ended as login_has_ended, is_kept as is_logged_in};
pub(crate) use manager::{
    Secret, is_manager, kept, known_otherwise, known_twice, manager, secret_in,
};
pub(crate) use view::named as named_view;

use super::Context;
use crate::failure::Failure;
use crate::opened::host;
use crate::site::Site;

/// What can be done with repositories.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Remembers how one is reached.
    Add(add::Args),
    /// Takes away what is remembered of one.
    Forget(forget::Args),
    /// Mounts one.
    Mount(mount::Args),
    /// Unmounts one.
    Unmount(unmount::Args),
    /// Lists them.
    List(list::Args),
    /// Brings the images of one.
    Import(import::Args),
}

impl Verb {
    /// Runs it.
    ///
    /// # Errors
    /// Whatever kept it from being done.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Add(args) => args.run(context),
            Self::Forget(args) => args.run(context),
            Self::Mount(args) => args.run(context),
            Self::Unmount(args) => args.run(context),
            Self::List(args) => args.run(context),
            Self::Import(args) => args.run(context),
        }
    }
}

/// A repository that is named by its address.
#[derive(Debug)]
struct Goal {
    /// Whose it is.
    host: Host,
    /// Where it is mounted, free of symbolic links above it.
    at: PathBuf,
    /// Other names of it, each a link beside its folder.
    names: Vec<Host>,
}

impl Goal {
    /// What an address on the command line means. No mount is looked at: one may be dead.
    fn of(context: &Context, address: &str) -> Result<Self, Failure> {
        let site = Site::load(&context.site)?;
        let namespace = names(&site)?;
        let other = |key: &str| {
            let hint = context.catalog.text(key);
            Err(Failure::new(Code::BadPlace, address).with_hint(hint))
        };
        let place = Where::parse(address).map_err(|error| as_in_a_url(context, address, error))?;
        let place = namespace.meaning(&place);
        let host = match &place {
            Where::Host(host) => host.clone(),
            Where::Manager if site.serving => return other("repo-is-here"),
            Where::Manager => {
                let first = site.manager.first();
                first.ok_or(PlaceError::NoManager)?.clone()
            }
            Where::Cache => return other("repo-is-cache"),
            Where::Removable(_) => return other("repo-is-storage"),
        };
        let at = namespace.mount_point(&place)?;
        let above = at.parent().unwrap_or(&at);
        let above = reach(above).ok_or_else(|| PlaceError::Silent {
            place: place.clone(),
            at: above.to_owned(),
        })?;
        Ok(Self {
            host,
            at: above.join(at.file_name().unwrap_or_default()),
            names: if place == Where::Manager {
                site.manager
            } else {
                Vec::new()
            },
        })
    }

    /// Takes away the links that bear a name of the manager's and lead to its folder: of host names nobody else
    /// can tell that they are ours.
    fn withdraw_names(&self) {
        for name in &self.names {
            let link = self.at.with_file_name(name.to_string());
            let target = std::fs::read_link(&link).ok();
            if target.as_deref().map(Path::as_os_str) == self.at.file_name() {
                let _ = std::fs::remove_file(&link);
            }
        }
    }

    /// The way by which what is mounted there would be mounted now: the same source with the same rights.
    fn mounted_by<'a>(&self, ways: &'a [Remote<'a>]) -> Option<&'a Remote<'a>> {
        let there = self.there()?;
        ways.iter().find(|way| {
            let same = match way.protocol {
                // A bound directory is known by its number alone.
                Protocol::File => same_directory(Path::new(way.path), &self.at),
                _ => there.source.as_os_str() == way.source(),
            };
            same && way.write != there.read_only
        })
    }

    /// Whether anything is mounted there.
    fn is_mounted(&self) -> bool {
        self.there().is_some()
    }

    fn there(&self) -> Option<MountFacts> {
        let above = self.at.parent().unwrap_or(&self.at);
        let mut there = mounted_in(above).into_iter();
        there.find(|facts| facts.at == self.at)
    }

    /// What is mounted there is not what was asked for: what it is, and how it goes.
    fn taken(&self, context: &Context) -> Failure {
        let there = self.there();
        let bound = || bound_at(&self.at).filter(|_| there.as_ref().is_some_and(is_of_a_disk));
        // The kernel's name for a view has the fingerprint in it.
        let source = |facts: &MountFacts| {
            if facts.is_view() {
                view::named(&facts.source).1
            } else {
                facts.source.clone()
            }
        };
        let source = bound().or_else(|| there.as_ref().map(source));
        let read_only = there.as_ref().is_some_and(|facts| facts.read_only);
        let key = if read_only {
            "repo-taken-read-only"
        } else {
            "repo-taken"
        };
        let values = [
            ("at", self.at.display().to_string().into()),
            (
                "source",
                source.unwrap_or_default().display().to_string().into(),
            ),
        ];
        let text = context.catalog.fmt(key, &values);
        let address = [("address", self.host.to_string().into())];
        let hint = context.catalog.fmt("hint-repo-taken", &address);
        Failure::new(Code::Mounted, text).with_hint(hint)
    }
}

/// Whether a manager is named, and it is another computer than this one.
pub(crate) fn is_elsewhere(site: &Site) -> Result<bool, Failure> {
    let namespace = names(site)?;
    let is_loopback = |name: &Host| matches!(name, Host::Address(it) if it.is_loopback());
    let is_here = |name: &Host| is_loopback(name) || namespace.is_own(name);
    let here = site.serving || site.manager.iter().any(is_here);
    Ok(!here && !site.manager.is_empty())
}

/// What places mean on this computer, whatever is mounted.
fn names(site: &Site) -> Result<Namespace, Failure> {
    Ok(Namespace::new(Facts {
        layout: site.layout.clone(),
        addresses: own_addresses()?,
        hostname: Host::parse(&host()).ok(),
        serving: site.serving.then(|| {
            let served = site.served.as_deref();
            served.unwrap_or(site.layout.root()).to_owned()
        }),
        manager: site.manager.clone(),
        present: Vec::new(),
        viewed: Vec::new(),
        dead: Vec::new(),
    }))
}

/// What a place is to the manager that is told of it: `REPO` under each of its names, which may be known as another
/// computer's here.
pub(crate) fn as_told(context: &Context, told: &Client, place: &Where) -> Where {
    let names = Site::load(&context.site).and_then(|site| names(&site));
    match names.map_or_else(|_| place.clone(), |names| names.meaning(place)) {
        Where::Host(host) => {
            let both = [host.to_string(), told.host().to_owned()];
            if known_twice(&both).is_empty() {
                Where::Host(host)
            } else {
                Where::Manager
            }
        }
        meaning => meaning,
    }
}

/// Helps whoever says an address as in a URL.
fn as_in_a_url(context: &Context, address: &str, error: RefError) -> Failure {
    let failure = Failure::from(error);
    let Some((host, port)) = of_url(address) else {
        return failure;
    };
    let (key, port) = match port {
        Some(port) => ("hint-port", port.to_string()),
        None => ("hint-url", String::new()),
    };
    let values = [("address", host.to_string().into()), ("port", port.into())];
    failure.with_hint(context.catalog.fmt(key, &values))
}

/// The computer and the port that a URL of a manager names, with or without what goes before them there.
fn of_url(text: &str) -> Option<(Host, Option<u16>)> {
    let authority = match text.split_once("://") {
        Some(("https" | "http", rest)) => rest.split('/').next()?,
        Some(_) => return None,
        None => text,
    };
    // Some put every address in brackets.
    let host = |text: &str| {
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        let host = Host::parse(text).or_else(|error| bare.map_or(Err(error), Host::parse));
        host.ok()
    };
    let with_port = authority.rsplit_once(':').and_then(|(name, port)| {
        let port = port.parse().ok()?;
        Some((host(name)?, Some(port)))
    });
    with_port.or_else(|| Some((host(authority)?, None)))
}

/// Of a server the source says enough.
fn is_of_a_disk(facts: &MountFacts) -> bool {
    Protocol::of_type(&facts.fs_type) == Protocol::File
}

fn same_directory(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let number = |path| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.dev(), meta.ino()))
    };
    number(one).is_some_and(|found| number(other) == Some(found))
}

#[cfg(test)]
mod tests {
    use super::of_url;

    #[test]
    fn the_computer_in_a_url_is_seen() {
        for (text, host, port) in [
            ("10.0.0.1:7444", "10.0.0.1", Some(7444)),
            ("[10.0.0.1]:7444", "10.0.0.1", Some(7444)),
            ("[10.0.0.1]", "10.0.0.1", None),
            ("[fd00::1]:7444", "[fd00::1]", Some(7444)),
            ("https://[fd00::1]", "[fd00::1]", None),
            ("https://10.0.0.1", "10.0.0.1", None),
            ("https://10.0.0.1:7444/v1/ca", "10.0.0.1", Some(7444)),
            ("http://Manager.room/", "manager.room", None),
        ] {
            let (found, at) = of_url(text).unwrap();
            assert_eq!((found.to_string().as_str(), at), (host, port), "{text}");
        }
        for text in [
            "smb://nas/images",
            "https://",
            "https:///x",
            "aula1/win",
            "10.0.0.1:x",
        ] {
            assert!(of_url(text).is_none(), "{text}");
        }
    }
}
