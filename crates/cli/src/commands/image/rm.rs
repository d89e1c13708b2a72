//! `azud image rm IMAGE`.

use std::path::PathBuf;

use azud_store::trash::remove;
use azud_store::{StoreError, publish};
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
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Moves the image to the trash.
    ///
    /// # Errors
    /// When there is no such image or it cannot be moved.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let image = place::locate(context, &self.image)?.image;
        let size =
            publish::check(&image, now())?.ok_or_else(|| StoreError::NotFound(image.path()))?;
        let plan = Plan::new("image-rm")
            .text("image", image.path().display().to_string())
            .bytes("file-size", size);
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        let _lease = alone(&image)?;
        let slot = remove(&image, now(), &identify)?;
        let value = json!({ "action": "image-rm", "image": image.path(), "trash": slot });
        context
            .output
            .result(&value, || context.catalog.text("result-image-rm"));
        Ok(())
    }
}
