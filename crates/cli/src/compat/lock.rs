//! `ogIsImageLocked`, `ogLockImage`, `ogUnlockImage`.

use std::path::PathBuf;

use azud_core::name::ImageFile;
use azud_store::{StoreError, lease};

use super::args::{FileArg, file, refuse};
use super::container::{one, wanted};
use super::{Call, Done, Status};
use crate::failure::Failure;

/// Ends with 0 if the image is locked, with 1 if it is not.
pub(super) fn is_locked(call: &Call) -> Done {
    Ok(match lease::holder(&image(call)?) {
        Some(_) => Status::Ok,
        None => Status::Format,
    })
}

/// Locks it, until it is unlocked.
pub(super) fn lock(call: &Call) -> Done {
    lease::plain::lock(&image(call)?)?;
    Ok(Status::Ok)
}

/// Unlocks it.
pub(super) fn unlock(call: &Call) -> Done {
    lease::plain::unlock(&image(call)?)?;
    Ok(Status::Ok)
}

/// The image, which may be still to be made: then its folder must be there.
fn image(call: &Call) -> Result<ImageFile, Failure> {
    let file = file(&call.args)?;
    if wanted(&file).file_name().is_none() {
        // A container's own folder; its lock would lie outside.
        return Err(refuse("the image is missing"));
    }
    let path = match one(call, &file) {
        Ok(path) => path,
        Err(failure) if failure.code == azud_core::code::Code::NotFound => {
            let (folder, name) = split(&file)?;
            one(call, &folder)?.join(name)
        }
        Err(failure) => return Err(failure),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let dir = path.parent().map(PathBuf::from).unwrap_or_default();
    Ok(ImageFile::in_dir(dir, &name)?)
}

/// The folder of a file, and its name.
fn split(file: &FileArg) -> Result<(FileArg, String), Failure> {
    let missing = || StoreError::NotFound(wanted(file));
    match file {
        FileArg::Path(path) => {
            let (folder, name) = path.rsplit_once('/').ok_or_else(missing)?;
            let folder = if folder.is_empty() { "/" } else { folder };
            Ok((FileArg::Path(folder.to_owned()), name.to_owned()))
        }
        FileArg::In(container, names) => {
            let (name, folder) = names.split_last().ok_or_else(missing)?;
            let folder = FileArg::In(container.clone(), folder.to_vec());
            Ok((folder, name.clone()))
        }
    }
}
