//! `ogMount`, `ogUnmount`, `ogRestoreImage`, `deployImage` on disks with real tables.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use azud_testkit::tools::run;

use crate::bench::{Machine, put};
use crate::devices::{Disks, mounted, ready};
use crate::kit::{done, in_mount};

/// A lock of OpenGnsys' `ogLock`; it goes with this.
struct Lock(PathBuf);

impl Lock {
    fn of(device: &str) -> Result<Self> {
        let path = PathBuf::from(format!("/var/lock/lock{}", device.replace('/', "-")));
        fs::create_dir_all("/var/lock")?;
        fs::File::create_new(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn loop_partitions_are_mounted_by_number() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let mut machine = Machine::client()?;
    let disks = Disks::new(&mut machine)?;
    let part = disks.part(1, 1);
    run("mke2fs", &["-q", "-F", "-t", "ext4", &part])?;
    let name = part.trim_start_matches("/dev/");
    let at = fs::canonicalize(machine.mnt())?.join(name);
    for call in ["ogMount", "ogMount REPO", "ogMount 1", "ogMount 1 1 /x"] {
        machine.ends(call, 1)?;
    }
    machine.ends("ogMount 1 9", 3)?;
    machine.ends("ogMount 1 3", 3)?;
    machine.ends("ogMount CDROM", 3)?;
    for locked in [&part, disks.0[0].name()] {
        let _lock = Lock::of(locked)?;
        machine.ends("ogMount 1 1", 4)?;
    }
    machine.expect("ogMount 1 1", &format!("{}\n", at.display()))?;
    machine.expect("ogMount 1 1", &format!("{}\n", at.display()))?;
    ensure!(mounted(&part)?);
    {
        let _lock = Lock::of(&part)?;
        machine.ends("ogUnmount 1 1", 4)?;
    }
    let call = format!("exec 9<{}; ogUnmount 1 1; echo $?", at.display());
    machine.expect(&call, "3\n")?;
    machine.ends("ogUnmount 1 1", 0)?;
    machine.ends("ogUnmount 1 1", 0)?;
    machine.ends("ogUnmount CDROM", 0)?;
    ensure!(!mounted(&part)?);
    done(&["cache", "init", &disks.part(2, 2), "--yes"])?;
    machine.expect(
        "test \"$(ogMount CACHE)\" = \"$(ogMountCache)\" && echo $?",
        "0\n",
    )?;
    machine.ends("ogUnmount CACHE", 0)?;
    ensure!(!mounted(&disks.part(2, 2))?);
    Ok(())
}

/// The site's program that makes a system this computer's own: it notes what it is called with.
fn configurer(machine: &Machine, status: u8) -> Result<()> {
    let program = machine.dir().join("bin/configureOs");
    let note = machine.dir().join("configured");
    fs::write(
        &program,
        format!(
            "#!/bin/sh\necho \"$@\" >>{}\nexit {status}\n",
            note.display()
        ),
    )?;
    Ok(fs::set_permissions(
        &program,
        fs::Permissions::from_mode(0o755),
    )?)
}

#[test]
fn loop_an_image_is_deployed_by_way_of_the_cache() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let mut machine = Machine::new("manager = '203.0.113.1'\n", &["203.0.113.1"])?;
    let disks = Disks::new(&mut machine)?;
    let (from, cache) = (disks.part(1, 1), disks.part(2, 2));
    run("mke2fs", &["-q", "-F", "-t", "ext4", &from])?;
    in_mount(Path::new(&from), None, "seq 9999 >\"$1/seq\"")?;
    put(&machine.repo().join("aula1/.keep"), "")?;
    machine.ends("createImage 1 1 REPO aula1/w", 0)?;
    let same = "cmp \"$(ogGetPath 1 1 /seq)\" \"$(ogGetPath 1 2 /seq)\" && echo same";
    let blank = || run("wipefs", &["-aq", &disks.part(1, 2)]);

    // Without a cache: as the site wants it.
    machine.ends("deployImage REPO aula1/w 1 2", 15)?;
    machine.ends("deployImage REPO aula1/w 1 2 MULTICAST 9000", 57)?;
    machine.ends("deployImage REPO aula1/none 1 2", 2)?;
    machine.ends("deployImage 1 2 REPO aula1/w", 1)?;
    machine.ends(
        "RESTOREPROTOCOLNOTCACHE=UNICAST deployImage REPO aula1/w 1 2",
        0,
    )?;
    machine.expect(same, "same\n")?;
    machine.run("ogUnmount 1 2")?;
    blank()?;
    let said = machine.ends("deployImage REPO aula1/w 1 2 UNICAST-DIRECT", 0)?;
    ensure!(said.contains("configureOs"), "{said}");
    machine.expect(same, "same\n")?;
    machine.run("ogUnmount 1 2")?;

    configurer(&machine, 0)?;
    done(&["cache", "init", &cache, "--yes"])?;
    blank()?;
    machine.ends("deployImage REPO aula1/w 1 2 UNICAST", 0)?;
    machine.expect(same, "same\n")?;
    ensure!(machine.cache().join("aula1/w.img").is_file(), "not cached");
    ensure!(fs::read_to_string(machine.dir().join("configured"))? == "1 2\n");
    machine.run("ogUnmount 1 2")?;

    // From the cache alone, by the function too.
    fs::remove_file(machine.repo().join("aula1/w.img"))?;
    machine.ends("deployImage REPO aula1/w 1 2", 2)?;
    blank()?;
    machine.ends("ogRestoreImage CACHE aula1/w 1 2", 0)?;
    machine.expect(same, "same\n")?;
    machine.ends("ogRestoreImage CACHE aula1/w 1 2 UNICAST", 1)?;
    machine.ends("ogRestoreImage CACHE aula1/w 1 3", 30)?;
    machine.ends("ogLockImage CACHE aula1/w.img", 0)?;
    machine.ends("ogRestoreImage CACHE aula1/w 1 2", 4)?;
    machine.ends("deployImage CACHE aula1/w 1 2", 4)?;
    machine.ends("ogUnlockImage CACHE aula1/w.img", 0)?;
    // A system that was not configured is not deployed.
    configurer(&machine, 3)?;
    let said = machine.ends("deployImage CACHE aula1/w 1 2 TORRENT", 5)?;
    ensure!(said.contains("configureOs"), "{said}");
    machine.run("ogUnmountCache")?;
    Ok(())
}
