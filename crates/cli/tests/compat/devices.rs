//! Names that work on partitions: on disks with real tables, which `AZUD_DISKS` counts.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use azud_testkit::loops::Loop;
use azud_testkit::tools::{have, have_root, run, run_any, sh};

use crate::bench::{Machine, put};
use crate::kit::{done, in_mount, text};

/// Two disks in the order in which they are counted; whatever is mounted of them goes with them.
pub(crate) struct Disks(pub(crate) Vec<Loop>);

const TOOLS: [&str; 8] = [
    "dash", "sfdisk", "partx", "blkid", "losetup", "mke2fs", "umount", "cmp",
];

pub(crate) fn ready() -> bool {
    have_root() && have(&TOOLS)
}

impl Disks {
    pub(crate) fn new(machine: &mut Machine) -> Result<Self> {
        let mut disks = Self(Vec::new());
        let tables = [
            "label: gpt\\nstart=1MiB,size=24MiB\\nstart=32MiB,size=24MiB\\nstart=60MiB,size=8MiB\\n",
            "label: dos\\nstart=1MiB,size=8MiB\\nstart=16MiB,size=100MiB,type=ca\\n",
        ];
        for (name, table) in ["one", "two"].iter().zip(tables) {
            let file = machine.dir().join(name);
            fs::File::create(&file)?.set_len(128 << 20)?;
            let disk = Loop::attach(&file)?;
            disks.0.push(disk);
            let name = disks.0.last().map(Loop::name).unwrap_or_default();
            let script =
                format!("printf '{table}' | sfdisk -q --no-reread --no-tell-kernel \"$1\"");
            sh(&script, &[name])?;
            run("partx", &["--update", name])?;
        }
        let names: Vec<&str> = disks.0.iter().map(Loop::name).collect();
        machine.set("AZUD_DISKS", &names.join(":"));
        Ok(disks)
    }

    pub(crate) fn part(&self, disk: usize, part: u32) -> String {
        format!("{}p{part}", self.0[disk - 1].name())
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        for disk in &self.0 {
            for part in 1..=7 {
                let _ = run_any(
                    "umount",
                    &["-A", "--quiet", &format!("{}p{part}", disk.name())],
                );
            }
            let _ = run_any("partx", &["--delete", disk.name()]);
        }
    }
}

pub(crate) fn mounted(device: &str) -> Result<bool> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    Ok(mounts
        .lines()
        .any(|line| line.starts_with(&format!("{device} "))))
}

#[test]
fn loop_the_cache_by_its_names() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let mut machine = Machine::new("manager = '203.0.113.1'\n", &["203.0.113.1"])?;
    let disks = Disks::new(&mut machine)?;
    let cache = disks.part(2, 2);
    // Found by its type, and not formatted yet.
    machine.expect("ogFindCache; ogGetCacheSize", "2 2\n102400\n")?;
    machine.ends("ogMountCache", 3)?;
    machine.ends("ogGetPath CACHE /", 15)?;
    machine.ends("ogUnmountCache", 0)?;
    done(&["cache", "init", &cache, "--yes"])?;
    machine.expect("set -- $(ogFindCache); echo \"$1-$2\"", "2-2\n")?;

    let at = machine.cache();
    let at = at.ancestors().nth(3).unwrap_or(&at).display().to_string();
    machine.expect("ogMountCache", &format!("{at}\n"))?;
    machine.expect("ogMountCache", &format!("{at}\n"))?;
    ensure!(mounted(&cache)?);
    let name = cache.trim_start_matches("/dev/");
    machine.expect(&format!("readlink \"$MNT/{name}\""), &format!("{at}\n"))?;
    machine.ends("ogUnmountCache", 0)?;
    machine.ends("ogUnmountCache", 0)?;
    ensure!(!mounted(&cache)? && !machine.mnt().join(name).is_symlink());

    // Naming it mounts it.
    machine.ends("ogMakeDir CACHE /aula1", 0)?;
    ensure!(mounted(&cache)? && machine.cache().join("aula1").is_dir());
    let err = machine
        .run(&format!("exec 9<{at}; ogUnmountCache; test $? = 3"))?
        .err;
    ensure!(err.contains("disk/busy"), "{err}");
    machine.ends("ogUnmountCache", 0)?;
    let script = "eval \"$(MountCache)\"; test -d \"$CACHE$REPOMAN/aula1\" && echo $?";
    machine.expect(script, "0\n")?;
    machine.ends("ogUnmountCache", 0)?;
    Ok(())
}

