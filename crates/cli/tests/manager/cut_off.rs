//! Commands that are asked to end after the cable was cut in their midst: nobody waits for what cannot come any more.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use azud_testkit::cable::{Cable, Side};
use azud_testkit::tools::{have, have_root, run};
use serde_json::Value;

use crate::full::while_it_runs;
use crate::kit::{self, Said, program, text};
use crate::server::{Manager, Room};
use crate::silent::{OTHER, two_ways};
use crate::{MIB, bytes, noise, same, update};

/// A manager is told that an upload ends, and that the work does; it has a second to hear either. Machines that do much
/// else take longer; without an end it would be waited for until the patience is over.
const MOST: Duration = Duration::from_secs(8);
/// Bytes in whose midst the cable is cut.
const MIDST: u64 = 12 << 20;
/// Right after the cut, and when connections are tried again.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];

/// A client that knows a manager by two addresses, and may write there.
struct Scene {
    room: Room,
    _manager: Manager,
}

impl Scene {
    fn new() -> Result<Self> {
        let (room, manager) = two_ways(&noise(201, 24 * MIB), "write")?;
        Ok(Self {
            room,
            _manager: manager,
        })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.room.dir().join(name)
    }

    fn cable(&self) -> Result<&Cable> {
        self.room.cable.as_ref().context("a cable")
    }

    /// A command that heeds signals, whoever runs the tests.
    fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = self.cable()?.command(Side::Client, "env");
        command.arg("--default-signal=INT,TERM").arg(program());
        command.args(args).env("LC_ALL", "C").stdin(Stdio::null());
        self.room.settings(&mut command);
        Ok(command)
    }

    /// Runs it until so many bytes have come to a side, cuts the cable, and asks for the end after a pause.
    fn cut(
        &self,
        args: &[&str],
        side: Side,
        (pause, signal): (Duration, &str),
    ) -> Result<(Output, Duration)> {
        let cable = self.cable()?;
        let before = cable.received(side)?;
        let mut command = self.command(args)?;
        let mut client = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        while_it_runs(&mut client, || Ok(cable.received(side)? - before >= MIDST))?;
        for address in [Cable::SERVER, OTHER] {
            cable.silence(address, true)?;
        }
        thread::sleep(pause);
        let asked = Instant::now();
        run("kill", &["-s", signal, &client.id().to_string()])?;
        while client.try_wait()?.is_none() && asked.elapsed() < MOST {
            thread::sleep(Duration::from_millis(10));
        }
        let took = asked.elapsed();
        if took >= MOST {
            client.kill()?;
        }
        for address in [Cable::SERVER, OTHER] {
            cable.silence(address, false)?;
        }
        Ok((client.wait_with_output()?, took))
    }

    /// The same by a person, who hears at once that the signal was heard, and at the end what it did.
    fn stopped(&self, args: &[&str], side: Side) -> Result<()> {
        let signals = [("INT", 130), ("TERM", 143)];
        for (pause, (signal, status)) in PAUSES.into_iter().zip(signals) {
            let (output, took) = self.cut(args, side, (pause, signal))?;
            let told = String::from_utf8_lossy(&output.stderr);
            let case = || format!("{args:?}, {pause:?}, in {took:?}: {told}");
            ensure!(output.status.code() == Some(status), "{}", case());
            let heard = told.find("Stopping at the next safe moment");
            let end = told.find("cli/interrupted");
            ensure!(heard.is_some() && heard < end, "{}", case());
            // Whose silence it was is no news then.
            let after = heard.map_or("", |at| &told[at..]);
            ensure!(!after.contains("answer"), "{}", case());
        }
        Ok(())
    }
}

fn can() -> bool {
    have(&["ip", "tc", "env", "kill"]) && have_root()
}

#[test]
fn loop_what_comes_over_a_cable_that_is_cut_ends_when_it_is_asked_to() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let scene = Scene::new()?;
    let (disk, cache) = (scene.at("disk"), scene.at("cache"));
    let (copy, mirror) = (scene.at("copy.img"), scene.at("mirror"));
    fs::create_dir_all(cache.join("aula1"))?;
    fs::create_dir(&mirror)?;
    let (image, other) = ("REPO:aula1/win", format!("{OTHER}:aula1/win"));
    let deploy = ["deploy", image, text(&disk), "--yes"];
    for work in [
        [&deploy[..], &["--no-cache"]].concat(),
        [&deploy[..], &["--cache", text(&cache)]].concat(),
        [&deploy[..], &["--no-cache", "--from", &other]].concat(),
        vec!["image", "copy", image, text(&copy)],
        vec!["repo", "import", "REPO:", text(&mirror), "--yes"],
    ] {
        // Nothing that came before is of use.
        fs::write(&disk, vec![0xA5; 24 * MIB])?;
        scene.stopped(&work, Side::Client)?;
    }
    Ok(())
}

#[test]
fn loop_what_goes_over_a_cable_that_is_cut_ends_when_it_is_asked_to() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let scene = Scene::new()?;
    let (volume, here) = (scene.at("volume"), scene.at("here.img"));
    fs::write(&volume, noise(202, 24 * MIB))?;
    kit::done(&["image", "create", text(&volume), text(&here)])?;
    for work in [
        ["image", "create", text(&volume), "REPO:aula2/made"],
        ["image", "copy", text(&here), "REPO:aula2/copied"],
    ] {
        scene.stopped(&work, Side::Server)?;
    }
    Ok(())
}

#[test]
fn loop_an_update_that_is_cut_off_and_stopped_keeps_what_came() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let scene = Scene::new()?;
    let here = scene.at("win.img");
    let args = update(&here);
    let json = [&args[..], &["--json"]].concat();
    let (output, took) = scene.cut(&json, Side::Client, (PAUSES[0], "INT"))?;
    let said = Said::of(&output)?;
    let case = || format!("in {took:?}: {said:?}");
    ensure!(said.status == Some(130) && took < MOST, "{}", case());
    let heard = |line: &Value| line["stopping"]["signal"] == "SIGINT";
    ensure!(said.lines.iter().any(heard), "{}", case());
    ensure!(
        said.last()["error"]["code"] == "cli/interrupted",
        "{}",
        case()
    );
    let rest = scene.room.done(&args)?;
    // Of each of several requests there is a frame that came in part.
    ensure!(bytes(&rest, "resumed")? > MIB as u64, "{rest}");
    same(&scene.room.images().join("aula1/win.img"), &here)
}
