//! `azud repo add ADDRESS`.

use std::path::PathBuf;

use azud_core::code::Code;
use azud_disk::credentials::Credentials;
use serde_json::json;

use super::Goal;
use super::access::{Access, How};
use super::forget::{of_manager, password, password_file, removing};
use super::known::{Register, remove};
use super::login::outlives;
use super::manager::{Way, known};
use crate::args::Writing;
use crate::commands::Context;
use crate::confirm::{Asking, Step, settle, settle_asking};
use crate::failure::Failure;
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
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Remembers how a repository is reached.
    ///
    /// # Errors
    /// When the settings cannot be written, or a secret is open to others.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let host = Goal::of(context, &self.address)?.host;
        if self.is_manager()? {
            return self.add_manager(context, &host.to_string());
        }
        let register = Register::read()?;
        let mut known = self.access.over(None, &host);
        let file = password_file(&known.address);
        if self.access.password_stdin {
            known.credentials = Some(file.clone());
        } else if let Some(given) = &known.credentials {
            Credentials::given(given)?;
        }
        let former = register.find(&known.address);
        // Nobody is to find secrets of what it is no longer.
        let mut retired = of_manager(&known.address);
        retired.extend(former.and_then(password));
        retired.retain(|file| known.credentials.as_ref() != Some(file));
        let mut plan = removing(known.rows(Plan::new("repo-add")), &retired);
        let is_manager = former.is_some_and(|former| former.protocol == How::Http);
        if is_manager {
            let address = [("address", known.address.as_str().into())];
            plan = plan.warning(&context.catalog, "no-manager-then", &address);
        }
        let step = if is_manager {
            let asking = Asking::replacing(&known.address);
            settle_asking(context, &plan, self.writing, asking)?
        } else {
            settle(context, &plan, self.writing)
        };
        if step == Step::Stop {
            return Ok(());
        }
        if let Some((user, password)) = self.access.secret()? {
            Credentials::kept(&file, user, &password)?;
        }
        retired.iter().try_for_each(|file| remove(file))?;
        let value = json!({ "action": "repo-add", "repository": known, "removed": retired });
        Register::change(|register| register.add(known))?;
        let done = || context.catalog.text("result-repo-add");
        context.output.result(&value, done);
        Ok(())
    }

    /// Whether a manager is meant: what only managers have says it too.
    fn is_manager(&self) -> Result<bool, Failure> {
        let way = &self.way;
        let said = [
            ("--port", way.port.is_some()),
            ("--pin", way.pin.is_some()),
            ("--token-file", way.token_file.is_some()),
        ];
        let said = said
            .iter()
            .find_map(|(option, said)| said.then_some(*option));
        match (self.access.protocol, said) {
            (Some(How::Http), _) | (None, Some(_)) => Ok(true),
            (_, None) => Ok(false),
            (Some(other), Some(option)) => {
                let both = format!("--protocol {} {option}", other.as_str());
                Err(Failure::new(Code::Usage, both))
            }
        }
    }

    /// Remembers a manager, once it has shown who it is and taken the token.
    fn add_manager(&self, context: &Context, host: &str) -> Result<(), Failure> {
        let introduced = self.way.introduce(host)?;
        // Who was not compared yet gets no token.
        let is_sure = self.way.pin.is_some() || introduced.is_kept();
        if is_sure {
            introduced.check()?;
        }
        let known = known(host, self.way.port);
        let mut retired: Vec<PathBuf> = introduced.retired().into_iter().collect();
        retired.extend(Register::read()?.find(host).and_then(password));
        let plan = known
            .rows(Plan::new("repo-add"))
            .text("pin", &introduced.pin);
        let plan = removing(plan, &retired);
        let mut plan = outlives(context, plan, (host, "login-replaced"));
        if self.way.pin.is_none() {
            plan = plan.warning(&context.catalog, "not-pinned", &[]);
        }
        let lesser = introduced.lesser();
        if let Some((before, now)) = lesser {
            let values = [
                ("address", host.into()),
                ("before", before.as_str().into()),
                ("now", now.as_str().into()),
            ];
            plan = plan.warning(&context.catalog, "lesser-token", &values);
        }
        // A pin that was not said has to be looked at by somebody.
        let step = if self.way.pin.is_some() && lesser.is_some() {
            settle_asking(context, &plan, self.writing, Asking::replacing(host))?
        } else if self.way.pin.is_some() {
            settle(context, &plan, self.writing)
        } else {
            settle_asking(context, &plan, self.writing, Asking::pin(host)).map_err(|failure| {
                let pin = [("pin", introduced.pin.as_str().into())];
                failure.with_hint(context.catalog.fmt("hint-pin", &pin))
            })?
        };
        if step == Step::Stop {
            return Ok(());
        }
        if !is_sure {
            introduced.check()?;
        }
        introduced.keep()?;
        retired.iter().try_for_each(|file| remove(file))?;
        let value = json!({ "action": "repo-add", "repository": known, "pin": introduced.pin });
        Register::change(|register| register.add(known))?;
        context
            .output
            .result(&value, || context.catalog.text("result-repo-add"));
        Ok(())
    }
}
