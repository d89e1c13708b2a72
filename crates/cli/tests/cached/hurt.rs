//! Damage that is found in an image of the cache while it is read for something else is remembered.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use azud_testkit::forgetful::{Forgetful, Medium};
use azud_testkit::tools::{have, have_root, sh};

use crate::kit::{azud, done, ext4, text};
use crate::remains::spoil;
use crate::{cache, listed};

const MIB: u64 = 1 << 20;

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

/// So many pieces are damaged where one page cannot be read: the border of two may lie in it.
const OF_A_PAGE: std::ops::RangeInclusive<usize> = 1..=2;

/// A cache whose medium cannot read one of its sectors any more, and the same image elsewhere.
fn unreadable(dir: &Path) -> Result<(Forgetful, std::path::PathBuf)> {
    let medium = Forgetful::mount(Medium::new())?;
    let (volume, sound) = (dir.join("volume"), dir.join("old.img"));
    ext4(&volume, 32, 16)?;
    done(&["image", "create", text(&volume), text(&sound)])?;
    let image = medium.path().join("old.img");
    done(&["image", "copy", text(&sound), text(&image)])?;
    cache(medium.path(), "verify", &[])?;
    medium.lose(8 * MIB..8 * MIB + 4096);
    ensure!(fs::read(&image).is_err(), "it can be read");
    Ok((medium, sound))
}

/// What is known to be damaged of the image there.
fn bad(medium: &Forgetful) -> Result<usize> {
    let verified = &listed(medium.path(), "old.img")?["verified"];
    let bad = verified["bad"].as_array().map_or(0, Vec::len);
    ensure!((verified["sound"] == true) == (bad == 0), "{verified}");
    Ok(bad)
}

#[test]
fn of_one_that_is_restored_and_has_a_bad_sector() -> Result<()> {
    if !(have(&["mke2fs", "md5sum"]) && have_root()) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let (medium, sound) = unreadable(dir.path())?;
    ensure!(bad(&medium)? == 0);
    let disk = dir.path().join("disk");
    let deploy = ["deploy", text(&sound), text(&disk), "--cache"];
    let told = done(&[&deploy[..], &[text(medium.path()), "--yes"]].concat())?;
    let fetched = told["from_source"].as_u64();
    ensure!(told["way"] == "nothing" && fetched > Some(0), "{told}");
    ensure!(fs::read(&disk)? == fs::read(dir.path().join("volume"))?);
    ensure!(OF_A_PAGE.contains(&bad(&medium)?), "of one page");
    // What is known to be damaged is fetched.
    medium.lose(0..0);
    let image = medium.path().join("old.img");
    let update = ["cache", "update", text(&image), "--from", text(&sound)];
    let told = done(&[&update[..], &["--yes"]].concat())?;
    ensure!(told["way"] != "nothing", "{told}");
    cache(medium.path(), "verify", &[])?;
    ensure!(bad(&medium)? == 0);
    Ok(())
}

#[test]
fn of_a_neighbour_that_has_a_bad_sector() -> Result<()> {
    if !(have(&["mke2fs", "md5sum"]) && have_root()) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let (medium, sound) = unreadable(dir.path())?;
    let image = medium.path().join("new.img");
    let update = ["cache", "update", text(&image), "--from", text(&sound)];
    let told = done(&[&update[..], &["--yes"]].concat())?;
    let bad = bad(&medium)?;
    ensure!(told["damaged"] == bad && OF_A_PAGE.contains(&bad), "{told}");
    Ok(())
}
