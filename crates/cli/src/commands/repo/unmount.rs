//! `azud repo unmount ADDRESS`.

use std::time::Duration;

use azud_disk::DiskError;
use azud_disk::mounting::unmount;
use azud_disk::remote::{PATIENCE, State, state_within, withdraw};
use serde_json::json;

use super::Goal;
use crate::args::Writing;
use crate::commands::Context;
use crate::confirm::{Step, settle};
use crate::failure::Failure;
use crate::in_step::follow;
use crate::plan::{Plan, Value};

/// A view says in this time how it is, or its manager is not there.
const OF_VIEW: Duration = Duration::from_secs(2);

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The computer.
    pub address: String,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Unmounts a repository; one whose server is gone is taken out of the way.
    ///
    /// # Errors
    /// When it is not mounted, or in use.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let goal = Goal::of(context, &self.address)?;
        if !goal.is_mounted() {
            return Err(DiskError::NotMounted { at: goal.at }.into());
        }
        let at = goal.at.as_path();
        let is_view = goal.there().is_some_and(|there| there.is_view());
        let patience = if is_view { OF_VIEW } else { PATIENCE };
        let state = state_within(patience, at);
        let plan = Plan::new("repo-unmount")
            .text("mount-point", at.display().to_string())
            .row("state", Value::Word(state.as_str()));
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        if matches!(state, State::Mounted | State::Refused) {
            unmount(at)?;
        } else {
            withdraw(at)?;
        }
        // Whatever lies in the directory below stays.
        let _ = std::fs::remove_dir(at);
        goal.withdraw_names();
        let value = json!({ "action": "repo-unmount", "at": at });
        follow(context);
        let done = || context.catalog.text("result-repo-unmount");
        context.output.result(&value, done);
        Ok(())
    }
}
