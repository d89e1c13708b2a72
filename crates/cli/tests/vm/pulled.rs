//! A cache whose disk goes away while it is written. The disk is one of the kernel's own making (`scsi_debug`): what it
//! was given outlives its being pulled out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use azud_testkit::loops::Mount;
use azud_testkit::tools::{run, run_any, sh};

use crate::in_vm;
use crate::kit::{Said, command, done, ext4, names, text, tidy, whole};

/// Where the kernel shows the one disk of `scsi_debug`.
const ADAPTER: &str = "/sys/bus/pseudo/drivers/scsi_debug/adapter0";

/// A disk that can be pulled out and put back in.
struct Pullable;

impl Pullable {
    fn new() -> Result<Self> {
        run("modprobe", &["--all", "sd_mod", "ext4"])?;
        run("modprobe", &["scsi_debug", "dev_size_mb=160", "delay=0"])?;
        Ok(Self)
    }

    /// The kernel's name of it, once it has one.
    fn device() -> Result<PathBuf> {
        let script = "cd /sys/bus/pseudo/drivers/scsi_debug/adapter0
            for n in $(seq 100); do
                name=$(ls host*/target*/*/block 2>/dev/null)
                [ -n \"$name\" ] && [ -b \"/dev/$name\" ] && echo \"/dev/$name\" && exit
                sleep 0.1
            done
            exit 1";
        let found = sh(script, &[]).context("the disk does not come up")?;
        Ok(String::from_utf8(found.stdout)?.trim().into())
    }

    fn pull() -> Result<()> {
        let device = Self::device()?;
        let name = device.file_name().context("a name")?;
        let gone = Path::new("/sys/block").join(name).join("device/delete");
        fs::write(gone, "1").map_err(Into::into)
    }

    fn put_back() -> Result<()> {
        let host = fs::read_dir(ADAPTER)?.filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            name.starts_with("host").then_some(name)
        });
        for host in host {
            let scan = Path::new("/sys/class/scsi_host").join(host).join("scan");
            fs::write(scan, "- - -")?;
        }
        Self::device().map(drop)
    }
}

impl Drop for Pullable {
    fn drop(&mut self) {
        let _ = run_any("modprobe", &["-r", "scsi_debug"]);
    }
}

/// A native image of a volume of its own.
fn image(dir: &Path, name: &str) -> Result<(PathBuf, String)> {
    let (volume, image) = (dir.join("volume"), dir.join(name));
    ext4(&volume, 64, 48)?;
    done(&["image", "create", text(&volume), text(&image)])?;
    let identity = whole(&image)?;
    Ok((image, identity))
}

/// Begins an update, and pulls the disk as soon as something of the new version is there.
fn pulled(mut update: Command, cache: &Path) -> Result<()> {
    let mut child = update
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let begun = Instant::now();
    let is_begun = |name: &String| name.starts_with(".azud-assembly-");
    while !names(cache)?.iter().any(is_begun) {
        ensure!(
            child.try_wait()?.is_none(),
            "it ended before it began to write"
        );
        ensure!(
            begun.elapsed() < Duration::from_mins(2),
            "nothing is written"
        );
        sleep(Duration::from_millis(2));
    }
    Pullable::pull()?;
    ensure!(child.try_wait()?.is_none(), "too quick to prove anything");
    let said = Said::of(&child.wait_with_output()?)?;
    // The file system goes read-only when its disk fails: whichever of the two is met first.
    let code = said.refused()?;
    ensure!(["disk/io", "disk/read-only"].contains(&code), "{code}");
    Ok(())
}

#[test]
fn vm_a_cache_whose_disk_is_pulled_while_it_is_written() -> Result<()> {
    if !in_vm() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let (old, first) = image(dir.path(), "old.img")?;
    let (new, second) = image(dir.path(), "new.img")?;
    let _disk = Pullable::new()?;
    let device = Pullable::device()?;
    run(
        "mke2fs",
        &["-q", "-F", "-t", "ext4", "-m", "0", text(&device)],
    )?;
    let mount = Mount::new(&device, Some("ext4"), "")?;
    let there = mount.path().join("aula.img");
    let update = |from: &Path, there: &Path| {
        let args = ["cache", "update", text(there), "--from", text(from)];
        let mut command = command(&args);
        command.env("AZUD_CACHE_FLOOR", "0");
        command
    };
    Said::of(&update(&old, &there).output()?)?.done()?;
    sh("sync -f \"$1\"", &[text(mount.path())])?;

    pulled(update(&new, &there), mount.path())?;
    mount.unmount()?;

    // It is back: the old version is what is seen, whole, and nothing of the new one.
    Pullable::put_back()?;
    let device = Pullable::device()?;
    let checked = run_any("e2fsck", &["-fp", text(&device)])?;
    ensure!(checked.status.code() < Some(4), "{checked:?}");
    let mount = Mount::new(&device, Some("ext4"), "")?;
    let there = mount.path().join("aula.img");
    ensure!(whole(&there)? == first);
    let listed = done(&["cache", "list", "--cache", text(mount.path())])?;
    let seen = listed["images"].as_array().map(Vec::len);
    ensure!(seen == Some(1), "{listed}");
    // The next run brings it.
    Said::of(&update(&new, &there).output()?)?.done()?;
    ensure!(whole(&there)? == second && fs::read(&there)? == fs::read(&new)?);
    fs::remove_dir(mount.path().join("lost+found"))?;
    tidy(mount.path())?;
    mount.unmount()
}
