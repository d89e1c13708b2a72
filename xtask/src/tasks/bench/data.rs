//! The volumes that are captured, made once and kept.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use azud_testkit::loops::{Loop, Mount};
use azud_testkit::tools::{run, sh};

use super::super::complain;
use super::disks::text;
use super::options::Options;
use super::table::mb;

/// Less than this says little about real volumes.
const WANTED: u64 = 3_000_000_000;

/// File data on the NTFS volume.
const NTFS_DATA: u64 = 2_000_000_000;

/// An ext4 volume of the files of the tree.
pub(super) fn ext4(options: &Options) -> Result<PathBuf> {
    if let Some(file) = &options.ext4 {
        return Ok(file.clone());
    }
    let file = options.dir.join("volume.ext4");
    if file.exists() {
        return Ok(file);
    }
    let bytes: u64 = files(&options.tree)?.iter().map(|(_, len)| len).sum();
    if bytes < WANTED {
        complain(&format!(
            "bench: warning: {} has only {} MB",
            options.tree.display(),
            mb(bytes)
        ));
    }
    complain("bench: making the ext4 volume");
    let part = options.dir.join("volume.ext4.part");
    let mib = (bytes + bytes / 4 + (512 << 20)) >> 20;
    // What mke2fs would choose by chance or by the clock is fixed.
    sh(
        "rm -f \"$2\"; export E2FSPROGS_FAKE_TIME=1700000000 SOURCE_DATE_EPOCH=1700000000
         mke2fs -q -F -t ext4 -b 4096 -U 0b5a5f66-2a6f-4d0a-9d5e-7a7564000001 \
             -E hash_seed=0b5a5f66-2a6f-4d0a-9d5e-7a7564000002,lazy_itable_init=0,lazy_journal_init=0 \
             -d \"$1\" \"$2\" \"${3}M\"",
        &[text(&options.tree)?, text(&part)?, &mib.to_string()],
    )?;
    fs::rename(&part, &file)?;
    Ok(file)
}

/// An NTFS volume with clusters of 4 KiB, filled through ntfs-3g with files of the tree.
pub(super) fn ntfs(options: &Options) -> Result<PathBuf> {
    let file = options.dir.join("volume.ntfs");
    if file.exists() {
        return Ok(file);
    }
    complain("bench: making the NTFS volume");
    let part = options.dir.join("volume.ntfs.part");
    let volume = fs::File::create(&part)?;
    volume.set_len(NTFS_DATA + NTFS_DATA / 2)?;
    drop(volume);
    let device = Loop::attach(&part)?;
    run("mkntfs", &["-q", "-F", "-Q", "-c", "4096", device.name()])?;
    let mount = Mount::new(device.path(), Some("ntfs-3g"), "")?;
    let mut left = NTFS_DATA;
    for (from, len) in files(&options.tree)? {
        let Some(rest) = left.checked_sub(len) else {
            break;
        };
        left = rest;
        let name = from.strip_prefix(&options.tree)?;
        let to = mount.path().join(name);
        fs::create_dir_all(to.parent().context("files lie in directories")?)?;
        fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
    }
    mount.unmount()?;
    run("sync", &[])?;
    drop(device);
    fs::rename(&part, &file)?;
    Ok(file)
}

/// The regular files below a directory and their lengths, by name; the first of several links only.
pub(super) fn files(root: &Path) -> Result<Vec<(PathBuf, u64)>> {
    let device = fs::metadata(root)?.dev();
    let (mut found, mut open) = (Vec::new(), vec![root.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let entry = entry?;
            let facts = entry.metadata()?;
            if facts.dev() != device {
                continue;
            }
            if facts.is_dir() {
                open.push(entry.path());
            } else if facts.is_file() {
                found.push((entry.path(), facts.len(), facts.ino()));
            }
        }
    }
    found.sort();
    let mut seen = std::collections::HashSet::new();
    found.retain(|(_, _, inode)| seen.insert(*inode));
    Ok(found
        .into_iter()
        .map(|(path, len, _)| (path, len))
        .collect())
}
