//! A cache that is pulled while it is written: from one moment on its disk answers nothing but errors.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use azud_testkit::loops::{Loop, Mount};
use azud_testkit::tools::{have, run, run_any, sh};

use crate::in_vm;
use crate::kit::{Said, azud, command, done, ext4, names, text, whole};

const NAME: &str = "azud-pulled";
const SIZE: u64 = 160 << 20;

/// A disk that can be pulled, and put back.
struct Pullable {
    device: Loop,
}

impl Pullable {
    fn make(file: &Path) -> Result<Self> {
        File::create(file)?.set_len(SIZE)?;
        let device = Loop::attach(file)?;
        let disk = Self { device };
        dm(&["create", NAME, "--table", &disk.whole()])?;
        Ok(disk)
    }

    fn path() -> PathBuf {
        Path::new("/dev/mapper").join(NAME)
    }

    fn whole(&self) -> String {
        format!("0 {} linear {} 0", SIZE / 512, self.device.name())
    }

    fn becomes(table: &str) -> Result<()> {
        dm(&["suspend", "--nolockfs", "--noflush", NAME])?;
        dm(&["reload", NAME, "--table", table])?;
        dm(&["resume", NAME])
    }

    fn pull() -> Result<()> {
        Self::becomes(&format!("0 {} error", SIZE / 512))
    }

    fn put_back(&self) -> Result<()> {
        Self::becomes(&self.whole())
    }
}

impl Drop for Pullable {
    fn drop(&mut self) {
        let _ = dm(&["remove", "--force", NAME]);
    }
}

/// Without the system's daemon for devices, which this machine has none of.
fn dm(args: &[&str]) -> Result<()> {
    let apart = ["--noudevsync", "--noudevrules"];
    run("dmsetup", &[args, &apart].concat()).map(drop)
}

#[test]
fn vm_a_cache_that_is_pulled_while_it_is_written() -> Result<()> {
    if !in_vm() || !have(&["dmsetup", "mke2fs", "e2fsck"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let volume = dir.path().join("volume");
    let (old, new) = (dir.path().join("old.img"), dir.path().join("new.img"));
    for image in [&old, &new] {
        ext4(&volume, 64, 40)?;
        done(&["image", "create", text(&volume), text(image)])?;
    }
    let disk = Pullable::make(&dir.path().join("disk"))?;
    let at = Pullable::path();
    sh("mke2fs -q -t ext4 -m 0 -J size=4 \"$1\"", &[text(&at)])?;
    let mount = Mount::new(&at, Some("ext4"), "")?;
    fs::copy(&old, mount.path().join("aula.img"))?;
    mount.unmount()?;
    let mut failed = 0;
    for wait in [0, 40, 150, 400, 800] {
        let mount = Mount::new(&at, Some("ext4"), "")?;
        let image = mount.path().join("aula.img");
        if fs::read(&image)? != fs::read(&old)? {
            done(&["cache", "update", text(&image), "--from", text(&old)])?;
        }
        let update = ["cache", "update", text(&image), "--from", text(&new)];
        let child = command(&update)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        until_it_assembles(mount.path())?;
        sleep(Duration::from_millis(wait));
        Pullable::pull()?;
        let said = Said::of(&child.wait_with_output()?)?;
        let was_done = said.status == Some(0);
        if !was_done {
            said.refused()?;
            failed += 1;
        }
        mount.unmount()?;
        disk.put_back()?;
        // Status 1: what the cut left was put right.
        let checked = run_any("e2fsck", &["-fy", text(&at)])?;
        ensure!(checked.status.code().is_some_and(|code| code <= 1));
        let mount = Mount::new(&at, Some("ext4"), "")?;
        let image = mount.path().join("aula.img");
        azud(&["image", "verify", "--deep", text(&image)])?
            .done()
            .with_context(|| format!("pulled after {wait} ms"))?;
        if was_done {
            ensure!(
                fs::read(&image)? == fs::read(&new)?,
                "it said that it was done"
            );
        }
        done(&["cache", "update", text(&image), "--from", text(&new)])?;
        whole(&image)?;
        ensure!(fs::read(&image)? == fs::read(&new)?);
        done(&["cache", "update", text(&image), "--from", text(&old)])?;
        mount.unmount()?;
    }
    ensure!(failed > 0, "no pull came in time");
    Ok(())
}

fn until_it_assembles(dir: &Path) -> Result<()> {
    let begun = Instant::now();
    while !names(dir)?
        .iter()
        .any(|name| name.starts_with(".azud-assembly"))
    {
        ensure!(begun.elapsed() < Duration::from_mins(1), "it never begins");
        sleep(Duration::from_millis(2));
    }
    Ok(())
}
