//! Sources that are not clean or change, and folders that are full.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use azud_testkit::loops::Mount;
use azud_testkit::tools::{have, run, sh};

use crate::kit::{
    self, Disk, Said, azud, command, done, in_mount, names, refused, text, tidy, whole,
};
use crate::{Fixture, SIZE, ready, restore};

#[test]
fn loop_a_dirty_volume_is_refused_or_captured_whole() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let all = Fixture::new()?;
    let disk = all.target()?;
    let mount = Mount::new(disk.path(), None, "")?;
    fs::write(mount.path().join("new"), vec![7; 900_000])?;
    run("sync", &["-f", text(mount.path())])?;
    let crashed = all.path("crashed");
    kit::copy(disk.path(), &crashed)?;
    mount.unmount()?;

    let source = Disk::over(crashed)?;
    let image = all.path("images/dirty.img");
    let create = ["image", "create", source.name(), text(&image)];
    let said = azud(&create)?;
    ensure!(said.refused()? == "fs/dirty", "{}", said.last());
    let hint = said.last()["error"]["hint"].as_str().context("hint")?;
    ensure!(hint.contains("e2fsck"), "{hint}");
    ensure!(
        names(&all.path("images"))?
            .iter()
            .all(|name| !name.starts_with("dirty"))
    );

    let said = azud(&[&create[..], &["--dirty", "raw"]].concat())?;
    said.done()?;
    ensure!(said.warned().contains(&"dirty-raw"), "{:?}", said.warned());
    ensure!(said.plan()["rows"]["engine"] == "raw");
    let info = done(&["image", "info", text(&image)])?;
    ensure!(
        info["facts"]["dirty"]
            .as_str()
            .is_some_and(|why| why.contains("ext4")),
        "{info}"
    );
    let target = Disk::poisoned(all.path("other"), SIZE << 20)?;
    let said = azud(&restore(text(&image), target.name()))?;
    said.done()?;
    ensure!(said.warned().contains(&"dirty-raw"), "{:?}", said.warned());
    run("cmp", &[source.name(), target.name()])?;
    // Its journal is replayed as the source's would be.
    in_mount(
        target.path(),
        None,
        "test $(stat -c %s \"$1/new\") = 900000",
    )?;
    run("e2fsck", &["-fn", target.name()])?;
    Ok(())
}

