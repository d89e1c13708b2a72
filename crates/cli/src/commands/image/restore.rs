//! `azud image restore IMAGE|- DEVICE`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use azud_core::code::Code;
use azud_core::progress::Progress;
use azud_disk::target::{Target, TargetOptions};
use azud_disk::{DeviceFacts, Kind};
use azud_image::restore::{
    self as engine, Distance, PIPE_WRITE_UNIT, RestoreOptions, Restored, Writes, Zeros, restore,
    restore_pipe,
};

use crate::cached::{InUse, is_known_damaged};
use crate::confirm::{Asking, Step, settle, settle_asking};
use crate::human;
use crate::opened::spare_images;
use crate::place;
use crate::plan::{Plan, Value};
use crate::present::Present;
use crate::restorable::Restorable;
use crate::target::{as_planned, existing, is_new, refuse, tell_room};
use crate::trust;

use clap::ValueEnum;

mod foreign;
mod outcome;
mod stdin;

pub(crate) use outcome::finished;
use stdin::Stdin;

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
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
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
    /// Check the whole image before anything is written.
    #[arg(long)]
    pub verify_first: bool,
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
    /// As `azud deploy` restores.
    pub(crate) fn deploying(image: &Path, device: &Path, read_back: bool) -> Self {
        Self {
            image: Special::Path(image.to_owned()),
            device: device.to_owned(),
            changed_only: false,
            read_back,
            verify_first: false,
            unused: Unused::Leave,
            discard: false,
            writing: Writing::default(),
        }
    }

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
        if !self.writing.dry_run {
            context
                .teller
                .plans(context, "image-restore", &[self.named(), &self.device]);
        }
        let opened = match &self.image {
            Special::Word if self.verify_first => {
                let why = "--verify-first: a stream cannot be read twice";
                return Err(Failure::new(Code::Usage, why));
            }
            Special::Word => None,
            Special::Path(path) => match Restorable::named(context, path) {
                Err(failure) if failure.code == Code::NotNative => {
                    return self.run_foreign(context, path);
                }
                opened => Some(opened?),
            },
        };
        let device = place::device(&self.device)?;
        let facts = existing(&device)?;
        if let (Some(opened), Some(facts)) = (&opened, &facts) {
            refuse(&device, facts, opened)?;
        }
        let trusted = trust::native(context, self.named(), (opened.as_ref(), None))?;
        match &opened {
            Some(opened) => context.teller.identity(&opened.identity()),
            // Of what comes by a pipe nothing else is known before.
            None => spare_images(&device)?,
        }
        let stream = self.stream(opened.as_ref(), facts.as_ref())?;
        let size = stream.as_ref().and_then(Stdin::size);
        let name = device.display().to_string();
        let image = (opened.as_ref(), stream.as_ref());
        let plan = self.plan(context, &device, image, facts.as_ref())?;
        let step = match facts {
            Some(_) => settle_asking(context, &plan, self.writing, Asking::content(&name))?,
            None => settle(context, &plan, self.writing),
        };
        if step == Step::Stop {
            return Ok(());
        }
        trust::remember(trusted.as_ref())?;
        self.verify(context, opened.as_ref())?;
        let mut options = target_options(opened.as_ref());
        if is_new(facts.as_ref()) {
            options.create_len = options.create_len.or(size);
        }
        let target = Target::open_agreed(&device, options, |now| {
            as_planned(&device, facts.as_ref(), now)
        })?;
        let used = InUse::begin(context, opened.as_ref().and_then(|it| it.origin.path()));
        let progress = context.progress();
        let done = self.put(&target, (opened.as_ref(), stream), &progress);
        drop(progress);
        let (target, done) = finished(context, target, done)?;
        let identity = opened.as_ref().map(Restorable::identity);
        used.restored(context, identity, target.facts(), &device);
        let received = opened.as_ref().and_then(|image| image.origin.received());
        self.show(context, &device, (&done, received), begun);
        Ok(())
    }

    /// What the image was called.
    fn named(&self) -> &Path {
        match &self.image {
            Special::Word => Path::new("-"),
            Special::Path(path) => path,
        }
    }

    /// What a check found damaged is checked once more, though nobody asks for it.
    fn is_checked_first(&self, file: Option<&Path>) -> bool {
        self.verify_first || file.is_some_and(is_known_damaged)
    }

    /// Checks the image, if that is asked for or needed.
    fn verify(&self, context: &Context, opened: Option<&Restorable>) -> Result<(), Failure> {
        if let Some(image) = opened
            && self.is_checked_first(image.origin.path())
        {
            let progress = context.progress();
            let done = azud_image::verify(&image.native, image.file(), false, &progress);
            done.map_err(|error| image.blamed(error))?;
        }
        Ok(())
    }

    /// The stream, where the image is no file. Its beginning is read where the plan needs it.
    fn stream(
        &self,
        opened: Option<&Restorable>,
        facts: Option<&DeviceFacts>,
    ) -> Result<Option<Stdin>, Failure> {
        let ahead = is_new(facts) || self.unused() != Unused::Leave;
        let stream = opened.is_none().then(|| Stdin::open(ahead));
        stream.transpose()
    }

    /// Puts the image, or what the stream delivers, on the target.
    fn put(
        &self,
        target: &Target,
        (opened, stream): (Option<&Restorable>, Option<Stdin>),
        progress: &dyn Progress,
    ) -> Result<Restored, Failure> {
        let options = self.options(target, opened.map_or(Distance::Near, Restorable::distance));
        let done = match (opened, stream) {
            (Some(opened), _) => {
                let done = restore(&opened.native, opened.file(), target, &options, progress);
                return done.map_err(|error| opened.blamed(error));
            }
            (None, Some(stream)) => restore_pipe(stream.into_reader(), target, &options, progress),
            (None, None) => restore_pipe(std::io::empty(), target, &options, progress),
        };
        Ok(done?)
    }

    pub(crate) fn options(&self, target: &Target, distance: Distance) -> RestoreOptions {
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
            zeros: match target.facts().kind {
                Kind::RegularFile if target.is_new_file() => Zeros::Skip,
                Kind::RegularFile => Zeros::Punch,
                Kind::BlockDevice => Zeros::Write,
            },
            target_sector: match target.facts().kind {
                Kind::BlockDevice => target.facts().logical_sector,
                Kind::RegularFile => 0,
            },
            distance,
        }
    }

    fn plan(
        &self,
        context: &Context,
        device: &Path,
        (opened, stream): (Option<&Restorable>, Option<&Stdin>),
        facts: Option<&DeviceFacts>,
    ) -> Result<Plan, Failure> {
        let mut plan = Plan::new("image-restore");
        plan = match opened {
            Some(Restorable { origin, native }) => {
                let header = &native.geometry().header;
                plan.text("image", origin.name())
                    .text("file-system", native.facts().fs.clone())
                    .bytes("used", header.used_blocks * u64::from(header.block_size))
                    .bytes("minimum-size", native.minimum_size())
            }
            None => plan.row("image", Value::Word("stdin")),
        };
        let file = opened.and_then(|opened| opened.origin.path());
        plan = self.plan_check(context, plan, (file, "first", "as-reached"));
        if opened.is_some_and(|opened| opened.native.facts().dirty.is_some()) {
            plan = plan.warning(&context.catalog, "dirty-raw", &[]);
        }
        let mode = self.mode();
        let onto = match (opened, stream.and_then(Stdin::extent)) {
            (Some(opened), _) => Onto::of(opened, facts, mode),
            (None, extent) => Onto {
                facts,
                size: stream.and_then(Stdin::size).unwrap_or(0),
                end: extent.map(|(end, _)| end),
                used: extent.map_or(0, |(_, used)| used),
                mode,
            },
        };
        self.plan_target(context, plan, device, &onto)
    }

    fn mode(&self) -> &'static str {
        if self.changed_only {
            "changed-only"
        } else {
            "whole"
        }
    }

    /// When the image is checked, and why if nobody asked.
    fn plan_check(
        &self,
        context: &Context,
        plan: Plan,
        (file, first, otherwise): (Option<&Path>, &'static str, &'static str),
    ) -> Plan {
        let is_first = self.is_checked_first(file);
        let word = if is_first { first } else { otherwise };
        let plan = plan.row("image-check", Value::Word(word));
        match file.filter(|file| is_known_damaged(file)) {
            Some(file) => {
                let values = [("image", file.display().to_string().into())];
                plan.warning(&context.catalog, "known-damaged", &values)
            }
            None => plan,
        }
    }

    /// What becomes of the target.
    ///
    /// # Errors
    /// `store/no-room` and `store/file-too-large` for one that is made.
    pub(crate) fn plan_target(
        &self,
        context: &Context,
        plan: Plan,
        device: &Path,
        onto: &Onto<'_>,
    ) -> Result<Plan, Failure> {
        let name = device.display().to_string();
        let has = onto.facts.filter(|_| !is_new(onto.facts));
        let mut plan = plan
            .text("target", name.as_str())
            .bytes("device-size", has.map_or(onto.size, |facts| facts.len))
            .row("mode", Value::Word(onto.mode))
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
        if is_new(onto.facts) {
            plan = tell_room(context, plan, device, (onto.size, onto.used))?;
        }
        if onto.facts.is_none() {
            let values = [("device", name.as_str().into())];
            return Ok(plan.warning(&context.catalog, "new-file", &values));
        }
        let beyond = onto.beyond().filter(|_| self.unused() != Unused::Leave);
        if let Some(beyond) = beyond {
            let values = [("size", human::bytes(beyond).into())];
            plan = plan.warning(&context.catalog, "beyond-stays", &values);
        }
        plan = plan.warning(
            &context.catalog,
            "destroys",
            &[("device", name.as_str().into())],
        );
        Ok(match Present::look(device) {
            Some(present) => present.tell(plan, &context.catalog, &name),
            None => plan,
        })
    }
}

