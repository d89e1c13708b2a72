//! `azud image export IMAGE --to FORMAT OUT`.

use std::io::{BufWriter, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;

use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_core::progress::Progress;
use azud_disk::qemu::qemu_img_convert;
use azud_disk::target::{Target, TargetOptions};
use azud_image::restore::{RestoreOptions, Zeros, restore, write_unit};
use azud_image::{ImageError, Packing, write_packed};
use azud_store::export::{Draft, Export};
use azud_store::lease::refuse_certain;
use serde_json::json;

use crate::confirm::{Asking, Step, settle, settle_asking};
use crate::estimate::Estimate;
use crate::opened::{now, spare_images};
use crate::place;
use crate::plan::{Plan, Value};
use crate::restorable::Restorable;
use crate::trust;

use clap::ValueEnum;

use crate::args::Writing;
use crate::commands::Context;
use crate::failure::Failure;

/// What to convert to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The device's bytes.
    Raw,
    /// A partclone image.
    Partclone,
    /// A virtual machine's disk.
    Qcow2,
}

/// How a partclone image is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Compress {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// lzop.
    Lzop,
    /// zstd.
    Zstd,
}

impl Compress {
    const fn packing(self) -> (Packing, &'static str) {
        match self {
            Self::None => (Packing::None, "none"),
            Self::Gzip => (Packing::Gzip, "gzip"),
            Self::Lzop => (Packing::Lzop, "lzop"),
            Self::Zstd => (Packing::Zstd, "zstd"),
        }
    }
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image.
    pub image: PathBuf,
    /// File to write.
    pub out: PathBuf,
    /// What to convert to.
    #[arg(long, value_name = "FORMAT")]
    pub to: Format,
    /// How a partclone image is compressed.
    #[arg(long, value_name = "HOW")]
    pub compress: Option<Compress>,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Format {
    const fn word(self) -> &'static str {
        match self {
            Self::Raw => "raw-file",
            Self::Partclone => "partclone",
            Self::Qcow2 => "qcow2",
        }
    }

    /// What is written of it. A disk's holes take no room where files can have some.
    fn estimate(self, opened: &Restorable, compress: Option<Compress>) -> Estimate {
        let header = &opened.native.geometry().header;
        let used = header.used_blocks * u64::from(header.block_size);
        match self {
            Self::Partclone => {
                // The content of the frames is that very image.
                let frames = || opened.native.frames().iter();
                let content = frames().map(|frame| u64::from(frame.content_len)).sum();
                if matches!(compress, None | Some(Compress::None)) {
                    return Estimate::exactly(content);
                }
                // Packed, it is like the frames as they are stored.
                Estimate {
                    least: 0,
                    likely: frames().map(|frame| u64::from(frame.compressed_len)).sum(),
                    most: content + content / 64 + (1 << 20),
                }
            }
            Self::Raw => Estimate {
                least: 0,
                likely: used,
                most: used,
            },
            // The device's bytes are there until the disk is made of them.
            Self::Qcow2 => Estimate {
                least: 0,
                likely: 2 * used,
                most: 2 * used + used / 64 + (1 << 20),
            },
        }
    }
}

impl Args {
    /// Converts the image.
    ///
    /// # Errors
    /// When it is damaged or the file cannot be written.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        if self.compress.is_some() && self.to != Format::Partclone {
            return Err(Failure::new(
                Code::Usage,
                "--compress goes with --to partclone",
            ));
        }
        let opened = Restorable::named(context, &self.image)?;
        if self.out.as_os_str() == "-" {
            return Err(Failure::new(
                Code::BadName,
                "standard output cannot be exported to",
            ));
        }
        place::plain(&self.out)?;
        self.refuse_device(context)?;
        spare_images(&self.out)?;
        if self.out.exists() {
            azud_disk::check_unused(&self.out)?;
        }
        let export = Export::begin(&self.out)?;
        if let Ok(image) = ImageFile::parse(&self.out)
            && image.path() == self.out
        {
            refuse_certain(&image, now())?;
        }
        let trusted = trust::native(context, &self.image, (Some(&opened), None))?;
        let out = self.out.display().to_string();
        let plan = self.plan(&opened, &out);
        let plan = self
            .to
            .estimate(&opened, self.compress)
            .tell(context, plan, &self.out)?;
        let step = if self.out.exists() {
            let plan = plan.warning(
                &context.catalog,
                "destroys",
                &[("device", out.as_str().into())],
            );
            settle_asking(context, &plan, self.writing, Asking::content(&out))?
        } else {
            settle(context, &plan, self.writing)
        };
        if step == Step::Stop {
            return Ok(());
        }
        trust::remember(trusted.as_ref())?;
        let progress = context.progress();
        self.convert(&opened, export, &progress)?;
        drop(progress);
        let value = json!({ "action": "image-export", "out": self.out, "format": self.to.word() });
        context
            .output
            .result(&value, || context.catalog.text("result-image-export"));
        Ok(())
    }

    /// Refuses a device, and says how an image gets there.
    fn refuse_device(&self, context: &Context) -> Result<(), Failure> {
        if std::fs::metadata(&self.out).is_ok_and(|meta| meta.file_type().is_block_device()) {
            let (image, device) = (&self.image, &self.out);
            let values = [
                ("image", image.display().to_string().into()),
                ("device", device.display().to_string().into()),
            ];
            let hint = context.catalog.fmt("hint-export-device", &values);
            let what = device.display().to_string();
            return Err(Failure::new(Code::NotAFile, what).with_hint(hint));
        }
        Ok(())
    }

    fn plan(&self, opened: &Restorable, out: &str) -> Plan {
        let mut plan = Plan::new("image-export")
            .text("image", opened.origin.name())
            .row("format", Value::Word(self.to.word()));
        if let Some(compress) = self.compress {
            plan = plan.text("compressor", compress.packing().1);
        }
        plan.text("out", out)
            .bytes("device-size", opened.native.geometry().header.device_size)
    }

    fn convert(
        &self,
        opened: &Restorable,
        export: Export,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        match self.to {
            Format::Raw => Ok(raw(opened, export, progress)?.publish()?),
            Format::Partclone => {
                let (draft, file) = export.create(now())?;
                let mut file = BufWriter::with_capacity(1 << 20, file);
                let (packing, _) = self.compress.unwrap_or(Compress::None).packing();
                let out = (&mut file as &mut dyn Write, progress);
                write_packed(&opened.native, opened.file(), packing, out)?;
                file.flush()
                    .map_err(|source| ImageError::Write { source })?;
                Ok(draft.publish()?)
            }
            Format::Qcow2 => {
                let draft = raw(opened, export, progress)?;
                let converted = draft.beside();
                qemu_img_convert(draft.part(), &converted)?;
                draft.adopt(&converted)?;
                Ok(draft.publish()?)
            }
        }
    }
}

/// Restores into a new sparse file, everything verified.
fn raw(opened: &Restorable, export: Export, progress: &dyn Progress) -> Result<Draft, Failure> {
    let (draft, _) = export.create(now())?;
    let size = opened.native.geometry().header.device_size;
    let unit = write_unit(&opened.native);
    let target = Target::open(
        draft.part(),
        TargetOptions {
            create_len: Some(size),
            direct: true,
            unit,
        },
    )?;
    let options = RestoreOptions {
        zeros: if target.is_new_file() {
            Zeros::Skip
        } else {
            Zeros::Punch
        },
        distance: opened.distance(),
        ..RestoreOptions::default()
    };
    restore(&opened.native, opened.file(), &target, &options, progress)?;
    Ok(draft)
}
