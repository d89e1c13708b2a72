//! Making room: what goes first, what is refused, on full, read-only and contended file systems.

#![allow(
    clippy::print_stdout,
    reason = "counts are printed for whoever judges a run"
)]

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use azud_testkit::loops::Mount;
use azud_testkit::tools::{have, have_root, run, sh};

use crate::kit::{Disk, Kills, azud, command, names, text};
use crate::{cache, foreign, listed, paths, refusal, used_at};

const MIB: usize = 1 << 20;

/// Three images, from the least recently used.
fn three(root: &Path) -> Result<()> {
    for (hours, path) in ["aula/old.img", "mid.img", "aula/new.img"]
        .into_iter()
        .enumerate()
    {
        let image = foreign(root, path, u8::try_from(hours)?, MIB)?;
        used_at(&image, hours as u64)?;
    }
    Ok(())
}

fn left(root: &Path) -> Result<Vec<String>> {
    Ok(paths(&cache(root, "list", &[])?["images"]))
}

#[test]
fn a_plan_comes_first_and_nothing_goes_without_consent() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path();
    three(root)?;
    let args = [
        "cache",
        "evict",
        "--cache",
        text(root),
        "--budget",
        "2.5M",
        "--floor",
        "0",
    ];
    let said = azud(&[&args[..], &["--dry-run"]].concat())?;
    assert_eq!(paths(&said.plan()["rows"]["images"]), ["aula/old.img"]);
    assert_eq!(azud(&args)?.refused()?, "cli/not-confirmed");
    assert_eq!(left(root)?.len(), 3);
    let said = azud(&[&args[..], &["--yes"]].concat())?;
    assert_eq!(paths(&said.done()?["evicted"]), ["aula/old.img"]);
    let found = names(&root.join("aula"))?;
    ensure!(
        found.iter().all(|name| name.starts_with("new.img")),
        "{found:?}"
    );
    let said = azud(&[&args[..], &["--yes"]].concat())?;
    assert_eq!(
        said.done()?["evicted"],
        serde_json::json!([]),
        "nothing to do"
    );
    Ok(())
}

#[test]
fn what_may_not_go_is_refused_with_code_and_reason() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path();
    three(root)?;
    cache(root, "pin", &["aula/old"])?;
    assert_eq!(
        refusal(root, "evict", &["--yes", "aula/old"])?,
        "cache/pinned"
    );
    assert_eq!(
        refusal(root, "evict", &["--yes", "mid", "aula/old"])?,
        "cache/pinned"
    );
    assert_eq!(left(root)?.len(), 3, "all or none of those that were named");
    let said = azud(&[
        "cache",
        "evict",
        "--cache",
        text(root),
        "--yes",
        "--budget",
        "0",
    ])?;
    assert_eq!(said.refused()?, "cache/no-room");
    let hint = said.last()["error"]["hint"].to_string();
    ensure!(
        hint.contains("aula/old.img") && hint.contains("pinned"),
        "{hint}"
    );
    cache(root, "unpin", &["aula/old"])?;
    cache(root, "evict", &["--yes", "aula/old"])?;
    assert_eq!(left(root)?, ["aula/new.img", "mid.img"]);
    assert_eq!(
        refusal(root, "evict", &["--yes", "../x"])?,
        "image/not-found"
    );
    Ok(())
}

/// Acceptance test 8: a full cache loses its oldest image that is not pinned, and is never formatted.
#[test]
fn loop_a_full_cache_makes_room_and_is_not_formatted() -> Result<()> {
    if !have(&["mke2fs", "blkid", "md5sum"]) || !have_root() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let disk = Disk::blank(dir.path().join("disk"), 64 << 20)?;
    run(
        "mke2fs",
        &["-q", "-t", "ext4", "-m", "0", "-L", "CACHE", disk.name()],
    )?;
    let before = disk.seen()?;
    let mount = Mount::new(disk.path(), None, "")?;
    let root = mount.path();
    for (hours, path) in ["a.img", "b/b.img", "b/c.img", "d.img"]
        .into_iter()
        .enumerate()
    {
        let image = foreign(root, path, u8::try_from(hours)?, 8 * MIB)?;
        used_at(&image, hours as u64)?;
    }
    cache(root, "pin", &["a"])?;
    // Not one block is left, also not for notes.
    sh(
        r#"dd if=/dev/zero of="$1/fill" bs=64K 2>/dev/null || true; dd if=/dev/zero of="$1/fill2" bs=1K 2>/dev/null || true; sync -f "$1""#,
        &[text(root)],
    )?;
    let full = fs::write(root.join("more"), vec![1; 4096]);
    ensure!(full.is_err(), "the disk should be full");
    let done = cache(root, "evict", &["--yes", "--floor", "0", "--free", "5M"])?;
    assert_eq!(paths(&done["evicted"]), ["b/b.img"]);
    ensure!(done["freed"].as_u64() >= Some(8 * MIB as u64), "{done}");
    fs::write(root.join("more"), vec![1; 5 * MIB])?;
    assert_eq!(left(root)?, ["a.img", "b/c.img", "d.img"]);
    cache(root, "verify", &[])?;
    // By default a quarter of so small a disk stays free: everything but the pinned one goes.
    fs::remove_file(root.join("fill"))?;
    fs::remove_file(root.join("fill2"))?;
    cache(root, "evict", &["--yes", "--free", "20M"])?;
    assert_eq!(left(root)?, ["a.img"]);
    assert_eq!(
        refusal(root, "evict", &["--yes", "--free", "60M"])?,
        "cache/no-room"
    );
    assert_eq!(left(root)?, ["a.img"]);
    mount.unmount()?;
    assert_eq!(disk.seen()?, before);
    Ok(())
}

