//! The power goes at any write: of what `cargo xtask vm-tests` recorded of a real disk with a real file system, the disk is
//! made as it was after each flush, or a part of what came next; then it is mounted, and its image is the old or the new.
//!
//! 24 moments, all of them with `AZUD_SOAK`; `AZUD_SEED` chooses others.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what was looked at is said"
)]

mod kit;
#[path = "vm/steps.rs"]
mod steps;

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use azud_testkit::loops::{Loop, Mount};
use azud_testkit::tools::{have, have_root, run};
use azud_testkit::written::Written;
use kit::{Random, done, soak, text, tidy, whole};
use steps::{Steps, VERSIONS};

/// Moments, when not all.
const SAMPLE: usize = 24;

/// What the last mark before a moment says.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// The version that is certain.
    at_least: usize,
    /// The version that was being made.
    at_most: usize,
}

/// The moments at which something became certain, each with what is known of it, from the first mark on.
fn moments(log: &Written) -> Result<Vec<(usize, Known)>> {
    let mut moments = Vec::new();
    let mut marks = log.marks().peekable();
    let mut known = None;
    for moment in log.boundaries() {
        while let Some((_, mark)) = marks.next_if(|(at, _)| *at < moment) {
            let Some((word, version)) = mark.split_once('-').filter(|(word, _)| *word != "dm")
            else {
                continue;
            };
            let version: usize = version.parse()?;
            let begun = usize::from(word == "begin");
            known = Some(Known {
                at_least: version - begun,
                at_most: version,
            });
        }
        moments.extend(known.map(|known| (moment, known)));
    }
    let last = moments.last().context("nothing was recorded")?;
    ensure!(last.1.at_least + 1 == VERSIONS, "the recording has no end");
    Ok(moments)
}

/// A few of them, the same ones each time.
fn sample(mut moments: Vec<(usize, Known)>, random: &mut Random) -> Vec<(usize, Known)> {
    while !soak() && moments.len() > SAMPLE {
        let len = moments.len() as u64;
        let place = usize::try_from(random.below(len)).unwrap_or_default();
        moments.remove(place);
    }
    moments
}

/// What the disk is found to hold, and that the command comes to its end when it is given again.
fn look(steps: &Steps, disk: &Path, known: Known) -> Result<usize> {
    let device = Loop::attach(disk)?;
    let mount = Mount::new(device.path(), Some("ext4"), "")?;
    let image = mount.path().join("aula.img");
    let first = steps.version(&image).context("as it is found")?;
    let listed = done(&["image", "list", text(mount.path())])?;
    let seen = listed["images"].as_array().map(Vec::len);
    ensure!(seen == Some(1), "not one image: {listed}");
    let found = steps.version(&image).context("once it was listed")?;
    ensure!(
        found >= first && (known.at_least..=known.at_most).contains(&found),
        "version {first}, then {found}"
    );
    let is_moving = found < known.at_most && Steps::is_moving(known.at_most);
    if !is_moving {
        whole(&image)?;
    }
    steps.take(known.at_most, &image).context("once more")?;
    whole(&image)?;
    ensure!(steps.version(&image)? == known.at_most, "it did not go on");
    tidy(mount.path())?;
    mount.unmount()?;
    // That much of it is true: what was replayed is a file system.
    run("e2fsck", &["-fn", device.name()])?;
    Ok(found)
}

#[test]
fn loop_stress_a_disk_holds_the_old_or_the_new_after_any_write() -> Result<()> {
    let Some(log) = std::env::var_os("AZUD_WRITE_LOG") else {
        eprintln!("skipped: cargo xtask vm-tests has what is replayed");
        return Ok(());
    };
    if !have_root() || !have(&["mkfs.ext4", "e2fsck", "losetup"]) {
        return Ok(());
    }
    let log = Written::read(File::open(log)?)?;
    let size = std::env::var("AZUD_WRITE_SIZE")?.parse()?;
    let steps = Steps::new()?;
    let dir = tempfile::tempdir()?;
    let (path, copy) = (dir.path().join("certain"), dir.path().join("disk"));
    let certain = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    certain.set_len(size)?;
    let (mut random, mut before) = (Random::seeded(61), 0);
    let all = moments(&log)?;
    let ends: Vec<usize> = all.iter().map(|(moment, _)| *moment).skip(1).collect();
    let chosen = sample(all.clone(), &mut random);
    let (mut done, mut old) = (0, 0);
    for &(moment, known) in &chosen {
        log.replay(done..moment, &certain, || true)?;
        done = moment;
        run("cp", &["--sparse=always", text(&path), text(&copy)])?;
        // Every second time, of what comes before the next flush each write is there or not.
        let end = ends
            .iter()
            .copied()
            .find(|end| *end > moment)
            .unwrap_or(moment + 1)
            - 1;
        let is_torn = random.below(2) == 1;
        if is_torn {
            let disk = File::options().read(true).write(true).open(&copy)?;
            log.replay(moment..end.max(moment), &disk, || random.below(2) == 1)?;
        }
        let case = || {
            format!(
                "after {moment} of {} writes, torn: {is_torn}, {known:?}",
                log.len()
            )
        };
        let found = look(&steps, &copy, known).with_context(case)?;
        old += u64::from(found < known.at_most);
        before += 1;
    }
    println!(
        "soak: {before} moments of {}, the old image at {old}",
        all.len()
    );
    ensure!(old > 0 && old < before, "all moments were alike");
    Ok(())
}