/// One number means one partition, whoever is told it.
#[test]
fn loop_numbers_mean_the_same_to_every_name() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let mut machine = Machine::new("manager = '203.0.113.1'\n", &["203.0.113.1"])?;
    let disks = Disks::new(&mut machine)?;
    let cache = disks.part(2, 2);
    machine.expect("ogFindCache", "2 2\n")?;
    let found = machine.run("azud cache find --json")?.out;
    ensure!(found.contains(&format!("\"cache\":\"{cache}\"")), "{found}");
    let plan = machine.run("azud cache init 2:2 --dry-run --json")?.out;
    ensure!(plan.contains(&format!("\"device\":\"{cache}\"")), "{plan}");
    // The other way round the same numbers are another's.
    let turned = [disks.0[1].name(), disks.0[0].name()].join(":");
    machine.set("AZUD_DISKS", &turned);
    machine.expect("ogFindCache", "1 2\n")?;
    let plan = machine.run("azud cache init 2:2 --dry-run --json")?.out;
    let other = disks.part(1, 2);
    ensure!(plan.contains(&format!("\"device\":\"{other}\"")), "{plan}");
    let said = machine.ends("azud cache init 3:1 --dry-run", 1)?;
    ensure!(said.contains("there is no disk 3 among: loop"), "{said}");
    // Of disks that are not counted none has the cache.
    machine.set("AZUD_DISKS", disks.0[0].name());
    for call in ["azud cache find", "azud cache mount --dry-run"] {
        let said = machine.ends(call, 1)?;
        ensure!(said.contains("cache/not-found"), "{call}: {said}");
    }
    Ok(())
}

#[test]
fn loop_no_cache_prints_nothing() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let mut machine = Machine::new("", &[])?;
    let disks = Disks::new(&mut machine)?;
    machine.set("AZUD_DISKS", disks.0[0].name());
    for name in [
        "ogFindCache",
        "ogGetCacheSize",
        "ogMountCache",
        "ogUnmountCache",
    ] {
        machine.ends(name, 3)?;
    }
    machine.ends("MountCache", 15)?;
    Ok(())
}

#[test]
fn loop_files_of_partitions_by_number() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let mut machine = Machine::client()?;
    let disks = Disks::new(&mut machine)?;
    let part = disks.part(1, 1);
    run("mke2fs", &["-q", "-F", "-t", "ext4", &part])?;
    in_mount(
        Path::new(&part),
        None,
        "mkdir \"$1/Users\"; echo hello >\"$1/Users/a\"",
    )?;
    let at = machine.mnt().join(part.trim_start_matches("/dev/"));
    let at = fs::canonicalize(machine.mnt())?.join(at.file_name().unwrap_or_default());
    machine.expect(
        "ogGetPath 1 1 /users/A",
        &format!("{}/Users/a\n", at.display()),
    )?;
    ensure!(mounted(&part)?);
    machine.ends("ogMakeDir 1 1 /Users/b/.c", 0)?;
    ensure!(at.join("Users/b/.c").is_dir());
    machine.expect(
        "ogCalculateFullChecksum 1 1 /Users/a",
        "b1946ac92492d2347c6235b4d2611184\n",
    )?;
    machine.ends("ogGetPath 1 9 /", 3)?;
    machine.ends("ogGetPath 3 1 /", 3)?;
    // Nothing on it that could be mounted.
    machine.ends("ogGetPath 1 3 /", 3)?;
    Ok(())
}

#[test]
fn loop_an_image_is_made_and_put_back() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let mut machine = Machine::client()?;
    let disks = Disks::new(&mut machine)?;
    let (from, to) = (disks.part(1, 1), disks.part(1, 2));
    run("mke2fs", &["-q", "-F", "-t", "ext4", &from])?;
    in_mount(Path::new(&from), None, "seq 9999 >\"$1/seq\"")?;
    put(&machine.repo().join("aula1/.keep"), "")?;
    for (call, status) in [
        ("createImage REPO aula1/w 1 1", 1),
        ("createImage 1 1 aula1/w REPO", 1),
        ("createImage 1 1 REPO ../w", 1),
        ("createImage 1 1 REPO none/w", 2),
        ("createImage 9 1 REPO aula1/w", 3),
        ("restoreImage 1 2 REPO aula1/w", 1),
        ("restoreImage REPO aula1/w 1 2", 2),
    ] {
        machine.ends(call, status)?;
    }
    ensure!(
        fs::read_dir(machine.repo().join("aula1"))?.count() == 1,
        "something was made"
    );
    // Mounted, as another name leaves it.
    machine.run("ogGetPath 1 1 /seq")?;
    machine.ends("createImage 1 1 REPO aula1/w", 0)?;
    let info = fs::read_to_string(machine.repo().join("aula1/w.img.info"))?;
    ensure!(info.starts_with("PARTCLONE:ZSTD:EXTFS:24576:"), "{info}");
    machine.ends("restoreImage REPO aula1/w 1 2 MULTICAST 9000", 57)?;
    machine.ends("restoreImage REPO aula1/w 1 3 UNICAST", 30)?;
    let said = machine.ends("restoreImage REPO aula1/w 1 2 UNICAST", 0)?;
    ensure!(said.contains(&to), "{said}");
    machine.expect(
        "cmp \"$(ogGetPath 1 1 /seq)\" \"$(ogGetPath 1 2 /seq)\" && echo same",
        "same\n",
    )?;

    // What does not hold is not restored.
    let image = machine.repo().join("aula1/w.img");
    let mut bytes = fs::read(&image)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&image, bytes)?;
    machine.ends("restoreImage REPO aula1/w 1 2", 5)?;
    fs::write(&image, "no image")?;
    machine.ends("restoreImage REPO aula1/w 1 2", 5)?;
    Ok(())
}

