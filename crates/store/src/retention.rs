//! How long former versions stay: by age and by space, oldest first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, SystemTime};

use azud_core::name::ImageFile;
use azud_core::upload::Going;

use crate::durable;
use crate::error::{Result, StoreError};
use crate::plan::sweep_empty;
use crate::recover::Settled;
use crate::side::KEPT;
use crate::slot::{GONE, Slot, shelf, shelved, slots};
use crate::trash::former;

/// The rules for the trash of one directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Older versions go.
    pub max_age: Duration,
    /// Beyond this many bytes in the whole trash of a directory, the oldest go.
    pub max_bytes: Option<u64>,
    /// So many former versions of each image stay whatever their age and size. An image that was
    /// removed altogether has no such claim: it goes when it is old.
    pub keep: usize,
}

impl Default for Retention {
    /// 30 days, no bound on space, at least one version.
    fn default() -> Self {
        Self {
            max_age: Duration::from_hours(30 * 24),
            max_bytes: None,
            keep: 1,
        }
    }
}

/// A version in the trash of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trashed {
    /// The image's name.
    pub image: String,
    /// The version's name.
    pub slot: String,
    /// When it went to the trash by its name there: the order of events.
    pub moved_at: SystemTime,
    /// The same by the clock of that moment, which may have been wrong.
    pub replaced: SystemTime,
    /// Bytes of the image and its side files.
    pub bytes: u64,
    /// Whether the image has a current version too.
    pub has_current: bool,
}

impl From<&Purge> for Going {
    fn from(purge: &Purge) -> Self {
        let version = &purge.version;
        let replaced = version.moved_at.min(version.replaced);
        let replaced = replaced.duration_since(SystemTime::UNIX_EPOCH);
        Self {
            image: version.image.clone(),
            version: version.slot.clone(),
            bytes: version.bytes,
            replaced: replaced.unwrap_or_default().as_secs(),
        }
    }
}

/// Why a version goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is older than allowed.
    Age,
    /// The trash is larger than allowed.
    Space,
}

/// A version that is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purge {
    /// The version.
    pub version: Trashed,
    /// Why.
    pub why: Why,
}

/// What a purge gave back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Freed {
    /// How many versions are gone.
    pub versions: usize,
    /// How many bytes they had.
    pub bytes: u64,
}

impl Retention {
    /// What is to go, oldest first. Nothing is touched.
    pub fn plan(&self, versions: &[Trashed], now: SystemTime) -> Vec<Purge> {
        let order = oldest_first(versions, now);
        let safe = self.safe(&order);
        let mut bytes = versions
            .iter()
            .fold(0_u64, |sum, version| sum.saturating_add(version.bytes));
        let mut purges = Vec::new();
        for (since, version) in order {
            if safe.contains(&(version.image.as_str(), version.slot.as_str())) {
                continue;
            }
            let age = now.duration_since(since);
            // Of no age at all is every version, also one that has come just now.
            let old = self.max_age.is_zero() || age.is_ok_and(|age| age > self.max_age);
            let too_much = self.max_bytes.is_some_and(|max| bytes > max);
            let why = match (old, too_much) {
                (true, _) => Why::Age,
                (false, true) => Why::Space,
                (false, false) => continue,
            };
            bytes = bytes.saturating_sub(version.bytes);
            purges.push(Purge {
                version: version.clone(),
                why,
            });
        }
        purges
    }

    /// The newest versions of each image that has a current one.
    fn safe<'a>(&self, oldest_first: &[(SystemTime, &'a Trashed)]) -> BTreeSet<(&'a str, &'a str)> {
        let mut kept: BTreeMap<&str, usize> = BTreeMap::new();
        let mut safe = BTreeSet::new();
        let newest_first = oldest_first.iter().rev().map(|(_, version)| *version);
        for version in newest_first.filter(|version| version.has_current) {
            let count = kept.entry(&version.image).or_default();
            if *count < self.keep {
                *count += 1;
                safe.insert((version.image.as_str(), version.slot.as_str()));
            }
        }
        safe
    }
}

impl Trashed {
    /// Since when it is there: as its name says, unless that is ahead of the clock, for the name is later than all
    /// that were there.
    fn since(&self, now: SystemTime) -> SystemTime {
        if self.moved_at > now {
            self.replaced.min(now)
        } else {
            self.moved_at
        }
    }
}

/// The versions, the oldest first, and since when each is there. What a clock that was ahead put there came before the
/// next version of the same image, whatever it says.
fn oldest_first(versions: &[Trashed], now: SystemTime) -> Vec<(SystemTime, &Trashed)> {
    let mut order: Vec<&Trashed> = versions.iter().collect();
    order.sort_by(|a, b| (a.moved_at, &a.image, &a.slot).cmp(&(b.moved_at, &b.image, &b.slot)));
    let mut next: BTreeMap<&str, SystemTime> = BTreeMap::new();
    let mut order: Vec<(SystemTime, &Trashed)> = order
        .into_iter()
        .rev()
        .map(|version| {
            let bound = next.entry(&version.image).or_insert(now);
            *bound = version.since(now).min(*bound);
            (*bound, version)
        })
        .collect();
    order.reverse();
    // Versions of one image stay in the order of events.
    order.sort_by_key(|(since, _)| *since);
    order
}

