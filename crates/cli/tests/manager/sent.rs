//! What is sent goes through a network that does harm, both ways: the image at the manager stays whole, a command that says it is done
//! has brought the new one there, and the same command once more comes to its end.

#![allow(
    clippy::print_stdout,
    reason = "counts are printed for whoever judges a run"
)]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use azud_testkit::proxy::{Answer, Harm, Harms, Proxy};
use serde_json::Value;

use crate::faults::{address, comes_of_harm, draw, harm_of_answers, harm_within, identity};
use crate::kit::{self, Random, Said, soak, text, whole};
use crate::server::{Manager, Room, refusal};
use crate::upload::tidy;
use crate::{MIB, noise, same};

/// A client that sends by way of a proxy.
struct Sender {
    room: Room,
    armed: Arc<AtomicBool>,
    _manager: Manager,
    _proxy: Proxy,
}

impl Sender {
    fn make(proxy: impl FnOnce(&Room, &Manager, Arc<AtomicBool>) -> Result<Proxy>) -> Result<Self> {
        let room = Room::new()?;
        let manager = room.serve()?;
        let armed = Arc::new(AtomicBool::new(false));
        let proxy = proxy(&room, &manager, Arc::clone(&armed))?;
        room.know_at(proxy.port(), &manager.pin, "write")?;
        Ok(Self {
            room,
            armed,
            _manager: manager,
            _proxy: proxy,
        })
    }

    fn volume(&self) -> PathBuf {
        self.room.dir().join("volume")
    }

    fn here(&self) -> PathBuf {
        self.room.dir().join("here.img")
    }

    fn there(&self) -> PathBuf {
        self.room.images().join("aula1/win.img")
    }

    /// A volume of these bytes, and an image of it.
    fn prepare(&self, content: &[u8]) -> Result<()> {
        let (volume, here) = (self.volume(), self.here());
        fs::write(&volume, content)?;
        let create = ["image", "create", text(&volume), text(&here), "--yes"];
        kit::done(&[&create[..], &["--keep-bytes", "0"]].concat())?;
        Ok(())
    }

    /// A copy of that image or a capture of the volume, by turns, while harm is done.
    fn harmed(&self, turn: u64) -> Result<Said> {
        self.armed.store(true, Ordering::Relaxed);
        let said = self.send(turn);
        self.armed.store(false, Ordering::Relaxed);
        said
    }

    fn send(&self, turn: u64) -> Result<Said> {
        Said::of(&self.command(turn).output()?)
    }

    fn command(&self, turn: u64) -> Command {
        let (volume, here) = (self.volume(), self.here());
        let (verb, from) = match turn % 2 {
            0 => ("copy", here),
            _ => ("create", volume),
        };
        self.room
            .command(&["image", verb, text(&from), "REPO:aula1/win", "--yes"])
    }

    /// What the manager's image makes of a volume, if there is one.
    fn restored(&self, len: usize) -> Result<Option<Vec<u8>>> {
        let (there, target) = (self.there(), self.room.dir().join("target"));
        if !there.exists() {
            return Ok(None);
        }
        fs::write(&target, vec![0; len])?;
        kit::done(&["image", "restore", text(&there), text(&target), "--yes"])?;
        Ok(Some(fs::read(&target)?))
    }

    /// What a turn that succeeded must have left.
    fn check(&self, turn: u64, done: &Value, content: &[u8]) -> Result<()> {
        let identity = whole(&self.there())?;
        ensure!(
            done["identity"] == identity.as_str(),
            "{identity} is there: {done}"
        );
        let restored = self.restored(content.len())?;
        ensure!(restored.as_deref() == Some(content), "another volume");
        if turn.is_multiple_of(2) {
            same(&self.here(), &self.there())?;
        }
        tidy(&self.room.images().join("aula1"), "win.img")
    }

    /// Turns with harm, each followed by one without where it did not come through.
    fn turns(&self, mut random: Random) -> Result<()> {
        const SIZE: usize = 8 * MIB;
        let (count, mut done) = (if soak() { 200 } else { 10 }, 0);
        let mut content = noise(random.next(), SIZE);
        for turn in 0..count {
            let former = self.restored(SIZE)?;
            // By turns a part of it is new, and all of it.
            if turn % 4 < 2 {
                let at = usize::try_from(random.below(7))? * MIB;
                content[at..at + 2 * MIB].copy_from_slice(&noise(random.next(), 2 * MIB));
            } else {
                content = noise(random.next(), SIZE);
            }
            self.prepare(&content)?;
            let said = self.harmed(turn)?;
            let case = || format!("turn {turn}: {}", said.last());
            if said.status == Some(0) {
                done += 1;
                self.check(turn, said.last(), &content).with_context(case)?;
                continue;
            }
            comes_of_harm(&said).with_context(case)?;
            let there = self.restored(SIZE).with_context(case)?;
            let is_new = there.as_deref() == Some(&content[..]);
            ensure!(is_new || there == former, "{}: neither of them", case());
            let again = self.send(turn)?;
            let again = again.done().with_context(case)?;
            self.check(turn, again, &content).with_context(case)?;
        }
        println!("{done} of {count} came through the harm");
        Ok(())
    }
}

