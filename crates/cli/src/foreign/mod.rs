//! Images of other programs as commands name them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use azud_core::assembly::{Layout, Source};
use azud_core::code::Code;
use azud_core::name::{ImageFile, folder_of};
use azud_core::reference::ImageRef;
use azud_image::foreign::{Compressor, Foreign};
use azud_image::sniff::{Format, Sniffed, sniff};
use azud_store::Stored;
use azud_store::lease::refuse_held;
use azud_transport::http::{RemoteImage, Stream};

use crate::commands::Context;
use crate::failure::Failure;
use crate::opened::is_itself;
use crate::place;
use crate::plan::Value;

mod held;
mod in_order;
mod info;
mod reading;
mod verify;

use held::Held;
use in_order::InOrder;
pub(crate) use info::{describe, describe_remote, untrue};
pub(crate) use verify::{
    Decoded, check, check_telling, decode, fit_to_copy, is_told, verify, verify_remote,
};

/// The file that a user names: one in a repository, or the very file, else the name with `.img`.
///
/// # Errors
/// `image/bad-name`, and what the place says.
pub(crate) fn file_of(context: &Context, path: &Path) -> Result<PathBuf, Failure> {
    if let ImageRef::Placed { .. } = ImageRef::parse(path)? {
        return place::existing(context, path);
    }
    place::answers(path)?;
    if is_itself(path) {
        return Ok(path.to_owned());
    }
    Ok(ImageFile::parse(path)?.path())
}

/// Opens the image of another program for one reading. One that somebody is changing in place is refused.
///
/// # Errors
/// `image/locked`, `image/unknown-format` with the remedy that fits what it is, and what reading it says.
pub(crate) fn open(path: &Path) -> Result<Foreign, Failure> {
    open_as(path, None)
}

/// The same of one that was read before: each of its bytes is held against what it consisted of then, if that is said.
///
/// # Errors
/// As [`open`]; `store/source-changed`, also later on.
pub(crate) fn open_as(path: &Path, layout: Option<&Layout>) -> Result<Foreign, Failure> {
    unlocked(path)?;
    let stored = stored(path)?;
    let found = sniff(&*stored).map_err(|error| Failure::io(path, &error))?;
    refuse_others(&found, path)?;
    let mut again = || {
        let file = Arc::clone(&stored);
        Ok(match layout {
            Some(layout) => Box::new(Held::of(file, layout.clone())) as Box<dyn Read + Send>,
            None => Box::new(InOrder::of(file)),
        })
    };
    let about = path.display().to_string();
    Foreign::open(&mut again).map_err(|error| Failure::from(error).about(&about))
}

/// Opens its file, which holds all of it, alone or with one in the making.
///
/// # Errors
/// `store/half-moved`, and what opening it says.
fn stored(path: &Path) -> Result<Arc<Stored>, Failure> {
    let stored = Stored::open(path)?;
    stored.refuse_torn()?;
    Ok(Arc::new(stored))
}

/// Opens the image of another program that a manager has, for one reading.
///
/// # Errors
/// As [`open`], and what the manager says.
pub(crate) fn open_remote(image: &Arc<RemoteImage>) -> Result<Foreign, Failure> {
    let name = image.name();
    let path = Path::new(&name);
    let found = sniff(&**image).map_err(|error| Failure::io(path, &error))?;
    refuse_others(&found, path)?;
    let mut again = || Ok(Box::new(Stream::of(Arc::clone(image))) as Box<dyn Read + Send>);
    Foreign::open(&mut again).map_err(|error| Failure::from(error).about(&name))
}

/// What an image of another program is, as a plan has it: people are told of no compressor where there is none.
pub(crate) fn described(context: &Context, text: &str) -> Value {
    let (format, compressor) = text.rsplit_once(", ").unwrap_or((text, "none"));
    let said = match format {
        "raw" => context.catalog.text("format-disk"),
        program => program.to_owned(),
    };
    Value::Made {
        text: match compressor {
            "none" => said,
            compressor => format!("{said}, {compressor}"),
        },
        json: text.into(),
    }
}

