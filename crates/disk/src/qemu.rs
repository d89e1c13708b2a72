//! Export to qcow2 through `qemu-img`.

use std::path::Path;

use crate::command::Tool;
use crate::error::{DiskError, Result};

/// Converts a raw file or device to a compressed qcow2, written to `out` and not synced. After a failure a part of
/// it may be there.
///
/// # Errors
/// [`DiskError::ToolMissing`], [`DiskError::ToolFailed`], [`DiskError::Io`].
pub fn qemu_img_convert(raw: &Path, out: &Path) -> Result<()> {
    // Absolute, because `nbd:…` or `json:…` would mean something else to qemu-img.
    let absolute = |path: &Path| {
        std::path::absolute(path).map_err(|error| DiskError::at(path, "looking", error))
    };
    let tool = Tool::find("qemu-img")?;
    tool.args(["convert", "-f", "raw", "-O", "qcow2", "-c", "--"])
        .arg(absolute(raw)?)
        .arg(absolute(out)?)
        .run()
        .map(drop)
}
