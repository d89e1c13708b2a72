//! Names of versions in the trash: `<UTC yyyymmddThhmmssZ>-<first 12 hex digits of the identity>`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use azud_core::name::ImageFile;
use serde::{Deserialize, Serialize};

use crate::durable;
use crate::error::{Result, StoreError};
use crate::identity::Identity;

/// The directory of former versions, beside the images.
pub(crate) const TRASH: &str = ".azud-trash";
/// What a version is called while it is being removed for good.
pub(crate) const GONE: &str = ".gone-";
pub(crate) const META: &str = "meta.json";

const UNKNOWN: &str = "unknown";
/// 9999-12-31T23:59:59Z: the last second that the form can say.
const LAST_SECOND: u64 = 253_402_300_799;

/// A version in the trash, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Slot {
    seconds: u64,
    id: String,
}

impl Slot {
    /// A name for a version moved away at `now`, later than all that are there: the order of the
    /// names is the order of events, even when the clock went back.
    pub(crate) fn after(existing: &[Slot], now: SystemTime, identity: Option<&Identity>) -> Self {
        let newest = existing
            .iter()
            .map(|slot| slot.seconds + 1)
            .max()
            .unwrap_or(0);
        let seconds = seconds(now).max(newest).min(LAST_SECOND);
        Self {
            seconds,
            id: identity.map_or_else(|| UNKNOWN.to_owned(), Identity::short),
        }
    }

    /// Understands a name; `None` if it is not one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (stamp, id) = text.split_once('-')?;
        let hex = id.len() == 12 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let slot = Self {
            seconds: from_stamp(stamp)?,
            id: (hex || id == UNKNOWN).then(|| id.to_owned())?,
        };
        // No day 31 of February: a name means one moment, and a moment has one name.
        (slot.to_string() == text).then_some(slot)
    }

    pub(crate) fn moved_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.seconds)
    }

    /// The time so many seconds after the beginning of 1970, if a name can say it.
    pub(crate) fn time(seconds: u64) -> Option<SystemTime> {
        let known = seconds <= LAST_SECOND;
        known.then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", stamp(self.seconds), self.id)
    }
}

impl From<Slot> for String {
    fn from(slot: Slot) -> Self {
        slot.to_string()
    }
}

impl TryFrom<String> for Slot {
    type Error = &'static str;

    fn try_from(text: String) -> std::result::Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not the name of a version")
    }
}

/// What is kept beside a version in the trash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// Who it is, if that could be told.
    pub(crate) identity: Option<Identity>,
    /// When it went to the trash, in seconds since 1970. Its name tells the order: of several in a second, and of
    /// those after a clock that was ahead, it says a later time.
    pub(crate) moved_at: u64,
    /// Size of the image in bytes.
    pub(crate) size: u64,
}

/// The former versions of an image.
pub(crate) fn shelf(image: &ImageFile) -> PathBuf {
    image.dir().join(TRASH).join(image.name())
}

/// The images that have a shelf in the trash of a directory. Other names, and links, are left alone.
///
/// # Errors
/// [`StoreError::NotAFile`] if the trash is no directory, or what the system says.
pub(crate) fn shelved(dir: &Path) -> Result<Vec<ImageFile>> {
    let names = durable::own_names(&dir.join(TRASH))?;
    let images = names
        .iter()
        .filter_map(|name| ImageFile::in_dir(dir, name.to_str()?).ok());
    Ok(images
        .filter(|image| durable::is_dir(&shelf(image)))
        .collect())
}

/// The former versions of an image, oldest first. Other names, and links, are left alone.
///
/// # Errors
/// [`StoreError::NotAFile`] if the trash or the shelf is no directory, or what the system says.
pub(crate) fn slots(image: &ImageFile) -> Result<Vec<Slot>> {
    let trash = image.dir().join(TRASH);
    // A shelf in a trash that leads elsewhere would be found there.
    if durable::own_names(&trash)?.is_empty() {
        return Ok(Vec::new());
    }
    let shelf = shelf(image);
    let mut slots: Vec<Slot> = durable::own_names(&shelf)?
        .iter()
        .filter_map(|name| name.to_str().and_then(Slot::parse))
        .filter(|slot| durable::is_dir(&shelf.join(slot.to_string())))
        .collect();
    slots.sort();
    Ok(slots)
}

