//! The repository manager: images over HTTP, with TLS and tokens from the first start on.
//!
//! Architecture invariants: asynchronous at the edge only (`listen`, `routes`), all that touches disks
//! runs on threads that may block; images are found by the store and nowhere else; a secret is kept as a hash.

mod allowed;
mod audit;
mod authority;
mod budget;
mod clock;
mod codes;
mod conditions;
mod error;
mod events;
mod far;
mod gate;
mod grant;
mod history;
mod indexes;
mod lasting;
mod library;
mod limits;
mod listen;
mod login;
mod metrics;
mod mounts;
mod openapi;
mod patience;
mod problem;
mod refusal;
mod reports;
mod rollback;
mod routes;
mod seclusion;
mod side;
mod state;
mod token;
mod upload;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Access, access};
use sd_notify::NotifyState;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

pub use azud_store::retention::Retention;
pub use codes::{CODE_LASTS, Codes, Promise};
pub use error::{Result, ServerError};
pub use mounts::{Mounts, NoMounts};
pub use reports::{FILE as ROOM_FILE, written as written_room};
pub use rollback::{Checks, Unsound};
pub use token::{Bounds, Role, Secret, Token, Tokens};

use audit::{Audit, audited};
use authority::Authority;
use azud_core::access::NamePattern;
use azud_core::reference::Host;
use clock::Rules;
use error::At;
use events::Events;
use indexes::Indexes;
use library::Library;
use limits::Bodies;
use reports::Reports;
use rollback::Rollbacks;
use seclusion::Seclusion;

/// What to serve, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the images lie.
    pub images: PathBuf,
    /// Where the manager keeps what is its own: authority, tokens.
    pub state: PathBuf,
    /// Where to listen, unless sockets are handed over (`LISTEN_FDS`).
    pub listen: Vec<SocketAddr>,
    /// Addresses by which clients reach it.
    pub addresses: Vec<IpAddr>,
    /// Names by which clients reach it.
    pub names: Vec<String>,
    /// A client that stands still for so long is cut.
    pub patience: Duration,
    /// Whether nothing is taken from anybody: images are read, and that is all.
    pub read_only: bool,
    /// Images that neighbours, swarms and sessions are not to give.
    pub https_only: Vec<NamePattern>,
    /// For how long former versions of images that are sent stay.
    pub retention: Retention,
    /// What others have that is mounted here.
    pub mounts: Arc<dyn Mounts>,
    /// Who knows what the bytes of an image should be.
    pub checks: Arc<dyn Checks>,
    /// Whether a first token is made and shown; not where what is shown is kept for many to read.
    pub first_token: bool,
}

/// A manager that listens.
#[derive(Debug)]
pub struct Ready {
    /// Where.
    pub listen: Vec<SocketAddr>,
    /// What clients pin: `sha256:` and the fingerprint of the authority.
    pub pin: String,
    /// The first token, at the first start, and what it allows.
    pub first: Option<(Role, Secret)>,
    /// Whether this account may write where the images lie.
    pub may_write: bool,
}

/// Refuses a directory that is not the state of a manager.
///
/// # Errors
/// [`ServerError::NoState`]; what the system says.
pub fn check_state(state: &Path) -> Result<()> {
    // It is there from the first start on, and nothing else makes it.
    if authority::is_in(state)? {
        return Ok(());
    }
    Err(ServerError::NoState(state.to_owned()))
}

/// Refuses a state in which others can read or replace what is secret.
///
/// # Errors
/// [`ServerError::Open`]; what the system says.
pub fn check_secrets(state: &Path) -> Result<()> {
    match state::open_to_others(state).at("look at", state)? {
        Some(path) => Err(ServerError::Open(path)),
        None => Ok(()),
    }
}