/// Everything in the trash of a directory.
///
/// # Errors
/// What the system says.
pub fn trashed(dir: &Path) -> Result<Vec<Trashed>> {
    let mut all = Vec::new();
    for image in shelved(dir)? {
        let has_current = durable::file_size(&image.path())?.is_some();
        for version in former(&image)? {
            let (Some(slot), Some(moved_at)) = (version.slot, version.moved_at) else {
                continue;
            };
            let home = shelf(&image).join(&slot);
            let mut bytes = 0_u64;
            for name in durable::names(&home)? {
                bytes = bytes.saturating_add(durable::file_size(&home.join(name))?.unwrap_or(0));
            }
            all.push(Trashed {
                image: image.name().to_owned(),
                slot,
                moved_at,
                replaced: version.replaced.unwrap_or(moved_at),
                bytes,
                has_current,
            });
        }
    }
    Ok(all)
}

/// What is to go from the trash of an image's directory: of the image's own versions by the `own` rules, of others
/// by the usual ones. `joins` says that the present version is about to go to the trash: it is the newest there
/// and counts.
///
/// # Errors
/// What the system says.
pub fn due(image: &ImageFile, own: &Retention, joins: bool, now: SystemTime) -> Result<Vec<Purge>> {
    let is_own = |version: &Trashed| version.image == image.name();
    let (mut versions, others): (Vec<_>, Vec<_>) =
        trashed(image.dir())?.into_iter().partition(is_own);
    if joins {
        join(image, &mut versions, now)?;
    }
    let mut due = own.plan(&versions, now);
    due.retain(|purge| purge.version.slot != COMING);
    due.extend(Retention::default().plan(&others, now));
    Ok(due)
}

/// As [`due`], of all images of the directory that `sees` knows, by the same rules.
///
/// # Errors
/// What the system says.
pub fn due_of_all(
    image: &ImageFile,
    rules: &Retention,
    sees: impl Fn(&str) -> bool,
    now: SystemTime,
) -> Result<Vec<Purge>> {
    let mut versions = trashed(image.dir())?;
    versions.retain(|version| sees(&version.image));
    join(image, &mut versions, now)?;
    let mut due = rules.plan(&versions, now);
    due.retain(|purge| purge.version.slot != COMING);
    Ok(due)
}

/// Adds the present version as the newest of its image, of which a new one is about to stand there.
fn join(image: &ImageFile, versions: &mut Vec<Trashed>, now: SystemTime) -> Result<()> {
    let own = versions.iter_mut();
    for version in own.filter(|version| version.image == image.name()) {
        version.has_current = true;
    }
    let Some(mut coming) = coming(image)? else {
        return Ok(());
    };
    let own = versions.iter().filter(|one| one.image == image.name());
    let newest = own.map(|version| version.moved_at).max();
    coming.moved_at = newest.map_or(now, |newest| now.max(newest + Duration::from_secs(1)));
    coming.replaced = now;
    versions.push(coming);
    Ok(())
}

/// A version that has no place in the trash yet.
const COMING: &str = "";

/// The present version with its side files, as it will lie in the trash.
fn coming(image: &ImageFile) -> Result<Option<Trashed>> {
    let Some(mut bytes) = durable::file_size(&image.path())? else {
        return Ok(None);
    };
    for ending in KEPT {
        let size = durable::file_size(&image.beside(ending))?;
        bytes = bytes.saturating_add(size.unwrap_or(0));
    }
    Ok(Some(Trashed {
        image: image.name().to_owned(),
        slot: COMING.to_owned(),
        moved_at: SystemTime::UNIX_EPOCH,
        replaced: SystemTime::UNIX_EPOCH,
        bytes,
        has_current: true,
    }))
}

/// Removes versions for good. Those that are gone, or came back meanwhile, are passed over, and so are
/// images with a change that could not be finished.
///
/// # Errors
/// [`StoreError::Locked`], or what the system says; what went before is gone then.
pub fn apply(dir: &Path, purges: &[Purge], now: SystemTime) -> Result<Freed> {
    let mut freed = Freed::default();
    if purges.is_empty() {
        return Ok(freed);
    }
    let (_settled, pending) = Settled::enter_any(dir, now)?;
    for Purge { version, .. } in purges {
        if pending.contains(&version.image) {
            continue;
        }
        let image = ImageFile::in_dir(dir, &version.image)?;
        if !remove(&image, &version.slot)? {
            continue;
        }
        freed.versions += 1;
        freed.bytes += version.bytes;
    }
    Ok(freed)
}

