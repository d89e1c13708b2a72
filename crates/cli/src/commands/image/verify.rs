//! `azud image verify IMAGE`.

use std::path::PathBuf;

use super::unfinished;
use crate::commands::Context;
use crate::failure::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image.
    pub image: PathBuf,
    /// Decode every frame as well.
    #[arg(long)]
    pub deep: bool,
}

impl Args {
    /// Checks the image.
    ///
    /// # Errors
    /// When it is damaged or cannot be read.
    pub fn run(&self, _: &Context) -> Result<(), Failure> {
        Err(unfinished(&format!("{self:?}")))
    }
}
