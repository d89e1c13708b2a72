//! `azud cache status [DEVICE]`.

use std::path::{Path, PathBuf};

use azud_disk::cache::{self, Hit};
use azud_disk::mounting::MountFacts;
use serde_json::{Value, json};

use super::find::hit_json;
use super::tree::images;
use super::{layout, the_cache, unrecognised_hint};
use crate::cached::named_directory;
use crate::commands::Context;
use crate::failure::Failure;
use crate::human;
use crate::table;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which one.
    pub device: Option<PathBuf>,
}

impl Args {
    /// Describes the cache.
    ///
    /// # Errors
    /// When there is none or it does not answer.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        if self.device.is_none()
            && let Some(dir) = named_directory(context)?
        {
            return directory(context, &dir);
        }
        let hit = the_cache(context, self.device.as_ref())?;
        let mut rows = vec![
            row(context, "device", hit.device.display().to_string()),
            row(
                context,
                "found-by",
                context.catalog.text(&format!("word-{}", hit.rule.name())),
            ),
            row(context, "size", human::bytes_exactly(hit.len)),
            row(
                context,
                "file-system",
                hit.signature
                    .kind
                    .clone()
                    .unwrap_or_else(|| word(context, "none")),
            ),
        ];
        let mut value = hit_json(&hit);
        match hit.mounts.first() {
            Some(mount) => describe(context, mount, &mut rows, &mut value)?,
            None => rows.push(row(context, "mounted-at", word(context, "no"))),
        }
        context.output.answer(&value, || table::rows(&rows));
        advise(context, &hit);
        Ok(())
    }
}

type Row = (String, String);

fn row(context: &Context, key: &str, value: String) -> Row {
    (context.catalog.text(&format!("label-{key}")), value)
}

fn word(context: &Context, word: &str) -> String {
    context.catalog.text(&format!("word-{word}"))
}

/// Describes the directory that the environment names as the cache.
fn directory(context: &Context, dir: &Path) -> Result<(), Failure> {
    let mut rows = vec![
        row(context, "images-at", dir.display().to_string()),
        row(context, "found-by", word(context, "environment")),
    ];
    let mut value = json!({ "device": null, "found_by": "environment" });
    describe_tree(context, (dir, Path::new("")), &mut rows, &mut value)?;
    context.output.answer(&value, || table::rows(&rows));
    Ok(())
}

/// What only a mounted cache tells.
fn describe(
    context: &Context,
    mount: &MountFacts,
    rows: &mut Vec<Row>,
    value: &mut Value,
) -> Result<(), Failure> {
    value["read_only"] = json!(mount.read_only);
    rows.push(row(context, "mounted-at", mount.at.display().to_string()));
    rows.push(row(context, "read-only", yes_no(context, mount.read_only)));
    let inner = layout(context)?.inner().to_owned();
    describe_tree(context, (&mount.at, &inner), rows, value)?;
    let identity = cache::identity(&mount.at);
    value["identity"] = json!(identity);
    rows.extend(identity.map(|identity| row(context, "identity", identity)));
    Ok(())
}

/// Room and images at `inner` in a directory.
fn describe_tree(
    context: &Context,
    (root, inner): (&Path, &Path),
    rows: &mut Vec<Row>,
    value: &mut Value,
) -> Result<(), Failure> {
    let space = cache::space(root)?;
    let clones = cache::clones(root);
    let images = images(root, inner);
    value["fs_size"] = json!(space.size);
    value["free"] = json!(space.free);
    value["clones"] = json!(clones);
    value["images"] = json!(images.map(|images| images.count));
    value["images_size"] = json!(images.map(|images| images.bytes));
    // An empty path would add a slash.
    value["images_dir"] = json!(root.join(inner).components().collect::<PathBuf>());
    rows.push(row(context, "free", human::bytes_exactly(space.free)));
    rows.extend(clones.map(|clones| row(context, "clones", yes_no(context, clones))));
    if let Some(images) = images {
        let text = format!("{} ({})", images.count, human::bytes(images.bytes));
        rows.push(row(context, "images", text));
    }
    Ok(())
}

fn yes_no(context: &Context, flag: bool) -> String {
    word(context, if flag { "yes" } else { "no" })
}

/// What keeps it from being of use.
fn advise(context: &Context, hit: &Hit) {
    if !hit.signature.is_recognised() {
        let device = hit.device.display().to_string();
        let what = context
            .catalog
            .fmt("warn-unformatted", &[("device", device.into())]);
        let advice = unrecognised_hint(context, &hit.device);
        context
            .output
            .warn(&context.catalog, &format!("{what}\n{advice}"));
    }
}
