//! `azud image copy` and `azud cache update` as a technician runs them: on real pairs of images, on file
//! systems that share blocks or are nearly full, killed at random, two at a time.
//!
//! 10 kills, 200 with `AZUD_SOAK`; `AZUD_SEED` repeats a run as far as time allows.

mod kit;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use azud_testkit::loops::Mount;
use azud_testkit::tools::{have, have_root, run, sh};
use kit::{
    Disk, Kills, Random, azud, command, done, kill_after, picture_of, refused, text, tidy, whole,
};

/// Size of the volume and of the noise on it, in MiB.
const SIZE: u64 = 256;
const NOISE: u64 = 160;

/// A volume that was captured twice; in between, about 2 % of its files changed.
struct Pair {
    dir: tempfile::TempDir,
    old: PathBuf,
    new: PathBuf,
}

impl Pair {
    /// Files are written over in the volume itself, as an update does.
    fn make() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let volume = dir.path().join("volume");
        kit::ext4(&volume, SIZE, NOISE)?;
        let (old, new) = (dir.path().join("old.img"), dir.path().join("new.img"));
        done(&["image", "create", text(&volume), text(&old)])?;
        let change = r#"head -c 1M /dev/urandom > "$1.piece"
for i in 20 90 150; do printf 'rm a/noise%s\nwrite %s a/noise%s\n' $i "$1.piece" $i; done > "$1.do"
debugfs -w -f "$1.do" "$1"; e2fsck -fy "$1" || test $? -eq 1"#;
        sh(change, &[text(&volume)])?;
        let base = ["--base", text(&old)];
        done(&[&["image", "create", text(&volume), text(&new)], &base[..]].concat())?;
        Ok(Self { dir, old, new })
    }

    /// A repository that has the old image.
    fn cache(&self, dir: &Path) -> Result<PathBuf> {
        let image = dir.join("aula.img");
        fs::copy(&self.old, &image)?;
        Ok(image)
    }

    fn update<'a>(&'a self, image: &'a Path, moving: &'a str) -> [&'a str; 7] {
        let (image, new) = (text(image), text(&self.new));
        ["cache", "update", image, "--from", new, "--move", moving]
    }
}

fn programs() -> bool {
    have(&["mke2fs", "debugfs", "e2fsck", "md5sum"])
}

fn number(value: &serde_json::Value, key: &str) -> Result<u64> {
    value[key]
        .as_u64()
        .with_context(|| format!("{key}: {value}"))
}

/// Bytes of the compressed frames of the new image that the old one has none of the same content for.
fn absent(pair: &Pair) -> Result<u64> {
    let diff = done(&["image", "diff", text(&pair.old), text(&pair.new)])?;
    number(&diff["new"], "compressed")
}

#[test]
fn only_what_changed_is_read_from_the_source() -> Result<()> {
    if !programs() {
        return Ok(());
    }
    let pair = Pair::make()?;
    let absent = absent(&pair)?;
    for (moving, way) in [("never", "copy"), ("always", "move")] {
        let dir = tempfile::tempdir()?;
        let image = pair.cache(dir.path())?;
        let update = pair.update(&image, moving);
        let plan = azud(&[&update[..], &["--dry-run"]].concat())?;
        plan.done()?;
        let planned = number(&plan.plan()["rows"], "from_source")?;
        ensure!(fs::read(&image)? == fs::read(&pair.old)?, "a dry run wrote");
        let report = done(&update)?;
        let read = number(&report, "from_source")?;
        println!(
            "{moving}: {read} bytes from the source, {absent} absent by content, {} from here",
            number(&report, "from_here")?
        );
        ensure!(report["way"] == way, "{report}");
        ensure!(
            read == planned && read * 10 <= absent * 11,
            "{read} of {absent}"
        );
        ensure!(fs::read(&image)? == fs::read(&pair.new)?, "another file");
        whole(&image)?;
        tidy(dir.path())?;
        let again = done(&update)?;
        ensure!(again["way"] == "nothing", "{again}");
    }
    Ok(())
}

