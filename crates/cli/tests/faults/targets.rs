//! Targets that are refused, and restores that nobody agreed to.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use azud_testkit::loops::{Loop, Mount};
use azud_testkit::tools::{have, run};

use crate::kit::{self, Disk, Said, command, done, refused, text};
use crate::{Fixture, SIZE, all_below, ready, restore};

/// `O_EXCL`: of a block device, nobody else may have it so.
const EXCLUSIVE: i32 = 0o200;

/// The restore is refused with this code and leaves the target as it was.
fn stays(code: &str, args: &[&str], target: &Disk) -> Result<()> {
    let before = target.hash()?;
    let found = refused(args)?;
    ensure!(found == code, "{code} was expected, not {found}: {args:?}");
    ensure!(target.hash()? == before, "{code}, but it was written");
    Ok(())
}

#[test]
fn loop_what_is_in_use_is_neither_written_nor_read() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let all = Fixture::new()?;
    let target = all.target()?;
    let other = all.path("images/other.img");
    let create = ["image", "create", target.name(), text(&other)];
    let restore = restore(all.image(), target.name());

    let mount = Mount::new(target.path(), None, "ro")?;
    stays("disk/mounted", &restore, &target)?;
    stays("disk/mounted", &create, &target)?;
    // Its file is as much in use as the device over it.
    let file = text(&all.path("target")).to_owned();
    stays(
        "disk/mounted",
        &["image", "restore", all.image(), &file, "--yes"],
        &target,
    )?;
    mount.unmount()?;
    // An image within the very target cannot be restored to it.
    let mount = Mount::new(target.path(), None, "")?;
    let inside = mount.path().join("inside.img");
    fs::copy(&all.image, &inside)?;
    ensure!(
        refused(&["image", "restore", text(&inside), target.name(), "--yes"])? == "disk/mounted"
    );
    done(&["image", "verify", "--deep", text(&inside)])?;
    mount.unmount()?;

    let held = File::options()
        .read(true)
        .custom_flags(EXCLUSIVE)
        .open(target.path())?;
    stays("disk/busy", &restore, &target)?;
    stays("disk/busy", &create, &target)?;
    drop(held);
    stays(
        "disk/busy",
        &["image", "restore", all.image(), &file, "--yes"],
        &target,
    )?;
    ensure!(!other.exists());

    let itself = ["image", "restore", all.image(), all.image(), "--yes"];
    ensure!(refused(&itself)? == "disk/holds-source");
    done(&["image", "verify", "--deep", all.image()])?;
    done(&restore)?;
    Ok(())
}

#[test]
fn loop_targets_that_do_not_fit_are_refused() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let all = Fixture::new()?;
    let info = done(&["image", "info", all.image()])?;
    let needs = info["minimum_size"].as_u64().context("minimum_size")?;
    let small = Disk::poisoned(all.path("small"), needs - 512)?;
    stays(
        "disk/too-small",
        &restore(all.image(), small.name()),
        &small,
    )?;
    let before = small.hash()?;
    ensure!(from_pipe(&fs::read(&all.image)?, small.name())?.refused()? == "disk/too-small");
    ensure!(small.hash()? == before, "written from a pipe");
    let enough = Disk::poisoned(all.path("enough"), needs)?;
    done(&[&restore(all.image(), enough.name())[..], &["--dry-run"]].concat())?;

    let file = all.path("read-only");
    fs::copy(&all.volume, &file)?;
    let device = Loop::attach_with(&file, &["-r"])?;
    ensure!(refused(&restore(all.image(), device.name()))? == "disk/read-only");

    for nothing in [
        "/dev/azud-is-not-here",
        "/dev/null",
        "/tmp",
        text(&all.path("no/such/folder/file")),
    ] {
        let code = refused(&restore(all.image(), nothing))?;
        ensure!(code == "disk/not-a-device", "{nothing}: {code}");
    }
    ensure!(
        refused(&["image", "create", "/dev/azud-is-not-here", all.image()])? == "disk/not-a-device"
    );
    Ok(())
}

