//! Targets full of 0xA5, so that a block that a map forgot is seen as damage.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};
use azud_core::bitmap::Bitmap;

/// The byte no sane file system leaves everywhere.
pub const POISON: u8 = 0xA5;

/// Fills a file or device with `len` bytes of poison.
///
/// # Errors
/// When writing fails.
pub fn fill(path: &Path, len: u64) -> Result<()> {
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    let chunk = vec![POISON; 1 << 20];
    let mut left = len;
    while left > 0 {
        let take = usize::try_from(left.min(chunk.len() as u64))?;
        file.write_all(&chunk[..take])?;
        left -= take as u64;
    }
    file.sync_all()?;
    Ok(())
}

/// Copies only the used blocks and the tails of `source` onto a poisoned file `target` of `device_size` bytes.
///
/// # Errors
/// When reading or writing fails.
pub fn copy_used(
    source: &Path,
    target: &Path,
    device_size: u64,
    (used, block_size): (&Bitmap, u32),
    tails: &[Range<u64>],
) -> Result<()> {
    fill(target, device_size)?;
    let mut from = File::open(source)?;
    let mut to = File::options().write(true).open(target)?;
    let size = u64::from(block_size);
    let ranges = used
        .runs()
        .map(|run| run.start * size..(run.start + run.count) * size)
        .chain(tails.iter().cloned());
    for range in ranges {
        from.seek(SeekFrom::Start(range.start))?;
        to.seek(SeekFrom::Start(range.start))?;
        let copied = std::io::copy(&mut (&mut from).take(range.end - range.start), &mut to)?;
        anyhow::ensure!(
            copied == range.end - range.start,
            "the map reaches beyond the device"
        );
    }
    to.sync_all().context("syncing the poisoned copy")
}
