//! `azud image info` of an image that is not native.

use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::format::Hash;
use azud_core::name::{ImageFile, SIDE_ENDINGS};
use azud_image::sniff::{Format, Sniffed, sniff};
use azud_store::Identity;
use azud_store::lease::Holder;
use azud_store::list::{Entry, entry};
use azud_store::side::InfoLine;
use azud_transport::http::RemoteImage;

use super::file_of;
use crate::commands::Context;
use crate::facts::Known;
use crate::failure::Failure;
use crate::human;
use crate::opened::{moment, rfc3339};
use crate::remote::Remote;
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
    tell(context, &path.display().to_string(), &known, None)
}

/// Describes an image of a manager: what its first bytes are is read there, the rest is what the manager tells of it.
///
/// # Errors
/// As [`describe`], and what the manager says.
pub(crate) fn describe_remote(
    context: &Context,
    (remote, image): (&Remote, &RemoteImage),
) -> Result<(), Failure> {
    let name = remote.shown();
    let found = sniff(image).map_err(|error| Failure::io(Path::new(&name), &error))?;
    let known = Known {
        entry: entry_there(remote, image)?,
        found: Some(found),
        false_sum: None,
        found_damaged: false,
    };
    tell(context, &name, &known, Some(image.layout().identity()))
}

/// What the manager tells of an image.
fn entry_there(remote: &Remote, image: &RemoteImage) -> Result<Entry, Failure> {
    let listed = remote.listed()?;
    let told = listed.as_ref();
    let beside = |ending: &&str| {
        let mut beside = told.iter().flat_map(|listed| &listed.beside);
        beside.any(|it| it.ending == *ending)
    };
    Ok(Entry {
        path: PathBuf::from(told.map_or(&remote.name, |listed| &listed.name)),
        is_dir: false,
        size: image.layout().size(),
        modified: told.and_then(|listed| listed.modified).map(moment),
        info: told.and_then(|listed| InfoLine::parse(listed.info.as_deref()?)),
        listed: None,
        lock: None,
        side: SIDE_ENDINGS.iter().copied().filter(beside).collect(),
        verified: told.and_then(|listed| listed.verified),
    })
}

/// Shows what is known of it, and who it is as a manager has it.
fn tell(
    context: &Context,
    name: &str,
    known: &Known,
    identity: Option<&Hash>,
) -> Result<(), Failure> {
    match &known.found {
        None => Err(Failure::new(Code::Io, name)),
        Some(Sniffed {
            format: Format::Unknown | Format::Empty,
            ..
        }) => Err(Failure::new(Code::UnknownFormat, name)),
        Some(found) => {
            let mut value = known.json();
            value["image"] = name.into();
            if let Some(identity) = identity {
                value["identity"] = Identity(*identity).to_string().into();
            }
            context
                .output
                .answer(&value, || human_rows(context, (name, known, found)));
            Ok(())
        }
    }
}

fn human_rows(context: &Context, (name, known, found): (&str, &Known, &Sniffed)) -> String {
    let entry = &known.entry;
    let label = |key: &str| context.catalog.text(&format!("label-{key}"));
    let bytes = |size: Option<u64>| size.map(human::bytes_exactly);
    let claim = known
        .claim()
        .map(|claim| claim.to_line().trim_end().to_owned());
    let facts = [
        ("image", Some(name.to_owned())),
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
            host,
            pid,
            since,
            sender,
            ..
        } => {
            let values = [
                ("sender", sender.as_deref().unwrap_or_default().into()),
                ("host", host.into()),
                ("pid", pid.to_string().into()),
                ("since", rfc3339(moment(*since)).into()),
            ];
            let key = match sender {
                Some(_) => "lock-for-sender",
                None => "lock-of-azud",
            };
            catalog.fmt(key, &values)
        }
        Holder::Mounted => catalog.text("lock-of-a-mount"),
        Holder::Reduced => catalog.text("lock-of-a-reduction"),
        _ => catalog.text("lock-of-a-tool"),
    }
}
