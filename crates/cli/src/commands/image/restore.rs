//! `azud image restore IMAGE|- DEVICE`.

use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use azud_core::code::Code;
use azud_core::io::ReadAt;
use azud_core::progress::Progress;
use azud_disk::target::{Target, TargetOptions};
use azud_disk::{DeviceFacts, DiskError, Kind, holds};
use azud_image::restore::{
    self as engine, PIPE_WRITE_UNIT, RestoreOptions, Restored, Writes, restore, restore_pipe,
};
use serde_json::json;

use crate::confirm::{Step, settle, settle_destructive};
use crate::human;
use crate::opened::{Opened, spare_images};
use crate::plan::{Plan, Value};
use crate::table;

use clap::ValueEnum;

mod foreign;

use crate::args::{Special, Writing, path_or};
use crate::commands::Context;
use crate::failure::Failure;

/// What becomes of space that the image does not use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Unused {
    /// It stays as it is.
    Leave,
    /// The device is told that it holds nothing.
    Discard,
    /// It reads as zeros.
    Zero,
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image, or standard input.
    #[arg(value_parser = path_or("-"))]
    pub image: Special,
    /// Device or file to write.
    pub device: PathBuf,
    /// Write only blocks that differ.
    #[arg(long)]
    pub changed_only: bool,
    /// Read the medium again.
    #[arg(long)]
    pub read_back: bool,
    /// What becomes of unused space.
    #[arg(long, value_name = "HOW", default_value = "leave")]
    unused: Unused,
    /// Short for `--unused discard`.
    #[arg(long, conflicts_with = "unused")]
    discard: bool,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// What becomes of space that the image does not use.
    pub fn unused(&self) -> Unused {
        if self.discard {
            Unused::Discard
        } else {
            self.unused
        }
    }
}

/// Runs of used blocks shorter than this on average are better written through the page cache, in bytes.
const DIRECT_FROM: u64 = 64 << 10;

