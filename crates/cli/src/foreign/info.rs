//! `azud image info` of an image that is not native.

use std::path::Path;

use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_image::sniff::{Format, Sniffed};
use azud_store::lease::Holder;
use azud_store::list::entry;

use super::file_of;
use crate::commands::Context;
use crate::facts::Known;
use crate::failure::Failure;
use crate::human;
use crate::opened::{moment, rfc3339};
use crate::table;

/// Describes the image.
///
/// # Errors
/// When there is none, it cannot be read, or it is of no known format.
pub(crate) fn describe(context: &Context, named: &Path) -> Result<(), Failure> {
    let path = file_of(context, named)?;
    let image = ImageFile::parse(&path)?;
    let entry = entry(&image)?;
    let known = Known::of(image.dir(), entry);
    match &known.found {
        None => Err(Failure::new(Code::Io, path.display().to_string())),
        Some(Sniffed {
            format: Format::Unknown | Format::Empty,
            ..
        }) => Err(Failure::new(
            Code::UnknownFormat,
            path.display().to_string(),
        )),
        Some(found) => {
            let mut value = known.json();
            value["image"] = path.display().to_string().into();
            context
                .output
                .answer(&value, || human_rows(context, (&path, &known, found)));
            Ok(())
        }
    }
}

fn human_rows(context: &Context, (path, known, found): (&Path, &Known, &Sniffed)) -> String {
    let entry = &known.entry;
    let label = |key: &str| context.catalog.text(&format!("label-{key}"));
    let bytes = |size: Option<u64>| size.map(human::bytes_exactly);
    let claim = known
        .claim()
        .map(|claim| claim.to_line().trim_end().to_owned());
    let facts = [
        ("image", Some(path.display().to_string())),
        ("format", Some(known.format(&context.catalog))),
        ("file-system", found.fs.clone()),
        ("device-size", bytes(found.device_size)),
        ("used", bytes(found.used)),
        ("file-size", bytes(Some(entry.size))),
        ("modified", entry.modified.map(rfc3339)),
        ("tool", found.tool.clone()),
        (
            "problem",
            found.problem.as_deref().map(|it| context.catalog.term(it)),
        ),
        ("claimed", claim),
        ("lock", entry.lock.as_ref().map(|by| owner(context, by))),
        (
            "side-files",
            Some(entry.side.join(" ")).filter(|side| !side.is_empty()),
        ),
    ];
    let mut rows: Vec<(String, String)> = facts
        .into_iter()
        .filter_map(|(key, text)| Some((label(key), text?)))
        .collect();
    rows.extend(untrue(context, known));
    let states: Vec<String> = known
        .states()
        .into_iter()
        .map(|word| context.catalog.text(&format!("word-{word}")))
        .collect();
    if !states.is_empty() {
        rows.push((label("state"), states.join(", ")));
    }
    table::rows(&rows)
}

/// A row for each claim that is not what was found.
pub(crate) fn untrue(context: &Context, known: &Known) -> Vec<(String, String)> {
    let catalog = &context.catalog;
    let row = |(fact, claimed, found): (&str, String, String)| {
        let fact = catalog.text(&format!("fact-{}", fact.replace('_', "-")));
        let values = [
            ("fact", fact.into()),
            ("claimed", claimed.into()),
            ("found", found.into()),
        ];
        let text = catalog.fmt("claim-and-finding", &values);
        (catalog.text("label-untrue"), text)
    };
    known.contradictions().into_iter().map(row).collect()
}

/// Who has a lock.
fn owner(context: &Context, by: &Holder) -> String {
    let catalog = &context.catalog;
    match by {
        Holder::Azud {
            host, pid, since, ..
        } => {
            let values = [
                ("host", host.into()),
                ("pid", pid.to_string().into()),
                ("since", rfc3339(moment(*since)).into()),
            ];
            catalog.fmt("lock-of-azud", &values)
        }
        Holder::Mounted => catalog.text("lock-of-a-mount"),
        Holder::Reduced => catalog.text("lock-of-a-reduction"),
        _ => catalog.text("lock-of-a-tool"),
    }
}
