//! Names on disk after something was mounted or unmounted.

use crate::commands::Context;
use crate::output::detail;
use crate::place;

/// Brings aliases and views in step with what is mounted now. The work that it follows is done, so whatever keeps
/// it from being done is told as a warning.
pub(crate) fn follow(context: &Context) {
    match place::namespace(context) {
        Ok(namespace) => place::follow(context, &namespace),
        Err(failure) => {
            let values = [("what", detail(&context.catalog, &failure).into())];
            let text = context.catalog.fmt("warn-names", &values);
            context.output.warn(&context.catalog, &text);
        }
    }
}
