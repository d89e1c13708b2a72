//! The program where the kernel does not resolve names beneath a directory by itself: old ones answer `ENOSYS`, old
//! sandboxes `EPERM`. Nothing is forced: it has to notice.

mod kit;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Result, ensure};
use azud_testkit::sandbox::{Lacking, without_openat2};
use azud_testkit::tools::have;

use crate::kit::{Said, command, ext4, text};

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