#[test]
fn a_copy_is_like_its_source_and_lies_are_told() -> Result<()> {
    if !programs() {
        return Ok(());
    }
    let pair = Pair::make()?;
    let dir = tempfile::tempdir()?;
    let copy = |from: &str| azud(&["image", "copy", from, text(dir.path())]);
    // The name without its extension, as everywhere.
    copy(text(&pair.old.with_extension("")))?.done()?;
    whole(&dir.path().join("old.img"))?;
    let info = |path: &Path| fs::read_to_string(path.with_extension("img.info"));
    ensure!(info(&dir.path().join("old.img"))? == info(&pair.old)?);
    fs::write(
        pair.dir.path().join("new.img.info"),
        "NTFSCLONE:LZOP:NTFS:1:x\n",
    )?;
    fs::write(pair.dir.path().join("new.img.full.sum"), "0".repeat(32))?;
    let said = copy(text(&pair.new))?;
    said.done()?;
    let warned = said
        .lines
        .iter()
        .any(|line| line.to_string().contains("full.sum"));
    ensure!(warned, "{:?}", said.lines);
    whole(&dir.path().join("new.img"))?;
    // A damaged source: told, and nothing is there.
    let mut bytes = fs::read(&pair.new)?;
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    let bad = pair.dir.path().join("bad.img");
    fs::write(&bad, bytes)?;
    let empty = tempfile::tempdir()?;
    let said = azud(&["image", "copy", text(&bad), text(empty.path())])?;
    ensure!(said.refused()? == "image/corrupt", "{}", said.last());
    ensure!(!empty.path().join("bad.img").exists());
    // What has come is of use, and where it is is said.
    let begun = kit::names(empty.path())?;
    let begun = begun
        .iter()
        .find(|name| name.starts_with(".azud-assembly-"));
    let begun = empty.path().join(begun.context("what has come")?);
    let hint = said.last()["error"]["hint"].to_string();
    ensure!(hint.contains(text(&begun)), "{hint}");
    Ok(())
}

#[test]
fn stress_a_killed_update_leaves_an_image_and_goes_on() -> Result<()> {
    if !programs() {
        return Ok(());
    }
    let pair = Pair::make()?;
    let identity = |image: &Path| -> Result<String> {
        let info = done(&["image", "info", text(image)])?;
        Ok(info["identity"].as_str().context("identity")?.to_owned())
    };
    let known = [identity(&pair.old)?, identity(&pair.new)?];
    let mut kills = Kills::of(measured(&pair)?, 14);
    let mut halves = 0;
    while let Some((number, after)) = kills.next() {
        let dir = tempfile::tempdir()?;
        let image = pair.cache(dir.path())?;
        let moving = if number % 2 == 0 { "always" } else { "never" };
        let update = pair.update(&image, moving);
        let killed = kill_after(&update, after)?;
        kills.note(killed, killed);
        let case = || kills.case();
        // By its name, as any command reads it.
        halves +=
            u64::from(fs::read(&image)? != fs::read(&pair.old)? && identity(&image)? == known[0]);
        azud(&["image", "verify", "--deep", text(&image)])?
            .done()
            .with_context(case)?;
        done(&["image", "list", text(dir.path())])?;
        ensure!(known.contains(&identity(&image)?), "{}", case());
        done(&update).with_context(case)?;
        ensure!(whole(&image).with_context(case)? == known[1], "{}", case());
        tidy(dir.path()).with_context(case)?;
    }
    println!("{halves} left a half moved image");
    kills.judge("were running")
}

/// How long an update takes.
fn measured(pair: &Pair) -> Result<Duration> {
    let dir = tempfile::tempdir()?;
    let image = pair.cache(dir.path())?;
    let update = pair.update(&image, "always");
    let begun = Instant::now();
    done(&update)?;
    Ok(begun.elapsed())
}

#[test]
fn of_two_updates_one_wins_and_none_breaks() -> Result<()> {
    if !programs() {
        return Ok(());
    }
    let pair = Pair::make()?;
    for moving in ["always", "never"] {
        let dir = tempfile::tempdir()?;
        let image = pair.cache(dir.path())?;
        let update = pair.update(&image, moving);
        let start = || {
            command(&update)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
        };
        let (one, other) = (start()?, start()?);
        let mut won = 0;
        for output in [one.wait_with_output()?, other.wait_with_output()?] {
            let said = String::from_utf8(output.stdout)?;
            won += u64::from(output.status.success());
            let told = said.contains("image/locked");
            ensure!(output.status.success() || told, "{said}");
        }
        ensure!(won >= 1, "nobody won");
        whole(&image)?;
        ensure!(fs::read(&image)? == fs::read(&pair.new)?);
        tidy(dir.path())?;
    }
    Ok(())
}

