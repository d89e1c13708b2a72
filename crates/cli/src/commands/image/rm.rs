//! `azud image rm IMAGE`.

use std::path::PathBuf;

use azud_core::cache::last_copies;
use azud_core::name::ImageFile;
use azud_store::cache::Cache;
use azud_store::trash::remove;
use azud_store::{StoreError, publish};
use serde_json::json;

use crate::cached::alone;
use crate::confirm::{Step, settle};
use crate::opened::{identify, now};
use crate::plan::Plan;
use crate::remote::{Destination, Remote};

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
        let image = match Destination::named(context, &self.image)? {
            Destination::Here(located) => located.image,
            Destination::There(remote) => return self.there(context, &remote),
        };
        let size =
            publish::check(&image, now())?.ok_or_else(|| StoreError::NotFound(image.path()))?;
        let plan = Plan::new("image-rm")
            .text("image", image.path().display().to_string())
            .bytes("file-size", size);
        let plan = match runs_on(&image) {
            Some(partition) => {
                let values = [("partition", partition.into())];
                plan.warning(&context.catalog, "removes-last-copy", &values)
            }
            None => plan,
        };
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

    /// Moves an image of a manager to the trash there.
    fn there(&self, context: &Context, image: &Remote) -> Result<(), Failure> {
        let images = image.client.images()?;
        let name = image.name.to_string();
        let found = images.iter().find(|listed| listed.name == name);
        let size = found.map(|listed| listed.size);
        let size = size.ok_or_else(|| StoreError::NotFound(image.shown().into()))?;
        let plan = Plan::new("image-rm")
            .text("image", image.shown())
            .bytes("file-size", size);
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        image.client.remove(&name)?;
        let value = json!({ "action": "image-rm", "image": image.shown() });
        context
            .output
            .result(&value, || context.catalog.text("result-image-rm"));
        Ok(())
    }
}

/// The partitions that run an image of which no other copy is in its cache.
fn runs_on(image: &ImageFile) -> Option<String> {
    let (cache, path) = Cache::around(&image.path())?;
    // What cannot be told keeps nobody from removing an image.
    let survey = cache.survey(now(), &identify).ok()?;
    let at = survey
        .cached
        .iter()
        .position(|cached| cached.path == path)?;
    let last = !last_copies(&survey.items(), &[at]).is_empty();
    last.then(|| survey.cached[at].runs_on.join(", "))
}
