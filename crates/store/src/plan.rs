//! A committed change: written down whole before the first name is touched, carried out in steps of
//! which each may be repeated.
//!
//! The order is what makes it safe: the former version reaches the trash, and `meta.json` says that it
//! is whole there; then side files come to their place, the image last; then the mark goes. Each stage
//! is on the medium before the next begins. All of it happens under the directory's lock, and whoever
//! takes the lock finishes what is committed before anything else: a plan always finds the directory
//! that it was made for.

mod retire;

use std::path::Path;
use std::time::SystemTime;

use azud_core::name::ImageFile;
use serde::{Deserialize, Serialize};

use crate::durable;
use crate::error::{Result, StoreError};
use crate::identity::Identity;
use crate::side::KEPT;
use crate::slot::{META, Slot, json, shelf};
use crate::{room, stage};
use retire::Retire;

pub(crate) use retire::{sweep, sweep_empty};

/// The mark of a committed change: the plan itself.
pub(crate) const READY: &str = "ready";

/// What is put aside in a stage; no image has such a name.
const ASIDE: &str = ".aside";

const VERSION: u32 = 1;
const MAX_PLAN: u64 = 64 * 1024;

/// What is to become of an image and its side files. Files are named by their ending; the image's is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    version: u32,
    name: String,
    retire: Option<Retire>,
    /// Side files of the former version that the new one has none of.
    stale: Vec<String>,
    place: Option<Place>,
    /// Whether only side files come, to an image that stays as it is.
    #[serde(default)]
    beside: bool,
}

/// Another version comes to its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// From the trash, or from the stage.
    pub(crate) from: Option<Slot>,
    /// The image is the last one; it is not among them when only side files come to it.
    pub(crate) files: Vec<Placed>,
}

/// A file that comes to its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Placed {
    pub(crate) ending: String,
    pub(crate) size: u64,
}

/// The current version, as the caller knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Current {
    pub(crate) size: u64,
    pub(crate) identity: Option<Identity>,
}

impl Plan {
    /// Drafts a plan under the directory's lock: `current` (if any) to the trash, `place` (if any) into its place.
    pub(crate) fn draft(
        image: &ImageFile,
        current: Option<Current>,
        place: Option<Place>,
        now: SystemTime,
    ) -> Result<Self> {
        let present = present(image)?;
        let replaced = |ending: &String| {
            place
                .iter()
                .flat_map(|p| &p.files)
                .any(|f| f.ending == *ending)
        };
        let retire = match current {
            Some(current) => Some(Retire::draft(
                image,
                &current,
                (&present, place.is_some()),
                now,
            )?),
            None => None,
        };
        let stale = if retire.as_ref().is_some_and(|r| !r.stays) {
            Vec::new()
        } else {
            present
                .into_iter()
                .filter(|ending| !ending.is_empty() && !replaced(ending))
                .collect()
        };
        Ok(Self {
            version: VERSION,
            name: image.name().to_owned(),
            retire,
            stale,
            place,
            beside: false,
        })
    }

    /// A plan that puts the same bytes in the place of what is there: nothing to keep, nothing stale.
    pub(crate) fn refresh(image: &ImageFile, place: Place) -> Self {
        let name = image.name().to_owned();
        Self {
            version: VERSION,
            name,
            retire: None,
            stale: Vec::new(),
            place: Some(place),
            beside: false,
        }
    }

    /// A plan that puts side files beside an image that stays as it is.
    pub(crate) fn accompany(image: &ImageFile, place: Place) -> Self {
        Self {
            beside: true,
            ..Self::refresh(image, place)
        }
    }

