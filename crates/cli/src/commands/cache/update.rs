//! `azud cache update IMAGE [--from PLACE]`.

use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::reference::{ImageRef, Where};

use crate::commands::Context;
use crate::failure::Failure;
use crate::origin::Origin;
use crate::place::{self, Located};
use crate::receive::{Receiving, Terms};
use crate::trust;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image: in a repository, whose place in the cache is the same, or the file in the cache.
    pub image: PathBuf,
    /// The newer image, or the directory that holds it under the same name.
    #[arg(long, value_name = "SRC")]
    pub from: Option<PathBuf>,
    /// Room and consent.
    #[command(flatten)]
    pub terms: Terms,
}

impl Args {
    /// Brings the image up to date.
    ///
    /// # Errors
    /// When the source is damaged or there is no room.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        if !self.terms.writing.dry_run {
            context.teller.begin(context, "cache-update", &self.image);
        }
        let (from, to) = self.ends(context)?;
        let receiving = Receiving {
            action: "cache-update",
            from: &from,
            to: &to,
            native: None,
            terms: self.terms,
            trusted: trust::origin(context, &self.image, &from)?,
        };
        receiving.run(context)
    }

    /// Where from and where to.
    fn ends(&self, context: &Context) -> Result<(Origin, Located), Failure> {
        let placed = match ImageRef::parse(&self.image)? {
            ImageRef::Path(_) => None,
            ImageRef::Placed { place, image } => Some((place, image)),
        };
        let Some((place, image)) = placed else {
            let to = place::locate(context, &self.image)?;
            let from = self.from.as_deref().ok_or_else(|| {
                let text = format!("{} is a file: --from is missing", self.image.display());
                Failure::new(Code::Usage, text)
            })?;
            return Ok((given(context, from, to.image.name())?, to));
        };
        let at = |place: Where| {
            let image = image.clone();
            PathBuf::from(ImageRef::Placed { place, image }.to_string())
        };
        let to = place::locate(context, &at(Where::Cache))?;
        let from = match (&self.from, place) {
            (Some(from), _) => given(context, from, to.image.name())?,
            // What is in the cache comes from the manager.
            (None, Where::Cache) => Origin::named(context, &at(Where::Manager))?,
            (None, place) => Origin::named(context, &at(place))?,
        };
        Ok((from, to))
    }
}

/// An image, or the one of this name in a directory.
fn given(context: &Context, from: &Path, name: &str) -> Result<Origin, Failure> {
    match place::folder(context, from) {
        Ok(folder) if folder.is_dir() => Origin::file(folder.join(name)),
        _ => Origin::named(context, from),
    }
}
