//! What a target holds before it is overwritten: said in the plan, so that nobody agrees to lose what they do not expect.

use std::path::Path;

use azud_core::io::ReadAt;
use azud_disk::{Source, Table};
use azud_image::fs::{self, signature};
use fluent_bundle::FluentValue;
use serde_json::{Value as Json, json};

use crate::i18n::Catalog;
use crate::plan::{Plan, Value};

/// What is on a device or in a file now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Present {
    /// A partition table.
    Table(Table),
    /// A file system, or a container that is known by its magic bytes alone, and its label.
    Volume(String, Option<String>),
    /// Something else.
    Unknown,
    /// The beginning reads as zeros.
    Blank,
}

impl Present {
    /// Looks. `None` when it cannot be read: then the plan says nothing of it.
    pub(crate) fn look(path: &Path) -> Option<Self> {
        // A FAT boot sector is told apart from a table there.
        if let Some(table) = azud_disk::table(path).ok()? {
            return Some(Self::Table(table));
        }
        let source = Source::open(path).ok()?;
        if let Some((kind, label)) = fs::seen(&source).ok()? {
            return Some(Self::Volume(kind.partclone_name().to_owned(), label));
        }
        let head = fs::read_head(&source).ok()?;
        let found = signature::foreign(&head, &[], source.len());
        Some(match found.first() {
            Some(signature) => Self::Volume(signature.name.to_owned(), None),
            None if head.iter().all(|byte| *byte == 0) => Self::Blank,
            None => Self::Unknown,
        })
    }

    /// Adds it to a plan that overwrites `device`.
    pub(crate) fn tell(self, plan: Plan, catalog: &Catalog, device: &str) -> Plan {
        let (text, json) = (self.text(catalog), self.json());
        let plan = plan.row("holds", Value::Made { text, json });
        match self {
            Self::Table(table) if table.partitions > 0 => {
                let values = [
                    ("device", device.into()),
                    ("count", table.partitions.into()),
                ];
                plan.warning(catalog, "destroys-disk", &values)
            }
            _ => plan,
        }
    }

    fn text(&self, catalog: &Catalog) -> String {
        match self {
            Self::Table(table) => {
                let values: [(&str, FluentValue<'_>); 2] = [
                    ("kind", table.kind.to_uppercase().into()),
                    ("count", table.partitions.into()),
                ];
                catalog.fmt("holds-table", &values)
            }
            Self::Volume(name, None) => name.clone(),
            Self::Volume(name, Some(label)) => {
                let values = [("name", name.into()), ("label", label.into())];
                catalog.fmt("holds-labelled", &values)
            }
            Self::Unknown => catalog.text("holds-unknown"),
            Self::Blank => catalog.text("holds-nothing"),
        }
    }

    fn json(&self) -> Json {
        match self {
            Self::Table(table) => json!({ "table": table.kind, "partitions": table.partitions }),
            Self::Volume(name, label) => json!({ "file_system": name, "label": label }),
            Self::Unknown => json!({ "file_system": null }),
            Self::Blank => Json::Null,
        }
    }
}
