//! `azud image list [DIR]`.

mod there;

use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_store::list::list;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::commands::Context;
use crate::facts::{Known, know_all};
use crate::failure::Failure;
use crate::human;
use crate::opened::{now, rfc3339};
use crate::place;
use crate::table;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where they are.
    #[arg(default_value = ".")]
    pub dir: PathBuf,
}

impl Args {
    /// Lists the images.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let dir = match place::folder(context, &self.dir) {
            Err(failure) if failure.code == Code::PlaceNotMounted => {
                return there::list(context, &self.dir)?.ok_or(failure);
            }
            dir => dir?,
        };
        let listing = list(&dir, now())?;
        let mut known = know_all(&dir, listing.images);
        known.extend(self.at_top(context, &known)?);
        let images: Vec<&Known> = known.iter().filter(|known| is_image(known)).collect();
        for (path, why) in &listing.skipped {
            let why = context.catalog.term(why);
            let text = format!("{}: {why}", path.display());
            context.output.warn(&context.catalog, &text);
        }
        let untrue = images
            .iter()
            .filter(|known| !known.contradictions().is_empty());
        let untrue = untrue.count();
        if untrue > 0 {
            let values = [("count", untrue.into())];
            let text = context.catalog.fmt("warn-untrue", &values);
            context.output.warn(&context.catalog, &text);
        }
        let value = Images(&images, |known: &&Known| known.json());
        let head = [
            "image",
            "format",
            "file-system",
            "used",
            "file-size",
            "modified",
            "state",
            "identity",
        ];
        let rows = || images.iter().map(|known| cells(context, known)).collect();
        show(context, &value, head, rows);
        Ok(())
    }
}

impl Args {
    /// The images at the top of a medium whose other images lie further down; the same names find them.
    fn at_top(&self, context: &Context, below: &[Known]) -> Result<Vec<Known>, Failure> {
        let Some(top) = place::beside(context, &self.dir)? else {
            return Ok(Vec::new());
        };
        let mut images = list(&top, now())?.images;
        images.retain(|entry| {
            let is_hidden = below.iter().any(|known| known.entry.path == entry.path);
            entry.path.components().count() == 1 && !is_hidden
        });
        Ok(know_all(&top, images))
    }
}

/// `{"images":[…]}` of many images; what is told of each is made while it is written, and only if it is.
struct Images<'a, T, F>(&'a [T], F);

impl<T, F: Fn(&T) -> Value> Serialize for Images<'_, T, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct All<'a, T, F>(&'a Images<'a, T, F>);
        impl<T, F: Fn(&T) -> Value> Serialize for All<'_, T, F> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let Images(images, tell) = self.0;
                serializer.collect_seq(images.iter().map(tell))
            }
        }
        serializer.collect_map([("images", All(self))])
    }
}

/// Shows images in columns of these labels, or that there are none.
fn show<const N: usize>(
    context: &Context,
    value: &impl Serialize,
    head: [&str; N],
    rows: impl FnOnce() -> Vec<Vec<String>>,
) {
    context.output.answer(value, || {
        let rows = rows();
        if rows.is_empty() {
            return context.catalog.fmt("count-images", &[("count", 0.into())]);
        }
        let head = head.map(|key| context.catalog.text(&format!("label-{key}")));
        table::table(&head, &rows)
    });
}

/// Whatever lies in an images' directory is no image unless it is one, or says it is by name or `.info`.
pub(crate) fn is_image(known: &Known) -> bool {
    use azud_image::sniff::Format;
    let is_made = matches!(
        known.found.as_ref().map(|found| found.format),
        Some(
            Format::Native
                | Format::Partclone(_)
                | Format::Ntfsclone
                | Format::Partimage
                | Format::Fsarchiver
        )
    );
    known.entry.is_dir || is_made || known.claim().is_some() || has_ending(&known.entry.path)
}

/// Whether a file says by its name that it is an image.
pub(crate) fn has_ending(path: &Path) -> bool {
    const ENDINGS: [&str; 6] = ["img", "dsk", "diff", "mbr", "gpt", "pgz"];
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.contains(&ending))
}

fn cells(context: &Context, known: &Known) -> Vec<String> {
    let dash = || "-".to_owned();
    let found = known.found.as_ref();
    let identity = known.identity().map(|mut identity| {
        identity.truncate(12);
        identity
    });
    let state: Vec<String> = known
        .states()
        .into_iter()
        .map(|word| context.catalog.text(&format!("word-{word}")))
        .collect();
    let modified = known.entry.modified.map(rfc3339);
    let fs = found
        .and_then(|found| found.fs.clone())
        .unwrap_or_else(dash);
    let used = found.and_then(|found| found.used);
    let size = (!known.entry.is_dir).then(|| human::bytes(known.entry.size));
    vec![
        known.entry.path.display().to_string(),
        known.format(&context.catalog),
        fs,
        used.map_or_else(dash, human::bytes),
        size.unwrap_or_else(dash),
        modified.map_or_else(dash, |time| time[..10].to_owned()),
        if state.is_empty() {
            dash()
        } else {
            state.join(", ")
        },
        identity.unwrap_or_else(dash),
    ]
}
