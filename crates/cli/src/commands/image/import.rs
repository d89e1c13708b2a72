//! `azud image import FOREIGN IMAGE`.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use azud_core::code::Code;
use azud_core::format::index::{Facts, SourceFacts, Tail};
use azud_image::foreign::compress;
use azud_image::foreign::partclone::PartcloneReader;
use azud_image::fs::ntfs_backup_boot;

use crate::confirm::{Step, settle};
use crate::opened::{host, identify, timestamp};
use crate::place;
use crate::plan::{Plan, Value};
use crate::publish::{Keeping, Made, Making};

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
        let foreign = place::existing(context, &self.foreign)?;
        if identify(&foreign).is_some() {
            let what = format!("{} is an image of Azud already", foreign.display());
            return Err(Failure::new(Code::UnknownFormat, what));
        }
        let file = File::open(&foreign).map_err(|error| Failure::io(&foreign, &error))?;
        let peeled = compress::open(Box::new(file))?;
        let compressor = peeled.compressor;
        let mut reader = PartcloneReader::open(peeled.reader)?;
        let volume = reader.volume().clone();
        let making = Making {
            level: self.level,
            base: Some(image.path()).filter(|path| identify(path).is_some()),
            keeping: Keeping::default(),
        };
        let mut plan = Plan::new("image-import")
            .text("source", foreign.display().to_string())
            .text(
                "format",
                format!("partclone v{}, {compressor}", reader.version()),
            )
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
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        located.prepare()?;
        let (first, tails) = first_block(&mut reader, &volume)?;
        let content = first.as_slice().chain(reader);
        let facts = facts(&foreign);
        let made = Made {
            action: "image-import",
            image,
            volume: &volume,
            tails,
            content,
            facts,
        };
        making.run(context, made, || Ok(()))
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
    let mut info = foreign.as_os_str().to_owned();
    info.push(azud_store::side::INFO);
    azud_store::side::InfoLine::read(Path::new(&info)).map_or_else(host, |info| info.host)
}

/// Reads the first used block ahead. partclone leaves out NTFS' backup boot sector, which is a copy of the
/// boot sector at a place that the boot sector tells, so the image gets it back.
fn first_block(
    reader: &mut impl Read,
    volume: &azud_image::fs::Volume,
) -> Result<(Vec<u8>, Vec<Tail>), Failure> {
    if volume.used.is_empty() || !volume.used.get(0) {
        return Ok((Vec::new(), Vec::new()));
    }
    let mut block = vec![0; volume.block_size as usize];
    reader
        .read_exact(&mut block)
        .map_err(|error| Failure::from(azud_image::foreign::ForeignError::from_io(error)))?;
    let tail = ntfs_backup_boot(&block, volume).map(|(offset, bytes)| Tail { offset, bytes });
    Ok((block, tail.into_iter().collect()))
}
