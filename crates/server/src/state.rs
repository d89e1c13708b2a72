//! Files of a manager's own state: each is replaced by one rename, and nobody else may read them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Makes the directory if it is missing.
pub(crate) fn prepare(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
}

/// Opens a file to be written that only its owner may read.
pub(crate) fn secret_file() -> OpenOptions {
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600);
    options
}

/// Writes a file by one rename; it is on the medium when this returns.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = secret_file().open(&part)?;
    file.set_len(0)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}
