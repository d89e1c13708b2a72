//! `azud image import FOREIGN IMAGE`.

use std::path::PathBuf;

use super::unfinished;
use crate::args::Writing;
use crate::args::size::level;
use crate::commands::Context;
use crate::failure::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image of another program.
    pub foreign: PathBuf,
    /// Image to write.
    pub image: PathBuf,
    /// Compression level.
    #[arg(long, short, value_name = "N", value_parser = level, default_value_t = azud_image::DEFAULT_LEVEL)]
    pub level: i32,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Makes a native image of the foreign one.
    ///
    /// # Errors
    /// When the source is damaged or of no known format.
    pub fn run(&self, _: &Context) -> Result<(), Failure> {
        Err(unfinished(&format!("{self:?}")))
    }
}
