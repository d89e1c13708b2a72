//! Former versions that go for good: named in the plan, and none but those.

use std::time::{Duration, SystemTime};

use azud_core::name::ImageFile;
use azud_core::upload::Going;
use azud_store::StoreError;
use azud_store::retention::{self, Freed, Purge, Retention};
use fluent_bundle::FluentValue;
use serde_json::json;

use crate::commands::Context;
use crate::human::{self, printable};
use crate::opened::{now, rfc3339};
use crate::output::told;
use crate::plan::{Plan, Value};

/// How long and how many former versions of an image are kept.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Keeping {
    pub(crate) days: Option<u32>,
    pub(crate) bytes: Option<u64>,
}

/// Former versions that go once an image was made.
#[derive(Debug)]
pub(crate) struct Purging {
    own: Retention,
    purges: Vec<Purge>,
}

impl Keeping {
    /// What was asked for; the usual where nothing was.
    pub(crate) fn rules(self) -> Retention {
        let usual = Retention::default();
        let days = self
            .days
            .map(|days| Duration::from_hours(24 * u64::from(days)));
        Retention {
            max_age: days.unwrap_or(usual.max_age),
            max_bytes: self.bytes,
            ..usual
        }
    }

    /// What goes once the image is made: of its own versions by what was asked for, of the others in its directory
    /// by the usual rules. `joins` says that the present version joins them; it stays whatever was asked for.
    pub(crate) fn foresee(self, context: &Context, image: &ImageFile, joins: bool) -> Purging {
        let own = self.rules();
        let purges = retention::due(image, &own, joins, now()).unwrap_or_else(|error| {
            // Nothing goes then, which keeps nobody from making an image.
            warn(context, &error);
            Vec::new()
        });
        Purging { own, purges }
    }
}

impl Purging {
    /// Adds to a plan what goes, if anything does.
    pub(crate) fn tell(&self, context: &Context, plan: Plan) -> Plan {
        let purges: Vec<Going> = self.purges.iter().map(Going::from).collect();
        tell(context, plan, &purges)
    }

    /// Deletes what the plan named, as far as it is still to go. The image stands by then, so trouble is only told.
    pub(crate) fn carry_out(&self, context: &Context, image: &ImageFile) -> Freed {
        if self.purges.is_empty() {
            return Freed::default();
        }
        let purge = || {
            let mut due = retention::due(image, &self.own, false, now())?;
            let id = |purge: &Purge| (purge.version.image.clone(), purge.version.slot.clone());
            let named: Vec<_> = self.purges.iter().map(id).collect();
            due.retain(|purge| named.contains(&id(purge)));
            retention::apply(image.dir(), &due, now())
        };
        purge().unwrap_or_else(|error| {
            warn(context, &error);
            Freed::default()
        })
    }
}

/// Adds to a plan which versions go, here or at a manager, if any do.
pub(crate) fn tell(context: &Context, plan: Plan, purges: &[Going]) -> Plan {
    let times = purges.iter().map(|version| version.replaced);
    let (Some(oldest), Some(newest)) = (times.clone().min(), times.max()) else {
        return plan;
    };
    let time = |seconds| rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let bytes = purges.iter().map(|version| version.bytes).sum();
    let mut names: Vec<String> = purges.iter().map(|it| printable(&it.image)).collect();
    names.sort_unstable();
    names.dedup();
    let (count, names) = (purges.len(), names.join(", "));
    let values: [(&str, FluentValue<'_>); 5] = [
        ("count", count.into()),
        ("size", human::bytes(bytes).into()),
        ("oldest", time(oldest).into()),
        ("newest", time(newest).into()),
        ("names", names.into()),
    ];
    let each: Vec<_> = purges
        .iter()
        .map(|version| {
            json!({
                "image": version.image,
                "version": version.version,
                "bytes": version.bytes,
                "replaced": time(version.replaced),
            })
        })
        .collect();
    let value = Value::Made {
        text: context.catalog.fmt("purges", &values),
        json: json!({
            "count": count,
            "bytes": bytes,
            "oldest": time(oldest),
            "newest": time(newest),
            "versions": each,
        }),
    };
    plan.row("purges", value)
        .warning(&context.catalog, "purges", &[])
}

/// The row of a result that says what went, if anything did.
pub(crate) fn row(context: &Context, freed: Freed) -> Option<(String, String)> {
    let values = [
        ("count", freed.versions.into()),
        ("size", human::bytes(freed.bytes).into()),
    ];
    (freed.versions > 0).then(|| {
        (
            context.catalog.text("label-purged"),
            context.catalog.fmt("purged", &values),
        )
    })
}

/// The row of a result that says what a manager's rules sent away, if anything.
pub(crate) fn row_there(context: &Context, bytes: u64) -> Option<(String, String)> {
    let values = [("size", human::bytes(bytes).into())];
    (bytes > 0).then(|| {
        (
            context.catalog.text("label-purged"),
            context.catalog.fmt("purged-there", &values),
        )
    })
}

/// What kept former versions from being looked at, or from going.
fn warn(context: &Context, error: &StoreError) {
    let text = told(&context.catalog, error);
    context.output.warn(&context.catalog, &text);
}
