//! What is remembered of the images of a directory, in `.azud-catalogue`: which were read whole and found to be
//! right. It can be deleted at any time; a damaged one counts as none.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use azud_core::name::ImageFile;
use serde::{Deserialize, Serialize};

use crate::durable;
use crate::error::{At, Result};
use crate::identity::Identity;
use crate::lock::DirLock;
use crate::slot::json;

/// Its name.
pub(crate) const FILE: &str = ".azud-catalogue";
const DRAFT: &str = ".azud-catalogue-new";
const VERSION: u32 = 1;
/// A hundred thousand images need half of it.
const MAX_CATALOGUE: u64 = 32 << 20;

/// What tells whether a file is still the one that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Size in bytes.
    pub size: u64,
    /// When it was last written, in nanoseconds since 1970.
    pub modified: i64,
    /// Its number in the file system.
    pub inode: u64,
}

impl Stamp {
    /// Of a file.
    pub fn of(meta: &std::fs::Metadata) -> Self {
        let seconds = meta.mtime().saturating_mul(1_000_000_000);
        Self {
            size: meta.len(),
            modified: seconds.saturating_add(meta.mtime_nsec()),
            inode: meta.ino(),
        }
    }
}

/// An image that was found to be right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The file as it was.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// By what it was found to be right.
    #[serde(flatten)]
    pub by: By,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// By what an image is found to be right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// MD5 of all its bytes, lower-case hex: right as long as its `.full.sum` says so.
    Md5(String),
    /// The hashes of its own index, whose root this is.
    Identity(Identity),
}

/// The catalogue of a directory.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Catalogue {
    version: u32,
    verified: BTreeMap<String, Verified>,
}

impl Catalogue {
    /// Reads that of a directory; an empty one if there is none, or none that can be understood.
    pub fn read(dir: &Path) -> Self {
        let read = || {
            let content = durable::read_small(&dir.join(FILE), MAX_CATALOGUE).ok()?;
            serde_json::from_slice::<Self>(&content).ok()
        };
        read()
            .filter(|catalogue| catalogue.version == VERSION)
            .unwrap_or_default()
    }

    /// What is remembered of an image, if its file is still the same.
    pub fn verified(&self, name: &str, stamp: &Stamp) -> Option<&Verified> {
        self.verified
            .get(name)
            .filter(|known| known.stamp == *stamp)
    }
}

/// Remembers that an image was found to be right. What is no more is forgotten.
///
/// # Errors
/// [`crate::StoreError::ReadOnly`], [`crate::StoreError::Locked`], [`crate::StoreError::Io`].
pub fn remember(image: &ImageFile, stamp: Stamp, by: By, now: SystemTime) -> Result<()> {
    let at = now.duration_since(SystemTime::UNIX_EPOCH);
    let at = at.map_or(0, |since| since.as_secs());
    let _lock = DirLock::wait(image.dir())?;
    let mut catalogue = Catalogue::read(image.dir());
    let verified = Verified { stamp, by, at };
    catalogue.verified.insert(image.name().to_owned(), verified);
    catalogue.write(image.dir())
}

/// Forgets that an image was found to be right: it is not any more. Nothing is written if that is not remembered.
///
/// # Errors
/// As [`remember`].
pub fn forget(image: &ImageFile) -> Result<()> {
    if !Catalogue::read(image.dir())
        .verified
        .contains_key(image.name())
    {
        return Ok(());
    }
    let _lock = DirLock::wait(image.dir())?;
    let mut catalogue = Catalogue::read(image.dir());
    catalogue.verified.remove(image.name());
    catalogue.write(image.dir())
}

impl Catalogue {
    /// Puts it in place of the one that is there, without what is no more.
    fn write(mut self, dir: &Path) -> Result<()> {
        self.version = VERSION;
        let exists = |name: &String| std::fs::symlink_metadata(dir.join(name)).is_ok();
        self.verified.retain(|name, _| exists(name));
        let draft = dir.join(DRAFT);
        durable::remove_file(&draft)?;
        let content = json(&self, &draft)?;
        let mut file = durable::create(&draft)?;
        std::io::Write::write_all(&mut file, &content).at("write", &draft)?;
        durable::sync_file(&file, &draft)?;
        durable::rename(&draft, &dir.join(FILE))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::SystemTime;

    use azud_core::name::ImageFile;

    use super::{By, Catalogue, FILE, Stamp, forget, remember};
    use crate::identity::Identity;

    fn md5(sum: &str) -> By {
        By::Md5(sum.to_owned())
    }

    #[test]
    fn the_same_file_is_remembered_and_another_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let image = ImageFile::in_dir(dir.path(), "deb.img").unwrap();
        let stamp = |bytes: &str| {
            fs::write(image.path(), bytes).unwrap();
            Stamp::of(&fs::metadata(image.path()).unwrap())
        };
        let first = stamp("one");
        let now = SystemTime::now();
        let gone = ImageFile::in_dir(dir.path(), "gone.img").unwrap();
        remember(&gone, first, md5("00"), now).unwrap();
        remember(&image, first, md5("a0"), now).unwrap();
        let catalogue = Catalogue::read(dir.path());
        assert_eq!(catalogue.verified("deb.img", &first).unwrap().by, md5("a0"));
        assert_eq!(catalogue.verified("gone.img", &first), None);
        for other in [
            Stamp { size: 4, ..first },
            Stamp {
                modified: first.modified + 1,
                ..first
            },
            Stamp {
                inode: first.inode + 1,
                ..first
            },
        ] {
            assert_eq!(catalogue.verified("deb.img", &other), None);
        }
        for damage in ["", "{", "{\"version\":2,\"verified\":{}}", "[]"] {
            fs::write(dir.path().join(FILE), damage).unwrap();
            assert_eq!(
                Catalogue::read(dir.path()).verified("deb.img", &first),
                None
            );
        }
        remember(&image, first, md5("a1"), now).unwrap();
        assert_eq!(
            Catalogue::read(dir.path())
                .verified("deb.img", &first)
                .unwrap()
                .by,
            md5("a1")
        );
        let native = By::Identity(Identity([7; 32]));
        remember(&image, first, native.clone(), now).unwrap();
        let known = Catalogue::read(dir.path());
        assert_eq!(known.verified("deb.img", &first).unwrap().by, native);
        forget(&image).unwrap();
        forget(&gone).unwrap();
        assert_eq!(
            Catalogue::read(dir.path()).verified("deb.img", &first),
            None
        );
    }
}
