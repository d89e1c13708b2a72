//! `azud image create DEVICE IMAGE`.

mod there;

use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::format::index::Facts;
use azud_core::name::ImageFile;
use azud_core::progress::{Phase, Progress};
use azud_disk::source::Access;
use azud_disk::{Kind, Source, holds};
use azud_image::capture::{DeviceContent, read_tails};
use azud_image::fs::MapOptions;

use crate::args::size::{level, size, whole};
use crate::args::{Special, Writing, path_or};
use crate::commands::Context;
use crate::confirm::{Step, settle};
use crate::estimate::Estimate;
use crate::failure::Failure;
use crate::human;
use crate::keeping::Keeping;
use crate::opened::{Opened, host, is_itself, timestamp};
use crate::place;
use crate::plan::{Plan, Value};
use crate::publish::{Made, Making};
use crate::remote::Destination;
use crate::volume::{self, Choices, Dirty, Engine, Found};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Device or file to read.
    pub device: PathBuf,
    /// Image to write.
    pub image: PathBuf,
    /// Compression level.
    #[arg(long, short, value_name = "N", value_parser = level, default_value_t = azud_image::DEFAULT_LEVEL)]
    pub level: i32,
    /// Image whose frames are taken over; by default the one that `image` replaces.
    #[arg(long, value_name = "IMAGE", value_parser = path_or("none"))]
    pub base: Option<Special>,
    /// Who reads the map; by default Azud itself, partclone for what it does not know.
    #[arg(long)]
    pub engine: Option<Engine>,
    /// Capture a dirty source whole.
    #[arg(long, value_name = "HOW")]
    pub dirty: Option<Dirty>,
    /// Keep the content of page and hibernation files.
    #[arg(long)]
    pub keep_pagefile: bool,
    /// Days that former versions are kept.
    #[arg(long, value_name = "N", value_parser = whole)]
    pub keep_days: Option<u32>,
    /// Space that former versions may take.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub keep_bytes: Option<u64>,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Captures the device.
    ///
    /// # Errors
    /// When the source is refused or fails, or the image cannot be written.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        if !self.writing.dry_run {
            context
                .teller
                .plans(context, "image-create", &[&self.image, &self.device]);
        }
        let located = match Destination::named(context, &self.image)? {
            Destination::Here(located) => located,
            Destination::There(remote) => return self.send(context, &remote),
        };
        let image = &located.image;
        if self.image.starts_with("/dev") {
            return Err(Failure::new(
                Code::BadName,
                format!("{} is a place for devices", self.image.display()),
            ));
        }
        located.check()?;
        let device = place::device(&self.device)?;
        let mut source = Source::open(&device)?;
        if holds(&device, &image.path())? {
            return Err(Failure::new(
                Code::HoldsSource,
                image.path().display().to_string(),
            ));
        }
        let found = self.look(context, &device, &mut source)?;
        let making = self.making(context, image)?;
        let plan = self.plan(context, (&device, image), (&source, &found), &making)?;
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        located.prepare()?;
        let facts = facts(&device, &source, &found);
        // A device's cache was flushed when it was opened; a file's may well hold it.
        let cold = source.facts().kind == Kind::BlockDevice;
        let bulk = source.bulk(if cold { Access::Direct } else { Access::Cached })?;
        let tails = read_tails(&source, &found.volume)?;
        let read = found.holes.around(&bulk);
        let content = DeviceContent::new(&read, &found.volume.used, found.volume.block_size);
        let made = Made {
            action: "image-create",
            image,
            volume: &found.volume,
            tails,
            content,
            facts,
        };
        making.run(context, made, || Ok(source.unchanged()?))
    }

    /// What of the source is to be captured.
    fn look(
        &self,
        context: &Context,
        device: &Path,
        source: &mut Source,
    ) -> Result<Found, Failure> {
        if source.facts().len == 0 {
            return Err(Failure::new(Code::Empty, device.display().to_string()));
        }
        crate::foreign::refuse_packed(source)?;
        let progress = context.progress();
        progress.begin(Phase::Map, 0);
        let found = volume::find(source, self.choices());
        progress.end();
        drop(progress);
        found
    }

    fn making(&self, context: &Context, image: &ImageFile) -> Result<Making, Failure> {
        let base = self.base(context, image)?;
        if let Some(base) = &base {
            Opened::at(base)?;
        }
        let keeping = Keeping {
            days: self.keep_days,
            bytes: self.keep_bytes,
        };
        Ok(Making {
            level: self.level,
            base,
            purging: keeping.foresee(context, image, true),
        })
    }

    fn choices(&self) -> Choices {
        let options = MapOptions {
            keep_pagefile: self.keep_pagefile,
        };
        Choices {
            engine: self.engine,
            dirty: self.dirty,
            options,
        }
    }

    /// The file whose frames are taken over: what was asked for, else the image that is replaced.
    fn base(&self, context: &Context, image: &ImageFile) -> Result<Option<PathBuf>, Failure> {
        Ok(match &self.base {
            Some(Special::Word) => None,
            Some(Special::Path(path)) if is_itself(path) => Some(path.clone()),
            Some(Special::Path(path)) => Some(place::locate(context, path)?.image.path()),
            None => Some(image.path()).filter(|path| crate::opened::identify(path).is_some()),
        })
    }

    fn plan(
        &self,
        context: &Context,
        (device, image): (&Path, &ImageFile),
        (source, found): (&Source, &Found),
        making: &Making,
    ) -> Result<Plan, Failure> {
        let path = image.path();
        let base = making.base.as_ref();
        let shown = path.display().to_string();
        let base_shown = base.map(|base| base.display().to_string());
        let plan = self.rows(context, (device, &shown), found, base_shown);
        let plan = if path.exists() {
            let values = [("image", shown.into())];
            plan.warning(&context.catalog, "replaces", &values)
        } else {
            plan
        };
        let estimate = Estimate::of_image(&found.volume, base.map(PathBuf::as_path));
        let content = found.holes.around(source);
        let how = (self.level, base.is_some());
        let estimate = estimate.or_sampled(&path, (&found.volume, &content), how);
        estimate.tell(context, making.purging.tell(context, plan), &path)
    }

    /// What a plan says wherever the image goes.
    fn rows(
        &self,
        context: &Context,
        (device, image): (&Path, &str),
        found: &Found,
        base: Option<String>,
    ) -> Plan {
        let volume = &found.volume;
        let mut plan = Plan::new("image-create")
            .text("device", device.display().to_string())
            .text("file-system", volume.kind.partclone_name())
            .row("engine", Value::Word(found.by))
            .bytes("device-size", volume.device_size)
            .bytes("used", volume.used_bytes());
        if found.by == "raw" {
            plan = plan.bytes("holes", found.holes.bytes());
        }
        plan = plan
            .text("image", image)
            .row(
                "level",
                Value::Count(u64::try_from(self.level).unwrap_or(0)),
            )
            .row("base", base.map_or(Value::Word("none"), Value::Text));
        for file in &volume.left_out {
            let values = [
                ("name", file.name.as_str().into()),
                ("size", human::bytes(file.bytes).into()),
            ];
            plan = plan.warning(&context.catalog, "left-out", &values);
        }
        if found.dirty.is_some() {
            plan.warning(&context.catalog, "dirty-raw", &[])
        } else if let Some(packed) = found.packed {
            let device = [("device", device.display().to_string().into())];
            plan.warning(&context.catalog, warning_of(packed), &device)
        } else if found.by == "raw" {
            plan.warning(&context.catalog, "no-map", &[])
        } else {
            plan
        }
    }
}

/// How to get at the volumes that are packed in what is captured whole.
fn warning_of(packed: &str) -> &'static str {
    match packed {
        "crypto_LUKS" => "packed-luks",
        "BitLocker" => "packed-bitlocker",
        "LVM2_member" => "packed-lvm",
        "linux_raid_member" => "packed-raid",
        _ => "packed-zfs",
    }
}

/// What the image remembers of its making.
fn facts(device: &Path, source: &Source, found: &Found) -> Facts {
    Facts {
        created: timestamp(),
        host: host(),
        dirty: found.dirty.clone(),
        source: volume::source_facts(device, source.facts()),
        ..Facts::default()
    }
}
