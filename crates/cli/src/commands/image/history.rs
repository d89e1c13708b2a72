//! `azud image history IMAGE`.

use std::path::PathBuf;

use azud_core::name::ImageFile;
use azud_image::Indexed;
use azud_store::trash::{Version, history};
use azud_store::{StoreError, Stored};
use serde_json::json;

use crate::human;
use crate::opened::{identify, now, rfc3339};
use crate::place;
use crate::table;

use crate::commands::Context;
use crate::failure::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image.
    pub image: PathBuf,
}

impl Args {
    /// Lists the former versions, and says which one a rollback takes.
    ///
    /// # Errors
    /// When the trash cannot be read.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let image = place::locate(context, &self.image)?.image;
        let versions = history(&image, now(), &identify)?;
        let versions: Vec<Dated> = versions.into_iter().map(Dated::of).collect();
        let next = versions.iter().find_map(|dated| dated.version.slot.clone());
        let value = json!({
            "image": image.path(),
            "versions": versions.iter().map(Dated::json).collect::<Vec<_>>(),
            "rollback": next,
        });
        context.output.answer(&value, || {
            let mut text = table_of(context, &versions);
            if let Some(version) = next {
                let values = [("version", version.into())];
                text = text.trim_end().to_owned() + "\n";
                text += &context.catalog.fmt("history-next", &values);
            }
            text
        });
        Ok(())
    }
}

fn table_of(context: &Context, versions: &[Dated]) -> String {
    let head = ["version", "created", "replaced", "file-size", "identity"];
    let head = head.map(|key| context.catalog.text(&format!("label-{key}")));
    let current = context.catalog.text("word-current");
    let cells = |dated: &Dated| {
        let version = &dated.version;
        let identity = version.identity.map(|identity| identity.short());
        let unknown = || "-".to_owned();
        vec![
            version.slot.clone().unwrap_or_else(|| current.clone()),
            dated.captured.clone().unwrap_or_else(unknown),
            version.replaced.map_or_else(unknown, rfc3339),
            human::bytes(version.size),
            identity.unwrap_or_else(unknown),
        ]
    };
    table::table(&head, &versions.iter().map(cells).collect::<Vec<_>>())
}

/// The version that stands under the name, if there is one.
pub(super) fn present(image: &ImageFile) -> Result<Option<Dated>, Failure> {
    let versions = match history(image, now(), &identify) {
        Err(StoreError::NotFound(_)) => Vec::new(),
        other => other?,
    };
    let present = versions.into_iter().find(|version| version.slot.is_none());
    Ok(present.map(Dated::of))
}

/// A version and the time of its capture, as its index has it: copies and file servers change the file's own.
#[derive(Debug)]
pub(super) struct Dated {
    pub(super) version: Version,
    pub(super) captured: Option<String>,
}

impl Dated {
    pub(super) fn of(version: Version) -> Self {
        let stored = Stored::open(&version.path).ok();
        let indexed = stored.and_then(|stored| Indexed::open(&stored).ok());
        let captured = indexed.map(|indexed| indexed.facts().created.clone());
        Self {
            version,
            captured: captured.filter(|time| !time.is_empty()),
        }
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let version = &self.version;
        json!({
            "version": version.slot,
            "current": version.slot.is_none(),
            "identity": version.identity.map(|identity| identity.to_string()),
            "created": self.captured,
            "replaced": version.replaced.map(rfc3339),
            "file_size": version.size,
            "path": version.path,
        })
    }
}
