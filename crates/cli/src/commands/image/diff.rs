//! `azud image diff A B`.

use std::path::PathBuf;

use azud_image::diff;
use serde_json::json;

use crate::human;
use crate::restorable::Restorable;
use crate::table;

use crate::commands::Context;
use crate::failure::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The first image.
    pub a: PathBuf,
    /// The second image.
    pub b: PathBuf,
}

impl Args {
    /// Compares the images.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let (a, b) = (
            Restorable::named(context, &self.a)?,
            Restorable::named(context, &self.b)?,
        );
        let difference = diff(&a.native, &b.native);
        let value = json!({
            "a": a.origin.name(),
            "b": b.origin.name(),
            "same": a.identity() == b.identity(),
            "shared": { "frames": difference.shared_frames, "content": difference.shared_content, "compressed": difference.shared_compressed },
            "new": { "frames": difference.new_frames, "content": difference.new_content, "compressed": difference.new_compressed },
            "gone": { "frames": difference.gone_frames, "content": difference.gone_content },
        });
        context.output.answer(&value, || {
            let label = |key: &str| context.catalog.text(&format!("label-{key}"));
            let frames = |count: usize| {
                context
                    .catalog
                    .fmt("count-frames", &[("count", count.into())])
            };
            let row = |key: &str, count: usize, content: u64| {
                (
                    label(key),
                    format!("{}, {}", frames(count), human::bytes(content)),
                )
            };
            table::rows(&[
                row(
                    "shared",
                    difference.shared_frames,
                    difference.shared_content,
                ),
                row(
                    "only-in-first",
                    difference.gone_frames,
                    difference.gone_content,
                ),
                row(
                    "only-in-second",
                    difference.new_frames,
                    difference.new_content,
                ),
                (label("to-fetch"), human::bytes(difference.new_compressed)),
            ])
        });
        Ok(())
    }
}
