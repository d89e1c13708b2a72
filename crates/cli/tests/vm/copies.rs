//! Images that come to sticks and to servers: what FAT cannot hold, and locks that two computers see.
//!
//! Another computer is one of another name: what it runs has a namespace of its own for it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use azud_core::name::ImageFile;
use azud_store::lease::Lease;
use azud_testkit::loops::Mount;
use azud_testkit::tools::{have, run, sh};

use crate::in_vm;
use crate::kit::{Said, azud, done, ext4, names, text, whole};
use crate::room::Room;
use crate::servers::{ADDRESS, nfs, samba};

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

/// The program on a computer of this name.
fn on(host: &str, args: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--uts", "sh", "-c", r#"hostname "$0"; exec "$@""#, host])
        .arg(env!("CARGO_BIN_EXE_azud"))
        .args(args)
        .arg("--json")
        .stdin(Stdio::null())
        .env("LC_ALL", "C");
    command
}

fn said(output: &Output) -> Result<Said> {
    Said::of(output)
}

/// Two computers, `a` and `b` where they see the directory that is `server` on the server.
fn two_computers(server: &Path, a: &Path, b: &Path) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let source = image(dir.path(), "win.img")?;
    let volume = dir.path().join("volume");
    let (here, there) = (a.join("win.img"), b.join("win.img"));
    done(&["image", "copy", text(&source), text(&here)])?;
    ensure!(fs::read(server.join("win.img"))? == fs::read(&source)?);

    // Signs of life arrive at the server, and others honour them.
    let named = ImageFile::parse(&here)?;
    let lease = Lease::take(&named, SystemTime::now())?;
    let lock = server.join("win.img.lock");
    let first = fs::metadata(&lock)?.modified()?;
    sleep(Duration::from_secs(18));
    ensure!(fs::metadata(&lock)?.modified()? > first, "no sign of life");
    let create = ["image", "create", text(&volume), text(&there)];
    let other = said(&on("pc2", &create).output()?)?;
    ensure!(other.refused()? == "image/locked", "{}", other.last());
    lease.confirm()?;
    drop(lease);
    ensure!(!lock.exists());

    // A computer that is gone: its lock lapses by the times that the server gives.
    let at_server = server.join("win.img");
    foreign_lock(&at_server, Duration::from_secs(40))?;
    let other = said(&on("pc2", &create).output()?)?;
    ensure!(other.refused()? == "image/locked", "{}", other.last());
    for round in 0..3 {
        foreign_lock(&at_server, Duration::from_mins(2))?;
        let start = |host, image: &Path| {
            let mut command = on(host, &["image", "create", text(&volume), text(image)]);
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
        };
        let (one, two) = (start("pc1", &here)?, start("pc2", &there)?);
        let both = [
            said(&one.wait_with_output()?)?,
            said(&two.wait_with_output()?)?,
        ];
        let won = both.iter().filter(|said| said.status == Some(0)).count();
        for said in both.iter().filter(|said| said.status != Some(0)) {
            ensure!(said.refused()? == "image/locked", "{}", said.last());
        }
        // Both, only if one came when the other was done.
        ensure!(won >= 1, "round {round}: nobody won");
        whole(&at_server)?;
        let left = names(server)?;
        let left = left.iter().filter(|name| {
            name.contains("lease") || name.contains("stage") || name.ends_with(".img.lock")
        });
        ensure!(left.count() == 0, "round {round}: {:?}", names(server)?);
    }
    Ok(())
}

/// Mounts a share twice, as two computers would.
fn twice(room: &Room, kind: &str, source: &str, options: &str) -> Result<(PathBuf, PathBuf)> {
    for name in ["one", "two"] {
        let at = room.path(name);
        fs::create_dir(&at)?;
        run("mount", &["-t", kind, "-o", options, source, text(&at)])?;
    }
    Ok((room.path("one"), room.path("two")))
}

#[test]
fn vm_two_computers_share_locks_over_nfs() -> Result<()> {
    if !in_vm() || !have(&["rpc.nfsd", "rpc.mountd", "exportfs", "mount.nfs", "unshare"]) {
        return Ok(());
    }
    let room = Room::new()?;
    nfs(&room)?;
    let source = [ADDRESS, ":/"].concat();
    let (one, two) = twice(&room, "nfs", &source, "vers=4.2,nosharecache")?;
    let export = room.path("export");
    let done = two_computers(
        &export.join("aula1"),
        &one.join("aula1"),
        &two.join("aula1"),
    );
    for at in [&one, &two] {
        run("umount", &[text(at)])?;
    }
    run("rpc.nfsd", &["0"])?;
    run("umount", &["--lazy", text(&export)])?;
    done
}

#[test]
fn vm_two_computers_share_locks_over_smb() -> Result<()> {
    if !in_vm() || !have(&["smbd", "smbpasswd", "mount.cifs", "unshare"]) {
        return Ok(());
    }
    let room = Room::new()?;
    let _server = samba(&room)?;
    let secret = room.path("secret");
    fs::write(&secret, "username=lab\npassword=gehe,im\n")?;
    let source = ["//", ADDRESS, "/ogimages"].concat();
    let options = format!("credentials={},nosharesock,cache=none", text(&secret));
    let (one, two) = twice(&room, "cifs", &source, &options)?;
    fs::remove_file(room.path("images/aula1/win.img"))?;
    let server = room.path("images/aula1");
    let done = two_computers(&server, &one.join("aula1"), &two.join("aula1"));
    for at in [&one, &two] {
        run("umount", &[text(at)]).context("unmounting")?;
    }
    done
}