/// Removes one version for good; `false` if it is gone.
///
/// # Errors
/// [`StoreError::Pending`] for an image with a change that could not be finished; as [`apply`].
pub(crate) fn purge(image: &ImageFile, slot: &str, now: SystemTime) -> Result<bool> {
    let _settled = Settled::enter_assembling(image.dir(), image.name(), now)?;
    remove(image, slot)
}

/// The caller holds the lock of the directory.
fn remove(image: &ImageFile, slot: &str) -> Result<bool> {
    let unknown = || {
        let reason = format!("{slot:?} is not the name of a version");
        StoreError::corrupt(image.dir(), reason)
    };
    let slot = Slot::parse(slot).ok_or_else(unknown)?;
    if !slots(image)?.contains(&slot) {
        return Ok(false);
    }
    let shelf = shelf(image);
    let home = shelf.join(slot.to_string());
    // Half a version must not be taken for one: it loses its name first.
    let gone = shelf.join(format!("{GONE}{slot}"));
    durable::rename(&home, &gone)?;
    durable::sync_dir(&shelf)?;
    durable::remove_flat_dir(&gone)?;
    sweep_empty(image)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::{Retention, Trashed, Why};
    use std::time::{Duration, SystemTime};

    const DAY: u64 = 24 * 3600;

    fn at(day: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(day * DAY)
    }

    fn version(image: &str, day: u64, bytes: u64, has_current: bool) -> Trashed {
        Trashed {
            image: image.into(),
            slot: format!("day{day}"),
            moved_at: at(day),
            replaced: at(day),
            bytes,
            has_current,
        }
    }

    /// One that went there at a day, by the clock, under the name of another.
    fn named(image: &str, name: u64, day: u64) -> Trashed {
        let replaced = at(day);
        Trashed {
            replaced,
            ..version(image, name, 10, true)
        }
    }

    fn plan(rules: Retention, versions: &[Trashed], day: u64) -> Vec<(String, String, Why)> {
        let name = |p: super::Purge| (p.version.image, p.version.slot, p.why);
        rules
            .plan(versions, at(day))
            .into_iter()
            .map(name)
            .collect()
    }

    #[test]
    fn age_spares_the_last_former_version() {
        let all = [
            version("a", 50, 1, true),
            version("a", 10, 1, true),
            version("b", 20, 1, true),
        ];
        let gone = plan(Retention::default(), &all, 100);
        assert_eq!(gone, [("a".into(), "day10".into(), Why::Age)]);
        assert!(
            plan(Retention::default(), &all, 40).is_empty(),
            "30 days are not over"
        );
        assert!(
            plan(Retention::default(), &all, 1).is_empty(),
            "a clock gone back purges nothing"
        );
        let none = Retention {
            max_age: Duration::ZERO,
            ..Retention::default()
        };
        let gone = plan(none, &all, 1);
        assert_eq!(gone, [("a".into(), "day10".into(), Why::Age)]);
    }

    /// On day 20 the clock says day 9000; then it is right again.
    #[test]
    fn what_a_clock_that_was_ahead_put_there_is_as_old_as_it_is() {
        let all = [
            named("a", 10, 10),
            named("a", 9000, 9000),
            named("a", 9001, 21),
            named("a", 9002, 70),
            named("b", 9000, 9000),
        ];
        let slots = |day| {
            let gone = plan(Retention::default(), &all, day).into_iter();
            gone.map(|(_, slot, _)| slot).collect::<Vec<_>>()
        };
        assert_eq!(slots(22), [""; 0]);
        assert_eq!(slots(41), ["day10"]);
        assert_eq!(slots(75), ["day10", "day9000", "day9001"]);
        // By space, too, none goes before one that came earlier.
        let tight = Retention {
            max_bytes: Some(30),
            ..Retention::default()
        };
        let gone = plan(tight, &all, 22).into_iter().map(|(_, slot, _)| slot);
        assert_eq!(gone.collect::<Vec<_>>(), ["day10", "day9000"]);
    }

    #[test]
    fn removed_images_go_altogether() {
        let all = [version("a", 10, 1, false), version("a", 20, 1, false)];
        assert_eq!(plan(Retention::default(), &all, 51).len(), 2);
    }

    #[test]
    fn space_takes_the_oldest_first_and_no_more_than_needed() {
        let all = [
            version("b", 4, 40, true),
            version("a", 2, 20, true),
            version("a", 1, 10, true),
            version("a", 3, 30, true),
        ];
        let rules = |max| Retention {
            max_bytes: Some(max),
            ..Retention::default()
        };
        assert!(plan(rules(100), &all, 5).is_empty());
        assert_eq!(
            plan(rules(95), &all, 5),
            [("a".into(), "day1".into(), Why::Space)]
        );
        let gone: Vec<String> = plan(rules(0), &all, 5)
            .into_iter()
            .map(|(_, slot, _)| slot)
            .collect();
        assert_eq!(
            gone,
            ["day1", "day2"],
            "one former version of each image stays"
        );
    }
}
