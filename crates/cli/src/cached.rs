//! The cache of this machine as commands see it: where it is, what is in use, what is installed.

pub(crate) mod stays;

use std::path::{Path, PathBuf};

use azud_core::cache::Policy;
use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_core::reference::{ImageRef, SubPath, Where};
use azud_disk::{DeviceFacts, Kind};
use azud_store::Identity;
use azud_store::cache::{Cache, Lease};

use crate::args::size;
use crate::commands::Context;
use crate::failure::Failure;
use crate::opened::now;
use crate::output::told;
use crate::place::{self, Located};

/// Which cache.
#[derive(Debug, Clone, clap::Args)]
pub struct Place {
    /// Its directory.
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
}

impl Place {
    /// The cache that is meant.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(&self, context: &Context) -> Result<Cache, Failure> {
        let dir = match &self.cache {
            Some(dir) => found(place::folder(context, dir), dir)?,
            None => configured(context)?,
        };
        Ok(Cache::open(&dir)?)
    }
}

/// The cache's directory when no option says it.
fn configured(context: &Context) -> Result<PathBuf, Failure> {
    place::folder(context, Path::new("CACHE:"))
}

/// The directory that the environment names as the cache, if it does; `CACHE:` means it to every command.
pub(crate) fn named_directory(context: &Context) -> Result<Option<PathBuf>, Failure> {
    let dir = of_environment();
    let dir = dir.map(|dir| found(place::folder_there(context, &dir), &dir));
    dir.transpose()
}

/// The directory of a cache that somebody names. It is not made: where it is missing, so is perhaps the disk that it was
/// to lie on.
fn found(folder: Result<PathBuf, Failure>, dir: &Path) -> Result<PathBuf, Failure> {
    let absent = |dir: &Path| {
        let path = dir.display().to_string();
        let text = format!("there is no directory {path}");
        Failure::new(Code::NoCache, text).in_words("cache-dir-absent", [("path", path)])
    };
    match folder {
        Ok(found) if found.is_dir() => Ok(found),
        Ok(found) if found.exists() => Err(no_directory(&found)),
        Ok(found) if found.try_exists().is_ok() => Err(absent(&found)),
        Err(failure) if failure.code == Code::NotFound => Err(absent(dir)),
        found => found,
    }
}

/// Something else than a directory cannot be a cache.
fn no_directory(path: &Path) -> Failure {
    let path = path.display().to_string();
    let text = format!("{path} is no directory");
    Failure::new(Code::NoCache, text).in_words("cache-no-directory", [("path", path)])
}

/// Whether the environment names a cache, other than that of the computer.
pub(crate) fn is_named() -> bool {
    of_environment().is_some()
}

/// The directory that the environment names; none where that is the computer's own cache.
fn of_environment() -> Option<PathBuf> {
    let variable = std::env::var_os("AZUD_CACHE").map(PathBuf::from);
    variable.filter(|dir| !dir.as_os_str().is_empty() && dir != Path::new("CACHE:"))
}

/// Where an image is or would be in the cache: in the directory that is named, else in the one that `CACHE:` means.
///
/// # Errors
/// When there is no cache; `image/bad-name`.
pub(crate) fn within(
    context: &Context,
    dir: Option<&Path>,
    image: &SubPath,
) -> Result<Located, Failure> {
    if let Some(dir) = dir {
        return place::within(&found(place::folder(context, dir), dir)?, image);
    }
    let (place, image) = (Where::Cache, image.clone());
    let name = ImageRef::Placed { place, image }.to_string();
    place::locate(context, Path::new(&name))
}

/// The paths from the root of the images that a user names, with or without `CACHE:`.
///
/// # Errors
/// `image/not-found`, `image/bad-name`.
pub fn locate(cache: &Cache, names: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut found: Vec<PathBuf> = Vec::new();
    for name in names {
        let text = name.to_string_lossy();
        let bare = match text.split_once(':') {
            Some((place, rest)) if place.eq_ignore_ascii_case("cache") => Path::new(rest),
            _ => name,
        };
        let path = cache.locate(bare)?;
        if !found.contains(&path) {
            found.push(path);
        }
    }
    Ok(found)
}

