//! Several places that have one image: it is fetched from all of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use azud_core::reference::{FolderRef, ImageRef, SubPath, Where};
use azud_store::assembly::Several;

use crate::commands::Context;
use crate::failure::Failure;
use crate::interrupt;
use crate::origin::{Origin, Via, usual_patience};
use crate::output::{detail, told};
use crate::place;

/// An image that places have, as they are named with `--from`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sought<'a> {
    /// Where in a repository it is, if it is in one.
    pub(crate) inside: Option<&'a SubPath>,
    /// What it is called elsewhere.
    pub(crate) name: &'a str,
    /// How it comes.
    pub(crate) via: Via,
}

impl Sought<'_> {
    /// An image; of a repository the one at the same place, of a directory the one of this name.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub(crate) fn of(&self, context: &Context, from: &Path) -> Result<Origin, Failure> {
        if let (FolderRef::Placed { place, folder }, Some(inside)) =
            (FolderRef::parse(from)?, self.inside)
            && folder.is_top()
        {
            return same_place(context, place, inside, self.via);
        }
        if self.via == Via::Http {
            return Origin::named_via(context, from, self.via);
        }
        match place::folder(context, from) {
            Ok(folder) if folder.is_dir() => Origin::file(folder.join(self.name)),
            _ => Origin::named_via(context, from, self.via),
        }
    }

    /// Those that may help one that says which image it is. Who cannot is told, and does without.
    pub(crate) fn of_each(&self, context: &Context, from: &[PathBuf]) -> Vec<Origin> {
        let mut others = Vec::new();
        for from in from {
            match self.of(context, from) {
                Ok(origin) => others.push(origin.hurried()),
                Err(failure) => {
                    let text = detail(&context.catalog, &failure);
                    context.output.warn(&context.catalog, &text);
                }
            }
        }
        others
    }
}

/// The image that is at a place in another repository.
///
/// # Errors
/// When there is none, or it cannot be read.
pub(crate) fn same_place(
    context: &Context,
    place: Where,
    image: &SubPath,
    via: Via,
) -> Result<Origin, Failure> {
    let image = image.clone();
    let name = ImageRef::Placed { place, image }.to_string();
    Origin::named_via(context, Path::new(&name), via)
}

/// The first one says which image it is; those of the others that have it too help. `None` when nobody does.
///
/// # Errors
/// When the first one cannot be read.
pub(crate) fn together<'a>(
    context: &Context,
    first: &'a Origin,
    others: &'a [Origin],
) -> Result<Option<Several<'a>>, Failure> {
    if others.is_empty() {
        return Ok(None);
    }
    let wanted = first.layout()?;
    let mut sources = vec![(first.source(), rank(first))];
    for other in others {
        match other.layout() {
            Ok(there) if there.identity() == wanted.identity() => {
                sources.push((other.source(), rank(other)));
            }
            Ok(_) => {
                let values = [("source", other.name().into())];
                let text = context.catalog.fmt("warn-another-image", &values);
                context.output.warn(&context.catalog, &text);
            }
            Err(error) => {
                let text = told(&context.catalog, &error);
                context.output.warn(&context.catalog, &text);
            }
        }
    }
    if sources.len() == 1 {
        return Ok(None);
    }
    let waiting = (usual_patience(), waiting(context));
    Ok(Some(Several::of(wanted, sources, waiting)))
}

/// Says which sources turned out to be bad.
pub(crate) fn tell_left_out(context: &Context, several: &Several<'_>) {
    for source in several.left_out() {
        let text = context
            .catalog
            .fmt("warn-bad-source", &[("source", source.into())]);
        context.output.warn(&context.catalog, &text);
    }
}

/// What is at this computer is asked before what has to serve others too.
fn rank(origin: &Origin) -> u32 {
    u32::from(origin.source().is_far())
}

/// Says once how long nobody's answer is waited for, and goes on waiting unless the work is to end.
fn waiting(context: &Context) -> impl Fn(Option<Duration>) -> bool + Send + Sync + 'static {
    let warn = context.warner();
    move |left| {
        if let Some(left) = left {
            let values = [("seconds", left.as_secs().max(1).into())];
            warn("warn-nobody-answers", &values);
        }
        interrupt::go_on().is_ok()
    }
}
