//! `azud image export IMAGE --to FORMAT OUT`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::unfinished;
use crate::args::Writing;
use crate::commands::Context;
use crate::failure::Failure;

/// What to convert to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The device's bytes.
    Raw,
    /// A partclone image.
    Partclone,
    /// A virtual machine's disk.
    Qcow2,
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image.
    pub image: PathBuf,
    /// File to write.
    pub out: PathBuf,
    /// What to convert to.
    #[arg(long, value_name = "FORMAT")]
    pub to: Format,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Converts the image.
    ///
    /// # Errors
    /// When it is damaged or the file cannot be written.
    pub fn run(&self, _: &Context) -> Result<(), Failure> {
        Err(unfinished(&format!("{self:?}")))
    }
}
