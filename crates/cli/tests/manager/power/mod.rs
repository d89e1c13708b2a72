//! Power cuts, by a file system that loses what was not synced: at any change, what was there before is there whole, or
//! what was to come is; what was said to be done is there; the next run comes to the end.
//!
//! 10 cuts each, 200 with `AZUD_SOAK`; `AZUD_SEED` repeats them.

mod upload;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use azud_testkit::forgetful::{Forgetful, Medium};
use azud_testkit::tools::have_root;

use crate::kit::{self, Random, Said, command, done, text, tidy, whole};
use crate::{MIB, noise};

/// Two volumes, the images of both, and what a medium holds once the first was put on it.
struct Lab {
    dir: tempfile::TempDir,
}

impl Lab {
    fn new() -> Result<Self> {
        let lab = Self {
            dir: tempfile::tempdir()?,
        };
        let mut volume = noise(41, 6 * MIB);
        for name in ["old", "new"] {
            fs::write(lab.path(name), &volume)?;
            done(&[
                "image",
                "create",
                text(&lab.path(name)),
                text(&lab.path(&format!("{name}.img"))),
            ])?;
            volume[2 * MIB..3 * MIB].reverse();
        }
        Ok(lab)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Which volume an image is of; fails unless it can be read, at once and after whoever looks into its folder next
    /// finished or cleared away what was begun.
    fn content(&self, image: &Path) -> Result<&'static str> {
        done(&["image", "verify", "--deep", text(image)])?;
        done(&["image", "list", text(image.parent().context("a folder")?)])?;
        let out = self.path("restored");
        let _ = fs::remove_file(&out);
        done(&["image", "restore", text(image), text(&out), "--yes"])?;
        let bytes = fs::read(&out)?;
        for name in ["old", "new"] {
            if fs::read(self.path(name))? == bytes {
                return Ok(name);
            }
        }
        anyhow::bail!("the image is of neither volume")
    }

    /// A lock that was taken away before the power went may be there again, if nothing was to be done since: the next
    /// writer is not kept by it, and leaves nothing.
    fn is_in_nobodys_way(&self, image: &Path) -> Result<()> {
        done(&["image", "create", text(&self.path("old")), text(image)])?;
        tidy(image.parent().context("a folder")?)
    }

    /// A medium with the first image, which was put there just before the power went.
    fn medium(&self) -> Result<Medium> {
        let mut computer = Forgetful::mount(Medium::new())?;
        let image = computer.path().join("aula.img");
        done(&["image", "create", text(&self.path("old")), text(&image)])?;
        // Nothing that was not synced is there.
        computer.cut(&mut || 0)?;
        ensure!(self.content(&image)? == "old");
        Ok(computer.medium())
    }
}

fn cuts() -> u64 {
    if kit::soak() { 200 } else { 10 }
}

/// Does something to `aula.img` on a medium, again and again, with the power going each time. `run` tells whether it is
/// said to be done; while pieces move over (`is_moving`), Azud alone reads the image.
fn cut(
    lab: &Lab,
    (seed, is_moving): (u64, bool),
    run: impl Fn(&Forgetful) -> Result<bool>,
) -> Result<()> {
    let base = lab.medium()?;
    let changes = {
        let computer = Forgetful::mount(base.clone())?;
        ensure!(run(&computer)?, "it cannot be done at all");
        computer.done()
    };
    let mut random = Random::seeded(seed);
    let mut before = 0;
    for number in 0..cuts() {
        let mut computer = Forgetful::mount(base.clone())?;
        // Every fifth time all is done; else the last steps, where things become visible, come as often as all others.
        let at = match number % 5 {
            4 => changes + 100,
            1 | 3 => changes - random.below(changes.min(40)),
            _ => random.below(changes),
        };
        computer.cut_after(at);
        let finished = run(&computer)?;
        let case = || format!("cut {number} after {at} of {changes} changes, finished: {finished}");
        computer.cut(&mut || random.next())?;
        let image = computer.path().join("aula.img");
        let there = lab.content(&image).with_context(case)?;
        // The other half of what moves is in the part that is made.
        if there == "new" || !is_moving {
            whole(&image).with_context(case)?;
        }
        ensure!(
            !finished || there == "new",
            "{}: it was said to be there",
            case()
        );
        before += u64::from(there == "old");
        ensure!(run(&computer)?, "{}: it does not go on", case());
        let there = lab.content(&image).with_context(case)?;
        ensure!(there == "new", "{}", case());
        whole(&image).with_context(case)?;
        lab.is_in_nobodys_way(&image).with_context(case)?;
    }
    ensure!(before > 0, "no cut came before the end");
    Ok(())
}

/// The same by a command of this computer.
fn cut_command(lab: &Lab, how: (u64, bool), args: impl Fn(&Path) -> Vec<String>) -> Result<()> {
    cut(lab, how, |computer| {
        let image = computer.path().join("aula.img");
        let said = Said::of(&command(&args(&image)).output()?)?;
        Ok(said.done().is_ok())
    })
}

fn strings(args: &[&str]) -> Vec<String> {
    args.iter().map(|&arg| arg.to_owned()).collect()
}

#[test]
fn stress_an_image_that_is_made_while_the_power_goes_is_the_old_or_the_new() -> Result<()> {
    if !have_root() {
        return Ok(());
    }
    let lab = Lab::new()?;
    let create = |image: &Path| strings(&["image", "create", text(&lab.path("new")), text(image)]);
    cut_command(&lab, (51, false), create)
}

#[test]
fn stress_an_image_that_is_received_while_the_power_goes_is_the_old_or_the_new() -> Result<()> {
    if !have_root() {
        return Ok(());
    }
    let lab = Lab::new()?;
    let update = |image: &Path| update(&lab, image, "never");
    cut_command(&lab, (52, false), update)
}

#[test]
fn stress_an_image_that_is_moved_while_the_power_goes_is_the_old_or_the_new() -> Result<()> {
    if !have_root() {
        return Ok(());
    }
    let lab = Lab::new()?;
    let update = |image: &Path| update(&lab, image, "always");
    cut_command(&lab, (53, true), update)
}

fn update(lab: &Lab, image: &Path, moving: &str) -> Vec<String> {
    let from = lab.path("new.img");
    strings(&[
        "cache",
        "update",
        text(image),
        "--from",
        text(&from),
        "--move",
        moving,
        "--yes",
    ])
}
