//! What is done to an image while every write to its disk is recorded: by the machine that records, and once more by
//! whoever finds the disk after the power has gone.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::kit::{Random, Said, command, text};

const MIB: usize = 1 << 20;
/// What volume an image is of, after none of the steps, one, two and all.
pub(crate) const VERSIONS: usize = 4;

/// The same volumes wherever it is made, and an image of each.
pub(crate) struct Steps {
    dir: tempfile::TempDir,
}

impl Steps {
    pub(crate) fn new() -> Result<Self> {
        let steps = Self {
            dir: tempfile::tempdir()?,
        };
        let mut random = Random(77);
        let words = std::iter::repeat_with(|| random.next().to_le_bytes());
        let mut volume: Vec<u8> = words.take(6 * MIB / 8).flatten().collect();
        for version in 0..VERSIONS {
            fs::write(steps.volume(version), &volume)?;
            volume[version * MIB..(version + 2) * MIB].reverse();
            let (volume, image) = (steps.volume(version), steps.image(version));
            let args = ["image", "create", text(&volume), text(&image)];
            run(&args)?;
        }
        Ok(steps)
    }

    fn volume(&self, version: usize) -> PathBuf {
        self.dir.path().join(format!("volume{version}"))
    }

    fn image(&self, version: usize) -> PathBuf {
        self.dir.path().join(format!("version{version}.img"))
    }

    /// Makes `image` that version, in the way that its step is about.
    pub(crate) fn take(&self, version: usize, image: &Path) -> Result<()> {
        let (volume, from, image) = (self.volume(version), self.image(version), text(image));
        let args: &[&str] = match version {
            0 | 1 => &["image", "create", text(&volume), image],
            2 => &[
                "cache",
                "update",
                image,
                "--from",
                text(&from),
                "--move",
                "always",
                "--yes",
            ],
            _ => &["image", "copy", text(&from), image, "--yes"],
        };
        run(args).with_context(|| format!("version {version}"))
    }

    /// Whether the old file alone is no whole image while the step to that version is taken.
    pub(crate) fn is_moving(version: usize) -> bool {
        version == 2
    }

    /// Which version an image is; fails unless Azud reads it.
    pub(crate) fn version(&self, image: &Path) -> Result<usize> {
        let out = self.dir.path().join("restored");
        let _ = fs::remove_file(&out);
        run(&["image", "verify", "--deep", text(image)])?;
        run(&["image", "restore", text(image), text(&out), "--yes"])?;
        let bytes = fs::read(&out)?;
        for version in 0..VERSIONS {
            if fs::read(self.volume(version))? == bytes {
                return Ok(version);
            }
        }
        anyhow::bail!("it is of no volume that there was")
    }
}

/// Runs the program, to which no disk is too small to be a cache.
fn run(args: &[&str]) -> Result<()> {
    let mut command = command(args);
    command.env("AZUD_CACHE_FLOOR", "0");
    let said = Said::of(&command.output()?)?;
    said.done().map(drop)
}
