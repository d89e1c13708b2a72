//! `azud image restore FOREIGN DEVICE`: the image of another program, as it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use azud_core::assembly::Source;
use azud_core::code::Code;
use azud_disk::DeviceFacts;
use azud_disk::target::{Target, TargetOptions};
use azud_image::foreign::Foreign;
use azud_image::restore::{Distance, foreign_minimum_size, foreign_write_unit, restore_foreign};
use azud_transport::http::RemoteImage;

use super::outcome::finished;
use super::{Args, DIRECT_FROM, Onto};
use crate::cached::InUse;
use crate::commands::Context;
use crate::confirm::{Asking, Step, settle, settle_asking};
use crate::failure::Failure;
use crate::foreign;
use crate::opened::spare_images;
use crate::origin::Origin;
use crate::place;
use crate::plan::Plan;
use crate::target::{as_planned, existing, refuse_device, refuse_small};
use crate::trust::{self, Trusted};

/// Where it is.
enum From {
    File(PathBuf),
    Manager(Arc<RemoteImage>),
}

impl From {
    fn named(context: &Context, named: &Path) -> Result<Self, Failure> {
        match foreign::file_of(context, named) {
            Err(failure) if failure.code == Code::PlaceNotMounted => {
                match Origin::of_manager(context, named)? {
                    Some(Origin::Manager(image)) => Ok(Self::Manager(image)),
                    _ => Err(failure),
                }
            }
            file => Ok(Self::File(file?)),
        }
    }

    fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Manager(_) => None,
        }
    }

    /// Opens it, if it may be used; what is read of it is what was signed.
    fn open(&self, context: &Context, named: &Path) -> Result<(Foreign, Option<Trusted>), Failure> {
        match self {
            Self::File(path) => {
                let (trusted, layout) = trust::foreign(context, named, path)?.unzip();
                Ok((foreign::open_as(path, layout.as_ref())?, trusted))
            }
            Self::Manager(image) => {
                let origin = Origin::Manager(Arc::clone(image));
                let trusted = trust::origin(context, named, (&origin, None))?;
                Ok((foreign::open_remote(image)?, trusted))
            }
        }
    }

    fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Manager(image) => image.name(),
        }
    }

    fn received(&self) -> Option<u64> {
        match self {
            Self::File(_) => None,
            Self::Manager(image) => Some(image.received()),
        }
    }
}

impl Args {
    /// Restores an image that is not native.
    pub(super) fn run_foreign(&self, context: &Context, named: &Path) -> Result<(), Failure> {
        let begun = Instant::now();
        let from = From::named(context, named)?;
        if self.verify_first && from.file().is_none() {
            let why = "--verify-first: what comes from a manager is checked as it comes";
            return Err(Failure::new(Code::Usage, why));
        }
        let device = place::device(&self.device)?;
        let facts = existing(&device)?;
        match (&facts, from.file()) {
            (Some(_), Some(path)) => refuse_device(&device, path)?,
            (Some(_), None) => azud_disk::check_unused(&device)?,
            (None, _) => {}
        }
        spare_images(&device)?;
        let (image, trusted) = from.open(context, named)?;
        let needs = foreign_minimum_size(&image)?;
        if let Some(facts) = &facts {
            refuse_small(facts, needs)?;
        }
        let plan = self.plan_foreign(context, &device, (&from, &image, needs), facts.as_ref())?;
        let name = device.display().to_string();
        let step = match facts {
            Some(_) => settle_asking(context, &plan, self.writing, Asking::content(&name))?,
            None => settle(context, &plan, self.writing),
        };
        if step == Step::Stop {
            return Ok(());
        }
        trust::remember(trusted.as_ref())?;
        if let Some(path) = from.file().filter(|path| self.is_checked_first(Some(path))) {
            foreign::check(context, path)?;
        }
        let target = Target::open_agreed(&device, target_options(&image, needs), |now| {
            as_planned(&device, facts.as_ref(), now)
        })?;
        let used = InUse::begin(context, from.file());
        let progress = context.progress();
        let options = self.options(&target, Distance::Near);
        let done = restore_foreign(image, &target, &options, &progress).map_err(Failure::from);
        drop(progress);
        let (target, done) = finished(context, target, done)?;
        used.restored(context, None, target.facts(), &device);
        self.show(context, &device, (&done, from.received()), begun);
        Ok(())
    }

    fn plan_foreign(
        &self,
        context: &Context,
        device: &Path,
        (from, image, needs): (&From, &Foreign, u64),
        facts: Option<&DeviceFacts>,
    ) -> Result<Plan, Failure> {
        let volume = image.volume();
        let plan = Plan::new("image-restore")
            .text("image", from.name())
            .row("format", foreign::described(context, &image.describe()))
            .text("file-system", volume.kind.partclone_name())
            .bytes("used", volume.used_bytes())
            .bytes("minimum-size", needs);
        let told = from.file().is_some_and(foreign::is_told);
        let (first, by) = match (image.is_summed(), told) {
            (true, _) => ("first", "own-sums"),
            (false, true) => ("first", "no-sums"),
            (false, false) => ("first-no-sums", "no-sums"),
        };
        let mut plan = self.plan_check(context, plan, (from.file(), first, by));
        if !image.is_summed() && !told {
            plan = plan.warning(&context.catalog, "no-sums", &[]);
        }
        let onto = Onto {
            facts,
            size: new_size(image, needs),
            end: Some(needs),
            used: volume.used_bytes(),
            mode: self.mode(),
        };
        self.plan_target(context, plan, device, &onto)
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