    /// Reads the plan of a stage; `None` if it is not committed.
    pub(crate) fn read(stage: &Path) -> Result<Option<Self>> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let path = stage.join(READY);
        if durable::file_size(&path)?.is_none() {
            return Ok(None);
        }
        let text = durable::read_small(&path, MAX_PLAN)
            .map_err(|error| StoreError::io("read", &path, error))?;
        let head: Head = serde_json::from_slice(&text)
            .map_err(|error| StoreError::corrupt(&path, error.to_string()))?;
        if head.version != VERSION {
            return Err(StoreError::Newer(path));
        }
        let plan: Self = serde_json::from_slice(&text)
            .map_err(|error| StoreError::corrupt(&path, error.to_string()))?;
        plan.check()
            .map_err(|reason| StoreError::corrupt(&path, reason))?;
        Ok(Some(plan))
    }

    /// A plan may name nothing but an image, its side files and its versions.
    fn check(&self) -> std::result::Result<(), &'static str> {
        ImageFile::in_dir("", &self.name).map_err(|error| error.reason)?;
        let known = |ending: &str| ending.is_empty() || KEPT.contains(&ending);
        let placed = self
            .place
            .iter()
            .flat_map(|place| &place.files)
            .map(|file| &file.ending);
        let moved = self.retire.iter().flat_map(|retire| &retire.endings);
        if !placed
            .chain(moved)
            .chain(&self.stale)
            .all(|ending| known(ending))
            || self.stale.iter().any(String::is_empty)
        {
            return Err("it names files that are not the image's");
        }
        match &self.place {
            Some(place) if self.beside && !self.only_adds(place) => {
                Err("more than side files come to an image that stays")
            }
            Some(place) if !self.beside && !place.is_in_order() => {
                Err("the image is not the last file to come")
            }
            _ => Ok(()),
        }
    }

    /// Whether nothing but side files comes, and nothing goes.
    fn only_adds(&self, place: &Place) -> bool {
        let mut files = place.files.iter();
        files.all(|file| !file.ending.is_empty())
            && place.from.is_none()
            && self.retire.is_none()
            && self.stale.is_empty()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where the former version goes.
    pub(crate) fn retired(&self) -> Option<&Slot> {
        self.retire.as_ref().map(|retire| &retire.slot)
    }

    /// Makes the change certain: from here on it is carried out, by us or by whoever comes next.
    ///
    /// What the trash needs is made before, so that a full disk shows now and not half-way.
    pub(crate) fn commit(&self, stage: &Path, dir: &Path) -> Result<()> {
        let image = ImageFile::in_dir(dir, &self.name)?;
        for Placed { ending, .. } in self.place.iter().flat_map(|place| &place.files) {
            let path = image.beside(ending);
            if std::fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
                return Err(StoreError::NotAFile {
                    path,
                    what: "a directory",
                });
            }
        }
        if let Some(retire) = &self.retire
            && let Err(error) = retire.reserve(&image)
        {
            // What stays behind here is cleared away by the next command.
            let _ = sweep(dir);
            return Err(error);
        }
        let (draft, ready) = (stage.join("draft"), stage.join(READY));
        durable::write(&draft, &json(self, &draft)?)?;
        durable::sync_dir(stage)?;
        // The stage's own name must be there after a power cut, or the change would be half done and forgotten.
        durable::sync_dir(dir)?;
        durable::rename(&draft, &ready)?;
        durable::sync_dir(stage)
    }

    /// Carries the change out, from wherever it was left. The caller holds the directory's lock.
    pub(crate) fn roll_forward(&self, stage: &Path, dir: &Path) -> Result<()> {
        let image = ImageFile::in_dir(dir, &self.name)?;
        let source = self.place.as_ref().map(|place| match &place.from {
            Some(slot) => shelf(&image).join(slot.to_string()),
            None => stage.to_owned(),
        });
        let place = self.place.as_ref().zip(source.as_deref());
        if let Some((place, source)) = place {
            place.check_whole(source, &image)?;
        }
        if let Some(retire) = &self.retire {
            retire.carry_out(&image)?;
        }
        for ending in &self.stale {
            durable::remove_file(&image.beside(ending))?;
        }
        if let Some((place, source)) = place {
            place.carry_out(source, &image, stage)?;
        }
        durable::sync_dir(dir)?;
        stage::clear(stage)?;
        // Only now may the lock go: a plan found again after later changes would undo them.
        durable::sync_dir(dir)
    }
}

impl Place {
    /// Whether the image comes last: it makes the others true.
    fn is_in_order(&self) -> bool {
        self.files.last().is_some_and(|file| file.ending.is_empty())
    }

    /// Every file is where it comes from or has arrived: otherwise nothing is touched.
    fn check_whole(&self, source: &Path, image: &ImageFile) -> Result<()> {
        for Placed { ending, size } in &self.files {
            let path = source.join(format!("{}{ending}", image.name()));
            let found = match durable::file_size(&path)? {
                Some(found) => Some(found),
                None => durable::file_size(&image.beside(ending))?,
            };
            if found != Some(*size) {
                return Err(StoreError::corrupt(
                    &path,
                    "a file of a committed change is missing or has another size",
                ));
            }
        }
        Ok(())
    }