/// Reads `meta.json`; a missing or damaged one is no obstacle, it only leaves the identity unknown.
pub(crate) fn meta(slot_dir: &Path) -> Option<Meta> {
    let content = durable::read_small(&slot_dir.join(META), 64 * 1024).ok()?;
    serde_json::from_slice(&content).ok()
}

/// As [`serde_json`] writes it, which cannot fail for the types here.
pub(crate) fn json<T: Serialize>(value: &T, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| StoreError::corrupt(path, error.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
        .min(LAST_SECOND)
}

const DAYS_PER_400_YEARS: u64 = 146_097;

/// Days before a year begins, counted from year 1 of a calendar that always was Gregorian.
fn days_before(year: u64) -> u64 {
    let past = year - 1;
    past * 365 + past / 4 - past / 100 + past / 400
}

fn month_lengths(year: u64) -> [u64; 12] {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    [
        31,
        if leap { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ]
}

fn stamp(seconds: u64) -> String {
    let days = seconds / 86_400 + days_before(1970);
    let mut year = days * 400 / DAYS_PER_400_YEARS + 1;
    while days_before(year) > days {
        year -= 1;
    }
    while days_before(year + 1) <= days {
        year += 1;
    }
    let mut day = days - days_before(year);
    let mut month = 1;
    for length in month_lengths(year) {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!(
        "{year:04}{month:02}{:02}T{hour:02}{minute:02}{second:02}Z",
        day + 1
    )
}

/// A time for people: RFC 3339 in UTC, to the second.
pub(crate) fn rfc3339(seconds: u64) -> String {
    let stamp = stamp(seconds.min(LAST_SECOND));
    let (date, time) = (&stamp[..8], &stamp[9..15]);
    format!(
        "{}-{}-{}T{}:{}:{}Z",
        &date[..4],
        &date[4..6],
        &date[6..],
        &time[..2],
        &time[2..4],
        &time[4..]
    )
}

fn from_stamp(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<u64> {
        bytes[from..to].iter().try_fold(0, |n, b| {
            b.is_ascii_digit().then(|| n * 10 + u64::from(b - b'0'))
        })
    };
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    if year < 1970
        || !(1..=12).contains(&month)
        || day == 0
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let before: u64 = month_lengths(year)
        .iter()
        .take(usize::try_from(month - 1).ok()?)
        .sum();
    let days = days_before(year) - days_before(1970) + before + day - 1;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::{Identity, LAST_SECOND, Slot, from_stamp, stamp};
    use std::time::{Duration, SystemTime};

    #[test]
    fn stamps_are_dates() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_400, "20000229T000000Z"),
            (1_795_392_000 + 3661, "20261123T010101Z"),
            (4_107_542_399, "21000228T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
            (LAST_SECOND, "99991231T235959Z"),
        ] {
            assert_eq!(stamp(seconds), text);
            assert_eq!(from_stamp(text), Some(seconds));
        }
        for seconds in (0..LAST_SECOND).step_by(86_400 * 97 + 12_345) {
            assert_eq!(from_stamp(&stamp(seconds)), Some(seconds));
        }
    }

    #[test]
    fn only_names_of_versions_are_names_of_versions() {
        let good = "20261123T010101Z-0123456789ab";
        assert_eq!(Slot::parse(good).unwrap().to_string(), good);
        assert!(Slot::parse("20261123T010101Z-unknown").is_some());
        for bad in [
            "",
            "..",
            "20260231T000000Z-0123456789ab",
            "20261123T010101Z-../../../etc",
            "20261123T010101Z-0123456789AB",
            "é0261123T01010Z-unknown",
        ] {
            assert_eq!(Slot::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn order_survives_a_clock_that_goes_back() {
        let at = |s| SystemTime::UNIX_EPOCH + Duration::from_secs(s);
        let first = Slot::after(&[], at(1000), Some(&Identity([0xff; 32])));
        let second = Slot::after(std::slice::from_ref(&first), at(10), None);
        assert!(second > first);
        assert_eq!(second.moved_at(), at(1001));
        assert!(
            Slot::after(&[], SystemTime::UNIX_EPOCH - Duration::from_secs(9), None).seconds == 0
        );
    }
}
