//! Two computers on a cable of 1 Gbit: the manager on one, a disk on the other.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use azud_testkit::cable::{Cable, Side};
use azud_testkit::loops::Mount;
use azud_testkit::tools::{have, have_root, run};
use serde_json::Value;

use crate::full::while_it_runs;
use crate::kit::{self, Disk, Said, text};
use crate::server::{Manager, Room};
use crate::{MIB, bytes, same};

const VOLUME: u64 = 128;
const NOISE: u64 = 60;
/// So often it is tried to have the disk done well before the cache.
const ROUNDS: usize = 8;

fn can() -> bool {
    have(&["ip", "tc", "mke2fs", "e2fsck", "debugfs", "blkid"]) && have_root()
}

/// A manager with an ext4 image, and a client's disk.
struct Lab {
    target: Disk,
    room: Room,
    manager: Manager,
}

impl Lab {
    fn new() -> Result<Self> {
        Self::over("1gbit")
    }

    fn over(rate: &str) -> Result<Self> {
        Self::of((VOLUME, NOISE), rate)
    }

    /// With a volume of so many MiB, and noise in it.
    fn of((volume, noise): (u64, u64), rate: &str) -> Result<Self> {
        let room = Room::over(Some(Cable::new(Some(rate))?))?;
        kit::ext4(&room.dir().join("volume"), volume, noise)?;
        fs::create_dir(room.images().join("aula1"))?;
        capture(&room)?;
        let manager = room.serve()?;
        room.know(&manager)?;
        let file = room.dir().join("disk");
        let target = Disk::poisoned(file, volume << 20)?;
        Ok(Self {
            target,
            room,
            manager,
        })
    }

    /// A deployment, and the bytes that came over the cable for it.
    fn deploy(&self, more: &[&str]) -> Result<(Value, u64)> {
        let cable = self.room.cable.as_ref().context("a cable")?;
        let before = cable.received(Side::Client)?;
        let args = ["deploy", "REPO:aula1/ubuntu", self.target.name(), "--yes"];
        let done = self.room.done(&[&args[..], more].concat())?;
        let came = cable.received(Side::Client)? - before;
        self.check()?;
        Ok((done, came))
    }

    /// The disk holds what was captured.
    fn check(&self) -> Result<()> {
        run("e2fsck", &["-fn", self.target.name()])?;
        let picture = |device: &std::path::Path, options| kit::picture_of(device, None, options);
        let wanted = picture(&self.room.dir().join("volume"), "ro,loop")?;
        ensure!(picture(self.target.path(), "ro")? == wanted, "other files");
        Ok(())
    }

    /// One file of the volume is another, and the image is made anew.
    fn change(&self) -> Result<()> {
        self.renew(&[7])
    }

    /// So are these files of it.
    fn renew(&self, files: &[u64]) -> Result<()> {
        let (volume, new) = (self.room.dir().join("volume"), self.room.dir().join("new"));
        for number in files {
            fs::write(&new, crate::noise(number + 70, MIB))?;
            let write = format!("write {} /a/noise{number}", text(&new));
            for command in [&format!("rm /a/noise{number}"), &write] {
                run("debugfs", &["-w", "-R", command, text(&volume)])?;
            }
        }
        capture(&self.room)
    }
}

fn capture(room: &Room) -> Result<()> {
    let (volume, image) = (
        room.dir().join("volume"),
        room.images().join("aula1/ubuntu.img"),
    );
    kit::done(&["image", "create", text(&volume), text(&image), "--yes"]).map(drop)
}

