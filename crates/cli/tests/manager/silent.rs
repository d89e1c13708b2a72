//! Sources of which nothing comes any more, without a word: whoever has others goes on with them, whoever has none waits
//! as long as was said.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use azud_testkit::cable::{Cable, Side};
use azud_testkit::tools::{have, have_root};
use serde_json::Value;

use crate::full::while_it_runs;
use crate::kit::{Said, text};
use crate::server::{Manager, Room, refusal};
use crate::{MIB, image, noise, same, update};

const NAME: &str = "aula1/win.img";
/// Who falls silent, and by which other way the same manager is reached.
const SILENT: &str = Cable::SERVER;
pub(crate) const OTHER: &str = "10.77.0.3";

/// A client that knows a manager by two addresses, and what it may do there by the first. It has an image of this volume.
pub(crate) fn two_ways(volume: &[u8], role: &str) -> Result<(Room, Manager)> {
    // Slow enough that there is a midst.
    let cable = Cable::new(Some("160mbit"))?;
    cable.also(OTHER)?;
    let room = Room::over(Some(cable))?;
    image(&room, NAME, volume)?;
    let manager = room.serve_on("0.0.0.0:0")?;
    room.know_as(&manager, role)?;
    let made = room.done(&["token", "create", "--role", "read"])?;
    let token = made["token"].as_str().context("a token")?;
    let way = (manager.pin.as_str(), token);
    room.introduce_as(OTHER, manager.port, way)?.done()?;
    Ok((room, manager))
}

/// Those two, and what is on the volume.
struct Scene {
    room: Room,
    volume: Vec<u8>,
    _manager: Manager,
}

fn can() -> bool {
    have(&["ip", "tc"]) && have_root()
}

impl Scene {
    fn new(seed: u64) -> Result<Self> {
        let volume = noise(seed, 24 * MIB);
        let (room, manager) = two_ways(&volume, "read")?;
        fs::create_dir_all(room.dir().join("cache/aula1"))?;
        Ok(Self {
            room,
            volume,
            _manager: manager,
        })
    }

    fn disk(&self) -> PathBuf {
        self.room.dir().join("disk")
    }

    fn here(&self) -> PathBuf {
        self.room.dir().join("cache").join(NAME)
    }

    /// Runs a command, in whose midst these addresses fall silent. How long it took from then on, too.
    fn run(&self, silent: &[&str], args: &[&str]) -> Result<(Said, Duration)> {
        let _ = fs::remove_file(self.here());
        fs::write(self.disk(), vec![0xA5; self.volume.len()])?;
        let cable = self.room.cable.as_ref().context("a cable")?;
        let before = cable.received(Side::Client)?;
        let ran = thread::scope(|scope| {
            let running = scope.spawn(|| self.room.run(args));
            while cable.received(Side::Client)? - before < 6 * MIB as u64 {
                ensure!(!running.is_finished(), "it was over too soon");
                thread::sleep(Duration::from_millis(5));
            }
            for address in silent {
                cable.silence(address, true)?;
            }
            let begun = Instant::now();
            let said = running.join().map_err(|_| anyhow!("it panicked"))?;
            Ok((said?, begun.elapsed()))
        });
        for address in silent {
            // Where it was over too soon, it is not there.
            let _ = cable.silence(address, false);
        }
        ran
    }
}

/// How often something was said.
fn times(said: &Said, what: &str) -> usize {
    said.told().matches(what).count()
}

