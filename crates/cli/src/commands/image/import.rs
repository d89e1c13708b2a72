//! `azud image import FOREIGN IMAGE`.

use std::path::Path;
use std::path::PathBuf;

use azud_core::code::Code;
use azud_core::format::index::{Facts, SourceFacts};
use azud_core::name::beside;

use crate::confirm::{Step, settle};
use crate::estimate::Estimate;
use crate::foreign::described;
use crate::keeping::Keeping;
use crate::opened::{Opened, host, identify, timestamp};
use crate::place;
use crate::plan::{Plan, Value};
use crate::publish::{Made, Making};
use crate::trust;

use crate::args::Writing;
use crate::args::size::level;
use crate::commands::Context;
use crate::failure::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image of another program.
    pub foreign: PathBuf,
    /// Image to write.
    pub image: PathBuf,
    /// Compression level.
    #[arg(long, short, value_name = "N", value_parser = level, default_value_t = azud_image::DEFAULT_LEVEL)]
    pub level: i32,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Makes a native image of the foreign one.
    ///
    /// # Errors
    /// When the source is damaged or of no known format.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let located = place::locate(context, &self.image)?;
        let image = &located.image;
        located.check()?;
        let foreign = place::existing(context, &self.foreign)?;
        refuse_native(&foreign)?;
        let checked = trust::foreign(context, &self.foreign, &foreign)?;
        let (trusted, layout) = checked.unzip();
        let reader = crate::foreign::open_as(&foreign, layout.as_ref())?;
        let volume = reader.volume().clone();
        let is_summed = reader.is_summed();
        let is_told = crate::foreign::is_told(&foreign);
        let making = Making {
            level: self.level,
            base: Some(image.path()).filter(|path| identify(path).is_some()),
            purging: Keeping::default().foresee(context, image, true),
        };
        let mut plan = Plan::new("image-import")
            .text("source", foreign.display().to_string())
            .row("format", described(context, &reader.describe()))
            .text("file-system", volume.kind.partclone_name())
            .bytes("device-size", volume.device_size)
            .bytes("used", volume.used_bytes())
            .text("image", image.path().display().to_string())
            .row(
                "level",
                Value::Count(u64::try_from(self.level).unwrap_or(0)),
            );
        if image.path().exists() {
            let values = [("image", image.path().display().to_string().into())];
            plan = plan.warning(&context.catalog, "replaces", &values);
        }
        if !is_summed && !is_told {
            plan = plan.warning(&context.catalog, "imports-no-sums", &[]);
        }
        plan = making.purging.tell(context, plan);
        let mut estimate = Estimate::of_image(&volume, None);
        // Most were compressed by others.
        let size = std::fs::metadata(&foreign).map_or(u64::MAX, |meta| meta.len());
        estimate.likely = estimate.likely.min(size);
        plan = estimate.tell(context, plan, &image.path())?;
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        trust::remember(trusted.as_ref())?;
        // Once it is ours, nobody can tell any more that it was damaged.
        if !is_summed && is_told {
            crate::foreign::check(context, &foreign)?;
        }
        located.prepare()?;
        let facts = facts(&foreign);
        let made = Made {
            action: "image-import",
            image,
            volume: &volume,
            tails: reader.tails().to_vec(),
            content: reader,
            facts,
        };
        making.run(context, made, || Ok(()))
    }
}

/// Refuses an image of Azud, also one that is damaged: read as another program's, it would pass for whole.
fn refuse_native(foreign: &Path) -> Result<(), Failure> {
    match Opened::at(foreign) {
        Ok(_) => {
            let what = format!("{} is an image of Azud already", foreign.display());
            Err(Failure::new(Code::UnknownFormat, what))
        }
        Err(failure) if failure.code == Code::NotNative => Ok(()),
        Err(failure) => Err(failure),
    }
}

fn facts(foreign: &Path) -> Facts {
    let source = SourceFacts {
        path: foreign.display().to_string(),
        ..SourceFacts::default()
    };
    Facts {
        created: timestamp(),
        host: host_of(foreign),
        source,
        ..Facts::default()
    }
}

/// The computer that a foreign image came from, if its `.info` tells.
fn host_of(foreign: &Path) -> String {
    let info = beside(foreign, azud_store::side::INFO);
    azud_store::side::InfoLine::read(&info).map_or_else(host, |info| info.host)
}