/// How much the cache may take: what was asked for, else what the environment says, else the default.
///
/// # Errors
/// `cli/usage` when the environment says no size; what the system says of the file system.
pub fn policy(cache: &Cache, budget: Option<u64>, floor: Option<u64>) -> Result<Policy, Failure> {
    let variable = |name: &str| match std::env::var(name) {
        Ok(text) if !text.is_empty() => size::size(&text)
            .map(Some)
            .map_err(|_| Failure::new(Code::Usage, format!("{name}={text}"))),
        _ => Ok(None),
    };
    let default = Policy::of_size(cache.space()?.total);
    let budget = budget.map_or_else(|| variable("AZUD_CACHE_BUDGET"), |budget| Ok(Some(budget)));
    let floor = floor.map_or_else(|| variable("AZUD_CACHE_FLOOR"), |floor| Ok(Some(floor)));
    Ok(Policy {
        budget: budget?.or(default.budget),
        floor: floor?.unwrap_or(default.floor),
    })
}

/// An image of a cache in use. That this cannot be noted keeps nobody from restoring.
#[derive(Debug)]
pub(crate) struct InUse {
    place: Option<(Cache, PathBuf)>,
    _lease: Option<Lease>,
}

impl InUse {
    /// Notes that the image in a file is of use, and keeps it from being evicted meanwhile.
    pub(crate) fn begin(context: &Context, file: Option<&Path>) -> Self {
        let place = file.and_then(|file| Cache::around(file).or_else(|| inside(context, file)));
        let lease = place.as_ref().and_then(|(cache, path)| {
            tell(context, cache.mark_used(path, now()));
            tell(context, cache.lease(path, now()))
        });
        Self {
            place,
            _lease: lease,
        }
    }

    /// Keeps an image from being evicted while it is brought up to date; it may not be there yet. What is
    /// noted of its use comes once it is there: see [`InUse::used`].
    pub(crate) fn updating(context: &Context, place: Option<(Cache, PathBuf)>) -> Self {
        let lease = place.as_ref();
        let lease = lease.and_then(|(cache, path)| tell(context, cache.lease(path, now())));
        Self {
            place,
            _lease: lease,
        }
    }

    /// Notes that the image is of use.
    pub(crate) fn used(&self, context: &Context) {
        if let Some((cache, path)) = &self.place {
            tell(context, cache.mark_used(path, now()));
        }
    }

    /// Notes what the device runs from now on, in the image's cache and in that of this machine.
    pub(crate) fn restored(
        &self,
        context: &Context,
        identity: Option<Identity>,
        facts: &DeviceFacts,
        device: &Path,
    ) {
        if facts.kind != Kind::BlockDevice {
            return;
        }
        let partition = partition(facts, device);
        let own = configured(context)
            .ok()
            .and_then(|dir| Cache::open(&dir).ok());
        let ours = self.place.as_ref().map(|(cache, _)| cache);
        let other = own.as_ref().filter(|own| Some(*own) != ours);
        for cache in ours.into_iter().chain(other) {
            let done = match identity {
                // A cache that never held anything needs not know.
                Some(identity) if Some(cache) == ours || cache.has_state() => {
                    cache.mark_installed(&partition, identity, now())
                }
                _ => cache.forget_installed(&partition),
            };
            tell(context, done);
        }
    }
}

/// The cache that an image is in or would be in, and its path from the root of it.
pub(crate) fn holding(context: &Context, image: &ImageFile) -> Option<(Cache, PathBuf)> {
    // Of the way to it, as much as there is.
    let there = image
        .dir()
        .ancestors()
        .find_map(|dir| Some((dir, std::fs::canonicalize(or_here(dir)).ok()?)));
    let (dir, real) = there?;
    let file = real.join(image.dir().strip_prefix(dir).ok()?);
    let file = file.join(image.name());
    let mut known = real.ancestors().filter_map(|dir| Cache::open(dir).ok());
    let cache = known.find(Cache::has_state);
    let cache = cache.or_else(|| {
        let own = Cache::open(&configured(context).ok()?).ok()?;
        real.starts_with(own.root()).then_some(own)
    })?;
    let path = file.strip_prefix(cache.root()).ok()?.to_owned();
    Some((cache, path))
}

