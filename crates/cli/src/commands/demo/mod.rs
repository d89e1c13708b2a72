//! `azud demo`: the whole story on this machine, without root, on a real file system of real files.
//!
//! The volume is a regular file; `mke2fs -d` fills it and `debugfs` changes it, so nothing is mounted.
//! Every step is the command a user would type, run through the same code.

mod files;
mod room;
mod story;

use std::path::PathBuf;

use super::Context;
use crate::failure::Failure;
use crate::interrupt;

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
    /// When a step fails, or when a step that must fail does not.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        interrupt::begin_work();
        let base = self.dir.clone().unwrap_or_else(std::env::temp_dir);
        let dir = files::Workplace::make(&base, self.keep)?;
        let done = story::tell(context, dir.path());
        if self.keep {
            let text = context.catalog.fmt(
                "demo-kept",
                &[("dir", dir.path().display().to_string().into())],
            );
            context.output.note(&text);
        }
        done
    }
}