#[test]
fn loop_images_of_the_cache_need_no_network() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let mut machine = Machine::new("manager = '203.0.113.1'\n", &[])?;
    let disks = Disks::new(&mut machine)?;
    let from = disks.part(1, 1);
    run("mke2fs", &["-q", "-F", "-t", "ext4", &from])?;
    in_mount(Path::new(&from), None, "seq 9999 >\"$1/seq\"")?;
    done(&["cache", "init", &disks.part(2, 2), "--yes"])?;
    machine.ends("createImage 1 1 CACHE w", 0)?;
    machine.ends("ogUnmountCache", 0)?;
    // From the cache, the protocol does not matter.
    machine.ends("restoreImage CACHE w 1 2 MULTICAST", 0)?;
    machine.ends("restoreImage 127.0.0.1 w 1 2", 0)?;
    // Neither onto nor from the partition that holds the image.
    let held = machine.ends("restoreImage CACHE w 2 2", 5)?;
    ensure!(held.contains("disk/holds-source"), "{held}");
    machine.ends("createImage 2 2 CACHE v", 5)?;
    ensure!(mounted(&disks.part(2, 2))?, "unmounted under the image");
    machine.ends("ogUnmountCache", 0)?;
    Ok(())
}

#[test]
fn loop_a_repository_is_mounted_by_its_address() -> Result<()> {
    if !have_root() || !have(&["dash", "umount"]) {
        return Ok(());
    }
    let machine = Machine::new("manager = '203.0.113.1'\n", &[])?;
    let dir = machine.dir().join("server");
    put(&dir.join("aula1/w.img"), "an image")?;
    let add = format!(
        "azud repo add 203.0.113.9 --protocol file --path '{}' --yes",
        text(&dir)
    );
    machine.run(&add)?;
    for call in [
        "MountRepo",
        "MountRepo file 203.0.113.9",
        "MountRepo 203.0.113.9 ftp",
    ] {
        machine.ends(call, 1)?;
    }
    let script = "eval \"$(MountRepo 203.0.113.9)\"; cat \"$REPO_203_0_113_9$REPOMAN/aula1/w.img\"";
    machine.expect(script, "an image")?;
    // Once more is no failure.
    machine.expect(
        "eval \"$(MountRepo 203.0.113.9 file)\" && echo $IPSERVIDOR_ALT",
        "203.0.113.9\n",
    )?;
    let at = machine.dir().join("images/203.0.113.9");
    run("umount", &[text(&at)])?;
    machine.ends("MountRepo 203.0.113.8 file", 23)?;
    Ok(())
}

#[test]
fn loop_a_stick_is_mounted_by_its_id() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let mut machine = Machine::new("", &[])?;
    let file = machine.dir().join("stick");
    fs::File::create(&file)?.set_len(16 << 20)?;
    let stick = Loop::attach(&file)?;
    run(
        "mke2fs",
        &["-q", "-F", "-t", "ext4", "-L", "tools", stick.name()],
    )?;
    in_mount(stick.path(), None, "echo 'an image' >\"$1/w.img\"")?;
    machine.set("AZUD_REMOVABLE_LOOPS", stick.name());
    machine.ends("MountStorage USB-none", 2)?;
    machine.ends("MountStorage a b", 1)?;
    for call in [
        "MountStorage USB-tools",
        "MountStorage tools",
        "MountStorage",
    ] {
        let script = format!("eval \"$({call})\" && cat \"$USB$REPOMAN/w.img\"");
        machine.expect(&script, "an image\n")?;
        machine.expect("eval \"$(MountStorage USB-tools)\" && echo $?", "0\n")?;
        run("umount", &[stick.name()])?;
    }
    Ok(())
}