#[test]
fn loop_who_falls_silent_is_not_waited_for_while_another_one_gives() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let scene = Scene::new(191)?;
    let (disk, here) = (scene.disk(), scene.here());
    let cache = scene.room.dir().join("cache");
    let (first, other) = ("REPO:aula1/win", format!("{OTHER}:aula1/win"));
    let from = ["--from", other.as_str(), "--yes"];
    let deploy = ["deploy", first, text(&disk)];
    let update = ["cache", "update", text(&here), "--from", first];
    for work in [
        [&deploy[..], &["--no-cache"]].concat(),
        [&deploy[..], &["--cache", text(&cache)]].concat(),
        update.to_vec(),
    ] {
        let (said, took) = scene.run(&[SILENT], &[&work[..], &from].concat())?;
        let case = || format!("{work:?} in {took:?}: {:?}", said.lines);
        said.done().with_context(case)?;
        ensure!(took < Duration::from_secs(15), "{}", case());
        let told = format!("Nothing comes from {SILENT}:{NAME} any more");
        ensure!(times(&said, &told) == 1, "{}", case());
        ensure!(times(&said, "None of the sources") == 0, "{}", case());
        if work[0] == "deploy" {
            ensure!(fs::read(&disk)? == scene.volume, "another disk");
        }
        if !work.contains(&"--no-cache") {
            same(&scene.room.images().join(NAME), &here)?;
        }
    }
    Ok(())
}

#[test]
fn loop_who_takes_no_connection_holds_nobody_up_for_long() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let scene = Scene::new(194)?;
    let (disk, here) = (scene.disk(), scene.here());
    fs::write(&disk, vec![0xA5; scene.volume.len()])?;
    let cable = scene.room.cable.as_ref().context("a cable")?;
    cable.silence(SILENT, true)?;
    let run = |args: &[&str]| -> Result<(Said, Duration)> {
        let begun = Instant::now();
        Ok((scene.room.run(args)?, begun.elapsed()))
    };
    let (first, other) = ("REPO:aula1/win", format!("{OTHER}:aula1/win"));
    let none = ["deploy", first, text(&disk), "--no-cache", "--yes"];
    // One that is alone is waited for while two more tries are under way, and a moment for a last word to it.
    for work in [&["image", "list", "REPO:"][..], &none] {
        let (said, took) = run(work)?;
        refusal(&said, "repo/unreachable")?;
        ensure!(took < Duration::from_secs(9), "{work:?} in {took:?}");
    }
    // Several that are of no help are asked at once.
    let update = ["cache", "update", text(&here), "--yes", "--from", &other];
    let from = ["--from", first].repeat(3);
    let (said, took) = run(&[&update[..], &from].concat())?;
    said.done()?;
    ensure!(took < Duration::from_secs(9), "{took:?}");
    let told = format!("{first} does not help");
    ensure!(times(&said, &told) == 3, "{:?}", said.lines);
    same(&scene.room.images().join(NAME), &here)
}

/// What was said of the waiting, in seconds.
fn seconds(said: &Said) -> Result<u64> {
    let told = said.told();
    let rest = told.split("up to ").nth(1).context("no waiting")?;
    let number = rest.split(' ').next().context("how long")?;
    Ok(number.parse()?)
}

#[test]
fn loop_one_that_is_alone_is_waited_for_as_long_as_was_said() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let scene = Scene::new(192)?;
    let (disk, here) = (scene.disk(), scene.here());
    let first = "REPO:aula1/win";
    let deploy = ["deploy", first, text(&disk), "--no-cache", "--yes"];
    let update = ["cache", "update", text(&here), "--from", first, "--yes"];
    // Nothing comes for 20 seconds before it is taken for gone; no less is said, unless one of several requests was just
    // connecting.
    let silence = Duration::from_secs(20);
    for work in [&deploy[..], &update] {
        let (said, took) = scene.run(&[SILENT], work)?;
        let case = || format!("{work:?} in {took:?}: {:?}", said.lines);
        refusal(&said, "repo/unreachable").with_context(case)?;
        let told = Duration::from_secs(seconds(&said)?);
        // Its own last try, and those of others that wait.
        let most = silence.max(told) + Duration::from_secs(8);
        let least = told.saturating_sub(Duration::from_secs(1));
        ensure!((least..most).contains(&took), "{}", case());
        ensure!(times(&said, "up to") == 1, "{}", case());
        // Meanwhile it is seen that nothing comes.
        let still = |line: &Value| line["progress"]["rate"] == 0;
        ensure!(said.lines.iter().any(still), "{}", case());
    }
    Ok(())
}

