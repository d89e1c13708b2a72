//! `azud image restore FOREIGN DEVICE`: the image of another program, as it is.

use std::path::Path;
use std::time::Instant;

use azud_disk::DeviceFacts;
use azud_disk::target::{Target, TargetOptions};
use azud_image::foreign::Foreign;
use azud_image::restore::{foreign_minimum_size, foreign_write_unit, restore_foreign};

use super::outcome::finished;
use super::{Args, DIRECT_FROM};
use crate::cached::InUse;
use crate::commands::Context;
use crate::confirm::{Step, settle, settle_destructive};
use crate::failure::Failure;
use crate::foreign;
use crate::opened::spare_images;
use crate::place;
use crate::plan::Plan;
use crate::target::{as_planned, existing, refuse_device, refuse_small};
use crate::trust;

impl Args {
    /// Restores an image that is not native.
    pub(super) fn run_foreign(&self, context: &Context, named: &Path) -> Result<(), Failure> {
        let begun = Instant::now();
        let path = foreign::file_of(context, named)?;
        let device = place::device(&self.device)?;
        let facts = existing(&device)?;
        if facts.is_some() {
            refuse_device(&device, &path)?;
        }
        spare_images(&device)?;
        let trusted = trust::foreign(context, named, &path)?;
        let image = foreign::open(&path)?;
        let needs = foreign_minimum_size(&image)?;
        if let Some(facts) = &facts {
            refuse_small(facts, needs)?;
        }
        let plan = self.plan_foreign(context, &device, (&path, &image, needs), facts.as_ref());
        let name = device.display().to_string();
        let step = match facts {
            Some(_) => settle_destructive(context, &plan, self.writing, &name)?,
            None => settle(context, &plan, self.writing),
        };
        if step == Step::Stop {
            return Ok(());
        }
        trust::remember(trusted.as_ref())?;
        if self.verify_first {
            foreign::check(context, &path)?;
        }
        let target = Target::open_agreed(&device, target_options(&image, needs), |now| {
            as_planned(&device, facts.as_ref(), now)
        })?;
        let used = InUse::begin(context, Some(&path));
        let progress = context.progress();
        let options = self.options(&target);
        let done = restore_foreign(image, &target, &options, &progress).map_err(Failure::from);
        drop(progress);
        let (target, done) = finished(context, target, done)?;
        used.restored(context, None, target.facts(), &device);
        self.show(context, &device, &done, begun);
        Ok(())
    }

    fn plan_foreign(
        &self,
        context: &Context,
        device: &Path,
        (path, image, needs): (&Path, &Foreign, u64),
        facts: Option<&DeviceFacts>,
    ) -> Plan {
        let volume = image.volume();
        let plan = Plan::new("image-restore")
            .text("image", path.display().to_string())
            .text("format", image.describe())
            .text("file-system", volume.kind.partclone_name())
            .bytes("used", volume.used_bytes())
            .bytes("minimum-size", needs)
            .row("image-check", self.checked("own-sums"));
        self.plan_target(context, plan, device, (facts, new_size(image, needs)))
    }
}

/// The size of a file that is made for the image: some tell a device that ends before what lies on it.
fn new_size(image: &Foreign, needs: u64) -> u64 {
    image.volume().device_size.max(needs)
}

fn target_options(image: &Foreign, needs: u64) -> TargetOptions {
    let volume = image.volume();
    let runs = volume.used.runs().count() as u64;
    TargetOptions {
        create_len: Some(new_size(image, needs)),
        direct: volume.used_bytes() / runs.max(1) >= DIRECT_FROM,
        unit: foreign_write_unit(image),
    }
}
