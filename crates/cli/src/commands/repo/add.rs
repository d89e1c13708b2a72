//! `azud repo add ADDRESS`.

use azud_disk::credentials::Credentials;
use serde_json::json;

use super::Goal;
use super::access::Access;
use super::known::{Register, settings};
use crate::args::Writing;
use crate::commands::Context;
use crate::confirm::{Step, settle};
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
        let mut register = Register::read()?;
        let mut known = self.access.over(None, &host);
        let file = settings().join("credentials").join(host.to_string());
        if self.access.password_stdin {
            known.credentials = Some(file.clone());
        } else if let Some(given) = &known.credentials {
            Credentials::given(given)?;
        }
        let plan = known.rows(Plan::new("repo-add"));
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        if let Some((user, password)) = self.access.secret()? {
            Credentials::kept(&file, user, &password)?;
        }
        let value = json!({ "action": "repo-add", "repository": known });
        register.add(known);
        register.write()?;
        let done = || context.catalog.text("result-repo-add");
        context.output.result(&value, done);
        Ok(())
    }
}
