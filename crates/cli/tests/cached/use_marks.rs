//! Restoring from a cache: the image is in use meanwhile, and what the partition runs stays.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use azud_testkit::loops::Mount;
use azud_testkit::tools::{have, have_root, run};

use crate::kit::{Disk, azud, command, done, ext4, text};
use crate::{cache, listed, refusal, stop, used_at};

fn image_of(dir: &Path, root: &Path, name: &str, noise: u64) -> Result<()> {
    let volume = dir.join("volume");
    ext4(&volume, 96, noise)?;
    done(&["image", "create", text(&volume), text(&root.join(name))])?;
    used_at(&root.join(name), 1)
}

/// What eviction and list say of `deb` while a restore of it is stopped on its way.
fn while_it_runs(
    restore: &[&str],
    root: &Path,
) -> Result<(Result<String>, Result<serde_json::Value>)> {
    let mut child = command(restore)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let pid = child.id().to_string();
    let leases = root.join(".azud-cache/leases");
    let begun = Instant::now();
    let signed = || {
        let lease = fs::read_dir(&leases).ok()?.next()?.ok()?.path();
        Some(fs::metadata(lease.join("owner")).ok()?.len() > 0)
    };
    while signed() != Some(true) && child.try_wait()?.is_none() {
        ensure!(begun.elapsed() < Duration::from_mins(1), "no lease");
    }
    let stopped = stop(&mut child, root)?;
    let refused = refusal(root, "evict", &["--yes", "deb"]);
    let seen = listed(root, "deb.img");
    run("kill", &["-CONT", &pid])?;
    ensure!(child.wait()?.success());
    ensure!(stopped, "the restore was over before it could be stopped");
    Ok((refused, seen))
}

/// Plans and consent say what is given up; another image goes for real, and nothing is left of it.
fn a_last_copy_goes_by_its_name(root: &Path) -> Result<()> {
    let evict = ["cache", "evict", "--cache", text(root), "deb"];
    let given_up = [&evict[..], &["--even-last-copy"]].concat();
    let said = azud(&[&given_up[..], &["--dry-run"]].concat())?;
    said.done()?;
    ensure!(
        said.warned() == ["last-copy", "evicts"],
        "{:?}",
        said.warned()
    );
    assert_eq!(azud(&given_up)?.refused()?, "cli/not-confirmed");
    // It is for images that are named; what goes to make room never is a last copy.
    let room = ["--yes", "--even-last-copy", "--free", "1G"];
    let said = azud(&[&evict[..4], &room].concat())?;
    ensure!(said.status == Some(2), "{}", said.last());
    let [deb, win] = ["deb.img", "win.img"].map(|name| root.join(name));
    let removed = ["image", "rm", text(&deb), "--dry-run"];
    let said = azud(&removed)?;
    said.done()?;
    ensure!(
        said.warned() == ["removes-last-copy"],
        "{:?}",
        said.warned()
    );
    let other = ["image", "rm", text(&win), "--dry-run"];
    ensure!(azud(&other)?.warned().is_empty());
    Ok(())
}