    /// What is put aside on the way is cleared away with the stage.
    fn carry_out(&self, source: &Path, image: &ImageFile, stage: &Path) -> Result<()> {
        let puts_aside = room::replaces_nothing_open(image.dir())?;
        for Placed { ending, .. } in &self.files {
            let path = source.join(format!("{}{ending}", image.name()));
            let to = image.beside(ending);
            if durable::file_size(&path)?.is_some() {
                if puts_aside && durable::file_size(&to)?.is_some() {
                    durable::rename(&to, &stage.join(format!("{ASIDE}{ending}")))?;
                }
                durable::rename(&path, &to)?;
            }
        }
        if self.from.is_some() && std::fs::symlink_metadata(source).is_ok() {
            durable::sync_dir(image.dir())?;
            durable::remove_file(&source.join(META))?;
            durable::remove_dir_if_empty(source)?;
            sweep_empty(image)?;
        }
        Ok(())
    }
}

/// The endings of the files that are there: the image first, so that it is the first to leave.
fn present(image: &ImageFile) -> Result<Vec<String>> {
    let mut endings = Vec::new();
    for ending in std::iter::once(&"").chain(KEPT) {
        if durable::file_size(&image.beside(ending))?.is_some() {
            endings.push((*ending).to_owned());
        }
    }
    Ok(endings)
}

#[cfg(test)]
mod tests {
    use super::{Place, Placed, Plan, READY};
    use crate::error::StoreError;
    use azud_core::name::ImageFile;
    use std::fs;
    use std::time::SystemTime;

    fn plan(dir: &std::path::Path) -> Plan {
        let image = ImageFile::in_dir(dir, "a.img").unwrap();
        let files = vec![
            Placed {
                ending: ".sum".into(),
                size: 1,
            },
            Placed {
                ending: String::new(),
                size: 2,
            },
        ];
        Plan::draft(
            &image,
            None,
            Some(Place { from: None, files }),
            SystemTime::UNIX_EPOCH,
        )
        .unwrap()
    }

    #[test]
    fn plans_are_read_back_and_strange_ones_refused() {
        let dir = tempfile::tempdir().unwrap();
        let ready = dir.path().join(READY);
        assert!(Plan::read(dir.path()).unwrap().is_none());
        let good = serde_json::to_string(&plan(dir.path())).unwrap();
        fs::write(&ready, &good).unwrap();
        assert_eq!(Plan::read(dir.path()).unwrap(), Some(plan(dir.path())));
        for (from, to) in [
            ("\"a.img\"", "\"../a.img\""),
            ("\".sum\"", "\"/../../x\""),
            ("\"stale\":[]", "\"stale\":[\"\"]"),
            ("\"ending\":\"\"", "\"ending\":\".info\""),
            ("\"from\":null", "\"from\":\"../x\""),
            ("{", ""),
        ] {
            assert!(good.contains(from), "{from}");
            fs::write(&ready, good.replacen(from, to, 1)).unwrap();
            assert!(
                matches!(Plan::read(dir.path()), Err(StoreError::Corrupt { .. })),
                "{to}"
            );
        }
        // Side files to an image that stays: neither the image nor anything that goes.
        let beside = good.replace("\"beside\":false", "\"beside\":true");
        fs::write(&ready, &beside).unwrap();
        assert!(Plan::read(dir.path()).is_err());
        let beside = beside.replace("\"ending\":\"\"", "\"ending\":\".info\"");
        fs::write(&ready, &beside).unwrap();
        assert!(Plan::read(dir.path()).is_ok());
        let stale = beside.replace("\"stale\":[]", "\"stale\":[\".info\"]");
        fs::write(&ready, stale).unwrap();
        assert!(Plan::read(dir.path()).is_err());
        fs::write(&ready, good.replace("\"version\":1", "\"version\":2")).unwrap();
        assert!(matches!(Plan::read(dir.path()), Err(StoreError::Newer(_))));
    }

    #[test]
    fn a_change_that_lost_a_file_touches_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let stage = dir.path().join("stage");
        fs::create_dir(&stage).unwrap();
        fs::write(stage.join("a.img"), "no").unwrap();
        fs::write(dir.path().join("a.img.sum"), "former").unwrap();
        let error = plan(dir.path())
            .roll_forward(&stage, dir.path())
            .unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert!(stage.join("a.img").exists() && !dir.path().join("a.img").exists());
    }
}