#[test]
fn loop_a_full_disk_without_state_makes_room_too() -> Result<()> {
    if !have(&["mke2fs"]) || !have_root() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let disk = Disk::blank(dir.path().join("disk"), 32 << 20)?;
    run("mke2fs", &["-q", "-t", "ext4", "-m", "0", disk.name()])?;
    let mount = Mount::new(disk.path(), None, "")?;
    let root = mount.path();
    for (hours, path) in ["a.img", "b.img"].into_iter().enumerate() {
        let image = foreign(root, path, 1, 8 * MIB)?;
        used_at(&image, hours as u64)?;
    }
    sh(
        r#"dd if=/dev/zero of="$1/fill" bs=64K 2>/dev/null || true; dd if=/dev/zero of="$1/fill2" bs=1K 2>/dev/null || true; sync -f "$1""#,
        &[text(root)],
    )?;
    ensure!(
        fs::create_dir(root.join("dir")).is_err(),
        "the disk should be full"
    );
    cache(root, "evict", &["--yes", "--floor", "0", "--free", "5M"])?;
    assert_eq!(left(root)?, ["b.img"]);
    ensure!(!names(root)?.iter().any(|name| name.starts_with("a.img")));
    mount.unmount()
}

#[test]
fn loop_a_read_only_cache_says_so() -> Result<()> {
    if !have(&["mke2fs", "md5sum"]) || !have_root() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let disk = Disk::blank(dir.path().join("disk"), 64 << 20)?;
    run("mke2fs", &["-q", "-t", "ext4", disk.name()])?;
    let mount = Mount::new(disk.path(), None, "")?;
    three(mount.path())?;
    mount.unmount()?;
    let mount = Mount::new(disk.path(), None, "ro")?;
    let root = mount.path();
    assert_eq!(left(root)?.len(), 3);
    for (verb, args) in [
        ("pin", &["mid"][..]),
        ("pin", &["mid", "--dry-run"]),
        ("evict", &["mid", "--dry-run"]),
        ("evict", &["mid", "--yes"]),
        ("evict", &["--yes", "--budget", "0"]),
    ] {
        assert_eq!(
            refusal(root, verb, args)?,
            "disk/read-only",
            "{verb} {args:?}"
        );
    }
    let checked = azud(&["cache", "verify", "--cache", text(root), "mid"])?;
    assert_eq!(checked.done()?["damaged"], 0);
    ensure!(
        checked.lines.iter().any(|line| line["warning"].is_string()),
        "{:?}",
        checked.lines
    );
    mount.unmount()
}

#[test]
fn two_processes_that_evict_at_once_break_nothing() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path();
    for number in 0..12 {
        let image = foreign(root, &format!("i{number:02}.img"), number, MIB / 4)?;
        used_at(&image, number.into())?;
    }
    cache(root, "pin", &["i00"])?;
    let args = [
        "cache",
        "evict",
        "--cache",
        text(root),
        "--yes",
        "--floor",
        "0",
        "--budget",
        "1M",
    ];
    let start = || {
        command(&args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    };
    let (one, two) = (start()?, start()?);
    let mut gone = Vec::new();
    for child in [one, two] {
        let said = crate::kit::Said::of(&child.wait_with_output()?)?;
        gone.extend(paths(&said.done()?["evicted"]));
    }
    gone.sort();
    let all: Vec<String> = gone.clone();
    gone.dedup();
    assert_eq!(all, gone, "each went once");
    let left = left(root)?;
    assert_eq!(left.len() + gone.len(), 12);
    ensure!(
        left.contains(&"i00.img".to_owned()) && left.len() == 3,
        "{left:?}"
    );
    assert_eq!(left[1..], ["i10.img", "i11.img"]);
    cache(root, "verify", &[])?;
    Ok(())
}

