//! An update makes room: what goes for it, what never does, killed in between.

#![allow(
    clippy::print_stdout,
    reason = "counts are printed for whoever judges a run"
)]

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use azud_store::Stored;
use azud_store::cache::Cache;
use azud_testkit::loops::Mount;
use azud_testkit::tools::{have, have_root, run, sh};

use crate::kit::{Disk, Kills, Said, azud, command, names, program, refused, text};
use crate::{cache, foreign, listed, paths, refusal, stop, used_at};

const MIB: usize = 1 << 20;

/// A small cache of six images of 8 MiB, `a` the least recently used and pinned; some 9 MiB are free.
struct Full {
    mount: Mount,
    _disk: Disk,
    dir: tempfile::TempDir,
}

impl Full {
    fn make() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let disk = Disk::blank(dir.path().join("disk"), 64 << 20)?;
        let make = ["-q", "-t", "ext4", "-m", "0", "-J", "size=4", "-N", "256"];
        run("mke2fs", &[&make[..], &[disk.name()]].concat())?;
        let mount = Mount::new(disk.path(), None, "")?;
        for (number, path) in ["a.img", "b.img", "aula/c.img", "d.img", "e.img", "f.img"]
            .into_iter()
            .enumerate()
        {
            let image = foreign(mount.path(), path, u8::try_from(number)?, 8 * MIB)?;
            used_at(&image, number as u64)?;
        }
        cache(mount.path(), "pin", &["a"])?;
        Ok(Self {
            mount,
            _disk: disk,
            dir,
        })
    }

    fn root(&self) -> &Path {
        self.mount.path()
    }

    /// A newer image elsewhere, of so many MiB.
    fn source(&self, name: &str, mib: usize) -> Result<PathBuf> {
        foreign(self.dir.path(), name, 200, mib * MIB)
    }

    fn left(&self) -> Result<Vec<String>> {
        Ok(paths(&cache(self.root(), "list", &[])?["images"]))
    }
}

/// `cache update` of an image in the cache, whose floor is not to be kept.
fn update(image: &Path, from: &Path, more: &[&str]) -> Result<Said> {
    let args = ["cache", "update", text(image), "--from", text(from)];
    let mut command = command(&[&args[..], more].concat());
    Said::of(&command.env("AZUD_CACHE_FLOOR", "0").output()?)
}

fn programs() -> bool {
    have(&["mke2fs", "md5sum"]) && have_root()
}

/// Acceptance test 8 again: what is updated makes the room that it needs.
#[test]
fn loop_an_update_evicts_the_least_recently_used_and_never_the_pinned() -> Result<()> {
    if !programs() {
        return Ok(());
    }
    let full = Full::make()?;
    let new = full.source("new.img", 20)?;
    let image = full.root().join("aula/new.img");
    let before = full.left()?;
    let plan = update(&image, &new, &["--dry-run"])?;
    plan.done()?;
    let rows = &plan.plan()["rows"];
    assert_eq!(paths(&rows["evicts"]), ["b.img", "aula/c.img"]);
    assert_eq!(rows["older"][0]["path"], "a.img", "{rows}");
    assert_eq!(rows["older"][0]["why"], "pinned", "{rows}");
    ensure!(plan.warned().contains(&"evicts"), "{rows}");
    assert_eq!(update(&image, &new, &[])?.refused()?, "cli/not-confirmed");
    let kept = update(&image, &new, &["--yes", "--no-evict"])?;
    assert_eq!(kept.refused()?, "cache/no-room");
    let hint = kept.last()["error"]["hint"].to_string();
    ensure!(hint.contains("Leave out --no-evict"), "{hint}");
    assert_eq!(full.left()?, before, "nothing went without consent");

    let done = update(&image, &new, &["--yes"])?;
    assert_eq!(paths(&done.done()?["evicted"]), ["b.img", "aula/c.img"]);
    ensure!(fs::read(&image)? == fs::read(&new)?);
    assert_eq!(
        full.left()?,
        ["a.img", "aula/new.img", "d.img", "e.img", "f.img"]
    );
    // Without a word about the floor, a quarter of so small a disk would stay free: as far as it can be.
    let larger = full.source("larger.img", 24)?;
    let image = full.root().join("larger.img");
    let args = ["cache", "update", text(&image), "--from", text(&larger)];
    azud(&[&args[..], &["--yes"]].concat())?.done()?;
    let left = full.left()?;
    ensure!(left.contains(&"a.img".to_owned()), "{left:?}");
    ensure!(fs::read(&image)? == fs::read(&larger)?);
    cache(full.root(), "verify", &[])?;
    full.mount.unmount()
}

