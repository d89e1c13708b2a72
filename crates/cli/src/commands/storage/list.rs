//! `azud storage list`.

use std::path::{Path, PathBuf};

use azud_core::layout::Layout;
use azud_core::name::is_side_file;
use azud_disk::removable::{Medium, media};
use azud_store::list::list;
use serde_json::{Value, json};

use super::sweep;
use crate::commands::Context;
use crate::failure::Failure;
use crate::human;
use crate::opened::now;
use crate::site::Site;
use crate::table;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// An image on a medium.
#[derive(Debug)]
struct Image {
    /// As a command takes it after the medium's name.
    path: PathBuf,
    size: u64,
}

impl Args {
    /// Lists what is plugged in, with the images of what is mounted.
    ///
    /// # Errors
    /// When `blkid` is missing or fails.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let site = Site::load(&context.site)?;
        let gone = sweep(context, &site)?;
        let media = media()?;
        let rows: Vec<(&Medium, Option<Vec<Image>>)> = media
            .iter()
            .map(|medium| {
                (
                    medium,
                    medium.mounted.first().map(|at| images(at, &site.layout)),
                )
            })
            .collect();
        let gone: Vec<String> = gone.iter().map(ToString::to_string).collect();
        let told: Vec<Value> = rows.iter().map(row).collect();
        let value = json!({ "media": told, "gone": gone });
        context.output.answer(&value, || human(context, &rows));
        Ok(())
    }
}

/// The images of a medium: those of the tree that OpenGnsys' media have, and those at its top; without such a
/// tree those in its folders too.
fn images(at: &Path, layout: &Layout) -> Vec<Image> {
    let inner = at.join(layout.inner());
    // A medium may hold a link that leads out of it.
    let own = |dir: &Path| std::fs::canonicalize(dir).is_ok_and(|dir| dir.starts_with(at));
    let mut found = Vec::new();
    if inner.is_dir() && own(&inner) {
        found.extend(tree(&inner));
        let mut top = tree(at);
        top.retain(|image| {
            let is_hidden = found.iter().any(|below: &Image| below.path == image.path);
            image.path.components().count() == 1 && !is_hidden
        });
        found.extend(top);
    } else {
        found.extend(tree(at));
    }
    found
}

/// The images in a folder, by path from it. On removable storage lies much else, so only what has the name of an
/// image counts.
fn tree(dir: &Path) -> Vec<Image> {
    let Ok(listing) = list(dir, now()) else {
        return Vec::new();
    };
    let named = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str());
        let ending = path
            .extension()
            .is_some_and(|it| it == "img" || it == "dsk");
        ending && !name.is_some_and(is_side_file)
    };
    let images = listing
        .images
        .into_iter()
        .filter(|entry| named(&entry.path));
    images
        .map(|entry| Image {
            path: entry.path,
            size: entry.size,
        })
        .collect()
}

fn row((medium, images): &(&Medium, Option<Vec<Image>>)) -> Value {
    let images = images.as_ref().map(|images| {
        let all = images.iter();
        all.map(|image| json!({ "path": image.path, "file_size": image.size }))
            .collect::<Vec<_>>()
    });
    json!({
        "name": medium.name.as_ref().map(ToString::to_string),
        "device": medium.node,
        "fs": medium.fs,
        "label": medium.label,
        "uuid": medium.uuid,
        "size": medium.size,
        "model": medium.model,
        "read_only": medium.read_only,
        "mounted": medium.mounted,
        "images": images,
    })
}

fn human(context: &Context, rows: &[(&Medium, Option<Vec<Image>>)]) -> String {
    let catalog = &context.catalog;
    if rows.is_empty() {
        return catalog.text("storage-none");
    }
    let head = ["medium", "device", "file-system", "size", "mount-point"];
    let head = head.map(|key| catalog.text(&format!("label-{key}")));
    let mut body = Vec::new();
    for (medium, _) in rows {
        let name = medium.name.as_ref();
        let at = medium.mounted.first();
        body.push(vec![
            name.map_or_else(|| "-".to_owned(), ToString::to_string),
            medium.node.display().to_string(),
            medium.fs.clone(),
            human::bytes(medium.size),
            at.map_or_else(|| "-".to_owned(), |at| at.display().to_string()),
        ]);
    }
    let mut text = table::aligned(&head, &body, &[0, 1, 2, 4]);
    for (medium, images) in rows {
        let Some(name) = &medium.name else { continue };
        for image in images.iter().flatten() {
            let path = human::printable(&image.path.display().to_string());
            text += &["\n  ", &name.to_string(), ":", &path].concat();
            text += &["  ", &human::bytes(image.size)].concat();
        }
    }
    text
}
