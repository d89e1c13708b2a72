//! `kill -9` of a client that sends, and of the manager that receives, at random moments: the former image stays
//! whole until the new one is, the same command again comes to its end, and nothing is left lying about.
//!
//! 10 moments, 200 with `AZUD_SOAK`; `AZUD_SEED` repeats a run as far as time allows.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::kit::{self, Kills, Random, Said, text, whole};
use crate::server::{Room, refusal};
use crate::upload::tidy;
use crate::{MIB, noise};

const SIZE: usize = 40 * MIB;

#[test]
fn stress_whoever_is_killed_the_image_is_whole() -> Result<()> {
    let room = Room::new()?;
    let mut manager = room.serve()?;
    let port = manager.port;
    room.know_as(&manager, "write")?;
    let mut content = noise(Random::seeded(9).next(), SIZE);
    let (volume, here) = (room.dir().join("volume"), room.dir().join("here.img"));
    fs::write(&volume, &content)?;
    let capture = ["image", "create", text(&volume), text(&here)];
    kit::done(&capture)?;
    let there = room.images().join("aula1/win.img");
    let create = [
        "image",
        "create",
        text(&volume),
        "REPO:aula1/win",
        "--base",
        "none",
    ];
    let copy = ["image", "copy", text(&here), "REPO:aula1/win"];
    let begun = Instant::now();
    room.done(&create)?;
    let mut kills = Kills::of(begun.elapsed(), 9);
    while let Some((number, after)) = kills.next() {
        let at = usize::try_from(kills.random.below(38))? * MIB;
        content[at..at + MIB].copy_from_slice(&noise(kills.random.next(), MIB));
        fs::write(&volume, &content)?;
        kit::done(&[&capture[..], &["--keep-bytes", "0"]].concat())?;
        let args = if number % 4 < 2 {
            &create[..]
        } else {
            &copy[..]
        };
        let mut client = start(&room, args)?;
        std::thread::sleep(after);
        let running = client.try_wait()?.is_none();
        kills.note(running, running);
        let case = || kills.case();
        if number % 2 == 0 {
            client.kill()?;
            client.wait()?;
            // Every frame is right. The manager may be publishing: the sums beside may be another image's just now.
            restored(&room).with_context(case)?;
            room.done(args).with_context(case)?;
        } else {
            manager.kill()?;
            std::thread::sleep(Duration::from_millis(100));
            whole(&there).with_context(case)?;
            manager = room.serve_at(port)?;
            ended_well(&room, client, args).with_context(case)?;
        }
        whole(&there).with_context(case)?;
        ensure!(restored(&room)? == content, "{}: another volume", case());
        tidy(&room.images().join("aula1"), "win.img").with_context(case)?;
    }
    kills.judge("came in time")
}

fn start(room: &Room, args: &[&str]) -> Result<Child> {
    let mut command = room.command(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command.spawn()?)
}

/// A client whose manager came back.
fn ended_well(room: &Room, client: Child, args: &[&str]) -> Result<()> {
    let said = Said::of(&client.wait_with_output()?)?;
    // Before anything was begun, nothing is waited for.
    if said.status == Some(1) {
        refusal(&said, "repo/unreachable")?;
        room.done(args)?;
        return Ok(());
    }
    said.done().map(drop)
}

/// What the manager's image makes of a volume.
fn restored(room: &Room) -> Result<Vec<u8>> {
    let (image, target) = (
        room.images().join("aula1/win.img"),
        room.dir().join("target"),
    );
    fs::write(&target, vec![0; SIZE])?;
    kit::done(&["image", "restore", text(&image), text(&target), "--yes"])?;
    Ok(fs::read(&target)?)
}
