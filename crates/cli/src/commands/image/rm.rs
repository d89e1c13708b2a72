//! `azud image rm IMAGE`.

use std::path::{Path, PathBuf};

use azud_core::cache::last_copies;
use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_store::assembly::{check_remains, clear_remains, remains};
use azud_store::cache::Cache;
use azud_store::trash::remove;
use azud_store::{StoreError, publish};
use serde_json::json;

use crate::cached::{alone, refuse_pinned};
use crate::confirm::{Step, settle};
use crate::opened::{identify, now};
use crate::plan::Plan;
use crate::remote::{Destination, Remote};

use crate::args::Writing;
use crate::commands::Context;
use crate::failure::{Failure, Hint};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image.
    pub image: PathBuf,
    /// Clear away what was left unfinished of it, and leave the image as it is.
    #[arg(long)]
    pub unfinished: bool,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Moves the image to the trash. What a copy or update of it that was broken off left goes for good.
    ///
    /// # Errors
    /// When there is nothing of that name, it is pinned, or it cannot be moved.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let image = match Destination::named(context, &self.image)? {
            Destination::Here(located) => located.image,
            Destination::There(_) if self.unfinished => {
                let hint = Hint::of("hint-remains-there");
                return Err(Failure::new(Code::Usage, "--unfinished").with_hint(hint));
            }
            Destination::There(remote) => return self.there(context, &remote),
        };
        if self.unfinished {
            return self.clear(context, &image);
        }
        let size = publish::check(&image, now())?;
        let remains = remains(&image, now());
        if size.is_none() && remains.is_none() {
            return Err(StoreError::NotFound(image.path()).into());
        }
        refuse_pinned(&image)?;
        let plan = planned(context, &image, (size, remains));
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        let slot = match size {
            Some(_) => {
                let _lease = alone(&image)?;
                refuse_pinned(&image)?;
                Some(remove(&image, now(), &identify)?)
            }
            None => None,
        };
        if remains.is_some() {
            clear_remains(&image, now())?;
        }
        show(context, &image, (slot.as_deref(), remains));
        Ok(())
    }

    /// Clears away what was left unfinished of an image, which stays as it is.
    fn clear(&self, context: &Context, image: &ImageFile) -> Result<(), Failure> {
        let remains = check_remains(image, now())?;
        let is_here = std::fs::symlink_metadata(image.path()).is_ok();
        if let Some(bytes) = remains {
            let action = if is_here {
                "unfinished-rm"
            } else {
                "remains-rm"
            };
            let plan = Plan::new(action).text("image", image.path().display().to_string());
            if settle(context, &plan.bytes("remains", bytes), self.writing) == Step::Stop {
                return Ok(());
            }
            clear_remains(image, now())?;
        } else if !is_here {
            return Err(StoreError::NotFound(image.path()).into());
        }
        show(context, image, (None, remains));
        Ok(())
    }

    /// Moves an image of a manager to the trash there.
    fn there(&self, context: &Context, image: &Remote) -> Result<(), Failure> {
        image.client.may_write()?;
        let images = image.client.images()?;
        let name = &image.name;
        let found = images.iter().find(|listed| listed.name == *name);
        let size = found.map(|listed| listed.size);
        let size = size.ok_or_else(|| {
            let host = image.client.host().to_owned();
            let failure = Failure::from(StoreError::NotFound(image.shown().into()));
            let failure = failure.with_hint(Hint::with("hint-images-there", [("host", host)]));
            failure.and_hint(Hint::of("hint-remains-there"))
        })?;
        image.client.check_removal(name)?;
        let plan = Plan::new("image-rm")
            .text("image", image.shown())
            .bytes("file-size", size);
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        image.client.remove(name)?;
        let value = json!({ "action": "image-rm", "image": image.shown() });
        context
            .output
            .result(&value, || context.catalog.text("result-image-rm"));
        Ok(())
    }
}

/// Says what went: the image, for which there is a slot in the trash, and what was left unfinished of it.
fn show(context: &Context, image: &ImageFile, (slot, remains): (Option<&Path>, Option<u64>)) {
    let value = json!({
        "action": "image-rm",
        "image": image.path(),
        "trash": slot,
        "remains": remains,
    });
    let result = match (slot, remains) {
        (Some(_), _) => "result-image-rm",
        (None, Some(_)) => "result-remains-rm",
        (None, None) => "result-no-remains",
    };
    context
        .output
        .result(&value, || context.catalog.text(result));
}

/// What goes: the image, and what of it an earlier run left unfinished.
fn planned(
    context: &Context,
    image: &ImageFile,
    (size, remains): (Option<u64>, Option<u64>),
) -> Plan {
    let action = size.map_or("remains-rm", |_| "image-rm");
    let mut plan = Plan::new(action).text("image", image.path().display().to_string());
    if let Some(size) = size {
        plan = plan.bytes("file-size", size);
    }
    if let Some(bytes) = remains {
        plan = plan.bytes("remains", bytes);
    }
    match runs_on(image) {
        Some(partition) => {
            let values = [("partition", partition.into())];
            plan.warning(&context.catalog, "removes-last-copy", &values)
        }
        None => plan,
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
