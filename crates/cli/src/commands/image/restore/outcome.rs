//! How a restore ended: what is shown, and what a failure leaves behind.

use std::path::Path;
use std::time::Instant;

use azud_core::code::Code;
use azud_disk::target::Target;
use azud_image::restore::Restored;
use serde_json::json;

use super::Args;
use crate::commands::Context;
use crate::failure::Failure;
use crate::human;
use crate::table;

impl Args {
    /// Shows what was done.
    pub(super) fn show(
        &self,
        context: &Context,
        device: &Path,
        (done, received): (&Restored, Option<u64>),
        begun: Instant,
    ) {
        let time = begun.elapsed();
        if done.undiscarded {
            let text = context.catalog.text("warn-undiscarded");
            context.output.warn(&context.catalog, &text);
        }
        let mut value = json!({
            "action": "image-restore",
            "target": device,
            "content": done.content,
            "written": done.written,
            "kept": done.kept,
            "fetched": done.fetched,
            "read_back": self.read_back,
            "seconds": time.as_secs_f64(),
        });
        if let Some(received) = received {
            value["from_source"] = received.into();
        }
        context.output.result(&value, || {
            let label = |key: &str| context.catalog.text(&format!("label-{key}"));
            let mut rows = vec![
                (label("target"), device.display().to_string()),
                (label("used"), human::bytes(done.content)),
                (label("written"), human::bytes(done.written)),
                (label("kept"), human::bytes(done.kept)),
                (label("time"), human::duration(time)),
                (label("rate"), human::rate(done.content, time)),
            ];
            rows.extend(received.map(|bytes| (label("from-source"), human::bytes(bytes))));
            format!(
                "{}\n{}",
                context.catalog.text("result-image-restore"),
                table::rows(&rows)
            )
        });
    }
}

/// After a failure nothing is left of a file that was made for this; of any other target that was written is told
/// what it may be now.
pub(crate) fn finished(
    context: &Context,
    target: Target,
    done: Result<Restored, Failure>,
) -> Result<(Target, Restored), Failure> {
    let failure = match done {
        Ok(done) => return Ok((target, done)),
        Err(failure) => failure,
    };
    let name = target.path().display().to_string();
    let is_touched = target.is_touched();
    if !target.abandon()
        && is_touched
        && let Some(warning) = warning_of(failure.code)
    {
        let text = context.catalog.fmt(warning, &[("device", name.into())]);
        context.output.warn(&context.catalog, &text);
    }
    Err(failure)
}

/// What to say of a target that was being written: trying again helps, or only with another image.
fn warning_of(code: Code) -> Option<&'static str> {
    match code {
        // All is written, but the medium gives something else: its own hint says what to think of it.
        Code::ReadBack => None,
        Code::Corrupt
        | Code::Truncated
        | Code::NotNative
        | Code::Newer
        | Code::TooLarge
        | Code::UnknownFormat
        | Code::TooSmall
        | Code::SectorSize => Some("warn-incomplete-image"),
        _ => Some("warn-incomplete"),
    }
}