/// A file system on a loop device, with an image file of so many MiB behind it.
fn mounted(dir: &Path, mib: u64, make: &[&str]) -> Result<(Disk, Mount)> {
    let disk = Disk::blank(dir.join("disk"), mib << 20)?;
    let (program, options) = make.split_first().context("a program")?;
    run(program, &[options, &[disk.name()]].concat())?;
    let mount = Mount::new(disk.path(), None, "")?;
    Ok((disk, mount))
}

fn used(mount: &Mount) -> Result<u64> {
    run("sync", &["-f", text(mount.path())])?;
    let output = run("df", &["--output=used", "-B1", text(mount.path())])?;
    let said = String::from_utf8(output.stdout)?;
    said.lines()
        .nth(1)
        .context("df")?
        .trim()
        .parse()
        .context("df")
}

#[test]
fn loop_xfs_shares_blocks_instead_of_copying() -> Result<()> {
    if !programs() || !have(&["mkfs.xfs"]) || !have_root() {
        return Ok(());
    }
    let pair = Pair::make()?;
    let work = tempfile::tempdir()?;
    let (_disk, mount) = mounted(work.path(), 700, &["mkfs.xfs", "-q", "-m", "reflink=1"])?;
    // Frames share blocks where both files have them at the same place within a block: always in a copy
    // of an image that is here under another name, hardly ever after its first change.
    let image = pair.cache(mount.path())?;
    let update = pair.update(&image, "never");
    done(&update)?;
    let second = mount.path().join("second.img");
    let before = used(&mount)?;
    let report = done(&["image", "copy", text(&pair.new), text(&second)])?;
    let grown = used(&mount)? - before;
    let shared = number(&report, "from_here")?;
    println!("{grown} bytes more in use for {shared} that were there");
    ensure!(number(&report, "from_source")? == 0, "{report}");
    ensure!(grown < shared / 20, "{grown} bytes more in use");
    ensure!(fs::read(&second)? == fs::read(&pair.new)?);
    // Ranges of foreign images keep their places.
    let (from, foreign) = (work.path().join("raw.dsk"), mount.path().join("raw.dsk"));
    let script = r#"head -c 64M /dev/urandom > "$1"; echo 'size=2M,type=83' | sfdisk -q "$1""#;
    sh(script, &[text(&from)])?;
    let copy = ["image", "copy", text(&from), text(&foreign)];
    done(&copy)?;
    sh(
        r#"printf x | dd of="$1" bs=1M seek=9 conv=notrunc status=none"#,
        &[text(&from)],
    )?;
    let before = used(&mount)?;
    let report = done(&copy)?;
    let grown = used(&mount)? - before;
    ensure!(number(&report, "from_source")? == 1 << 20, "{report}");
    ensure!(grown < 4 << 20, "{grown} bytes more in use");
    ensure!(fs::read(&foreign)? == fs::read(&from)?);
    Ok(())
}

/// The room that an update of this way asks for, in bytes.
fn room_needed(pair: &Pair, image: &Path, moving: &str) -> Result<u64> {
    let plan = azud(&[&pair.update(image, moving)[..], &["--dry-run"]].concat())?;
    plan.done()?;
    number(&plan.plan()["rows"], "room_needed")
}

/// Fills the file system until there is room for an update that moves and none for one that copies. How much
/// each takes depends on where the edges of frames fell, so it is asked, not assumed.
fn leave_room_for_moving_only(pair: &Pair, image: &Path, mount: &Mount) -> Result<()> {
    let copy = room_needed(pair, image, "never")?;
    let moving = room_needed(pair, image, "always")?;
    ensure!(copy > 2 * moving, "copying takes {copy}, moving {moving}");
    let rest = u64::midpoint(copy, moving);
    sh(
        r#"fallocate -l $(($(df --output=avail -B1 "$1" | tail -n 1) - $2)) "$1/filled""#,
        &[text(mount.path()), &rest.to_string()],
    )?;
    Ok(())
}

