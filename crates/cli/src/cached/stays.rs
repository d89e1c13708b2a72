//! Why things stay in a cache, in words.

use azud_core::cache::Stays;
use azud_store::StoreError;

use crate::commands::Context;
use crate::failure::{Failure, Hint};
use crate::table;

/// Why something stays, as a word.
pub(crate) fn word(why: &Stays) -> &'static str {
    match why {
        Stays::Pinned => "pinned",
        Stays::InUse => "in-use",
        Stays::HalfMoved => "half-moved",
        Stays::NotPlanned => "not-planned",
        Stays::LastCopy(_) => "last-copy",
    }
}

/// Why something stays, for people.
pub(crate) fn reason(context: &Context, why: &Stays) -> String {
    match why {
        // Another disk that runs it is no copy of it.
        Stays::LastCopy(partitions) => {
            let partitions = [("partitions", partitions.as_str().into())];
            context.catalog.fmt("stays-last-copy", &partitions)
        }
        _ => context.catalog.text(&format!("word-{}", word(why))),
    }
}

/// Says of each thing that stays why it does.
pub(crate) fn told(context: &Context, error: StoreError) -> Failure {
    let StoreError::NoRoom(short) = &error else {
        return error.into();
    };
    // What the agreed plan does not name stays, all of it; a new plan says what would go.
    let is_named = |(_, why): &&(_, Stays)| *why != Stays::NotPlanned;
    let named = short.stay.iter().filter(is_named);
    let hint = if named.clone().count() < short.stay.len() {
        Hint::of("hint-plan-again")
    } else {
        Hint::Usual(error.code())
    };
    let stay = named.map(|(path, why)| (path.display().to_string(), reason(context, why)));
    let stay: Vec<(String, String)> = stay.collect();
    Failure {
        remedy: (!stay.is_empty()).then(|| table::rows(&stay)),
        hint: Some(Box::new(hint)),
        ..error.into()
    }
}
