//! `azud serve`.

mod settings;

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use azud_core::access::NamePattern;
use azud_core::code::Code;
use azud_core::reference::Host;
use azud_disk::machine::is_root;
use azud_disk::own_addresses;
use azud_server::{Options, Ready, Role, check_state, serve};
use fluent_bundle::FluentValue;
use serde_json::json;

use super::Context;
use super::image::rollback::ReadWhole;
use super::token::pattern;
use crate::args::size::{duration, size, whole};
use crate::failure::Failure;
use crate::human;
use crate::interrupt;
use crate::opened::host;
use crate::place::{self, MountedHere};
use crate::site::{Serve, Site, config_file};
use crate::table;

/// The manager's port.
pub(crate) const PORT: u16 = 7443;

/// In seconds.
const DAY: u64 = 24 * 60 * 60;

/// Where a manager keeps what is its own.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct State {
    /// Its directory.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl State {
    /// Whether the command line says it.
    pub(super) fn is_said(&self) -> bool {
        self.state.is_some()
    }

    /// What was said, else where such things belong. What is there is a directory.
    pub(crate) fn dir(&self) -> Result<PathBuf, Failure> {
        let dir = self.named()?;
        // A link to nothing is there, too: nothing can be made in its place.
        let is_link = || fs::symlink_metadata(&dir).is_ok_and(|there| there.is_symlink());
        let is_other = match fs::metadata(&dir) {
            Ok(there) => !there.is_dir(),
            Err(error) => error.kind() == ErrorKind::NotFound && is_link(),
        };
        if is_other {
            let path = dir.display().to_string();
            let failure = Failure::new(Code::BadConfig, format!("{path} is no directory"));
            return Err(failure.in_words("state-no-directory", [("path", path)]));
        }
        Ok(dir)
    }

    fn named(&self) -> Result<PathBuf, Failure> {
        if let Some(dir) = self.state.clone().or_else(|| variable("AZUD_STATE")) {
            return Ok(dir);
        }
        if let Some(dir) = Serve::load()?.state {
            return Ok(dir);
        }
        if is_root() {
            return Ok(OF_ROOT.into());
        }
        of_user().ok_or_else(|| Failure::new(Code::Usage, "--state"))
    }

    /// The same where a manager has its state already. Where none has, those that there are elsewhere are named.
    pub(crate) fn of_manager(&self, context: &Context) -> Result<PathBuf, Failure> {
        let dir = self.dir()?;
        let failure = match check_state(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) => Failure::from(error),
        };
        let others: Vec<String> = elsewhere(&dir)
            .iter()
            .map(|other| other.display().to_string())
            .collect();
        if failure.code != Code::NoState || others.is_empty() {
            return Err(failure);
        }
        let others = [("states", others.join(", ").into())];
        Err(failure.with_hint(context.catalog.fmt("hint-other-states", &others)))
    }
}

/// Where the state of a manager lies that root runs.
const OF_ROOT: &str = "/var/lib/azud";

fn variable(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty());
    value.map(PathBuf::from)
}

/// Where it lies of one that this user runs.
fn of_user() -> Option<PathBuf> {
    let home = || Some(variable("HOME")?.join(".local/state"));
    Some(variable("XDG_STATE_HOME").or_else(home)?.join("azud"))
}

/// States of managers in other places that are usual. One that cannot be looked into may be one.
fn elsewhere(dir: &Path) -> Vec<PathBuf> {
    let of_file = Serve::load().ok().and_then(|serve| serve.state);
    let usual = [variable("AZUD_STATE"), of_file, Some(OF_ROOT.into())];
    let usual = usual.into_iter().chain([of_user()]).flatten();
    let is_state = |other: &PathBuf| {
        let checked = check_state(other);
        checked.map_or_else(|error| error.code() == Code::Permission, |()| true)
    };
    let mut found: Vec<PathBuf> = usual.filter(|it| it != dir && is_state(it)).collect();
    found.sort();
    found.dedup();
    found
}

/// Arguments.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Where the images lie.
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Addresses to listen on.
    #[arg(long, value_name = "ADDRESS", value_parser = settings::address)]
    listen: Vec<SocketAddr>,
    /// Images that neighbours, swarms and sessions are not to give.
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    https_only: Vec<NamePattern>,
    /// Take nothing from anybody: whoever has a token reads, and that is all.
    #[arg(long)]
    read_only: bool,
    /// How long a client may stand still.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    patience: Option<Duration>,
    /// Days that former versions of images stay.
    #[arg(long, value_name = "N", value_parser = whole)]
    keep_days: Option<u32>,
    /// Space that they may take in a folder.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    keep_bytes: Option<u64>,
    /// Where it keeps what is its own.
    #[command(flatten)]
    state: State,
}

impl Args {
    /// Serves until it is told to end.
    ///
    /// # Errors
    /// When it cannot listen, or images or state cannot be read.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let site = Site::load(&context.site)?;
        let file = Serve::load()?;
        let images = self.images(context, &site, &file)?;
        let listen = self.listen(variable("AZUD_LISTEN").map(PathBuf::into), &file)?;
        refuse_other(&images)?;
        let state = self.state.dir()?;
        let read_only = self.reads_out(&file);
        // Where a client helps its neighbours, REPO is their manager.
        let helps = read_only && !site.serving;
        let elsewhere = (!helps).then(|| elsewhere_here(context, &images));
        let elsewhere = elsewhere.flatten();
        let mut addresses = own_addresses()?;
        addresses.extend(
            listen
                .iter()
                .map(SocketAddr::ip)
                .filter(|ip| !ip.is_unspecified()),
        );
        addresses.extend(
            ["127.0.0.1", "::1"]
                .iter()
                .filter_map(|text| text.parse::<IpAddr>().ok()),
        );
        let own = Host::parse(&host()).ok().map(|host| host.to_string());
        let options = Options {
            listen,
            names: own.into_iter().chain(["localhost".to_owned()]).collect(),
            images,
            patience: self.patience(&file)?,
            state,
            addresses,
            read_only,
            retention: self.keeping(&file)?.rules(),
            https_only: self.secluded(&file)?,
            mounts: Arc::new(MountedHere::on(site)),
            checks: Arc::new(ReadWhole),
            // What systemd is shown it keeps, for more than root to read.
            first_token: std::env::var_os("JOURNAL_STREAM").is_none(),
        };
        // A signal is the server's: it lets answers under way end.
        interrupt::begin_work();
        Ok(serve(&options, |ready| {
            show(context, (&options, elsewhere.as_deref()), ready);
        })?)
    }
}

