//! Names on disk after something was mounted or unmounted.

use azud_core::layout::Layout;
use azud_disk::remote::{State, mounted_in, state};

use crate::commands::Context;
use crate::place::{keep_in_step, namespace};

/// Brings aliases and views in step with what is mounted. The work that it follows is done, so whatever keeps
/// it from being done is told as a warning.
pub(crate) fn follow(context: &Context, layout: &Layout) {
    let warn = |word: &str, what: String| {
        let text = context.catalog.fmt(word, &[("what", what.into())]);
        context.output.warn(&context.catalog, &text);
    };
    // To look into the tree of a dead server may take for ever.
    let mut mounts = mounted_in(layout.base());
    mounts.extend(mounted_in(layout.mnt()));
    let dead = mounts
        .iter()
        .find(|facts| state(&facts.at) != State::Mounted);
    if let Some(facts) = dead {
        return warn("warn-names-dead", facts.at.display().to_string());
    }
    let done = namespace(context).map(|namespace| keep_in_step(&namespace));
    match done {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn("warn-names", error.to_string()),
        Err(failure) => warn("warn-names", failure.detail),
    }
}
