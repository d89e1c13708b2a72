//! What is known of an image in the cache beyond its file.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use azud_core::cache::Stays;
use serde::{Deserialize, Serialize};

use super::{Cache, IMAGES, INSTALLED, PINS, key};
use crate::durable;
use crate::error::{At, Result, StoreError};
use crate::identity::Identity;
use crate::slot::json;

const VERSION: u32 = 1;
const MAX_RECORD: u64 = 1 << 20;

/// Beyond these, damaged frames are only counted as "more".
const MAX_BAD: usize = 10_000;

/// Tells whether a file is still the one that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    size: u64,
    seconds: i64,
    nanos: i64,
    inode: u64,
}

impl Stamp {
    /// Of a file.
    ///
    /// # Errors
    /// What the system says.
    pub fn of(path: &Path) -> Result<Self> {
        Ok(Self::from(
            &std::fs::symlink_metadata(path).at("look at", path)?,
        ))
    }
}

impl From<&Metadata> for Stamp {
    fn from(meta: &Metadata) -> Self {
        Self {
            size: meta.size(),
            seconds: meta.mtime(),
            nanos: meta.mtime_nsec(),
            inode: meta.ino(),
        }
    }
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// When, in seconds since 1970.
    pub at: u64,
    /// Whether every byte was right.
    pub sound: bool,
    /// Numbers of damaged frames, as far as they can be told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bad: Vec<u64>,
    /// The file that was checked.
    pub stamp: Stamp,
}

impl Verified {
    /// Of the file that had this stamp.
    pub fn new(at: SystemTime, stamp: Stamp, sound: bool, mut bad: Vec<u64>) -> Self {
        bad.truncate(MAX_BAD);
        Self {
            at: seconds(at),
            sound,
            bad,
            stamp,
        }
    }

    /// When.
    pub fn time(&self) -> SystemTime {
        time(self.at)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    identity: Identity,
    stamp: Stamp,
}

/// What is remembered of an image. What concerns its content holds only for the file it was learnt from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    path: String,
    #[serde(default)]
    used: Option<u64>,
    #[serde(default)]
    verified: Option<Verified>,
    #[serde(default)]
    known: Option<Known>,
}

impl Record {
    fn new(path: &Path) -> Self {
        Self {
            version: VERSION,
            path: path.to_string_lossy().into_owned(),
            used: None,
            verified: None,
            known: None,
        }
    }

    /// The last use; what a file's times say of it where nothing is recorded.
    pub(crate) fn used(&self, meta: &Metadata) -> u64 {
        let written = seconds_of(meta.mtime());
        // A record may be of a former file of this name.
        self.used.map_or_else(
            || written.max(seconds_of(meta.atime())),
            |used| used.max(written),
        )
    }

    /// The last check of the file that has this stamp.
    pub(crate) fn verified(&self, stamp: &Stamp) -> Option<&Verified> {
        self.verified.as_ref().filter(|v| v.stamp == *stamp)
    }

    /// Who the file that has this stamp is.
    pub(crate) fn identity(&self, stamp: &Stamp) -> Option<Identity> {
        let known = self.known.filter(|known| known.stamp == *stamp);
        known.map(|known| known.identity)
    }
}

/// The partitions that run what each identity holds.
pub(crate) type RunsOn = BTreeMap<Identity, Vec<String>>;

/// What a partition was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Installed {
    version: u32,
    partition: String,
    identity: Identity,
    at: u64,
}

impl Cache {
    /// What is remembered of an image, and whether what was remembered is damaged.
    pub(crate) fn record(&self, path: &Path) -> (Record, bool) {
        if !self.owns(IMAGES) {
            return (Record::new(path), false);
        }
        let file = self.file(IMAGES, path.as_os_str().as_bytes(), ".json");
        let Ok(text) = durable::read_small(&file, MAX_RECORD) else {
            return (Record::new(path), file.symlink_metadata().is_ok());
        };
        let record = serde_json::from_slice::<Record>(&text).ok();
        let ours =
            |record: &Record| record.version == VERSION && record.path == path.to_string_lossy();
        match record.filter(ours) {
            Some(record) => (record, false),
            None => (Record::new(path), true),
        }
    }

    /// The path whose state has this name, as its record tells it: inside the tree, or none.
    pub(crate) fn path_of(&self, name: &OsStr) -> Option<PathBuf> {
        if !self.owns(IMAGES) {
            return None;
        }
        let mut file = self.state(IMAGES).join(name).into_os_string();
        file.push(".json");
        let text = durable::read_small(Path::new(&file), MAX_RECORD).ok()?;
        let path = PathBuf::from(serde_json::from_slice::<Record>(&text).ok()?.path);
        let inside = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        (inside && key(path.as_os_str().as_bytes()).as_str() == name).then_some(path)
    }

    fn change(&self, path: &Path, change: impl FnOnce(&mut Record)) -> Result<()> {
        let _lock = self.lock()?;
        let (mut record, damaged) = self.record(path);
        let before = record.clone();
        change(&mut record);
        let file = self.file(IMAGES, path.as_os_str().as_bytes(), ".json");
        if record == before && !damaged && file.exists() {
            return Ok(());
        }
        durable::replace(&file, &json(&record, &file)?)
    }

    /// The image was of use just now.
    ///
    /// # Errors
    /// [`crate::StoreError::ReadOnly`], [`crate::StoreError::NoSpace`], or what the system says.
    pub fn mark_used(&self, path: &Path, now: SystemTime) -> Result<()> {
        self.change(path, |record| {
            record.used = Some(record.used.unwrap_or(0).max(seconds(now)));
        })
    }

