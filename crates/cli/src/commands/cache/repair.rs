//! `azud cache repair IMAGE --from SOURCE`.

use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::name::beside;
use azud_core::reference::SubPath;
use azud_image::ImageError;
use azud_image::repair::{Damage, Outline, Repaired};
use azud_store::StoreError;
use azud_store::cache::{Cache, Stamp, Verified};
use azud_store::side::{FULL_SUM, read_sum};
use azud_store::{Identity, Stored};
use serde_json::json;

use super::check::{numbers, renew_hint};
use crate::args::Writing;
use crate::cached::{Place, locate};
use crate::commands::Context;
use crate::confirm::{Step, settle};
use crate::failure::Failure;
use crate::human;
use crate::opened::now;
use crate::origin::{Origin, Via};
use crate::plan::{Plan, Value};
use crate::sources::Sought;
use crate::table;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image.
    pub image: PathBuf,
    /// Another copy, or a repository or tree that has one.
    #[arg(long, value_name = "SOURCE", required = true)]
    pub from: PathBuf,
    /// Which cache.
    #[command(flatten)]
    pub place: Place,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

/// The image and what its ending says.
struct Copy {
    stored: Stored,
    outline: Option<Outline>,
}

impl Copy {
    fn open(path: &Path) -> Result<Self, Failure> {
        let stored = Stored::open(path)?;
        stored.forget_cached();
        let outline = Outline::open(&stored).ok();
        Ok(Self { stored, outline })
    }
}

/// Another copy of it, here or at a manager.
struct Other {
    origin: Origin,
    outline: Outline,
}

impl Other {
    /// That it has not what is damaged, unless it could not be asked.
    fn lacks(&self, error: ImageError) -> Failure {
        if !matches!(error, ImageError::Frames { .. }) {
            return error.into();
        }
        if let Err(source) = self.origin.source().identity() {
            let name = self.origin.name();
            return StoreError::Source { name, source }.into();
        }
        Failure {
            code: Code::NoCopy,
            ..Failure::from(error).about(&self.origin.name())
        }
    }
}

impl Args {
    /// Repairs the image.
    ///
    /// # Errors
    /// When the other copy does not have what is damaged, or the image cannot be written.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let cache = self.place.open(context)?;
        let path = locate(&cache, std::slice::from_ref(&self.image))?.remove(0);
        cache.check_patchable(&path)?;
        let file = cache.root().join(&path);
        let renew = |failure: Failure| {
            if matches!(failure.code, Code::NotNative | Code::UnknownVersion) {
                return failure.with_hint(renew_hint(context, &file));
            }
            failure
        };
        let other = self.other(context, &path).map_err(renew)?;
        let image = Copy::open(&file)?;
        let outline = outline(&cache, &path, (&image, &other)).map_err(renew)?;
        let progress = context.progress();
        let damage = outline.check(&image.stored, &progress)?;
        drop(progress);
        let plan = self.plan(&path, (outline, &damage));
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        // Nobody takes the image away while it is being put right.
        let lease = cache.lease(&path, now())?;
        let done = if damage.is_none() {
            Ok(Repaired::default())
        } else {
            write(context, (&cache, &path), (outline, &damage), &other)
        };
        let left = remember(&cache, &path, (outline, &damage), done.is_err())?;
        drop(lease);
        let done = done.map_err(|error| other.lacks(error))?;
        if !left.is_none() {
            let what = "what was written is not what is read";
            return Err(Failure::new(Code::ReadBack, what).about(&path.display().to_string()));
        }
        show(context, &path, done);
        Ok(())
    }

    /// The other copy: the file, or the image of the same place in another tree or at a manager.
    fn other(&self, context: &Context, path: &Path) -> Result<Other, Failure> {
        let name = path.to_string_lossy();
        let inside = SubPath::parse(&name).ok();
        let sought = Sought {
            inside: inside.as_ref(),
            name: &name,
            via: Via::Auto,
        };
        let origin = sought.of(context, &self.from)?;
        let outline = Outline::open(origin.bytes());
        let outline = outline.map_err(|_| Failure::new(Code::NotNative, origin.name()))?;
        Ok(Other { origin, outline })
    }

    fn plan(&self, path: &Path, (outline, damage): (&Outline, &Damage)) -> Plan {
        let frames = Value::Count(damage.frames.len() as u64);
        let index = Value::Word(if damage.ending { "yes" } else { "no" });
        Plan::new("cache-repair")
            .text("image", path.display().to_string())
            .text("source", self.from.display().to_string())
            .row("damaged-frames", frames)
            .row("damaged-index", index)
            .bytes("to-fetch", outline.to_fetch(damage))
    }
}

/// What the image must be: by its own ending, or, if that is damaged, by the other copy's, provided that
/// it is known to be the same image.
fn outline<'a>(
    cache: &Cache,
    path: &Path,
    (image, other): (&'a Copy, &'a Other),
) -> Result<&'a Outline, Failure> {
    if let Some(own) = &image.outline {
        return Ok(own);
    }
    let known = cache.known_identity(path).ok().flatten();
    let has_its_sum = || {
        let sum = read_sum(&beside(image.stored.path(), FULL_SUM));
        sum.is_some() && sum == other.origin.full_sum()
    };
    let is_it = known == Some(Identity(*other.outline.identity())) || has_its_sum();
    let unknown = || Failure::new(Code::UnknownVersion, path.display().to_string());
    is_it.then_some(&other.outline).ok_or_else(unknown)
}

fn write(
    context: &Context,
    (cache, path): (&Cache, &Path),
    (outline, damage): (&Outline, &Damage),
    other: &Other,
) -> Result<Repaired, ImageError> {
    let write = |source| ImageError::Write { source };
    let patch = cache.patch(path).map_err(|error| write(error.into()))?;
    let progress = context.progress();
    let mut at = |bytes: &[u8], offset| patch.write(bytes, offset).map_err(Into::into);
    let theirs = (&other.outline, other.origin.bytes());
    let done = outline.repair(damage, theirs, &mut at, &progress);
    // Also when some frames could not be had: those that could are kept.
    patch
        .finish(outline.file_len())
        .map_err(|error| write(error.into()))?;
    done
}

/// Looks again at what was wrong, on the medium, and remembers the outcome. What is still wrong.
fn remember(
    cache: &Cache,
    path: &Path,
    (outline, damage): (&Outline, &Damage),
    failed: bool,
) -> Result<Damage, Failure> {
    let full = cache.root().join(path);
    let stored = Stored::open(&full)?;
    stored.forget_cached();
    let left = outline.check_again(&stored, damage);
    let sound = left.is_none() && !failed;
    let verified = Verified::new(now(), Stamp::of(&full)?, sound, numbers(&left));
    cache.mark_verified(path, verified, Some(Identity(*outline.identity())))?;
    Ok(left)
}

fn show(context: &Context, path: &Path, done: Repaired) {
    let value = json!({
        "action": "cache-repair",
        "image": path,
        "frames": done.frames,
        "fetched": done.fetched,
    });
    context.output.result(&value, || {
        if done == Repaired::default() {
            return context.catalog.text("result-image-verify");
        }
        let label = |key: &str| context.catalog.text(&format!("label-{key}"));
        let rows = [
            (label("frames"), done.frames.to_string()),
            (label("fetched"), human::bytes(done.fetched)),
        ];
        format!(
            "{}\n{}",
            context.catalog.text("result-cache-repair"),
            table::rows(&rows)
        )
    });
}