/// What an image meets, and where it ends there.
pub(crate) struct Onto<'a> {
    /// What is there.
    pub(crate) facts: Option<&'a DeviceFacts>,
    /// Size of a file that is made, in bytes.
    pub(crate) size: u64,
    /// Where the image's volume ends, as far as that is known.
    pub(crate) end: Option<u64>,
    /// Bytes of content.
    pub(crate) used: u64,
    /// How it is written.
    pub(crate) mode: &'static str,
}

impl<'a> Onto<'a> {
    /// Of an image whose index is known.
    pub(crate) fn of(
        opened: &Restorable,
        facts: Option<&'a DeviceFacts>,
        mode: &'static str,
    ) -> Self {
        let header = &opened.native.geometry().header;
        Self {
            facts,
            size: new_size(Some(opened)),
            end: Some(opened.native.minimum_size()),
            used: header.used_blocks * u64::from(header.block_size),
            mode,
        }
    }

    /// Bytes of the target behind the volume.
    fn beyond(&self) -> Option<u64> {
        let (facts, end) = (self.facts?, self.end?);
        facts.len.checked_sub(end).filter(|beyond| *beyond > 0)
    }
}

/// The size of a file that is made for an image: that of the device it was taken from.
fn new_size(opened: Option<&Restorable>) -> u64 {
    opened.map_or(0, |opened| opened.native.geometry().header.device_size)
}

pub(crate) fn target_options(opened: Option<&Restorable>) -> TargetOptions {
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
