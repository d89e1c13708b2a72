//! `azud cache update IMAGE [--from PLACE]…`.

use std::path::{Component, Path, PathBuf};

use azud_core::code::Code;
use azud_core::reference::{ImageRef, SubPath, Where};

use crate::cached::{holding, within};
use crate::commands::Context;
use crate::failure::Failure;
use crate::origin::{Origin, Via};
use crate::place::{self, Located};
use crate::receive::{Receiving, Terms};
use crate::sources::{Shared, Sought, same_place};
use crate::trust;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image: in a repository, whose place in the cache is the same, or the file in the cache.
    pub image: PathBuf,
    /// The newer image, or the repository or directory that holds it.
    #[arg(long, value_name = "SRC")]
    pub from: Vec<PathBuf>,
    /// How it comes.
    #[arg(long, value_name = "WAY", value_enum, default_value_t)]
    pub via: Via,
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
            let told = self.told(&image).unwrap_or_else(|| named.clone());
            let from = self.from.iter().map(PathBuf::as_path);
            let names: Vec<&Path> = std::iter::once(told.as_path()).chain(from).collect();
            context.teller.plans(context, "cache-update", &names);
        }
        let (from, to, inside) = self.ends(context, image)?;
        let sought = self.sought(inside.as_ref(), to.image.name());
        let others = sought.of_each(context, self.from.get(1..).unwrap_or_default());
        let (from, shared) = Shared::of(context, from, others)?;
        let layout = shared.as_ref().map(Shared::layout);
        let trusted = trust::origin(context, &named, (&from, layout))?;
        let native = match &shared {
            Some(all) => all.native(context, &from)?,
            None => None,
        };
        let several = shared.as_ref().map(|all| all.together(context, &from));
        let receiving = Receiving {
            action: "cache-update",
            from: &from,
            among: several.as_ref(),
            to: &to,
            native: native.as_ref(),
            terms: self.terms,
            trusted,
        };
        receiving.run(context)
    }

    /// The manager's image, where it is that which comes: what is in the cache is called as there.
    fn told(&self, image: &ImageRef) -> Option<PathBuf> {
        let ImageRef::Placed { place, image } = image else {
            return None;
        };
        if *place != Where::Cache || !self.from.is_empty() {
            return None;
        }
        let (place, image) = (Where::Manager, image.clone());
        Some(ImageRef::Placed { place, image }.to_string().into())
    }

    /// Where from, where to, and where in a repository that is.
    fn ends(&self, context: &Context, image: ImageRef) -> Result<Ends, Failure> {
        let (place, image) = match image {
            ImageRef::Path(path) => return self.ends_of_file(context, &path),
            ImageRef::Placed { place, image } => (place, image),
        };
        let to = within(context, None, &image)?;
        let place = place::namespace(context)?.meaning(&place);
        let from = match (self.from.first(), place) {
            (Some(from), _) => self
                .sought(Some(&image), to.image.name())
                .of(context, from)?,
            // What is in the cache comes from the manager.
            (None, Where::Cache) => same_place(context, Where::Manager, &image, self.via)?,
            (None, place) => same_place(context, place, &image, self.via)?,
        };
        Ok((from, to, Some(image)))
    }

    /// The same for a file, which may lie in a cache.
    fn ends_of_file(&self, context: &Context, file: &Path) -> Result<Ends, Failure> {
        let to = place::locate(context, file)?;
        let from = self.from.first().ok_or_else(|| {
            let text = format!("{} is a file: --from is missing", file.display());
            Failure::new(Code::Usage, text)
        })?;
        let inside = holding(context, &to.image).and_then(|(_, path)| {
            let path = path.to_str()?;
            SubPath::parse(path).ok()
        });
        let sought = self.sought(inside.as_ref(), to.image.name());
        let from = sought.of(context, from)?;
        Ok((from, to, inside))
    }

    fn sought<'a>(&self, inside: Option<&'a SubPath>, name: &'a str) -> Sought<'a> {
        let via = self.via;
        Sought { inside, name, via }
    }
}

/// Where from, where to, and the image's place in a repository if it has one.
type Ends = (Origin, Located, Option<SubPath>);

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