#[test]
fn loop_a_deployment_over_a_cable_moves_only_the_change_the_second_time() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let lab = Lab::new()?;
    let disk = Disk::blank(lab.room.dir().join("cache.disk"), 400 << 20)?;
    run("mke2fs", &["-q", "-t", "ext4", "-m", "0", disk.name()])?;
    let cache = Mount::new(disk.path(), None, "")?;
    let cached = ["--cache", text(cache.path())];
    let (first, came) = lab.deploy(&cached)?;
    let there = lab.room.images().join("aula1/ubuntu.img");
    let here = cache.path().join("aula1/ubuntu.img");
    same(&there, &here)?;
    let size = fs::metadata(&there)?.len();
    ensure!(
        bytes(&first, "from_source")? <= size && came > size,
        "{first}"
    );
    lab.change()?;
    let (second, came) = lab.deploy(&cached)?;
    same(&there, &here)?;
    // The file, its frames' neighbours, and the head.
    ensure!(came < 12 * MIB as u64, "{came} bytes came: {second}");
    ensure!(bytes(&second, "written")? < 4 * MIB as u64, "{second}");
    // Without the cache the disk itself is the seed.
    lab.change()?;
    let (third, came) = lab.deploy(&["--no-cache"])?;
    ensure!(came < 12 * MIB as u64, "{came} bytes came: {third}");
    cache.unmount()
}

/// Sectors that were written to a device so far.
fn sectors(device: &str) -> Result<u64> {
    let name = device.strip_prefix("/dev/").context("a device")?;
    let stat = fs::read_to_string(format!("/sys/block/{name}/stat"))?;
    let written = stat.split_whitespace().nth(6).context("a column")?;
    Ok(written.parse()?)
}

#[test]
fn loop_the_disk_is_written_while_the_image_still_comes() -> Result<()> {
    if !can() {
        return Ok(());
    }
    // Slow enough that somebody can look on.
    let lab = Lab::over("200mbit")?;
    let cable = lab.room.cable.as_ref().context("a cable")?;
    let (came, wrote) = (cable.received(Side::Client)?, sectors(lab.target.name())?);
    let mut seen = None;
    let whole = thread::scope(|scope| {
        let running = scope.spawn(|| lab.deploy(&["--no-cache"]));
        while seen.is_none() && !running.is_finished() {
            // Half of what will be written, by the volume's noise.
            if sectors(lab.target.name())? - wrote > NOISE << 10 {
                seen = Some(cable.received(Side::Client)? - came);
            }
            thread::sleep(Duration::from_millis(5));
        }
        let ended = running.join();
        ended.map_err(|_| anyhow::anyhow!("it panicked"))?
    })?;
    let (done, all) = whole;
    let seen = seen.context("it was never seen to write")?;
    ensure!(seen < all / 10 * 9, "{seen} of {all} had come: {done}");
    Ok(())
}

/// What had come over the cable when a tenth of the disk was done, and in the end.
fn came_until_a_tenth(lab: &Lab, cache: &Path) -> Result<(u64, u64)> {
    let cable = lab.room.cable.as_ref().context("a cable")?;
    let before = cable.received(Side::Client)?;
    let deploy = ["deploy", "REPO:aula1/ubuntu", lab.target.name(), "--yes"];
    let cache = ["--cache", text(cache)];
    let mut deploy = lab.room.command(&[&deploy[..], &cache].concat());
    let mut deploy = deploy.stdout(Stdio::piped()).spawn()?;
    let mut seen = None;
    for line in BufReader::new(deploy.stdout.take().context("a pipe")?).lines() {
        let progress = serde_json::from_str::<Value>(&line?)?["progress"].take();
        let is_disk = progress["phase"] == "compare";
        if is_disk && seen.is_none() && bytes(&progress, "done")? * 10 >= bytes(&progress, "total")?
        {
            seen = Some(cable.received(Side::Client)? - before);
        }
    }
    ensure!(deploy.wait()?.success(), "it failed");
    lab.check()?;
    Ok((
        seen.context("a tenth")?,
        cable.received(Side::Client)? - before,
    ))
}

/// The backups of its superblock, which are judged first, lie all over the volume.
#[test]
fn loop_an_older_version_is_written_over_while_the_new_one_comes() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let lab = Lab::of((270, 236), "200mbit")?;
    let first = lab.room.dir().join("cache1");
    fs::create_dir(&first)?;
    lab.deploy(&["--cache", text(&first)])?;
    let news: Vec<u64> = (1..=118).map(|number| number * 2).collect();
    lab.renew(&news)?;
    let second = lab.room.dir().join("cache2");
    fs::create_dir(&second)?;
    let (seen, all) = came_until_a_tenth(&lab, &second)?;
    // In the order of the file it is nearly all of them, on however slow a computer.
    ensure!(seen < all / 10 * 9, "{seen} of {all} had come");
    Ok(())
}

