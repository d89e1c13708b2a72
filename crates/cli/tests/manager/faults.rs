//! A network that does harm, and a manager that comes and goes: each command ends with the image, verified, or with
//! a code; running it again goes on.

#![allow(
    clippy::print_stdout,
    reason = "counts are printed for whoever judges a run"
)]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use azud_core::access::MANAGER_NAME;
use azud_testkit::proxy::{Answer, Harm, Identity, Proxy};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::kit::{Random, Said, names, soak, text};
use crate::server::{Manager, Room, refusal};
use crate::{MIB, image, noise, same};

/// A number for each event: the same for the same seed.
pub(crate) fn draw(seed: u64, number: u64) -> Random {
    let mut random = Random(seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    random.next();
    random
}

pub(crate) fn address(manager: &Manager) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), manager.port)
}

/// What becomes of a connection, at random: most of them do not live long.
fn harm_of_bytes(seed: u64, number: u64) -> Harm {
    harm_within(&mut draw(seed, number), 3 * MIB as u64)
}

/// The same for bytes that go one way, among so many first ones.
pub(crate) fn harm_within(random: &mut Random, bytes: u64) -> Harm {
    let place = random.below(bytes);
    match random.below(8) {
        0..=2 => Harm::Cut(place),
        3 | 4 => Harm::Corrupt(place),
        5 => Harm::Slow(Duration::from_millis(1 + random.below(4))),
        6 => Harm::Hang(place, Duration::from_millis(300)),
        _ => Harm::None,
    }
}

/// What becomes of an answer, at random.
pub(crate) fn harm_of_answers(seed: u64, number: u64) -> Answer {
    let mut random = draw(seed, number);
    match random.below(16) {
        0 => Answer::CutShort,
        1 => Answer::Corrupt,
        2 => Answer::Shorter,
        3 => Answer::OtherRange,
        4 => Answer::Former,
        5 => Answer::Error,
        6 | 7 => Answer::Late(Duration::from_millis(random.below(40))),
        _ => Answer::Right,
    }
}

/// A certificate of the manager's own authority for whoever stands before it.
pub(crate) fn identity(room: &Room) -> Result<Identity> {
    let key = KeyPair::from_pem(&fs::read_to_string(room.state().join("ca.key"))?)?;
    let pem = fs::read_to_string(room.state().join("ca.pem"))?;
    let mut authority = CertificateParams::new(Vec::new())?;
    let name = "Azud authority";
    authority.distinguished_name.push(DnType::CommonName, name);
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let own = KeyPair::generate()?;
    // That name alone is asked for.
    let params = CertificateParams::new(vec![MANAGER_NAME.to_owned()])?;
    let certificate = params.signed_by(&own, &Issuer::new(authority, key))?;
    Ok(Identity {
        chain: vec![certificate.der().to_vec()],
        key: own.serialize_der(),
        authority: der(&pem)?,
    })
}

/// The bytes in a PEM, by the program that everybody has.
fn der(pem: &str) -> Result<Vec<u8>> {
    let inside: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let script = r#"printf %s "$1" | base64 -d"#;
    Ok(azud_testkit::tools::sh(script, &[&inside])?.stdout)
}

/// A room whose client reaches the manager by way of a proxy.
pub(crate) struct Harmed {
    pub(crate) room: Room,
    pub(crate) armed: Arc<AtomicBool>,
    pub(crate) volume: Vec<u8>,
    cache: PathBuf,
    _manager: Manager,
    _proxy: Proxy,
}

impl Harmed {
    pub(crate) fn make(
        proxy: impl FnOnce(&Room, &Manager, Arc<AtomicBool>) -> Result<Proxy>,
    ) -> Result<Self> {
        let room = Room::new()?;
        let volume = noise(21, 12 * MIB);
        image(&room, "aula1/win.img", &volume)?;
        let manager = room.serve()?;
        let armed = Arc::new(AtomicBool::new(false));
        let proxy = proxy(&room, &manager, Arc::clone(&armed))?;
        room.know_at(proxy.port(), &manager.pin, "read")?;
        let cache = room.dir().join("cache");
        fs::create_dir(&cache)?;
        Ok(Self {
            room,
            armed,
            volume,
            cache,
            _manager: manager,
            _proxy: proxy,
        })
    }