    /// The image was checked; `identity` if it could be told.
    ///
    /// # Errors
    /// As [`Cache::mark_used`].
    pub fn mark_verified(
        &self,
        path: &Path,
        verified: Verified,
        identity: Option<Identity>,
    ) -> Result<()> {
        let stamp = verified.stamp;
        self.change(path, |record| {
            record.verified = Some(verified);
            // A damaged index does not tell who the image is: what was known stays.
            if let Some(identity) = identity {
                record.known = Some(Known { identity, stamp });
            }
        })
    }

    /// Who the image is, as far as its last look tells.
    ///
    /// # Errors
    /// What the system says of the file.
    pub fn known_identity(&self, path: &Path) -> Result<Option<Identity>> {
        let stamp = Stamp::of(&self.root.join(path))?;
        Ok(self.record(path).0.identity(&stamp))
    }

    /// The frames of an image that its last check found damaged, as far as they can be told; `None` if it found
    /// nothing wrong, or another file.
    ///
    /// # Errors
    /// What the system says of the file.
    pub fn known_damage(&self, path: &Path) -> Result<Option<Vec<u64>>> {
        let stamp = Stamp::of(&self.root.join(path))?;
        let record = self.record(path).0;
        let verified = record.verified(&stamp).filter(|verified| !verified.sound);
        Ok(verified.map(|verified| verified.bad.clone()))
    }

    /// The image is gone: nothing is known of it any more.
    pub(crate) fn forget(&self, path: &Path) -> Result<()> {
        durable::remove_file(&self.file(IMAGES, path.as_os_str().as_bytes(), ".json"))
    }

    /// The image stays, whatever room is needed, until it is unpinned. Whether that is new.
    ///
    /// # Errors
    /// As [`Cache::mark_used`].
    pub fn pin(&self, path: &Path) -> Result<bool> {
        let _lock = self.lock()?;
        let file = self.pin_file(path);
        let new = file.symlink_metadata().is_err();
        if new {
            let mut line = path.as_os_str().as_bytes().to_vec();
            line.push(b'\n');
            durable::replace(&file, &line)?;
        }
        Ok(new)
    }

    /// The image may go again. Whether it was pinned.
    ///
    /// # Errors
    /// As [`Cache::mark_used`].
    pub fn unpin(&self, path: &Path) -> Result<bool> {
        let _lock = self.lock()?;
        let file = self.pin_file(path);
        if file.symlink_metadata().is_err() {
            return Ok(false);
        }
        durable::remove_file(&file)?;
        durable::sync_dir(&self.state(PINS))?;
        Ok(true)
    }

    /// Refuses an image that is pinned: it stays until it is unpinned.
    ///
    /// # Errors
    /// [`StoreError::Stays`].
    pub fn refuse_pinned(&self, path: &Path) -> Result<()> {
        if !self.is_pinned(path) {
            return Ok(());
        }
        Err(StoreError::Stays {
            image: path.to_owned(),
            why: Stays::Pinned,
        })
    }

    pub(crate) fn is_pinned(&self, path: &Path) -> bool {
        self.owns(PINS) && self.pin_file(path).symlink_metadata().is_ok()
    }

    fn pin_file(&self, path: &Path) -> PathBuf {
        self.file(PINS, path.as_os_str().as_bytes(), ".pin")
    }

    /// This partition of the machine runs what the image of this identity holds.
    ///
    /// # Errors
    /// As [`Cache::mark_used`].
    pub fn mark_installed(
        &self,
        partition: &str,
        identity: Identity,
        now: SystemTime,
    ) -> Result<()> {
        let _lock = self.lock()?;
        let file = self.file(INSTALLED, partition.as_bytes(), ".json");
        let installed = Installed {
            version: VERSION,
            partition: partition.to_owned(),
            identity,
            at: seconds(now),
        };
        durable::replace(&file, &json(&installed, &file)?)
    }

    /// The partition runs something else now, which is not known.
    ///
    /// # Errors
    /// As [`Cache::mark_used`].
    pub fn forget_installed(&self, partition: &str) -> Result<()> {
        let file = self.file(INSTALLED, partition.as_bytes(), ".json");
        if file.symlink_metadata().is_err() {
            return Ok(());
        }
        let _lock = self.lock()?;
        durable::remove_file(&file)?;
        durable::sync_dir(&self.state(INSTALLED))
    }

    /// The partitions that run each identity, and what of the state is damaged.
    pub(crate) fn installed(&self) -> Result<(RunsOn, Vec<PathBuf>)> {
        let dir = self.state(INSTALLED);
        let (mut found, mut damaged) = (RunsOn::new(), Vec::new());
        for name in self.names_in(INSTALLED)? {
            let file = dir.join(&name);
            let text = durable::read_small(&file, MAX_RECORD).unwrap_or_default();
            // What a crash left of a file that was being written counts as nothing.
            if !name.as_bytes().ends_with(b".json") {
                continue;
            }
            match serde_json::from_slice::<Installed>(&text) {
                Ok(one) if one.version == VERSION => {
                    found.entry(one.identity).or_default().push(one.partition);
                }
                _ => damaged.push(file),
            }
        }
        for partitions in found.values_mut() {
            partitions.sort();
        }
        Ok((found, damaged))
    }
}

/// Seconds since 1970.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn seconds_of(stamp: i64) -> u64 {
    u64::try_from(stamp).unwrap_or(0)
}

/// A time that a file of the state tells; nonsense becomes 1970.
pub(crate) fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}
