//! `azud image …`: one file per verb.

pub mod copy;
pub mod create;
pub mod diff;
pub mod export;
pub mod history;
pub mod import;
pub mod info;
pub mod list;
pub mod restore;
pub mod rm;
pub mod rollback;
pub mod sign;
pub mod verify;

use clap::Subcommand;

use super::Context;
use crate::failure::Failure;

/// What can be done with images.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Captures a device.
    Create(create::Args),
    /// Restores a device.
    Restore(restore::Args),
    /// Describes an image.
    Info(info::Args),
    /// Checks an image.
    Verify(verify::Args),
    /// Lists images.
    List(list::Args),
    /// Compares two images.
    Diff(diff::Args),
    /// Lists former versions.
    History(history::Args),
    /// Brings a former version back.
    Rollback(rollback::Args),
    /// Signs an image.
    Sign(sign::Args),
    /// Moves an image to the trash.
    Rm(rm::Args),
    /// Copies an image.
    Copy(copy::Args),
    /// Converts to another format.
    Export(export::Args),
    /// Converts from another format.
    Import(import::Args),
}

impl Verb {
    /// Runs it.
    ///
    /// # Errors
    /// Whatever kept it from being done.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Create(args) => args.run(context),
            Self::Restore(args) => args.run(context),
            Self::Info(args) => args.run(context),
            Self::Verify(args) => args.run(context),
            Self::List(args) => args.run(context),
            Self::Diff(args) => args.run(context),
            Self::History(args) => args.run(context),
            Self::Rollback(args) => args.run(context),
            Self::Sign(args) => args.run(context),
            Self::Rm(args) => args.run(context),
            Self::Copy(args) => args.run(context),
            Self::Export(args) => args.run(context),
            Self::Import(args) => args.run(context),
        }
    }
}
