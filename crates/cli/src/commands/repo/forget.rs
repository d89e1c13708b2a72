//! `azud repo forget ADDRESS`.

use std::fs;
use std::path::PathBuf;

use azud_core::code::Code;
use azud_core::reference::Host;
use serde_json::json;

use super::Goal;
use super::known::{Known, Register, remove, settings};
use super::login;
use super::manager::files;
use crate::args::Writing;
use crate::commands::Context;
use crate::confirm::{Step, settle};
use crate::failure::Failure;
use crate::plan::{Plan, Value};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The computer.
    pub address: String,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

/// What is kept of a repository.
struct Kept {
    address: String,
    known: Option<Known>,
    /// Files that Azud wrote for it.
    files: Vec<PathBuf>,
}

impl Args {
    /// Takes away what `repo add` and `login` wrote of a repository. No image is touched.
    ///
    /// # Errors
    /// When it is not known, or mounted.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let (kept, goal) = self.meant(context)?;
        let kept = kept.ok_or_else(|| {
            let hint = context.catalog.text("hint-not-known");
            Failure::new(Code::UnknownRepo, self.address.as_str()).with_hint(hint)
        })?;
        if let Some(goal) = goal.filter(Goal::is_mounted) {
            return Err(goal.taken(context));
        }
        let plan = login::outlives(context, kept.plan(), (&kept.address, "login-outlives"));
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        kept.forget()?;
        let value = json!({
            "action": "repo-forget",
            "address": kept.address,
            "removed": kept.files,
        });
        context
            .output
            .result(&value, || context.catalog.text("result-repo-forget"));
        Ok(())
    }

    /// What is kept of the address that is meant, and its place. One that is known as it was typed is meant also where
    /// the name has become another of the manager's, or this computer's own.
    fn meant(&self, context: &Context) -> Result<(Option<Kept>, Option<Goal>), Failure> {
        let typed = Host::parse(&self.address).ok();
        let typed = typed.map(|host| Kept::of(host.to_string())).transpose()?;
        match (typed.flatten(), Goal::of(context, &self.address)) {
            (Some(kept), Ok(goal)) => Ok((Some(kept), Some(goal))),
            (None, Ok(goal)) => Ok((Kept::of(goal.host.to_string())?, Some(goal))),
            (Some(kept), Err(failure)) if failure.code == Code::BadPlace => Ok((Some(kept), None)),
            (_, Err(failure)) => Err(failure),
        }
    }
}

/// What `repo add` and `login` wrote of a manager.
pub(super) fn of_manager(address: &str) -> Vec<PathBuf> {
    let (pem, token) = files(address);
    let mut files = vec![token, login::file(address), pem];
    files.retain(|file| fs::symlink_metadata(file).is_ok());
    files
}

/// The password for a server: only one that came by `--password-stdin` is in a file of ours.
pub(super) fn password(known: &Known) -> Option<PathBuf> {
    let ours = password_file(&known.address);
    let is_ours = known.credentials.as_ref() == Some(&ours);
    (is_ours && fs::symlink_metadata(&ours).is_ok()).then_some(ours)
}

/// Where it is kept.
pub(super) fn password_file(address: &str) -> PathBuf {
    settings().join("credentials").join(address)
}

/// Names in a plan the files that go.
pub(super) fn removing(plan: Plan, files: &[PathBuf]) -> Plan {
    if files.is_empty() {
        return plan;
    }
    let names = files.iter().map(|file| file.display().to_string());
    let text = names.collect::<Vec<_>>().join(", ");
    let json = json!(files);
    plan.row("removed-files", Value::Made { text, json })
}

impl Kept {
    /// What is kept of an address, if anything is.
    fn of(address: String) -> Result<Option<Self>, Failure> {
        let known = Register::read()?.find(&address).cloned();
        let mut files = of_manager(&address);
        files.extend(known.as_ref().and_then(password));
        let is_any = known.is_some() || !files.is_empty();
        Ok(is_any.then_some(Self {
            address,
            known,
            files,
        }))
    }

    fn plan(&self) -> Plan {
        let plan = Plan::new("repo-forget");
        let plan = match &self.known {
            Some(known) => known.rows(plan),
            // An earlier run was cut short.
            None => plan.text("address", &self.address),
        };
        removing(plan, &self.files)
    }

    /// The secrets go first: who is cut short finds the address again and can repeat it.
    fn forget(&self) -> Result<(), Failure> {
        for file in &self.files {
            remove(file)?;
        }
        if self.known.is_some() {
            Register::change(|register| register.remove(&self.address))?;
        }
        Ok(())
    }
}
