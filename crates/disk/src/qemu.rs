//! Export to qcow2 through `qemu-img`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::Tool;
use crate::error::{DiskError, Result};

/// A file under a temporary name; removed on drop unless it is kept.
#[derive(Debug)]
pub struct PartFile {
    path: Option<PathBuf>,
}

impl PartFile {
    /// The temporary name.
    pub fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }

    /// Keeps the file: syncing it and giving it its name is now the caller's part.
    pub fn keep(mut self) -> PathBuf {
        self.path.take().unwrap_or_default()
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

/// Converts a raw file or device to a compressed qcow2, written beside `out` as `.NAME.PID.part` and not synced.
///
/// # Errors
/// [`DiskError::ToolMissing`], [`DiskError::ToolFailed`], [`DiskError::Io`].
pub fn qemu_img_convert(raw: &Path, out: &Path) -> Result<PartFile> {
    let part = part_name(out)?;
    // Absolute, because `nbd:…` or `json:…` would mean something else to qemu-img.
    let raw = std::path::absolute(raw).map_err(|error| DiskError::at(raw, "looking", error))?;
    let tool = Tool::find("qemu-img")?;
    let part = PartFile { path: Some(part) };
    tool.args(["convert", "-f", "raw", "-O", "qcow2", "-c", "--"])
        .arg(raw)
        .arg(part.path())
        .run()?;
    Ok(part)
}

fn part_name(out: &Path) -> Result<PathBuf> {
    let out = std::path::absolute(out).map_err(|error| DiskError::at(out, "looking", error))?;
    let name = out
        .file_name()
        .ok_or_else(|| DiskError::NotADevice { path: out.clone() })?;
    let mut part = std::ffi::OsString::from(".");
    part.push(name);
    part.push(format!(".{}.part", std::process::id()));
    Ok(out.with_file_name(part))
}
