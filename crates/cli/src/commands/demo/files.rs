//! The demo's files: a place to work, real files of this machine, trees compared.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use azud_core::code::Code;

use crate::failure::{Failure, Hint};

/// A directory that goes away with its guard unless it is kept.
#[derive(Debug)]
pub(super) struct Workplace {
    dir: PathBuf,
    keep: bool,
}

impl Workplace {
    pub(super) fn make(base: &Path, keep: bool) -> Result<Self, Failure> {
        let dir = base.join(format!("azud-demo-{}", std::process::id()));
        fs::create_dir(&dir).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::io(base, &error).with_hint(Hint::of("demo-no-dir")),
            _ => Failure::io(&dir, &error),
        })?;
        Ok(Self { dir, keep })
    }

    pub(super) fn path(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        if !self.keep {
            // What cannot be removed is in the temporary directory and says whose it is.
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// Where real files are taken from, in this order.
const PLACES: &[&str] = &["/usr/bin", "/usr/lib", "/usr/share"];

/// Copies real files of this machine to `tree` until they have `wanted` bytes; returns the bytes.
pub(super) fn gather(tree: &Path, wanted: u64) -> Result<u64, Failure> {
    let mut bytes = 0;
    for place in PLACES {
        let mut todo = vec![PathBuf::from(place)];
        // A share of each place, so that there is some of everything.
        let limit = bytes + wanted / PLACES.len() as u64;
        while let Some(dir) = todo.pop() {
            let Ok(entries) = fs::read_dir(&dir) else {
                continue;
            };
            let mut entries: Vec<_> = entries.filter_map(Result::ok).collect();
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                if kind.is_dir() {
                    todo.push(entry.path());
                } else if kind.is_file() && bytes < limit {
                    bytes += copy(&entry.path(), tree)?;
                }
            }
            if bytes >= limit {
                break;
            }
        }
    }
    Ok(bytes)
}

fn copy(from: &Path, tree: &Path) -> Result<u64, Failure> {
    let to = tree.join(from.strip_prefix("/").unwrap_or(from));
    let dir = to.parent().expect("below the tree");
    fs::create_dir_all(dir).map_err(|error| Failure::io(dir, &error))?;
    match fs::copy(from, &to) {
        Ok(bytes) => Ok(bytes),
        // Some files are not everybody's to read.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(0),
        Err(error) => Err(Failure::io(from, &error)),
    }
}

/// Path and BLAKE3 hash of every file below a directory.
pub(super) fn hashes(root: &Path) -> Result<BTreeMap<PathBuf, [u8; 32]>, Failure> {
    let mut all = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).map_err(|error| Failure::io(&dir, &error))? {
            let path = entry.map_err(|error| Failure::io(&dir, &error))?.path();
            if path.is_dir() {
                todo.push(path);
                continue;
            }
            let content = fs::read(&path).map_err(|error| Failure::io(&path, &error))?;
            let name = path.strip_prefix(root).expect("found below it").to_owned();
            all.insert(name, *blake3::hash(&content).as_bytes());
        }
    }
    Ok(all)
}

/// Flips a bit in the middle of a file.
pub(super) fn flip(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::FileExt;
    let failed = |error: io::Error| Failure::io(path, &error);
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .map_err(failed)?;
    let at = file.metadata().map_err(failed)?.len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).map_err(failed)?;
    byte[0] ^= 0x10;
    file.write_all_at(&byte, at).map_err(failed)
}

/// Size of a file in bytes.
pub(super) fn size(path: &Path) -> Result<u64, Failure> {
    Ok(fs::metadata(path)
        .map_err(|error| Failure::io(path, &error))?
        .len())
}

/// A failure of the demo itself: something that should have been equal was not.
pub(super) fn broken(what: &str) -> Failure {
    Failure::new(Code::Corrupt, what)
}
