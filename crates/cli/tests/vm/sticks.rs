//! Sticks on a USB port and a disc in a drive. `/dev/sda` to `/dev/sdc` are blank sticks, `/dev/sr0` holds what
//! `cargo xtask vm-tests` has put there.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use azud_testkit::tools::sh;

use crate::in_vm;
use crate::kit::text;
use crate::room::{Room, images, target};

/// Mounts a stick, fills it through its alias, finds the images, unmounts, mounts again.
fn there_and_back(room: &Room, name: &str) -> Result<()> {
    let id = name.trim_start_matches("USB-");
    room.done(&["storage", "mount", id])?;
    let alias = room.path("root").join(name);
    let at = room.path("mnt").join(name);
    ensure!(target(&alias).as_deref() == Some(at.as_path()), "the alias");
    let tree = alias.join("opt/opengnsys/images/aula1");
    fs::create_dir_all(&tree)?;
    fs::write(tree.join("señal.img"), vec![7; 100_000])?;
    fs::write(alias.join("top.img"), "x")?;
    room.done(&["storage", "unmount", name])?;
    room.tidy()?;
    room.done(&["storage", "mount", id, "--read-only"])?;
    let medium = room.medium(name)?;
    let expected = ["opt/opengnsys/images/aula1/señal.img", "top.img"];
    ensure!(images(&medium) == expected, "{medium}");
    ensure!(fs::write(alias.join("more"), "x").is_err(), "--read-only");
    ensure!(fs::read(tree.join("señal.img"))? == vec![7; 100_000]);
    room.done(&["storage", "unmount", name])?;
    room.tidy()
}

#[test]
fn vm_a_fat_stick_without_partitions() -> Result<()> {
    if !in_vm() {
        return Ok(());
    }
    sh("mkfs.vfat -n TOOLS /dev/sda", &[])?;
    there_and_back(&Room::new()?, "USB-TOOLS")
}

#[test]
fn vm_an_exfat_stick_with_a_partition() -> Result<()> {
    if !in_vm() {
        return Ok(());
    }
    let script = "echo ',,7' | sfdisk -q /dev/sdb
        until [ -b /dev/sdb1 ]; do sleep 0.1; done; mkfs.exfat -L Llave /dev/sdb1";
    sh(script, &[])?;
    there_and_back(&Room::new()?, "USB-Llave")
}

#[test]
fn vm_a_disc_in_a_drive() -> Result<()> {
    if !in_vm() {
        return Ok(());
    }
    let room = Room::new()?;
    let told = room.done(&["storage", "mount", "DVD-AZUD_DISC"])?;
    assert_eq!(told["mounted"][0]["read_only"], true);
    let image = "opt/opengnsys/images/aula1/win.img";
    assert_eq!(images(&room.medium("DVD-AZUD_DISC")?), [image]);
    let file = room.path("root/DVD-AZUD_DISC").join(image);
    assert_eq!(fs::read_to_string(file)?, "from a disc\n");
    room.done(&["storage", "unmount", "DVD-AZUD_DISC"])?;
    room.tidy()
}

#[test]
fn vm_a_stick_that_is_pulled_while_mounted() -> Result<()> {
    if !in_vm() {
        return Ok(());
    }
    let room = Room::new()?;
    sh("mkfs.ext4 -q -F -L PULLED /dev/sdc", &[])?;
    room.done(&["storage", "mount", "pulled"])?;
    let at = room.path("mnt/USB-PULLED");
    // Somebody still uses it: no reason to keep a dead mount.
    let user = fs::File::open(&at)?;
    fs::write("/sys/block/sdc/device/delete", "1")?;
    while Path::new("/dev/sdc").exists() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let said = room.said(&["storage", "list"])?;
    let listed = said.done()?;
    assert_eq!(listed["gone"][0], "USB-PULLED");
    assert!(
        said.lines[0]["warning"]
            .as_str()
            .is_some_and(|it| it.contains("USB-PULLED"))
    );
    assert!(!fs::read_to_string("/proc/mounts")?.contains(text(&at)));
    room.tidy()?;
    drop(user);
    assert_eq!(
        room.done(&["storage", "list"])?["gone"]
            .as_array()
            .map(Vec::len),
        Some(0)
    );
    Ok(())
}
