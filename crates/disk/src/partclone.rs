//! The fallback for file systems that are not read natively: partclone's own map of used blocks.
//!
//! partclone writes its header, then the bitmap, then all the data; the map is read by taking the
//! first bytes of its output and dropping the rest, which ends the program. Its exit status alone
//! is not to be trusted (it is 0 for a misspelt option): the bytes must be parsed and must be whole.

use std::io::{self, Read};
use std::path::Path;

use crate::command::{Stream, Tool};
use crate::error::{DiskError, Result};

/// The output of a running partclone. Read header and bitmap, then drop it.
#[derive(Debug)]
pub struct UsedMap(Stream);

/// Starts `partclone.X` (`program`) on a device or file, without checksums of the data.
/// The device is only read.
///
/// # Errors
/// [`DiskError::ToolMissing`] (also for a program that is not one of partclone's), [`DiskError::Io`] when
/// it cannot be started. What partclone itself finds wrong (a dirty file
/// system, an unknown one) is a [`DiskError::ToolFailed`] while reading.
pub fn used_map(device: &Path, program: &str) -> Result<UsedMap> {
    let name = program.rsplit('/').next().unwrap_or(program);
    if !name.starts_with("partclone.") {
        return Err(DiskError::ToolMissing {
            program: program.to_owned(),
            package: "partclone".to_owned(),
        });
    }
    // An absolute path cannot be taken for an option or for standard input.
    let device =
        std::path::absolute(device).map_err(|error| DiskError::at(device, "looking", error))?;
    let tool = Tool::find(program)?;
    // The log would otherwise go to /var/log, which a live system may not have.
    let tool = tool
        .args(["-c", "-a0", "-B", "-L", "/dev/null", "-o", "-", "-s"])
        .arg(device);
    Ok(UsedMap(tool.stream()?))
}

impl Read for UsedMap {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}
