//! Every kind of error of the libraries as a message of the catalogue with its variables. The matches name every
//! variant, so that a new one asks for its words.

use std::path::{Path, PathBuf};

use azud_core::assembly::SourceError;
use azud_core::cache::Stays;
use azud_core::format::FormatError;
use azud_core::format::partclone::HeaderError;
use azud_core::layout::LayoutError;
use azud_core::name::{NameError, beside};
use azud_core::namespace::PlaceError;
use azud_core::progress::Interrupted;
use azud_core::reference::{RefError, Where};
use azud_image::ImageError;
use azud_image::foreign::ForeignError;
use azud_image::fs::FsError;
use azud_image::signature::SignatureError;
use azud_store::StoreError;
use azud_store::error::is_no_directory;
use azud_store::lease::Holder;
use azud_store::side::LOCK;

use super::Words;
use crate::opened::{moment, rfc3339};

mod disk;
mod net;

pub(super) use disk::disk;
use disk::refusal;
use net::upload;
pub(super) use net::{net, net_code, server};

fn stays(image: &Path, why: &Stays) -> Words {
    let image = ("image", shown(image));
    match why {
        Stays::Pinned => Words::new("stays-pinned", [image]),
        Stays::InUse => Words::new("stays-in-use", [image]),
        Stays::HalfMoved => Words::new("half-moved", [image]),
        Stays::NotPlanned => Words::new("stays-not-planned", [image]),
        Stays::LastCopy(partition) => {
            let partition = ("partition", partition.clone());
            Words::new("stays-last-copy", [image, partition])
        }
    }
}

