//! Several places that have one image: it is fetched from all of them.

use std::time::Duration;

use azud_store::assembly::Several;

use crate::commands::Context;
use crate::failure::Failure;
use crate::interrupt;
use crate::origin::{Origin, usual_patience};
use crate::output::told;

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
