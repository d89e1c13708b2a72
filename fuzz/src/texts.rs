//! Targets of small texts that others write: locks, tables, claims, settings, arguments of scripts.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use azud_cli::UNDERSTOOD;
use azud_cli::site::Site;
use azud_disk::mount_points_in;
use azud_disk::partition::parse;
use azud_store::lease::Holder;
use azud_store::repoinfo::claims;
use azud_store::side::InfoLine;

/// So much of a host's name is shown, in characters.
const HOST_MAX: usize = 64;

/// A lock beside an image: whoever it names can be shown on a terminal, on one line.
pub fn lock(data: &[u8]) {
    let holder = Holder::named_in(data);
    let shown = holder.to_string();
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
    if let Holder::Azud { host, .. } = holder {
        assert!(host.chars().count() <= HOST_MAX, "{host:?}");
    }
}

/// A partition table as sfdisk prints it: what is accepted has numbers of its own, in places that do not overlap.
pub fn sfdisk(data: &[u8]) {
    let Ok(table) = parse(data) else {
        return;
    };
    let numbers: BTreeSet<u32> = table.entries.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers.len(), table.entries.len());
    for (at, entry) in table.entries.iter().enumerate() {
        assert!(
            entry.number > 0 && entry.range.start <= entry.range.end,
            "{entry:?}"
        );
        for other in &table.entries[..at] {
            let apart =
                entry.range.end <= other.range.start || other.range.end <= entry.range.start;
            let nested = entry.is_extended() || other.is_extended();
            assert!(apart || nested, "{other:?} {entry:?}");
        }
    }
}

/// The kernel's table of mounts: a mount a line at most, and lines do not influence each other.
pub fn mountinfo(data: &[u8]) {
    let lines = data.split(|byte| *byte == b'\n');
    let alone: Vec<_> = lines.flat_map(mount_points_in).collect();
    assert_eq!(mount_points_in(data), alone);
}

/// The line of a `.info`: what is understood is written as it would be understood again.
pub fn info(data: &[u8]) {
    let Some(line) = std::str::from_utf8(data).ok().and_then(InfoLine::parse) else {
        return;
    };
    let written = line.to_line();
    assert_eq!(written.lines().count(), 1, "{written:?}");
    let again = InfoLine::parse(&written).expect("our own line");
    assert_eq!(again.to_line(), written);
    assert_eq!(again.size_kb, line.size_kb);
}

/// The catalogue of a stock server: its claims can be written as side files.
pub fn repoinfo(data: &[u8]) {
    for claim in claims(data).into_values() {
        let line = claim.to_line();
        assert_eq!(line.lines().count(), 1, "{line:?}");
    }
}

/// Settings: a site that is understood lies at absolute paths.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(site) = Site::described(text) else {
        return;
    };
    for path in [site.layout.root(), site.layout.mnt()] {
        assert!(path.is_absolute() && !climbs(path), "{}", path.display());
    }
}

fn climbs(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}

/// Arguments of OpenGnsys' names, with zeros between them: no words mean something to two names of opposite orders.
pub fn arguments(data: &[u8]) {
    let words = data
        .split(|byte| *byte == 0)
        .map(|word| std::str::from_utf8(word).map(str::to_owned));
    let Ok(words) = words.collect::<Result<Vec<String>, _>>() else {
        return;
    };
    let understood = UNDERSTOOD
        .iter()
        .filter(|(_, understands)| understands(&words).is_ok());
    let names: BTreeSet<&str> = understood.map(|(name, _)| *name).collect();
    for pair in [
        ["updateCache", "UpdateCache"],
        ["createImage", "restoreImage"],
        ["createImage", "deployImage"],
    ] {
        assert!(
            !pair.iter().all(|name| names.contains(name)),
            "{pair:?} {words:?}"
        );
    }
}
