//! From the manager to a disk: `image restore REPO:…` and `deploy`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::kit::{Said, text};
use crate::server::{Room, refusal};
use crate::{MIB, bytes, image, noise, same};

/// A manager's image and a client that knows the manager.
fn lab(volume: &[u8]) -> Result<(Room, crate::server::Manager)> {
    let room = Room::new()?;
    image(&room, "aula1/win.img", volume)?;
    let manager = room.serve()?;
    room.know(&manager)?;
    Ok((room, manager))
}

/// Fails unless the target holds the volume that was captured last.
fn holds(room: &Room, target: &str) -> Result<()> {
    same(&room.dir().join("volume"), &room.dir().join(target))
}

fn cache_of(room: &Room) -> Result<PathBuf> {
    let cache = room.dir().join("cache");
    fs::create_dir_all(&cache)?;
    Ok(cache)
}

#[test]
fn a_restore_from_the_manager_fetches_only_what_the_disk_lacks() -> Result<()> {
    let mut volume = noise(11, 24 * MIB);
    let (room, _manager) = lab(&volume)?;
    let target = room.dir().join("disk");
    let restore = ["image", "restore", "REPO:aula1/win", text(&target), "--yes"];
    let first = room.done(&[&restore[..], &["--read-back"]].concat())?;
    holds(&room, "disk")?;
    let size = fs::metadata(room.images().join("aula1/win.img"))?.len();
    let came = bytes(&first, "from_source")?;
    // The first frame is read twice: it tells where superblocks are.
    ensure!(
        size <= came && came < size + 4 * MIB as u64,
        "{size}: {first}"
    );
    volume[9 * MIB..10 * MIB].fill(7);
    image(&room, "aula1/win.img", &volume)?;
    let again = room.done(&[&restore[..], &["--changed-only"]].concat())?;
    holds(&room, "disk")?;
    ensure!(bytes(&again, "from_source")? < 8 * MIB as u64, "{again}");
    ensure!(bytes(&again, "written")? <= 2 * MIB as u64, "{again}");
    let idle = room.done(&[&restore[..], &["--changed-only"]].concat())?;
    ensure!(bytes(&idle, "written")? == 0, "{idle}");
    Ok(())
}

#[test]
fn a_deployment_fills_cache_and_disk_and_moves_only_the_change() -> Result<()> {
    let mut volume = noise(12, 24 * MIB);
    let (room, _manager) = lab(&volume)?;
    let (cache, target) = (cache_of(&room)?, room.dir().join("disk"));
    fs::write(&target, vec![0xA5; volume.len()])?;
    let deploy = [
        "deploy",
        "REPO:aula1/win",
        text(&target),
        "--cache",
        text(&cache),
    ];
    let plan = room.run(&[&deploy[..], &["--dry-run"]].concat())?;
    plan.done()?;
    ensure!(plan.plan()["rows"]["way"] == "copy", "{}", plan.plan());
    ensure!(plan.warned().contains(&"destroys"), "{}", plan.plan());
    ensure!(!cache.join("aula1").exists(), "a dry run writes nothing");
    let unasked = room.run(&deploy)?;
    refusal(&unasked, "cli/not-confirmed")?;
    let deploy = [&deploy[..], &["--yes"]].concat();
    let there = room.images().join("aula1/win.img");
    let here = cache.join("aula1/win.img");
    let check = |said: &Said| -> Result<serde_json::Value> {
        let value = said.done()?.clone();
        same(&there, &here)?;
        holds(&room, "disk")?;
        let sums = |name: &PathBuf| fs::read_to_string(name.with_extension("img.full.sum"));
        ensure!(sums(&there)? == sums(&here)?, "the sums are made anew");
        Ok(value)
    };
    let first = check(&room.run(&deploy)?)?;
    let size = fs::metadata(&there)?.len();
    ensure!(bytes(&first, "from_source")? > size - MIB as u64, "{first}");
    ensure!(bytes(&first, "kept")? == 0, "{first}");
    volume[9 * MIB..10 * MIB].fill(7);
    image(&room, "aula1/win.img", &volume)?;
    let second = check(&room.run(&[&deploy[..], &["--read-back"]].concat())?)?;
    ensure!(bytes(&second, "received")? < 8 * MIB as u64, "{second}");
    ensure!(bytes(&second, "from_source")? < 4 * MIB as u64, "{second}");
    ensure!(bytes(&second, "written")? <= 2 * MIB as u64, "{second}");
    let third = check(&room.run(&deploy)?)?;
    ensure!(
        third["way"] == "nothing" && bytes(&third, "written")? == 0,
        "{third}"
    );
    Ok(())
}

