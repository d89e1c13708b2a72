//! `azud storage mount [MEDIUM]`.

use azud_disk::removable::{Medium, media};
use serde_json::{Value, json};

use super::{find, place_of, sweep};
use crate::args::Writing;
use crate::commands::Context;
use crate::confirm::{Step, settle};
use crate::failure::Failure;
use crate::in_step::follow;
use crate::plan::Plan;
use crate::site::Site;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which; else all that are not mounted.
    pub medium: Option<String>,
    /// Refuse writes.
    #[arg(long)]
    pub read_only: bool,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Mounts removable storage.
    ///
    /// # Errors
    /// When there is no such medium, or it cannot be mounted.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let site = Site::load(&context.site)?;
        sweep(context, &site)?;
        let media = media()?;
        let chosen: Vec<&Medium> = match &self.medium {
            Some(wanted) => vec![find(&media, wanted)?],
            None => media
                .iter()
                .filter(|medium| medium.mounted.is_empty() && medium.name.is_some())
                .collect(),
        };
        let mut plan = Plan::new("storage-mount");
        let mut work = Vec::new();
        for medium in chosen {
            let Some(name) = &medium.name else {
                let node = medium.node.display().to_string();
                let hint = context.catalog.text("storage-nameless");
                return Err(Failure::new(azud_core::code::Code::NoMedium, node).with_hint(hint));
            };
            let at = place_of(&site.layout, name);
            let real = std::fs::canonicalize(&at).unwrap_or_else(|_| at.clone());
            let already = medium.mounted.contains(&real);
            let row = format!("{} → {}", medium.node.display(), at.display());
            plan = plan.text("medium", row);
            work.push((medium, name, at, already));
        }
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        let mut done: Vec<Value> = Vec::new();
        for (medium, name, at, already) in work {
            let at = if already {
                at
            } else {
                medium.mount(&at, self.read_only)?.keep()
            };
            done.push(json!({
                "name": name.to_string(),
                "device": medium.node,
                "at": at,
                "read_only": self.read_only || medium.read_only,
            }));
        }
        follow(context);
        let count = done.len();
        let value = json!({ "action": "storage-mount", "mounted": done });
        context.output.result(&value, || {
            context
                .catalog
                .fmt("result-storage-mount", &[("count", count.into())])
        });
        Ok(())
    }
}
