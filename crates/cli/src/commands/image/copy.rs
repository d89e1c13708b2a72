//! `azud image copy SRC DST`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use azud_core::name::ImageFile;
use azud_core::reference::{FolderRef, ImageRef};
use azud_image::foreign::ForeignError;
use azud_image::sniff::Format;

use crate::commands::Context;
use crate::failure::Failure;
use crate::origin::Origin;
use crate::place;
use crate::receive::{Receiving, Terms};
use crate::remote::Destination;
use crate::sending::Sending;
use crate::trust;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image to copy.
    pub src: PathBuf,
    /// Where to: an image or a directory.
    pub dst: PathBuf,
    /// Room and consent.
    #[command(flatten)]
    pub terms: Terms,
}

impl Args {
    /// Copies the image.
    ///
    /// # Errors
    /// When the source is damaged or there is no room.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        if !self.terms.writing.dry_run {
            context
                .teller
                .plans(context, "image-copy", &[&self.src, &self.dst]);
            // A name that is none is refused below.
            let to = self.told_as();
            let to = to.as_deref().unwrap_or(&self.dst);
            context.teller.goes(context, to);
        }
        let from = Origin::named(context, &self.src)?;
        refuse_others(&from)?;
        place::answers(&self.dst)?;
        let to = match (self.same_place()?, name_of(&from, &self.src)?) {
            (Some(to), _) => to,
            (None, Some(name)) if self.dst.is_dir() => self.dst.join(name),
            _ => self.dst.clone(),
        };
        let (to, trusted) = match Destination::named(context, &to)? {
            Destination::Here(located) => {
                let trusted = trust::copied(context, (&self.src, &to), &from)?;
                (located, trusted)
            }
            Destination::There(remote) => {
                let sending = Sending {
                    from: &from,
                    to: &remote,
                    writing: self.terms.writing,
                };
                return sending.run(context);
            }
        };
        let receiving = Receiving {
            action: "image-copy",
            from: &from,
            among: None,
            to: &to,
            native: None,
            terms: self.terms,
            trusted,
        };
        receiving.run(context)
    }

    /// Where the copy goes, so that one way there has one name, before the source is known.
    fn told_as(&self) -> Option<PathBuf> {
        if let Some(to) = self.same_place().ok()? {
            return Some(to);
        }
        let ImageRef::Path(to) = ImageRef::parse(&self.dst).ok()? else {
            return None;
        };
        let is_folder = || place::answers(&to).is_ok() && to.is_dir();
        let to = if place::is_directory(&to) || is_folder() {
            match ImageRef::parse(&self.src).ok()? {
                ImageRef::Placed { image, .. } => to.join(image.name()),
                ImageRef::Path(path) => to.join(path.file_name()?),
            }
        } else {
            to
        };
        let file = ImageFile::parse(&to).ok()?;
        Some(file.path())
    }

    /// `WHERE:` alone is the same place in that repository; the top of it, for a file of no repository. `WHERE:FOLDER/` is
    /// that folder, for an image of the same name.
    fn same_place(&self) -> Result<Option<PathBuf>, Failure> {
        let mut to = self.dst.clone().into_os_string();
        let is_top = to.as_encoded_bytes().ends_with(b":");
        if !is_top && !self.is_folder_there() {
            return Ok(None);
        }
        match ImageRef::parse(&self.src)? {
            ImageRef::Placed { image, .. } if is_top => to.push(image.path()),
            ImageRef::Placed { image, .. } => to.push(image.name()),
            ImageRef::Path(path) => to.push(path.file_name().unwrap_or_default()),
        }
        Ok(Some(to.into()))
    }

    /// Whether the copy goes to a folder of a repository, as a slash says.
    fn is_folder_there(&self) -> bool {
        let folder = self.dst.to_str().and_then(|dst| dst.strip_suffix('/'));
        let folder = folder.and_then(|folder| FolderRef::parse(folder).ok());
        matches!(folder, Some(FolderRef::Placed { folder, .. }) if !folder.is_top())
    }
}

/// Refuses what is no image, by its bytes: a mark at the head of a file makes none.
fn refuse_others(from: &Origin) -> Result<(), Failure> {
    let found = from.found()?;
    let error = match found.format {
        Format::Empty => ForeignError::Empty,
        Format::Unknown => ForeignError::UnknownFormat,
        Format::Partclone(_) | Format::Ntfsclone if found.problem.is_some() => {
            return from.refuse_broken_head();
        }
        _ => return Ok(()),
    };
    Err(Failure::from(error).about(&from.name()))
}

/// The name of the file that is copied.
fn name_of(from: &Origin, src: &Path) -> Result<Option<OsString>, Failure> {
    if let Some(path) = from.path() {
        return Ok(path.file_name().map(OsString::from));
    }
    Ok(match ImageRef::parse(src)? {
        ImageRef::Placed { image, .. } => Some(image.name().into()),
        ImageRef::Path(_) => None,
    })
}
