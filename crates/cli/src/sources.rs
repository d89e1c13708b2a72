//! Several places that have one image: it is fetched from all of them.

use std::path::{Path, PathBuf};

use azud_core::assembly::{Layout, Source};
use azud_core::code::Code;
use azud_core::format::Hash;
use azud_core::name::ImageFile;
use azud_core::reference::{FolderRef, ImageRef, SubPath, Where};
use azud_image::{Indexed, Native};
use azud_store::assembly::{Given, Several, Wait};
use serde_json::{Value, json};

use crate::commands::Context;
use crate::failure::Failure;
use crate::human;
use crate::interrupt;
use crate::origin::{Coming, Origin, Via, native_of, usual_patience};
use crate::output::{detail, hint};
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

/// Opens what a name leads to.
type Open<T> = fn(&Context, &Path, Via) -> Result<T, Failure>;

impl Sought<'_> {
    /// An image; of a repository the one at the same place, of a directory the one of this name.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub(crate) fn of(&self, context: &Context, from: &Path) -> Result<Origin, Failure> {
        self.opened(context, from, Origin::named_via)
    }

    fn opened<T: From<Origin>>(
        &self,
        context: &Context,
        from: &Path,
        open: Open<T>,
    ) -> Result<T, Failure> {
        if let (FolderRef::Placed { place, folder }, Some(inside)) =
            (FolderRef::parse(from)?, self.inside)
            && folder.is_top()
        {
            let image = inside.clone();
            let name = ImageRef::Placed { place, image }.to_string();
            return open(context, Path::new(&name), self.via);
        }
        if self.via == Via::Http {
            return open(context, from, self.via);
        }
        match place::folder(context, from) {
            Ok(folder) if folder.is_dir() => Origin::file(folder.join(self.name)).map(T::from),
            Ok(folder) if place::is_directory(&folder) && !folder.exists() => {
                Err(place::no_directory(&folder))
            }
            found => {
                let opened = open(context, from, self.via);
                opened.map_err(|failure| match found {
                    Ok(path) => neither(&path, failure),
                    Err(_) => failure,
                })
            }
        }
    }

    /// Those that may help one that says which image it is; all are asked at once. Who cannot is told, and done without.
    pub(crate) fn of_each(&self, context: &Context, from: &[PathBuf]) -> Vec<Origin> {
        let open = |from: &PathBuf| self.opened(context, from, Coming::named_via);
        let coming: Vec<_> = from.iter().map(open).collect();
        let mut others = Vec::new();
        for (from, coming) in from.iter().zip(coming) {
            match coming.and_then(Coming::origin) {
                Ok(origin) => others.push(origin),
                Err(failure) => warn_without(context, from, &failure),
            }
        }
        others
    }
}

