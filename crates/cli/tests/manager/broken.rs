//! `kill -9` of the client and of the manager at random moments of a deployment.
//!
//! 10 moments each, 200 with `AZUD_SOAK`; `AZUD_SEED` repeats a run as far as time allows.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{have, run};

use crate::kit::{self, Kills, names, text};
use crate::server::Room;
use crate::{bytes, same};

const SIZE: u64 = 96;
const NOISE: u64 = 60;

/// A manager's image, a disk that holds something else, a cache.
struct Lab {
    room: Room,
    former: Vec<u8>,
}

impl Lab {
    fn new() -> Result<Self> {
        let room = Room::new()?;
        for (volume, noise) in [("former", 1), ("volume", NOISE)] {
            kit::ext4(&room.dir().join(volume), SIZE, noise)?;
        }
        let (volume, image) = (room.dir().join("volume"), room.images().join("deb.img"));
        kit::done(&["image", "create", text(&volume), text(&image)])?;
        let former = fs::read(room.dir().join("former"))?;
        Ok(Self { room, former })
    }

    fn target(&self) -> PathBuf {
        self.room.dir().join("disk")
    }

    fn here(&self) -> PathBuf {
        self.room.dir().join("cache/deb.img")
    }

    /// Before a turn: another file system on the disk, an empty cache.
    fn clear(&self) -> Result<()> {
        let cache = self.room.dir().join("cache");
        let _ = fs::remove_dir_all(&cache);
        fs::create_dir(cache)?;
        Ok(fs::write(self.target(), &self.former)?)
    }

    fn deploy(&self) -> Result<serde_json::Value> {
        let (cache, target) = (self.room.dir().join("cache"), self.target());
        let args = ["deploy", "REPO:deb", text(&target), "--yes", "--cache"];
        self.room.done(&[&args[..], &[text(&cache)]].concat())
    }

    /// Finds out how long a deployment takes, and when to break one off.
    fn kills(&self, seed: u64) -> Result<Kills> {
        self.clear()?;
        let begun = Instant::now();
        self.deploy()?;
        let kills = Kills::of(begun.elapsed(), seed);
        self.check()?;
        Ok(kills)
    }

    /// Cache and disk hold the image, and nothing is left of what was broken off.
    fn check(&self) -> Result<()> {
        same(&self.room.images().join("deb.img"), &self.here())?;
        let left = names(&self.room.dir().join("cache"))?;
        let known = |name: &&String| name.starts_with("deb.img") || name.starts_with(".azud-");
        let rubbish: Vec<&String> = left.iter().filter(|name| !known(name)).collect();
        ensure!(rubbish.is_empty(), "left behind: {rubbish:?}");
        run("e2fsck", &["-fn", text(&self.target())])?;
        let again = self.deploy()?;
        ensure!(bytes(&again, "written")? == 0, "{again}");
        Ok(())
    }
}

#[test]
fn stress_a_killed_deployment_never_looks_valid_and_goes_on() -> Result<()> {
    if !have(&["mke2fs", "e2fsck", "blkid"]) {
        return Ok(());
    }
    let lab = Lab::new()?;
    let manager = lab.room.serve()?;
    lab.room.know(&manager)?;
    let mut kills = lab.kills(41)?;
    while let Some((_, after)) = kills.next() {
        lab.clear()?;
        let (cache, target) = (lab.room.dir().join("cache"), lab.target());
        let args = ["deploy", "REPO:deb", text(&target), "--yes", "--cache"];
        let mut command = lab.room.command(&[&args[..], &[text(&cache)]].concat());
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        std::thread::sleep(after);
        child.kill()?;
        let killed = child.wait()?.code().is_none();
        let is_former = fs::read(&target)? == lab.former;
        // The wiping of what was there is the first that is done to a disk.
        kills.note(killed, killed && !is_former);
        let case = || kills.case();
        if lab.here().exists() {
            let verified = lab.room.done(&["image", "verify", text(&lab.here())]);
            verified.with_context(case)?;
        }
        if !is_former && kit::seen(&target)?.is_some() {
            run("e2fsck", &["-fn", text(&target)]).with_context(case)?;
        }
        lab.deploy().with_context(case)?;
        lab.check().with_context(case)?;
    }
    kills.judge("had touched the disk")
}

#[test]
fn stress_a_killed_manager_is_waited_for_until_it_is_back() -> Result<()> {
    if !have(&["mke2fs", "e2fsck"]) {
        return Ok(());
    }
    let lab = Lab::new()?;
    let first = lab.room.serve()?;
    lab.room.know(&first)?;
    let mut kills = lab.kills(42)?;
    let port = first.port;
    let mut manager = Some(first);
    while let Some((_, after)) = kills.next() {
        lab.clear()?;
        let (in_time, done) = std::thread::scope(|scope| {
            let running = scope.spawn(|| lab.deploy());
            std::thread::sleep(after);
            manager.take().context("a manager")?.kill()?;
            let in_time = !running.is_finished();
            manager = Some(lab.room.serve_at(port)?);
            let done = running.join().map_err(|_| anyhow::anyhow!("it panicked"))?;
            anyhow::Ok((in_time, done))
        })?;
        kills.note(in_time, in_time && done.is_ok());
        let case = || kills.case();
        match done {
            Ok(_) => {}
            // Who is asked for the first time is not waited for.
            Err(error) if format!("{error:#}").contains("repo/unreachable") => {
                lab.deploy().with_context(case)?;
            }
            Err(error) => return Err(error.context(case())),
        }
        lab.check().with_context(case)?;
    }
    kills.judge("were waited for")
}
