//! `azud storage unmount MEDIUM`.

use azud_core::code::Code;
use azud_disk::mounting::unmount;
use azud_disk::remote::mounted_in;
use azud_disk::removable::media;
use serde_json::json;

use super::{find, place_of, removable, sweep};
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
    /// Which.
    pub medium: String,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Unmounts a medium, after all is written: then it may be pulled.
    ///
    /// # Errors
    /// When it is not mounted, or in use.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let site = Site::load(&context.site)?;
        let gone = sweep(context, &site)?;
        let layout = site.layout;
        let is = |medium: &azud_core::reference::Removable| {
            medium.to_string() == self.medium || medium.id() == self.medium
        };
        if gone.iter().any(is) {
            // It was pulled: what was to be done has just been done.
            self.tell(context);
            return Ok(());
        }
        let media = media()?;
        let medium = find(&media, &self.medium)?;
        // Its name may have been another when it was mounted: a twin came or went since.
        let ours = mounted_in(layout.mnt()).into_iter().map(|facts| facts.at);
        let ours = ours
            .filter(|at| medium.mounted.contains(at))
            .find(|at| removable(at).is_some());
        let Some(at) = ours else {
            let shown = medium.name.as_ref().map(|name| place_of(&layout, name));
            let shown = shown.unwrap_or_else(|| medium.node.clone());
            return Err(Failure::new(Code::NotMounted, shown.display().to_string()));
        };
        let plan = Plan::new("storage-unmount").text("mount-point", at.display().to_string());
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        unmount(&at)?;
        let _ = std::fs::remove_dir(&at);
        follow(context);
        self.tell(context);
        Ok(())
    }

    fn tell(&self, context: &Context) {
        let value = json!({ "action": "storage-unmount", "medium": self.medium });
        let done = || context.catalog.text("result-storage-unmount");
        context.output.result(&value, done);
    }
}
