//! What must be refused: with the right code, and with nothing written or left behind.

#[path = "../kit/mod.rs"]
mod kit;

mod images;
mod present;
mod sources;
mod targets;

use std::path::{Path, PathBuf};

use anyhow::Result;
use azud_testkit::tools::{have, have_root};
use kit::{Disk, done, text};
use tempfile::TempDir;

/// MiB of the fixture's volume.
const SIZE: u64 = 16;

/// An ext4 volume in a file and an image of it, in a folder of their own.
struct Fixture {
    dir: TempDir,
    volume: PathBuf,
    image: PathBuf,
}

impl Fixture {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let volume = dir.path().join("volume");
        kit::ext4(&volume, SIZE, 5)?;
        std::fs::create_dir(dir.path().join("images"))?;
        let image = dir.path().join("images/aula.img");
        done(&["image", "create", text(&volume), text(&image)])?;
        Ok(Self { dir, volume, image })
    }

    fn image(&self) -> &str {
        text(&self.image)
    }

    fn volume(&self) -> &str {
        text(&self.volume)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A disk that holds another file system of the same size.
    fn target(&self) -> Result<Disk> {
        let file = self.path("target");
        kit::ext4(&file, SIZE, 1)?;
        Disk::over(file)
    }
}

/// Whether what all of these tests need is there.
fn ready() -> bool {
    have(&["mke2fs", "e2fsck", "blkid", "b2sum", "losetup"]) && have_root()
}

/// A restore of `image` that asks nothing.
fn restore<'a>(image: &'a str, target: &'a str) -> [&'a str; 5] {
    ["image", "restore", image, target, "--yes"]
}

/// What lies in a folder and below, with sizes.
fn all_below(dir: &Path) -> Result<String> {
    let found = azud_testkit::tools::run("find", &[text(dir), "-printf", "%p %s %i\n"])?;
    let mut lines: Vec<String> = String::from_utf8(found.stdout)?
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    Ok(lines.join("\n"))
}
