//! `azud image history IMAGE`.

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
    /// Lists the former versions.
    ///
    /// # Errors
    /// When the trash cannot be read.
    pub fn run(&self, _: &Context) -> Result<(), Failure> {
        Err(unfinished(&format!("{self:?}")))
    }
}
