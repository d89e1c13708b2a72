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
    /// MD5 of all its bytes, lower-case hex.
    pub md5: String,
    /// When, in seconds since 1970.
    pub at: u64,
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
pub fn remember(image: &ImageFile, stamp: Stamp, md5: &str, now: SystemTime) -> Result<()> {
    let dir = image.dir();
    let _lock = DirLock::wait(dir)?;
    let mut catalogue = Catalogue::read(dir);
    catalogue.version = VERSION;
    let exists = |name: &String| std::fs::symlink_metadata(dir.join(name)).is_ok();
    catalogue.verified.retain(|name, _| exists(name));
    let at = now.duration_since(SystemTime::UNIX_EPOCH);
    let verified = Verified {
        stamp,
        md5: md5.to_owned(),
        at: at.map_or(0, |since| since.as_secs()),
    };
    catalogue.verified.insert(image.name().to_owned(), verified);
    let draft = dir.join(DRAFT);
    durable::remove_file(&draft)?;
    let content = json(&catalogue, &draft)?;
    let mut file = durable::create(&draft)?;
    std::io::Write::write_all(&mut file, &content).at("write", &draft)?;
    durable::sync_file(&file, &draft)?;
    durable::rename(&draft, &dir.join(FILE))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::SystemTime;

    use azud_core::name::ImageFile;

    use super::{Catalogue, FILE, Stamp, remember};

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
        remember(&gone, first, "00", now).unwrap();
        remember(&image, first, "a0", now).unwrap();
        let catalogue = Catalogue::read(dir.path());
        assert_eq!(catalogue.verified("deb.img", &first).unwrap().md5, "a0");
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
        remember(&image, first, "a1", now).unwrap();
        assert_eq!(
            Catalogue::read(dir.path())
                .verified("deb.img", &first)
                .unwrap()
                .md5,
            "a1"
        );
    }
}