/// Says what all was looked for and is not there, where that is more than one thing.
pub(crate) fn neither(path: &Path, failure: Failure) -> Failure {
    match ImageFile::parse(path) {
        Ok(image) if failure.code == Code::NotFound && image.path() != path => {
            let (path, image) = (path.display(), image.path().display().to_string());
            let text = format!("there is neither a directory {path} nor an image {image}");
            let values = [("path", path.to_string()), ("image", image)];
            Failure::new(failure.code, text).in_words("nothing-there", values)
        }
        _ => failure,
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

/// An image that more than one has: what it consists of, and who has it besides the first.
#[derive(Debug)]
pub(crate) struct Shared {
    layout: Layout,
    others: Vec<Origin>,
    /// Whether it was said that the index of the first is damaged.
    told: bool,
}

impl Shared {
    /// The first one says which image it is; those of the others that have it too help. Where its index is damaged, it
    /// still says so in its trailer, and one of the others has the index; where the trailer is damaged, one of the others
    /// has the index that the first one has, too. `None` when nobody helps; only where somebody
    /// does, the first one is not waited for as long as one alone.
    ///
    /// # Errors
    /// When the first one cannot be read, or nobody has its index.
    pub(crate) fn of(
        context: &Context,
        first: Origin,
        others: Vec<Origin>,
    ) -> Result<(Origin, Option<Self>), Failure> {
        if others.is_empty() {
            return Ok((first, None));
        }
        let known = |other: Origin| (Known::of(&other), other);
        let others: Vec<(Result<Known, Failure>, Origin)> = others.into_iter().map(known).collect();
        let Known {
            identity,
            mut layout,
        } = match Known::of(&first) {
            Err(failure) => Known::by(context, (&first, failure), &others)?,
            known => known?,
        };
        let warn = |text: &str| context.output.warn(&context.catalog, text);
        let (mut helping, mut told) = (Vec::new(), false);
        for (known, other) in others {
            match known {
                Ok(there) if there.identity == identity => {
                    // Its pieces may be right all the same.
                    helping.push(other);
                    let damage = match (&layout, &there.layout) {
                        (_, Err(damage)) => damage.clone(),
                        (Ok(_), Ok(_)) => continue,
                        (Err(damage), Ok(_)) => {
                            let damage = damage.clone();
                            layout = there.layout;
                            told = true;
                            damage
                        }
                    };
                    warn(&detail(&context.catalog, &damage));
                }
                Ok(_) => warn_of_another_image(context, &other),
                Err(failure) => {
                    warn(&detail(&context.catalog, &failure));
                    if matches!(&layout, Ok(layout) if layout.has_its_index(other.bytes())) {
                        helping.push(other);
                    }
                }
            }
        }
        let layout = layout?;
        if helping.is_empty() {
            return Ok((first, None));
        }
        let shared = Self {
            layout,
            others: helping,
            told,
        };
        Ok((first.hurried(), Some(shared)))
    }

    /// What the image consists of.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Who has it besides the first.
    pub(crate) fn others(&self) -> &[Origin] {
        &self.others
    }

    /// Opens by way of all of them what the first one alone has wrong, and says so.
    ///
    /// # Errors
    /// `failure`, which is why the first one cannot be opened, where nobody helps; what the others have wrong, too.
    pub(crate) fn instead(
        &self,
        context: &Context,
        (first, failure): (&Origin, Failure),
    ) -> Result<Native, Failure> {
        let Some(native) = self.native(context, first)? else {
            return Err(failure);
        };
        if !self.told {
            let text = detail(&context.catalog, &failure);
            context.output.warn(&context.catalog, &text);
        }
        Ok(native)
    }

    /// Opens a native image by way of all of them; `None` of one of another program. What somebody has wrong there is
    /// not counted with what is read later on.
    ///
    /// # Errors
    /// When all of them have something wrong there.
    pub(crate) fn native(
        &self,
        context: &Context,
        first: &Origin,
    ) -> Result<Option<Native>, Failure> {
        if !self.layout.is_native() {
            return Ok(None);
        }
        let all = self.together(context, first);
        native_of(&all, &all.name()).map(Some)
    }

    /// All of them as one.
    pub(crate) fn together(&self, context: &Context, first: &Origin) -> Several<'static> {
        let all = std::iter::once(first).chain(&self.others);
        let sources = all.map(|one| (one.shared(), rank(one))).collect();
        let waiting = (usual_patience(), waiting(context));
        Several::of(self.layout.clone(), sources, waiting)
    }
}

/// What one of several says of its image.
struct Known {
    identity: Hash,
    /// What it consists of, or how its index is damaged.
    layout: Result<Layout, Failure>,
}

impl Known {
    fn of(origin: &Origin) -> Result<Self, Failure> {
        let file = origin.bytes();
        let layout = match Layout::read_native(file) {
            Ok(layout) => layout,
            Err(_) => match Indexed::open(file).map_err(Failure::from) {
                // A manager gives what it has, as one of another program.
                Err(failure) if failure.code != Code::NotNative => {
                    let damage = failure.about(&origin.name());
                    let identity = Indexed::claimed(file).ok_or_else(|| damage.clone())?;
                    return Ok(Self {
                        identity,
                        layout: Err(damage),
                    });
                }
                _ => origin.layout()?,
            },
        };
        Ok(Self {
            identity: *layout.identity(),
            layout: Ok(layout),
        })
    }

    /// Of one that does not say any more which image it is: that of the others whose index it has.
    ///
    /// # Errors
    /// `failure`, which is why it does not say so, where it has nobody's.
    fn by(
        context: &Context,
        (first, failure): (&Origin, Failure),
        others: &[(Result<Self, Failure>, Origin)],
    ) -> Result<Self, Failure> {
        if !matches!(failure.code, Code::Corrupt | Code::Truncated) {
            return Err(failure);
        }
        let its = |(known, _): &&(Result<Self, Failure>, Origin)| {
            let layout = known.as_ref().ok().and_then(|it| it.layout.as_ref().ok());
            layout.is_some_and(|layout| layout.has_its_index(first.bytes()))
        };
        if let Some((Ok(known), _)) = others.iter().find(its) {
            return Ok(Self {
                identity: known.identity,
                layout: Err(failure),
            });
        }
        for (known, other) in others {
            match known {
                Ok(_) => warn_of_another_image(context, other),
                Err(other) => {
                    let text = detail(&context.catalog, other);
                    context.output.warn(&context.catalog, &text);
                }
            }
        }
        Err(failure)
    }
}

/// Says why somebody who was named does not help, and what can be done about it.
fn warn_without(context: &Context, from: &Path, failure: &Failure) {
    let catalog = &context.catalog;
    let values = [
        ("from", from.display().to_string().into()),
        ("why", detail(catalog, failure).into()),
    ];
    let mut text = catalog.fmt("warn-without", &values);
    // That cables and firewalls are to be looked at is no matter of this work.
    if failure.code != Code::Unreachable || failure.hint.is_some() {
        text = format!("{text} {}", hint(catalog, failure));
    }
    context.output.warn(catalog, &text);
}

fn warn_of_another_image(context: &Context, other: &Origin) {
    let values = [("source", other.name().into())];
    let text = context.catalog.fmt("warn-another-image", &values);
    context.output.warn(&context.catalog, &text);
}

/// Says which sources turned out to be bad, and which were silent.
pub(crate) fn tell_troubles(context: &Context, several: &Several<'_>) {
    let warn = |key, source: &str, count: u64| {
        let values = [("source", source.into()), ("count", count.into())];
        let text = context.catalog.fmt(key, &values);
        context.output.warn(&context.catalog, &text);
    };
    for (source, given) in several.given() {
        match given {
            Given { is_out: true, .. } => warn("warn-bad-source", &source, given.wrong),
            Given { wrong: 1.., .. } => warn("warn-wrong-bytes", &source, given.wrong),
            _ => {}
        }
        // Whose answers were not waited for at the end is counted, too.
        if given.silent > 0 && !interrupt::is_asked() {
            warn("warn-silent-source", &source, given.silent);
        }
    }
}

/// What each of them gave, for programs; nothing where there is one alone.
pub(crate) fn given_json(among: Option<&Several<'_>>) -> Option<Value> {
    let all = among?.given().into_iter().map(|(source, given)| {
        json!({
            "source": source,
            "bytes": given.bytes,
            "wrong": given.wrong,
            "silent": given.silent,
            "left_out": given.is_out,
        })
    });
    Some(all.collect())
}

/// What each of them gave, as rows of a result.
pub(crate) fn given_rows(context: &Context, among: Option<&Several<'_>>) -> Vec<(String, String)> {
    let all = among.map(Several::given).into_iter().flatten();
    let row = |(source, given): (String, Given)| {
        let label = context
            .catalog
            .fmt("label-from-one", &[("source", source.into())]);
        (label, human::bytes(given.bytes))
    };
    all.map(row).collect()
}

/// What is at this computer is asked before what has to serve others too.
fn rank(origin: &Origin) -> u32 {
    u32::from(origin.source().is_far())
}

/// Says once how long nobody's answer is waited for, and of whom nothing comes any more; goes on waiting unless the work
/// is to end.
fn waiting(context: &Context) -> impl Fn(Wait<'_>) -> bool + Send + Sync + 'static {
    let warn = context.warner();
    move |wait| {
        // That nothing comes any more is no news then.
        if interrupt::is_asked() {
            return false;
        }
        match wait {
            Wait::Begins(left) => {
                let values = [("seconds", left.as_secs().max(1).into())];
                warn("warn-nobody-answers", &values);
            }
            Wait::Without(source) => warn("warn-without-source", &[("source", source.into())]),
            Wait::Lasts => {}
        }
        true
    }
}
