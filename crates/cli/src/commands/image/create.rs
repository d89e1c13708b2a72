//! `azud image create DEVICE IMAGE`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::unfinished;
use crate::args::size::{level, size, whole};
use crate::args::{Special, Writing, path_or};
use crate::commands::Context;
use crate::failure::Failure;

/// Who reads the file system's map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// Azud itself.
    Native,
    /// partclone.
    Partclone,
}

/// What to do with a source that was not shut down cleanly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dirty {
    /// Take the whole device.
    Raw,
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Device or file to read.
    pub device: PathBuf,
    /// Image to write.
    pub image: PathBuf,
    /// Compression level.
    #[arg(long, short, value_name = "N", value_parser = level, default_value_t = azud_image::DEFAULT_LEVEL)]
    pub level: i32,
    /// Image whose frames are taken over; by default the one that `image` replaces.
    #[arg(long, value_name = "IMAGE", value_parser = path_or("none"))]
    pub base: Option<Special>,
    /// Who reads the map; by default Azud itself, partclone for what it does not know.
    #[arg(long)]
    pub engine: Option<Engine>,
    /// Capture a dirty source whole.
    #[arg(long, value_name = "HOW")]
    pub dirty: Option<Dirty>,
    /// Keep the content of page and hibernation files.
    #[arg(long)]
    pub keep_pagefile: bool,
    /// Read the image again.
    #[arg(long)]
    pub read_back: bool,
    /// Days that former versions are kept.
    #[arg(long, value_name = "N", value_parser = whole)]
    pub keep_days: Option<u32>,
    /// Space that former versions may take.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub keep_bytes: Option<u64>,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Captures the device.
    ///
    /// # Errors
    /// When the source is refused or fails, or the image cannot be written.
    pub fn run(&self, _: &Context) -> Result<(), Failure> {
        Err(unfinished(&format!("{self:?}")))
    }
}