/// Refused for want of room; that parts may move over is advised where it helps.
fn no_room(args: &[&str], can_move: bool) -> Result<()> {
    let said = azud(args)?;
    ensure!(said.refused()? == "store/no-room", "{}", said.last());
    let hint = said.last()["error"]["hint"].to_string();
    ensure!(hint.contains("--move") == can_move, "{hint}");
    Ok(())
}

#[test]
fn loop_ext4_with_little_room_moves() -> Result<()> {
    if !programs() || !have_root() {
        return Ok(());
    }
    let pair = Pair::make()?;
    let work = tempfile::tempdir()?;
    let size = fs::metadata(&pair.old)?.len() >> 20;
    let make = [
        "mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-N", "64", "-J", "size=4",
    ];
    let (disk, mount) = mounted(work.path(), size * 5 / 2, &make)?;
    let image = pair.cache(mount.path())?;
    leave_room_for_moving_only(&pair, &image, &mount)?;
    no_room(&pair.update(&image, "never"), true)?;
    ensure!(
        fs::read(&image)? == fs::read(&pair.old)?,
        "something was written"
    );
    let report = done(&pair.update(&image, "auto"))?;
    ensure!(report["way"] == "move", "{report}");
    whole(&image)?;
    tidy_but_lost_and_found(mount.path())?;
    // No room even for what changed.
    let room = azud_testkit::tools::run_any(
        "sh",
        &[
            "-c",
            &format!("dd if=/dev/zero of={}/fill bs=1M", text(mount.path())),
        ],
    );
    room?;
    done(&[
        "image",
        "create",
        text(&pair.dir.path().join("volume")),
        text(&pair.new),
        "--base",
        "none",
        "--level",
        "1",
    ])?;
    no_room(&pair.update(&image, "auto"), false)?;
    whole(&image)?;
    drop(mount);
    // And where nothing can be written at all.
    let mount = Mount::new(disk.path(), None, "ro")?;
    let image = mount.path().join("aula.img");
    fs::rename(&pair.old, &pair.new)?;
    let code = refused(&pair.update(&image, "auto"))?;
    ensure!(
        code == "store/no-room" || code == "disk/read-only",
        "{code}"
    );
    done(&["image", "verify", "--deep", text(&image)])?;
    Ok(())
}

fn tidy_but_lost_and_found(dir: &Path) -> Result<()> {
    fs::remove_dir(dir.join("lost+found"))?;
    fs::remove_file(dir.join("filled"))?;
    tidy(dir)
}

/// The old image restores from its name while its frames are in two files.
#[test]
fn loop_a_half_moved_image_restores() -> Result<()> {
    if !programs() || !have_root() {
        return Ok(());
    }
    let pair = Pair::make()?;
    let work = tempfile::tempdir()?;
    let target = Disk::blank(work.path().join("target"), SIZE << 20)?;
    let restore = |image: &Path| done(&["image", "restore", text(image), target.name(), "--yes"]);
    restore(&pair.old)?;
    let wanted = picture_of(target.path(), None, "ro")?;
    let mut random = Random::seeded(9);
    let (mut wait, mut over) = (0, 0);
    for _ in 0..400 {
        wait += 1;
        let dir = tempfile::tempdir()?;
        let image = pair.cache(dir.path())?;
        kill_after(
            &pair.update(&image, "always"),
            Duration::from_millis(wait * 5),
        )?;
        let identity = done(&["image", "info", text(&image)])?["identity"].clone();
        let old = done(&["image", "info", text(&pair.old)])?["identity"].clone();
        if fs::read(&image)? == fs::read(&pair.old)? {
            continue;
        }
        if identity != old {
            // It was over already: from now on it is killed at other moments.
            over += 1;
            ensure!(over < 20, "no kill came while it moved");
            wait = random.below(wait).max(1);
            continue;
        }
        target_of_zeros(&target)?;
        restore(&image)?;
        ensure!(
            picture_of(target.path(), None, "ro")? == wanted,
            "other files"
        );
        let code = refused(&["image", "rm", text(&image)])?;
        ensure!(code == "store/half-moved", "{code}");
        return Ok(());
    }
    anyhow::bail!("nothing ever moved")
}

fn target_of_zeros(target: &Disk) -> Result<()> {
    run("blkdiscard", &["-z", target.name()]).map(drop)
}
