//! Images of other programs as commands name them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use azud_core::assembly::Source;
use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_core::reference::ImageRef;
use azud_image::foreign::Foreign;
use azud_image::sniff::{Format, Sniffed, sniff};
use azud_store::Stored;
use azud_store::lease::refuse_held;
use azud_transport::http::{RemoteImage, Stream};

use crate::commands::Context;
use crate::failure::Failure;
use crate::opened::is_itself;
use crate::place;

mod info;
mod verify;

pub(crate) use info::describe;
pub(crate) use verify::{Decoded, check, decode, fit_to_copy, is_told, verify};

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
    unlocked(path)?;
    let stored = Stored::open(path)?;
    let found = sniff(&stored).map_err(|error| Failure::io(path, &error))?;
    refuse_others(&found, path)?;
    let mut again = || Ok(Box::new(File::open(path)?) as Box<dyn Read + Send>);
    let about = path.display().to_string();
    Foreign::open(&mut again).map_err(|error| Failure::from(error).about(&about))
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
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    match name.map(|name| ImageFile::in_dir(dir.unwrap_or(Path::new(".")), name)) {
        Some(Ok(image)) => Ok(refuse_held(&image)?),
        // What cannot name an image has no lock either.
        _ => Ok(()),
    }
}

/// How to restore what is no image of a volume or disk; `None` for those that are.
fn remedy(found: &Sniffed, path: &Path) -> Option<String> {
    let path = path.display();
    Some(match found.format {
        Format::FileSystem => format!(
            "It is a file system in a file (a synchronised image). Capture it: azud image create '{path}' IMAGE"
        ),
        Format::Partimage => {
            format!("Restore it with partimage: partimage restore DEVICE '{path}'")
        }
        Format::Fsarchiver => {
            format!("Restore it with fsarchiver: fsarchiver restfs '{path}' id=0,dest=DEVICE")
        }
        Format::Qcow2 => {
            format!("Make a disk of it first: qemu-img convert -O raw '{path}' disk.dsk")
        }
        Format::BootSector => format!("It is a boot sector: dd if='{path}' of=DISK bs=446 count=1"),
        Format::Gpt => format!("It is a saved partition table: sgdisk --load-backup='{path}' DISK"),
        _ => return None,
    })
}
