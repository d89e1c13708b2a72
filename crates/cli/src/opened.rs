//! Images as commands name them: found, opened, told apart.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use azud_core::code::Code;
use azud_core::name::{ImageFile, folder_of};
use azud_core::reference::ImageRef;
use azud_image::sniff::sniff;
use azud_image::{Indexed, Native};
use azud_store::recover::finish_for_reading;
use azud_store::side::KEPT;
use azud_store::{Identity, Stored};

use crate::commands::Context;
use crate::failure::Failure;
use crate::place;

/// A native image, opened; its index is verified.
#[derive(Debug)]
pub struct Opened {
    /// Its bytes.
    pub stored: Stored,
    /// Its index.
    pub native: Native,
}

impl Opened {
    /// Opens the image that a user names: one in a repository, or the very file, else the name with `.img`.
    ///
    /// # Errors
    /// `image/bad-name`, `image/not-found`, what the place says, and what reading the image says.
    pub fn named(context: &Context, path: &Path) -> Result<Self, Failure> {
        resolve(context, path, Self::at)
    }

    /// Opens the image in a file.
    ///
    /// # Errors
    /// As [`Opened::named`].
    pub fn at(path: &Path) -> Result<Self, Failure> {
        let stored = Stored::open(path)?;
        let opened = Native::open(&stored);
        let native =
            opened.map_err(|error| Failure::from(error).about(&path.display().to_string()))?;
        Ok(Self { stored, native })
    }

    /// Who the image is.
    pub fn identity(&self) -> Identity {
        Identity(*self.native.identity())
    }
}

/// Opens the image that a user names and reads its index alone: its frames may be damaged.
///
/// # Errors
/// As [`Opened::named`].
pub fn index_of(context: &Context, path: &Path) -> Result<(Stored, Indexed), Failure> {
    resolve(context, path, |path| {
        let stored = Stored::open(path)?;
        let opened = Indexed::open(&stored);
        let indexed =
            opened.map_err(|error| Failure::from(error).about(&path.display().to_string()))?;
        Ok((stored, indexed))
    })
}

/// Whether a name is that of a file as it is, rather than of one with `.img`. A pipe or a device is meant as well:
/// whoever opens it refuses it.
pub(crate) fn is_itself(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| !meta.is_dir())
}

/// What a name leads to, by way of `open`.
pub(crate) fn resolve<T>(
    context: &Context,
    path: &Path,
    open: impl Fn(&Path) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let open = |path: &Path| {
        finish_for_reading(folder_of(path), now());
        open(path)
    };
    if let ImageRef::Placed { .. } = ImageRef::parse(path)? {
        return open(&place::existing(context, path)?);
    }
    place::answers(path)?;
    if !is_itself(path) {
        return open(&ImageFile::parse(path)?.path());
    }
    // A volume may lie beside the image that was made of it: `vol` and `vol.img`.
    match (open(path), ImageFile::parse(path)) {
        (Err(_), Ok(image)) if image.path() != path && image.path().is_file() => {
            open(&image.path())
        }
        (opened, _) => opened,
    }
}

/// The identity of a file, if it is a native image.
pub fn identify(path: &Path) -> Option<Identity> {
    let stored = Stored::open(path).ok()?;
    Some(Identity(*Native::open(&stored).ok()?.identity()))
}

/// Refuses to write over an image, whoever made it, or over what lies beside one: it would be lost without passing
/// through the trash.
///
/// # Errors
/// `disk/target-is-image`.
pub fn spare_images(path: &Path) -> Result<(), Failure> {
    if path.is_file() && (is_packed(path) || is_beside(path)) {
        return Err(Failure::new(
            Code::TargetIsImage,
            path.display().to_string(),
        ));
    }
    Ok(())
}

/// Whether a file is the image of a program. A disk, or a volume, as it lies is none: targets are such.
fn is_packed(path: &Path) -> bool {
    let found = Stored::open(path).ok().map(|stored| sniff(&stored));
    matches!(found, Some(Ok(found)) if found.is_packed())
}

/// Whether a file is one of those that lie beside an image that is there.
fn is_beside(path: &Path) -> bool {
    let whole = path.as_os_str().as_encoded_bytes();
    let of = |ending: &&str| {
        let image = whole.strip_suffix(ending.as_bytes())?;
        Some(Path::new(OsStr::from_bytes(image)).is_file())
    };
    KEPT.iter().filter_map(of).any(|image| image)
}

/// Now, for the store, which reads no clock.
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// The time so many seconds after the beginning of 1970; that beginning where no clock reaches so far.
pub(crate) fn moment(seconds: u64) -> SystemTime {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    time.unwrap_or(UNIX_EPOCH)
}

/// Seconds since 1970; a time before that is none.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0, |time| time.as_secs())
}

/// Now, as images record it: RFC 3339 in UTC, to the millisecond, so that no two captures are the same.
pub fn timestamp() -> String {
    let stamp = jiff::Timestamp::now();
    stamp.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A time as RFC 3339 in UTC, to the second.
pub fn rfc3339(time: SystemTime) -> String {
    let stamp = jiff::Timestamp::try_from(time).unwrap_or_default();
    stamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The name of this computer.
pub fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        "localhost".to_owned()
    } else {
        name.to_owned()
    }
}
