//! `azud image rollback IMAGE [VERSION]`.

use std::path::PathBuf;

use azud_store::trash::{Which, rollback};
use serde_json::json;

use crate::cached::alone;
use crate::confirm::{Step, settle};
use crate::opened::{identify, now};
use crate::place;
use crate::plan::Plan;

use crate::args::Writing;
use crate::commands::Context;
use crate::failure::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image.
    pub image: PathBuf,
    /// The version, by default the last one.
    pub version: Option<String>,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Brings the version back.
    ///
    /// # Errors
    /// When there is no such version.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let image = place::locate(context, &self.image)?.image;
        let name = self.version.as_deref();
        let plan = Plan::new("image-rollback")
            .text("image", image.path().display().to_string())
            .text("version", name.unwrap_or("-"));
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        let which = name.map_or(Which::Latest, |name| Which::Named(name.to_owned()));
        let _lease = alone(&image)?;
        let version = rollback(&image, &which, now(), &identify)?;
        let value = json!({
            "action": "image-rollback",
            "image": image.path(),
            "version": version.slot,
            "identity": version.identity.map(|identity| identity.to_string()),
        });
        context
            .output
            .result(&value, || context.catalog.text("result-image-rollback"));
        Ok(())
    }
}
