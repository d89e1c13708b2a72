//! `azud cache pin IMAGE…` and `azud cache unpin IMAGE…`.

use std::path::PathBuf;

use serde_json::json;

use super::listed;
use crate::args::Writing;
use crate::cached::{Place, locate};
use crate::commands::Context;
use crate::confirm::{Step, settle};
use crate::failure::Failure;
use crate::plan::Plan;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The images.
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// Which cache.
    #[command(flatten)]
    pub place: Place,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Pins or unpins the images.
    ///
    /// # Errors
    /// When one is not there, or the cache cannot be written.
    pub fn run(&self, context: &Context, pin: bool) -> Result<(), Failure> {
        let cache = self.place.open(context)?;
        let images = locate(&cache, &self.images)?;
        cache.check_writable()?;
        let action = if pin { "cache-pin" } else { "cache-unpin" };
        let names = images.iter().map(|path| path.display().to_string());
        let plan = Plan::new(action).row("images", listed(names.collect()));
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        let mut changed = 0;
        for image in &images {
            let new = if pin {
                cache.pin(image)?
            } else {
                cache.unpin(image)?
            };
            changed += u64::from(new);
        }
        let value = json!({ "action": action, "images": images, "changed": changed });
        context.output.result(&value, || {
            let key = if changed == 0 {
                "result-nothing".to_owned()
            } else {
                format!("result-{action}")
            };
            context.catalog.text(&key)
        });
        Ok(())
    }
}
