//! `azud image verify IMAGE`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use azud_core::code::Code;
use azud_core::io::ReadAt;
use azud_core::reference::ImageRef;
use azud_image::{ImageError, Indexed, Native, verify};
use azud_store::catalogue::By;
use azud_store::side::Passing;
use azud_store::{Identity, StoreError, Stored, ant};
use serde_json::{Value, json};

use crate::checked::Checking;
use crate::commands::Context;
use crate::failure::Failure;
use crate::foreign::verify_remote;
use crate::opened::index_of;
use crate::origin::blamed;
use crate::place;
use crate::remote::Remote;
use crate::sums::{self, Told};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image.
    pub image: PathBuf,
    /// Decode every frame, and compare all bytes with `.full.sum`.
    #[arg(long)]
    pub deep: bool,
}

impl Args {
    /// Checks the image.
    ///
    /// # Errors
    /// When it is damaged or cannot be read.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let former = former(context, &self.image)?;
        let named = former.as_deref().unwrap_or(&self.image);
        let (stored, indexed) = match index_of(context, named) {
            Err(failure) if failure.code == Code::NotNative => {
                return crate::foreign::verify(context, named);
            }
            Err(failure) if failure.code == Code::PlaceNotMounted => {
                let remote = Remote::to_read(context, &self.image)?;
                return self.there(context, &remote.ok_or(failure)?);
            }
            opened => opened?,
        };
        let (native, full_sum) = sums::beside_work(context, (&stored, self.deep), || {
            self.check(context, (indexed, &stored))
        })?;
        let image = stored.path().display().to_string();
        self.show(context, (&image, &native), &json!(full_sum));
        Ok(())
    }

    /// Of an image of a manager: all of it is fetched.
    fn there(&self, context: &Context, image: &Remote) -> Result<(), Failure> {
        let remote = Arc::new(image.opened(context)?);
        let indexed = match Indexed::open(&*remote).map_err(Failure::from) {
            Err(failure) if failure.code == Code::NotNative => {
                return verify_remote(context, (image, &remote));
            }
            // One that is cut or damaged its manager takes for another program's.
            indexed => indexed.map_err(|failure| blamed(&remote, failure))?,
        };
        let told = Told::of(&remote, self.deep)?;
        let full_sum = told.is_of_all();
        let passing = Passing::new(&*remote);
        let read: &dyn ReadAt = if full_sum { &passing } else { &*remote };
        let native = self.frames(context, (indexed, read), |_| {});
        let native = native.map_err(|error| blamed(&remote, error.into()))?;
        told.compare(context, (image, &remote), passing)?;
        self.show(context, (&image.shown(), &native), &json!(full_sum));
        Ok(())
    }

    fn show(&self, context: &Context, (image, native): (&str, &Native), full_sum: &Value) {
        let frames = native.frames().len();
        let value = json!({
            "action": "image-verify",
            "image": image,
            "identity": Identity(*native.identity()).to_string(),
            "frames": frames,
            "deep": self.deep,
            "full_sum": full_sum,
        });
        context.output.result(&value, || {
            let count = context
                .catalog
                .fmt("count-frames", &[("count", frames.into())]);
            format!("{} ({count})", context.catalog.text("result-image-verify"))
        });
    }
}

impl Args {
    /// Checks the frames, and what those of header and bitmap say together.
    fn check(
        &self,
        context: &Context,
        (indexed, stored): (Indexed, &Stored),
    ) -> Result<Native, Failure> {
        let checking = Checking::begin(stored.path())?;
        let identity = Identity(*indexed.identity());
        let native = self.frames(context, (indexed, stored), |bad| {
            checking.damaged(context, Some(identity), bad);
        });
        let about = |error| Failure::from(error).about(&stored.path().display().to_string());
        let native = native.map_err(about)?;
        checking.sound(context, By::Identity(identity));
        Ok(native)
    }

    /// The same of an image wherever it is; which frames are damaged is passed on.
    fn frames(
        &self,
        context: &Context,
        (indexed, image): (Indexed, &dyn ReadAt),
        damaged: impl FnOnce(&[usize]),
    ) -> Result<Native, ImageError> {
        let progress = context.progress();
        let done = verify(&indexed, image, self.deep, &progress);
        drop(progress);
        if let Err(ImageError::Frames { bad, .. }) = &done {
            let text = context
                .catalog
                .fmt("verify-bad-frames", &[("frames", listed(bad).into())]);
            context.output.warn(&context.catalog, &text);
            damaged(bad);
        }
        done.and_then(|()| Native::of(indexed, image))
    }
}

/// The file of a former version that OpenGnsys keeps in a repository beside the image: no image has such a name.
fn former(context: &Context, named: &Path) -> Result<Option<PathBuf>, Failure> {
    let text = named.to_str().unwrap_or_default();
    let Some(image) = text.strip_suffix(ant::ANT) else {
        return Ok(None);
    };
    if !matches!(ImageRef::parse(image)?, ImageRef::Placed { .. }) {
        return Ok(None);
    }
    let path = ant::file_of(&place::locate(context, Path::new(image))?.image);
    // A link may lead out of the repository.
    match std::fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_file() => Ok(Some(path)),
        _ => Err(StoreError::NotFound(path).into()),
    }
}

/// Ascending numbers in few words: `0 4-9 17`.
fn listed(numbers: &[usize]) -> String {
    let runs = numbers.chunk_by(|a, b| a + 1 == *b);
    let words = runs.map(|run| match run {
        [first, .., last] => format!("{first}-{last}"),
        _ => run.iter().map(usize::to_string).collect(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn runs_of_bad_frames_are_short() {
        assert_eq!(listed(&[0, 4, 5, 6, 9, 11, 12]), "0 4-6 9 11-12");
        assert_eq!(listed(&[7]), "7");
    }
}
