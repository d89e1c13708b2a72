//! Damage that is found in an image of the cache while it is read for something else is remembered.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use azud_testkit::tools::{have, sh};

use crate::kit::{azud, done, ext4, text};
use crate::remains::spoil;
use crate::{cache, listed};

/// A sound image in a cache, checked and then damaged by its medium.
fn spoilt(dir: &Path) -> Result<()> {
    let (volume, image) = (dir.join("volume"), dir.join("cache/aula/old.img"));
    fs::create_dir_all(dir.join("cache/aula"))?;
    ext4(&volume, 32, 16)?;
    done(&["image", "create", text(&volume), text(&image)])?;
    fs::copy(&image, dir.join("sound.img"))?;
    cache(&dir.join("cache"), "verify", &[])?;
    spoil(&image)?;
    ensure!(is_sound(dir)?, "the spoilt file has another stamp");
    Ok(())
}

fn is_sound(dir: &Path) -> Result<bool> {
    let verified = &listed(&dir.join("cache"), "aula/old.img")?["verified"];
    let bad = verified["bad"].as_array().map_or(0, Vec::len);
    ensure!((verified["sound"] == true) == (bad == 0), "{verified}");
    Ok(bad == 0)
}

#[test]
fn of_the_source_of_a_copy() -> Result<()> {
    if !have(&["mke2fs", "md5sum"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    spoilt(dir.path())?;
    let image = dir.path().join("cache/aula/old.img");
    let copy = dir.path().join("elsewhere/copy.img");
    fs::create_dir(dir.path().join("elsewhere"))?;
    let said = azud(&["image", "copy", text(&image), text(&copy)])?;
    ensure!(said.refused()? == "image/corrupt", "{}", said.last());
    ensure!(!is_sound(dir.path())?);
    // It is the one frame that a check finds, too.
    let found = listed(&dir.path().join("cache"), "aula/old.img")?["verified"]["bad"].clone();
    let said = azud(&[
        "cache",
        "verify",
        "--cache",
        text(&dir.path().join("cache")),
    ])?;
    ensure!(said.refused()? == "image/corrupt");
    let checked = listed(&dir.path().join("cache"), "aula/old.img")?["verified"]["bad"].clone();
    ensure!(found == checked, "{found} and {checked}");
    Ok(())
}

#[test]
fn of_a_neighbour_that_gives_its_frames() -> Result<()> {
    if !have(&["mke2fs", "md5sum", "debugfs", "e2fsck"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    spoilt(dir.path())?;
    let (volume, newer) = (dir.path().join("volume"), dir.path().join("newer.img"));
    let change = r#"echo new > "$1.piece"; printf 'write %s a/new\n' "$1.piece" > "$1.do"
debugfs -w -f "$1.do" "$1"; e2fsck -fy "$1" || test $? -eq 1"#;
    sh(change, &[text(&volume)])?;
    let sound = dir.path().join("sound.img");
    let base = ["--base", text(&sound)];
    done(&[&["image", "create", text(&volume), text(&newer)], &base[..]].concat())?;
    let image = dir.path().join("cache/aula/new.img");
    let told = done(&["cache", "update", text(&image), "--from", text(&newer)])?;
    ensure!(told["damaged"].as_u64() > Some(0), "{told}");
    ensure!(fs::read(&image)? == fs::read(&newer)?);
    ensure!(!is_sound(dir.path())?);
    Ok(())
}
