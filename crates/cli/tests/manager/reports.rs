//! What clients do is seen at the manager.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::asked::known_too;
use crate::kit::{Said, program, text};
use crate::server::{Manager, Room, refusal};
use crate::{MIB, image, noise};

/// Patience for what another process does in its own time.
const TRIES: usize = 200;
const NAP: Duration = Duration::from_millis(100);

/// The only computer, as the manager that is asked shows it.
pub(crate) fn computer(room: &Room) -> Result<Value> {
    let mut tries = 0..TRIES / 4;
    loop {
        let said = room.done(&["room", "status"])?;
        let computers = said["computers"].as_array().context("a list")?;
        match computers.as_slice() {
            [one] => return Ok(one.clone()),
            // Its first word may be on its way.
            [] if tries.next().is_some() => sleep(NAP),
            _ => bail!("{said}"),
        }
    }
}

/// Whoever introduces itself with the token of the first start may see the room.
pub(crate) fn look_after(room: &Room) -> Result<Manager> {
    let manager = room.serve()?;
    room.introduce(&manager, &manager.pin, &manager.admin)?
        .done()?;
    Ok(manager)
}

#[test]
fn the_room_shows_what_each_computer_did() -> Result<()> {
    let room = Room::new()?;
    image(&room, "aula1/win.img", &noise(11, MIB))?;
    let manager = look_after(&room)?;
    let none = room.done(&["room", "status"])?;
    ensure!(none["computers"] == serde_json::json!([]), "{none}");
    let (copy, disk) = (room.dir().join("win.img"), room.dir().join("disk"));
    room.done(&["image", "copy", "REPO:aula1/win", text(&copy), "--yes"])?;
    let seen = computer(&room)?;
    let report = &seen["report"];
    ensure!(
        report["job"] == "image-copy" && report["state"] == "done",
        "{seen}"
    );
    ensure!(report["image"] == "REPO:aula1/win", "{seen}");
    ensure!(report["to"] == text(&copy), "{seen}");
    ensure!(
        report["identity"].as_str().is_some_and(|it| it.len() == 64),
        "{seen}"
    );
    ensure!(
        seen["address"] == "127.0.0.1" && seen["carries"].is_null(),
        "{seen}"
    );
    room.done(&["image", "restore", text(&copy), text(&disk), "--yes"])?;
    let restored = computer(&room)?;
    ensure!(
        restored["carries"]["identity"] == report["identity"],
        "{restored}"
    );
    ensure!(restored["carries"]["image"] == text(&copy), "{restored}");
    // A plan alone is no work.
    let planned = ["image", "restore", "REPO:none", text(&disk), "--dry-run"];
    room.run(&planned)?.refused()?;
    ensure!(computer(&room)?["report"]["state"] == "done");
    // What fails is seen with its remedy, and does not change what the computer carries.
    let small = room.dir().join("small");
    fs::write(&small, vec![0; 4096])?;
    let said = room.run(&["image", "restore", text(&copy), text(&small), "--yes"])?;
    refusal(&said, "disk/too-small")?;
    let failed = computer(&room)?;
    ensure!(failed["report"]["state"] == "failed", "{failed}");
    ensure!(
        failed["failures"][0]["code"] == "disk/too-small",
        "{failed}"
    );
    ensure!(
        failed["failures"][0]["hint"] == said.last()["error"]["hint"],
        "{failed}"
    );
    ensure!(failed["carries"] == restored["carries"], "{failed}");
    // It is still known after the manager was started anew.
    let port = manager.port;
    drop(manager);
    let here = room.done(&["room", "status", "--state", text(&room.state())])?;
    ensure!(
        here["computers"][0]["failures"] == failed["failures"],
        "{here}"
    );
    let _again = room.serve_at(port)?;
    ensure!(computer(&room)?["report"] == failed["report"]);
    Ok(())
}

