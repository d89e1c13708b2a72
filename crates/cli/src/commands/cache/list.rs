//! `azud cache list`.

use azud_core::cache::{Sort, Stays, may_go};
use azud_store::cache::{Cached, Survey};
use serde_json::{Value, json};

use crate::cached::stays::{reason, word};
use crate::cached::{Place, policy};
use crate::commands::Context;
use crate::failure::Failure;
use crate::human;
use crate::opened::{identify, now, rfc3339};
use crate::table;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which cache.
    #[command(flatten)]
    pub place: Place,
}

impl Args {
    /// Lists what the cache holds.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let cache = self.place.open(context)?;
        let policy = policy(&cache, None, None)?;
        let survey = cache.survey(now(), &identify)?;
        warn(context, &survey);
        let items = survey.items();
        let stays = |at| may_go(&items, &[at]).err().map(|(_, why)| why);
        let rows: Vec<(&Cached, Option<Stays>)> = survey
            .cached
            .iter()
            .enumerate()
            .map(|(at, cached)| (cached, stays(at)))
            .collect();
        let bytes: u64 = survey.cached.iter().map(|cached| cached.bytes).sum();
        let value = json!({
            "cache": cache.root(),
            "bytes": bytes,
            "free": survey.space.free,
            "total": survey.space.total,
            "floor": policy.floor,
            "budget": policy.budget,
            "images": rows.iter().map(|(cached, stays)| json_of(cached, stays.as_ref())).collect::<Vec<_>>(),
        });
        context.output.answer(&value, || {
            let label = |key: &str| context.catalog.text(&format!("label-{key}"));
            let head = ["image", "file-size", "last-used", "verified", "stays"].map(label);
            let body: Vec<Vec<String>> = rows
                .iter()
                .map(|(cached, stays)| cells(context, cached, stays.as_ref()))
                .collect();
            let sums = [
                (label("held"), human::bytes(bytes)),
                (label("free"), human::bytes(survey.space.free)),
                (label("floor"), human::bytes(policy.floor)),
            ];
            let list = if body.is_empty() {
                context.catalog.fmt("count-images", &[("count", 0.into())])
            } else {
                table::aligned(&head, &body, &[0, 2, 3, 4])
            };
            format!("{list}\n\n{}", table::rows(&sums))
        });
        Ok(())
    }
}

/// What the survey could not make sense of.
pub(super) fn warn(context: &Context, survey: &Survey) {
    for path in &survey.damaged {
        let name = path.display().to_string();
        let text = context
            .catalog
            .fmt("warn-cache-damaged", &[("name", name.into())]);
        context.output.warn(&context.catalog, &text);
    }
    for (path, why) in &survey.skipped {
        let text = format!("{}: {why}", path.display());
        context.output.warn(&context.catalog, &text);
    }
}

fn json_of(cached: &Cached, stays: Option<&Stays>) -> Value {
    let verified = cached.verified.as_ref().map(|verified| {
        json!({ "at": rfc3339(verified.time()), "sound": verified.sound, "bad": verified.bad })
    });
    json!({
        "path": cached.path,
        "former": cached.sort == Sort::Former,
        "file_size": cached.size,
        "bytes": cached.bytes,
        "last_used": rfc3339(cached.used),
        "verified": verified,
        "pinned": cached.pinned,
        "in_use": cached.in_use,
        "identity": cached.identity.map(|identity| identity.to_string()),
        "runs_on": cached.runs_on,
        "stays": stays.map(word),
    })
}

fn cells(context: &Context, cached: &Cached, stays: Option<&Stays>) -> Vec<String> {
    let verified = match &cached.verified {
        None => context.catalog.text("word-never"),
        Some(verified) if verified.sound => rfc3339(verified.time()),
        Some(_) => context.catalog.text("word-damaged"),
    };
    vec![
        cached.path.display().to_string(),
        human::bytes(cached.size),
        rfc3339(cached.used),
        verified,
        stays.map_or_else(|| "-".to_owned(), |why| reason(context, why)),
    ]
}
