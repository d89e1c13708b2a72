//! `azud room …`: the computers that the manager knows of.

mod show;
pub mod status;

use clap::Subcommand;

use super::Context;
use crate::failure::Failure;

/// What can be done with a room.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Shows how every computer is.
    Status(status::Args),
}

impl Verb {
    /// Runs it.
    ///
    /// # Errors
    /// Whatever kept it from being done.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Status(args) => args.run(context),
        }
    }
}
