//! Many clients, and those that are slow, silent, gone or greedy.

use std::fs;
use std::io::Read;
use std::net::Ipv4Addr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::kit::text;
use crate::raw::{Line, Raw, bearer};
use crate::server::{Manager, Room};
use crate::{MIB, image, noise};

/// Clients at once.
const CLIENTS: u64 = 200;
/// What a client asks for at once, in bytes.
const PART: u64 = 64 << 10;
/// A manager needs no more, in KiB.
const MEMORY: u64 = 512 << 10;
/// So long is waited for what has to come.
const LONG: Duration = Duration::from_mins(2);

/// An address of this computer for each client.
fn address(number: u64) -> Ipv4Addr {
    let number = u32::try_from(number).unwrap_or(0);
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + number)
}

/// A number of the manager's process.
fn of_process(manager: &Manager, key: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", manager.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.with_context(|| status.clone())
}

pub(crate) fn descriptors(manager: &Manager) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{}/fd", manager.pid()))?.count())
}

/// Asks for a part of the image and reads it.
fn part(raw: &mut Raw, bearer: &str, start: u64, len: u64) -> Result<()> {
    let range = format!("bytes={start}-{}", start + len - 1);
    raw.ask(
        "/v1/images/one",
        &[("Authorization", bearer), ("Range", &range)],
    )?;
    let (head, body) = raw.answer()?;
    ensure!(head.status == 206 && body.len() as u64 == len, "{head:?}");
    Ok(())
}

/// What 200 honest clients and one greedy computer share.
struct Crowd {
    line: Line,
    bearer: String,
    begin: Barrier,
    done: AtomicBool,
    parts: Vec<AtomicU64>,
}

