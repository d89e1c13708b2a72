//! A deployment of which one half fails: the disk while the cache is right, or the cache while the disk is.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::kit::{Said, over, program, text};
use crate::server::{Manager, Room};
use crate::sources::{absent, warned};
use crate::{MIB, bytes, image, noise, same};

const NAME: &str = "aula1/win.img";

/// A manager, a client that knows it and has a cache, and a disk.
struct Scene {
    room: Room,
    manager: Manager,
    volume: Vec<u8>,
}

impl Scene {
    fn new(seed: u64) -> Result<Self> {
        let (room, volume) = (Room::new()?, noise(seed, 24 * MIB));
        image(&room, NAME, &volume)?;
        fs::create_dir_all(room.dir().join("cache"))?;
        let manager = room.serve()?;
        room.know(&manager)?;
        let scene = Self {
            room,
            manager,
            volume,
        };
        scene.blank()?;
        Ok(scene)
    }

    fn there(&self) -> PathBuf {
        self.room.images().join(NAME)
    }

    fn cache(&self) -> PathBuf {
        self.room.dir().join("cache")
    }

    fn here(&self) -> PathBuf {
        self.cache().join(NAME)
    }

    fn disk(&self) -> PathBuf {
        self.room.dir().join("disk")
    }

    /// A disk on which nothing is alike.
    fn blank(&self) -> Result<()> {
        Ok(fs::write(self.disk(), vec![0xA5; self.volume.len()])?)
    }

    fn right(&self) -> Result<()> {
        ensure!(fs::read(self.disk())? == self.volume, "another disk");
        Ok(())
    }

    fn settled<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        self.room.settings(command).env("AZUD_CACHE", self.cache())
    }

    fn run(&self, args: &[&str]) -> Result<Said> {
        let mut command = self.room.command(args);
        Said::of(&self.settled(&mut command).output()?)
    }

    fn deploy(&self, more: &[&str]) -> Result<Said> {
        let disk = self.disk();
        let args = ["deploy", "REPO:aula1/win", text(&disk), "--yes"];
        self.run(&[&args[..], more].concat())
    }

    /// Frames of the cached image that are known to be damaged.
    fn known_bad(&self) -> Result<usize> {
        let said = self.run(&["cache", "list"])?;
        let images = said.done()?["images"].as_array().context("images")?;
        let one = images.iter().find(|one| one["path"] == NAME);
        let verified = &one.context("the image")?["verified"];
        Ok(verified["bad"].as_array().map_or(0, Vec::len))
    }
}

#[test]
fn a_disk_that_fails_is_told_though_the_cache_is_right() -> Result<()> {
    let scene = Scene::new(311)?;
    scene.deploy(&[])?.done()?;
    scene.blank()?;
    // Nothing may be written beyond the first MiB: the notes of a cache are shorter.
    let short = r#"trap '' XFSZ; ulimit -f 2048; exec "$@""#;
    let mut shell = Command::new("sh");
    shell.args(["-c", short, "sh", text(&program())]);
    let disk = scene.disk();
    let args = ["deploy", "REPO:aula1/win", text(&disk), "--yes"];
    let mut deploy = over(shell, &args);
    let said = Said::of(&scene.settled(&mut deploy).output()?)?;
    let code = said.refused()?;
    ensure!(code == "disk/io", "{code}: {}", said.last());
    ensure!(warned(&said, "may be incomplete now"), "{:?}", said.lines);
    same(&scene.there(), &scene.here())?;
    scene.deploy(&[])?.done()?;
    scene.right()
}

#[test]
fn damage_of_the_cached_image_costs_its_frames_and_is_mended_the_next_time() -> Result<()> {
    let scene = Scene::new(312)?;
    scene.deploy(&[])?.done()?;
    let mut there = fs::read(scene.here())?;
    let middle = there.len() / 2;
    there[middle] ^= 1;
    fs::write(scene.here(), &there)?;
    scene.blank()?;
    let said = scene.deploy(&[])?;
    let done = said.done()?;
    scene.right()?;
    ensure!(done["way"] == "nothing", "{done}");
    ensure!(bytes(done, "received")? < 6 * MIB as u64, "{done}");
    ensure!(warned(&said, "was found damaged"), "{:?}", said.lines);
    ensure!(scene.known_bad()? == 1);
    // The next one fetches what is wrong, and no more.
    let said = scene.deploy(&[])?;
    let done = said.done()?;
    ensure!(said.warned().contains(&"damaged-here"), "{}", said.plan());
    let came = bytes(done, "from_source")?;
    ensure!(0 < came && came < 3 * MIB as u64, "{done}");
    same(&scene.there(), &scene.here())?;
    ensure!(scene.known_bad()? == 0);
    let said = scene.deploy(&[])?;
    ensure!(said.done()?["way"] == "nothing" && said.told().is_empty());
    scene.right()
}

/// Nothing is said but warnings, and the last line.
fn one_object(said: &Said) -> Result<()> {
    let warnings = said.lines.iter().filter(|line| line["warning"].is_string());
    ensure!(warnings.count() + 1 == said.lines.len(), "{:?}", said.lines);
    Ok(())
}

#[test]
fn what_became_of_the_disk_is_told_to_programs_though_the_cache_fails() -> Result<()> {
    let scene = Scene::new(313)?;
    // In the place of a file that goes beside the image.
    fs::create_dir_all(scene.cache().join("aula1/win.img.sum/in-the-way"))?;
    let said = scene.deploy(&["--quiet"])?;
    let code = said.refused()?.to_owned();
    scene.right()?;
    let done = &said.last()["result"];
    ensure!(done["action"] == "deploy", "{code}: {}", said.last());
    ensure!(done["target"] == text(&scene.disk()), "{done}");
    ensure!(done["image"].is_null(), "{done}");
    let written = bytes(done, "written")?;
    ensure!(written == scene.volume.len() as u64, "{done}");
    one_object(&said)
}

#[test]
fn an_import_that_fails_in_part_tells_it_in_one_object() -> Result<()> {
    let scene = Scene::new(314)?;
    let mirror = scene.room.dir().join("mirror");
    fs::create_dir(&mirror)?;
    fs::copy(scene.there(), scene.room.images().join("other.img"))?;
    fs::write(mirror.join("other.img.lock"), "")?;
    let import = ["repo", "import", "REPO:", text(&mirror), "--yes", "--quiet"];
    let said = scene.run(&import)?;
    ensure!(said.refused()? == "image/locked", "{}", said.last());
    let done = &said.last()["result"];
    ensure!(done["brought"][0]["image"] == NAME, "{}", said.last());
    ensure!(done["failed"][0]["image"] == "other.img", "{}", said.last());
    one_object(&said)
}

#[test]
fn a_stick_that_does_not_help_takes_no_patience_away() -> Result<()> {
    let scene = Scene::new(315)?;
    let stick = scene.room.dir().join("stick.img");
    image(&scene.room, "stick.img", &noise(316, 2 * MIB))?;
    fs::rename(scene.room.images().join("stick.img"), &stick)?;
    let _way = absent(&scene.room, &scene.manager)?;
    let said = scene.deploy(&["--no-cache", "--from", text(&stick)])?;
    said.done()?;
    ensure!(warned(&said, text(&stick)), "{:?}", said.lines);
    ensure!(warned(&said, "does not answer"), "nobody was waited for");
    scene.right()
}
