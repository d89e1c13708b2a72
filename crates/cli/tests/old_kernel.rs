//! The program where the kernel does not resolve names beneath a directory by itself: old ones answer `ENOSYS`, old
//! sandboxes `EPERM`. And on the oldest kernel that it is for, Linux 4.19, without any system call that came later.
//! Nothing is forced: it has to notice.

mod kit;
#[allow(dead_code, reason = "only a part of it is needed here")]
#[path = "manager/server.rs"]
mod server;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Result, ensure};
use azud_testkit::sandbox::{Lacking, on_linux_4_19, without_openat2};
use azud_testkit::tools::{have, have_root};

use crate::kit::{Disk, Said, command, ext4, picture_of, text, whole};
use crate::server::Room;

const MIB: u64 = 1 << 20;

/// Runs the program in a root of the test's own, without `openat2`.
fn said(root: &Path, who: Lacking, args: &[&str]) -> Result<Said> {
    let mut command = command(args);
    let config = root.with_file_name("azud.toml");
    command.env("AZUD_ROOT", root).env("AZUD_CONFIG", config);
    Said::of(&without_openat2(&mut command, who)?)
}

#[test]
fn names_stay_beneath_their_repository_without_openat2() -> Result<()> {
    if !have(&["mke2fs"]) {
        return Ok(());
    }
    for who in [Lacking::Kernel, Lacking::Sandbox] {
        let dir = tempfile::tempdir()?;
        let root = dir.path().join("root");
        let tree = root.join("10.0.0.9");
        fs::create_dir_all(tree.join("aula1"))?;
        fs::write(dir.path().join("azud.toml"), "")?;
        let volume = dir.path().join("volume");
        ext4(&volume, 16, 1)?;
        let run = |args: &[&str]| said(&root, who, args);

        // The filter is at work: the program itself says so.
        let told = run(&["doctor"])?.lines[0].to_string();
        ensure!(told.contains("\"no-openat2\""), "{told}");

        let made = run(&["image", "create", text(&volume), "10.0.0.9:aula1/deb"])?;
        made.done()?;
        run(&["image", "create", text(&volume), "10.0.0.9:new/deep/deb"])?.done()?;
        symlink("aula1/deb.img", tree.join("inside.img"))?;
        symlink(dir.path(), tree.join("out"))?;
        symlink("../../volume", tree.join("up.img"))?;
        for image in ["aula1/deb", "new/deep/deb", "inside"] {
            run(&["image", "verify", &format!("10.0.0.9:{image}")])?.done()?;
        }
        let listed = run(&["image", "list", "10.0.0.9:new"])?;
        ensure!(listed.done()?["images"][0]["path"] == "deep/deb.img");
        for refused in [
            &["image", "info", "10.0.0.9:up"][..],
            &["image", "list", "10.0.0.9:out"],
        ] {
            ensure!(run(refused)?.refused()? == "image/outside", "{refused:?}");
        }
        let twin = run(&["image", "info", "10.0.0.9:AULA1/deb"])?;
        ensure!(twin.refused()? == "image/case-twin");
        let planted = ["image", "create", text(&volume), "10.0.0.9:out/planted"];
        ensure!(run(&planted)?.refused()? == "image/outside");
        ensure!(!dir.path().join("planted.img").exists());
    }
    Ok(())
}

#[test]
fn loop_a_client_and_its_manager_do_their_work_on_linux_4_19() -> Result<()> {
    if !have_root() || !have(&["mke2fs", "losetup", "mount"]) {
        return Ok(());
    }
    on_linux_4_19(work)
}

/// From one disk to the manager, and by way of the cache to others.
fn work() -> Result<()> {
    let room = Room::new()?;
    let told = room.run(&["doctor"])?.lines[0].to_string();
    ensure!(told.contains("\"no-openat2\""), "no filter: {told}");
    let file = |name: &str| room.dir().join(name);
    ext4(&file("volume"), 48, 12)?;
    let source = Disk::over(file("volume"))?;
    let seen = picture_of(source.path(), Some("ext4"), "ro")?;
    let image = room.images().join("aula1/deb.img");
    fs::create_dir(room.images().join("aula1"))?;
    room.done(&["image", "create", source.name(), text(&image), "--yes"])?;
    let identity = whole(&image)?;

    let second = Disk::poisoned(file("second"), 48 * MIB)?;
    let restore = ["image", "restore", text(&image), second.name(), "--yes"];
    room.done(&[&restore[..], &["--read-back"]].concat())?;
    ensure!(picture_of(second.path(), Some("ext4"), "ro")? == seen);
    let again = room.done(&[&restore[..], &["--changed-only"]].concat())?;
    ensure!(again["written"] == 0, "{again}");

    let manager = room.serve()?;
    room.know_as(&manager, "write")?;
    let cache = file("cache");
    let cached = cache.join("aula1/deb.img");
    fs::create_dir_all(cache.join("aula1"))?;
    let from = ["--from", "REPO:aula1/deb", "--yes"];
    room.done(&[&["cache", "update", text(&cached)], &from[..]].concat())?;
    ensure!(whole(&cached)? == identity);
    let third = Disk::poisoned(file("third"), 48 * MIB)?;
    let deploy = ["deploy", "REPO:aula1/deb", third.name()];
    room.done(&[&deploy[..], &["--cache", text(&cache), "--yes"]].concat())?;
    ensure!(picture_of(third.path(), Some("ext4"), "ro")? == seen);
    room.done(&["image", "create", third.name(), "REPO:sent", "--yes"])?;
    room.done(&["image", "verify", "--deep", "REPO:sent"])?;
    Ok(())
}