#[test]
fn what_failed_at_another_manager_is_told_as_that() -> Result<()> {
    let room = Room::new()?;
    let manager = look_after(&room)?;
    // Nobody has that name.
    known_too(&room, "other.room.invalid", manager.port)?;
    let copy = room.dir().join("win.img");
    let line = [
        "image",
        "copy",
        "other.room.invalid:win",
        text(&copy),
        "--yes",
    ];
    let mut command = room.command(&line);
    let said = Said::of(&command.env("AZUD_PATIENCE", "1").output()?)?;
    refusal(&said, "repo/unreachable")?;
    let failure = computer(&room)?["failures"][0].clone();
    ensure!(failure["manager"] == "other.room.invalid", "{failure}");
    ensure!(failure["when"].as_u64() > Some(1_700_000_000), "{failure}");
    let hint = failure["hint"].to_string();
    ensure!(
        hint.contains("about the manager other.room.invalid"),
        "{hint}"
    );
    // What this one refuses is about itself.
    let line = ["image", "copy", "REPO:none", text(&copy), "--yes"];
    refusal(&room.run(&line)?, "image/not-found")?;
    let failures = computer(&room)?["failures"].clone();
    ensure!(failures[0]["manager"].is_null(), "{failures}");
    ensure!(
        failures[1]["manager"] == "other.room.invalid",
        "both are still of interest: {failures}"
    );
    let mut status = std::process::Command::new(program());
    status.args(["room", "status", "--lang", "en"]);
    let output = room.settings(&mut status).output()?;
    let shown = String::from_utf8(output.stdout)?;
    ensure!(shown.contains(" s ago): image copy"), "{shown}");
    Ok(())
}

/// Whoever looks after the room reads what the command told, be it in another language than his.
#[test]
fn a_failure_comes_with_the_remedy_that_was_told_there() -> Result<()> {
    let room = Room::new()?;
    let _manager = look_after(&room)?;
    let copy = room.dir().join("win.img");
    let in_es = |args: &[&str]| room.run(&[args, &["--lang", "es"]].concat());
    let line = ["image", "copy", "REPO:none", text(&copy), "--yes"];
    let said = room.run(&line)?;
    refusal(&said, "image/not-found")?;
    let spanish = in_es(&line)?.last()["error"].clone();
    ensure!(spanish["hint"] != said.last()["error"]["hint"], "{spanish}");
    // The second, of a computer that speaks Spanish.
    let failure = computer(&room)?["failures"][0].clone();
    ensure!(failure["hint"] == said.last()["error"]["hint"], "{failure}");
    refusal(&room.run(&line)?, "image/not-found")?;
    let seen = in_es(&["room", "status"])?.last()["computers"][0].clone();
    ensure!(seen["failures"][0]["hint"] == spanish["hint"], "{seen}");
    ensure!(
        seen["failures"]
            .as_array()
            .is_some_and(|all| all.len() == 1),
        "{seen}"
    );
    let mut status = std::process::Command::new(program());
    status.args(["room", "status", "--lang", "es"]);
    let output = room.settings(&mut status).output()?;
    let shown = String::from_utf8(output.stdout)?;
    let hint = spanish["hint"].as_str().context("a hint")?;
    ensure!(
        shown.contains("none.img no está allí [image/not-found]"),
        "{shown}"
    );
    ensure!(
        shown.contains(&format!("Allí se indicó: {hint}")),
        "{shown}"
    );
    Ok(())
}

#[test]
fn a_deployment_is_told_and_its_plan_is_not() -> Result<()> {
    let room = Room::new()?;
    image(&room, "aula1/win.img", &noise(15, MIB))?;
    let _manager = look_after(&room)?;
    let disk = room.dir().join("disk");
    let deploy = ["deploy", "REPO:aula1/win", text(&disk)];
    room.done(&[&deploy[..], &["--dry-run"]].concat())?;
    let nobody = room.done(&["room", "status"])?;
    ensure!(
        nobody["computers"].as_array().is_some_and(Vec::is_empty),
        "{nobody}"
    );
    let done = room.done(&[&deploy[..], &["--yes"]].concat())?;
    let seen = computer(&room)?;
    let report = &seen["report"];
    ensure!(
        report["job"] == "deploy" && report["state"] == "done",
        "{seen}"
    );
    ensure!(seen["carries"]["identity"] == done["identity"], "{seen}");
    Ok(())
}

#[test]
fn a_slip_is_nobodys_job_and_a_refusal_of_the_computers_is() -> Result<()> {
    let room = Room::new()?;
    image(&room, "win.img", &noise(18, MIB))?;
    let _manager = look_after(&room)?;
    let (here, disk) = (room.images().join("win.img"), room.dir().join("disk"));
    fs::write(&disk, vec![0; 2 * MIB])?;
    let slips: [(&[&str], &str); 5] = [
        (&["image", "create", text(&disk), "REPO:"], "image/bad-name"),
        (
            &["image", "copy", "REPO:a/../b", text(&disk)],
            "image/bad-name",
        ),
        (
            &["image", "restore", "-", text(&disk), "--verify-first"],
            "cli/usage",
        ),
        (
            &["image", "restore", text(&here), text(&disk)],
            "cli/not-confirmed",
        ),
        (&["deploy", "REPO:win", text(&disk)], "cli/not-confirmed"),
    ];
    let slip = || -> Result<()> {
        for (line, code) in slips {
            let said = room.run(line)?;
            ensure!(
                said.last()["error"]["code"] == code,
                "{line:?}: {}",
                said.last()
            );
        }
        Ok(())
    };
    slip()?;
    let nobody = room.done(&["room", "status"])?;
    ensure!(nobody["computers"] == serde_json::json!([]), "{nobody}");
    room.run(&["deploy", "REPO:none", text(&disk), "--yes"])?
        .refused()?;
    let failed = computer(&room)?;
    ensure!(
        failed["failures"][0]["code"] == "image/not-found",
        "{failed}"
    );
    ensure!(failed["report"]["job"] == "deploy", "{failed}");
    ensure!(failed["report"]["state"] == "failed", "{failed}");
    slip()?;
    let seen = computer(&room)?;
    ensure!(seen["report"] == failed["report"], "{seen}");
    room.done(&["deploy", "REPO:win", text(&disk), "--yes"])?;
    let done = computer(&room)?;
    ensure!(done["report"]["state"] == "done", "{done}");
    slip()?;
    ensure!(computer(&room)?["report"] == done["report"]);
    Ok(())
}

