//! `ogGetImageInfo` and the functions that print one field of it.

use std::path::Path;

use azud_core::code::Code;
use azud_image::sniff::{Format, Sniffed, sniff};
use azud_store::Stored;

use super::args::{Container, FileArg, file, refuse};
use super::container::one;
use super::{Call, Done, Status};
use crate::failure::Failure;

/// `TOOL:COMPRESSOR:FS:SIZEKB`, as it is in the image: a `.info` beside it may be untrue.
struct Info {
    tool: &'static str,
    compressor: String,
    fs: String,
    size_kb: u64,
}

impl Info {
    fn of(path: &Path) -> Result<Self, Failure> {
        let stored = Stored::open(path)?;
        let found = sniff(&stored).map_err(|error| Failure::io(path, &error))?;
        Self::told(&found)
            .ok_or_else(|| Failure::new(Code::UnknownFormat, path.display().to_string()))
    }

    fn told(found: &Sniffed) -> Option<Self> {
        let tool = match found.format {
            // What stock tools take a native image for.
            Format::Native | Format::Partclone(_) => "PARTCLONE",
            Format::Ntfsclone => "NTFSCLONE",
            Format::Partimage => "PARTIMAGE",
            _ => return None,
        };
        if found.problem.is_some() {
            return None;
        }
        Some(Self {
            tool,
            compressor: found.compressor.as_str().to_ascii_uppercase(),
            fs: found.fs.as_deref()?.to_ascii_uppercase(),
            size_kb: found.device_size?.div_ceil(1024),
        })
    }
}

/// Prints all four of the image with this path.
pub(super) fn info(call: &Call) -> Done {
    let FileArg::Path(path) = file(&call.args)? else {
        return Err(refuse("the path begins with '/'").into());
    };
    let Info {
        tool,
        compressor,
        fs,
        size_kb,
    } = Info::of(&one(call, &FileArg::Path(path))?)?;
    call.print(&format!("{tool}:{compressor}:{fs}:{size_kb}"));
    Ok(Status::Ok)
}

pub(super) fn program(call: &Call) -> Done {
    field(call, |info| info.tool.to_owned())
}

pub(super) fn compressor(call: &Call) -> Done {
    field(call, |info| info.compressor)
}

pub(super) fn fs(call: &Call) -> Done {
    field(call, |info| info.fs)
}

pub(super) fn size(call: &Call) -> Done {
    field(call, |info| info.size_kb.to_string())
}

fn field(call: &Call, field: impl Fn(Info) -> String) -> Done {
    call.print(&field(Info::of(&one(
        call,
        &without_extension(&call.args)?,
    )?)?));
    Ok(Status::Ok)
}

/// `REPO|CACHE path`, to which `.img` is added.
fn without_extension(args: &[String]) -> Result<FileArg, Failure> {
    match file(args)? {
        FileArg::In(container @ (Container::Repo | Container::Cache), mut names) => {
            let last = names
                .last_mut()
                .ok_or_else(|| refuse("the name is missing"))?;
            last.push_str(".img");
            Ok(FileArg::In(container, names))
        }
        _ => Err(refuse("the image is in REPO or CACHE")),
    }
}

#[cfg(test)]
mod tests {
    use super::without_extension;

    #[test]
    fn the_extension_is_added() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let parsed = |line: &str| without_extension(&words(line));
        assert!(format!("{:?}", parsed("repo /a/w").unwrap()).contains("w.img"));
        for line in ["/a/w", "REPO", "REPO /", "1 2 /w", "CDROM /w"] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
