//! What is said of a manager that is waited for, and how long it is, is true.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use azud_testkit::proxy::{Answer, Harm, Proxy};
use azud_testkit::tools::run;

use crate::faults::{address, identity};
use crate::kit::{Said, text};
use crate::raw::Line;
use crate::server::{Manager, Room, refusal};
use crate::{MIB, image, noise, same};

/// Connections of one address, and so many more that are told to come later.
const OF_A_PEER: usize = 192;

fn room(seed: u64) -> Result<(Room, Manager)> {
    let room = Room::new()?;
    image(&room, "aula1/win.img", &noise(seed, 4 * MIB))?;
    let manager = room.serve()?;
    Ok((room, manager))
}

/// Brings the image here with so many seconds of patience.
fn copied(room: &Room, patience: &str) -> Result<(Said, Duration)> {
    let here = room.dir().join("here.img");
    let args = ["image", "copy", "REPO:aula1/win", text(&here), "--yes"];
    let begun = Instant::now();
    let output = room
        .command(&args)
        .env("AZUD_PATIENCE", patience)
        .output()?;
    Ok((Said::of(&output)?, begun.elapsed()))
}

fn warned(said: &Said, what: &str) -> bool {
    let warnings = said.lines.iter();
    warnings
        .filter_map(|line| line["warning"].as_str())
        .any(|it| it.contains(what))
}

#[test]
fn who_answers_something_else_is_not_said_to_be_silent() -> Result<()> {
    for harm in [Answer::OtherRange, Answer::Shorter, Answer::Error] {
        let (room, manager) = room(331)?;
        let count = Arc::new(AtomicU64::new(0));
        let proxy = Proxy::of_answers(address(&manager), &identity(&room)?, move |_| {
            // The image is opened.
            if count.fetch_add(1, Ordering::Relaxed) < 6 {
                Answer::Right
            } else {
                harm
            }
        })?;
        room.know_at(proxy.port(), &manager.pin, "read")?;
        let (said, _) = copied(&room, "1")?;
        let case = || format!("{harm:?}: {:?}", said.lines);
        refusal(&said, "repo/bad-answer").with_context(case)?;
        ensure!(warned(&said, "answers, but not what"), "{}", case());
        ensure!(!warned(&said, "does not answer"), "{}", case());
    }
    Ok(())
}

#[test]
fn who_has_too_many_connections_is_told_that_and_nothing_of_cables() -> Result<()> {
    let (room, manager) = room(332)?;
    room.know(&manager)?;
    let line = Line::to(&room, &manager)?;
    let taken = (0..OF_A_PEER).map(|_| line.from(Ipv4Addr::LOCALHOST));
    let taken = taken.collect::<Result<Vec<_>>>()?;
    let (said, _) = copied(&room, "1")?;
    refusal(&said, "repo/too-busy").with_context(|| format!("{:?}", said.lines))?;
    ensure!(warned(&said, "asks to wait"), "{:?}", said.lines);
    drop(taken);
    copied(&room, "10")?.0.done()?;
    Ok(())
}

#[test]
fn who_never_answered_is_waited_for_as_long_as_is_said() -> Result<()> {
    let (room, manager) = room(333)?;
    room.know(&manager)?;
    let pid = manager.pid().to_string();
    run("kill", &["-STOP", &pid])?;
    let done = copied(&room, "60");
    run("kill", &["-CONT", &pid])?;
    let (said, took) = done?;
    let case = || format!("in {took:?}: {:?}", said.lines);
    refusal(&said, "repo/unreachable").with_context(case)?;
    ensure!(warned(&said, "up to 10 seconds"), "{}", case());
    ensure!(!warned(&said, "60 seconds"), "{}", case());
    let [least, most] = [9, 16].map(Duration::from_secs);
    ensure!((least..most).contains(&took), "{}", case());
    Ok(())
}

#[test]
fn a_first_connection_that_is_broken_off_is_made_again() -> Result<()> {
    let (room, manager) = room(334)?;
    let left = Arc::new(AtomicU64::new(0));
    let harmed = Arc::clone(&left);
    let proxy = Proxy::of_bytes(address(&manager), move |_| {
        let before = harmed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            Some(left.saturating_sub(1))
        });
        if before == Ok(0) {
            Harm::None
        } else {
            Harm::Cut(0)
        }
    })?;
    room.know_at(proxy.port(), &manager.pin, "read")?;
    left.store(3, Ordering::Relaxed);
    copied(&room, "10")?.0.done()?;
    same(
        &room.images().join("aula1/win.img"),
        &room.dir().join("here.img"),
    )?;
    // One that does so for ever is given up.
    left.store(u64::MAX, Ordering::Relaxed);
    std::fs::remove_file(room.dir().join("here.img"))?;
    let (said, took) = copied(&room, "10")?;
    refusal(&said, "repo/unreachable")?;
    ensure!(took < Duration::from_secs(20), "{took:?}");
    Ok(())
}