    pub(crate) fn target(&self) -> PathBuf {
        self.room.dir().join("disk")
    }

    pub(crate) fn here(&self) -> PathBuf {
        self.cache.join("aula1/win.img")
    }

    pub(crate) fn there(&self) -> PathBuf {
        self.room.images().join("aula1/win.img")
    }

    /// Copy, restore or deployment, by turns.
    pub(crate) fn run(&self, turn: u64) -> Result<Said> {
        let (target, here) = (self.target(), self.here());
        let (target, here) = (text(&target), text(&here));
        let cache = text(&self.cache);
        match turn % 3 {
            0 => self
                .room
                .run(&["image", "copy", "REPO:aula1/win", here, "--yes"]),
            1 => {
                let restore = ["image", "restore", "REPO:aula1/win", target, "--yes"];
                self.room.run(&[&restore[..], &["--changed-only"]].concat())
            }
            _ => {
                let deploy = ["deploy", "REPO:aula1/win", target, "--yes"];
                self.room.run(&[&deploy[..], &["--cache", cache]].concat())
            }
        }
    }

    /// Before a turn: neither a cached image nor a disk that is any good.
    pub(crate) fn clear(&self) -> Result<()> {
        let _ = fs::remove_dir_all(&self.cache);
        fs::create_dir_all(self.cache.join("aula1"))?;
        Ok(fs::write(self.target(), vec![0xA5; self.volume.len()])?)
    }

    /// What a turn that succeeded must have left.
    fn check(&self, turn: u64) -> Result<()> {
        if turn % 3 != 1 {
            same(&self.there(), &self.here())?;
            let left = names(&self.cache.join("aula1"))?;
            let known = |name: &String| name.starts_with("win.img") || name == ".azud-catalogue";
            let rubbish: Vec<&String> = left.iter().filter(|name| !known(name)).collect();
            ensure!(rubbish.is_empty(), "left behind: {rubbish:?}");
        }
        if !turn.is_multiple_of(3) {
            ensure!(fs::read(self.target())? == self.volume, "another disk");
        }
        Ok(())
    }

    /// Turns with harm, each followed by one without.
    fn turns(&self, count: u64) -> Result<()> {
        let mut done = 0;
        for turn in 0..count {
            self.clear()?;
            self.armed.store(true, Ordering::Relaxed);
            let said = self.run(turn)?;
            self.armed.store(false, Ordering::Relaxed);
            let case = || format!("turn {turn}: {}", said.last());
            if said.status == Some(0) {
                done += 1;
            } else {
                comes_of_harm(&said).with_context(case)?;
                self.run(turn)?.done().with_context(case)?;
            }
            self.check(turn).with_context(case)?;
        }
        println!("{done} of {count} came through the harm");
        Ok(())
    }
}

/// Fails unless a run was refused for what harm can do.
pub(crate) fn comes_of_harm(said: &Said) -> Result<()> {
    let code = said.refused()?;
    // An answer of before may be about something else: that there is no signature, and then nothing is there.
    let known = ["image/corrupt", "image/not-found"];
    ensure!(code.starts_with("repo/") || known.contains(&code), "{code}");
    Ok(())
}

fn turns() -> u64 {
    if soak() { 200 } else { 9 }
}

#[test]
fn stress_whatever_happens_to_connections_nothing_wrong_comes_of_it() -> Result<()> {
    let seed = Random::seeded(31).0;
    let harmed = Harmed::make(|_, manager, armed| {
        Proxy::of_bytes(address(manager), move |number| {
            if armed.load(Ordering::Relaxed) {
                harm_of_bytes(seed, number)
            } else {
                Harm::None
            }
        })
    })?;
    harmed.turns(turns())
}

