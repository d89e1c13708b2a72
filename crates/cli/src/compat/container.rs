//! Containers as directories of this machine; what is not mounted is mounted, as OpenGnsys does.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::layout::Layout;
use azud_core::reference::Where;
use azud_disk::cache::{Hit, probe};
use azud_disk::mounting::{Kind, Mounting, mount, mounted_at, mounts_of};
use azud_disk::{DiskError, Numbers};
use azud_store::StoreError;
use azud_store::beneath::Beneath;
use azud_store::tree::{Tree, alike};

use super::Call;
use super::args::{Container, FileArg, Partition};
use crate::args::Writing;
use crate::cached::is_named;
use crate::commands::cache::{self, mount as cache_mount};
use crate::failure::Failure;
use crate::place;
use crate::site::Site;

/// Whoever types these names has said what is to be done.
pub(super) const AGREED: Writing = Writing {
    dry_run: false,
    yes: true,
};

/// The node of a partition.
pub(super) fn node(partition: Partition) -> Result<PathBuf, Failure> {
    Ok(Numbers::read(&place::disks())?.node(partition.disk, partition.part)?)
}

/// The one cache of this computer, as `azud cache` finds it.
pub(super) fn the_cache(call: &Call) -> Result<Hit, Failure> {
    cache::the_cache(&call.context, None)
}

/// Mounts the cache unless it is; where it is mounted.
pub(super) fn mount_cache(call: &Call) -> Result<PathBuf, Failure> {
    let namespace = place::namespace(&call.context)?;
    if let Ok(tree) = namespace.resolve(&Where::Cache) {
        return Ok(tree.mount);
    }
    let hit = the_cache(call)?;
    if let Some(there) = hit.mounts.first() {
        return Ok(there.at.clone());
    }
    let at = cache_place(namespace.layout(), &hit.device);
    let args = cache_mount::Args {
        device: Some(hit.device.clone()),
        at: Some(at.clone()),
        read_only: false,
        writing: AGREED,
    };
    args.run(&call.context)?;
    Ok(mounted_at(&at).map_or(at, |there| there.at))
}

/// Sees to it that images in the cache can be reached: it is mounted, unless the environment names another directory.
pub(super) fn reach_cache(call: &Call) -> Result<(), Failure> {
    if is_named() {
        return Ok(());
    }
    mount_cache(call).map(drop)
}

/// Where the cache is mounted: where OpenGnsys' own scripts look for it, as long as the root is theirs.
fn cache_place(layout: &Layout, device: &Path) -> PathBuf {
    let name = device.strip_prefix("/dev").unwrap_or(device);
    layout.former_cache_mount().map_or_else(
        || layout.cache_mount(&name.to_string_lossy()),
        Path::to_owned,
    )
}

/// Mounts a partition at `/mnt/NAME` unless it is mounted; where.
pub(super) fn mount_partition(call: &Call, partition: Partition) -> Result<PathBuf, Failure> {
    let node = node(partition)?;
    if let Some(there) = mounts_of(&node).into_iter().next() {
        return Ok(there.at);
    }
    let signature = probe(&node)?;
    let Some(kind) = signature.kind.filter(|_| signature.is_fs) else {
        return Err(Failure::new(Code::FsUnknown, node.display().to_string()));
    };
    let name = node.file_name().unwrap_or_default().to_owned();
    let at = Site::load(&call.context.site)?.layout.mnt().join(name);
    mount_at(&node, &kind, &at)
}

pub(super) fn mount_cdrom(call: &Call) -> Result<PathBuf, Failure> {
    let at = Site::load(&call.context.site)?.layout.mnt().join("cdrom");
    match mounted_at(&at) {
        Some(there) => Ok(there.at),
        None => mount_at(Path::new("/dev/cdrom"), "iso9660", &at),
    }
}

/// Mounts for writing, else read-only.
fn mount_at(source: &Path, kind: &str, at: &Path) -> Result<PathBuf, Failure> {
    let kind = match kind {
        "ntfs" => Kind::Helper("ntfs-3g"),
        kernel => Kind::Device(kernel),
    };
    let mounting = |read_only| Mounting {
        source: source.as_os_str(),
        at,
        kind,
        read_only,
        options: "",
    };
    let mounted = match mount(&mounting(false)) {
        Err(DiskError::ReadOnly { .. } | DiskError::ToolFailed { .. }) => mount(&mounting(true))?,
        done => done?,
    };
    Ok(mounted.keep())
}

/// The directory of a container.
pub(super) fn open(call: &Call, container: &Container) -> Result<Beneath, Failure> {
    match container {
        Container::Repo => Ok(place::top(&call.context, &Where::Manager)?),
        Container::Cache if is_named() => Ok(place::top(&call.context, &Where::Cache)?),
        Container::Cache => {
            let layout = Site::load(&call.context.site)?.layout;
            let mount = mount_cache(call)?;
            Ok(Beneath::open(&mount)?.enter(layout.inner())?)
        }
        Container::Cdrom => Ok(Beneath::open(&mount_cdrom(call)?)?),
        Container::Partition(partition) => Ok(Beneath::open(&mount_partition(call, *partition)?)?),
    }
}

/// Every path that is meant: the exact one, else all that differ in upper and lower case, which is told.
pub(super) fn paths(call: &Call, file: &FileArg) -> Result<Vec<PathBuf>, Failure> {
    let (wanted, found) = match file {
        FileArg::Path(path) => (PathBuf::from(path), on_this_machine(Path::new(path))),
        FileArg::In(container, names) => {
            let tree = Tree::beneath(open(call, container)?);
            (names.iter().collect(), tree.alike(names)?)
        }
    };
    let as_written = |path: &PathBuf| path.ends_with(&wanted);
    for other in found.iter().filter(|path| !as_written(path)) {
        let context = &call.context;
        let values = [
            ("wanted", wanted.display().to_string().into()),
            ("found", other.display().to_string().into()),
        ];
        let text = context.catalog.fmt("warn-other-case", &values);
        context.output.warn(&context.catalog, &text);
    }
    Ok(found)
}

pub(super) fn on_this_machine(path: &Path) -> Vec<PathBuf> {
    if path.exists() {
        return vec![path.to_owned()];
    }
    let Ok(names) = path.strip_prefix("/") else {
        return Vec::new();
    };
    let names: Vec<String> = names
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    let list = |dir: &Path| -> azud_store::Result<Vec<OsString>> {
        let entries = std::fs::read_dir(Path::new("/").join(dir)).into_iter();
        Ok(entries
            .flatten()
            .flatten()
            .map(|it| it.file_name())
            .collect())
    };
    let found = alike(&names, list).into_iter();
    found.map(|sub| Path::new("/").join(sub)).collect()
}

/// The one path that is meant.
///
/// # Errors
/// `image/not-found`; `image/case-twin` for several.
pub(super) fn one(call: &Call, file: &FileArg) -> Result<PathBuf, Failure> {
    let found = paths(call, file)?;
    match found.as_slice() {
        [path] => Ok(path.clone()),
        [] => Err(StoreError::NotFound(wanted(file)).into()),
        several => {
            let several = several.iter().map(|path| path.display().to_string());
            let list = several.collect::<Vec<_>>().join(", ");
            Err(Failure::new(Code::CaseTwin, list))
        }
    }
}

/// What was asked for, as text for people.
pub(super) fn wanted(file: &FileArg) -> PathBuf {
    match file {
        FileArg::Path(path) => path.into(),
        FileArg::In(_, names) => names.iter().collect(),
    }
}
