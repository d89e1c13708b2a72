//! A volume of which a share of the files' bytes was rewritten through a mount.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use azud_testkit::loops::{Loop, Mount};
use azud_testkit::tools::{run, sh};

use super::data::files;
use super::disks::{Lab, text};
use super::table::float;

/// How the changes lie on the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spread {
    /// In a few large files.
    Clustered,
    /// In whole files, chosen by chance: what an update does.
    Files,
    /// In single blocks of 4 KiB, chosen by chance: the worst case.
    Blocks,
}

impl Spread {
    /// Every kind.
    pub(super) const ALL: [Self; 3] = [Self::Clustered, Self::Files, Self::Blocks];

    /// In words.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Clustered => "clustered in a few large files",
            Self::Files => "in files here and there",
            Self::Blocks => "scattered over single 4 KiB blocks",
        }
    }
}

/// Files from this size on count as large.
const LARGE: u64 = 16 << 20;

const BLOCK: usize = 4096;

/// A copy of the volume in `file`, named `name` in the lab, `percent` of its files' bytes changed.
pub(super) fn changed(
    lab: &Lab,
    file: &Path,
    name: &str,
    (percent, spread): (u32, Spread),
) -> Result<PathBuf> {
    let copy = lab.path(name);
    sh(
        "cp --sparse=always \"$1\" \"$2\"",
        &[text(file)?, text(&copy)?],
    )?;
    let device = Loop::attach(&copy)?;
    let mount = Mount::new(device.path(), Some("ext4"), "noatime")?;
    let share = f64::from(percent) / 100.0;
    rewrite(mount.path(), share, spread).with_context(|| format!("changing {}", copy.display()))?;
    mount.unmount()?;
    drop(device);
    run("sync", &[])?;
    Ok(copy)
}

fn rewrite(root: &Path, share: f64, spread: Spread) -> Result<()> {
    let all = files(root)?;
    let total: u64 = all.iter().map(|(_, len)| len).sum();
    if spread == Spread::Blocks {
        for (path, _) in &all {
            let number = chance(root, path, 0)?;
            flip(path, u64::MAX, |block| mix(number ^ block) < share)?;
        }
        return Ok(());
    }
    let mut order = Vec::new();
    for (path, len) in &all {
        if spread == Spread::Files || *len >= LARGE {
            order.push((chance(root, path, 1)?, path, *len));
        }
    }
    order.sort_unstable();
    let mut left = float(total) * share;
    for (_, path, len) in order {
        if left <= 0.0 {
            break;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and a file's length"
        )]
        let part = left.min(float(len)).ceil() as u64;
        flip(path, part, |_| true)?;
        left -= float(part);
    }
    Ok(())
}

/// Changes a bit in every byte of the chosen blocks: other content, as compressible as before.
fn flip(path: &Path, len: u64, chosen: impl Fn(u64) -> bool) -> Result<()> {
    let file = File::options()
        .read(true)
        .write(true)
        .open(path)
        .with_context(|| path.display().to_string())?;
    let len = len.min(file.metadata()?.len());
    let mut buffer = [0; BLOCK];
    for block in (0..len.div_ceil(BLOCK as u64)).filter(|block| chosen(*block)) {
        let at = block * BLOCK as u64;
        let part = &mut buffer[..usize::try_from((len - at).min(BLOCK as u64))?];
        file.read_exact_at(part, at)?;
        for byte in part.iter_mut() {
            *byte ^= 1;
        }
        file.write_all_at(part, at)?;
    }
    Ok(())
}

/// The same number for the same file, whatever the machine.
fn chance(root: &Path, path: &Path, seed: u8) -> Result<u64> {
    let name = path.strip_prefix(root)?.as_os_str().as_bytes();
    let hash = blake3::hash(&[&[seed], name].concat());
    let first = hash.as_bytes().first_chunk().expect("hashes have 32 bytes");
    Ok(u64::from_le_bytes(*first))
}

/// Between 0 and 1, evenly spread (the finalizer of `SplitMix64`).
fn mix(number: u64) -> f64 {
    let mut x = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    float((x ^ (x >> 31)) >> 11) / float(1 << 53)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Spread, rewrite};

    #[test]
    fn the_share_of_bytes_is_changed() {
        for spread in Spread::ALL {
            let dir = tempfile::tempdir().unwrap();
            for n in 0..40 {
                fs::write(dir.path().join(format!("{n}")), vec![7; 200_000]).unwrap();
            }
            fs::write(dir.path().join("large"), vec![7; 17 << 20]).unwrap();
            let before = 40 * 200_000 + (17 << 20);
            rewrite(dir.path(), 0.1, spread).unwrap();
            let mut changed = 0;
            for entry in fs::read_dir(dir.path()).unwrap() {
                let bytes = fs::read(entry.unwrap().path()).unwrap();
                changed += bytes.iter().filter(|byte| **byte != 7).count();
            }
            let percent = changed * 100 / before;
            assert!((8..=12).contains(&percent), "{spread:?}: {percent} %");
        }
    }
}
