//! `azud cache verify [IMAGE…]`.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use azud_core::cache::Sort;
use azud_core::code::Code;
use azud_store::Stored;
use azud_store::cache::{Cache, Cached, Stamp, Verified};
use azud_store::catalogue::By;
use serde_json::json;

use super::check::{Found, check, is_foreign, renew_hint};
use super::list::warn;
use super::throttle::Throttle;
use crate::args::size::{size, whole};
use crate::cached::{Place, locate, tell};
use crate::checked::Checking;
use crate::commands::Context;
use crate::failure::Failure;
use crate::opened::{identify, now};
use crate::output::detail;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The images; else all.
    #[arg(value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// Only those not checked for so many days.
    #[arg(long, value_name = "N", value_parser = whole)]
    pub older_than: Option<u32>,
    /// Bytes a second.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub rate: Option<u64>,
    /// Which cache.
    #[command(flatten)]
    pub place: Place,
}

/// What became of one image.
struct Checked {
    path: PathBuf,
    word: &'static str,
    bad: Vec<u64>,
    /// Whether it has no frames that could be repaired one by one.
    foreign: bool,
}

impl Args {
    /// Checks the images, from the one whose check is longest ago. Each is remembered when it is done, so
    /// that a check that was cut short goes on with the others.
    ///
    /// # Errors
    /// When one is damaged, after all were checked.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let cache = self.place.open(context)?;
        let named = locate(&cache, &self.images)?;
        let survey = cache.survey(now(), &identify)?;
        warn(context, &survey);
        let mut due: Vec<&Cached> = survey
            .cached
            .iter()
            .filter(|cached| cached.sort == Sort::Image && self.is_due(cached, now()))
            .filter(|cached| named.is_empty() || named.contains(&cached.path))
            .collect();
        due.sort_by_key(|cached| cached.verified.as_ref().map(|verified| verified.at));
        let throttle = Throttle::new(self.rate);
        let mut checked = Vec::new();
        for cached in due {
            let done = one(context, &cache, &cached.path, &throttle);
            let one = done.unwrap_or_else(|failure| {
                let text = detail(&context.catalog, &failure);
                context.output.warn(&context.catalog, &text);
                Checked::of(&cached.path, "unreadable")
            });
            one.tell(context);
            checked.push(one);
        }
        show(context, &cache, &checked)
    }

    fn is_due(&self, cached: &Cached, now: SystemTime) -> bool {
        let Some(days) = self.older_than else {
            return true;
        };
        let age = Duration::from_hours(24 * u64::from(days));
        // A check in the future was none: the clock was wrong.
        let recent = |verified: &Verified| {
            now.duration_since(verified.time())
                .is_ok_and(|since| since < age)
        };
        !cached.verified.as_ref().is_some_and(recent)
    }
}

fn one(
    context: &Context,
    cache: &Cache,
    path: &Path,
    throttle: &Throttle,
) -> Result<Checked, Failure> {
    let full = cache.root().join(path);
    let stamp = Stamp::of(&full)?;
    let checking = Checking::begin(&full)?;
    let stored = Stored::open(&full)?;
    let progress = context.progress();
    let found = check(&stored, throttle, &progress)?;
    drop(progress);
    if Stamp::of(&full).ok() != Some(stamp) {
        return Ok(Checked::of(path, "changed"));
    }
    let (identity, sound, bad) = match found {
        Found::NoSum => return Ok(Checked::of(path, "no-sum")),
        Found::Sound(identity) => (identity, true, Vec::new()),
        Found::Damaged { identity, bad } => (identity, false, bad),
    };
    match identity {
        Some(identity) if sound => checking.sound(context, By::Identity(identity)),
        _ if !sound => checking.damaged(context, identity, &[]),
        _ => {}
    }
    let verified = Verified::new(now(), stamp, sound, bad.clone());
    match cache.mark_verified(path, verified, identity) {
        Ok(()) => {}
        // Where nothing can be written, the check is still worth its answer.
        Err(error) if matches!(error.code(), Code::ReadOnly | Code::Permission) => {
            let text = context.catalog.text("warn-not-remembered");
            context.output.warn(&context.catalog, &text);
        }
        // Said already, by whoever tried it before.
        Err(_) if !sound || identity.is_some() => {}
        Err(error) => drop(tell::<()>(context, Err(error))),
    }
    let word = if sound { "sound" } else { "damaged" };
    Ok(Checked {
        bad,
        foreign: !sound && is_foreign(&stored),
        ..Checked::of(path, word)
    })
}

impl Checked {
    fn of(path: &Path, word: &'static str) -> Self {
        Self {
            path: path.to_owned(),
            word,
            bad: Vec::new(),
            foreign: false,
        }
    }

    fn is_bad(&self) -> bool {
        matches!(self.word, "damaged" | "unreadable")
    }

    fn json(&self) -> serde_json::Value {
        json!({ "path": self.path, "state": self.word, "bad": self.bad })
    }

    fn tell(&self, context: &Context) {
        let word = context.catalog.text(&format!("word-{}", self.word));
        let mut text = format!("{}: {word}", self.path.display());
        if !self.bad.is_empty() {
            let list: Vec<String> = self.bad.iter().take(20).map(u64::to_string).collect();
            let more = if self.bad.len() > list.len() {
                " …"
            } else {
                ""
            };
            let frames = (list.join(" ") + more).into();
            text += ". ";
            text += &context
                .catalog
                .fmt("verify-bad-frames", &[("frames", frames)]);
        }
        if self.is_bad() {
            context.output.warn(&context.catalog, &text);
        } else if !context.output.mode().quiet {
            context.output.note(&text);
        }
    }
}

fn show(context: &Context, cache: &Cache, checked: &[Checked]) -> Result<(), Failure> {
    let bad: Vec<&Checked> = checked.iter().filter(|checked| checked.is_bad()).collect();
    let value = json!({
        "action": "cache-verify",
        "images": checked.iter().map(Checked::json).collect::<Vec<_>>(),
        "damaged": bad.len(),
    });
    let human = || {
        let count = checked.len().into();
        context.catalog.fmt(
            "cache-verified",
            &[("count", count), ("bad", bad.len().into())],
        )
    };
    let Some(first) = bad.first() else {
        context.output.result(&value, human);
        return Ok(());
    };
    let names = bad.iter().map(|checked| checked.path.display().to_string());
    let hint = if first.foreign {
        renew_hint(context, &cache.root().join(&first.path))
    } else {
        let name = first.path.display().to_string();
        context
            .catalog
            .fmt("cache-repair-hint", &[("image", name.into())])
    };
    let failure = Failure::new(Code::Corrupt, names.collect::<Vec<_>>().join(", "));
    let failure = failure.with_hint(hint);
    Err(context.output.partly(failure, value, human))
}
