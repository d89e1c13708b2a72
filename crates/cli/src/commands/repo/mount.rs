//! `azud repo mount ADDRESS`.

use std::fs;
use std::path::Path;

use azud_core::code::Code;
use azud_core::reference::Where;
use azud_disk::DiskError;
use azud_disk::credentials::Credentials;
use azud_disk::mounting::Mounted;
use azud_disk::remote::{Protocol, Remote, State, state, withdraw};
use serde_json::json;

use super::Goal;
use super::access::{Access, How};
use super::known::Register;
use super::manager::{Way, known_otherwise};
use super::view;
use crate::args::Writing;
use crate::commands::Context;
use crate::confirm::{Step, settle};
use crate::failure::Failure;
use crate::in_step::follow;
use crate::plan::Plan;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The computer.
    pub address: String,
    /// How it is reached.
    #[command(flatten)]
    pub access: Access,
    /// What of a manager.
    #[command(flatten)]
    pub way: Way,
    /// Let every user of this computer read a view.
    #[arg(long)]
    pub for_all: bool,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Mounts a repository.
    ///
    /// # Errors
    /// When its server, the kernel or a helper refuses. Then nothing stays mounted.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let goal = Goal::of(context, &self.address)?;
        let (host, at) = (&goal.host, &goal.at);
        let register = Register::read()?;
        let is_said = self.access.protocol.is_some() || self.access.path.is_some();
        if let Some(hint) =
            known_otherwise(context, &Where::Host(host.clone())).filter(|_| !is_said)
        {
            return Err(Failure::new(Code::UnknownRepo, host.to_string()).with_hint(hint));
        }
        let known = self.access.over(register.find(&host.to_string()), host);
        let plan = known.rows(Plan::new("repo-mount"));
        let plan = plan.text("mount-point", at.display().to_string());
        if known.protocol == How::Http {
            return view::mount(context, &goal, (self, &known), &plan);
        }
        if self.for_all {
            let hint = context.catalog.text("hint-for-all");
            return Err(Failure::new(Code::Usage, "--for-all").with_hint(hint));
        }
        let wanted = known.ways(host, None)?;
        for way in wanted.iter().filter(|way| way.protocol == Protocol::File) {
            if !Path::new(way.path).is_dir() {
                let hint = context.catalog.text("repo-no-directory");
                return Err(Failure::new(Code::NoShare, way.path).with_hint(hint));
            }
        }
        wanted.iter().try_for_each(Remote::check)?;
        let shown = |way: &Remote<'_>| Shown::of((&known.address, at), way);
        if goal.is_mounted() && state(at) == State::Mounted {
            let way = goal.mounted_by(&wanted);
            let way = way.ok_or_else(|| goal.taken(context))?;
            show(context, &shown(way), "result-repo-mounted");
            return Ok(());
        }
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        let credentials = match (self.access.secret()?, &known.credentials) {
            (Some((user, password)), _) => Some(Credentials::passing(user, &password)?),
            (None, Some(file)) => Some(Credentials::given(file)?),
            (None, None) => None,
        };
        if goal.is_mounted() && state(at) != State::Mounted {
            withdraw(at)?;
        }
        let ways = known.ways(host, credentials.as_ref())?;
        let (mounted, way) = first(&ways, at)?;
        // What cannot be read is of no use; it goes away with its guard.
        fs::read_dir(mounted.at()).map_err(|error| Failure::io(at, &error))?;
        mounted.keep();
        follow(context);
        show(context, &shown(way), "result-repo-mount");
        Ok(())
    }
}

/// What is mounted, as people and programs are told of it.
pub(super) struct Shown<'a> {
    pub(super) address: &'a str,
    pub(super) at: &'a Path,
    pub(super) protocol: &'static str,
    pub(super) source: String,
    pub(super) read_only: bool,
}

impl<'a> Shown<'a> {
    fn of((address, at): (&'a str, &'a Path), way: &Remote<'_>) -> Self {
        Self {
            address,
            at,
            protocol: way.protocol.as_str(),
            source: way.source().to_string_lossy().into_owned(),
            read_only: !way.write,
        }
    }
}

/// Where it is, whoever mounted it.
pub(super) fn show(context: &Context, shown: &Shown<'_>, key: &str) {
    let value = json!({
        "action": "repo-mount",
        "address": shown.address,
        "at": shown.at,
        "protocol": shown.protocol,
        "source": shown.source,
        "read_only": shown.read_only,
    });
    context.output.result(&value, || {
        let values = [("at", shown.at.display().to_string().into())];
        context.catalog.fmt(key, &values)
    });
}

/// Mounts by the first way that works. Of several failures the one is told that came closest: of a server
/// that answers, if any did.
fn first<'a>(ways: &'a [Remote<'a>], at: &Path) -> Result<(Mounted, &'a Remote<'a>), Failure> {
    let mut told: Option<DiskError> = None;
    for way in ways {
        match way.mount(at) {
            Ok(mounted) => return Ok((mounted, way)),
            Err(error) => {
                let closer = told
                    .as_ref()
                    .is_none_or(|told| told.code() == Code::Unreachable);
                if closer {
                    told = Some(error);
                }
            }
        }
    }
    let nothing = || {
        Failure::new(
            Code::UnknownRepo,
            Protocol::SERVERS.map(Protocol::as_str).join(", "),
        )
    };
    Err(told.map_or_else(nothing, Failure::from))
}