impl Args {
    /// Restores the image.
    ///
    /// # Errors
    /// When image or target are refused, damaged or fail.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let begun = Instant::now();
        let opened = match &self.image {
            Special::Word => None,
            Special::Path(path) => match Opened::named(path) {
                Err(failure) if failure.code == Code::NotNative => {
                    return self.run_foreign(context, path);
                }
                opened => Some(opened?),
            },
        };
        let facts = existing(&self.device)?;
        if let (Some(opened), Some(facts)) = (&opened, &facts) {
            refuse(&self.device, facts, opened)?;
        }
        spare_images(&self.device)?;
        let plan = self.plan(context, opened.as_ref(), facts.as_ref());
        let name = self.device.display().to_string();
        let step = match facts {
            Some(_) => settle_destructive(context, &plan, self.writing, &name)?,
            None => settle(context, &plan, self.writing),
        };
        if step == Step::Stop {
            return Ok(());
        }
        let target = Target::open(&self.device, target_options(opened.as_ref()))?;
        as_planned(facts.as_ref(), &target)?;
        let progress = context.progress();
        let done = match &opened {
            Some(opened) => {
                let options = self.options(&target);
                restore(&opened.native, &opened.stored, &target, &options, &progress)
                    .map_err(Failure::from)
            }
            None => self.read_pipe(&target, std::io::stdin(), &progress),
        };
        drop(progress);
        self.finish(context, done, begun)
    }

    /// Warns of what a failure leaves, or shows the result.
    fn finish(
        &self,
        context: &Context,
        done: Result<Restored, Failure>,
        begun: Instant,
    ) -> Result<(), Failure> {
        if done
            .as_ref()
            .is_err_and(|failure| !matches!(failure.code, Code::TooSmall | Code::SectorSize))
        {
            let name = self.device.display().to_string();
            let text = context
                .catalog
                .fmt("warn-incomplete", &[("device", name.into())]);
            context.output.warn(&context.catalog, &text);
        }
        self.show(context, &done?, begun);
        Ok(())
    }

    fn read_pipe(
        &self,
        target: &Target,
        input: impl Read + Send,
        progress: &dyn Progress,
    ) -> Result<Restored, Failure> {
        if target.len() == 0 {
            let why = "restoring a stream needs a target that has its size already";
            return Err(Failure::new(Code::TooSmall, why));
        }
        Ok(restore_pipe(
            input,
            target,
            &self.options(target),
            progress,
        )?)
    }

    fn options(&self, target: &Target) -> RestoreOptions {
        RestoreOptions {
            changed_only: self.changed_only && !target.is_new_file(),
            read_back: self.read_back,
            unused: match self.unused() {
                Unused::Leave => engine::Unused::Leave,
                Unused::Discard => engine::Unused::Discard,
                Unused::Zero => engine::Unused::Zero,
            },
            writes: if target.rotational() {
                Writes::Ascending
            } else {
                Writes::Parallel
            },
            blank: target.is_new_file(),
            target_sector: match target.facts().kind {
                Kind::BlockDevice => target.facts().logical_sector,
                Kind::RegularFile => 0,
            },
        }
    }

    fn plan(
        &self,
        context: &Context,
        opened: Option<&Opened>,
        facts: Option<&DeviceFacts>,
    ) -> Plan {
        let mut plan = Plan::new("image-restore");
        plan = match opened {
            Some(Opened { stored, native }) => {
                let header = &native.geometry().header;
                plan.text("image", stored.path().display().to_string())
                    .text("file-system", native.facts().fs.clone())
                    .bytes("used", header.used_blocks * u64::from(header.block_size))
                    .bytes("minimum-size", native.minimum_size())
            }
            None => plan.row("image", Value::Word("stdin")),
        };
        if opened.is_some_and(|opened| opened.native.facts().dirty.is_some()) {
            plan = plan.warning(&context.catalog, "dirty-raw", &[]);
        }
        self.plan_target(context, plan, (facts, new_size(opened)))
    }

    /// What becomes of the target, which is made of `new_size` bytes if there is none.
    fn plan_target(
        &self,
        context: &Context,
        plan: Plan,
        (facts, new_size): (Option<&DeviceFacts>, u64),
    ) -> Plan {
        let device = self.device.display().to_string();
        let plan = plan
            .text("target", device.clone())
            .bytes("device-size", facts.map_or(new_size, |facts| facts.len))
            .row(
                "mode",
                Value::Word(if self.changed_only {
                    "changed-only"
                } else {
                    "whole"
                }),
            )
            .row(
                "unused",
                Value::Word(match self.unused() {
                    Unused::Leave => "leave",
                    Unused::Discard => "discard",
                    Unused::Zero => "zero",
                }),
            )
            .row(
                "read-back",
                Value::Word(if self.read_back { "yes" } else { "no" }),
            );
        let warning = if facts.is_none() {
            "new-file"
        } else {
            "destroys"
        };
        plan.warning(&context.catalog, warning, &[("device", device.into())])
    }

    fn show(&self, context: &Context, done: &Restored, begun: Instant) {
        let time = begun.elapsed();
        if done.undiscarded {
            let text = context.catalog.text("warn-undiscarded");
            context.output.warn(&context.catalog, &text);
        }
        let value = json!({
            "action": "image-restore",
            "target": self.device,
            "content": done.content,
            "written": done.written,
            "kept": done.kept,
            "fetched": done.fetched,
            "read_back": self.read_back,
            "seconds": time.as_secs_f64(),
        });
        context.output.result(&value, || {
            let label = |key: &str| context.catalog.text(&format!("label-{key}"));
            let rows = [
                (label("target"), self.device.display().to_string()),
                (label("used"), human::bytes(done.content)),
                (label("written"), human::bytes(done.written)),
                (label("kept"), human::bytes(done.kept)),
                (label("time"), human::duration(time)),
                (label("rate"), human::rate(done.content, time)),
            ];
            format!(
                "{}\n{}",
                context.catalog.text("result-image-restore"),
                table::rows(&rows)
            )
        });
    }
}

