//! People at a terminal, and programs that read for them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use azud_testkit::tools::have;

use crate::kit::{program, text};
use crate::login;
use crate::reports::look_after;
use crate::server::Room;
use crate::signed::{keys, sign, trust};
use crate::{MIB, image, noise};

/// Nothing here takes so long that is not stuck.
const PATIENCE: Duration = Duration::from_secs(30);
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";
const INTERRUPT: &str = "\u{3}";

fn seen(screen: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The program at a terminal; it does not outlive the test.
struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn start(room: &Room, args: &[&str]) -> Result<Self> {
        Self::start_with(room, args, &[])
    }

    /// With these variables, too.
    fn start_with(room: &Room, args: &[&str], variables: &[(&str, &str)]) -> Result<Self> {
        let program = program();
        let words = std::iter::once(text(&program)).chain(args.iter().copied());
        let words: Vec<String> = words.map(|word| format!("'{word}'")).collect();
        // Whoever runs the tests in the background has switched signals off for all that they start.
        let mut command = Command::new("env");
        command.args(["--default-signal=INT", "script", "-qefc"]);
        command.args([&words.join(" "), "/dev/null"]);
        room.settings(&mut command).env("LC_ALL", "C.UTF-8");
        command.envs(variables.iter().copied());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let keyboard = child.stdin.take().context("a pipe")?;
        let mut out = child.stdout.take().context("a pipe")?;
        let screen = Arc::<Mutex<Vec<u8>>>::default();
        let shown = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut buf = [0; 4096];
            while let Ok(len @ 1..) = out.read(&mut buf) {
                seen(&shown).extend(&buf[..len]);
            }
        });
        Ok(Self {
            child,
            keyboard,
            screen,
        })
    }

    fn shows(&self) -> String {
        String::from_utf8_lossy(&seen(&self.screen)).into_owned()
    }

    /// Waits until this is seen.
    fn until(&self, wanted: &str) -> Result<()> {
        let begun = Instant::now();
        while !self.shows().contains(wanted) {
            ensure!(begun.elapsed() < PATIENCE, "no {wanted}: {}", self.shows());
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn types(&mut self, keys: &str) -> Result<()> {
        Ok(self.keyboard.write_all(keys.as_bytes())?)
    }

    /// How it ended, within so long.
    fn ends(&mut self, within: Duration) -> Result<i32> {
        let begun = Instant::now();
        while begun.elapsed() < within {
            if let Some(status) = self.child.try_wait()? {
                return status.code().context("a status");
            }
            sleep(Duration::from_millis(5));
        }
        bail!("it goes on: {}", self.shows())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

#[test]
fn the_room_is_drawn_in_its_own_place() -> Result<()> {
    if !have(&["script"]) {
        return Ok(());
    }
    let room = Room::new()?;
    image(&room, "aula1/win.img", &noise(11, MIB))?;
    let _manager = look_after(&room)?;
    let mut watch = Terminal::start(&room, &["room", "status", "--watch"])?;
    watch.until(CLEAR)?;
    let copy = room.dir().join("win.img");
    room.done(&["image", "copy", "REPO:aula1/win", text(&copy), "--yes"])?;
    watch.until("image copy")?;
    watch.types(INTERRUPT)?;
    watch.ends(PATIENCE)?;
    let shown = watch.shows();
    ensure!(!shown.contains("\\u"), "what draws is shown: {shown}");
    Ok(())
}

#[test]
fn who_watches_for_somebody_ends_with_him() -> Result<()> {
    let room = Room::new()?;
    let _manager = look_after(&room)?;
    let mut watch = room.command(&["room", "status", "--watch"]);
    let mut child = watch.stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("a pipe")?);
    lines.read_line(&mut String::new())?;
    drop(lines);
    let begun = Instant::now();
    let ended = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if begun.elapsed() > Duration::from_secs(10) => break None,
            None => sleep(Duration::from_millis(10)),
        }
    };
    if ended.is_none() {
        child.kill()?;
        child.wait()?;
    }
    ensure!(ended.is_some_and(|status| status.success()), "{ended:?}");
    Ok(())
}

