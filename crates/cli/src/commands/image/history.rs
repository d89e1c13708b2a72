//! `azud image history IMAGE`.

use std::path::PathBuf;
use std::time::SystemTime;

use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_image::Indexed;
use azud_store::trash::{Version, history};
use azud_store::{Identity, StoreError, Stored};
use azud_transport::http::Version as Told;
use serde_json::json;

use crate::human::{self, printable};
use crate::opened::{identify, moment, now, rfc3339};
use crate::place;
use crate::remote::Remote;
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
        let image = match place::locate(context, &self.image) {
            Err(failure) if failure.code == Code::PlaceNotMounted => {
                let remote = Remote::to_read(context, &self.image)?;
                return there(context, &remote.ok_or(failure)?);
            }
            located => located?.image,
        };
        let versions = history(&image, now(), &identify)?;
        let versions: Vec<Dated> = versions.into_iter().map(Dated::of).collect();
        let next = versions.iter().find_map(|dated| dated.version.slot.clone());
        let value = json!({
            "image": image.path(),
            "versions": versions.iter().map(Dated::json).collect::<Vec<_>>(),
            "rollback": next,
        });
        context.output.answer(&value, || {
            let rows = versions.iter().map(|dated| dated.cells(context));
            let mut text = table_of(context, &rows.collect::<Vec<_>>());
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

/// Of an image of a manager, as it tells.
fn there(context: &Context, image: &Remote) -> Result<(), Failure> {
    let versions = image.client.history(&image.name)?;
    let next = versions.iter().find_map(|told| told.version.clone());
    let value = json!({
        "image": image.shown(),
        "versions": versions.iter().map(told_json).collect::<Vec<_>>(),
        "rollback": next,
    });
    context.output.answer(&value, || {
        let rows = versions.iter().map(|told| told_cells(context, told));
        table_of(context, &rows.collect::<Vec<_>>())
    });
    Ok(())
}

pub(super) fn told_json(told: &Told) -> serde_json::Value {
    json!({
        "version": told.version,
        "current": told.version.is_none(),
        "identity": told.identity,
        "created": told.created,
        "replaced": told.replaced.map(moment).map(rfc3339),
        "file_size": told.size,
    })
}

fn told_cells(context: &Context, told: &Told) -> Vec<String> {
    let identity = told.identity.as_deref().map(Identity::shortened);
    let cells = Cells {
        version: told.version.as_deref().map(printable),
        created: told.created.as_deref().map(printable),
        replaced: told.replaced.map(moment),
        size: told.size,
        identity: identity.as_deref().map(printable),
    };
    cells.row(context)
}

fn table_of(context: &Context, rows: &[Vec<String>]) -> String {
    let head = ["version", "created", "replaced", "file-size", "identity"];
    let head = head.map(|key| context.catalog.text(&format!("label-{key}")));
    table::aligned(&head, rows, &[0, 1, 2, 4])
}

/// What a row shows of a version.
struct Cells {
    version: Option<String>,
    created: Option<String>,
    replaced: Option<SystemTime>,
    size: u64,
    identity: Option<String>,
}

impl Cells {
    fn row(self, context: &Context) -> Vec<String> {
        let unknown = || "-".to_owned();
        let current = || context.catalog.text("word-current");
        vec![
            self.version.unwrap_or_else(current),
            self.created.unwrap_or_else(unknown),
            self.replaced.map_or_else(unknown, rfc3339),
            human::bytes(self.size),
            self.identity.unwrap_or_else(unknown),
        ]
    }
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

    fn cells(&self, context: &Context) -> Vec<String> {
        let version = &self.version;
        let cells = Cells {
            version: version.slot.clone(),
            created: self.captured.clone(),
            replaced: version.replaced,
            size: version.size,
            identity: version.identity.map(|identity| identity.short()),
        };
        cells.row(context)
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