#[test]
fn stress_whatever_happens_to_connections_what_is_sent_arrives_or_is_not_said_to() -> Result<()> {
    let random = Random::seeded(33);
    let seed = random.0;
    let sender = Sender::make(|_, manager, armed| {
        Proxy::of_both_ways(address(manager), move |number| {
            let mut random = draw(seed, number);
            let mut harm = |bytes| {
                if armed.load(Ordering::Relaxed) {
                    harm_within(&mut random, bytes)
                } else {
                    Harm::None
                }
            };
            // What a manager says of an upload is short.
            Harms {
                to_server: harm(2 * MIB as u64),
                from_server: harm(48 << 10),
            }
        })
    })?;
    sender.turns(random)
}

#[test]
fn stress_whatever_happens_to_answers_what_is_sent_arrives_or_is_not_said_to() -> Result<()> {
    let random = Random::seeded(34);
    let seed = random.0;
    let sender = Sender::make(|room, manager, armed| {
        Proxy::of_all_requests(address(manager), &identity(room)?, move |number, _| {
            if !armed.load(Ordering::Relaxed) {
                Answer::Right
            } else if draw(!seed, number).below(10) == 0 {
                Answer::Lost
            } else {
                harm_of_answers(seed, number)
            }
        })
    })?;
    sender.turns(random)
}

/// What is asked for of an upload, as `POST` and `PUT id/pieces`.
fn asked(head: &str) -> Option<String> {
    let mut words = head.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let rest = path.strip_prefix("/v1/uploads")?;
    let what = rest.strip_prefix('/').map_or_else(String::new, |rest| {
        let (_, what) = rest.split_once('/').unwrap_or_default();
        format!(" id/{what}")
    });
    Some(format!("{method}{what}"))
}

/// One answer is lost: the manager did what it was asked for, and nobody heard so.
#[derive(Default)]
struct Plot {
    what: &'static str,
    /// So many of that kind come before.
    before: u32,
    is_over: bool,
}

impl Plot {
    fn becomes(&mut self, head: &str) -> Answer {
        if self.is_over || asked(head).as_deref() != Some(self.what) {
            return Answer::Right;
        }
        self.is_over = self.before == 0;
        self.before = self.before.saturating_sub(1);
        if self.is_over {
            Answer::Lost
        } else {
            Answer::Right
        }
    }
}

#[test]
fn what_the_manager_did_and_nobody_heard_keeps_nobody_out() -> Result<()> {
    let plot = Arc::<Mutex<Plot>>::default();
    let playing = Arc::clone(&plot);
    let lock = |plot: &Mutex<Plot>, new: Plot| {
        let mut plot = plot.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *plot, new)
    };
    let sender = Sender::make(|room, manager, _| {
        Proxy::of_all_requests(address(manager), &identity(room)?, move |_, head| {
            let mut plot = playing.lock().unwrap_or_else(PoisonError::into_inner);
            plot.becomes(head)
        })
    })?;
    let mut random = Random(35);
    for (what, before, of_captures) in [
        // The first one is a rehearsal.
        ("POST", 1, false),
        ("GET id/pieces", 0, true),
        ("POST id/pieces", 0, true),
        ("PUT id/pieces", 0, false),
        ("POST id/image", 0, false),
        ("GET id/", 0, false),
    ] {
        for turn in u64::from(of_captures)..2 {
            let content = noise(random.next(), 6 * MIB);
            sender.prepare(&content)?;
            let is_over = false;
            lock(
                &plot,
                Plot {
                    what,
                    before,
                    is_over,
                },
            );
            let said = sender.send(turn)?;
            let case = || format!("{what} in turn {turn}");
            let done = said.done().with_context(case)?;
            ensure!(lock(&plot, Plot::default()).is_over, "{}: no harm", case());
            sender.check(turn, done, &content).with_context(case)?;
        }
    }
    Ok(())
}

/// Whatever it says of another one: that is not the image that was sent.
#[test]
fn the_end_of_another_image_is_no_success() -> Result<()> {
    let sender = Sender::make(|room, manager, armed| {
        Proxy::of_all_requests(address(manager), &identity(room)?, move |_, head| {
            let harmed = armed.load(Ordering::Relaxed) && asked(head).as_deref() == Some("GET id/");
            // A letter of the identity, where it has one.
            if harmed {
                Answer::Corrupt
            } else {
                Answer::Right
            }
        })
    })?;
    for turn in 0..2 {
        let content = noise(36 + turn, 2 * MIB);
        sender.prepare(&content)?;
        sender.armed.store(true, Ordering::Relaxed);
        let mut command = sender.command(turn);
        let said = Said::of(&command.env("AZUD_PATIENCE", "1").output()?)?;
        sender.armed.store(false, Ordering::Relaxed);
        refusal(&said, "repo/bad-answer")?;
        let again = sender.send(turn)?;
        sender.check(turn, again.done()?, &content)?;
    }
    Ok(())
}

/// An answer of before says once more that somebody is in his own way.
#[test]
fn who_hears_twice_of_his_own_upload_goes_on() -> Result<()> {
    let posts = AtomicUsize::new(0);
    let sender = Sender::make(|room, manager, armed| {
        Proxy::of_all_requests(address(manager), &identity(room)?, move |_, head| {
            if !armed.load(Ordering::Relaxed) || asked(head).as_deref() != Some("POST") {
                return Answer::Right;
            }
            // The first one is a rehearsal.
            match posts.fetch_add(1, Ordering::Relaxed) {
                1 => Answer::Lost,
                3 => Answer::Former,
                _ => Answer::Right,
            }
        })
    })?;
    let content = noise(40, 6 * MIB);
    sender.prepare(&content)?;
    let said = sender.harmed(0)?;
    sender.check(0, said.done()?, &content)
}
