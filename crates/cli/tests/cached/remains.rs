//! What a copy or update that was broken off leaves goes when somebody says so, and when the present version is wanted
//! again.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use azud_core::name::ImageFile;
use azud_store::lease::Lease;
use azud_testkit::tools::have;

use crate::half::{Scene, TOOLS};
use crate::kit::{Said, azud, command, done, ext4, names, refused, text, whole};

/// Spoils a byte in the middle of an image; its times stay, as where a medium loses it.
pub(crate) fn spoil(image: &Path) -> Result<()> {
    let file = fs::File::options().read(true).write(true).open(image)?;
    let meta = file.metadata()?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, meta.len() / 2)?;
    file.write_all_at(&[byte[0] ^ 1], meta.len() / 2)?;
    let times = fs::FileTimes::new();
    let times = times.set_modified(meta.modified()?);
    file.set_times(times.set_accessed(meta.accessed()?))?;
    Ok(file.sync_all()?)
}

/// Names of assemblies in a folder.
fn assemblies(dir: &Path) -> Result<Vec<String>> {
    let mut names = names(dir)?;
    names.retain(|name| name.starts_with(".azud-assembly-"));
    Ok(names)
}

/// A native image that is damaged.
fn damaged(dir: &Path) -> Result<PathBuf> {
    let (volume, image) = (dir.join("volume"), dir.join("bad.img"));
    ext4(&volume, 32, 16)?;
    done(&["image", "create", text(&volume), text(&image)])?;
    spoil(&image)?;
    Ok(image)
}

