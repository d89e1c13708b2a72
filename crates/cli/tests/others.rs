//! Images of other programs: damage is not passed on as if it were none, and they are not written over.

mod kit;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use azud_testkit::tools::{have, have_root, run, sh};
use kit::{Disk, Said, azud, done, refused, text};

const TOOLS: [&str; 4] = ["mke2fs", "partclone.extfs", "gzip", "md5sum"];
/// A volume, and partclone's image of it without checksums, with the sum that OpenGnsys puts beside.
const MAKE: &str = r#"cd "$1"; mkdir tree; seq 90000 > tree/seq; truncate -s 24M ext; mke2fs -q -F -t ext4 -d tree ext
partclone.extfs -a 0 -c -s ext -o a0.img 2> /dev/null; md5sum < a0.img | cut -c1-32 > a0.img.full.sum
partclone.extfs -c -s ext -o - 2> /dev/null | gzip -c > gz.img"#;

fn made() -> Result<Option<tempfile::TempDir>> {
    if !have(&TOOLS) {
        return Ok(None);
    }
    let dir = tempfile::tempdir()?;
    sh(MAKE, &[text(dir.path())])?;
    Ok(Some(dir))
}

/// Another byte in the middle of the content.
fn damage(image: &Path) -> Result<()> {
    let mut bytes = fs::read(image)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    Ok(fs::write(image, bytes)?)
}

fn beside(image: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", image.display()))
}

#[test]
fn an_image_that_is_not_what_its_sum_says_is_not_passed_on() -> Result<()> {
    let Some(dir) = made()? else { return Ok(()) };
    let image = dir.path().join("a0.img");
    damage(&image)?;
    let (copy, native) = (dir.path().join("copy.img"), dir.path().join("native.img"));
    let ways: [&[&str]; 4] = [
        &["image", "copy", text(&image), text(&copy), "--yes"],
        &["image", "copy", text(&image), text(&copy), "--dry-run"],
        &["cache", "update", text(&copy), "--from", text(&image)],
        &["image", "import", text(&image), text(&native), "--yes"],
    ];
    for way in ways {
        ensure!(refused(way)? == "image/corrupt", "{way:?}");
        ensure!(!copy.exists() && !native.exists(), "{way:?} left something");
    }
    // Without the sum nobody can tell; then that is what is said.
    fs::remove_file(beside(&image, ".full.sum"))?;
    let said = azud(ways[3])?;
    said.done()?;
    ensure!(said.warned() == ["imports-no-sums"], "{:?}", said.warned());
    done(ways[0])?;
    Ok(())
}

#[test]
fn an_image_that_somebody_writes_is_not_copied() -> Result<()> {
    let Some(dir) = made()? else { return Ok(()) };
    let (image, copy) = (dir.path().join("gz.img"), dir.path().join("copy.img"));
    fs::write(beside(&image, ".lock"), "")?;
    for way in [
        &["image", "copy", text(&image), text(&copy), "--yes"][..],
        &["cache", "update", text(&copy), "--from", text(&image)],
    ] {
        ensure!(refused(way)? == "image/locked", "{way:?}");
        ensure!(!copy.exists(), "{way:?} left something");
    }
    Ok(())
}

#[test]
fn a_cached_image_is_checked_by_what_it_holds_too() -> Result<()> {
    let Some(dir) = made()? else { return Ok(()) };
    let cache = dir.path().join("cache");
    fs::create_dir(&cache)?;
    // Damaged before it was summed, as a copy of a damaged image is.
    let image = cache.join("gz.img");
    let bytes = fs::read(dir.path().join("gz.img"))?;
    fs::write(&image, &bytes[..bytes.len() * 3 / 4])?;
    sh(
        "md5sum < \"$1\" | cut -c1-32 > \"$1.full.sum\"",
        &[text(&image)],
    )?;
    let said = azud(&["cache", "verify", "--cache", text(&cache)])?;
    ensure!(said.refused()? == "image/corrupt", "{}", said.last());
    fs::write(&image, &bytes)?;
    fs::remove_file(beside(&image, ".full.sum"))?;
    let verified = done(&["cache", "verify", "--cache", text(&cache)])?;
    ensure!(verified["images"][0]["state"] == "sound", "{verified}");
    Ok(())
}

#[test]
fn what_cannot_be_checked_is_not_said_to_be_checked_first() -> Result<()> {
    let Some(dir) = made()? else { return Ok(()) };
    let plan = |image: &str| -> Result<Said> {
        let (image, target) = (dir.path().join(image), dir.path().join("target"));
        let restore = ["image", "restore", text(&image), text(&target)];
        azud(&[&restore[..], &["--verify-first", "--dry-run"]].concat())
    };
    let row = |said: &Said| said.plan()["rows"]["image_check"].clone();
    let summed = plan("gz.img")?;
    ensure!(row(&summed) == "first" && !summed.warned().contains(&"no-sums"));
    let told = plan("a0.img")?;
    ensure!(row(&told) == "first" && !told.warned().contains(&"no-sums"));
    fs::remove_file(dir.path().join("a0.img.full.sum"))?;
    let bare = plan("a0.img")?;
    ensure!(row(&bare) == "first-no-sums", "{}", bare.plan());
    ensure!(bare.warned().contains(&"no-sums"), "{:?}", bare.warned());
    Ok(())
}

#[test]
fn no_image_and_nothing_beside_one_is_written_over() -> Result<()> {
    let Some(dir) = made()? else { return Ok(()) };
    let native = dir.path().join("native.img");
    done(&[
        "image",
        "create",
        text(&dir.path().join("ext")),
        text(&native),
    ])?;
    for name in ["a0.img", "gz.img", "a0.img.full.sum", "native.img.sum"] {
        let target = dir.path().join(name);
        let before = fs::read(&target)?;
        for way in [
            &["image", "restore", text(&native), text(&target), "--yes"][..],
            &["deploy", text(&native), text(&target), "--yes"],
            &[
                "image",
                "export",
                text(&native),
                text(&target),
                "--to",
                "raw",
                "--yes",
            ],
        ] {
            ensure!(refused(way)? == "disk/target-is-image", "{way:?}");
            ensure!(fs::read(&target)? == before, "{way:?} changed {name}");
        }
    }
    // A disk, or a volume, as it lies is what targets are.
    let volume = dir.path().join("ext");
    done(&["image", "restore", text(&native), text(&volume), "--yes"])?;
    Ok(())
}

#[test]
fn loop_a_plan_refuses_the_targets_that_the_run_refuses() -> Result<()> {
    if !have(&["mke2fs", "losetup"]) || !have_root() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let (volume, image) = (dir.path().join("volume"), dir.path().join("a.img"));
    kit::ext4(&volume, 16, 4)?;
    done(&["image", "create", text(&volume), text(&image)])?;
    let refuse = |options: &[&str], code: &str| -> Result<()> {
        let disk = Disk::over(volume.clone())?;
        let found = sh(
            "losetup --find --show \"$@\"",
            &[options, &[disk.name()][..]].concat(),
        )?;
        let device = String::from_utf8(found.stdout)?.trim().to_owned();
        let restore = ["image", "restore", text(&image), &device];
        let planned = refused(&[&restore[..], &["--dry-run"]].concat());
        let done = refused(&[&restore[..], &["--yes"]].concat());
        run("losetup", &["--detach", &device])?;
        ensure!(planned? == code && done? == code, "{options:?}");
        Ok(())
    };
    refuse(&["--read-only"], "disk/read-only")?;
    // The kernel mounts no ext4 whose blocks are shorter than sectors.
    refuse(&["--sector-size", "4096"], "disk/sector-size")
}
