//! `azud image list [DIR]`.

use std::path::PathBuf;

use super::unfinished;
use crate::commands::Context;
use crate::failure::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where they are.
    #[arg(default_value = ".")]
    pub dir: PathBuf,
}

impl Args {
    /// Lists the images.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn run(&self, _: &Context) -> Result<(), Failure> {
        Err(unfinished(&format!("{self:?}")))
    }
}
