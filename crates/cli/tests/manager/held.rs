//! Captures under a name that the manager has not, whose frames it has in other images.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::kit::{self, text, whole};
use crate::server::{Manager, Room};
use crate::upload::room;
use crate::{MIB, bytes, noise};

/// No more than a change of a MiB, with the frames that it touches.
const CHANGE: u64 = 7 * MIB as u64;

/// A room whose manager has a volume of 24 MiB as `aula1/a`.
struct Scene {
    room: Room,
    manager: Manager,
    content: Vec<u8>,
}

impl Scene {
    fn new(seed: u64) -> Result<Self> {
        let (room, manager) = room()?;
        let content = noise(seed, 24 * MIB);
        let scene = Self {
            room,
            manager,
            content,
        };
        let first = scene.capture("aula1/a")?;
        ensure!(bytes(&first, "sent")? > 20 * MIB as u64, "{first}");
        Ok(scene)
    }

    fn volume(&self) -> PathBuf {
        self.room.dir().join("volume")
    }

    fn there(&self, name: &str) -> PathBuf {
        self.room.images().join(format!("{name}.img"))
    }

    /// Changes a MiB.
    fn change(&mut self, at: usize, byte: u8) {
        self.content[at * MIB..(at + 1) * MIB].fill(byte);
    }

    /// Captures the volume as it is; the image has to be whole, and of this volume.
    fn capture(&self, name: &str) -> Result<Value> {
        fs::write(self.volume(), &self.content)?;
        let to = format!("REPO:{name}");
        let done = self
            .room
            .done(&["image", "create", text(&self.volume()), &to, "--yes"])?;
        let there = self.there(name);
        ensure!(done["identity"] == whole(&there)?.as_str(), "{done}");
        let back = self.room.dir().join("back");
        fs::write(&back, vec![0; self.content.len()])?;
        kit::done(&["image", "restore", text(&there), text(&back), "--yes"])?;
        ensure!(fs::read(&back)? == self.content, "{name}: another volume");
        Ok(done)
    }
}

#[test]
fn a_capture_under_a_new_name_sends_what_no_image_has() -> Result<()> {
    let mut scene = Scene::new(51)?;
    scene.change(9, 7);
    let beside = scene.capture("aula1/b")?;
    ensure!(bytes(&beside, "sent")? < CHANGE, "{beside}");
    ensure!(bytes(&beside, "from_there")? > 18 * MIB as u64, "{beside}");
    scene.change(15, 8);
    let elsewhere = scene.capture("aula2/c")?;
    ensure!(bytes(&elsewhere, "sent")? < CHANGE, "{elsewhere}");
    Ok(())
}

#[test]
fn a_capture_over_an_image_finds_what_is_new_in_it_in_former_versions() -> Result<()> {
    let mut scene = Scene::new(52)?;
    let before = std::mem::replace(&mut scene.content, noise(55, 24 * MIB));
    let other = scene.capture("aula1/a")?;
    ensure!(bytes(&other, "sent")? > 20 * MIB as u64, "{other}");
    scene.content = before;
    let again = scene.capture("aula1/a")?;
    ensure!(bytes(&again, "sent")? < CHANGE, "{again}");
    Ok(())
}

#[test]
fn frames_that_are_damaged_there_are_sent() -> Result<()> {
    let scene = Scene::new(53)?;
    let there = scene.there("aula1/a");
    let mut damaged = fs::read(&there)?;
    damaged[10 * MIB] ^= 0x55;
    fs::write(&there, damaged)?;
    let said = scene.capture("aula1/b")?;
    let sent = bytes(&said, "sent")?;
    ensure!((64 << 10..CHANGE).contains(&sent), "one frame: {said}");
    Ok(())
}

/// Nor does it learn what they have.
#[test]
fn images_that_a_token_does_not_see_give_it_nothing() -> Result<()> {
    let scene = Scene::new(54)?;
    let token = scene
        .room
        .done(&["token", "create", "--role", "write", "--images", "aula2/*"])?;
    let token = token["token"].as_str().context("a token")?;
    let manager = &scene.manager;
    scene.room.introduce(manager, &manager.pin, token)?.done()?;
    let first = scene.capture("aula2/b")?;
    let sent = bytes(&first, "sent")?;
    ensure!(sent > scene.content.len() as u64, "all of it: {first}");
    ensure!(bytes(&first, "from_there")? == 0, "{first}");
    let own = scene.capture("aula2/c")?;
    ensure!(bytes(&own, "sent")? < CHANGE, "its own: {own}");
    Ok(())
}
