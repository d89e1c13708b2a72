//! A view of a manager: its images as files that any program reads.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use azud_testkit::cable::{Cable, Side};
use azud_testkit::tools::{have, have_root, run, run_any, sh};
use serde_json::Value;

use crate::kit::{self, Disk, text};
use crate::server::{Manager, Room};
use crate::{MIB, image, noise, same};

/// Longer than any request of a view may last.
const PATIENCE: Duration = Duration::from_mins(1);
const ESTALE: i32 = 116;
const EROFS: i32 = 30;
const ENOTCONN: i32 = 107;

/// A client whose views go away with it.
pub(crate) struct Client {
    pub(crate) room: Room,
}

impl Client {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { room: Room::new()? })
    }

    pub(crate) fn at(&self) -> PathBuf {
        self.room.dir().join("root/127.0.0.1")
    }

    pub(crate) fn mount(&self) -> Result<Value> {
        self.room.done(&["repo", "mount", "REPO", "--yes"])
    }

    pub(crate) fn is_mounted(&self) -> Result<bool> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let at = format!(" {} ", self.at().display());
        Ok(mounts.lines().any(|line| line.contains(&at)))
    }

    /// The processes that answer for the view.
    pub(crate) fn processes(&self) -> Result<Vec<String>> {
        let at = self.at();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let mut words = line.split(|byte| *byte == 0);
            let view = words.next() == Some(b"azud-view");
            if view && words.any(|word| word == text(&at).as_bytes()) {
                found.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(found)
    }

    pub(crate) fn kill(&self) -> Result<()> {
        for process in self.processes()? {
            run("kill", &["-9", &process])?;
        }
        until("the process has ended", || Ok(self.processes()?.is_empty()))
    }

    /// What `repo list` says.
    pub(crate) fn state(&self) -> Result<(String, String)> {
        let list = self.room.done(&["repo", "list"])?;
        let row = &list["repositories"][0];
        let word = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        Ok((word("state"), word("protocol")))
    }

    /// Neither a mount nor a process nor a folder is left.
    pub(crate) fn gone(&self) -> Result<()> {
        ensure!(!self.is_mounted()?, "still mounted");
        ensure!(!self.at().exists(), "its folder is left");
        until("the process ends", || Ok(self.processes()?.is_empty()))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        while self.is_mounted().unwrap_or(false) {
            if run("umount", &["-l", text(&self.at())]).is_err() {
                break;
            }
        }
        for process in self.processes().unwrap_or_default() {
            let _ = run_any("kill", &["-9", &process]);
        }
    }
}