/// Refuses to capture as a volume what a program packed: its bytes as they lie are of use to nobody. Only of a file
/// is that asked, and only of one that holds no volume: the marks of some compressors are short.
///
/// # Errors
/// `image/unknown-format` with the remedy that fits what it is.
pub(crate) fn refuse_packed(source: &azud_disk::Source) -> Result<(), Failure> {
    let path = source.path();
    let read = |error: std::io::Error| Failure::io(path, &error);
    if source.facts().kind != azud_disk::Kind::RegularFile
        || azud_image::fs::kind(&azud_image::fs::read_head(source)?).is_some()
    {
        return Ok(());
    }
    let found = sniff(source).map_err(read)?;
    let is_nothing = found.format == Format::Unknown && found.problem.is_some();
    if is_nothing || !(found.is_packed() || found.format == Format::Qcow2) {
        return Ok(());
    }
    let by = match found.compressor {
        Compressor::None => found.format.word(),
        compressor => compressor.as_str(),
    };
    let at = path.display();
    let remedy = remedy(&found, path).unwrap_or_else(|| match found.format {
        Format::Native => {
            format!("It is an image already. Copy it:\nazud image copy '{at}' IMAGE")
        }
        _ => format!(
            "It is the image of another program. Take it over:\nazud image import '{at}' IMAGE"
        ),
    });
    Err(Failure {
        remedy: Some(remedy),
        ..Failure::new(Code::UnknownFormat, format!("{at}: {by}"))
    })
}

fn refuse_others(found: &Sniffed, path: &Path) -> Result<(), Failure> {
    let Some(remedy) = remedy(found, path) else {
        return Ok(());
    };
    let what = format!("{}: {}", path.display(), found.format.word());
    Err(Failure {
        remedy: Some(remedy),
        ..Failure::new(Code::UnknownFormat, what)
    })
}

/// Refuses an image that has a lock.
///
/// # Errors
/// `image/locked`.
pub(crate) fn unlocked(path: &Path) -> Result<(), Failure> {
    let name = path.file_name().and_then(|name| name.to_str());
    match name.map(|name| ImageFile::in_dir(folder_of(path), name)) {
        Some(Ok(image)) => Ok(refuse_held(&image)?),
        // What cannot name an image has no lock either.
        _ => Ok(()),
    }
}

/// How to restore what is no image of a volume or disk; `None` for those that are.
fn remedy(found: &Sniffed, path: &Path) -> Option<String> {
    let path = path.display();
    let is_bare = found.compressor == Compressor::None;
    Some(match found.format {
        Format::FileSystem if is_bare => format!(
            "It is a file system in a file (a synchronised image). Capture it:\nazud image create '{path}' IMAGE"
        ),
        Format::FileSystem => unpacking("It is a file system in a compressed file.", found, &path),
        Format::Partimage => {
            format!("Restore it with partimage:\npartimage restore DEVICE '{path}'")
        }
        Format::Fsarchiver => {
            format!("Restore it with fsarchiver:\nfsarchiver restfs '{path}' id=0,dest=DEVICE")
        }
        Format::Qcow2 => {
            format!("Make a disk of it first:\nqemu-img convert -O raw '{path}' disk.dsk")
        }
        Format::BootSector => {
            format!("It is a boot sector:\ndd if='{path}' of=DISK bs=446 count=1")
        }
        Format::Gpt => {
            format!("It is a saved partition table:\nsgdisk --load-backup='{path}' DISK")
        }
        // No image that `azud image import` takes: whatever it is, it is inside.
        _ if !is_bare && !is_image(found) => unpacking("It is a compressed file.", found, &path),
        _ => return None,
    })
}

/// Whether it is of a kind that can be imported, or an image of Azud.
const fn is_image(found: &Sniffed) -> bool {
    matches!(
        found.format,
        Format::Native | Format::Partclone(_) | Format::Ntfsclone | Format::Disk
    )
}

/// How to get at what a compressor packed that cannot be imported as it is.
fn unpacking(what: &str, found: &Sniffed, path: &dyn std::fmt::Display) -> String {
    format!(
        "{what} Unpack it, then capture what comes out (azud image import takes compressed images and disks as they are):\n\
         {} -dc '{path}' > VOLUME\n\
         azud image create VOLUME IMAGE",
        found.compressor
    )
}