/// A quarter of so small a disk is to stay free, and does not already: what fits goes in all the same.
#[test]
fn loop_less_than_the_floor_is_told() -> Result<()> {
    if !programs() {
        return Ok(());
    }
    let full = Full::make()?;
    let small = full.source("small.img", 2)?;
    let image = full.root().join("small.img");
    let args = ["cache", "update", text(&image), "--from", text(&small)];
    let plan = azud(&[&args[..], &["--dry-run"]].concat())?;
    plan.done()?;
    assert_eq!(plan.warned(), ["below-floor"]);
    let plan = update(&image, &small, &["--dry-run"])?;
    plan.done()?;
    ensure!(plan.warned().is_empty(), "{}", plan.plan());
    full.mount.unmount()
}

#[test]
fn loop_where_nothing_may_go_nothing_changes() -> Result<()> {
    if !programs() {
        return Ok(());
    }
    let full = Full::make()?;
    cache(full.root(), "pin", &["b", "aula/c", "d", "e"])?;
    // The one that is left is the one that is brought up to date.
    let new = full.source("f.img", 24)?;
    let image = full.root().join("f.img");
    let (before, content) = (names(full.root())?, fs::read(&image)?);
    let said = update(&image, &new, &["--yes"])?;
    assert_eq!(said.refused()?, "cache/no-room");
    let hint = said.last()["error"]["hint"].to_string();
    ensure!(hint.contains("b.img") && hint.contains("pinned"), "{hint}");
    assert_eq!(names(full.root())?, before);
    ensure!(fs::read(&image)? == content);
    cache(full.root(), "verify", &[])?;
    full.mount.unmount()
}

#[test]
fn loop_neither_the_image_nor_its_source_goes() -> Result<()> {
    if !programs() {
        return Ok(());
    }
    let full = Full::make()?;
    let (from, to) = (full.root().join("b.img"), full.root().join("twin.img"));
    fs::write(full.root().join("fill"), vec![1; 6 * MIB])?;
    let mut copy = command(&["image", "copy", text(&from), text(&to), "--yes"]);
    let said = Said::of(&copy.env("AZUD_CACHE_FLOOR", "0").output()?)?;
    assert_eq!(paths(&said.done()?["evicted"]), ["aula/c.img"]);
    ensure!(fs::read(&to)? == fs::read(&from)?);
    full.mount.unmount()
}

/// What somebody reads gives nothing back, whether or not it has a lease.
#[test]
fn loop_regression_what_is_open_elsewhere_is_not_counted_on() -> Result<()> {
    if !programs() {
        return Ok(());
    }
    let full = Full::make()?;
    let new = full.source("new.img", 20)?;
    let image = full.root().join("new.img");
    let reader = Stored::open(&full.root().join("b.img"))?;
    let said = update(&image, &new, &["--yes"])?;
    let rows = &said.plan()["rows"];
    assert_eq!(paths(&rows["evicts"]), ["aula/c.img", "d.img"]);
    assert_eq!(rows["older"][1]["why"], "in-use", "{rows}");
    assert_eq!(paths(&said.done()?["evicted"]), ["aula/c.img", "d.img"]);
    drop(reader);
    ensure!(full.left()?.contains(&"b.img".to_owned()));
    full.mount.unmount()
}

/// Who agrees to a plan agrees to what it names, whatever comes into use while the question stands.
#[test]
fn loop_regression_nothing_goes_that_the_plan_did_not_name() -> Result<()> {
    if !programs() || !have(&["script"]) {
        return Ok(());
    }
    let full = Full::make()?;
    let new = full.source("new.img", 20)?;
    let image = full.root().join("new.img");
    let before = full.left()?;
    let line = format!(
        "'{}' cache update '{}' --from '{}'",
        text(&program()),
        text(&image),
        text(&new)
    );
    let mut asked = Command::new("script");
    asked.args(["-qec", &line, "/dev/null"]);
    asked.env("AZUD_CACHE_FLOOR", "0").env("LC_ALL", "C");
    let mut child = asked.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut stdout = child.stdout.take().context("what it says")?;
    let (mut told, mut part) = (String::new(), [0; 4096]);
    while !told.contains("type its name") {
        let count = stdout.read(&mut part)?;
        ensure!(count > 0, "it did not ask: {told}");
        told.push_str(&String::from_utf8_lossy(&part[..count]));
    }
    let reader = Stored::open(&full.root().join("b.img"))?;
    let answer = format!("{}\n", full.root().display());
    child
        .stdin
        .take()
        .context("its input")?
        .write_all(answer.as_bytes())?;
    stdout.read_to_string(&mut told)?;
    ensure!(!child.wait()?.success(), "{told}");
    drop(reader);
    ensure!(told.contains("cache/no-room"), "{told}");
    ensure!(told.contains("Run the command again"), "{told}");
    assert_eq!(full.left()?, before);
    full.mount.unmount()
}

