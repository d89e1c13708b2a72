//! `NAME.ant`: the one former version that OpenGnsys keeps beside an image, with its side files.

use std::path::{Path, PathBuf};

use azud_core::name::{ImageFile, beside, folder_of};

use crate::durable;
use crate::error::{Result, StoreError};
use crate::lock::DirLock;
use crate::side::KEPT;

/// The ending of its file.
pub const ANT: &str = ".ant";

/// The files of the former version that are there, as they are and as they were called; the image itself last.
fn files(image: &ImageFile) -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut found = Vec::new();
    for ending in KEPT.iter().copied().chain([""]) {
        let former = image.beside(&format!("{ending}{ANT}"));
        if durable::file_size(&former)?.is_some() {
            found.push((former, image.beside(ending)));
        }
    }
    Ok(found)
}

/// The image that a file is the former version of; `None` for what has no such name.
pub fn image_of(file: &Path) -> Option<ImageFile> {
    let name = file.file_name()?.to_str()?.strip_suffix(ANT)?;
    ImageFile::in_dir(folder_of(file), name).ok()
}

/// The file of a former version.
pub fn file_of(image: &ImageFile) -> PathBuf {
    image.beside(ANT)
}

/// The side file of an image, or of a former version.
pub fn side(file: &Path, ending: &str) -> PathBuf {
    if let Some(image) = image_of(file) {
        return image.beside(&format!("{ending}{ANT}"));
    }
    beside(file, ending)
}

/// Whether there is a former version.
///
/// # Errors
/// [`StoreError::Io`].
pub fn exists(image: &ImageFile) -> Result<bool> {
    Ok(durable::file_size(&image.beside(ANT))?.is_some())
}

/// Removes the former version; whether there was any of it.
///
/// # Errors
/// [`StoreError::Locked`], [`StoreError::ReadOnly`], [`StoreError::Io`].
pub fn remove(image: &ImageFile) -> Result<bool> {
    let _lock = DirLock::wait(image.dir())?;
    let mut files = files(image)?;
    // The image first: side files alone are no version.
    files.reverse();
    for (former, _) in &files {
        durable::remove_file(former)?;
    }
    durable::sync_dir(image.dir())?;
    Ok(!files.is_empty())
}

/// Gives the former version its name again. The image appears last, after its side files; when this fails on
/// the way, another run goes on.
///
/// # Errors
/// [`StoreError::NotFound`] if there is none, [`StoreError::NotAFile`] if the name is still taken; those of
/// [`remove`].
pub fn bring_back(image: &ImageFile) -> Result<()> {
    let _lock = DirLock::wait(image.dir())?;
    if !exists(image)? {
        return Err(StoreError::NotFound(image.beside(ANT)));
    }
    if std::fs::symlink_metadata(image.path()).is_ok() {
        return Err(StoreError::NotAFile {
            path: image.path(),
            what: "there already",
        });
    }
    let files = files(image)?;
    let (last, others) = files.split_last().expect("the image is there");
    for (former, name) in others {
        durable::rename(former, name)?;
    }
    durable::sync_dir(image.dir())?;
    durable::rename(&last.0, &last.1)?;
    durable::sync_dir(image.dir())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io;

    use azud_core::name::ImageFile;

    use super::{bring_back, exists, remove};
    use crate::durable::{Op, set_hook};

    fn names(image: &ImageFile) -> Vec<String> {
        let entries = fs::read_dir(image.dir()).unwrap().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn shelf() -> (tempfile::TempDir, ImageFile) {
        let dir = tempfile::tempdir().unwrap();
        let image = ImageFile::in_dir(dir.path(), "w.img").unwrap();
        for ending in [".ant", ".sum.ant", ".full.sum.ant", ".torrent.ant"] {
            fs::write(image.beside(ending), ending).unwrap();
        }
        fs::write(dir.path().join("w.img2.ant"), "another's").unwrap();
        (dir, image)
    }

    #[test]
    fn the_former_version_goes_or_comes_back_whole() {
        let (_dir, image) = shelf();
        bring_back(&image).unwrap();
        let back = [
            "w.img",
            "w.img.full.sum",
            "w.img.sum",
            "w.img.torrent",
            "w.img2.ant",
        ];
        assert_eq!(names(&image), back);
        assert!(bring_back(&image).is_err(), "there is none any more");
        let (_dir, image) = shelf();
        fs::write(image.path(), "new").unwrap();
        assert!(bring_back(&image).is_err(), "the name is taken");
        assert!(exists(&image).unwrap() && remove(&image).unwrap());
        assert_eq!(names(&image), ["w.img", "w.img2.ant"]);
        assert!(!remove(&image).unwrap() && !exists(&image).unwrap());
    }

    #[test]
    fn whatever_is_killed_another_run_goes_on() {
        for stop in 0..7 {
            let (_dir, image) = shelf();
            let mut left = stop;
            set_hook(Some(Box::new(move |step| {
                if step.op != Op::Rename && step.op != Op::SyncDir {
                    return Ok(());
                }
                left -= 1;
                if left < 0 {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                Ok(())
            })));
            let done = bring_back(&image);
            set_hook(None);
            let visible = image.path().exists();
            if done.is_err() && !visible {
                bring_back(&image).unwrap();
            }
            assert_eq!(fs::read(image.path()).unwrap(), b".ant", "{stop}");
            assert_eq!(
                fs::read(image.beside(".sum")).unwrap(),
                b".sum.ant",
                "{stop}"
            );
        }
    }
}