#[test]
fn without_a_cache_the_disk_itself_is_what_is_here() -> Result<()> {
    let mut volume = noise(13, 24 * MIB);
    let (room, _manager) = lab(&volume)?;
    let target = room.dir().join("disk");
    let deploy = ["deploy", "REPO:aula1/win", text(&target), "--yes"];
    let first = room.run(&deploy)?;
    first.done()?;
    ensure!(first.plan()["rows"]["cache"] == "none", "{}", first.plan());
    holds(&room, "disk")?;
    volume[3 * MIB..4 * MIB].fill(9);
    image(&room, "aula1/win.img", &volume)?;
    let second = room.done(&[&deploy[..], &["--no-cache"]].concat())?;
    holds(&room, "disk")?;
    ensure!(bytes(&second, "received")? < 8 * MIB as u64, "{second}");
    Ok(())
}

#[test]
fn a_foreign_image_of_the_manager_is_restored_as_it_is() -> Result<()> {
    let (room, _manager) = lab(&noise(17, MIB))?;
    // A disk as it is: a boot sector, one partition, and noise.
    let mut disk = noise(18, 9 * MIB + 4096);
    disk[446..510].fill(0);
    disk[450] = 0x83;
    disk[454..458].copy_from_slice(&8u32.to_le_bytes());
    disk[458..462].copy_from_slice(&1000u32.to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xAA]);
    fs::write(room.images().join("old.dsk"), &disk)?;
    let target = room.dir().join("disk");
    let restore = ["image", "restore", "REPO:old.dsk", text(&target), "--yes"];
    let done = room.done(&restore)?;
    ensure!(fs::read(&target)? == disk, "other bytes");
    ensure!(bytes(&done, "from_source")? >= disk.len() as u64, "{done}");
    let first = room.run(&[&restore[..], &["--verify-first"]].concat())?;
    ensure!(first.status == Some(2), "{}", first.last());
    Ok(())
}

#[test]
fn what_cannot_be_deployed_is_refused_before_anything_is_written() -> Result<()> {
    let volume = noise(14, 6 * MIB);
    let (room, manager) = lab(&volume)?;
    let (cache, target) = (cache_of(&room)?, room.dir().join("disk"));
    let small = vec![1; MIB];
    fs::write(&target, &small)?;
    let deploy = |image: &str, more: &[&str]| {
        let args = ["deploy", image, text(&target), "--yes"];
        room.run(&[&args[..], more].concat())
    };
    let cached = ["--cache", text(&cache)];
    refusal(&deploy("REPO:aula1/win", &cached)?, "disk/too-small")?;
    ensure!(fs::read(&target)? == small, "the target was written");
    let former = noise(16, volume.len());
    fs::write(&target, &former)?;
    let none = deploy("REPO:aula1/none", &cached)?;
    refusal(&none, "image/not-found")?;
    let hint = none.last()["error"]["hint"].to_string();
    ensure!(hint.contains("azud image list REPO:"), "{hint}");
    fs::write(room.images().join("old.img"), noise(15, MIB))?;
    let foreign = deploy("REPO:old", &cached)?;
    refusal(&foreign, "image/not-native")?;
    let hint = foreign.last()["error"]["hint"].to_string();
    ensure!(hint.contains("azud image import"), "{hint}");
    let none = room.dir().join("none");
    refusal(
        &deploy("REPO:aula1/win", &["--cache", text(&none)])?,
        "cache/not-found",
    )?;
    drop(manager);
    refusal(&deploy("REPO:aula1/win", &cached)?, "repo/unreachable")?;
    ensure!(fs::read(&target)? == former, "the target was written");
    ensure!(
        fs::read_dir(&cache)?.next().is_none(),
        "the cache was written"
    );
    Ok(())
}

#[test]
fn regression_a_device_with_something_left_out_becomes_no_file() -> Result<()> {
    let room = Room::new()?;
    image(&room, "win.img", &noise(190, MIB))?;
    let win = room.images().join("win.img");
    let here = tempfile::tempdir()?;
    let run = |verb: &[&str], to: &str| {
        let args = [verb, &[text(&win), to, "--yes"]].concat();
        let mut command = room.command(&args);
        Said::of(&command.current_dir(here.path()).output()?)
    };
    for verb in [&["deploy"][..], &["image", "restore"]] {
        for name in ["sda2", "nvme7n1p2", "mmcblk9p1", "vdz", "1", "1:"] {
            let said = run(verb, name)?;
            refusal(&said, "disk/bad-name").with_context(|| format!("{verb:?} {name}"))?;
        }
        let said = run(verb, "sda9")?;
        let hint = said.last()["error"]["hint"].as_str().unwrap_or_default();
        let told = ["/dev/sda2", "1:2", "./sda9"];
        ensure!(told.iter().all(|it| hint.contains(it)), "{hint}");
        ensure!(fs::read_dir(here.path())?.count() == 0, "nothing was made");
        // What is said to be a file is one, and so is what is there.
        run(verb, "./1")?.done()?;
        fs::rename(here.path().join("1"), here.path().join("sda2"))?;
        run(verb, "sda2")?.done()?;
        run(verb, "disk.img")?.done()?;
        for made in ["sda2", "disk.img"] {
            fs::remove_file(here.path().join(made))?;
        }
    }
    Ok(())
}
