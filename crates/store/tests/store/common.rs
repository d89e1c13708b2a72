//! Images whose content tells who they are, and pictures of directories.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use azud_core::name::ImageFile;
use azud_store::publish::{Outcome, Published, Staging};
use azud_store::side::InfoLine;
use azud_store::{Identity, StoreError};

/// A moment, in seconds.
pub(crate) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

pub(crate) fn image(dir: &Path) -> ImageFile {
    ImageFile::in_dir(dir, "deb.img").expect("a good name")
}

/// Test images are one byte over and over; that byte is who they are.
pub(crate) fn id(fill: u8) -> Identity {
    Identity([fill; 32])
}

pub(crate) fn identify(path: &Path) -> Option<Identity> {
    let first = fs::read(path).ok()?.first().copied()?;
    Some(id(first))
}

pub(crate) fn publish(
    image: &ImageFile,
    fill: u8,
    len: usize,
    now: SystemTime,
) -> Result<Outcome, StoreError> {
    let staging = Staging::begin(image, now)?;
    let mut writer = staging.writer()?;
    writer.write_all(&vec![fill; len]).map_err(store_error)?;
    let written = writer.finish()?;
    let info = Some(InfoLine::native("EXTFS", len as u64, &format!("pc{fill}")));
    staging.publish(
        &written,
        &Published {
            identity: id(fill),
            info,
            now,
        },
        &identify,
    )
}

/// The store's error inside one of a writer.
pub(crate) fn store_error(error: std::io::Error) -> StoreError {
    *error
        .into_inner()
        .expect("the writer says why")
        .downcast()
        .expect("a StoreError")
}

/// Every file and directory below, with its content; what is hidden included.
pub(crate) fn tree(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            if path.is_dir() {
                todo.push(path);
                all.insert(name, None);
            } else {
                all.insert(name, Some(fs::read(path).unwrap()));
            }
        }
    }
    all
}

/// The paths in a tree.
pub(crate) fn names(root: &Path) -> Vec<String> {
    tree(root)
        .into_keys()
        .map(|path| path.display().to_string())
        .collect()
}

/// A process of this computer that has ended.
pub(crate) fn ended() -> u32 {
    let mut child = crate::gate::start(&mut std::process::Command::new("true"));
    let pid = child.id();
    child.wait().unwrap();
    pid
}

/// How a process of this computer says who it is.
pub(crate) fn owner(pid: u32) -> serde_json::Value {
    let line = |path: &str| std::fs::read_to_string(path).unwrap().trim().to_owned();
    serde_json::json!({
        "host": line("/proc/sys/kernel/hostname"),
        "pid": pid,
        "boot_id": line("/proc/sys/kernel/random/boot_id"),
        "started": 0,
    })
}

/// As if what is being made ready in a directory had been begun some minutes ago. A younger stage that nobody has signed may
/// be somebody's who is just making it.
pub(crate) fn age_stages(dir: &Path) {
    let then = SystemTime::now() - Duration::from_mins(2);
    for name in fs::read_dir(dir).unwrap() {
        let stage = name.unwrap().path();
        let shown = stage.display().to_string();
        if !["/.azud-stage-", "/.azud-assembly-"]
            .iter()
            .any(|begins| shown.contains(begins))
        {
            continue;
        }
        let files = fs::read_dir(&stage).unwrap();
        let files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        for path in files.iter().chain([&stage]) {
            fs::File::open(path).unwrap().set_modified(then).unwrap();
        }
    }
}
