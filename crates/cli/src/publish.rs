//! From a content stream to a published image: what `create` and `import` share.

use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use azud_core::code::Code;
use azud_core::format::index::{Facts, Tail};
use azud_core::name::ImageFile;
use azud_core::progress::{Phase, Progress};
use azud_disk::Source;
use azud_disk::source::Access;
use azud_image::Native;
use azud_image::capture::{Base, CaptureOptions, Captured, capture};
use azud_image::fs::Volume;
use azud_image::verify;
use azud_store::publish::{Outcome, Published, Staging};
use azud_store::retention::Freed;
use azud_store::side::InfoLine;
use azud_store::{Identity, Stored};
use serde_json::json;

use crate::commands::Context;
use crate::failure::{Failure, Hint};
use crate::human;
use crate::keeping::{self, Purging};
use crate::opened::{identify, now};
use crate::table;

/// How an image is made.
#[derive(Debug)]
pub(crate) struct Making {
    pub(crate) level: i32,
    pub(crate) base: Option<PathBuf>,
    pub(crate) purging: Purging,
}

/// What an image is made of.
pub(crate) struct Made<'a, R> {
    /// `image-create` or `image-import`.
    pub(crate) action: &'static str,
    pub(crate) image: &'a ImageFile,
    pub(crate) volume: &'a Volume,
    pub(crate) tails: Vec<Tail>,
    pub(crate) content: R,
    pub(crate) facts: Facts,
}

impl Making {
    /// Writes, checks and publishes the image, purges the trash, shows the result. `unchanged` has the last
    /// word about the source before anything becomes visible.
    pub(crate) fn run(
        &self,
        context: &Context,
        making: Made<'_, impl Read + Send>,
        unchanged: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let image = making.image.path();
        let done = self.make(context, making, unchanged);
        done.map_err(|failure| {
            if failure.code != Code::NoSpace {
                return failure;
            }
            let values = [("image", image.display().to_string())];
            let stays = if image.exists() {
                "hint-no-space-former"
            } else {
                "hint-no-space-nothing"
            };
            failure.with_hint(Hint::with(stays, values))
        })
    }

    fn make(
        &self,
        context: &Context,
        making: Made<'_, impl Read + Send>,
        unchanged: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        let Made {
            action,
            image,
            volume,
            tails,
            content,
            facts,
        } = making;
        let base_file = self.base.as_deref().map(Stored::open).transpose()?;
        let base = base_file
            .as_ref()
            .map(|file| Base::open(file))
            .transpose()?;
        let host = facts.host.clone();
        let staging = Staging::begin(image, now())?;
        let options = CaptureOptions {
            level: self.level,
            base: base.as_ref(),
            lengths: None,
            facts,
        };
        let progress = context.progress();
        progress.begin(Phase::Capture, volume.used_bytes());
        let mut out = staging.writer()?;
        let captured = capture(volume, tails, content, &options, (&mut out, &progress))?;
        let written = out.finish()?;
        progress.end();
        // The base may be the very image that is replaced, which SMB does not do while it is open.
        drop(options);
        drop(base);
        drop(base_file);
        unchanged()?;
        Self::check(&staging, &captured, &progress)?;
        drop(progress);
        let info = InfoLine::native(volume.kind.partclone_name(), volume.device_size, &host);
        let published = Published {
            identity: Identity(captured.identity),
            info: Some(info),
            now: now(),
        };
        let outcome = staging.publish(&written, &published, &identify)?;
        let freed = self.purging.carry_out(context, image);
        show(
            context,
            action,
            image,
            (&captured, &outcome, freed),
            (volume, begun.elapsed()),
        );
        Ok(())
    }

    /// Reads what was written, from the medium as far as the system allows, and compares it with its hashes.
    fn check(
        staging: &Staging,
        captured: &Captured,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        let path = staging.path();
        let written = Source::open(&path)?.bulk(Access::Direct)?;
        let native = Native::open(&written)?;
        if native.identity() != &captured.identity {
            return Err(Failure::new(Code::ReadBack, path.display().to_string()));
        }
        Ok(verify(&native, &written, false, progress)?)
    }
}

fn show(
    context: &Context,
    action: &'static str,
    image: &ImageFile,
    (captured, outcome, freed): (&Captured, &Outcome, Freed),
    (volume, time): (&Volume, Duration),
) {
    let used = volume.used_bytes();
    let value = json!({
        "action": action,
        "image": image.path(),
        "identity": Identity(captured.identity).to_string(),
        "used": used,
        "file_size": captured.file_len,
        "frames": captured.index.frames.len(),
        "reused_frames": captured.reused_frames,
        "reused_bytes": captured.reused_bytes,
        "former": match outcome { Outcome::Updated { former } => Some(former), _ => None },
        "purged": freed.bytes,
        "purged_versions": freed.versions,
        "seconds": time.as_secs_f64(),
    });
    context.output.result(&value, || {
        let label = |key: &str| context.catalog.text(&format!("label-{key}"));
        let mut rows = vec![
            (label("image"), image.path().display().to_string()),
            (label("identity"), Identity(captured.identity).to_string()),
            (label("used"), human::bytes(used)),
            (label("file-size"), human::bytes(captured.file_len)),
            (label("frames"), captured.index.frames.len().to_string()),
            (
                label("reused"),
                human::percent(captured.reused_bytes, captured.file_len),
            ),
            (label("time"), human::duration(time)),
            (label("rate"), human::rate(used, time)),
        ];
        rows.extend(keeping::row(context, freed));
        format!(
            "{}\n{}",
            context.catalog.text(&format!("result-{action}")),
            table::rows(&rows)
        )
    });
}
