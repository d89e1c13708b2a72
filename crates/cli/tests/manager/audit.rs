//! What the manager writes down of changes: each, with its image, whoever hears of it.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::kit::text;
use crate::raw::{Line, bearer};
use crate::server::{Manager, Room};
use crate::{MIB, image, noise};

/// How long anything may take that takes a moment.
const PATIENCE: Duration = Duration::from_mins(1);
const MOMENT: Duration = Duration::from_millis(20);

/// Image and change of the lines that tell of one.
fn told(room: &Room) -> Result<Vec<(String, String)>> {
    let log = fs::read_to_string(room.state().join("audit.log")).unwrap_or_default();
    let lines = log
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let lines: Vec<Value> = lines.map(serde_json::from_str).collect::<Result<_, _>>()?;
    let word = |line: &Value, key: &str| Some(line[key].as_str()?.to_owned());
    let by_somebody = lines.iter().filter(|line| line["who"].is_string());
    Ok(by_somebody
        .filter_map(|line| Some((word(line, "image")?, word(line, "change")?)))
        .collect())
}

/// The same, once there are so many.
fn changes(room: &Room, count: usize) -> Result<Vec<(String, String)>> {
    let begun = Instant::now();
    loop {
        let told = told(room)?;
        if told.len() >= count {
            return Ok(told);
        }
        ensure!(begun.elapsed() < PATIENCE, "{count} changes, but {told:?}");
        sleep(MOMENT);
    }
}

pub(crate) fn metric(line: &Line, manager: &Manager, begin: &str) -> Result<Option<u64>> {
    let bearer = bearer(&manager.admin);
    let (_, body) = line.get("/metrics", &[("Authorization", &bearer)])?;
    let body = String::from_utf8(body)?;
    let line = body.lines().find_map(|line| line.strip_prefix(begin));
    Ok(line.map(|number| number.trim().parse()).transpose()?)
}

#[test]
fn whoever_hangs_up_is_told_of_all_the_same() -> Result<()> {
    let room = Room::new()?;
    let manager = room.serve()?;
    let line = Line::to(&room, &manager)?;
    let names: Vec<String> = (0..40).map(|number| format!("{number:02}.img")).collect();
    for name in &names {
        fs::write(room.images().join(name), name)?;
    }
    let is_there = |name: &String| room.images().join(name).exists();
    let begun = Instant::now();
    // Later and later, and the last when it is served: the manager has heard of some when they hang up.
    for (number, name) in (0..).zip(&names) {
        let mut raw = line.connect()?;
        let head = format!("DELETE /v1/images/{name} HTTP/1.1\r\nHost: og\r\n");
        let token = bearer(&manager.admin);
        raw.say(format!("{head}Authorization: {token}\r\n\r\n").as_bytes())?;
        sleep(Duration::from_millis(number));
        while Some(name) == names.last() && is_there(name) && begun.elapsed() < PATIENCE {
            sleep(MOMENT);
        }
    }
    let removed = || -> Vec<_> {
        let gone = names.iter().filter(|name| !is_there(name));
        gone.map(|name| (name.clone(), "removed".to_owned()))
            .collect()
    };
    // Of some the manager may have heard too late to do anything.
    let begun = Instant::now();
    while removed().len() < names.len() && begun.elapsed() < Duration::from_secs(5) {
        sleep(MOMENT);
    }
    let removals =
        "azud_requests_total{route=\"/v1/images/{name}\",method=\"DELETE\",status=\"204\"}";
    loop {
        let mut told = told(&room)?;
        told.sort();
        let done = removed();
        let counted = metric(&line, &manager, removals)?;
        if told == done && counted == Some(done.len() as u64) {
            ensure!(!done.is_empty(), "nothing was done at all");
            return Ok(());
        }
        // What was begun is still coming to its end.
        ensure!(begun.elapsed() < PATIENCE, "{counted:?} {told:?} {done:?}");
        sleep(MOMENT);
    }
}

#[test]
fn each_change_of_an_image_is_told_with_its_name() -> Result<()> {
    let room = Room::new()?;
    let here = room.dir().join("here.img");
    let manager = room.serve()?;
    room.know_as(&manager, "write")?;
    for seed in [71, 72] {
        image(&room, "new.img", &noise(seed, MIB))?;
        fs::rename(room.images().join("new.img"), &here)?;
        room.done(&["image", "copy", text(&here), "REPO:aula1/win", "--yes"])?;
    }
    for _ in 0..2 {
        room.done(&["image", "rollback", "REPO:aula1/win", "--yes"])?;
    }
    room.done(&["image", "rm", "REPO:aula1/win", "--yes"])?;
    let told = changes(&room, 5)?;
    ensure!(
        told.iter().all(|(name, _)| name == "aula1/win.img"),
        "{told:?}"
    );
    let what: Vec<&str> = told.iter().map(|(_, what)| what.as_str()).collect();
    let expected = [
        "written",
        "replaced",
        "rolled-back",
        "rolled-back",
        "removed",
    ];
    ensure!(what == expected, "{told:?}");
    Ok(())
}

#[test]
fn what_was_only_counted_is_told_when_the_manager_ends() -> Result<()> {
    let room = Room::new()?;
    let manager = room.serve()?;
    let (line, bearer) = (Line::to(&room, &manager)?, bearer(&manager.admin));
    for _ in 0..7 {
        line.get("/v1/images", &[("Authorization", &bearer)])?;
    }
    drop(manager);
    let log = fs::read_to_string(room.state().join("audit.log"))?;
    let mut count = 0;
    for line in log.lines().filter(|line| line.contains("/v1/images")) {
        let line: Value = serde_json::from_str(line).context("a line")?;
        count += 1 + line["repeated"].as_u64().unwrap_or(0);
    }
    ensure!(count == 7, "{log}");
    Ok(())
}
