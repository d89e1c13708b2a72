//! `azud image restore IMAGE|- DEVICE`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::unfinished;
use crate::args::{Special, Writing, path_or};
use crate::commands::Context;
use crate::failure::Failure;

/// What becomes of space that the image does not use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Unused {
    /// It stays as it is.
    Leave,
    /// The device is told that it holds nothing.
    Discard,
    /// It reads as zeros.
    Zero,
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image, or standard input.
    #[arg(value_parser = path_or("-"))]
    pub image: Special,
    /// Device or file to write.
    pub device: PathBuf,
    /// Write only blocks that differ.
    #[arg(long)]
    pub changed_only: bool,
    /// Read the medium again.
    #[arg(long)]
    pub read_back: bool,
    /// What becomes of unused space.
    #[arg(long, value_name = "HOW", default_value = "leave")]
    unused: Unused,
    /// Short for `--unused discard`.
    #[arg(long, conflicts_with = "unused")]
    discard: bool,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// What becomes of space that the image does not use.
    pub fn unused(&self) -> Unused {
        if self.discard {
            Unused::Discard
        } else {
            self.unused
        }
    }
}

impl Args {
    /// Restores the image.
    ///
    /// # Errors
    /// When image or target are refused, damaged or fail.
    pub fn run(&self, _: &Context) -> Result<(), Failure> {
        Err(unfinished(&format!("{self:?}")))
    }
}
