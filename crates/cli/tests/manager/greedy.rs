//! Clients that hang up, that send slowly, that name very much: none of it holds up the others.

use std::fs;
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::raw::{Line, Raw, bearer};
use crate::server::{Manager, Room};
use crate::{MIB, image, noise};

/// What needs a while to be read.
const LARGE: u64 = 8 << 30;
/// A manager has begun to work on a request by then, mostly.
const MOMENT: Duration = Duration::from_millis(10);
/// Threads that a manager has besides those that are counted.
const OTHERS: usize = 12;

/// An archive of fsarchiver, by its first bytes, with a large hole.
fn large(room: &Room, name: &str) -> Result<()> {
    let path = room.images().join(name);
    fs::write(&path, b"FsA0")?;
    Ok(fs::File::options().write(true).open(path)?.set_len(LARGE)?)
}

/// What is told of each thread of the manager: its name, and how courteous it is.
fn threads(manager: &Manager) -> Result<Vec<(String, i32)>> {
    let mut threads = Vec::new();
    for task in fs::read_dir(format!("/proc/{}/task", manager.pid()))? {
        // Some end meanwhile.
        let Ok(stat) = fs::read_to_string(task?.path().join("stat")) else {
            continue;
        };
        let (before, after) = stat.rsplit_once(')').context("a name")?;
        let name = before.split_once('(').context("a name")?.1.to_owned();
        let nice = after.split_whitespace().nth(16).context("a number")?;
        threads.push((name, nice.parse()?));
    }
    Ok(threads)
}

fn count(manager: &Manager, is: impl Fn(&(String, i32)) -> bool) -> Result<usize> {
    Ok(threads(manager)?.into_iter().filter(is).count())
}

fn runs_requests((name, _): &(String, i32)) -> bool {
    name.starts_with("tokio")
}

#[test]
fn who_hangs_up_has_no_more_at_work_than_who_waits() -> Result<()> {
    let room = Room::new()?;
    large(&room, "old.img")?;
    let manager = room.serve()?;
    let (line, bearer) = (Line::to(&room, &manager)?, bearer(&manager.admin));
    let fields = [("Authorization", bearer.as_str())];
    let all: Result<Vec<Raw>> = (0..120).map(|_| line.connect()).collect();
    for mut raw in all? {
        // An index that is not there yet is waited for, half a second.
        raw.ask("/v1/images/old/index", &fields)?;
        thread::sleep(MOMENT);
    }
    let at_work = count(&manager, runs_requests)?;
    ensure!(at_work <= 16 + OTHERS, "{at_work} threads");
    let (head, _) = line.get("/v1/images", &fields)?;
    ensure!(head.status == 200, "{head:?}");
    Ok(())
}

/// Begins an upload.
fn upload(line: &Line, bearer: &str) -> Result<String> {
    let body = format!(r#"{{"name":"sent","bytes":{MIB},"sender":"s"}}"#);
    let len = body.len().to_string();
    let mut raw = line.connect()?;
    raw.begin(
        "POST /v1/uploads",
        &[("Authorization", bearer), ("Content-Length", &len)],
    )?;
    raw.say(body.as_bytes())?;
    let (head, said) = raw.answer()?;
    ensure!(head.status == 201, "{head:?}");
    let said: Value = serde_json::from_slice(&said)?;
    Ok(said["id"].as_str().context("an id")?.to_owned())
}

#[test]
fn who_sends_slowly_keeps_nobody_waiting() -> Result<()> {
    const COMPUTERS: u8 = 4;
    const EACH: usize = 150;
    let room = Room::new()?;
    image(&room, "one.img", &noise(901, MIB))?;
    let manager = room.serve()?;
    let (line, bearer) = (Line::to(&room, &manager)?, bearer(&manager.admin));
    let id = upload(&line, &bearer)?;
    let (what, fields) = (
        format!("PUT /v1/uploads/{id}/pieces"),
        [("Authorization", bearer.as_str()), ("Content-Length", "99")],
    );
    let mut slow = Vec::new();
    for computer in 0..COMPUTERS {
        for _ in 0..EACH {
            let mut raw = line.from(Ipv4Addr::new(127, 3, 0, computer + 1))?;
            raw.begin(&what, &fields)?;
            raw.say(&[0; 9])?;
            slow.push(raw);
        }
    }
    let (head, _) = line
        .get("/v1/images/one", &fields[..1])
        .context("another meanwhile")?;
    ensure!(head.status == 200, "{head:?}");
    let at_work = count(&manager, runs_requests)?;
    ensure!(at_work < slow.len() / 2, "{at_work} threads");
    Ok(())
}

#[test]
fn indexes_are_made_by_few_and_courteously() -> Result<()> {
    const IMAGES: usize = 40;
    let room = Room::new()?;
    for number in 0..IMAGES {
        large(&room, &format!("old{number}.img"))?;
    }
    let manager = room.serve()?;
    let (line, bearer) = (Line::to(&room, &manager)?, bearer(&manager.admin));
    let fields = [("Authorization", bearer.as_str())];
    let mut all = Vec::new();
    for number in 0..IMAGES {
        let mut raw = line.connect()?;
        raw.ask(&format!("/v1/images/old{number}/index"), &fields)?;
        all.push(raw);
    }
    for _ in 0..50 {
        let others = count(&manager, |one| !runs_requests(one))?;
        ensure!(
            others <= OTHERS,
            "{others} threads: {:?}",
            threads(&manager)?
        );
        thread::sleep(MOMENT);
    }
    for mut raw in all {
        let (head, body) = raw.answer()?;
        let problem: Value = serde_json::from_slice(&body)?;
        ensure!(head.status == 503, "{head:?}");
        ensure!(problem["code"] == "repo/index-in-making", "{problem}");
    }
    let courteous = count(&manager, |(_, nice)| *nice == 19)?;
    ensure!(courteous >= 2, "{:?}", threads(&manager)?);
    Ok(())
}