/// Runs a command with some patience, in whose midst a link is cut: when it said so, when it ended, and its last line.
fn cut(
    room: &Room,
    args: &[&str],
    (side, patience): (Side, u64),
) -> Result<(Option<Duration>, Duration, Value)> {
    let cable = room.cable.as_ref().context("a cable")?;
    let before = cable.received(side)?;
    let mut command = room.command(args);
    let patience = patience.to_string();
    command
        .env("AZUD_PATIENCE", &patience)
        .stdout(Stdio::piped());
    let mut client = command.stderr(Stdio::null()).spawn()?;
    let out = BufReader::new(client.stdout.take().context("a pipe")?);
    let midst = 6 * MIB as u64;
    while_it_runs(&mut client, || Ok(cable.received(side)? - before >= midst))?;
    cable.silence(SILENT, true)?;
    let begun = Instant::now();
    let (mut told, mut last) = (None, Value::Null);
    for line in out.lines() {
        last = serde_json::from_str(&line?)?;
        let is_it = |text: &str| text.contains(&format!("up to {patience} seconds"));
        if told.is_none() && last["warning"].as_str().is_some_and(is_it) {
            told = Some(begun.elapsed());
        }
    }
    client.wait()?;
    let took = begun.elapsed();
    cable.silence(SILENT, false)?;
    Ok((told, took, last))
}

#[test]
fn loop_a_link_that_is_cut_is_told_soon_and_given_up_when_was_said() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let (room, _manager) = two_ways(&noise(195, 24 * MIB), "write")?;
    let (volume, here) = (room.dir().join("volume"), room.dir().join("win.img"));
    fs::write(&volume, noise(196, 24 * MIB))?;
    let up = ["image", "create", text(&volume), "REPO:aula2/win"];
    for (args, side) in [(&up[..], Side::Server), (&update(&here), Side::Client)] {
        let (told, took, last) = cut(&room, args, (side, 24))?;
        let case = || format!("{args:?}: told after {told:?}, over after {took:?}: {last}");
        ensure!(last["error"]["code"] == "repo/unreachable", "{}", case());
        ensure!(
            told.is_some_and(|told| told < Duration::from_secs(9)),
            "{}",
            case()
        );
        // The last try begins before the end.
        let [least, most] = [23, 31].map(Duration::from_secs);
        ensure!((least..most).contains(&took), "{}", case());
    }
    Ok(())
}

/// All requests that were under way break off together, and get an answer one by one.
#[test]
fn loop_a_manager_that_was_killed_and_comes_back_is_told_once() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let (room, manager) = two_ways(&noise(197, 64 * MIB), "read")?;
    let here = room.dir().join("win.img");
    let cable = room.cable.as_ref().context("a cable")?;
    let before = cable.received(Side::Client)?;
    let mut command = room.command(&update(&here));
    let mut client = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // Several requests are under way by then.
    let midst = 24 * MIB as u64;
    while_it_runs(&mut client, || {
        Ok(cable.received(Side::Client)? - before >= midst)
    })?;
    let again = format!("0.0.0.0:{}", manager.port);
    manager.kill()?;
    thread::sleep(Duration::from_secs(3));
    let _manager = room.serve_on(&again)?;
    let said = Said::of(&client.wait_with_output()?)?;
    said.done()?;
    let told = times(&said, "is asked again for up to");
    ensure!(told == 1, "{told} times: {:?}", said.lines);
    same(&room.images().join(NAME), &here)
}

#[test]
fn loop_all_of_several_are_waited_for_as_long_as_was_said() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let scene = Scene::new(193)?;
    let here = scene.here();
    let first = "REPO:aula1/win";
    let other = format!("{OTHER}:aula1/win");
    let both = ["--from", first, "--from", &other, "--yes"];
    let update = [&["cache", "update", text(&here)][..], &both].concat();
    let (said, took) = scene.run(&[SILENT, OTHER], &update)?;
    let case = || format!("in {took:?}: {:?}", said.lines);
    refusal(&said, "repo/unreachable").with_context(case)?;
    ensure!(times(&said, "None of the sources") == 1, "{}", case());
    // What was said begins after the first seconds, in which something may still come.
    let told = Duration::from_secs(seconds(&said)?);
    let most = told + Duration::from_secs(12);
    ensure!((told..most).contains(&took), "{}", case());
    Ok(())
}