#[test]
fn loop_sectors_larger_than_the_file_systems_are_refused() -> Result<()> {
    if !ready() || !have(&["mkntfs"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let source = Disk::blank(dir.path().join("ntfs"), SIZE << 20)?;
    run("mkntfs", &["-q", "-F", "-Q", source.name()])?;
    let image = dir.path().join("windows.img");
    done(&["image", "create", source.name(), text(&image)])?;
    let file = dir.path().join("4kn");
    azud_testkit::poison::fill(&file, SIZE << 20)?;
    let device = Loop::attach_with(&file, &["--sector-size", "4096"])?;
    let before = fs::read(device.path())?;
    ensure!(refused(&restore(text(&image), device.name()))? == "disk/sector-size");
    ensure!(fs::read(device.path())? == before, "it was written");
    Ok(())
}

#[test]
fn loop_nothing_is_written_without_consent() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let all = Fixture::new()?;
    let target = all.target()?;
    let asking = ["image", "restore", all.image(), target.name()];
    stays("cli/not-confirmed", &asking, &target)?;
    // The same for people, when there is no terminal: status 1, and the plan was shown.
    let before = target.hash()?;
    let mut people = Command::new(env!("CARGO_BIN_EXE_azud"));
    let output = people
        .args(asking)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()?;
    ensure!(output.status.code() == Some(1) && target.hash()? == before);
    ensure!(String::from_utf8_lossy(&output.stdout).contains(target.name()));
    ensure!(String::from_utf8_lossy(&output.stderr).contains("code: cli/not-confirmed"));

    for more in [
        &["--dry-run"][..],
        &["--dry-run", "--yes"],
        &["--dry-run", "--changed-only", "--unused", "zero"],
    ] {
        let plan = done(&[&asking[..], more].concat())?;
        ensure!(plan["plan"]["action"] == "image-restore", "{plan}");
        ensure!(target.hash()? == before, "{more:?} wrote");
    }
    let folder = all_below(&all.path("images"))?;
    for image in [all.image(), text(&all.path("images/new"))] {
        let plan = done(&["image", "create", all.volume(), image, "--dry-run"])?;
        ensure!(plan["plan"]["action"] == "image-create", "{plan}");
    }
    done(&["image", "rm", all.image(), "--dry-run"])?;
    ensure!(
        all_below(&all.path("images"))? == folder,
        "a dry run changed the folder"
    );
    Ok(())
}

/// Restores from standard input what is in `bytes`.
fn from_pipe(bytes: &[u8], target: &str) -> Result<Said> {
    let mut child = command(&restore("-", target))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("stdin")?;
    std::thread::scope(|scope| {
        // Whoever refuses does not read to the end.
        scope.spawn(move || std::io::Write::write_all(&mut stdin, bytes).ok());
        Said::of(&child.wait_with_output()?)
    })
}

#[test]
fn loop_a_pipe_that_breaks_or_lies_leaves_no_superblock() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let all = Fixture::new()?;
    let bytes = fs::read(&all.image)?;
    let native = azud_image::Native::open(&bytes)?;
    let frames: u64 = native
        .frames()
        .iter()
        .map(|frame| u64::from(frame.compressed_len))
        .sum();
    let index = usize::try_from(frames)?;
    let target = all.target()?;
    let cases = [
        (
            "in the middle",
            bytes[..index / 2].to_vec(),
            "image/truncated",
        ),
        (
            "before the index",
            bytes[..index].to_vec(),
            "image/truncated",
        ),
        (
            "within the index",
            bytes[..index + 100].to_vec(),
            "image/truncated",
        ),
        (
            "before the seek table",
            bytes[..bytes.len() - 30].to_vec(),
            "image/truncated",
        ),
        (
            "a bit of a frame",
            flipped(&bytes, index / 2),
            "image/corrupt",
        ),
        (
            "a bit of the index",
            flipped(&bytes, index + 48),
            "image/corrupt",
        ),
    ];
    for (what, bytes, code) in cases {
        let file = all.path("another");
        kit::ext4(&file, SIZE, 1)?;
        kit::copy(&file, target.path())?;
        let said = from_pipe(&bytes, target.name())?;
        let found = said.refused().context(what)?;
        ensure!(found == code, "{what}: {found}, not {code}");
        // A stream that ends before the first blocks are known has written nothing at all.
        let untouched = fs::read(target.path())? == fs::read(&file)?;
        let seen = target.seen()?;
        ensure!(untouched || seen.is_none(), "{what}: {seen:?}");
    }
    let restored = from_pipe(&bytes, target.name())?;
    restored.done()?;
    run("e2fsck", &["-fn", target.name()])?;
    Ok(())
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 4;
    bytes
}
