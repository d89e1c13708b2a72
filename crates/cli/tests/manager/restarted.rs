//! An image of another program that is replaced while a client fetches it, at a manager that is started again then: who
//! began with the old one ends with the old one.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use azud_testkit::proxy::{Answer, Proxy};

use crate::faults::{address, identity};
use crate::kit::{Said, done, text};
use crate::server::{Manager, Room};
use crate::{MIB, noise};

const NAME: &str = "aula1/win.img";
/// It happens before this answer passes; what the plan asks for and the first bytes came before it.
const MIDST: u64 = 9;
const SOON: Duration = Duration::from_mins(1);

/// A proxy that lets an answer in the midst of a fetch pass when it is told to.
struct Gate {
    answers: Arc<AtomicU64>,
    reached: mpsc::Receiver<()>,
    pass: Sender<()>,
    proxy: Proxy,
}

impl Gate {
    fn new(room: &Room, manager: &Manager) -> Result<Self> {
        let answers = Arc::new(AtomicU64::new(u64::MAX / 2));
        let ((tell, reached), (pass, wait)) = (mpsc::channel(), mpsc::channel());
        let (counted, wait) = (Arc::clone(&answers), Mutex::new(wait));
        let becomes = move |_| {
            // Nobody else's answer passes meanwhile.
            let wait = wait.lock().unwrap_or_else(PoisonError::into_inner);
            if counted.fetch_add(1, Ordering::Relaxed) + 1 == MIDST {
                let _ = tell.send(());
                let _ = wait.recv_timeout(SOON);
            }
            Answer::Right
        };
        Ok(Self {
            proxy: Proxy::of_answers(address(manager), &identity(room)?, becomes)?,
            answers,
            reached,
            pass,
        })
    }
}

/// An archive of fsarchiver, by its first bytes; it takes more requests than are under way at once.
fn foreign(seed: u64) -> Vec<u8> {
    let mut bytes = noise(seed, 93 * MIB);
    bytes[..4].copy_from_slice(b"FsA0");
    bytes
}

/// What happens to the image in the midst of a fetch.
type Event = fn(&Path, &Path) -> Result<()>;

fn replaced_by_a_native_one(there: &Path, other: &Path) -> Result<()> {
    let volume = other.with_file_name("volume");
    fs::write(&volume, noise(191, MIB))?;
    done(&["image", "create", text(&volume), text(there), "--yes"])?;
    Ok(())
}

fn replaced_by_a_foreign_one(there: &Path, other: &Path) -> Result<()> {
    done(&["image", "copy", text(other), text(there), "--yes"])?;
    Ok(())
}

fn put_away(there: &Path, _: &Path) -> Result<()> {
    done(&["image", "rm", text(there), "--yes"])?;
    Ok(())
}

#[test]
fn a_manager_that_is_started_again_knows_what_somebody_fetches() -> Result<()> {
    let room = Room::new()?;
    let (there, here) = (room.images().join(NAME), room.dir().join("win.img"));
    let folder = there.parent().context("a folder")?;
    let other = room.dir().join("other.img");
    fs::write(&other, foreign(192))?;
    let mut manager = room.serve()?;
    let gate = Gate::new(&room, &manager)?;
    room.know_at(gate.proxy.port(), &manager.pin, "read")?;
    let copy = ["image", "copy", "REPO:aula1/win", text(&here)];
    let fetch = || {
        let mut command = room.command(&[&copy[..], &["--yes"]].concat());
        // What happens meanwhile waits for the disk.
        Said::of(&command.env("AZUD_PATIENCE", "60").output()?)
    };
    let events: [Event; 3] = [
        replaced_by_a_native_one,
        replaced_by_a_foreign_one,
        put_away,
    ];
    for (seed, event) in (193..).zip(events) {
        let old = foreign(seed);
        let _ = fs::remove_dir_all(folder);
        fs::create_dir(folder)?;
        fs::write(&there, &old)?;
        let _ = fs::remove_file(&here);
        // The manager makes its index.
        room.done(&[&copy[..], &["--dry-run"]].concat())?;
        gate.answers.store(0, Ordering::Relaxed);
        let port = manager.port;
        manager = thread::scope(|scope| {
            let client = scope.spawn(fetch);
            gate.reached.recv_timeout(SOON)?;
            // Whoever asks while an image of another program is replaced is told that it is locked.
            manager.kill()?;
            event(&there, &other)?;
            let again = room.serve_at(port)?;
            gate.pass.send(())?;
            let client = client.join().map_err(|_| anyhow!("the client panicked"))?;
            client?.done().with_context(|| format!("{seed}"))?;
            Ok::<_, anyhow::Error>(again)
        })?;
        ensure!(fs::read(&here)? == old, "{seed}: another image");
    }
    Ok(())
}
