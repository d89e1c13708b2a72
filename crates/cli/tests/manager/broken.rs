//! `kill -9` of the client and of the manager at random moments of a deployment.
//!
//! 10 moments each, 200 with `AZUD_SOAK`; `AZUD_SEED` repeats a run as far as time allows.

#![allow(
    clippy::print_stdout,
    reason = "counts are printed for whoever judges a run"
)]

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{have, run};

use crate::kit::{self, Random, names, soak, text};
use crate::server::Room;
use crate::{bytes, same};

const SIZE: u64 = 96;
const NOISE: u64 = 60;

fn kills() -> u64 {
    if soak() { 200 } else { 10 }
}

/// A manager's image, a disk that holds something else, a cache.
struct Lab {
    room: Room,
    former: Vec<u8>,
    random: Random,
    /// How long a deployment takes.
    time: Duration,
}

impl Lab {
    fn new(seed: u64) -> Result<Self> {
        let room = Room::new()?;
        let random = Random::seeded(seed);
        for (volume, noise) in [("former", 1), ("volume", NOISE)] {
            kit::ext4(&room.dir().join(volume), SIZE, noise)?;
        }
        let (volume, image) = (room.dir().join("volume"), room.images().join("deb.img"));
        kit::done(&["image", "create", text(&volume), text(&image)])?;
        let former = fs::read(room.dir().join("former"))?;
        Ok(Self {
            room,
            former,
            random,
            time: Duration::ZERO,
        })
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

    /// Finds out how long a deployment takes.
    fn measure(&mut self) -> Result<()> {
        self.clear()?;
        let begun = Instant::now();
        self.deploy()?;
        self.time = begun.elapsed();
        self.check()
    }

    fn moment(&mut self) -> Duration {
        let part = u32::try_from(self.random.below(1000)).unwrap_or(0);
        self.time * part / 1000
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
    let mut lab = Lab::new(41)?;
    let manager = lab.room.serve()?;
    lab.room.know(&manager)?;
    lab.measure()?;
    let mut running = 0;
    for number in 0..kills() {
        lab.clear()?;
        let after = lab.moment();
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
        running += u64::from(killed);
        let case = || format!("kill {number} after {after:?} of {:?}", lab.time);
        if lab.here().exists() {
            let verified = lab.room.done(&["image", "verify", text(&lab.here())]);
            verified.with_context(case)?;
        }
        let is_former = fs::read(&target)? == lab.former;
        if !is_former && kit::seen(&target)?.is_some() {
            run("e2fsck", &["-fn", text(&target)]).with_context(case)?;
        }
        lab.deploy().with_context(case)?;
        lab.check().with_context(case)?;
    }
    println!("{running} of {} were running", kills());
    Ok(())
}

#[test]
fn stress_a_killed_manager_is_waited_for_until_it_is_back() -> Result<()> {
    if !have(&["mke2fs", "e2fsck"]) {
        return Ok(());
    }
    let mut lab = Lab::new(42)?;
    let first = lab.room.serve()?;
    lab.room.know(&first)?;
    lab.measure()?;
    let port = first.port;
    let (mut manager, mut came) = (Some(first), 0);
    for number in 0..kills() {
        lab.clear()?;
        let after = lab.moment();
        let done = std::thread::scope(|scope| {
            let running = scope.spawn(|| lab.deploy());
            std::thread::sleep(after);
            manager.take().context("a manager")?.kill()?;
            manager = Some(lab.room.serve_at(port)?);
            running.join().map_err(|_| anyhow::anyhow!("it panicked"))
        })?;
        let case = || format!("kill {number} after {after:?} of {:?}", lab.time);
        match done {
            Ok(_) => came += 1,
            // Who is asked for the first time is not waited for.
            Err(error) if format!("{error:#}").contains("repo/unreachable") => {
                lab.deploy().with_context(case)?;
            }
            Err(error) => return Err(error.context(case())),
        }
        lab.check().with_context(case)?;
    }
    println!("{came} of {} came through", kills());
    ensure!(came * 3 >= kills(), "hardly any was waited for");
    Ok(())
}
