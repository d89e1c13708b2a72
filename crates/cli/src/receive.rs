//! Receiving an image from another repository: what `image copy` and `cache update` share.

mod room;

use std::path::{Path, PathBuf};
use std::time::Instant;

use azud_core::assembly::Source;
use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_image::Native;
use azud_store::StoreError;
use azud_store::assembly::{
    Assembly, Facts, Moving, Prospect, Report, Several, Way, begun, identity,
};
use azud_store::cache::Gone;
use azud_store::publish::Outcome;
use azud_store::retention::Freed;
use azud_store::side::{InfoLine, read_sum};
use serde_json::json;

use self::room::{Home, Making};
use crate::args::Writing;
use crate::cached::{InUse, is_known_damaged};
use crate::checked::remember_hurts;
use crate::commands::Context;
use crate::confirm::{Step, settle};
use crate::failure::{Failure, Hint};
use crate::human;
use crate::keeping::{self, Keeping, Purging};
use crate::opened::{is_itself, now};
use crate::origin::{Origin, info_of};
use crate::place::{self, Located};
use crate::plan::{Plan, Value};
use crate::sources::{given_json, given_rows, tell_troubles};
use crate::table;
use crate::trust::{self, Trusted};

/// Whether parts of the old image may move over to the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Move {
    /// When there is no room for both.
    #[default]
    Auto,
    /// Never.
    Never,
    /// Always.
    Always,
}

impl From<Move> for Moving {
    fn from(asked: Move) -> Self {
        match asked {
            Move::Auto => Self::Auto,
            Move::Never => Self::Never,
            Move::Always => Self::Always,
        }
    }
}

/// On which terms an image is received: options of every command that does.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Terms {
    /// Whether parts of the old image may move over.
    #[arg(long = "move", value_name = "WHEN", value_enum, default_value_t)]
    pub moving: Move,
    /// Whether all that a cache holds stays.
    #[arg(long)]
    pub no_evict: bool,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

/// What is received, and how.
#[derive(Debug)]
pub(crate) struct Receiving<'a> {
    /// `image-copy` or `cache-update`.
    pub(crate) action: &'static str,
    pub(crate) from: &'a Origin,
    /// Where several have it, all of them; `from` is the one that says which image it is.
    pub(crate) among: Option<&'a Several<'a>>,
    pub(crate) to: &'a Located,
    /// The image, where it was opened already.
    pub(crate) native: Option<&'a Native>,
    pub(crate) terms: Terms,
    /// What says that it may be received, where images have to be signed.
    pub(crate) trusted: Option<Trusted>,
}

/// The file that a name means: one in a repository, or the very file, else the name with `.img`.
pub(crate) fn source_file(context: &Context, name: &Path) -> Result<PathBuf, Failure> {
    let path = place::existing(context, name)?;
    if is_itself(&path) {
        return Ok(path);
    }
    Ok(ImageFile::parse(path)?.path())
}

/// What was found before a plan: what will be done, and what goes for it.
pub(crate) struct Prepared<'a> {
    home: Option<Home>,
    assembly: Assembly<'a>,
    making: Option<Making>,
    purging: Purging,
}

impl Prepared<'_> {
    /// What will be done.
    pub(crate) fn prospect(&self) -> &Prospect {
        self.assembly.prospect()
    }

    /// Adds to a plan what goes.
    pub(crate) fn tell(&self, context: &Context, plan: Plan) -> Plan {
        let plan = self.purging.tell(context, plan);
        let plan = match &self.making {
            Some(making) => making.show(context, plan),
            None => plan,
        };
        match &self.home {
            Some(home) => home.tell_floor(context, plan, (self.prospect(), self.making.as_ref())),
            None => plan,
        }
    }
}

/// An image that was received.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) report: Report,
    pub(crate) gone: Vec<Gone>,
    freed: Freed,
}

impl Received {
    /// Whether it was there already.
    pub(crate) fn was_there(&self) -> bool {
        self.report.way == Way::Nothing
    }

    /// What went for it, as programs read it.
    pub(crate) fn gone(&self) -> Vec<&Path> {
        room::paths(&self.gone)
    }
}

