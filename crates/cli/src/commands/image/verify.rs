//! `azud image verify IMAGE`.

use std::path::PathBuf;

use azud_core::code::Code;
use azud_image::{ImageError, verify};
use serde_json::json;

use crate::opened::Opened;

use crate::commands::Context;
use crate::failure::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image.
    pub image: PathBuf,
    /// Decode every frame as well.
    #[arg(long)]
    pub deep: bool,
}

impl Args {
    /// Checks the image.
    ///
    /// # Errors
    /// When it is damaged or cannot be read.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let opened = match Opened::named(&self.image) {
            Err(failure) if failure.code == Code::NotNative => {
                return crate::foreign::verify(context, &self.image);
            }
            opened => opened?,
        };
        let progress = context.progress();
        let done = verify(&opened.native, &opened.stored, self.deep, &progress);
        drop(progress);
        if let Err(ImageError::Frames { bad, .. }) = &done {
            let list: Vec<String> = bad.iter().take(20).map(usize::to_string).collect();
            let more = if bad.len() > list.len() { " …" } else { "" };
            let text = context.catalog.fmt(
                "verify-bad-frames",
                &[("frames", (list.join(" ") + more).into())],
            );
            context.output.warn(&context.catalog, &text);
        }
        done.map_err(|error| {
            Failure::from(error).about(&opened.stored.path().display().to_string())
        })?;
        let frames = opened.native.frames().len();
        let value = json!({
            "action": "image-verify",
            "image": opened.stored.path(),
            "identity": opened.identity().to_string(),
            "frames": frames,
            "deep": self.deep,
        });
        context.output.result(&value, || {
            let count = context
                .catalog
                .fmt("count-frames", &[("count", frames.into())]);
            format!("{} ({count})", context.catalog.text("result-image-verify"))
        });
        Ok(())
    }
}