/// What is at the target's path, if anything.
fn existing(path: &Path) -> Result<Option<DeviceFacts>, Failure> {
    match DeviceFacts::read(path) {
        Ok(facts) => Ok(Some(facts)),
        // A mistyped device must not become a file in /dev.
        Err(DiskError::NotFound { .. }) if !in_dev(path) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a path leads into `/dev`, however it is written.
fn in_dev(path: &Path) -> bool {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = std::fs::canonicalize(dir.unwrap_or(Path::new(".")));
    // `sdb2` where /dev/sdb2 exists means the device.
    let forgotten = path.components().count() == 1 && Path::new("/dev").join(path).exists();
    forgotten || path.starts_with("/dev") || dir.is_ok_and(|dir| dir.starts_with("/dev"))
}

/// While somebody read the plan, another stick may have got the device's name, or a file come into being.
fn as_planned(planned: Option<&DeviceFacts>, target: &Target) -> Result<(), Failure> {
    let now = target.facts();
    let same = match planned {
        None => target.is_new_file(),
        Some(planned) if planned.kind == Kind::BlockDevice => planned == now,
        // A file is extended when it is opened.
        Some(planned) => planned.kind == now.kind && planned.len <= now.len,
    };
    if same {
        return Ok(());
    }
    Err(DiskError::Changed {
        path: target.path().to_owned(),
        what: "it is not what the plan showed",
    }
    .into())
}

/// Refuses a device that is in use, or holds the image itself.
fn refuse_device(device: &Path, image: &Path) -> Result<(), Failure> {
    azud_disk::check_unused(device)?;
    if holds(device, image)? || same_file(device, image) {
        return Err(Failure::new(Code::HoldsSource, image.display().to_string()));
    }
    Ok(())
}

/// What can be refused before anything is shown or opened.
fn refuse(device: &Path, facts: &DeviceFacts, opened: &Opened) -> Result<(), Failure> {
    refuse_device(device, opened.stored.path())?;
    let (has, needs) = (facts.len, opened.native.minimum_size());
    if facts.kind == Kind::BlockDevice && has < needs {
        return Err(azud_image::ImageError::TooSmall { has, needs }.into());
    }
    let sector = opened.native.facts().sector_size;
    if sector != 0 && facts.kind == Kind::BlockDevice && facts.logical_sector > sector {
        let what = format!(
            "{} has sectors of {} bytes, the image {sector}",
            device.display(),
            facts.logical_sector
        );
        return Err(Failure::new(Code::SectorSize, what));
    }
    Ok(())
}

fn same_file(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    real(a).is_some() && real(a) == real(b)
}

/// The size of a file that is made for an image: that of the device it was taken from.
fn new_size(opened: Option<&Opened>) -> u64 {
    opened.map_or(0, |opened| opened.native.geometry().header.device_size)
}

fn target_options(opened: Option<&Opened>) -> TargetOptions {
    let Some(opened) = opened else {
        return TargetOptions {
            create_len: None,
            direct: true,
            unit: PIPE_WRITE_UNIT,
        };
    };
    let geometry = opened.native.geometry();
    let runs = geometry.used.runs().count() as u64;
    let content = geometry.header.used_blocks * u64::from(geometry.header.block_size);
    TargetOptions {
        create_len: Some(new_size(Some(opened))),
        direct: content / runs.max(1) >= DIRECT_FROM,
        unit: engine::write_unit(&opened.native),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use azud_core::code::Code;
    use azud_disk::target::{Target, TargetOptions};
    use azud_disk::{DeviceFacts, Kind};

    use super::{as_planned, existing, in_dev};

    #[test]
    fn regression_a_target_is_what_the_plan_showed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let options = TargetOptions {
            create_len: Some(1 << 20),
            ..TargetOptions::default()
        };
        let open = || Target::open(&path, options).unwrap();
        assert_eq!(existing(&path).unwrap(), None);
        assert_eq!(as_planned(None, &open()), Ok(()), "made for us");
        // It came into being after the plan: nobody agreed to lose it.
        std::fs::write(&path, "somebody's thesis").unwrap();
        let code = |planned: Option<&DeviceFacts>| as_planned(planned, &open()).unwrap_err().code;
        assert_eq!(code(None), Code::Changed);
        let facts = DeviceFacts::read(&path).unwrap();
        assert_eq!(as_planned(Some(&facts), &open()), Ok(()), "extended");
        let mut other = facts;
        other.kind = Kind::BlockDevice;
        assert_eq!(code(Some(&other)), Code::Changed);
    }

    #[test]
    fn regression_no_file_is_made_in_dev() {
        for path in ["/dev/azud-none", "/tmp/../dev/azud-none", "//dev/azud-none"] {
            assert!(in_dev(Path::new(path)), "{path}");
            assert!(existing(Path::new(path)).is_err(), "{path}");
        }
        assert!(!in_dev(Path::new("azud-none")));
    }
}