impl Receiving<'_> {
    fn source(&self) -> &dyn Source {
        match self.among {
            Some(several) => several,
            None => self.from.source(),
        }
    }

    /// Plans, shows the plan, makes room, receives, shows what was done.
    pub(crate) fn run(&self, context: &Context) -> Result<(), Failure> {
        let begun = Instant::now();
        let prepared = self.prepare(context)?;
        let plan = Plan::new(self.action).text("source", self.source().name());
        let plan = prepared.tell(context, self.rows(context, plan, prepared.prospect()));
        let step = match &prepared.home {
            Some(home) if prepared.making.is_some() => home.settle(context, &plan, self)?,
            _ => settle(context, &plan, self.terms.writing),
        };
        if step == Step::Stop {
            return Ok(());
        }
        let received = self.carry_out(context, prepared, |assembly, facts| {
            let progress = context.progress();
            Ok(assembly.run(facts, &progress)?)
        })?;
        self.show(context, &received, begun);
        Ok(())
    }

    /// Looks at what there is, and refuses what cannot be done.
    pub(crate) fn prepare(&self, context: &Context) -> Result<Prepared<'_>, Failure> {
        if self.native.is_none() {
            self.from.refuse_unfit(context)?;
        }
        let home = Home::of(context, self)?;
        let assembly = self.look(home.as_ref(), self.source())?;
        trust::same(self.trusted.as_ref(), assembly.wanted())?;
        let prospect = *assembly.prospect();
        if prospect.way != Way::Nothing {
            self.to.check_assembling()?;
        }
        let joins = prospect.way == Way::Copy;
        let purging = Keeping::default().foresee(context, &self.to.image, joins);
        let making = match &home {
            Some(home) => home.making(context, &prospect, None)?,
            None => None,
        };
        match &making {
            Some(making) if self.terms.no_evict => return Err(making.refuse(context)),
            Some(_) => {}
            None => self.refuse_lack(&prospect)?,
        }
        Ok(Prepared {
            home,
            assembly,
            making,
            purging,
        })
    }

    /// Makes room and receives, by way of `act`.
    pub(crate) fn carry_out<'b>(
        &'b self,
        context: &Context,
        prepared: Prepared<'b>,
        act: impl FnOnce(Assembly<'b>, &Facts) -> Result<Report, Failure>,
    ) -> Result<Received, Failure> {
        trust::remember(self.trusted.as_ref())?;
        let place = prepared.home.as_ref().and_then(Home::place);
        let in_use = InUse::updating(context, place);
        let purging = prepared.purging;
        let mut gone = Vec::new();
        let mut hurts = None;
        let parts = (prepared.home, prepared.making, prepared.assembly);
        let done = self
            .make_room(context, parts, &mut gone)
            .and_then(|assembly| {
                // Where room was made, the source was asked again which image it has.
                trust::same(self.trusted.as_ref(), assembly.wanted())?;
                let facts = Facts {
                    info: self.info(assembly.wanted().is_native())?,
                    carried: self.from.carried()?,
                    now: now(),
                };
                self.to.prepare()?;
                hurts = Some(assembly.hurts());
                act(assembly, &facts)
            });
        if let Some(hurts) = hurts {
            remember_hurts(context, self.from, &hurts);
        }
        if let Some(several) = self.among {
            tell_troubles(context, several);
        }
        if done.is_err() && !gone.is_empty() {
            // What went is told even if the rest did not come.
            let names: Vec<String> = gone
                .iter()
                .map(|one| one.path.display().to_string())
                .collect();
            let values = [("names", names.join(", ").into())];
            let text = context.catalog.fmt("warn-evicted", &values);
            context.output.warn(&context.catalog, &text);
        }
        let report = done.map_err(|failure| {
            let failure = match self.among {
                Some(_) => failure,
                None => self.from.blamed(failure),
            };
            with_begun(&self.to.image, failure)
        })?;
        context.teller.identity(&report.identity);
        in_use.used(context);
        let freed = purging.carry_out(context, &self.to.image);
        self.compare_sums(context, &report);
        Ok(Received {
            report,
            gone,
            freed,
        })
    }

    fn info(&self, native: bool) -> Result<Option<InfoLine>, Failure> {
        match self.native {
            Some(native) => Ok(Some(info_of(native))),
            None => self.from.info(native),
        }
    }

    /// What is to be done; where a cache would hold more than it may with both images, parts move over.
    fn look<'b>(
        &'b self,
        home: Option<&Home>,
        source: &'b dyn Source,
    ) -> Result<Assembly<'b>, Failure> {
        let assembly = self.assembly(home, source, self.terms.moving.into())?;
        if self.terms.moving == Move::Auto
            && let Some(home) = home
            && home.is_beyond_budget(assembly.prospect())?
        {
            return self.assembly(Some(home), source, Moving::Always);
        }
        Ok(assembly)
    }

    /// An image that a check found damaged is not there already, though it be the wanted one.
    fn assembly<'b>(
        &'b self,
        home: Option<&Home>,
        source: &'b dyn Source,
        moving: Moving,
    ) -> Result<Assembly<'b>, Failure> {
        let assembly = Assembly::look(&self.to.image, source, moving)?;
        match home.and_then(Home::known_damage) {
            Some(bad) => Ok(assembly.doubting(bad)?),
            None => Ok(assembly),
        }
    }

    fn refuse_lack(&self, prospect: &Prospect) -> Result<(), Failure> {
        if prospect.lacks == 0 {
            return Ok(());
        }
        let lack = StoreError::TooLittleRoom {
            path: self.to.image.path(),
            needs: prospect.needs,
            has: prospect.has,
        };
        let failure = Failure::from(lack);
        Err(match self.terms.moving {
            Move::Never => failure.with_hint(Hint::of("hint-room-or-move")),
            Move::Auto | Move::Always => failure,
        })
    }

    /// Makes room as long as something of the plan can go and has to, for what went may have held parts of the image.
    fn make_room<'b>(
        &'b self,
        context: &Context,
        (home, mut making, mut assembly): (Option<Home>, Option<Making>, Assembly<'b>),
        gone: &mut Vec<Gone>,
    ) -> Result<Assembly<'b>, Failure> {
        // As the plan said: room that was made for moving is not for a copy.
        let moving = match assembly.prospect().way {
            Way::Move => Moving::Always,
            _ => self.terms.moving.into(),
        };
        let agreed = making.as_ref().map(Making::victims).unwrap_or_default();
        while let (Some(home), Some(made)) = (&home, &making) {
            home.make(context, (made, &agreed), gone)?;
            assembly = self.assembly(Some(home), self.source(), moving)?;
            making = home.making(context, assembly.prospect(), Some(&agreed))?;
        }
        Ok(assembly)
    }

    /// Adds to a plan what is received and how.
    pub(crate) fn rows(&self, context: &Context, plan: Plan, prospect: &Prospect) -> Plan {
        let image = self.to.image.path();
        let mut plan = plan
            .text("image", image.display().to_string())
            .text("identity", prospect.identity.to_string())
            .bytes("file-size", prospect.size)
            .row("way", way(context, prospect.way, image.exists()));
        if prospect.way == Way::Nothing {
            return plan;
        }
        plan = plan
            .bytes("resumed", prospect.resumed)
            .bytes("from-here", prospect.local)
            .bytes("from-source", prospect.source)
            .bytes("room-needed", prospect.needs)
            .bytes("room", prospect.has);
        let values = [("image", image.display().to_string().into())];
        let damaged = is_known_damaged(&image);
        if damaged {
            plan = plan.warning(&context.catalog, "damaged-here", &values);
        }
        match prospect.way {
            // What is damaged is no former version of itself.
            _ if damaged && identity(&image) == Some(prospect.identity) => plan,
            Way::Move => plan.warning(&context.catalog, "moves", &values),
            _ if image.exists() => plan.warning(&context.catalog, "replaces", &values),
            _ => plan,
        }
    }

    /// Says so when the source's own sum is not that of the image: its side files are out of date.
    fn compare_sums(&self, context: &Context, report: &Report) {
        let Some(sums) = &report.sums else { return };
        let Some(path) = self.from.claimed_sum() else {
            return;
        };
        if read_sum(&path).is_some_and(|said| said != sums.full) {
            let values = [("file", path.display().to_string().into())];
            let text = context.catalog.fmt("warn-wrong-sum", &values);
            context.output.warn(&context.catalog, &text);
        }
    }

    fn show(&self, context: &Context, received: &Received, begun: Instant) {
        let Received { report, freed, .. } = received;
        let time = begun.elapsed();
        let former = match &report.outcome {
            Some(Outcome::Updated { former }) => Some(former),
            _ => None,
        };
        let value = json!({
            "action": self.action,
            "source": self.source().name(),
            "image": self.to.image.path(),
            "identity": report.identity.to_string(),
            "file_size": report.size,
            "way": word(report.way),
            "resumed": report.resumed,
            "from_here": report.local,
            "from_source": report.source,
            "sources": given_json(self.among),
            "damaged": report.damaged,
            "evicted": received.gone(),
            "former": former,
            "purged": freed.bytes,
            "purged_versions": freed.versions,
            "seconds": time.as_secs_f64(),
        });
        context.output.result(&value, || {
            if report.way == Way::Nothing {
                return context.catalog.text("result-nothing");
            }
            let label = |key: &str| context.catalog.text(&format!("label-{key}"));
            let mut rows = vec![
                (label("image"), self.to.image.path().display().to_string()),
                (label("identity"), report.identity.to_string()),
                (label("resumed"), human::bytes(report.resumed)),
                (label("from-here"), human::bytes(report.local)),
                (label("from-source"), human::bytes(report.source)),
            ];
            rows.extend(given_rows(context, self.among));
            rows.extend([
                (label("time"), human::duration(time)),
                (label("rate"), human::rate(report.size, time)),
            ]);
            rows.extend(keeping::row(context, *freed));
            let done = context.catalog.text(&format!("result-{}", self.action));
            format!("{done}\n{}", table::rows(&rows))
        });
    }
}

/// Where what has come of an image is kept, and that it is of use, beside what else is to be done.
pub(crate) fn with_begun(image: &ImageFile, failure: Failure) -> Failure {
    let is_ours = !matches!(failure.code, Code::Locked | Code::HalfMoved);
    let Some(dir) = begun(image).filter(|_| is_ours) else {
        return failure;
    };
    let values = [
        ("image", image.path().display().to_string()),
        ("dir", dir.display().to_string()),
    ];
    failure.and_hint(Hint::with("hint-begun", values))
}

pub(crate) const fn word(way: Way) -> &'static str {
    match way {
        Way::Nothing => "nothing",
        Way::Copy => "copy",
        Way::Move => "move",
    }
}

/// How an image comes: of one that is to be the first of its name, people read no word of an old one.
pub(crate) fn way(context: &Context, way: Way, replaces: bool) -> Value {
    if way != Way::Copy || replaces {
        return Value::Word(word(way));
    }
    Value::Made {
        text: context.catalog.text("word-copy-first"),
        json: json!(word(way)),
    }
}
