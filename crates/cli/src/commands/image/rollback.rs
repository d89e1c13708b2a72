//! `azud image rollback IMAGE [VERSION]`.

use std::path::PathBuf;

use super::unfinished;
use crate::args::Writing;
use crate::commands::Context;
use crate::failure::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image.
    pub image: PathBuf,
    /// The version, by default the last one.
    pub version: Option<String>,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Brings the version back.
    ///
    /// # Errors
    /// When there is no such version.
    pub fn run(&self, _: &Context) -> Result<(), Failure> {
        Err(unfinished(&format!("{self:?}")))
    }
}