/// Deploys with an empty cache onto a disk that holds the image; whether the room showed meanwhile that the cache fills.
fn filled(lab: &Lab, cache: &Path) -> Result<(bool, Said)> {
    fs::create_dir(cache)?;
    let device = lab.target.name();
    let deploy = ["deploy", "REPO:aula1/ubuntu", device, "--yes", "--cache"];
    let mut deploy = lab.room.command(&[&deploy[..], &[text(cache)]].concat());
    let mut seen = false;
    let output = thread::scope(|scope| {
        let running = scope.spawn(move || deploy.output());
        while !running.is_finished() {
            let room = lab.room.done(&["room", "status"])?;
            let report = &room["computers"][0]["report"];
            seen |= report["phase"] == "assemble" && bytes(report, "done")? > 0;
            thread::sleep(Duration::from_millis(100));
        }
        let ended = running.join();
        anyhow::Ok(ended.map_err(|_| anyhow::anyhow!("it panicked"))??)
    })?;
    Ok((seen, Said::of(&output)?))
}

/// The disk has the image already, and is done in a moment; the cache gets it over a slow cable.
#[test]
fn loop_a_cache_that_still_fills_is_seen_until_it_is_full() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let lab = Lab::over("100mbit")?;
    lab.room.know_as(&lab.manager, "write")?;
    lab.deploy(&["--no-cache"])?;
    for round in 0..ROUNDS {
        let (seen, said) = filled(&lab, &lab.room.dir().join(format!("cache{round}")))?;
        ensure!(said.done()?["written"] == 0, "{}", said.last());
        let all = said.lines.iter().map(|line| &line["progress"]);
        let gathered = |it: &&Value| it["phase"] == "assemble";
        let told: Vec<&Value> = all.filter(gathered).collect();
        // Five a second, and it takes some seconds, unless the head of the image, for which the disk waits, came late:
        // which of several requests is answered first is a matter of luck.
        if told.len() <= 5 {
            continue;
        }
        ensure!(seen, "the room never showed it");
        let last = told.last().context("the last word")?;
        ensure!(last["done"] == last["total"], "{last}");
        ensure!(bytes(last, "total")? > 0, "{last}");
        return lab.check();
    }
    bail!("the cache was never seen to fill")
}

#[test]
fn loop_a_cable_that_is_pulled_for_a_moment_is_waited_for() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let lab = Lab::new()?;
    let cable = lab.room.cable.as_ref().context("a cable")?;
    thread::scope(|scope| {
        let running = scope.spawn(|| lab.deploy(&["--no-cache"]));
        thread::sleep(Duration::from_millis(300));
        cable.plug(false)?;
        thread::sleep(Duration::from_secs(1));
        cable.plug(true)?;
        running
            .join()
            .map_err(|_| anyhow::anyhow!("it panicked"))?
            .map(drop)
    })
}

/// A command that was begun, when so many bytes have come to a side of the cable.
fn begun(lab: &Lab, args: &[&str], (side, bytes): (Side, u64)) -> Result<Child> {
    let cable = lab.room.cable.as_ref().context("a cable")?;
    let before = cable.received(side)?;
    let mut command = lab.room.command(args);
    let mut client = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    while_it_runs(&mut client, || Ok(cable.received(side)? - before >= bytes))?;
    Ok(client)
}

