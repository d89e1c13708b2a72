//! `azud deploy IMAGE DEVICE`: the newest image in the cache and on the device, in one pass.

mod cached;
mod shown;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use azud_core::assembly::Source;
use azud_core::code::Code;
use azud_core::io::ReadAt;
use azud_core::reference::{ImageRef, SubPath, Where};
use azud_disk::DeviceFacts;
use azud_disk::target::Target;
use azud_image::restore::{Distance, RestoreOptions, is_alike, restore};
use azud_store::assembly::Several;

use super::Context;
use super::image::restore::{Args as Restoring, Onto, finished, target_options};
use crate::cached::InUse;
use crate::confirm::{Asking, Step, settle, settle_asking};
use crate::failure::{Failure, Hint};
use crate::origin::{Origin, Via, about_damage};
use crate::place::{self, Located};
use crate::plan::{Plan, Value};
use crate::receive::Terms;
use crate::restorable::{Found, Restorable};
use crate::sources::{Shared, Sought, tell_troubles};
use crate::target::{as_planned, existing, refuse};
use crate::trust::{self, Trusted};

use shown::Done;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image.
    pub image: PathBuf,
    /// Device or file to write.
    pub device: PathBuf,
    /// Who else has it.
    #[arg(long, value_name = "SRC")]
    pub from: Vec<PathBuf>,
    /// The cache's directory.
    #[arg(long, value_name = "DIR", conflicts_with = "no_cache")]
    pub cache: Option<PathBuf>,
    /// Leave the cache alone.
    #[arg(long)]
    pub no_cache: bool,
    /// Read the medium again.
    #[arg(long)]
    pub read_back: bool,
    /// Room and consent.
    #[command(flatten)]
    pub terms: Terms,
}

/// What is deployed where, as the plan shows it.
struct Job<'a> {
    context: &'a Context,
    args: &'a Args,
    image: &'a Restorable,
    others: &'a [Origin],
    /// Where several have the image, all of them; that of `image` is the one that says which it is.
    among: Option<&'a Several<'a>>,
    device: PathBuf,
    facts: Option<DeviceFacts>,
    restoring: Restoring,
    begun: Instant,
}

impl Args {
    /// Deploys the image.
    ///
    /// # Errors
    /// When image or target are refused, damaged or fail.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let begun = Instant::now();
        if !self.terms.writing.dry_run {
            let named = [&self.image, &self.device].into_iter().chain(&self.from);
            let names: Vec<&Path> = named.map(PathBuf::as_path).collect();
            context.teller.plans(context, "deploy", &names);
        }
        let (image, shared) = self.found(context)?;
        context.teller.identity(&image.identity());
        let device = place::device(&self.device)?;
        let facts = existing(&device)?;
        if let Some(facts) = &facts {
            refuse(&device, facts, &image)?;
        }
        let layout = shared.as_ref().map(Shared::layout);
        let trusted = trust::native(context, &self.image, (Some(&image), layout))?;
        let to = self.cached(context)?;
        let several = shared
            .as_ref()
            .map(|all| all.together(context, &image.origin));
        let job = Job {
            context,
            args: self,
            restoring: Restoring::deploying(&self.image, &device, self.read_back),
            image: &image,
            others: shared.as_ref().map_or(&[], Shared::others),
            among: several.as_ref(),
            device,
            facts,
            begun,
        };
        match to {
            Some(to) => cached::deploy(&job, &to, trusted),
            None => job.directly(trusted.as_ref()),
        }
    }

    /// The image, and who else has it: they give what is damaged of its index, its header and its bitmap, too.
    fn found(&self, context: &Context) -> Result<(Restorable, Option<Shared>), Failure> {
        let Found { origin, native } = Found::named(context, &self.image).map_err(|failure| {
            if failure.code != Code::NotNative {
                return failure;
            }
            failure.with_hint(Hint::of("deploy-foreign"))
        })?;
        if self.from.is_empty() {
            let native = native.map_err(|failure| origin.blamed(failure))?;
            return Ok((Restorable { origin, native }, None));
        }
        let others = self.others(context, &origin)?;
        let (origin, shared) = Shared::of(context, origin, others)?;
        let native = match (native, &shared) {
            (Err(failure), Some(shared)) => shared.instead(context, (&origin, failure))?,
            (native, _) => native.map_err(|failure| origin.blamed(failure))?,
        };
        Ok((Restorable { origin, native }, shared))
    }

    /// Those that may help.
    fn others(&self, context: &Context, image: &Origin) -> Result<Vec<Origin>, Failure> {
        let inside = match ImageRef::parse(&self.image)? {
            ImageRef::Placed { image, .. } => Some(image),
            ImageRef::Path(_) => None,
        };
        let file = image.path().and_then(Path::file_name);
        let name = match &inside {
            Some(inside) => inside.name(),
            None => file.and_then(OsStr::to_str).unwrap_or_default(),
        };
        let sought = Sought {
            inside: inside.as_ref(),
            name,
            via: Via::Auto,
        };
        Ok(sought.of_each(context, &self.from))
    }

    /// Where the image is or would be in the cache; `None` where there is none, or the image comes from it.
    fn cached(&self, context: &Context) -> Result<Option<Located>, Failure> {
        if self.no_cache {
            return Ok(None);
        }
        let image = match ImageRef::parse(&self.image)? {
            ImageRef::Placed { place, image } => {
                if place::namespace(context)?.meaning(&place) == Where::Cache {
                    return Ok(None);
                }
                image
            }
            // A file of no repository has no place in the cache, unless that is asked for.
            ImageRef::Path(path) if self.cache.is_some() => {
                let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
                SubPath::parse(name)?
            }
            ImageRef::Path(_) => return Ok(None),
        };
        // One that was named is not done without.
        let is_named = self.cache.is_some() || crate::cached::is_named();
        match crate::cached::within(context, self.cache.as_deref(), &image) {
            Err(failure) if !is_named && is_no_cache(failure.code) => Ok(None),
            located => located.map(Some),
        }
    }
}

