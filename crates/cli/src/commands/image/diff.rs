//! `azud image diff A B`.

use std::path::PathBuf;

use super::unfinished;
use crate::commands::Context;
use crate::failure::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The first image.
    pub a: PathBuf,
    /// The second image.
    pub b: PathBuf,
}

impl Args {
    /// Says what the images share.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn run(&self, _: &Context) -> Result<(), Failure> {
        Err(unfinished(&format!("{self:?}")))
    }
}