/// Refuses to serve what is no directory. What else is wrong with one is told when it is opened.
fn refuse_other(images: &Path) -> Result<(), Failure> {
    match fs::metadata(images) {
        Ok(there) if !there.is_dir() => {
            let path = images.display().to_string();
            let failure = Failure::new(Code::NotAFile, format!("{path} is no directory"));
            Err(failure.in_words("images-no-directory", [("path", path)]))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(place::no_directory(images)),
        _ => Ok(()),
    }
}

/// That `REPO:` means something else on this computer than what is served, and how it comes to mean that.
fn elsewhere_here(context: &Context, images: &Path) -> Option<String> {
    let images = images.canonicalize().ok()?;
    let (key, there) = match place::folder(context, Path::new("REPO:")) {
        Ok(there) if there.canonicalize().is_ok_and(|it| it == images) => return None,
        Ok(there) => ("serve-repo-elsewhere", there),
        Err(failure) if failure.code == Code::NoManager => ("serve-repo-nothing", PathBuf::new()),
        Err(_) => return None,
    };
    let text = |path: &Path| path.display().to_string().into();
    let values = [
        ("there", text(&there)),
        ("images", text(&images)),
        ("config", text(&config_file())),
    ];
    Some(context.catalog.fmt(key, &values))
}

fn show(context: &Context, (options, elsewhere): (&Options, Option<&str>), ready: &Ready) {
    let (images, retention) = (&options.images, &options.retention);
    let days = retention.max_age.as_secs() / DAY;
    let listen: Vec<String> = ready.listen.iter().map(SocketAddr::to_string).collect();
    let first = ready.first.as_ref();
    let of = |role| {
        let first = first.filter(|(it, _)| *it == role);
        first.map(|(_, secret)| secret.text())
    };
    let (admin, read) = (of(Role::Admin), of(Role::Read));
    let value = json!({
        "action": "serve",
        "images": images,
        "listen": listen,
        "pin": ready.pin,
        "admin_token": admin,
        "read_token": read,
        "keep_days": days,
        "keep_bytes": retention.max_bytes,
        "read_only": options.read_only,
        "may_write": ready.may_write,
    });
    context.output.result(&value, || {
        let label = |key: &str| context.catalog.text(&format!("label-{key}"));
        let mut rows = vec![
            (label("images-at"), images.display().to_string()),
            (label("listen"), listen.join(", ")),
            (label("pin"), ready.pin.clone()),
        ];
        if !options.read_only {
            rows.push((label("keeps"), kept(context, days, retention.max_bytes)));
        }
        let tokens = [("admin-token", admin), ("read-token", read)];
        let tokens = tokens.into_iter();
        rows.extend(tokens.filter_map(|(key, token)| Some((label(key), token?.to_owned()))));
        let head = context.catalog.text("result-serve");
        let mut lines = vec![head, table::rows(&rows)];
        if first.is_some() {
            lines.push(context.catalog.text("serve-first"));
        }
        let is_private = |address: &SocketAddr| address.ip().is_loopback();
        if ready.listen.iter().all(is_private) {
            lines.push(context.catalog.text("serve-loopback"));
        } else if first.is_some() {
            lines.push(
                context
                    .catalog
                    .fmt("serve-clients", &met_at(options, ready)),
            );
        }
        if !options.read_only && !ready.may_write {
            let images = [("images", images.display().to_string().into())];
            lines.push(context.catalog.fmt("serve-may-not-write", &images));
        }
        lines.extend(elsewhere.map(str::to_owned));
        lines.join("\n")
    });
}

/// Where clients meet it: an address that they reach, the port where it is not the usual one, the fingerprint.
fn met_at(options: &Options, ready: &Ready) -> [(&'static str, FluentValue<'static>); 3] {
    let listen = ready.listen.iter();
    let open = listen.filter(|at| !at.ip().is_loopback());
    let at = open.chain(&ready.listen).next();
    let is_far = |ip: &&IpAddr| !ip.is_loopback() && !ip.is_unspecified();
    let own = options.addresses.iter().find(is_far);
    let said = at.map(SocketAddr::ip).filter(|ip| !ip.is_unspecified());
    let address = said.or(own.copied()).unwrap_or(Ipv4Addr::LOCALHOST.into());
    let address = Host::Address(address).to_string();
    let port = at.map(SocketAddr::port).filter(|port| *port != PORT);
    let port = port.map(|port| format!(" --port {port}"));
    [
        ("address", address.into()),
        ("port", port.unwrap_or_default().into()),
        ("pin", ready.pin.clone().into()),
    ]
}

/// How long former versions stay, in words.
fn kept(context: &Context, days: u64, bytes: Option<u64>) -> String {
    let most = bytes.map(human::bytes);
    let values = [
        ("days", days.into()),
        ("bounded", most.is_some().to_string().into()),
        ("size", most.unwrap_or_default().into()),
    ];
    context.catalog.fmt("former-kept", &values)
}