/// What is left is whole, and the next eviction takes away the rest; how many images that is.
fn check_after_kill(root: &Path) -> Result<usize> {
    let left = left(root)?;
    for path in &left {
        for side in [".info", ".sum", ".full.sum"] {
            ensure!(root.join(format!("{path}{side}")).exists(), "{path}{side}");
        }
    }
    cache(root, "verify", &[])?;
    foreign(root, "last.img", 9, 1000)?;
    cache(root, "evict", &["--yes", "last"])?;
    let found = names(root)?;
    ensure!(found.len() == left.len() * 4 + 1, "{found:?}");
    ensure!(names(&root.join(".azud-cache/evicting"))?.is_empty());
    Ok(left.len())
}

#[test]
fn stress_a_killed_eviction_leaves_whole_images_or_none() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let fill = |root: &Path| -> Result<()> {
        for number in 0..6 {
            let image = foreign(root, &format!("i{number}.img"), number, MIB)?;
            used_at(&image, number.into())?;
        }
        Ok(())
    };
    let evict = |root: &Path| {
        command(&[
            "cache",
            "evict",
            "--cache",
            text(root),
            "--yes",
            "--floor",
            "0",
            "--budget",
            "0",
        ])
    };
    let mut kills = Kills::of(Duration::from_millis(5), 31);
    while let Some((number, moment)) = kills.next() {
        let root = dir.path().join(format!("cache{number}"));
        fill(&root)?;
        // After so many images went, and a moment more.
        let gone = kills.random.below(6);
        let mut child = evict(&root)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let there = |number: &u64| root.join(format!("i{number}.img")).exists();
        while (0..6).filter(there).count() as u64 > 6 - gone && child.try_wait()?.is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(moment);
        child.kill()?;
        let killed = child.wait()?.code().is_none();
        let left = check_after_kill(&root)
            .with_context(|| format!("{}, and after {gone} went", kills.case()))?;
        kills.note(killed, killed && left > 0 && left < 6);
    }
    kills.judge("left some of the images")
}

#[test]
fn former_versions_go_with_the_image_that_is_named() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path();
    foreign(root, "aula/a.img", 1, MIB)?;
    let slot = root.join("aula/.azud-trash/a.img/20260101T000000Z-unknown");
    fs::create_dir_all(&slot)?;
    fs::write(slot.join("a.img"), vec![2; MIB])?;
    let former = "aula/.azud-trash/a.img/20260101T000000Z-unknown/a.img";
    assert_eq!(listed(root, former)?["former"], true);
    let done = cache(root, "evict", &["--yes", "aula/a"])?;
    assert_eq!(paths(&done["evicted"]), ["aula/a.img", former]);
    assert_eq!(names(&root.join("aula"))?, [""; 0]);
    Ok(())
}

/// Where files share extents, what an eviction gives back shows only afterwards.
#[test]
fn loop_shared_bytes_are_not_taken_for_free_ones() -> Result<()> {
    if !have(&["mkfs.xfs", "cp"]) || !have_root() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let disk = Disk::blank(dir.path().join("disk"), 400 << 20)?;
    run("mkfs.xfs", &["-q", "-m", "reflink=1", disk.name()])?;
    let mount = Mount::new(disk.path(), None, "")?;
    let root = mount.path();
    let kept = foreign(root, "kept.img", 1, 32 * MIB)?;
    run(
        "cp",
        &[
            "--reflink=always",
            text(&kept),
            text(&root.join("twin.img")),
        ],
    )?;
    foreign(root, "own.img", 2, 32 * MIB)?;
    foreign(root, "spare.img", 3, 32 * MIB)?;
    for (hours, name) in ["twin.img", "own.img", "spare.img"].into_iter().enumerate() {
        used_at(&root.join(name), hours as u64)?;
    }
    cache(root, "pin", &["kept"])?;
    let free = cache(root, "list", &[])?["free"].as_u64().context("free")?;
    // By their sizes one would do; the first to go gives nothing back.
    let need = (free + 20 * MIB as u64).to_string();
    let args = ["--yes", "--floor", "0", "--free", &need];
    let plan = azud(
        &[
            &["cache", "evict", "--cache", text(root), "--dry-run"],
            &args[..],
        ]
        .concat(),
    )?;
    assert_eq!(plan.warned(), ["uncertain", "evicts"]);
    // Nothing goes instead that the plan did not name; the next plan knows more.
    let said = azud(&[&["cache", "evict", "--cache", text(root)], &args[..]].concat())?;
    assert_eq!(said.refused()?, "cache/no-room");
    assert_eq!(left(root)?, ["kept.img", "own.img", "spare.img"]);
    let done = cache(root, "evict", &args)?;
    assert_eq!(paths(&done["evicted"]), ["own.img"]);
    assert_eq!(left(root)?, ["kept.img", "spare.img"]);
    mount.unmount()
}