fn held(image: &Path, by: &Holder) -> Words {
    let key = match by {
        Holder::Azud {
            sender: Some(_), ..
        } => "held-sent",
        Holder::Azud { here: true, .. } => "held-here",
        Holder::Azud { .. } => "held-azud",
        Holder::Mounted => "held-mounted",
        Holder::Reduced => "held-reduced",
        _ => "held-ownerless",
    };
    let lock = shown(&beside(image, LOCK));
    let mut words = Words::new(key, [("image", shown(image)), ("lock", lock)]);
    if let Holder::Azud {
        host,
        pid,
        since,
        sender,
        ..
    } = by
    {
        words.values.extend([
            ("sender", sender.clone().unwrap_or_default()),
            ("host", host.clone()),
            ("pid", pid.to_string()),
            ("since", rfc3339(moment(*since))),
        ]);
    }
    words
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn joined(paths: &[PathBuf]) -> String {
    let texts: Vec<String> = paths.iter().map(|path| shown(path)).collect();
    texts.join(", ")
}

/// Of something with a path.
fn of(key: &'static str, path: &Path) -> Words {
    Words::new(key, [("path", shown(path))])
}

fn plain(key: &'static str) -> Words {
    Words::new(key, [])
}

pub(super) fn signature(error: &SignatureError) -> Words {
    match error {
        SignatureError::Malformed => plain("signature-malformed"),
        SignatureError::UnknownKey => plain("signature-unknown-key"),
        SignatureError::Mismatch => plain("signature-mismatch"),
        SignatureError::NoClaim => plain("signature-no-claim"),
        SignatureError::Other { found, wanted } => Words::new(
            "signature-other",
            [("found", found.clone()), ("wanted", wanted.clone())],
        ),
        SignatureError::PublicKey => plain("signature-public-key"),
        SignatureError::SecretKey => plain("signature-secret-key"),
        SignatureError::Password => plain("signature-password"),
    }
}

/// Somebody asked for the end.
pub(super) fn interrupted() -> Words {
    plain("interrupted")
}

pub(super) fn name(error: &NameError) -> Words {
    Words::new("name", [("text", error.text.clone())]).term("reason", error.reason)
}

pub(super) fn reference(error: &RefError) -> Words {
    match error {
        RefError::Name(error) => name(error),
        RefError::Place { text, reason } => {
            Words::new("ref-place", [("text", text.clone())]).term("reason", reason)
        }
        RefError::Device { text, reason } => {
            Words::new("ref-device", [("text", text.clone())]).term("reason", reason)
        }
    }
}

pub(super) fn layout(error: &LayoutError) -> Words {
    let values = [
        ("what", error.what.to_owned()),
        ("text", error.text.clone()),
    ];
    Words::new("layout", values).term("reason", error.reason)
}

pub(super) fn place(error: &PlaceError) -> Words {
    match error {
        PlaceError::NoManager => plain("no-manager"),
        PlaceError::NotMounted { place, at } => {
            let key = match (place, at) {
                (Where::Cache, Some(_)) => "cache-not-mounted",
                (Where::Cache, None) => "cache-absent",
                (_, Some(_)) => "place-not-mounted",
                (_, None) => "place-absent",
            };
            let at = at.as_deref().map(shown).unwrap_or_default();
            Words::new(key, [("place", place.to_string()), ("at", at)])
        }
        PlaceError::Silent { place, at } => Words::new(
            "place-silent",
            [("place", place.to_string()), ("at", shown(at))],
        ),
        PlaceError::Gone { place, at } => Words::new(
            "place-gone",
            [("place", place.to_string()), ("at", shown(at))],
        ),
        PlaceError::Ambiguous { place, among } => Words::new(
            "place-ambiguous",
            [("place", place.to_string()), ("among", joined(among))],
        ),
    }
}

pub(super) fn format(error: &FormatError) -> Words {
    match error {
        FormatError::NotNative(what) => plain("not-native").term("what", what),
        FormatError::Truncated(what) => plain("truncated").term("what", what),
        FormatError::Corrupt(what) => plain("corrupt").term("what", what),
        FormatError::Newer { found, known } => Words::new(
            "newer",
            [("found", found.to_string()), ("known", known.to_string())],
        ),
        FormatError::TooLarge { what, size, limit } => Words::new(
            "too-large",
            [("size", size.to_string()), ("limit", limit.to_string())],
        )
        .term("what", what),
        FormatError::Trailing { extra, end } => Words::new(
            "trailing",
            [("extra", extra.to_string()), ("end", end.to_string())],
        ),
        FormatError::Header(error) => header(error),
    }
}

fn header(error: &HeaderError) -> Words {
    match error {
        HeaderError::Magic => plain("header-magic"),
        HeaderError::Version(version) => {
            Words::new("header-version", [("version", version.clone())])
        }
        HeaderError::ForeignEndian => plain("big-endian"),
        HeaderError::Crc { found, stored } => Words::new(
            "header-crc",
            [
                ("found", format!("{found:08x}")),
                ("stored", format!("{stored:08x}")),
            ],
        ),
        HeaderError::Field(field) => Words::new("header-field", [("field", (*field).to_owned())]),
    }
}

pub(super) fn image(error: &ImageError) -> Words {
    let at = |key, offset: &u64| Words::new(key, [("offset", offset.to_string())]);
    let sizes = |key, has: String, needs: String| Words::new(key, [("has", has), ("needs", needs)]);
    match error {
        ImageError::Format(error) => format(error),
        ImageError::Fs(error) => fs(error),
        ImageError::Frame { number, what } => {
            Words::new("frame", [("number", number.to_string())]).term("what", what)
        }
        ImageError::Frames { bad, total } => {
            let first = bad.first().copied().unwrap_or(0);
            let values = [
                ("count", bad.len().to_string()),
                ("total", total.to_string()),
                ("first", first.to_string()),
            ];
            Words::new("frames", values)
        }
        ImageError::Read { offset, .. } => at("read-image", offset),
        ImageError::Write { .. } => plain("write-image"),
        ImageError::Source { offset, .. } => at("read-source", offset),
        ImageError::Target { op, offset, .. } => at("target", offset).term("op", op),
        ImageError::TooSmall { has, needs } => {
            sizes("too-small", has.to_string(), needs.to_string())
        }
        ImageError::SectorSize { has, needs } => {
            sizes("sector-size", has.to_string(), needs.to_string())
        }
        ImageError::ReadBack { number } => {
            Words::new("read-back", [("number", number.to_string())])
        }
        ImageError::Limit(what) => plain("limit").term("what", what),
        ImageError::Interrupted(_) => interrupted(),
    }
}

pub(super) fn fs(error: &FsError) -> Words {
    let said =
        |key, fs: &str, what: &str| Words::new(key, [("fs", fs.to_owned())]).term("what", what);
    match error {
        FsError::Read { offset, len, .. } => Words::new(
            "fs-read",
            [("offset", offset.to_string()), ("len", len.to_string())],
        ),
        FsError::Dirty { fs, why, .. } => {
            Words::new("dirty", [("fs", (*fs).to_owned())]).term("why", why)
        }
        FsError::Hibernated { fs, why, .. } => said("hibernated", fs, why),
        FsError::Corrupt { fs, what } => said("fs-corrupt", fs, what),
        FsError::Unsupported { fs, what } => said("fs-unsupported", fs, what),
    }
}

pub(super) fn foreign(error: &ForeignError) -> Words {
    match error {
        ForeignError::Read { .. } => plain("foreign-read"),
        ForeignError::Truncated { within } => plain("truncated").term("what", within),
        ForeignError::CutShort { has, needs } => Words::new(
            "disk-cut-short",
            [("has", has.to_string()), ("needs", needs.to_string())],
        ),
        ForeignError::Trailing { after } => plain("foreign-trailing").term("what", after),
        ForeignError::Compressed { compressor, why } => {
            Words::new("compressed", [("compressor", compressor.to_string())]).term("what", why)
        }
        ForeignError::Corrupt { what } => plain("corrupt").term("what", what),
        ForeignError::Checksum {
            strip,
            first,
            blocks,
        } => {
            let values = [
                ("strip", strip.to_string()),
                ("first", first.to_string()),
                ("blocks", blocks.to_string()),
            ];
            Words::new("checksum", values)
        }
        ForeignError::Changed => plain("changed-since"),
        ForeignError::Empty => plain("empty-image"),
        ForeignError::UnknownFormat => plain("unknown-format"),
        ForeignError::Unsupported { what } => plain("unsupported").term("what", what),
        ForeignError::Newer { format, version } => Words::new(
            "newer-foreign",
            [
                ("format", (*format).to_owned()),
                ("version", version.clone()),
            ],
        ),
        ForeignError::ForeignEndian => plain("big-endian"),
        ForeignError::TooLarge { what, limit } => {
            Words::new("beyond", [("limit", limit.to_string())]).term("what", what)
        }
    }
}

fn no_such_version((image, which): (&Path, &str), reason: &str) -> Words {
    let values = [("image", shown(image)), ("which", which.to_owned())];
    Words::new("no-such-version", values).term("reason", reason)
}

fn not_a_file(path: &Path, what: &str) -> Words {
    let keys = ["not-a-file", "not-a-directory"];
    let key = keys[usize::from(is_no_directory(what))];
    of(key, path).term("what", what)
}

/// Of an image, or of what was sent of it, which is no name.
fn bad_piece(name: &str, offset: &str) -> Words {
    Words::new("bad-piece", [("offset", offset.to_owned())]).term("name", name)
}

fn no_room((needed, could): (u64, u64)) -> Words {
    let needed = ("needed", needed.to_string());
    match could {
        0 => Words::new("no-room-at-all", [needed]),
        could => Words::new("no-room", [needed, ("could", could.to_string())]),
    }
}

pub(super) fn store(error: &StoreError) -> Words {
    match error {
        StoreError::Name(error) => name(error),
        StoreError::NotFound(path) => of("not-found", path),
        StoreError::Outside { path } => of("outside", path),
        StoreError::CaseTwin { wanted, there } => Words::new(
            "case-twin",
            [("wanted", shown(wanted)), ("there", there.clone())],
        ),
        StoreError::AliasTaken { path, what } => of("alias-taken", path).term("what", what),
        StoreError::NotAFile { path, what } => not_a_file(path, what),
        StoreError::NoSpace { path, .. } => of("no-space", path),
        StoreError::ReadOnly { path, .. } => of("read-only", path),
        StoreError::Locked(path) => of("locked", path),
        StoreError::Held { image, by } => held(image, by),
        StoreError::NoFormerVersion(path) => of("no-former-version", path),
        StoreError::NoSuchVersion {
            image,
            which,
            reason,
        } => no_such_version((image, which), reason),
        StoreError::Stays { image, why } => stays(image, why),
        StoreError::NoRoom(lack) => no_room((lack.needed, lack.could_free)),
        StoreError::Corrupt { path, reason } => of("store-corrupt", path).term("reason", reason),
        StoreError::Newer(path) => of("store-newer", path),
        StoreError::Pending { image, .. } => of("pending", image),
        StoreError::TooLittleRoom { path, needs, has } => Words::new(
            "too-little-room",
            [
                ("path", shown(path)),
                ("needs", needs.to_string()),
                ("has", has.to_string()),
            ],
        ),
        StoreError::FileTooLarge { path, size, limit } => Words::new(
            "file-too-large",
            [
                ("path", shown(path)),
                ("size", size.to_string()),
                ("limit", limit.to_string()),
            ],
        ),
        StoreError::HalfMoved(path) => Words::new("half-moved", [("image", shown(path))]),
        StoreError::SecondName(path) => of("second-name", path),
        StoreError::Source { name, .. } => Words::new("source", [("name", name.clone())]),
        StoreError::Silent(names) => Words::new("silent", [("names", names.clone())]),
        StoreError::BadPiece { name, offset } => bad_piece(name, &offset.to_string()),
        StoreError::BadUpload { .. } | StoreError::Coming(_) => upload(error),
        StoreError::Interrupted(_) => interrupted(),
        StoreError::Io { op, path, .. } => of("store-io", path).term("op", op),
    }
}

/// A cause, where it is an error of ours.
pub(super) fn cause(error: &(dyn std::error::Error + 'static)) -> Option<Words> {
    if let Some(error) = error.downcast_ref::<SourceError>() {
        return Some(plain(match error {
            SourceError::Temporary(_) => "source-silent",
            SourceError::Permanent(_) => "source-unreadable",
            SourceError::Changed => "source-changed",
        }));
    }
    if let Some(error) = error.downcast_ref::<std::io::Error>() {
        return cause(error.get_ref()?);
    }
    let found = error.downcast_ref().map(refusal);
    let found = found.or_else(|| error.downcast_ref().map(store));
    let found = found.or_else(|| error.downcast_ref().map(disk));
    let found = found.or_else(|| error.downcast_ref().map(image));
    let found = found.or_else(|| error.downcast_ref().map(net));
    let found = found.or_else(|| error.downcast_ref().map(signature));
    let found = found.or_else(|| error.downcast_ref().map(|Interrupted| interrupted()));
    found.or_else(|| error.downcast_ref().map(foreign))
}

#[cfg(test)]
mod tests;