pub(crate) fn until(what: &str, is: impl Fn() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !is()? {
        ensure!(begun.elapsed() < PATIENCE, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

pub(crate) fn cannot() -> bool {
    !have_root() || !Path::new("/dev/fuse").exists()
}

/// A client that knows a manager with one image.
pub(crate) fn known(seed: u64, len: usize) -> Result<(Client, Manager)> {
    let client = Client::new()?;
    image(&client.room, "aula1/win.img", &noise(seed, len))?;
    let manager = client.room.serve()?;
    client.room.know(&manager)?;
    Ok((client, manager))
}

pub(crate) fn number<T: std::fmt::Debug>(done: io::Result<T>) -> Result<i32> {
    match done {
        Err(error) => error.raw_os_error().context("a number"),
        Ok(value) => bail!("it was done: {value:?}"),
    }
}

/// Reads a little of a file at an offset.
pub(crate) fn bytes_at(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4096];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// Nothing is written in a view, and nothing is made there.
fn refuses_writes(at: &Path) -> Result<()> {
    let image = at.join("aula1/win.img");
    for done in [
        File::options().write(true).open(&image).map(drop),
        fs::write(at.join("new.img"), "x"),
        fs::remove_file(&image),
        fs::create_dir(at.join("aula2")),
    ] {
        ensure!(number(done)? == EROFS);
    }
    Ok(())
}

#[test]
fn programs_read_the_images_of_a_manager_by_their_paths() -> Result<()> {
    if cannot() {
        return Ok(());
    }
    let (client, _manager) = known(201, 24 * MIB)?;
    let (room, at) = (&client.room, client.at());
    // An archive of fsarchiver, by its first bytes.
    let mut foreign = noise(202, 5 * MIB);
    foreign[..4].copy_from_slice(b"FsA0");
    fs::write(room.images().join("old.img"), &foreign)?;
    fs::write(room.images().join("old.img.torrent"), "a torrent")?;
    let before = room.done(&["image", "list", "REPO:"])?;
    let told = client.mount()?;
    ensure!(
        told["at"] == text(&at) && told["protocol"] == "http",
        "{told}"
    );
    ensure!(told["read_only"] == true, "{told}");
    ensure!(client.state()? == ("mounted".into(), "http".into()));
    ensure!(client.mount()? == told, "once more is the same");
    ensure!(client.processes()?.len() == 1);
    let names = kit::names(&at)?;
    ensure!(
        names == ["aula1", "old.img", "old.img.torrent"],
        "{names:?}"
    );
    let there = room.images().join("aula1");
    let beside = kit::names(&at.join("aula1"))?;
    let expected = ["", ".full.sum", ".info", ".sum"].map(|it| format!("win.img{it}"));
    ensure!(beside == expected, "{beside:?}");
    for name in &beside {
        same(&there.join(name), &at.join("aula1").join(name))?;
    }
    for name in ["old.img", "old.img.torrent"] {
        same(&room.images().join(name), &at.join(name))?;
    }
    let image = at.join("aula1/win.img");
    let (mine, theirs) = (fs::metadata(&image)?, fs::metadata(there.join("win.img"))?);
    ensure!(mine.len() == theirs.len());
    let seconds = |meta: &fs::Metadata| {
        Ok::<_, anyhow::Error>(meta.modified()?.duration_since(UNIX_EPOCH)?.as_secs())
    };
    ensure!(seconds(&mine)? == seconds(&theirs)?);
    refuses_writes(&at)?;
    // What the names mean for Azud has not changed.
    let after = room.done(&["image", "list", "REPO:"])?;
    let paths = |list: &Value| {
        let images = list["images"].as_array().into_iter().flatten();
        images.map(|it| it["path"].clone()).collect::<Vec<_>>()
    };
    ensure!(
        paths(&after) == paths(&before) && paths(&after).len() == 2,
        "{after}"
    );
    let env = room.done(&["env"])?;
    ensure!(!env.to_string().contains("fuse"), "{env}");
    let copy = room.dir().join("copy.img");
    room.done(&["image", "copy", "REPO:aula1/win", text(&copy), "--yes"])?;
    same(&there.join("win.img"), &copy)?;
    room.done(&["repo", "unmount", "REPO", "--yes"])?;
    client.gone()
}

#[test]
fn the_cache_of_a_neighbour_is_read_like_any_other() -> Result<()> {
    if cannot() {
        return Ok(());
    }
    let client = Client::new()?;
    let (room, at) = (&client.room, client.at());
    let cache = room.dir().join("root/localhost/opt/opengnsys/images");
    fs::create_dir_all(&cache)?;
    image(room, "aula1/win.img", &noise(209, 24 * MIB))?;
    let cached = cache.join("aula1");
    fs::rename(room.images().join("aula1"), &cached)?;
    let neighbour = room.serve_bare(&["--read-only"])?;
    room.know(&neighbour)?;
    let told = room.done(&["repo", "mount", "REPO", "--protocol", "http", "--yes"])?;
    ensure!(told["at"] == text(&at), "{told}");
    ensure!(
        told["protocol"] == "http" && told["read_only"] == true,
        "{told}"
    );
    let before = kit::names(&cached)?;
    for ending in ["", ".full.sum", ".info", ".sum"] {
        let name = format!("win.img{ending}");
        same(&cached.join(&name), &at.join("aula1").join(&name))?;
    }
    refuses_writes(&at)?;
    ensure!(kit::names(&cached)? == before, "something was written");
    room.done(&["repo", "unmount", "REPO", "--yes"])?;
    ensure!(!client.is_mounted()?, "still mounted");
    until("the process ends", || Ok(client.processes()?.is_empty()))
}

#[test]
fn what_is_sent_to_a_manager_goes_past_its_view() -> Result<()> {
    if cannot() {
        return Ok(());
    }
    let client = Client::new()?;
    let room = &client.room;
    let manager = room.serve()?;
    room.know_as(&manager, "write")?;
    client.mount()?;
    let volume = room.dir().join("volume");
    fs::write(&volume, noise(203, 2 * MIB))?;
    room.done(&["image", "create", text(&volume), "REPO:new", "--yes"])?;
    let there = room.images().join("new.img");
    kit::whole(&there)?;
    let here = client.at().join("new.img");
    until("it is seen", || Ok(here.exists()))?;
    same(&there, &here)
}

#[test]
fn stock_tools_restore_from_a_view() -> Result<()> {
    if cannot() || !have(&["mke2fs", "zstd", "partclone.restore", "e2fsck"]) {
        return Ok(());
    }
    let client = Client::new()?;
    let room = &client.room;
    let (volume, image) = (room.dir().join("volume"), room.images().join("lin.img"));
    kit::ext4(&volume, 64, 40)?;
    kit::done(&["image", "create", text(&volume), text(&image), "--yes"])?;
    let manager = room.serve()?;
    room.know(&manager)?;
    client.mount()?;
    let target = Disk::blank(room.dir().join("target"), 64 << 20)?;
    let pipe = "zstd -dcq \"$1\" | partclone.restore -q -s - -o \"$2\" -L \"$3\"";
    let (from, log) = (client.at().join("lin.img"), room.dir().join("log"));
    sh(pipe, &[text(&from), target.name(), text(&log)])?;
    run("e2fsck", &["-fn", target.name()])?;
    Ok(())
}

#[test]
fn an_image_that_is_replaced_while_it_is_open_is_never_mixed() -> Result<()> {
    if cannot() {
        return Ok(());
    }
    let (client, _manager) = known(204, 32 * MIB)?;
    let path = client.at().join("aula1/win.img");
    client.mount()?;
    let open = File::open(&path)?;
    let first = bytes_at(&open, 0)?;
    let there = client.room.images().join("aula1/win.img");
    let before = File::open(&there)?;
    // Of the same length, so that nothing but the bytes tells them apart.
    image(&client.room, "aula1/win.img", &noise(205, 32 * MIB))?;
    let (midst, late) = (8 * MIB as u64, 28 * MIB as u64);
    ensure!(
        bytes_at(&open, midst)? == bytes_at(&before, midst)?,
        "the former one is read on"
    );
    fs::remove_dir_all(there.with_file_name(".azud-trash"))?;
    let told = number(bytes_at(&open, late))?;
    ensure!(told == ESTALE, "{told}");
    ensure!(
        open.metadata()?.len() > late,
        "what is open still tells what it was"
    );
    until("the new one is read", || {
        let now = File::open(&path).and_then(|now| bytes_at(&now, late));
        Ok(now.is_ok_and(|now| bytes_at(&File::open(&there).unwrap(), late).unwrap() == now))
    })?;
    same(&there, &path)?;
    ensure!(bytes_at(&open, 0)? == first, "the old one's bytes or none");
    Ok(())
}

#[test]
fn a_damaged_frame_is_an_error_and_its_neighbours_are_read() -> Result<()> {
    if cannot() {
        return Ok(());
    }
    let (client, _manager) = known(206, 24 * MIB)?;
    let there = client.room.images().join("aula1/win.img");
    let whole = fs::read(&there)?;
    let place = whole.len() / 2;
    let file = File::options().write(true).open(&there)?;
    file.write_all_at(&[whole[place] ^ 1], place as u64)?;
    client.mount()?;
    let seen = client.at().join("aula1/win.img");
    let open = File::open(&seen)?;
    let wrong = number(bytes_at(&open, place as u64 & !4095))?;
    ensure!(wrong == 5, "{wrong}");
    for offset in [0, whole.len() - 4096] {
        let got = bytes_at(&open, offset as u64)?;
        ensure!(got == whole[offset..offset + 4096], "at {offset}");
    }
    ensure!(fs::read(&seen).is_err(), "nothing wrong is given out");
    Ok(())
}

#[test]
fn a_manager_that_is_gone_is_an_error_and_then_there_again() -> Result<()> {
    if cannot() {
        return Ok(());
    }
    let (client, manager) = known(207, 24 * MIB)?;
    let (room, at) = (&client.room, client.at());
    client.mount()?;
    let open = File::open(at.join("aula1/win.img"))?;
    bytes_at(&open, 0)?;
    let port = manager.port;
    manager.kill()?;
    let begun = Instant::now();
    ensure!(bytes_at(&open, 20 * MIB as u64).is_err());
    until("its names are gone", || Ok(fs::read_dir(&at).is_err()))?;
    ensure!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    ensure!(client.state()?.0 == "unreachable");
    // Other commands do not wait for it.
    let begun = Instant::now();
    room.done(&["env"])?;
    ensure!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    let _manager = room.serve_at(port)?;
    until("it is back", || Ok(fs::read_dir(&at).is_ok()))?;
    same(
        &room.images().join("aula1/win.img"),
        &at.join("aula1/win.img"),
    )?;
    bytes_at(&open, 20 * MIB as u64)?;
    ensure!(client.state()?.0 == "mounted");
    Ok(())
}

#[test]
fn a_view_whose_process_was_killed_is_cleared_away() -> Result<()> {
    if cannot() {
        return Ok(());
    }
    let (client, _manager) = known(208, MIB)?;
    let at = client.at();
    client.mount()?;
    client.kill()?;
    // What is asked while it dies is told something else.
    until("nobody answers", || {
        Ok(number(fs::read_dir(&at))? == ENOTCONN)
    })?;
    ensure!(client.state()?.0 == "stale");
    client.room.done(&["image", "list", "REPO:"])?;
    client.mount()?;
    ensure!(kit::names(&at)? == ["aula1"]);
    client.kill()?;
    client.room.done(&["repo", "unmount", "REPO", "--yes"])?;
    client.gone()?;
    client.mount()?;
    // Asked to end, it takes its view with it.
    for process in client.processes()? {
        run("kill", &[&process])?;
    }
    until("it has ended", || Ok(!client.is_mounted()? && !at.exists()))?;
    client.gone()
}

/// Everything within one mount namespace, which `ip netns exec` makes anew each time.
const PAST_A_VIEW: &str = r#""$1" --quiet repo mount REPO --yes
test -f "$2/aula1/win.img"
"$1" --quiet image create "$3" REPO:aula1/new --yes
"$1" --json image list REPO:
"$1" --quiet repo unmount REPO --yes"#;

#[test]
fn a_view_is_no_place_for_images() -> Result<()> {
    if cannot() || !have(&["ip", "tc"]) {
        return Ok(());
    }
    let room = Room::over(Some(Cable::new(None)?))?;
    image(&room, "aula1/win.img", &noise(90, MIB))?;
    let manager = room.serve()?;
    room.know_as(&manager, "write")?;
    let volume = room.dir().join("new");
    fs::write(&volume, noise(91, MIB))?;
    let at = room.dir().join("root").join(Cable::SERVER);
    let cable = room.cable.as_ref().context("a cable")?;
    let mut script = cable.command(Side::Client, "bash");
    let script = script.args(["-euc", PAST_A_VIEW, "sh", env!("CARGO_BIN_EXE_azud")]);
    let output = room
        .settings(script)
        .args([text(&at), text(&volume)])
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}{errors}");
    let list: Value = serde_json::from_str(said.lines().last().unwrap_or_default())?;
    let names = list["images"].as_array().context("images")?;
    let names: Vec<_> = names.iter().map(|image| &image["path"]).collect();
    ensure!(names == ["aula1/new.img", "aula1/win.img"], "{said}");
    ensure!(room.images().join("aula1/new.img").exists());
    Ok(())
}

#[test]
fn scripts_find_the_images_of_a_view_by_the_variables() -> Result<()> {
    if cannot() {
        return Ok(());
    }
    let (client, _manager) = known(204, MIB)?;
    let room = &client.room;
    let variables = || Ok::<_, anyhow::Error>(room.done(&["env"])?["variables"].clone());
    ensure!(variables()?["REPO"].is_null(), "nothing is mounted yet");
    client.mount()?;
    let env = variables()?;
    let value = |name: &str| env[name].as_str().context("a value");
    let there = room.images().join("aula1/win.img");
    let path = [value("REPO")?, value("REPOMAN")?, "/aula1/win.img"].concat();
    ensure!(path.starts_with('/'), "{path}");
    same(&there, Path::new(&path))?;
    same(&there, &room.dir().join("root/REPO/aula1/win.img"))?;
    client.kill()?;
    ensure!(variables()?["REPO"].is_null(), "nobody answers for it");
    room.done(&["repo", "unmount", "REPO", "--yes"])?;
    ensure!(variables()?["REPO"].is_null());
    let links = kit::names(&room.dir().join("root"))?;
    ensure!(!links.iter().any(|name| name == "REPO"), "{links:?}");
    client.gone()
}
