//! `azud image rm IMAGE`.

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
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Moves the image to the trash.
    ///
    /// # Errors
    /// When there is none or it is being written.
    pub fn run(&self, _: &Context) -> Result<(), Failure> {
        Err(unfinished(&format!("{self:?}")))
    }
}
