//! Links on disk, and what is mounted there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{have, have_root, run};

use crate::kit::{self, Disk, text};
use crate::{MANAGER, Machine, MountedAt, OTHER, put};

#[test]
fn links_on_disk_follow_what_is_there() -> Result<()> {
    let machine = Machine::client()?;
    let target = |name: &str| fs::read_link(machine.root.join(name)).ok();
    symlink("localhost", machine.root.join(OTHER))?;
    machine.done(&["env"])?;
    for name in ["REPO", "repo"] {
        ensure!(target(name) == Some(MANAGER.into()), "{name}");
    }
    for name in ["CACHE", "cache", "127.0.0.1", "[::1]"] {
        ensure!(target(name) == Some("localhost".into()), "{name}");
    }
    ensure!(target(OTHER).is_none(), "a stale link stays");
    fs::remove_dir_all(machine.root.join("localhost"))?;
    machine.done(&["env"])?;
    ensure!(target("CACHE").is_none() && target("REPO").is_some());
    // What is somebody's is left alone and told of.
    fs::remove_file(machine.root.join("repo"))?;
    put(&machine.root.join("repo"), "mine")?;
    let said = machine.azud(&["env"])?;
    let warned = said.lines[0]["warning"].as_str().context("a warning")?;
    ensure!(said.status == Some(0) && warned.contains("/repo is a file"));
    ensure!(fs::read_to_string(machine.root.join("repo"))? == "mine");
    Ok(())
}

#[test]
fn a_flat_root_on_the_manager_is_its_own_repository() -> Result<()> {
    let machine = Machine::new("images", "serving = true\n")?;
    put(&machine.root.join("aula1/win.img"), "x")?;
    let env = machine.done(&["env"])?;
    ensure!(fs::read_link(machine.root.join("REPO"))? == Path::new("."));
    if let Some(own) = env["variables"]["IPSERVIDOR"].as_str() {
        ensure!(
            fs::read_link(machine.root.join(own))? == Path::new("."),
            "{own}"
        );
        let own = format!("{own}:aula1");
        let images = &machine.done(&["image", "list", &own])?["images"];
        ensure!(images[0]["path"] == "win.img", "{images}");
    }
    let images = &machine.done(&["image", "list", "repo:"])?["images"];
    ensure!(images.as_array().map(Vec::len) == Some(1), "{images}");
    ensure!(machine.refused(&["image", "list", "CACHE:"])? == "place/not-mounted");
    Ok(())
}

#[test]
fn loop_a_mounted_cache_is_the_cache_and_its_empty_mount_point_is_not() -> Result<()> {
    if !have(&["mkfs.ext4", "mke2fs", "mount"]) || !have_root() {
        return Ok(());
    }
    let machine = Machine::client()?;
    let volume = machine.dir.path().join("volume");
    kit::ext4(&volume, 16, 1)?;
    let disk = Disk::blank(machine.dir.path().join("disk"), 64 << 20)?;
    run("mkfs.ext4", &["-q", "-F", disk.name()])?;
    let at = machine.root.join("localhost");
    fs::remove_dir_all(&at)?;
    let create = ["image", "create", text(&volume), "CACHE:aula1/deb"];
    {
        let _cache = MountedAt::new(disk.name(), &at)?;
        // Formatted by somebody else: the place for images is made with the first one.
        ensure!(machine.refused(&["image", "info", create[3]])? == "image/not-found");
        ensure!(!at.join("opt").exists());
        machine.done(&create)?;
        ensure!(machine.cache().join("aula1/deb.img").exists());
        let variables = machine.done(&["env"])?;
        let cache = format!("{}/", at.display());
        ensure!(variables["variables"]["CACHE"] == cache, "{variables}");
        ensure!(fs::read_link(machine.root.join("127.0.0.1"))? == Path::new("localhost"));
    }
    // What would be written now would be hidden by the next mount.
    ensure!(at.is_dir() && machine.refused(&create)? == "place/not-mounted");
    ensure!(fs::read_dir(&at)?.next().is_none());
    machine.done(&["env"])?;
    ensure!(!machine.root.join("127.0.0.1").is_symlink());
    Ok(())
}
