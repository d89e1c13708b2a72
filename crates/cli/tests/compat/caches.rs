//! Making and removing the cache by OpenGnsys' names, on disks with real tables.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::bench::{Machine, put};
use crate::devices::{Disks, mounted, ready};

#[test]
fn loop_caches_are_made_and_removed() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let mut machine = Machine::new("manager = '203.0.113.1'\n", &["203.0.113.1"])?;
    let disks = Disks::new(&mut machine)?;
    // The cache's disk has no third partition.
    machine.ends("ogGetCacheSpace", 3)?;
    machine.ends("ogDeleteCache", 0)?;
    ensure!(!Path::new(&disks.part(2, 2)).exists() && Path::new(&disks.part(2, 1)).exists());
    for name in ["ogFindCache", "ogDeleteCache", "ogFormatCache"] {
        machine.ends(name, 3)?;
    }
    for (call, status) in [
        ("ogCreateCache", 1),
        ("ogCreateCache 0", 1),
        ("ogCreateCache 1 51200 4", 1),
        ("ogCreateCache 1 900000", 1),
        ("ogCreateCache 1 2 51200", 1),
        ("ogCreateCache 9 51200", 3),
        ("ogFindCache", 3),
        ("ogCreateCache 1 51200", 0),
    ] {
        machine.ends(call, status)?;
    }
    machine.expect(
        "ogFindCache; ogGetCacheSize; ogGetCacheSpace",
        "1 5\n51200\n61440\n",
    )?;
    machine.ends("ogMountCache", 3)?;
    // In a GPT another one takes its place.
    machine.ends("ogCreateCache 1 7 53248", 0)?;
    machine.expect("ogFindCache; ogGetCacheSize", "1 7\n53248\n")?;
    for part in 1..=3 {
        ensure!(Path::new(&disks.part(1, part)).exists(), "{part} has gone");
    }
    machine.ends("ogFormatCache", 0)?;
    ensure!(mounted(&disks.part(1, 7))?);
    put(&machine.cache().join("w.img"), "")?;
    let held = format!(
        "exec 9<{}; ogFormatCache; echo $?",
        machine.cache().join("w.img").display()
    );
    machine.expect(&held, "3\n")?;
    ensure!(machine.cache().join("w.img").exists(), "formatted in use");
    machine.ends("ogFormatCache", 0)?;
    ensure!(!machine.cache().join("w.img").exists());
    machine.ends("ogUnmountCache", 0)?;
    Ok(())
}

#[test]
fn loop_a_cache_of_the_wanted_size_is_kept() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let mut machine = Machine::new("manager = '203.0.113.1'\n", &["203.0.113.1"])?;
    let disks = Disks::new(&mut machine)?;
    let image = machine.cache().join("w.img");
    // Its partition is there and blank.
    machine.ends("initCache 2 2 102400", 0)?;
    put(&image, "an image")?;
    for call in [
        "initCache 2 102400",
        "initCache 0",
        "initCache 2 2 102000",
        "initCache -3",
        "initCache 1 900000",
        "initCache 1 2 51200",
    ] {
        machine.run(&format!("{call} || true"))?;
        ensure!(image.is_file(), "{call} took the cache");
    }
    machine.ends("initCache 1 900000", 1)?;
    machine.ends("ogUnmountCache; initCache 2 102400 NOMOUNT", 0)?;
    ensure!(!mounted(&disks.part(2, 2))?);
    machine.ends("initCache 2 102400", 0)?;
    ensure!(image.is_file() && mounted(&disks.part(2, 2))?);
    let held = format!(
        "exec 9<{}; initCache 2 2 61440; echo $?; initCache -1; echo $?",
        image.display()
    );
    machine.expect(&held, "3\n3\n")?;
    ensure!(image.is_file(), "removed in use");

    machine.ends("initCache 2 2 61440", 0)?;
    machine.expect("ogFindCache; ogGetCacheSize", "2 2\n61440\n")?;
    ensure!(!image.exists() && mounted(&disks.part(2, 2))?);
    let said = machine.ends("initCache 1 51200", 0)?;
    ensure!(said.contains("goes with all that it holds"), "{said}");
    machine.expect("ogFindCache", "1 5\n")?;
    ensure!(!Path::new(&disks.part(2, 2)).exists());
    for _ in 0..2 {
        machine.ends("initCache -1", 0)?;
        machine.ends("ogFindCache", 3)?;
        machine.ends("initCache 0", 0)?;
    }
    Ok(())
}
