//! `azud image copy SRC DST`.

use std::path::PathBuf;

use azud_core::reference::ImageRef;

use crate::commands::Context;
use crate::failure::Failure;
use crate::place;
use crate::receive::{Receiving, Terms, source_file};

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
        let from = source_file(context, &self.src)?;
        place::answers(&self.dst)?;
        let to = match (self.same_place()?, from.file_name()) {
            (Some(to), _) => place::locate(context, &to)?,
            (None, Some(name)) if self.dst.is_dir() => {
                place::locate(context, &self.dst.join(name))?
            }
            _ => place::locate(context, &self.dst)?,
        };
        let receiving = Receiving {
            action: "image-copy",
            from: &from,
            to: &to,
            terms: self.terms,
        };
        receiving.run(context)
    }

    /// `WHERE:` alone is the same place in that repository; the top of it, for a file of no repository.
    fn same_place(&self) -> Result<Option<PathBuf>, Failure> {
        let mut to = self.dst.clone().into_os_string();
        if !to.as_encoded_bytes().ends_with(b":") {
            return Ok(None);
        }
        match ImageRef::parse(&self.src)? {
            ImageRef::Placed { image, .. } => to.push(image.path()),
            ImageRef::Path(path) => to.push(path.file_name().unwrap_or_default()),
        }
        Ok(Some(to.into()))
    }
}
