//! Images that come to sticks: what FAT cannot hold, and locks there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use azud_core::name::ImageFile;
use azud_store::lease::Lease;
use azud_testkit::loops::Mount;
use azud_testkit::tools::sh;

use crate::in_vm;
use crate::kit::{azud, done, ext4, names, text, whole};

/// A native image of a small volume.
fn image(dir: &Path, name: &str) -> Result<PathBuf> {
    let volume = dir.join("volume");
    ext4(&volume, 24, 4)?;
    let image = dir.join(name);
    done(&["image", "create", text(&volume), text(&image)])?;
    Ok(image)
}

/// An image comes to a stick, twice, and from there again; another version takes its place.
fn to_and_fro(stick: &Path, kind: &str) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let first = image(dir.path(), "aula.img")?;
    fs::write(dir.path().join("aula.img.torrent"), "d4:info1e")?;
    let mount = Mount::new(stick, Some(kind), "")?;
    let there = mount.path().join("aula.img");
    done(&["image", "copy", text(&first), text(&there)])?;
    whole(&there)?;
    ensure!(fs::read(&there)? == fs::read(&first)?);
    ensure!(fs::read(mount.path().join("aula.img.torrent"))? == b"d4:info1e");
    ensure!(!mount.path().join("aula.img.lock").exists());
    let second = image(dir.path(), "next.img")?;
    // Only one of the two files may move here; there are no holes, so it is copied.
    done(&["cache", "update", text(&there), "--from", text(&second)])?;
    whole(&there)?;
    ensure!(fs::read(&there)? == fs::read(&second)?);
    let history = done(&["image", "history", text(&there)])?;
    ensure!(history.to_string().contains("replaced"), "{history}");
    let back = dir.path().join("back.img");
    done(&["image", "copy", text(&there), text(&back)])?;
    ensure!(fs::read(&back)? == fs::read(&second)?);
    // A lock there keeps others out, and only as long as it counts.
    let named = ImageFile::parse(&there)?;
    let lease = Lease::take(&named, SystemTime::now())?;
    let code = azud(&["cache", "update", text(&there), "--from", text(&first)])?;
    ensure!(code.refused()? == "image/locked");
    lease.confirm()?;
    drop(lease);
    foreign_lock(&there, Duration::from_secs(50))?;
    ensure!(Lease::take(&named, SystemTime::now()).is_err());
    foreign_lock(&there, Duration::from_secs(65))?;
    Lease::take(&named, SystemTime::now())?.confirm()?;
    let left = names(mount.path())?;
    ensure!(
        !left
            .iter()
            .any(|name| name.contains("lock") && name != ".azud-lock" || name.contains("lease")),
        "{left:?}"
    );
    mount.unmount()
}

/// What another computer that is gone by now wrote, so long ago by the file server's clock.
fn foreign_lock(image: &Path, age: Duration) -> Result<()> {
    let claim = r#"{"host":"pc7","pid":7,"boot_id":"b","started":7,"token":"f0","since":1}"#;
    let mut lock = image.as_os_str().to_owned();
    lock.push(".lock");
    fs::write(&lock, claim)?;
    let now = File::open(&lock)?.metadata()?.modified()?;
    let file = File::options().write(true).open(&lock)?;
    Ok(file.set_modified(now - age)?)
}

#[test]
fn vm_fat_takes_images_and_refuses_what_it_cannot_hold() -> Result<()> {
    if !in_vm() {
        return Ok(());
    }
    sh("mkfs.vfat -F 32 -n FAT /dev/sda", &[])?;
    to_and_fro(Path::new("/dev/sda"), "vfat")?;
    let dir = tempfile::tempdir()?;
    let mount = Mount::new(Path::new("/dev/sda"), Some("vfat"), "")?;
    let before = names(mount.path())?;
    // A byte more than FAT's largest file, and in no time: nothing of it is read.
    let large = dir.path().join("large.img");
    File::create(&large)?.set_len(4 << 30)?;
    sh("echo size=2M,type=83 | sfdisk -q \"$1\"", &[text(&large)])?;
    let began = std::time::Instant::now();
    let said = azud(&["image", "copy", text(&large), text(mount.path())])?;
    ensure!(said.refused()? == "store/file-too-large", "{}", said.last());
    let hint = said.last()["error"]["hint"].as_str().unwrap_or_default();
    ensure!(hint.contains("exFAT"), "{hint}");
    ensure!(
        began.elapsed() < Duration::from_secs(10),
        "it was read before"
    );
    assert_eq!(names(mount.path())?, before, "something was written");
    mount.unmount()
}

#[test]
fn vm_exfat_takes_images() -> Result<()> {
    if !in_vm() {
        return Ok(());
    }
    sh("mkfs.exfat -L EX /dev/sdb", &[])?;
    to_and_fro(Path::new("/dev/sdb"), "exfat")
}