#[test]
fn loop_what_is_restored_is_in_use_and_then_the_last_copy() -> Result<()> {
    if !have(&["mke2fs", "blkid"]) || !have_root() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let root = dir.path().join("cache");
    fs::create_dir(&root)?;
    for name in ["deb.img", "win.img"] {
        image_of(dir.path(), &root, name, 64)?;
    }
    cache(&root, "pin", &["deb"])?;
    cache(&root, "unpin", &["deb"])?;
    let target = Disk::blank(dir.path().join("target"), 96 << 20)?;
    let image = root.join("deb.img");
    let restore = ["image", "restore", text(&image), target.name(), "--yes"];
    let (refused, seen) = while_it_runs(&restore, &root)?;
    assert_eq!(refused?, "cache/in-use");
    assert_eq!(seen?["in_use"], true);

    let seen = listed(&root, "deb.img")?;
    assert_eq!(
        (&seen["in_use"], &seen["stays"]),
        (&false.into(), &"last-copy".into())
    );
    ensure!(seen["last_used"].as_str() > Some("2026"), "{seen}");
    let runs_on = seen["runs_on"][0].as_str().context("runs on")?.to_owned();
    ensure!(runs_on.contains(target.name()), "{runs_on}");
    assert_eq!(
        refusal(&root, "evict", &["--yes", "deb"])?,
        "cache/last-copy"
    );
    a_last_copy_goes_by_its_name(&root)?;
    // A second disk that runs it is no copy of it: both are named.
    let second = Disk::blank(dir.path().join("second"), 96 << 20)?;
    done(&["image", "restore", text(&image), second.name(), "--yes"])?;
    let mut list = std::process::Command::new(crate::kit::program());
    list.args(["cache", "list", "--lang", "en", "--cache", text(&root)]);
    let list = String::from_utf8(list.output()?.stdout)?;
    let named = [target.name(), second.name(), "last in the cache of what"];
    ensure!(named.iter().all(|it| list.contains(it)), "{list}");
    let gone = cache(
        &root,
        "evict",
        &["--yes", "--floor", "0", "--budget", "100M"],
    )?;
    assert_eq!(crate::paths(&gone["evicted"]), ["win.img"]);

    // The partitions run something else now: the image may go.
    image_of(dir.path(), &root, "new.img", 1)?;
    for disk in [&target, &second] {
        let new = root.join("new.img");
        done(&["image", "restore", text(&new), disk.name(), "--yes"])?;
    }
    cache(&root, "evict", &["--yes", "deb"])?;
    assert_eq!(
        refusal(&root, "evict", &["--yes", "new"])?,
        "cache/last-copy"
    );
    cache(&root, "evict", &["--yes", "new", "--even-last-copy"])?;
    ensure!(!root.join("new.img").exists());
    Ok(())
}

#[test]
fn loop_a_restore_from_a_read_only_cache_works_and_one_elsewhere_is_noted() -> Result<()> {
    if !have(&["mke2fs"]) || !have_root() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let disk = Disk::blank(dir.path().join("disk"), 96 << 20)?;
    run("mke2fs", &["-q", "-t", "ext4", disk.name()])?;
    let mount = Mount::new(disk.path(), None, "")?;
    image_of(dir.path(), mount.path(), "deb.img", 1)?;
    cache(mount.path(), "pin", &["deb"])?;
    mount.unmount()?;
    let mount = Mount::new(disk.path(), None, "ro")?;
    let target = Disk::blank(dir.path().join("target"), 96 << 20)?;
    let image = mount.path().join("deb.img");
    let restore = ["image", "restore", text(&image), target.name(), "--yes"];
    let done_said = crate::kit::azud(&restore)?;
    done_said.done()?;
    ensure!(
        done_said.lines.iter().all(|line| line["warning"].is_null()),
        "{:?}",
        done_said.lines
    );

    // What comes from elsewhere replaces what this machine's cache knew of the partition.
    let root = dir.path().join("cache");
    fs::create_dir(&root)?;
    fs::copy(&image, root.join("deb.img"))?;
    let own = |args: &[&str]| {
        let output = command(args).env("AZUD_CACHE", &root).output()?;
        crate::kit::Said::of(&output)?.done().map(drop)
    };
    own(&[
        "image",
        "restore",
        text(&root.join("deb.img")),
        target.name(),
        "--yes",
    ])?;
    assert_eq!(
        refusal(&root, "evict", &["--yes", "deb"])?,
        "cache/last-copy"
    );
    image_of(dir.path(), dir.path(), "other.img", 1)?;
    own(&[
        "image",
        "restore",
        text(&dir.path().join("other.img")),
        target.name(),
        "--yes",
    ])?;
    cache(&root, "evict", &["--yes", "deb"])?;
    mount.unmount()
}