#[test]
fn what_a_damaged_source_left_goes_as_doctor_says() -> Result<()> {
    if !have(&["mke2fs"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let bad = damaged(dir.path())?;
    let root = fs::canonicalize(dir.path())?.join("images");
    let tree = root.join("203.0.113.1/aula d'1");
    fs::create_dir_all(&tree)?;
    fs::write(
        dir.path().join("azud.toml"),
        format!("root = '{}'\nmanager = '203.0.113.1'\n", text(&root)),
    )?;
    let copy = tree.join("copy.img");
    for _ in 0..2 {
        // Again helps nothing: the source is damaged.
        ensure!(refused(&["image", "copy", text(&bad), text(&copy)])? == "image/corrupt");
        ensure!(assemblies(&tree)?.len() == 1);
    }
    let mut doctor = command(&["doctor"]);
    doctor.env("AZUD_CONFIG", dir.path().join("azud.toml"));
    let said = Said::of(&doctor.output()?)?;
    let findings = said.result()["findings"].as_array().context("findings")?;
    let ours = findings
        .iter()
        .find(|one| one["finding"] == "stage-broken-off" && one.to_string().contains("copy.img"));
    let remedy = ours.context("no finding")?["remedy"].as_str();
    let remedy = remedy.context("no remedy")?;
    let line = remedy
        .lines()
        .find_map(|line| line.split("sudo azud image rm --unfinished ").nth(1));
    let named = line.with_context(|| remedy.to_owned())?;
    // As a shell reads it.
    let named = azud_testkit::tools::sh(&format!("printf %s {named}"), &[])?;
    let named = String::from_utf8(named.stdout)?;
    ensure!(named == text(&copy), "{named}");

    let clear = ["image", "rm", "--unfinished", &named];
    let plan = azud(&[&clear[..], &["--dry-run"]].concat())?;
    plan.done()?;
    ensure!(
        plan.plan()["rows"]["remains"].as_u64() > Some(0),
        "{}",
        plan.plan()
    );
    ensure!(assemblies(&tree)?.len() == 1, "it was a dry run");
    done(&clear)?;
    ensure!(names(&tree)?.is_empty(), "{:?}", names(&tree)?);
    ensure!(refused(&clear)? == "image/not-found");
    Ok(())
}

#[test]
fn an_update_back_to_the_present_version_leaves_nothing() -> Result<()> {
    if !have(&TOOLS) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let bad = damaged(dir.path())?;
    let (present, image) = (dir.path().join("present"), dir.path().join("cache/a.img"));
    crate::foreign(dir.path(), "present", 1, 50_000)?;
    fs::create_dir(dir.path().join("cache"))?;
    let update = |from: &Path| azud(&["cache", "update", text(&image), "--from", text(from)]);
    update(&present)?.done()?;
    ensure!(update(&bad)?.refused()? == "image/corrupt");
    let cache = dir.path().join("cache");
    ensure!(assemblies(&cache)?.len() == 1);
    let back = update(&present)?;
    ensure!(back.done()?["way"] == "nothing", "{}", back.last());
    ensure!(assemblies(&cache)?.is_empty(), "{:?}", names(&cache)?);
    ensure!(fs::read(&image)? == fs::read(&present)?);
    Ok(())
}

/// Parts of the present version lie in what was begun: they go back first.
#[test]
fn an_update_back_takes_back_what_had_moved() -> Result<()> {
    if !have(&TOOLS) {
        return Ok(());
    }
    let scene = Scene::new()?;
    let (image, older) = (scene.image(), scene.older());
    done(&["cache", "update", text(&image), "--from", text(&older)])?;
    let dir = image.parent().context("a folder")?;
    ensure!(assemblies(dir)?.is_empty(), "{:?}", names(dir)?);
    ensure!(fs::read(&image)? == fs::read(&older)?, "other bytes");
    whole(&image)?;
    Ok(())
}

/// Everything that lies in a folder, but for what is assembled.
fn picture(dir: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut names = names(dir)?;
    names.retain(|name| !name.starts_with('.'));
    let files = names.into_iter();
    files
        .map(|name| Ok((name.clone(), fs::read(dir.join(name))?)))
        .collect()
}

#[test]
fn what_was_left_unfinished_goes_and_the_image_stays() -> Result<()> {
    if !have(&TOOLS) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let bad = damaged(dir.path())?;
    let folder = dir.path().join("cache");
    fs::create_dir(&folder)?;
    let (volume, image) = (dir.path().join("good"), folder.join("a.img"));
    ext4(&volume, 32, 12)?;
    done(&["image", "create", text(&volume), text(&image)])?;
    let before = picture(&folder)?;
    let clear = ["image", "rm", "--unfinished", text(&image)];
    ensure!(done(&clear)?["remains"].is_null(), "there was nothing yet");
    let update = ["cache", "update", text(&image), "--from", text(&bad)];
    ensure!(refused(&update)? == "image/corrupt");
    let left = assemblies(&folder)?;
    ensure!(left.len() == 1, "{left:?}");

    // Somebody is at work: this very process.
    let work = Lease::take(&ImageFile::parse(&image)?, SystemTime::now())?;
    ensure!(refused(&clear)? == "image/locked");
    ensure!(assemblies(&folder)? == left);
    drop(work);

    let plan = azud(&[&clear[..], &["--dry-run"]].concat())?;
    plan.done()?;
    let rows = &plan.plan()["rows"];
    ensure!(rows["remains"].as_u64() > Some(0), "{rows}");
    ensure!(rows["file-size"].is_null(), "the image is no part: {rows}");
    ensure!(assemblies(&folder)? == left, "it was a dry run");
    let said = done(&clear)?;
    ensure!(said["trash"].is_null() && said["remains"] == rows["remains"]);
    ensure!(assemblies(&folder)?.is_empty(), "{:?}", names(&folder)?);
    ensure!(picture(&folder)? == before, "the image was touched");
    whole(&image)?;
    Ok(())
}

#[test]
fn a_half_moved_image_is_not_left_unfinished() -> Result<()> {
    if !have(&TOOLS) {
        return Ok(());
    }
    let scene = Scene::new()?;
    let image = scene.image();
    let dir = image.parent().context("a folder")?;
    let (left, before) = (assemblies(dir)?, fs::read(&image)?);
    for step in ["--dry-run", "--yes"] {
        let clear = ["image", "rm", "--unfinished", text(&image), step];
        ensure!(refused(&clear)? == "store/half-moved");
    }
    ensure!(assemblies(dir)? == left && fs::read(&image)? == before);
    Ok(())
}
