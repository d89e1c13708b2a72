//! `kill -9` at random moments of creating and restoring leaves nothing half-made and nothing in the way.
//!
//! 10 moments each, 200 with `AZUD_SOAK`; `AZUD_SEED` repeats a run as far as time allows.

mod kit;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{have, have_root, run};
use kit::{Disk, Kills, azud, done, kill_after, picture_of, text, tidy, whole};

/// Size of the volume and of the noise on it, in MiB.
const SIZE: u64 = 128;
const NOISE: u64 = 100;

fn identity(image: &Path) -> Result<String> {
    let info = done(&["image", "info", text(image)])?;
    Ok(info["identity"].as_str().context("identity")?.to_owned())
}

#[test]
fn stress_a_killed_create_leaves_the_former_image_or_the_new_one() -> Result<()> {
    if !have(&["mke2fs", "md5sum"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let volume = dir.path().join("volume");
    kit::ext4(&volume, SIZE, NOISE)?;
    let images = dir.path().join("images");
    std::fs::create_dir(&images)?;
    let image = images.join("aula.img");
    let (volume, name) = (text(&volume), text(&image));
    let create = [
        "image",
        "create",
        volume,
        name,
        "--base",
        "none",
        "--keep-bytes",
        "0",
    ];
    done(&create)?;
    let begun = Instant::now();
    done(&create)?;

    let (mut kills, mut new) = (Kills::of(begun.elapsed(), 9), 0);
    while let Some((number, after)) = kills.next() {
        let former = identity(&image)?;
        let killed = kill_after(&create, after)?;
        kills.note(killed, killed);
        let case = || kills.case();
        // Readable at once, without any repair …
        let verified = azud(&["image", "verify", "--deep", name])?;
        verified.done().with_context(case)?;
        // … and the next who looks finishes or clears away what was begun.
        done(&["image", "list", text(&images)])?;
        let now = whole(&image).with_context(case)?;
        new += u64::from(now != former);
        ensure!(
            killed || now != former,
            "{}: it ended, but nothing is new",
            case()
        );
        tidy(&images).with_context(case)?;
        if number % 5 == 4 {
            done(&create).with_context(case)?;
            tidy(&images).with_context(case)?;
        }
    }
    println!("{new} were published");
    kills.judge("were running")?;
    done(&create)?;
    whole(&image)?;
    tidy(&images)
}

#[test]
fn loop_stress_a_killed_restore_never_looks_valid_and_goes_on() -> Result<()> {
    if !have(&["mke2fs", "e2fsck", "blkid", "b2sum"]) || !have_root() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    for volume in ["volume", "former"] {
        kit::ext4(&dir.join(volume), SIZE, NOISE)?;
    }
    let image = dir.join("aula.img");
    done(&["image", "create", text(&dir.join("volume")), text(&image)])?;
    let [wanted, was] =
        ["volume", "former"].map(|name| picture_of(&dir.join(name), None, "ro,loop"));
    let (wanted, was) = (wanted?, was?);
    std::fs::copy(dir.join("former"), dir.join("target"))?;
    let target = Disk::over(dir.join("target"))?;
    let restore = ["image", "restore", text(&image), target.name(), "--yes"];
    let begun = Instant::now();
    done(&restore)?;

    let mut kills = Kills::of(begun.elapsed(), 9);
    while let Some((_, after)) = kills.next() {
        kit::copy(&dir.join("former"), target.path())?;
        let former = target.hash()?;
        let killed = kill_after(&restore, after)?;
        let wiped = target.seen()?.is_none();
        kills.note(killed, wiped);
        let case = || kills.case();
        if !wiped && target.hash()? != former {
            // Within the wipe it has lost backups and is still what it was (restore-order.md).
            check(&target, &[&wanted, &was]).with_context(case)?;
        }
        let again = done(&[&restore[..], &["--changed-only", "--read-back"]].concat());
        again.with_context(case)?;
        check(&target, &[&wanted]).with_context(case)?;
    }
    kills.judge("left nothing to be seen")?;
    Ok(())
}

/// The disk is a sound file system with one of these trees.
fn check(target: &Disk, wanted: &[&azud_testkit::tree::Picture]) -> Result<()> {
    run("e2fsck", &["-fn", target.name()])?;
    let found = picture_of(target.path(), None, "ro")?;
    ensure!(wanted.contains(&&found), "other files than were captured");
    Ok(())
}
