//! A manager whose disk fails.

use std::fs;
use std::ops::Range;
use std::time::Duration;

use anyhow::{Result, ensure};
use azud_testkit::forgetful::{Forgetful, Medium};
use azud_testkit::tools::have_root;
use serde_json::Value;

use crate::kit::{Said, text};
use crate::server::{Manager, Room, refusal};
use crate::{MIB, image, noise};

const MOST: usize = 12 * MIB;

/// Where an image of that size cannot be read.
type Lost = fn(u64) -> Range<u64>;
const WITHIN: Lost = |_| 8 << 20..(8 << 20) + 4096;
const AT_THE_END: Lost = |size| size - 4096..size;

/// A manager whose image lies on a medium that cannot read a part of it.
fn scene(lost: Lost) -> Result<Option<(Room, Forgetful, Manager)>> {
    if !have_root() {
        return Ok(None);
    }
    let room = Room::new()?;
    let medium = Forgetful::mount(Medium::new())?;
    image(&room, "win.img", &noise(62, MOST))?;
    let size = fs::copy(room.images().join("win.img"), medium.path().join("win.img"))?;
    medium.lose(lost(size));
    let manager = room.serve_bare(&["--images", text(medium.path())])?;
    room.know_as(&manager, "write")?;
    Ok(Some((room, medium, manager)))
}

#[test]
fn what_cannot_be_read_there_is_told() -> Result<()> {
    for lost in [WITHIN, AT_THE_END] {
        let Some((room, medium, _manager)) = scene(lost)? else {
            return Ok(());
        };
        let here = room.dir().join("here.img");
        let fetch = ["image", "copy", "REPO:win", text(&here), "--yes"];
        let said = Said::of(&room.command(&fetch).env("AZUD_PATIENCE", "2").output()?)?;
        refusal(&said, "repo/disk-fails")?;
        ensure!(
            said.last().to_string().contains("win.img"),
            "{}",
            said.last()
        );
        ensure!(!here.exists(), "something is there");
        medium.lose(0..0);
        room.done(&fetch)?;
        ensure!(fs::read(&here)? == fs::read(room.images().join("win.img"))?);
    }
    Ok(())
}

#[test]
fn a_disk_that_comes_back_is_waited_for() -> Result<()> {
    let Some((room, medium, _manager)) = scene(WITHIN)? else {
        return Ok(());
    };
    let here = room.dir().join("here.img");
    let fetch = ["image", "copy", "REPO:win", text(&here), "--yes"];
    let mut command = room.command(&fetch);
    let output = std::thread::spawn(move || command.output());
    std::thread::sleep(Duration::from_secs(3));
    medium.lose(0..0);
    let said = Said::of(&output.join().expect("it ends")?)?;
    let warned = |line: &Value| line["warning"].to_string().contains("fails");
    ensure!(said.lines.iter().any(warned), "nobody was told");
    said.done()?;
    ensure!(fs::read(&here)? == fs::read(room.images().join("win.img"))?);
    Ok(())
}