impl Crowd {
    /// A client that reads one part after the other; the time is over when together they have read enough.
    fn honest(&self, number: u64) -> Result<()> {
        const ENOUGH: u64 = 20 * CLIENTS;
        let raw = self.line.from(address(number));
        self.begin.wait();
        let (mut raw, mut at) = (raw?, number);
        while !self.done.load(Ordering::Relaxed) {
            part(&mut raw, &self.bearer, at % 64 * PART, PART)?;
            at += 1;
            self.parts[usize::try_from(number)?].fetch_add(1, Ordering::Relaxed);
            let all = self.parts.iter().map(|it| it.load(Ordering::Relaxed));
            if all.sum::<u64>() >= ENOUGH {
                self.done.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// One of many connections of a computer that asks for very many very small parts.
    fn greedy(&self) -> Result<()> {
        let raw = self.line.from(Ipv4Addr::new(127, 2, 0, 1));
        self.begin.wait();
        let (mut raw, mut at) = (raw?, 0);
        while !self.done.load(Ordering::Relaxed) {
            part(&mut raw, &self.bearer, at, 1)?;
            at += 1;
        }
        Ok(())
    }
}

#[test]
fn two_hundred_clients_and_a_greedy_one_are_served_alike() -> Result<()> {
    const GREEDY: u64 = 60;
    let room = Room::new()?;
    image(&room, "one.img", &noise(51, 6 * MIB))?;
    let manager = room.serve()?;
    let parties = usize::try_from(CLIENTS + GREEDY)?;
    let crowd = Crowd {
        line: Line::to(&room, &manager)?,
        bearer: bearer(&manager.admin),
        begin: Barrier::new(parties),
        done: AtomicBool::new(false),
        parts: (0..CLIENTS).map(|_| AtomicU64::new(0)).collect(),
    };
    thread::scope(|scope| {
        let crowd = &crowd;
        let honest = (0..CLIENTS).map(|number| scope.spawn(move || crowd.honest(number)));
        let greedy = (0..GREEDY).map(|_| scope.spawn(|| crowd.greedy()));
        let all: Vec<_> = honest.chain(greedy).collect();
        let ends = all.into_iter().map(|it| it.join().expect("no panic"));
        ends.collect::<Result<()>>()
    })?;
    let mut parts: Vec<u64> = crowd.parts.into_iter().map(AtomicU64::into_inner).collect();
    parts.sort_unstable();
    let (slowest, median) = (parts[0], parts[parts.len() / 2]);
    // On the average 20; whoever has a quarter of what most have was not forgotten.
    ensure!(slowest >= 5 && slowest * 4 >= median, "{parts:?}");
    let memory = of_process(&manager, "VmHWM")?;
    ensure!(memory <= MEMORY, "{memory} KiB");
    Ok(())
}

#[test]
fn memory_is_bounded_however_many_take_nothing() -> Result<()> {
    const EACH: u64 = 4;
    let room = Room::new()?;
    image(&room, "one.img", &noise(52, 24 * MIB))?;
    let manager = room.serve()?;
    let (line, bearer) = (Line::to(&room, &manager)?, bearer(&manager.admin));
    let mut held = Vec::new();
    for number in 0..CLIENTS * EACH {
        let mut raw = line.from(address(number / EACH))?;
        raw.ask("/v1/images/one", &[("Authorization", &bearer)])?;
        ensure!(raw.head()?.status == 200);
        held.push(raw);
    }
    part(&mut line.connect()?, &bearer, 0, PART).context("one more")?;
    let memory = of_process(&manager, "VmHWM")?;
    ensure!(memory <= MEMORY, "{memory} KiB");
    // All of them go away at once, and nothing of them stays.
    drop(held);
    let begun = Instant::now();
    while descriptors(&manager)? > 64 {
        ensure!(
            begun.elapsed() < LONG,
            "{} descriptors",
            descriptors(&manager)?
        );
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn who_takes_nothing_is_cut() -> Result<()> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(53, 32 * MIB))?;
    let size = fs::metadata(room.images().join("one.img"))?.len();
    let manager = room.serve_with(&["--patience", "1s"])?;
    let (line, bearer) = (Line::to(&room, &manager)?, bearer(&manager.admin));
    // How long a loaded machine needs to notice is anybody's guess.
    for seconds in [2, 4, 8, 16, 32, 64] {
        let mut raw = line.connect()?;
        raw.ask("/v1/images/one", &[("Authorization", &bearer)])?;
        ensure!(raw.head()?.status == 200);
        thread::sleep(Duration::from_secs(seconds));
        part(&mut line.connect()?, &bearer, 0, PART).context("another meanwhile")?;
        if (raw.rest()?.len() as u64) < size {
            return Ok(());
        }
    }
    anyhow::bail!("who takes nothing is served for ever");
}

#[test]
fn who_says_nothing_is_cut() -> Result<()> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(54, MIB))?;
    let manager = room.serve_with(&["--patience", "1s"])?;
    let (line, bearer) = (Line::to(&room, &manager)?, bearer(&manager.admin));
    let mut silent = Vec::new();
    let mut half = Vec::new();
    for number in 0..20 {
        let mut tcp = line.tcp(address(number))?;
        if number % 2 == 0 {
            // The first bytes of a greeting of TLS.
            std::io::Write::write_all(&mut tcp, &[0x16, 3, 1, 2])?;
        }
        silent.push(tcp);
        let mut raw = line.from(address(number))?;
        if number % 2 == 0 {
            raw.say(b"GET /health HTTP/1.1\r\nHost:")?;
        }
        half.push(raw);
    }
    part(&mut line.connect()?, &bearer, 0, PART).context("another meanwhile")?;
    for mut tcp in silent {
        let ended = tcp.read_to_end(&mut Vec::new());
        let waited = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
        ensure!(!ended.as_ref().is_err_and(waited), "{ended:?}");
    }
    for mut raw in half {
        raw.rest()?;
    }
    Ok(())
}

#[test]
fn who_has_too_many_connections_comes_later() -> Result<()> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(55, MIB))?;
    let manager = room.serve_with(&["--patience", "10m"])?;
    room.know(&manager)?;
    let line = Line::to(&room, &manager)?;
    let mut held = Vec::new();
    let refused = loop {
        ensure!(held.len() < 1000, "a peer has as many as it likes");
        let mut raw = line.connect()?;
        raw.ask("/health", &[])?;
        let (head, _) = raw.answer()?;
        if head.status != 200 {
            break head;
        }
        held.push(raw);
    };
    ensure!(refused.status == 429, "{refused:?}");
    ensure!(refused.fields.contains_key("retry-after"), "{refused:?}");
    // Another address is not concerned; a client of this one waits, and goes on when there is room.
    let mut other = line.from(address(1))?;
    other.ask("/health", &[])?;
    ensure!(other.answer()?.0.status == 200);
    let to = room.dir().join("one.img");
    let copy = ["image", "copy", "REPO:one", text(&to), "--yes"];
    thread::scope(|scope| {
        let copying = scope.spawn(|| room.done(&copy).map(drop));
        thread::sleep(Duration::from_millis(1500));
        drop(held);
        copying.join().expect("no panic")
    })?;
    ensure!(to.exists(), "it came");
    Ok(())
}