#[test]
fn who_is_asked_for_a_code_can_go_away() -> Result<()> {
    if !have(&["script"]) {
        return Ok(());
    }
    let room = Room::new()?;
    let _manager = look_after(&room)?;
    let code = login::code(&room, &[])?;
    let mut asked = Terminal::start(&room, &["login"])?;
    asked.until("azud token code")?;
    asked.types(INTERRUPT)?;
    ensure!(
        asked.ends(Duration::from_secs(5))? == 130,
        "{}",
        asked.shows()
    );
    login::login(&room, &code, &[])?.done()?;
    Ok(())
}

/// An image of partclone, of noise.
fn exported(room: &Room, seed: u64, to: &Path) -> Result<()> {
    image(room, "noise.img", &noise(seed, 4 * MIB))?;
    let from = room.images().join("noise.img");
    let export = ["image", "export", text(&from), text(to), "--to"];
    room.done(&[&export[..], &["partclone", "--yes"]].concat())?;
    Ok(())
}

/// Whoever has the server could wait until the signature was checked.
#[test]
fn the_bytes_whose_signature_was_checked_are_the_ones_that_are_restored() -> Result<()> {
    if !have(&["script", "minisign"]) {
        return Ok(());
    }
    let room = Room::new()?;
    let at = |name: &str| room.dir().join(name);
    let (old, aside, other, disk) = (at("old.img"), at("aside"), at("other"), at("disk"));
    exported(&room, 79, &old)?;
    fs::copy(&old, &aside)?;
    exported(&room, 80, &other)?;
    let (key, public) = keys(&room, "ana")?;
    sign(&room, &old, &key, "old")?;
    trust(&room, &[&public])?;
    let restore = ["image", "restore", text(&old), text(&disk)];
    for swapped in [true, false] {
        fs::write(&disk, vec![0x5a; 8 * MIB])?;
        let mut restore = Terminal::start(&room, &restore)?;
        restore.until("type its name")?;
        if swapped {
            fs::copy(&other, &old)?;
        }
        restore.types(&format!("{}\n", text(&disk)))?;
        let (status, shown) = (restore.ends(PATIENCE)?, restore.shows());
        let now = fs::read(&disk)?;
        let is = |seed: u64| now[MIB..2 * MIB] == noise(seed, 4 * MIB)[MIB..2 * MIB];
        if swapped {
            ensure!(
                status != 0 && shown.contains("store/source-changed"),
                "{shown}"
            );
            ensure!(!is(80), "what nobody signed is there");
            fs::copy(&aside, &old)?;
        } else {
            ensure!(status == 0 && is(79), "{shown}");
        }
    }
    Ok(())
}

/// What is read anew once room has been made is still what was signed, whoever has the share that it lies on.
#[test]
fn the_image_whose_signature_was_checked_is_the_one_that_comes() -> Result<()> {
    if !have(&["script", "minisign"]) {
        return Ok(());
    }
    let room = Room::new()?;
    // The other one is no shorter: that would be found out anyway.
    for (name, seed, len) in [("win.img", 81, 4), ("other.img", 82, 5), ("old.img", 83, 4)] {
        image(&room, name, &noise(seed, len * MIB))?;
    }
    let at = |name: &str| room.images().join(name);
    let (win, cache) = (at("win.img"), room.dir().join("cache"));
    let (key, public) = keys(&room, "ana")?;
    sign(&room, &win, &key, "win")?;
    trust(&room, &[&public])?;
    fs::create_dir(&cache)?;
    let aside = room.dir().join("aside");
    fs::copy(&win, &aside)?;
    let here = cache.join("win.img");
    let update = ["cache", "update", text(&here), "--from", text(&win)];
    for swapped in [true, false] {
        fs::copy(at("old.img"), cache.join("old.img"))?;
        room.done(&["cache", "verify", "--cache", text(&cache)])?;
        let mut update = Terminal::start_with(&room, &update, &[("AZUD_CACHE_BUDGET", "7M")])?;
        update.until("type its name")?;
        if swapped {
            fs::copy(at("other.img"), &win)?;
        }
        update.types(&format!("{}\n", text(&cache)))?;
        let (status, shown) = (update.ends(PATIENCE)?, update.shows());
        ensure!(!cache.join("old.img").exists(), "no room was made: {shown}");
        if swapped {
            let refused = status != 0 && shown.contains("store/source-changed");
            ensure!(refused && !here.exists(), "{shown}");
            fs::copy(&aside, &win)?;
        } else {
            ensure!(
                status == 0 && fs::read(&here)? == fs::read(&win)?,
                "{shown}"
            );
        }
    }
    Ok(())
}
