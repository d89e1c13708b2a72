//! `ogDeleteFile`, `ogDeleteTree`: what is named, and nothing that it leads to.

use std::fs;
use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_disk::mount_points;
use azud_store::StoreError;
use azud_store::lease::refuse_held;
use azud_store::tree::alike;

use super::args::{FileArg, file, refuse};
use super::container::{one, wanted};
use super::{Call, Done, Status};
use crate::failure::Failure;

/// Deletes a file.
pub(super) fn delete_file(call: &Call) -> Done {
    let path = named(call, file(&call.args)?)?;
    if is_dir(&path)? {
        return Err(refuse(format!("{} is no file", path.display())).into());
    }
    refuse_used(&path)?;
    fs::remove_file(&path).map_err(|error| Failure::io(&path, &error))?;
    Ok(Status::Ok)
}

/// Deletes a folder with all that is in it. What is mounted in it, or an image that somebody works with, keeps it whole.
pub(super) fn delete_tree(call: &Call) -> Done {
    let path = named(call, file(&call.args)?)?;
    if !is_dir(&path)? {
        return Err(refuse(format!("{} is no folder", path.display())).into());
    }
    let mut mounts = mount_points().into_iter();
    if let Some((at, _)) = mounts.find(|(at, _)| at.starts_with(&path)) {
        return Err(Failure::new(Code::Mounted, at.display().to_string()).into());
    }
    refuse_used_below(&path)?;
    fs::remove_dir_all(&path).map_err(|error| Failure::io(&path, &error))?;
    Ok(Status::Ok)
}

/// Where the named thing lies: its folder is looked up as ever, a link that has the name is meant itself.
fn named(call: &Call, file: FileArg) -> Result<PathBuf, Failure> {
    let asked = wanted(&file);
    let (parent, name) = split(file).ok_or_else(|| refuse("a whole container is not deleted"))?;
    let dir = one(call, &parent)?;
    let list = |sub: &Path| {
        let entries = fs::read_dir(dir.join(sub)).into_iter().flatten().flatten();
        Ok(entries.map(|entry| entry.file_name()).collect())
    };
    match alike(&[name], list).as_slice() {
        [found] => Ok(dir.join(found)),
        [] => Err(StoreError::NotFound(asked).into()),
        _ => Err(Failure::new(Code::CaseTwin, asked.display().to_string())),
    }
}

/// A path without its last name, and that name.
fn split(file: FileArg) -> Option<(FileArg, String)> {
    match file {
        FileArg::Path(path) => {
            let (parent, name) = path.rsplit_once('/')?;
            let parent = if parent.is_empty() { "/" } else { parent };
            let usable = !matches!(name, "" | "." | "..");
            usable.then(|| (FileArg::Path(parent.to_owned()), name.to_owned()))
        }
        FileArg::In(container, mut names) => {
            let name = names.pop()?;
            Some((FileArg::In(container, names), name))
        }
    }
}

fn is_dir(path: &Path) -> Result<bool, Failure> {
    let meta = fs::symlink_metadata(path).map_err(|error| Failure::io(path, &error))?;
    Ok(meta.is_dir())
}

/// An image that somebody works with stays; whatever else a file is, nobody holds it.
fn refuse_used(path: &Path) -> Result<(), Failure> {
    let name = path.file_name().and_then(|name| name.to_str());
    let image = name
        .zip(path.parent())
        .map(|(name, dir)| ImageFile::in_dir(dir, name));
    match image {
        Some(Ok(image)) => Ok(refuse_held(&image)?),
        _ => Ok(()),
    }
}

fn refuse_used_below(dir: &Path) -> Result<(), Failure> {
    let entries = fs::read_dir(dir).map_err(|error| Failure::io(dir, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| Failure::io(dir, &error))?;
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            refuse_used_below(&path)?;
        } else {
            refuse_used(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::args::FileArg;
    use super::split;

    #[test]
    fn what_has_no_name_is_not_deleted() {
        let parent = |path: &str| split(FileArg::Path(path.to_owned()));
        assert_eq!(
            parent("/a/b"),
            Some((FileArg::Path("/a".to_owned()), "b".to_owned()))
        );
        assert_eq!(
            parent("/a"),
            Some((FileArg::Path("/".to_owned()), "a".to_owned()))
        );
        for path in ["/", "/a/..", "/a/."] {
            assert_eq!(parent(path), None, "{path}");
        }
    }
}