const fn is_no_cache(code: Code) -> bool {
    matches!(code, Code::PlaceNotMounted | Code::NoCache)
}

impl Job<'_> {
    /// Where the image comes from.
    fn source(&self) -> &dyn Source {
        match self.among {
            Some(several) => several,
            None => self.image.origin.source(),
        }
    }

    /// Its bytes.
    fn file(&self) -> &dyn ReadAt {
        match self.among {
            Some(several) => several,
            None => self.image.file(),
        }
    }

    /// Says of damage whose it is.
    fn blamed(&self, failure: Failure) -> Failure {
        match self.among {
            Some(several) => about_damage(failure, &Source::name(several)),
            None => self.image.origin.blamed(failure),
        }
    }

    fn distance(&self) -> Distance {
        match self.among {
            Some(several) if several.is_far() => Distance::Far,
            _ => self.image.distance(),
        }
    }

    /// Bytes that came over a network so far.
    fn received(&self) -> Option<u64> {
        let origins = self.others.iter().chain([&self.image.origin]);
        origins
            .filter_map(Origin::received)
            .reduce(u64::saturating_add)
    }

    /// Adds to a plan what becomes of the target.
    fn rows(&self, plan: Plan) -> Result<Plan, Failure> {
        let native = &self.image.native;
        let header = &native.geometry().header;
        let plan = plan
            .text("file-system", native.facts().fs.clone())
            .bytes("used", header.used_blocks * u64::from(header.block_size))
            .bytes("minimum-size", native.minimum_size());
        let facts = self.facts.as_ref();
        let mode = match facts {
            Some(_) => "alike",
            None => "whole",
        };
        self.restoring.plan_target(
            self.context,
            plan,
            &self.device,
            &Onto::of(self.image, facts, mode),
        )
    }

    /// Shows the plan, and asks for the device's name.
    fn settle(&self, plan: &Plan) -> Result<Step, Failure> {
        let writing = self.args.terms.writing;
        match self.facts {
            Some(_) => {
                let name = self.device.display().to_string();
                settle_asking(self.context, plan, writing, Asking::content(&name))
            }
            None => Ok(settle(self.context, plan, writing)),
        }
    }

    fn open(&self) -> Result<Target, Failure> {
        let options = target_options(Some(self.image));
        let agreed = |now: &DeviceFacts| as_planned(&self.device, self.facts.as_ref(), now);
        Ok(Target::open_agreed(&self.device, options, agreed)?)
    }

    /// Compares only where that is likely to pay.
    fn options(&self, target: &Target, distance: Distance) -> Result<RestoreOptions, Failure> {
        Ok(RestoreOptions {
            changed_only: !target.is_new_file() && is_alike(&self.image.native, target)?,
            ..self.restoring.options(target, distance)
        })
    }

    /// From the sources to the device; what the device holds already is not fetched.
    fn directly(&self, trusted: Option<&Trusted>) -> Result<(), Failure> {
        let context = self.context;
        let plan = Plan::new("deploy")
            .text("source", self.source().name())
            .text("identity", self.image.identity().to_string())
            .row("cache", Value::Word("none"));
        // What of it the target lacks is seen while it is written.
        let plan = match self.source().size() {
            Some(size) => plan.bytes("from-source-at-most", size),
            None => plan,
        };
        if self.settle(&self.rows(plan)?)? == Step::Stop {
            return Ok(());
        }
        trust::remember(trusted)?;
        let target = self.open()?;
        let used = InUse::begin(context, self.image.origin.path());
        let progress = context.progress();
        let done = self.options(&target, self.distance()).and_then(|options| {
            let done = restore(
                &self.image.native,
                self.file(),
                &target,
                &options,
                &progress,
            );
            done.map_err(|error| self.blamed(error.into()))
        });
        drop(progress);
        if let Some(several) = self.among {
            tell_troubles(context, several);
        }
        let (target, restored) = finished(context, target, done)?;
        let identity = self.image.identity();
        used.restored(context, Some(identity), target.facts(), &self.device);
        self.show(&Done {
            restored: &restored,
            received: None,
        });
        Ok(())
    }
}