#[test]
fn what_a_reader_may_not_send_is_no_job_of_his_computer() -> Result<()> {
    let room = Room::new()?;
    image(&room, "win.img", &noise(19, MIB))?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let (copy, volume) = (room.dir().join("win.img"), room.dir().join("volume"));
    room.done(&["image", "copy", "REPO:win", text(&copy), "--yes"])?;
    for (line, code) in [
        (
            ["image", "create", text(&volume), "REPO:new", "--yes"],
            "repo/not-allowed",
        ),
        (
            ["image", "copy", text(&copy), "REPO:new", "--yes"],
            "repo/not-allowed",
        ),
    ] {
        refusal(&room.run(&line)?, code)?;
    }
    drop(manager);
    let here = room.done(&["room", "status", "--state", text(&room.state())])?;
    let report = &here["computers"][0]["report"];
    ensure!(
        report["image"] == "REPO:win" && report["state"] == "done",
        "{here}"
    );
    Ok(())
}

#[test]
fn files_are_told_so_that_others_know_which_they_are() -> Result<()> {
    let room = Room::new()?;
    image(&room, "a:b.img", &noise(20, MIB))?;
    let _manager = look_after(&room)?;
    let (here, work) = (fs::canonicalize(room.dir())?, room.dir().join("work"));
    fs::create_dir(&work)?;
    fs::write(work.join("disk.img"), vec![0; 4096])?;
    let run = |args: &[&str]| Said::of(&room.command(args).current_dir(&work).output()?);
    run(&["image", "copy", "../images/a:b", "./copy", "--yes"])?.done()?;
    let told = computer(&room)?["report"]["image"].clone();
    ensure!(told == text(&here.join("work/../images/a:b")), "{told}");
    let said = run(&["image", "restore", "./copy.img", "disk.img", "--yes"])?;
    refusal(&said, "disk/too-small")?;
    let failed = computer(&room)?["failures"][0].clone();
    ensure!(
        failed["image"] == text(&here.join("work/copy.img")),
        "{failed}"
    );
    let said = run(&["deploy", "./none", "disk.img", "--yes"])?;
    refusal(&said, "image/not-found")?;
    let failed = computer(&room)?["failures"][0].clone();
    ensure!(failed["image"] == text(&here.join("work/none")), "{failed}");
    let told = failed["detail"].as_str().context("an account")?;
    ensure!(
        told.ends_with(&format!("(in {})", here.join("work").display())),
        "{failed}"
    );
    Ok(())
}

#[test]
fn work_is_seen_while_it_goes_on() -> Result<()> {
    let room = Room::new()?;
    image(&room, "win.img", &noise(12, 4 * MIB))?;
    let _manager = look_after(&room)?;
    let disk = room.dir().join("disk");
    fs::File::create(&disk)?.set_len(8 * MIB as u64)?;
    let mut restore = room.command(&["image", "restore", "-", text(&disk), "--yes"]);
    let mut child = restore
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let bytes = fs::read(room.images().join("win.img"))?;
    let mut pipe = child.stdin.take().context("a pipe")?;
    let (first, rest) = bytes.split_at(bytes.len() - MIB);
    pipe.write_all(first)?;
    pipe.flush()?;
    let seen = (0..TRIES).find_map(|_| {
        sleep(NAP);
        let seen = computer(&room).ok()?;
        let done = seen["report"]["done"].as_u64()?;
        (seen["report"]["phase"] == "restore" && done > 0).then_some(seen)
    });
    pipe.write_all(rest)?;
    drop(pipe);
    ensure!(child.wait()?.success());
    let seen = seen.context("it was not seen at work")?;
    ensure!(
        seen["report"]["state"] == "running" && seen["silent"] == false,
        "{seen}"
    );
    ensure!(computer(&room)?["report"]["state"] == "done");
    Ok(())
}

