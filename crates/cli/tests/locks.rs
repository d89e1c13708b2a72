//! Locks with an owner: two who want one image, owners that died, stock tools that look on.

mod kit;

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::have;
use kit::{azud, command, done, names, text};

/// Starts a capture that takes a while, and waits until it has its lock.
fn start(volume: &Path, image: &Path) -> Result<Child> {
    let args = [
        "image",
        "create",
        text(volume),
        text(image),
        "--level",
        "19",
    ];
    let mut create = command(&args);
    let mut child = create.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let lock = image.with_extension("img.lock");
    let begun = Instant::now();
    while !lock.exists() {
        ensure!(child.try_wait()?.is_none(), "it ended before it was locked");
        ensure!(begun.elapsed() < Duration::from_mins(1), "no lock appears");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(child)
}

#[test]
fn stress_one_of_two_wins_and_the_other_is_told() -> Result<()> {
    if !have(&["mke2fs"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let (volume, image) = (dir.path().join("volume"), dir.path().join("aula.img"));
    kit::ext4(&volume, 160, 120)?;
    let mut first = start(&volume, &image)?;
    let create = ["image", "create", text(&volume), text(&image)];
    let said = azud(&create)?;
    ensure!(first.try_wait()?.is_none(), "too quick to prove anything");
    ensure!(said.refused()? == "image/locked", "{}", said.last());
    let message = said.last().to_string();
    let pid = first.id().to_string();
    ensure!(
        message.contains(&format!("process {pid}, since 20")),
        "{message}"
    );
    // What shows an image that is being written says so as well.
    let rm = azud(&["image", "rm", text(&image)])?;
    ensure!(rm.refused()? == "image/locked", "{}", rm.last());
    let export = [
        "image",
        "export",
        text(&image),
        text(&image),
        "--to",
        "raw",
        "--yes",
    ];
    ensure!(azud(&export)?.refused().is_ok());
    ensure!(first.wait()?.success());
    done(&["image", "verify", text(&image)])?;
    ensure!(!names(dir.path())?.contains(&"aula.img.lock".to_owned()));
    done(&create)?;
    Ok(())
}

#[test]
fn stress_a_killed_owner_is_in_nobodys_way() -> Result<()> {
    if !have(&["mke2fs"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let images = dir.path().join("images");
    fs::create_dir(&images)?;
    let (volume, image) = (dir.path().join("volume"), images.join("aula.img"));
    kit::ext4(&volume, 64, 40)?;
    let lock = images.join("aula.img.lock");
    for _ in 0..3 {
        let mut child = start(&volume, &image)?;
        child.kill()?;
        child.wait()?;
        ensure!(lock.exists(), "a kill leaves the lock");
        let list = done(&["image", "list", text(&images)])?;
        let none = list["images"].as_array().is_none_or(Vec::is_empty);
        ensure!(none || list["images"][0]["lock"].is_null(), "{list}");
        done(&[
            "image",
            "create",
            text(&volume),
            text(&image),
            "--keep-bytes",
            "0",
        ])?;
        kit::tidy(&images)?;
    }
    Ok(())
}

#[test]
fn stock_locks_stop_writers_until_they_are_old() -> Result<()> {
    if !have(&["mke2fs", "touch"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let (volume, image) = (dir.path().join("volume"), dir.path().join("aula.img"));
    kit::ext4(&volume, 16, 1)?;
    let lock = dir.path().join("aula.img.lock");
    let create = ["image", "create", text(&volume), text(&image)];
    fs::write(&lock, "")?;
    let said = azud(&create)?;
    ensure!(said.refused()? == "image/locked", "{}", said.last());
    let hint = said.last().to_string();
    ensure!(hint.contains("rm '"), "it says how to go on: {hint}");
    ensure!(!image.exists());
    azud_testkit::tools::run("touch", &["-d", "2 days ago", text(&lock)])?;
    done(&create)?;
    ensure!(!lock.exists());
    fs::write(&lock, "mounted\n")?;
    azud_testkit::tools::run("touch", &["-d", "2 days ago", text(&lock)])?;
    ensure!(azud(&create)?.refused()? == "image/locked", "however old");
    let left = fs::read_to_string(&lock).context("the lock stays")?;
    ensure!(left == "mounted\n");
    Ok(())
}
