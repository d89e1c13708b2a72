//! `kill -9` at random moments of creating and restoring leaves nothing half-made and nothing in the way.
//!
//! 10 moments each, 200 with `AZUD_SOAK`; `AZUD_SEED` repeats a run as far as time allows.

mod kit;

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{have, have_root, run};
use kit::{Disk, Random, azud, command, done, picture_of, soak, text, tidy, whole};

const KILLS: u64 = 10;
const KILLS_SOAK: u64 = 200;
/// Size of the volume and of the noise on it, in MiB.
const SIZE: u64 = 128;
const NOISE: u64 = 100;

fn kills() -> u64 {
    if soak() { KILLS_SOAK } else { KILLS }
}

/// Starts the program and kills it after `after`; whether it was still running.
fn kill_after<S: AsRef<OsStr>>(args: &[S], after: Duration) -> Result<bool> {
    let mut child = command(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    std::thread::sleep(after);
    child.kill()?;
    Ok(child.wait()?.code().is_none())
}

/// A moment in a run of this length; every third one in its last part, where things become visible.
fn moment(random: &mut Random, number: u64, run: Duration) -> Duration {
    let part = random.below(1000);
    let thousandths = if number % 3 == 2 {
        850 + part / 5
    } else {
        part
    };
    run.mul_f64(f64::from(u32::try_from(thousandths).unwrap_or(0)) / 1000.0)
}

/// A machine is not always equally fast: what one run took follows the others, so that late moments stay late.
fn corrected(time: Duration, killed: bool) -> Duration {
    time.mul_f64(if killed { 1.03 } else { 0.9 })
}

fn identity(image: &Path) -> Result<String> {
    let info = done(&["image", "info", text(image)])?;
    Ok(info["identity"].as_str().context("identity")?.to_owned())
}

#[test]
fn stress_a_killed_create_leaves_the_former_image_or_the_new_one() -> Result<()> {
    if !have(&["mke2fs", "md5sum"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let volume = dir.path().join("volume");
    kit::ext4(&volume, SIZE, NOISE)?;
    let images = dir.path().join("images");
    std::fs::create_dir(&images)?;
    let image = images.join("aula.img");
    let (volume, name) = (text(&volume), text(&image));
    let create = [
        "image",
        "create",
        volume,
        name,
        "--base",
        "none",
        "--keep-bytes",
        "0",
    ];
    done(&create)?;
    let begun = Instant::now();
    done(&create)?;
    let mut time = begun.elapsed();

    let mut random = Random::seeded(9);
    let (mut running, mut new) = (0, 0);
    for number in 0..kills() {
        let former = identity(&image)?;
        let after = moment(&mut random, number, time);
        let killed = kill_after(&create, after)?;
        running += u64::from(killed);
        time = corrected(time, killed);
        let case = || format!("kill {number} after {after:?} of {time:?}");
        // Readable at once, without any repair …
        let verified = azud(&["image", "verify", "--deep", name])?;
        verified.done().with_context(case)?;
        // … and the next who looks finishes or clears away what was begun.
        done(&["image", "list", text(&images)])?;
        let now = whole(&image).with_context(case)?;
        new += u64::from(now != former);
        ensure!(
            killed || now != former,
            "{}: it ended, but nothing is new",
            case()
        );
        tidy(&images).with_context(case)?;
        if number % 5 == 4 {
            done(&create).with_context(case)?;
            tidy(&images).with_context(case)?;
        }
    }
    println!(
        "{running} of {} were running, {new} were published",
        kills()
    );
    ensure!(running * 3 >= kills(), "hardly any kill came in time");
    done(&create)?;
    whole(&image)?;
    tidy(&images)
}

#[test]
fn loop_stress_a_killed_restore_never_looks_valid_and_goes_on() -> Result<()> {
    if !have(&["mke2fs", "e2fsck", "blkid", "b2sum"]) || !have_root() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    for volume in ["volume", "former"] {
        kit::ext4(&dir.join(volume), SIZE, NOISE)?;
    }
    let image = dir.join("aula.img");
    done(&["image", "create", text(&dir.join("volume")), text(&image)])?;
    let wanted = picture_of(&dir.join("volume"), None, "ro,loop")?;
    std::fs::copy(dir.join("former"), dir.join("target"))?;
    let target = Disk::over(dir.join("target"))?;
    let restore = ["image", "restore", text(&image), target.name(), "--yes"];
    let begun = Instant::now();
    done(&restore)?;
    let mut time = begun.elapsed();

    let mut random = Random::seeded(9);
    let (mut running, mut wiped) = (0, 0);
    for number in 0..kills() {
        kit::copy(&dir.join("former"), target.path())?;
        let former = target.hash()?;
        let after = moment(&mut random, number, time);
        let killed = kill_after(&restore, after)?;
        running += u64::from(killed);
        time = corrected(time, killed);
        let case = || format!("kill {number} after {after:?} of {time:?}");
        if target.seen()?.is_none() {
            wiped += 1;
        } else if target.hash()? != former {
            check(&target, &wanted).with_context(case)?;
        }
        let again = done(&[&restore[..], &["--changed-only", "--read-back"]].concat());
        again.with_context(case)?;
        check(&target, &wanted).with_context(case)?;
    }
    println!(
        "{running} of {} were running, {wiped} left nothing to be seen",
        kills()
    );
    ensure!(wiped * 5 >= kills(), "hardly any kill came in between");
    Ok(())
}

fn check(target: &Disk, wanted: &azud_testkit::tree::Picture) -> Result<()> {
    run("e2fsck", &["-fn", target.name()])?;
    let found = picture_of(target.path(), None, "ro")?;
    ensure!(&found == wanted, "other files than were captured");
    Ok(())
}
