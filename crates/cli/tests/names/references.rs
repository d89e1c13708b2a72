//! References in commands.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Result, ensure};
use azud_testkit::tools::have;

use crate::kit::{self, text};
use crate::{MANAGER, Machine, OTHER, put};

#[test]
fn commands_take_images_by_place() -> Result<()> {
    if !have(&["mke2fs"]) {
        return Ok(());
    }
    let machine = Machine::client()?;
    let volume = machine.dir.path().join("volume");
    kit::ext4(&volume, 16, 4)?;
    let create = ["image", "create", text(&volume)];
    // The folders are made when the image is, not by looking.
    let dry = [&create[..], &["REPO:aula2/new/deb", "--dry-run"]].concat();
    machine.done(&dry)?;
    ensure!(!machine.repo().join("aula2").exists());
    let made = machine.done(&[&create[..], &["REPO:aula2/new/deb"]].concat())?;
    let image = machine.repo().join("aula2/new/deb.img");
    ensure!(made["image"] == text(&image), "{made}");
    // The cache grows the same folders.
    machine.done(
        &[
            &create[..],
            &["127.0.0.1:aula2/new/deb", "--base", "REPO:aula2/new/deb"],
        ]
        .concat(),
    )?;
    ensure!(machine.cache().join("aula2/new/deb.img").exists());
    let verified = machine.done(&["image", "verify", "cache:aula2/new/deb"])?;
    ensure!(verified["identity"].is_string(), "{verified}");
    let name = format!("{MANAGER}:aula2/new/deb.img");
    let info = machine.done(&["image", "info", &name])?;
    ensure!(info["identity"] == made["identity"], "{info}");
    let diff = machine.done(&["image", "diff", "repo:aula2/new/deb", "CACHE:aula2/new/deb"])?;
    ensure!(diff["new"]["frames"] == 0, "{diff}");
    let list = machine.done(&["image", "list", "REPO:aula2"])?;
    ensure!(list["images"][0]["path"] == "new/deb.img", "{list}");

    put_elsewhere(&machine, &volume)?;
    machine.done(&["image", "rm", "REPO:aula2/new/deb"])?;
    ensure!(!image.exists());
    let history = machine.done(&["image", "history", "REPO:aula2/new/deb"])?;
    ensure!(
        history["versions"][0]["identity"] == made["identity"],
        "{history}"
    );
    machine.done(&["image", "rollback", "REPO:aula2/new/deb"])?;
    ensure!(image.exists());
    Ok(())
}

/// Restores and converts what the test above made.
fn put_elsewhere(machine: &Machine, volume: &Path) -> Result<()> {
    let target = machine.dir.path().join("target");
    let image = "CACHE:aula2/new/deb";
    machine.done(&["image", "restore", image, text(&target), "--yes"])?;
    ensure!(fs::read(&target)? == fs::read(volume)?);
    let out = machine.dir.path().join("deb.pcl");
    machine.done(&["image", "export", image, text(&out), "--to", "partclone"])?;
    fs::copy(&out, machine.repo().join("aula1/old.img"))?;
    machine.done(&["image", "import", "REPO:aula1/old", "CACHE:aula1/from/old"])?;
    ensure!(machine.cache().join("aula1/from/old.img").exists());
    // What is written must be a path: nobody wants a file of this name here.
    let code = machine.refused(&["image", "export", image, "REPO:out", "--to", "raw"])?;
    ensure!(code == "image/bad-name", "{code}");
    let code = machine.refused(&["image", "restore", image, "REPO:out", "--yes"])?;
    ensure!(code == "disk/bad-name", "{code}");
    Ok(())
}

