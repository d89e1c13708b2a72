//! The images of a manager, as it tells them.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use azud_core::reference::{Folder, FolderRef};
use azud_image::sniff::Format;
use azud_store::Identity;
use azud_store::side::InfoLine;
use azud_transport::http::Listed;
use serde_json::{Value, json};

use crate::commands::{Context, repo};
use crate::failure::Failure;
use crate::human::{self, printable};
use crate::opened::rfc3339;

/// Lists them; `None` where the place is no manager that is known, and there is none that may have it mounted.
pub(super) fn list(context: &Context, dir: &Path) -> Result<Option<()>, Failure> {
    let FolderRef::Placed { place, folder } = FolderRef::parse(dir)? else {
        return Ok(None);
    };
    let Some(giver) = repo::giver(context, &place)? else {
        return Ok(None);
    };
    let mut images = giver.images()?;
    images.retain(|listed| is_below(listed, &folder));
    if images.is_empty() && !folder.is_top() {
        // It tells of images alone, not of folders.
        let values = [
            ("folder", dir.display().to_string().into()),
            ("place", place.to_string().into()),
        ];
        let text = context.catalog.fmt("warn-nothing-below", &values);
        context.output.warn(&context.catalog, &text);
    }
    let value = super::Images(&images, value);
    let head = [
        "image",
        "format",
        "file-system",
        "file-size",
        "modified",
        "state",
        "identity",
    ];
    let rows = || {
        let images = images.iter();
        images.map(|listed| cells(context, listed)).collect()
    };
    super::show(context, &value, head, rows);
    Ok(Some(()))
}

fn is_below(listed: &Listed, folder: &Folder) -> bool {
    folder.is_top() || Path::new(&listed.name).starts_with(folder.path())
}

fn time(seconds: Option<u64>) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds?))
}

fn claim(listed: &Listed) -> Option<InfoLine> {
    InfoLine::parse(listed.info.as_deref()?)
}

/// What the index says goes before what is claimed.
fn fs(listed: &Listed) -> Option<String> {
    let found = listed.fs.clone();
    found.or_else(|| claim(listed).map(|info| info.fs))
}

/// Whether it is a native image, be it whole or damaged.
fn native(listed: &Listed) -> Option<bool> {
    if listed.damaged {
        Some(true)
    } else {
        listed.native
    }
}

/// Who it is: of one without its index nobody can tell, whatever its manager took it for.
fn identity(listed: &Listed) -> Option<&str> {
    let is_lost = listed.damaged && listed.native != Some(true);
    listed.identity.as_deref().filter(|_| !is_lost)
}

/// What made it: of a native image that is known, of others it is claimed.
fn format(listed: &Listed) -> Option<String> {
    if native(listed) == Some(true) {
        return Some(Format::Native.word().to_owned());
    }
    let info = claim(listed)?;
    Some(format!("{}+{}", info.program, info.compressor).to_lowercase())
}

fn value(listed: &Listed) -> Value {
    json!({
        "path": listed.name,
        "file_size": listed.size,
        "modified": time(listed.modified).map(rfc3339),
        "identity": identity(listed),
        "native": native(listed),
        "damaged": listed.damaged,
        "fs": listed.fs,
        "claimed": claim(listed),
        "verified": time(listed.verified).map(rfc3339),
        "lock": listed.lock.as_ref().map(|lock| json!({ "kind": lock.kind, "text": lock.text })),
    })
}

/// Words for what is to be noticed.
fn states(listed: &Listed) -> impl Iterator<Item = &'static str> {
    let lock = listed.lock.as_ref().map(|lock| match lock.kind.as_str() {
        "mounted" => "word-mounted",
        "reduced" => "word-reduced",
        _ => "word-locked",
    });
    let damaged = listed.damaged.then_some("word-damaged");
    let verified = listed.verified.filter(|_| !listed.damaged);
    let verified = verified.map(|_| "word-verified");
    [lock, damaged, verified].into_iter().flatten()
}

fn cells(context: &Context, listed: &Listed) -> Vec<String> {
    let dash = || "-".to_owned();
    let format = format(listed);
    let identity = identity(listed).map(Identity::shortened);
    let identity = identity.as_deref().map(printable);
    let modified = time(listed.modified).map(rfc3339);
    let states = states(listed).map(|word| context.catalog.text(word));
    let state: Vec<String> = states.collect();
    vec![
        printable(&listed.name),
        format.map_or_else(dash, |text| printable(&text)),
        fs(listed).map_or_else(dash, |fs| printable(&fs)),
        human::bytes(listed.size),
        modified.map_or_else(dash, |time| time[..10].to_owned()),
        if state.is_empty() {
            dash()
        } else {
            state.join(", ")
        },
        identity.unwrap_or_else(dash),
    ]
}
