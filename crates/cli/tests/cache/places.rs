//! Where a cache is mounted, under which names it is seen there, and its folders.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::bench::{Parted, Point, azud, done, refused};
use crate::kit::{in_mount, text};
use crate::ready;

#[test]
fn loop_a_cache_is_mounted_in_the_place_of_the_layout() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let disk = Parted::new(dir.path(), "disk", 100, &[])?;
    done(&["cache", "init", disk.name(), "--yes"])?;
    let root = dir.path().join("images");
    fs::create_dir(&root)?;
    let at = Point(root.join("localhost"));
    let here = ["--root", text(&root)];
    let mounted = done(&[&["cache", "mount", disk.name()], &here[..]].concat())?;
    ensure!(mounted["at"] == text(&at.0), "{mounted}");
    fs::write(at.0.join("opt/opengnsys/images/win.img"), "x")?;
    for name in ["CACHE", "cache"] {
        ensure!(
            root.join(name)
                .join("opt/opengnsys/images/win.img")
                .exists(),
            "{name}"
        );
    }
    let listed = done(&[&["image", "list", "CACHE:"], &here[..]].concat())?;
    ensure!(listed["images"][0]["path"] == "win.img", "{listed}");
    done(&[&["cache", "unmount", disk.name()], &here[..]].concat())?;
    ensure!(!root.join("CACHE").is_symlink(), "nothing is mounted");
    ensure!(!at.0.exists(), "no empty folder stays");

    // The same partition in the older layout: its folder is made, the other stays.
    let mnt = dir.path().join("mnt");
    let name = disk.part(1).replace("/dev/", "");
    let at = Point(mnt.join(&name));
    let mut command = crate::kit::command(&[
        "cache",
        "mount",
        disk.name(),
        "--layout",
        "eac",
        "--package",
        "lab",
        "--root",
        text(&root),
    ]);
    let said = crate::kit::Said::of(&command.env("AZUD_MNT", &mnt).output()?)?;
    ensure!(said.done()?["at"] == text(&at.0), "{}", said.last());
    ensure!(at.0.join("var/opt/lab/hdimages").is_dir());
    ensure!(at.0.join("opt/opengnsys/images/win.img").exists());
    done(&["cache", "unmount", disk.name()])?;
    Ok(())
}

#[test]
fn loop_a_planted_link_leads_nowhere() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let disk = Parted::new(dir.path(), "disk", 100, &[])?;
    done(&["cache", "init", disk.name(), "--yes"])?;
    let outside = dir.path().join("outside");
    fs::create_dir(&outside)?;
    let plant = format!("rm -r \"$1/opt\"; ln -s {} \"$1/opt\"", outside.display());
    in_mount(Path::new(&disk.part(1)), None, &plant)?;
    let at = Point(dir.path().join("at"));
    let code = refused(&["cache", "mount", disk.name(), "--at", text(&at.0)])?;
    ensure!(code == "disk/io", "{code}");
    ensure!(fs::read_dir(&outside)?.next().is_none(), "it was followed");
    ensure!(!at.0.exists(), "it stayed mounted");
    // Nor through a link to the place itself.
    symlink(&outside, &at.0)?;
    let said = azud(&["cache", "mount", disk.name(), "--at", text(&at.0)])?;
    ensure!(said.refused()? == "mount/bad-place", "{}", said.last());
    fs::remove_file(&at.0)?;
    Ok(())
}

/// Where two could be meant, nothing is chosen: whoever makes the second one is told before.
#[test]
fn loop_a_second_cache_is_told_of_by_its_plan() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let first = Parted::new(dir.path(), "first", 100, &[])?;
    done(&["cache", "init", first.name(), "--yes"])?;
    let second = Parted::new(dir.path(), "second", 200, &[])?;
    second.table("label: gpt\\nstart=1MiB,size=60MiB\\n")?;
    for device in [second.name(), &second.part(1)] {
        let said = azud(&["cache", "init", device, "--dry-run"])?;
        said.done()?;
        let warned = said.warned();
        ensure!(warned.contains(&"another-cache"), "{device}: {warned:?}");
        let plan = said.plan().to_string();
        ensure!(plan.contains(&first.part(1)), "{plan}");
    }
    // It is no other one than itself.
    let said = azud(&["cache", "init", &first.part(1), "--reformat", "--dry-run"])?;
    said.done()?;
    let warned = said.warned();
    ensure!(!warned.contains(&"another-cache"), "{warned:?}");
    Ok(())
}