/// Serves until the process is told to end (SIGTERM, SIGINT). `ready` is called once it listens.
///
/// # Errors
/// When it cannot start.
pub fn serve(options: &Options, ready: impl FnOnce(&Ready)) -> Result<()> {
    state::prepare(&options.state).at("make", &options.state)?;
    check_secrets(&options.state)?;
    // Said before anybody asks for an image.
    azud_store::beneath::Beneath::open(&options.images)?;
    // An image has one path, whoever looks for it and however the root was named.
    let images = std::fs::canonicalize(&options.images).at("look at", &options.images)?;
    let may_write = access(&images, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    let authority = Authority::of(&options.state)?;
    let tls = authority.server(&options.addresses, &options.names)?;
    let runtime = Runtime::new().map_err(ServerError::Start)?;
    // Who cannot listen has not shown a token to anybody yet.
    let listeners = runtime.block_on(listen::bind(&options.listen))?;
    let tokens = Tokens::in_dir(&options.state);
    let first = first_token(&tokens, options).at("write", &options.state)?;
    let pin = authority.pin();
    let events = Arc::new(Events::new());
    let reports = Reports::open(&options.state, Arc::clone(&events), own(options));
    let audit = Audit::open(&options.state);
    let bodies = Arc::default();
    let library = library(options, images.clone(), &bodies);
    let rules = Rules::new(options.retention, &options.state);
    let shared = routes::Shared {
        library,
        tokens,
        authority: authority.pem().to_owned(),
        uploads: upload::Uploads::new(images, rules),
        rollbacks: Rollbacks::new(Arc::clone(&options.checks)),
        bodies,
        state: options.state.clone(),
        attempts: login::Attempts::default(),
        reports: Arc::clone(&reports),
        metrics: Arc::default(),
        read_only: options.read_only,
    };
    let api = audited(routes::api(shared), Arc::clone(&audit));
    let served = runtime.block_on(async {
        let stop = stopped().map_err(ServerError::Start)?;
        let stop = async move {
            stop.await;
            notify(NotifyState::Stopping);
            events.close();
        };
        let listen = listeners
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .collect();
        ready(&Ready {
            listen,
            pin,
            first,
            may_write,
        });
        notify(NotifyState::Ready);
        listen::serve(listeners, tls, (api, options.patience), stop).await;
        reports.keep();
        Ok(())
    });
    // Work that goes on ends first, and tells what it changed.
    drop(runtime);
    audit.close();
    served
}

/// What clients may call the manager.
fn own(options: &Options) -> Vec<Host> {
    let addresses = options.addresses.iter();
    let addresses = addresses.map(|address| Host::Address(address.to_canonical()));
    let names = options
        .names
        .iter()
        .filter_map(|name| Host::parse(name).ok());
    addresses.chain(names).collect()
}

/// What it has, whose indexes it begins to make.
fn library(options: &Options, images: PathBuf, bodies: &Arc<Bodies>) -> Arc<Library> {
    let indexes = Indexes::new(&options.state, Arc::clone(bodies));
    // Who takes nothing gives what it got from a manager.
    let seclusion = Seclusion::new(options.https_only.clone(), options.read_only);
    let mounts = Arc::clone(&options.mounts);
    let library = Arc::new(Library::new(images, indexes, (mounts, seclusion)));
    library.work_ahead();
    library
}

/// Tells a supervisor; where there is none nobody misses it.
fn notify(state: NotifyState<'_>) {
    let _ = sd_notify::notify(&[state]);
}

/// Makes the first token, if there is none at all and it may be shown.
fn first_token(tokens: &Tokens, options: &Options) -> std::io::Result<Option<(Role, Secret)>> {
    if !options.first_token || !tokens.list()?.is_empty() {
        return Ok(None);
    }
    // Where nothing can be changed, a token for more than reading would only be one to lose.
    let role = if options.read_only {
        Role::Read
    } else {
        Role::Admin
    };
    let (_, secret) = tokens.create(role, "first start", Bounds::default(), gate::now())?;
    Ok(Some((role, secret)))
}

/// Ends when the process is told to.
fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    Ok(async move {
        tokio::select! {
            _ = term.recv() => (),
            _ = int.recv() => (),
        }
    })
}
