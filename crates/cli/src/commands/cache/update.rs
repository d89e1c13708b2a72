//! `azud cache update IMAGE [--from PLACE]`.

use std::path::{Component, Path, PathBuf};

use azud_core::code::Code;
use azud_core::reference::{FolderRef, ImageRef, SubPath, Where};

use crate::cached::{holding, within};
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
    /// The newer image, or the repository or directory that holds it.
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
        let image = meant(&self.image)?;
        // As it was typed, but for the place that was left out.
        let named = if ImageRef::parse(&self.image)? == image {
            self.image.clone()
        } else {
            PathBuf::from(image.to_string())
        };
        if !self.terms.writing.dry_run {
            context.teller.begin(context, "cache-update", &named);
        }
        let (from, to) = self.ends(context, image)?;
        let receiving = Receiving {
            action: "cache-update",
            from: &from,
            to: &to,
            native: None,
            terms: self.terms,
            trusted: trust::origin(context, &named, &from)?,
        };
        receiving.run(context)
    }

    /// Where from and where to.
    fn ends(&self, context: &Context, image: ImageRef) -> Result<(Origin, Located), Failure> {
        let (place, image) = match image {
            ImageRef::Path(path) => return self.ends_of_file(context, &path),
            ImageRef::Placed { place, image } => (place, image),
        };
        let to = within(context, None, &image)?;
        let place = place::namespace(context)?.meaning(&place);
        let from = match (&self.from, place) {
            (Some(from), _) => given(context, from, Some(&image), to.image.name())?,
            // What is in the cache comes from the manager.
            (None, Where::Cache) => same_place(context, Where::Manager, image)?,
            (None, place) => same_place(context, place, image)?,
        };
        Ok((from, to))
    }

    /// The same for a file, which may lie in a cache.
    fn ends_of_file(&self, context: &Context, file: &Path) -> Result<(Origin, Located), Failure> {
        let to = place::locate(context, file)?;
        let from = self.from.as_deref().ok_or_else(|| {
            let text = format!("{} is a file: --from is missing", file.display());
            Failure::new(Code::Usage, text)
        })?;
        let inside = holding(context, &to.image).and_then(|(_, path)| {
            let path = path.to_str()?;
            SubPath::parse(path).ok()
        });
        let from = given(context, from, inside.as_ref(), to.image.name())?;
        Ok((from, to))
    }
}

/// A name without a place is one in the cache, as for every `azud cache`; `./` before it makes it a path.
fn meant(image: &Path) -> Result<ImageRef, Failure> {
    let bare = matches!(image.components().next(), Some(Component::Normal(_)));
    match (ImageRef::parse(image)?, image.to_str()) {
        (ImageRef::Path(_), Some(name)) if bare => Ok(ImageRef::Placed {
            place: Where::Cache,
            image: SubPath::parse(name)?,
        }),
        (image, _) => Ok(image),
    }
}

/// An image; of a repository the one at the same place, of a directory the one of this name.
fn given(
    context: &Context,
    from: &Path,
    image: Option<&SubPath>,
    name: &str,
) -> Result<Origin, Failure> {
    if let (FolderRef::Placed { place, folder }, Some(image)) = (FolderRef::parse(from)?, image)
        && folder.is_top()
    {
        return same_place(context, place, image.clone());
    }
    match place::folder(context, from) {
        Ok(folder) if folder.is_dir() => Origin::file(folder.join(name)),
        _ => Origin::named(context, from),
    }
}

fn same_place(context: &Context, place: Where, image: SubPath) -> Result<Origin, Failure> {
    let name = ImageRef::Placed { place, image }.to_string();
    Origin::named(context, Path::new(&name))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::meant;

    #[test]
    fn a_bare_name_is_one_in_the_cache() {
        let said = |text: &str| meant(Path::new(text)).map(|image| image.to_string());
        for (text, image) in [
            ("aula1/win11", "CACHE:aula1/win11.img"),
            ("win11.dsk", "CACHE:win11.dsk"),
            ("REPO:aula1/win11", "REPO:aula1/win11.img"),
            ("./win11", "./win11"),
            ("../win11", "../win11"),
            ("/srv/win11", "/srv/win11"),
        ] {
            assert_eq!(said(text).unwrap(), image, "{text}");
        }
        assert!(said("a/../win11").is_err());
    }
}