#[test]
fn loop_a_hibernated_windows_is_refused_or_captured_whole() -> Result<()> {
    if !ready() || !have(&["mkntfs", "ntfs-3g"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let source = Disk::blank(dir.path().join("ntfs"), SIZE << 20)?;
    run("mkntfs", &["-q", "-F", "-Q", source.name()])?;
    let sleep = "{ printf hibr; head -c 200000 /dev/urandom; } > \"$1/hiberfil.sys\"";
    in_mount(source.path(), Some("ntfs-3g"), sleep)?;
    let image = dir.path().join("windows.img");
    let create = ["image", "create", source.name(), text(&image)];
    let said = azud(&create)?;
    ensure!(said.refused()? == "fs/hibernated", "{}", said.last());
    let hint = said.last()["error"]["hint"].as_str().context("hint")?;
    ensure!(
        hint.contains("powercfg") || hint.contains("shutdown"),
        "{hint}"
    );
    ensure!(names(dir.path())? == ["ntfs"], "{:?}", names(dir.path())?);

    done(&[&create[..], &["--dirty", "raw"]].concat())?;
    let target = Disk::poisoned(dir.path().join("target"), SIZE << 20)?;
    done(&restore(text(&image), target.name()))?;
    run("cmp", &[source.name(), target.name()])?;
    Ok(())
}

/// Starts a slow capture of `volume` and calls `meddle` as soon as it has begun to write.
fn meddle_while(
    volume: &Path,
    image: &Path,
    meddle: impl FnOnce(&File) -> std::io::Result<()>,
) -> Result<String> {
    let args = [
        "image",
        "create",
        text(volume),
        text(image),
        "--level",
        "19",
        "--base",
        "none",
    ];
    let child = command(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let dir = image.parent().context("a folder")?;
    let begun = Instant::now();
    while !names(dir)?
        .iter()
        .any(|name| name.starts_with(".azud-stage-"))
    {
        ensure!(
            begun.elapsed() < Duration::from_mins(1),
            "it does not begin"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    meddle(&File::options().write(true).open(volume)?)?;
    let said = Said::of(&child.wait_with_output()?)?;
    Ok(said.refused()?.to_owned())
}

#[test]
fn a_source_that_changes_while_it_is_read_is_not_published() -> Result<()> {
    if !have(&["mke2fs", "md5sum"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let volume = dir.path().join("volume");
    kit::ext4(&volume, 64, 8)?;
    let images = dir.path().join("images");
    fs::create_dir(&images)?;
    let image = images.join("aula.img");
    done(&["image", "create", text(&volume), text(&image)])?;
    let former = whole(&image)?;
    let code = meddle_while(&volume, &image, |file| {
        file.write_all_at(b"changed", 50 << 20)
    })?;
    ensure!(code == "disk/changed", "written: {code}");
    let code = meddle_while(&volume, &image, |file| file.set_len(2 << 20))?;
    ensure!(code == "disk/changed", "shortened: {code}");
    ensure!(whole(&image)? == former, "another image");
    tidy(&images)
}

/// What can still be written.
fn free_mib(dir: &Path) -> Result<u64> {
    let said = sh("stat -f -c '%a %S' \"$1\"", &[text(dir)])?;
    let said = String::from_utf8(said.stdout)?;
    let mut numbers = said.split_whitespace().map(str::parse::<u64>);
    let mut next = || anyhow::Ok(numbers.next().context("a number")??);
    Ok((next()? * next()?) >> 20)
}

#[test]
fn loop_a_full_disk_leaves_the_former_image_and_no_rubbish() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let all = Fixture::new()?;
    let medium = all.path("medium");
    File::create(&medium)?.set_len(48 << 20)?;
    run("mke2fs", &["-q", "-F", "-t", "ext4", text(&medium)])?;
    let mount = Mount::new(&medium, None, "loop")?;
    fs::remove_dir_all(mount.path().join("lost+found"))?;
    let image = mount.path().join("aula.img");
    done(&["image", "create", all.volume(), text(&image)])?;
    // A little more than there is room for: frames of the image that is replaced might be smaller than samples tell.
    let free = free_mib(mount.path())?;
    let large = all.path("large");
    kit::ext4(&large, 96, free * 5 / 4)?;
    let (former, found) = (whole(&image)?, names(mount.path())?);
    for _ in 0..2 {
        let said = azud(&["image", "create", text(&large), text(&image)])?;
        ensure!(said.refused()? == "disk/no-space", "{}", said.last());
        ensure!(said.warned().contains(&"hardly-fits"), "{}", said.plan());
        let hint = said.last()["error"]["hint"].to_string();
        ensure!(hint.contains("aula.img is as it was before"), "{hint}");
        ensure!(whole(&image)? == former, "another image");
        tidy(mount.path())?;
        ensure!(names(mount.path())? == found, "{:?}", names(mount.path())?);
    }
    // The space is there again.
    done(&[
        "image",
        "create",
        all.volume(),
        text(&image),
        "--keep-bytes",
        "0",
    ])?;
    whole(&image)?;

    // A target file that does not fit either: the error is told, and it does not look valid.
    let target = mount.path().join("target");
    let wide = all.path("images/wide.img");
    done(&["image", "create", text(&large), text(&wide)])?;
    ensure!(refused(&restore(text(&wide), text(&target)))? == "disk/no-space");
    if target.exists() {
        ensure!(kit::seen(&target)?.is_none(), "it looks like a file system");
    }
    mount.unmount()
}