#[test]
fn readers_tell_of_themselves_but_see_nobody() -> Result<()> {
    let room = Room::new()?;
    image(&room, "win.img", &noise(13, MIB))?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let copy = room.dir().join("win.img");
    room.done(&["image", "copy", "REPO:win", text(&copy), "--yes"])?;
    let said = room.run(&["room", "status"])?;
    refusal(&said, "repo/not-allowed")?;
    let error = &said.last()["error"];
    let message = error["message"].as_str().context("a message")?;
    ensure!(
        message.ends_with("the token for 127.0.0.1 may only read"),
        "{error}"
    );
    let hint = error["hint"].as_str().context("a hint")?;
    ensure!(
        hint.contains("azud login") && hint.contains("--role write"),
        "{hint}"
    );
    drop(manager);
    let here = room.done(&["room", "status", "--state", text(&room.state())])?;
    ensure!(here["computers"][0]["report"]["state"] == "done", "{here}");
    Ok(())
}

#[test]
fn work_goes_on_when_nobody_takes_reports() -> Result<()> {
    let room = Room::new()?;
    image(&room, "win.img", &noise(14, MIB))?;
    let manager = room.serve()?;
    room.know(&manager)?;
    drop(manager);
    let disk = room.dir().join("disk");
    let image = room.images().join("win.img");
    room.done(&["image", "restore", text(&image), text(&disk), "--yes"])?;
    refusal(&room.run(&["room", "status"])?, "repo/unreachable")
}

#[test]
fn a_manager_that_takes_the_connection_and_says_nothing_neither_slows_work_nor_fails_it()
-> Result<()> {
    let room = Room::new()?;
    image(&room, "win.img", &noise(16, MIB))?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let port = manager.port;
    drop(manager);
    // The kernel takes connections, and nobody reads.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let (disk, image) = (room.dir().join("disk"), room.images().join("win.img"));
    let begun = Instant::now();
    room.done(&["image", "restore", text(&image), text(&disk), "--yes"])?;
    let took = begun.elapsed();
    silent.set_nonblocking(true)?;
    silent.accept().context("it was not told")?;
    // A report is given five seconds.
    ensure!(took < Duration::from_secs(5), "{took:?}");
    Ok(())
}

#[test]
fn a_manager_that_was_away_hears_how_the_work_ended() -> Result<()> {
    let room = Room::new()?;
    image(&room, "aula1/win.img", &noise(17, 96 * MIB))?;
    let manager = look_after(&room)?;
    let port = manager.port;
    let to = room.dir().join("copies");
    fs::create_dir(&to)?;
    let to = to.join("win.img");
    let mut copy = room.command(&["image", "copy", "REPO:aula1/win", text(&to), "--yes"]);
    let mut child = copy.stdout(Stdio::null()).spawn()?;
    let folder = to.parent().context("a folder")?;
    while fs::read_dir(folder)?.count() == 0 {
        ensure!(child.try_wait()?.is_none(), "it ended before");
        sleep(Duration::from_millis(1));
    }
    manager.kill()?;
    // Longer than between two reports: one of them finds nobody.
    sleep(Duration::from_millis(1500));
    ensure!(child.try_wait()?.is_none(), "it ended meanwhile");
    let _manager = room.serve_at(port)?;
    ensure!(child.wait()?.success());
    let seen = computer(&room)?;
    let report = &seen["report"];
    ensure!(
        report["job"] == "image-copy" && report["state"] == "done",
        "{seen}"
    );
    Ok(())
}

#[test]
fn who_watches_hears_that_the_manager_is_back() -> Result<()> {
    let room = Room::new()?;
    let manager = look_after(&room)?;
    let port = manager.port;
    let mut watch = room.command(&["room", "status", "--watch"]);
    let mut child = watch.stdout(Stdio::piped()).spawn()?;
    let (tell, told) = std::sync::mpsc::channel();
    let lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|it| tell.send(it)));
    let next = |key: &str| -> Result<()> {
        let line = told.recv_timeout(Duration::from_secs(20));
        let line = line.with_context(|| format!("no {key}"))?;
        let line: Value = serde_json::from_str(&line)?;
        ensure!(!line[key].is_null(), "{line}");
        Ok(())
    };
    let heard = || -> Result<()> {
        next("computers")?;
        drop(manager);
        next("warning")?;
        let _manager = room.serve_at(port)?;
        // Nobody has reported anything meanwhile.
        next("computers")
    };
    let heard = heard();
    child.kill()?;
    child.wait()?;
    heard
}