#[test]
fn stress_whatever_happens_to_answers_nothing_wrong_comes_of_it() -> Result<()> {
    let seed = Random::seeded(32).0;
    let harmed = Harmed::make(|room, manager, armed| {
        Proxy::of_answers(address(manager), &identity(room)?, move |number| {
            if armed.load(Ordering::Relaxed) {
                harm_of_answers(seed, number)
            } else {
                Answer::Right
            }
        })
    })?;
    harmed.turns(turns())
}

/// Every answer after the first few is harmed in the same way for ever: that ends with a code and nothing wrong.
#[test]
fn harm_without_end_is_told_with_a_code() -> Result<()> {
    let kind = Arc::new(AtomicU64::new(0));
    let chosen = Arc::clone(&kind);
    let harms = [
        (Answer::Corrupt, "image/corrupt"),
        (Answer::OtherRange, "repo/bad-answer"),
        (Answer::Shorter, "repo/bad-answer"),
        (Answer::Error, "repo/bad-answer"),
        (Answer::CutShort, "repo/unreachable"),
    ];
    let count = Arc::new(AtomicU64::new(0));
    let so_far = Arc::clone(&count);
    let harmed = Harmed::make(|room, manager, armed| {
        Proxy::of_answers(address(manager), &identity(room)?, move |_| {
            let early = count.fetch_add(1, Ordering::Relaxed) < 6;
            if early || !armed.load(Ordering::Relaxed) {
                return Answer::Right;
            }
            let at = usize::try_from(chosen.load(Ordering::Relaxed)).unwrap_or_default();
            harms[at].0
        })
    })?;
    harmed.armed.store(true, Ordering::Relaxed);
    for (number, (harm, code)) in harms.iter().enumerate() {
        kind.store(number as u64, Ordering::Relaxed);
        harmed.clear()?;
        so_far.store(0, Ordering::Relaxed);
        let target = harmed.target();
        let args = ["deploy", "REPO:aula1/win", text(&target), "--yes"];
        let mut command = harmed.room.command(&args);
        let output = command.env("AZUD_PATIENCE", "0").output()?;
        refusal(&Said::of(&output)?, code).with_context(|| format!("{harm:?}"))?;
        unrecognised(&target)?;
    }
    Ok(())
}

/// A manager whose disk fails takes the beginning of an upload, and has an error for all that follows.
#[test]
fn who_sends_waits_as_long_as_was_said() -> Result<()> {
    let room = Room::new()?;
    image(&room, "here.img", &noise(23, MIB))?;
    let here = room.dir().join("here.img");
    fs::rename(room.images().join("here.img"), &here)?;
    let manager = room.serve()?;
    let count = Arc::new(AtomicU64::new(u64::MAX / 2));
    let left = Arc::clone(&count);
    let proxy = Proxy::of_answers(address(&manager), &identity(&room)?, move |_| {
        let before = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            Some(left.saturating_sub(1))
        });
        if before == Ok(0) {
            Answer::Error
        } else {
            Answer::Right
        }
    })?;
    room.know_at(proxy.port(), &manager.pin, "write")?;
    // That it has no such image, that one could begin, and that one begins.
    count.store(3, Ordering::Relaxed);
    let mut command = room.command(&["image", "copy", text(&here), "REPO:new", "--yes"]);
    let begun = Instant::now();
    let said = Said::of(&command.env("AZUD_PATIENCE", "1").output()?)?;
    refusal(&said, "repo/bad-answer")?;
    ensure!(said.told().contains("127.0.0.1"), "{:?}", said.lines);
    ensure!(
        begun.elapsed() < Duration::from_secs(40),
        "{:?}",
        begun.elapsed()
    );
    Ok(())
}

/// A target whose restore ended early is no image and no file system.
fn unrecognised(target: &Path) -> Result<()> {
    let seen = crate::kit::seen(target)?;
    ensure!(seen.is_none(), "{seen:?}");
    Ok(())
}
