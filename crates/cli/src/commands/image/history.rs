//! `azud image history IMAGE`.

use std::path::PathBuf;

use azud_core::name::ImageFile;
use azud_store::trash::{Version, history};
use serde_json::json;

use crate::human;
use crate::opened::{identify, now, rfc3339};
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
    /// Lists the former versions.
    ///
    /// # Errors
    /// When the trash cannot be read.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let image = ImageFile::parse(&self.image)?;
        let versions = history(&image, now(), &identify)?;
        let value = json!({ "image": image.path(), "versions": versions.iter().map(json_of).collect::<Vec<_>>() });
        context.output.answer(&value, || {
            let head = ["version", "created", "file-size", "identity"];
            let head = head.map(|key| context.catalog.text(&format!("label-{key}")));
            let current = context.catalog.text("word-current");
            let cells = |version: &Version| {
                vec![
                    version.slot.clone().unwrap_or_else(|| current.clone()),
                    version.modified.map(rfc3339).unwrap_or_default(),
                    human::bytes(version.size),
                    version
                        .identity
                        .map_or_else(|| "-".to_owned(), |identity| identity.short()),
                ]
            };
            table::table(&head, &versions.iter().map(cells).collect::<Vec<_>>())
        });
        Ok(())
    }
}

fn json_of(version: &Version) -> serde_json::Value {
    json!({
        "version": version.slot,
        "current": version.slot.is_none(),
        "identity": version.identity.map(|identity| identity.to_string()),
        "created": version.modified.map(rfc3339),
        "replaced": version.moved_at.map(rfc3339),
        "file_size": version.size,
        "path": version.path,
    })
}