/// Moving over comes before eviction where it suffices.
#[test]
fn loop_what_can_move_evicts_nothing() -> Result<()> {
    if !programs() {
        return Ok(());
    }
    let full = Full::make()?;
    let (image, newer) = (full.root().join("g.img"), full.dir.path().join("g.img"));
    let mut bytes = Vec::new();
    for range in 0..24_u8 {
        bytes.extend(vec![100 + range; MIB]);
    }
    fs::write(&newer, &bytes)?;
    update(&image, &newer, &["--yes"])?.done()?;
    bytes[3 * MIB] = 9;
    fs::write(&newer, &bytes)?;
    // Room for what changed and for moving, not for both images.
    cache(full.root(), "evict", &["--yes", "e", "f"])?;
    let before = full.left()?;
    let free = cache(full.root(), "list", &[])?["free"].as_u64();
    let fill = usize::try_from(free.context("free")?)?.checked_sub(13 * MIB);
    fs::write(full.root().join("fill"), vec![1; fill.context("room")?])?;
    run("sync", &["-f", text(full.root())])?;
    let said = update(&image, &newer, &["--yes"])?;
    let done = said.done()?;
    assert_eq!(done["way"], "move", "{done}");
    assert_eq!(done["evicted"], serde_json::json!([]));
    ensure!(fs::read(&image)? == bytes);
    assert_eq!(full.left()?, before);
    full.mount.unmount()
}

#[test]
fn who_is_at_work_is_heeded() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path();
    let image = foreign(root, "aula/x.img", 1, MIB)?;
    cache(root, "pin", &["aula/x"])?;
    cache(root, "unpin", &["aula/x"])?;
    let lease = Cache::open(root)?.lease(Path::new("aula/x.img"), SystemTime::now())?;
    assert_eq!(
        refusal(root, "evict", &["--yes", "aula/x"])?,
        "cache/in-use"
    );
    assert_eq!(refused(&["image", "rm", text(&image)])?, "cache/in-use");
    assert_eq!(
        refused(&["image", "rollback", text(&image)])?,
        "cache/in-use"
    );
    drop(lease);
    // Another tool's lock.
    let lock = root.join("aula/x.img.lock");
    fs::write(&lock, "")?;
    assert_eq!(listed(root, "aula/x.img")?["stays"], "in-use");
    assert_eq!(
        refusal(root, "evict", &["--yes", "aula/x"])?,
        "cache/in-use"
    );
    fs::remove_file(&lock)?;
    crate::kit::done(&["image", "rm", text(&image)])?;
    ensure!(!image.exists());
    assert_eq!(names(&root.join(".azud-cache/leases"))?, [""; 0]);
    Ok(())
}

