//! `azud image info IMAGE`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::io::ReadAt;
use azud_core::name::ImageFile;
use azud_image::Native;
use azud_store::Identity;
use azud_store::list::entry;
use serde_json::json;

use crate::facts::Known;
use crate::foreign::{describe_remote, untrue};
use crate::human;
use crate::opened::Opened;
use crate::origin::{Origin, blamed};
use crate::remote::Remote;
use crate::sums::{self, FalseSum};
use crate::table;
use crate::volume::unclean;

use crate::commands::Context;
use crate::failure::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image.
    pub image: PathBuf,
    /// Where to write its index.
    #[arg(long, value_name = "FILE")]
    pub index_out: Option<PathBuf>,
}

impl Args {
    /// Describes the image.
    ///
    /// # Errors
    /// When it cannot be read or is no image.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        if let Some(out) = &self.index_out {
            self.write_index(context, out)?;
        }
        let opened = match Opened::named(context, &self.image) {
            Err(failure) if failure.code == Code::NotNative => {
                return crate::foreign::describe(context, &self.image);
            }
            Err(failure) if failure.code == Code::PlaceNotMounted => {
                let remote = Remote::to_read(context, &self.image)?;
                return Self::there(context, &remote.ok_or(failure)?);
            }
            opened => opened?,
        };
        let wrong = sums::quick(&opened.stored)
            .map_err(|error| Failure::io(opened.stored.path(), &error))?;
        for one in &wrong {
            context.output.warn(&context.catalog, &one.text(context));
        }
        let shown = Shown {
            name: opened.stored.path().display().to_string(),
            len: opened.stored.len(),
            native: &opened.native,
            known: beside(opened.stored.path())?,
        };
        shown.tell(context, &wrong);
        Ok(())
    }

    /// Of an image of a manager: its index, header and bitmap are fetched; of another program's, what tells its kind.
    fn there(context: &Context, image: &Remote) -> Result<(), Failure> {
        let opened = image.opened(context)?;
        let native = match Native::open(&opened).map_err(Failure::from) {
            Err(failure) if failure.code == Code::NotNative => {
                return describe_remote(context, (image, &opened));
            }
            // One that is cut or damaged its manager takes for another program's.
            native => native.map_err(|failure| blamed(&opened, failure))?,
        };
        let shown = Shown {
            name: image.shown(),
            len: opened.layout().size(),
            native: &native,
            known: None,
        };
        shown.tell(context, &[]);
        Ok(())
    }
}

impl Args {
    /// Writes what a signature is over to a new file.
    fn write_index(&self, context: &Context, out: &Path) -> Result<(), Failure> {
        let layout = match Origin::named(context, &self.image)? {
            Origin::File(_, source) => source.hashed()?,
            Origin::Manager(image) => image.layout().clone(),
        };
        let written = File::create_new(out).and_then(|mut file| {
            file.write_all(layout.description())?;
            file.sync_all()
        });
        written.map_err(|error| Failure::io(out, &error))
    }
}

/// A native image that is described.
struct Shown<'a> {
    name: String,
    len: u64,
    native: &'a Native,
    /// What is claimed of it, where it lies in a file of a name that images can have.
    known: Option<Known>,
}

/// What lies beside an image in a file.
fn beside(path: &Path) -> Result<Option<Known>, Failure> {
    let Ok(image) = ImageFile::parse(path) else {
        return Ok(None);
    };
    // A name without the ending leads to the file with it, which is another.
    if image.path() != path {
        return Ok(None);
    }
    Ok(Some(Known::of(image.dir(), entry(&image)?)))
}

impl Shown<'_> {
    fn identity(&self) -> Identity {
        Identity(*self.native.identity())
    }

    fn tell(&self, context: &Context, wrong: &[FalseSum]) {
        let (facts, header) = (self.native.facts(), &self.native.geometry().header);
        let used = header.used_blocks * u64::from(header.block_size);
        let untrue = self.known.as_ref().map(Known::untrue_json);
        let value = json!({
            "image": self.name,
            "identity": self.identity().to_string(),
            "file_size": self.len,
            "device_size": header.device_size,
            "block_size": header.block_size,
            "used": used,
            "minimum_size": self.native.minimum_size(),
            "frames": self.native.frames().len(),
            "facts": facts,
            "untrue": untrue.unwrap_or_default(),
            "false_sums": wrong.iter().map(FalseSum::json).collect::<Vec<_>>(),
        });
        context.output.answer(&value, || human_rows(context, self));
    }
}

/// The same as text.
fn human_rows(context: &Context, opened: &Shown<'_>) -> String {
    let (facts, header) = (opened.native.facts(), &opened.native.geometry().header);
    let used = header.used_blocks * u64::from(header.block_size);
    let label = |key: &str| context.catalog.text(&format!("label-{key}"));
    let mut rows = vec![
        (label("image"), opened.name.clone()),
        (label("identity"), opened.identity().to_string()),
        (label("file-system"), facts.fs.clone()),
    ];
    let dirty = facts.dirty.as_deref();
    let texts = [
        ("label", facts.label.clone()),
        ("uuid", facts.uuid.clone()),
        ("dirty", dirty.map(|text| unclean(&context.catalog, text))),
    ];
    let texts = texts.into_iter();
    rows.extend(texts.filter_map(|(key, text)| Some((label(key), text?))));
    rows.extend([
        (
            label("device-size"),
            human::bytes_exactly(header.device_size),
        ),
        (label("used"), human::bytes_exactly(used)),
        (label("file-size"), human::bytes_exactly(opened.len)),
        (label("ratio"), format!("{:.2}", ratio(used, opened.len))),
        (
            label("minimum-size"),
            human::bytes_exactly(opened.native.minimum_size()),
        ),
        (label("block-size"), header.block_size.to_string()),
        (label("frames"), opened.native.frames().len().to_string()),
        (label("level"), facts.level.to_string()),
        (label("created"), facts.created.clone()),
        (label("host"), facts.host.clone()),
        (label("source"), facts.source.path.clone()),
        (label("tool"), facts.tool.clone()),
    ]);
    for (name, bytes) in &facts.left_out {
        rows.push((
            label("left-out"),
            format!("{name} ({})", human::bytes(*bytes)),
        ));
    }
    rows.extend(opened.known.iter().flat_map(|known| untrue(context, known)));
    table::rows(&rows)
}

#[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
fn ratio(used: u64, file: u64) -> f64 {
    used as f64 / file.max(1) as f64
}