fn or_here(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    }
}

/// Whether the last check of a file found it damaged, as the cache that it lies in remembers.
pub(crate) fn is_known_damaged(file: &Path) -> bool {
    let damage = Cache::around(file).and_then(|(cache, path)| cache.known_damage(&path).ok()?);
    damage.is_some()
}

/// The same of many files one after the other: which cache a folder lies in is looked for once.
#[derive(Debug, Default)]
pub(crate) struct Damages {
    folder: Option<(PathBuf, Option<(Cache, PathBuf)>)>,
}

impl Damages {
    /// Whether the last check of a file found it damaged.
    pub(crate) fn know(&mut self, file: &Path) -> bool {
        let is_link = std::fs::symlink_metadata(file).is_ok_and(|meta| meta.is_symlink());
        let (Some(folder), Some(name), false) = (file.parent(), file.file_name(), is_link) else {
            return is_known_damaged(file);
        };
        let around = match self.folder.take().filter(|(known, _)| known == folder) {
            Some((_, around)) => around,
            None => Cache::around_folder(or_here(folder)),
        };
        let known = |(cache, path): &(Cache, PathBuf)| cache.known_damage(&path.join(name)).ok()?;
        let damage = around.as_ref().and_then(known);
        self.folder = Some((folder.to_owned(), around));
        damage.is_some()
    }
}

/// The right to take an image away or put another into its place: nobody restores from it.
///
/// # Errors
/// `cache/in-use`, or what the system says.
pub(crate) fn alone(image: &ImageFile) -> Result<Option<Lease>, Failure> {
    match Cache::around(&image.path()) {
        Some((cache, path)) => Ok(cache.lease_alone(&path, now())?),
        None => Ok(None),
    }
}

/// Refuses to take away an image that is pinned in its cache: it stays until somebody unpins it.
///
/// # Errors
/// `cache/pinned`.
pub(crate) fn refuse_pinned(image: &ImageFile) -> Result<(), Failure> {
    match Cache::around(&image.path()) {
        Some((cache, path)) => Ok(cache.refuse_pinned(&path)?),
        None => Ok(()),
    }
}

/// The configured cache, if the file lies in it: it may have no state yet.
fn inside(context: &Context, file: &Path) -> Option<(Cache, PathBuf)> {
    let cache = Cache::open(&configured(context).ok()?).ok()?;
    let real = std::fs::canonicalize(file).ok()?;
    let path = real.strip_prefix(cache.root()).ok()?.to_owned();
    Some((cache, path))
}

/// What names a partition for good: its own identity, else its place on a disk of this serial number.
fn partition(facts: &DeviceFacts, device: &Path) -> String {
    let number = facts
        .partition
        .as_ref()
        .map_or(0, |partition| partition.number);
    match (&facts.partition_id, &facts.serial) {
        (Some(id), _) => format!("partuuid={}", id.to_ascii_lowercase()),
        (None, Some(serial)) => format!("serial={serial}:{number}"),
        (None, None) => format!("path={}", device.display()),
    }
}

/// Trouble with notes is only worth a word, and none where nothing can be written anyway.
pub(crate) fn tell<T>(context: &Context, done: azud_store::Result<T>) -> Option<T> {
    match done {
        Ok(value) => Some(value),
        Err(error) => {
            if !matches!(error.code(), Code::ReadOnly | Code::Permission) {
                let values = [("why", told(&context.catalog, &error).into())];
                let text = context.catalog.fmt("warn-cache-state", &values);
                context.output.warn(&context.catalog, &text);
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use azud_disk::DeviceFacts;

    use super::partition;

    #[test]
    fn a_partition_is_known_again() {
        let mut facts = DeviceFacts::read(Path::new("Cargo.toml")).unwrap();
        let name = |facts: &DeviceFacts| partition(facts, Path::new("/dev/sda2"));
        assert_eq!(name(&facts), "path=/dev/sda2");
        facts.serial = Some("S1".into());
        assert_eq!(name(&facts), "serial=S1:0");
        facts.partition_id = Some("AB-01".into());
        assert_eq!(name(&facts), "partuuid=ab-01");
    }
}