/// Asks a command to end, and sees that it does within a time.
fn ends(client: &mut Child, most: Duration) -> Result<ExitStatus> {
    let asked = Instant::now();
    run("kill", &["-TERM", &client.id().to_string()])?;
    loop {
        if let Some(ended) = client.try_wait()? {
            return Ok(ended);
        }
        if asked.elapsed() >= most {
            client.kill()?;
            bail!("it goes on after {most:?}");
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Stops a command in its midst, which ends at once.
fn stopped(lab: &Lab, args: &[&str], midst: (Side, u64)) -> Result<()> {
    let ended = ends(&mut begun(lab, args, midst)?, Duration::from_secs(8))?;
    ensure!(ended.code() == Some(143), "{ended}");
    Ok(())
}

/// On a cable of 30 Mbit what is under way takes five to nine seconds more.
#[test]
fn loop_a_stopped_update_ends_at_once_and_keeps_what_came() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let lab = Lab::over("30mbit")?;
    let cable = lab.room.cable.as_ref().context("a cable")?;
    let before = cable.received(Side::Client)?;
    let here = lab.room.dir().join("ubuntu.img");
    let args = [
        "cache",
        "update",
        text(&here),
        "--from",
        "REPO:aula1/ubuntu",
    ];
    stopped(&lab, &args, (Side::Client, 20 * MIB as u64))?;
    let rest = lab.room.done(&args)?;
    let size = fs::metadata(&here)?.len();
    let came = cable.received(Side::Client)? - before;
    same(&lab.room.images().join("aula1/ubuntu.img"), &here)?;
    ensure!(bytes(&rest, "resumed")? > 0, "{rest}");
    // But for a piece of each stretch that was under way, and what the cable adds.
    ensure!(came < size + size / 5, "{came} for {size}: {rest}");
    Ok(())
}

/// Bytes of an upload in whose midst it is looked at.
const MIDST: (Side, u64) = (Side::Server, 10 << 20);

/// A client that may write, and a volume of which it can send an image.
fn sender(seed: u64) -> Result<(Lab, PathBuf)> {
    let lab = Lab::over("30mbit")?;
    lab.room.know_as(&lab.manager, "write")?;
    let volume = lab.room.dir().join("noise");
    fs::write(&volume, crate::noise(seed, 40 * MIB))?;
    Ok((lab, volume))
}

#[test]
fn loop_a_stopped_upload_ends_at_once_and_keeps_what_came() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let (lab, volume) = sender(78)?;
    let cable = lab.room.cable.as_ref().context("a cable")?;
    let before = cable.received(Side::Server)?;
    let args = ["image", "create", text(&volume), "REPO:aula2/ubuntu"];
    stopped(&lab, &args, MIDST)?;
    let held = held(&lab.room.images().join("aula2"))?;
    ensure!((MIB as u64..20 << 20).contains(&held), "{held} are held");
    let rest = lab.room.done(&args)?;
    let came = cable.received(Side::Server)? - before;
    let there = lab.room.images().join("aula2/ubuntu.img");
    let size = fs::metadata(&there)?.len();
    ensure!(rest["identity"] == kit::whole(&there)?.as_str(), "{rest}");
    ensure!(came < size + size / 6, "{came} for {size}: {rest}");
    ensure!(bytes(&rest, "resumed")? > MIB as u64, "{rest}");
    // What is left of one image is of no use to another.
    let args = ["image", "create", text(&volume), "REPO:aula2/other"];
    fs::write(&volume, crate::noise(80, 40 * MIB))?;
    stopped(&lab, &args, MIDST)?;
    fs::write(&volume, crate::noise(81, 40 * MIB))?;
    let rest = lab.room.done(&args)?;
    ensure!(rest["resumed"] == 0, "{rest}");
    Ok(())
}

/// Bytes that files take on the medium, as the room in it that others do not get.
fn held(dir: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        let (entry, meta) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
        sum += if meta.is_dir() {
            held(&entry)?
        } else {
            meta.blocks() * 512
        };
    }
    Ok(sum)
}

#[test]
fn loop_an_upload_to_a_silent_manager_ends_when_it_is_asked_to() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let (lab, volume) = sender(79)?;
    let cable = lab.room.cable.as_ref().context("a cable")?;
    let args = ["image", "create", text(&volume), "REPO:aula2/ubuntu"];
    let mut client = begun(&lab, &args, MIDST)?;
    cable.silence(Cable::SERVER, true)?;
    thread::sleep(Duration::from_secs(2));
    ends(&mut client, Duration::from_secs(5))?;
    cable.silence(Cable::SERVER, false)?;
    let there = lab.room.images().join("aula2/ubuntu.img");
    ensure!(!there.exists(), "half of it is to be seen");
    Ok(())
}
