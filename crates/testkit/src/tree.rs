//! A picture of a file tree: content, type, mode, owner, times and extended attributes of every entry.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// One line of facts per path, comparable with `assert_eq!`.
pub type Picture = BTreeMap<PathBuf, String>;

/// Takes the picture of everything below `root` (without crossing into other file systems).
///
/// # Errors
/// When anything cannot be read.
pub fn picture(root: &Path) -> Result<Picture> {
    let mut all = Picture::new();
    let device = fs::symlink_metadata(root)?.dev();
    let mut todo = vec![root.to_owned()];
    while let Some(path) = todo.pop() {
        let meta = fs::symlink_metadata(&path)?;
        if meta.dev() != device {
            continue;
        }
        if meta.is_dir() {
            for entry in fs::read_dir(&path)? {
                todo.push(entry?.path());
            }
        }
        let name = path.strip_prefix(root)?.to_owned();
        all.insert(
            name,
            facts(&path, &meta).with_context(|| path.display().to_string())?,
        );
    }
    Ok(all)
}

fn facts(path: &Path, meta: &fs::Metadata) -> Result<String> {
    let content = if meta.is_file() {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(fs::File::open(path)?)?;
        hasher.finalize().to_hex().to_string()
    } else if meta.is_symlink() {
        fs::read_link(path)?.display().to_string()
    } else {
        format!("rdev {}", meta.rdev())
    };
    let size = if meta.is_dir() { 0 } else { meta.size() };
    Ok(format!(
        "mode {:o} owner {}:{} links {} size {size} mtime {}.{} {} {content}",
        meta.mode(),
        meta.uid(),
        meta.gid(),
        if meta.is_dir() { 0 } else { meta.nlink() },
        meta.mtime(),
        meta.mtime_nsec(),
        xattrs(path)?
    ))
}

fn xattrs(path: &Path) -> Result<String> {
    let mut names = vec![0; 64 * 1024];
    let len = match rustix::fs::llistxattr(path, names.as_mut_slice()) {
        Ok(len) => len,
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::PERM) => 0,
        Err(error) => return Err(error.into()),
    };
    let mut out = Vec::new();
    for name in names[..len]
        .split(|b| *b == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0; 64 * 1024];
        let name = std::ffi::OsStr::from_bytes(name);
        let len = rustix::fs::lgetxattr(path, name, value.as_mut_slice())?;
        out.push(format!(
            "{}={}",
            name.display(),
            blake3::hash(&value[..len]).to_hex()
        ));
    }
    out.sort();
    Ok(format!("[{}]", out.join(" ")))
}
