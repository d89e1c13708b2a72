//! `azud cache unmount [DEVICE]`.

use std::path::PathBuf;

use azud_core::code::Code;
use azud_disk::mounting::unmount;
use azud_disk::remote::reach;
use serde_json::json;

use super::{keep_in_step, layout, the_cache};
use crate::args::Writing;
use crate::commands::Context;
use crate::confirm::{Step, settle};
use crate::failure::Failure;
use crate::plan::Plan;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which one.
    pub device: Option<PathBuf>,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Unmounts the cache, wherever it is mounted.
    ///
    /// # Errors
    /// When there is none, it is not mounted or it is in use.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let hit = the_cache(context, self.device.as_ref())?;
        if hit.mounts.is_empty() {
            return Err(Failure::new(
                Code::NotMounted,
                hit.device.display().to_string(),
            ));
        }
        // Those that are mounted later may lie within earlier ones.
        let places: Vec<PathBuf> = hit
            .mounts
            .iter()
            .rev()
            .map(|mount| mount.at.clone())
            .collect();
        let names: Vec<String> = places.iter().map(|at| at.display().to_string()).collect();
        let plan = Plan::new("cache-unmount")
            .text("device", hit.device.display().to_string())
            .text("mounted-at", names.join(", "));
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        let base = layout(context)?.base().to_owned();
        let base = reach(&base).unwrap_or(base);
        for at in &places {
            unmount(at)?;
            // In the layout's own place it was made for it; a directory that is not empty stays.
            if at.parent() == Some(&base) {
                let _ = std::fs::remove_dir(at);
            }
        }
        keep_in_step(context);
        let value = json!({ "action": "cache-unmount", "device": hit.device, "at": places });
        context
            .output
            .result(&value, || context.catalog.text("result-cache-unmount"));
        Ok(())
    }
}
