//! `azud cache find [DEVICE…]`.

use std::path::PathBuf;

use azud_disk::cache::{Hit, find, only};
use serde_json::{Value, json};

use super::warn_skipped;
use crate::commands::Context;
use crate::failure::{Failure, Hint};
use crate::human;
use crate::place;
use crate::table;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to look.
    #[arg(value_name = "DEVICE")]
    pub devices: Vec<PathBuf>,
}

impl Args {
    /// Lists every device that is a cache.
    ///
    /// # Errors
    /// When there is none, or a named device cannot be looked at.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let named = self.devices.iter().map(|device| place::device(device));
        let mut scope: Vec<PathBuf> = named.collect::<Result<_, _>>()?;
        if scope.is_empty() {
            scope = place::disks();
        }
        let found = find(&scope)?;
        warn_skipped(context, &found);
        let chosen = match only(&found.hits) {
            Ok(hit) => Some(hit.device.clone()),
            Err(error) if found.hits.is_empty() => {
                let hint = Hint::of("hint-no-cache");
                return Err(Failure::from(error).with_hint(hint));
            }
            Err(error) => {
                let text = context.catalog.fmt(
                    "warn-several-caches",
                    &[("devices", error.to_string().into())],
                );
                context.output.warn(&context.catalog, &text);
                None
            }
        };
        let caches: Vec<Value> = found.hits.iter().map(hit_json).collect();
        let value = json!({ "cache": chosen, "caches": caches });
        context.output.answer(&value, || {
            let head = ["device", "found-by", "file-system", "size", "mounted-at"];
            let head = head.map(|key| context.catalog.text(&format!("label-{key}")));
            let rows: Vec<Vec<String>> = found.hits.iter().map(|hit| cells(context, hit)).collect();
            table::aligned(&head, &rows, &[0, 1, 2, 4])
        });
        Ok(())
    }
}

fn cells(context: &Context, hit: &Hit) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let mounts = hit
        .mounts
        .first()
        .map(|mount| mount.at.display().to_string());
    vec![
        hit.device.display().to_string(),
        context.catalog.text(&format!("word-{}", hit.rule.name())),
        or_dash(hit.signature.kind.clone()),
        human::bytes(hit.len),
        or_dash(mounts),
    ]
}

/// What is told of a device that is a cache.
pub(super) fn hit_json(hit: &Hit) -> Value {
    let mounts: Vec<Value> = hit
        .mounts
        .iter()
        .map(|mount| json!({ "at": mount.at, "read_only": mount.read_only }))
        .collect();
    json!({
        "device": hit.device,
        "disk": hit.disk,
        "found_by": hit.rule.name(),
        "size": hit.len,
        "removable": hit.removable,
        "fs": hit.signature.kind,
        "label": hit.signature.label,
        "uuid": hit.signature.uuid,
        "mounts": mounts,
    })
}
