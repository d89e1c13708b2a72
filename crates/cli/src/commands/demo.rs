//! `azud demo`.

use std::path::PathBuf;

use super::Context;
use super::image::unfinished;
use crate::failure::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to work.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Keep what was made.
    #[arg(long)]
    pub keep: bool,
}

impl Args {
    /// Shows the whole story.
    ///
    /// # Errors
    /// When a step fails.
    pub fn run(&self, _: &Context) -> Result<(), Failure> {
        let Self { dir, keep } = self;
        Err(unfinished(&format!("demo {dir:?} {keep}")))
    }
}
