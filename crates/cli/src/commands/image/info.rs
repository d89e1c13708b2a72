//! `azud image info IMAGE`.

use std::path::PathBuf;

use super::unfinished;
use crate::commands::Context;
use crate::failure::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image.
    pub image: PathBuf,
}

impl Args {
    /// Describes the image.
    ///
    /// # Errors
    /// When it cannot be read or is no image.
    pub fn run(&self, _: &Context) -> Result<(), Failure> {
        Err(unfinished(&format!("{self:?}")))
    }
}