#[test]
fn bad_names_are_refused_and_nothing_is_made() -> Result<()> {
    let machine = Machine::client()?;
    let volume = machine.dir.path().join("volume");
    fs::write(&volume, [1; 4096])?;
    put(&machine.repo().join("aula1/Win.img"), "x")?;
    put(&machine.dir.path().join("out/secret.img"), "x")?;
    symlink(
        machine.dir.path().join("out"),
        machine.repo().join("planted"),
    )?;
    symlink("../../out/secret.img", machine.repo().join("aula1/up.img"))?;
    let long = format!("REPO:{}/x", "n".repeat(256));
    for (name, code) in [
        ("REPO:../x", "image/bad-name"),
        ("REPO:aula1/../../x", "image/bad-name"),
        ("REPO:", "image/bad-name"),
        ("REPO:aula1//x", "image/bad-name"),
        ("REPO:.hidden/x", "image/bad-name"),
        ("REPO:a\u{1b}b", "image/bad-name"),
        (long.as_str(), "image/bad-name"),
        ("REPO:10.0.0.1/x", "image/bad-name"),
        ("REPO:USB-x/x", "image/bad-name"),
        ("REPO:aula1/win", "image/case-twin"),
        ("REPO:Aula1/other", "image/case-twin"),
        ("REPO:planted/x", "image/outside"),
        ("REPO:planted/secret", "image/outside"),
        ("REPO:aula1/up", "image/outside"),
        ("no such host:x", "place/bad-name"),
        ("198.51.100.7:x", "place/not-mounted"),
        ("USB-none:x", "place/not-mounted"),
    ] {
        let found = machine.refused(&["image", "create", text(&volume), name])?;
        ensure!(found == code, "{name}: {found}");
        let found = machine.refused(&["image", "info", name])?;
        ensure!(found == code, "{name}: {found}");
    }
    ensure!(machine.refused(&["image", "info", "REPO:aula1/none"])? == "image/not-found");
    ensure!(kit::names(&machine.dir.path().join("out"))? == ["secret.img"]);
    ensure!(kit::names(&machine.repo())? == ["aula1", "planted"]);
    let lost = Machine::new("images", "")?;
    ensure!(lost.refused(&["image", "info", "REPO:x"])? == "place/no-manager");
    Ok(())
}

#[test]
fn devices_by_number_are_refused_when_they_are_not_there() -> Result<()> {
    let machine = Machine::client()?;
    for (device, code) in [
        ("99:1", "disk/not-a-device"),
        ("serial=none of ours:1", "disk/not-a-device"),
        ("0:1", "disk/bad-name"),
        ("serial=x", "disk/bad-name"),
    ] {
        let found = machine.refused(&["image", "create", device, "CACHE:x"])?;
        ensure!(found == code, "{device}: {found}");
    }
    Ok(())
}

#[test]
fn a_configuration_that_is_not_understood_stops_what_needs_it() -> Result<()> {
    let machine = Machine::client()?;
    let config = machine.dir.path().join("azud.toml");
    fs::write(&config, format!("{}rot = 1\n", machine.settings))?;
    ensure!(machine.refused(&["env"])? == "cli/bad-config");
    ensure!(machine.refused(&["image", "info", "REPO:x"])? == "cli/bad-config");
    // Plain paths need none.
    ensure!(machine.refused(&["image", "info", "./x"])? == "image/not-found");
    Ok(())
}

#[test]
fn a_copy_to_a_repository_alone_keeps_the_place() -> Result<()> {
    if !have(&["mke2fs"]) {
        return Ok(());
    }
    let machine = Machine::client()?;
    fs::create_dir_all(machine.root.join(OTHER).join("kept"))?;
    let volume = machine.dir.path().join("deb");
    kit::ext4(&volume, 16, 1)?;
    let repo = format!("{MANAGER}:aula1/deb");
    machine.done(&["image", "create", text(&volume), &repo])?;
    let to = format!("{OTHER}:");
    machine.done(&["image", "copy", &repo, &to])?;
    machine.done(&["image", "verify", &format!("{OTHER}:aula1/deb")])?;
    // A file of no repository has no folder to keep.
    let file = machine.repo().join("aula1/deb.img");
    machine.done(&["image", "copy", text(&file), &to])?;
    machine.done(&["image", "verify", &format!("{OTHER}:deb")])?;
    Ok(())
}