#[test]
fn an_update_is_of_use_and_keeps_its_image_meanwhile() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let root = &dir.path().join("cache");
    let image = foreign(root, "x.img", 1, MIB)?;
    cache(root, "pin", &["x"])?;
    cache(root, "unpin", &["x"])?;
    // The same once more: nothing to do but to note it.
    let same = foreign(dir.path(), "same/x.img", 1, MIB)?;
    update(&image, &same, &[])?.done()?;
    used_at(&image, 0)?;
    update(&image, &same, &[])?.done()?;
    let used = listed(root, "x.img")?["last_used"].clone();
    ensure!(!used.to_string().contains("2020"), "{used}");

    let new = foreign(dir.path(), "new/x.img", 2, 64 * MIB)?;
    let args = ["cache", "update", text(&image), "--from", text(&new)];
    let mut child = command(&args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let pid = child.id().to_string();
    let leases = root.join(".azud-cache/leases");
    while names(&leases)?.is_empty() && child.try_wait()?.is_none() {
        std::thread::sleep(Duration::from_micros(100));
    }
    stop(&mut child, root)?;
    let held = !names(&leases)?.is_empty();
    let code = refusal(root, "evict", &["--yes", "x"]);
    sh(r#"kill -CONT "$1""#, &[&pid])?;
    ensure!(child.wait()?.success(), "the update failed");
    ensure!(held, "it ended before anybody looked");
    assert_eq!(code?, "cache/in-use");
    ensure!(fs::read(&image)? == fs::read(&new)?);
    cache(root, "evict", &["--yes", "x"])?;
    Ok(())
}

#[test]
fn a_budget_is_kept() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let root = &dir.path().join("cache");
    for (number, path) in ["old.img", "mid.img", "new.img"].into_iter().enumerate() {
        let image = foreign(root, path, u8::try_from(number)?, MIB)?;
        used_at(&image, number as u64)?;
    }
    cache(root, "pin", &["old"])?;
    let from = foreign(dir.path(), "more.img", 9, MIB)?;
    let image = root.join("more.img");
    let run = |budget: &str| {
        let args = ["cache", "update", text(&image), "--from", text(&from)];
        let mut command = command(&[&args[..], &["--yes"]].concat());
        Said::of(&command.env("AZUD_CACHE_BUDGET", budget).output()?)
    };
    assert_eq!(run("1M")?.refused()?, "cache/no-room");
    assert_eq!(paths(&run("5M")?.done()?["evicted"]), ["mid.img"]);
    Ok(())
}

/// The bytes of an image whose eviction was cut short are on no list; they are room all the same.
#[test]
fn loop_regression_a_half_evicted_image_is_not_paid_for_twice() -> Result<()> {
    if !programs() {
        return Ok(());
    }
    let full = Full::make()?;
    let new = full.source("new.img", 20)?;
    let image = full.root().join("aula/new.img");
    let evicts = || {
        let plan = update(&image, &new, &["--dry-run"])?;
        plan.done()?;
        anyhow::Ok(paths(&plan.plan()["rows"]["evicts"]).join(" "))
    };
    ensure!(evicts()? == "b.img aula/c.img", "{}", evicts()?);
    let evicting = full.root().join(".azud-cache/evicting");
    fs::create_dir_all(&evicting)?;
    fs::rename(full.root().join("b.img"), evicting.join("b"))?;
    ensure!(evicts()? == "aula/c.img", "{}", evicts()?);
    update(&image, &new, &["--yes"])?.done()?;
    let left = full.left()?;
    ensure!(
        left == ["a.img", "aula/new.img", "d.img", "e.img", "f.img"],
        "{left:?}"
    );
    Ok(())
}

#[test]
fn loop_a_killed_update_that_evicts_leaves_whole_images() -> Result<()> {
    if !programs() {
        return Ok(());
    }
    // Moments are counted from the first eviction on.
    let mut kills = Kills::of(Duration::from_millis(200), 47);
    while let Some((_, moment)) = kills.next() {
        let full = Full::make()?;
        let new = full.source("new.img", 20)?;
        let image = full.root().join("aula/new.img");
        let args = [
            "cache",
            "update",
            text(&image),
            "--from",
            text(&new),
            "--yes",
        ];
        let mut child = command(&args)
            .env("AZUD_CACHE_FLOOR", "0")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        // Once the first has gone, and a moment more.
        let first = full.root().join("b.img");
        while first.exists() && child.try_wait()?.is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(moment);
        child.kill()?;
        let killed = child.wait()?.code().is_none();
        kills.note(killed, killed && !image.exists());
        let case = || kills.case();
        cache(full.root(), "verify", &[]).with_context(case)?;
        let left = full.left()?;
        ensure!(
            ["a.img", "d.img", "e.img", "f.img"]
                .iter()
                .all(|name| left.contains(&(*name).to_owned())),
            "{}: {left:?}",
            case()
        );
        update(&image, &new, &["--yes"])?
            .done()
            .with_context(case)?;
        ensure!(fs::read(&image)? == fs::read(&new)?, "{}", case());
        let left = full.left()?;
        ensure!(
            left == ["a.img", "aula/new.img", "d.img", "e.img", "f.img"],
            "{}: {left:?}",
            case()
        );
        full.mount.unmount()?;
    }
    kills.judge("came before the image was there")
}
