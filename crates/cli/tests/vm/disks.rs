//! Disks by number and by serial number: two on virtio, one on `NVMe`, and sticks, which count as well.

use std::fs;

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::sh;

use crate::in_vm;
use crate::kit::{Said, command, text};
use crate::room::Room;

/// Two partitions; the second holds a file system.
const PARTITIONS: &str = "for disk in vda vdb nvme0n1; do
        printf '8M,8M\\n32M,16M\\n' | sfdisk -q --label gpt /dev/$disk
    done
    for part in vda2 vdb2 nvme0n1p2; do
        until [ -b /dev/$part ]; do sleep 0.1; done
        mkfs.ext4 -q -F -L $part /dev/$part
    done";

/// What a dry run of a capture says it would read.
fn source(room: &Room, device: &str) -> Result<Said> {
    let image = room.path("x");
    let args = ["image", "create", device, text(&image), "--dry-run"];
    Said::of(&command(&args).output()?)
}

/// The number of a disk, counting as OpenGnsys does: by device number, and loop devices, discs and memory not at all.
fn number(name: &str) -> Result<usize> {
    let mut disks = Vec::new();
    for entry in fs::read_dir("/sys/block")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let counts = ["sd", "vd", "nvme"]
            .iter()
            .any(|kind| name.starts_with(kind));
        let dev = fs::read_to_string(format!("/sys/block/{name}/dev"))?;
        let (major, minor) = dev.trim().split_once(':').context("a device number")?;
        if counts {
            disks.push((major.parse::<u32>()?, minor.parse::<u32>()?, name));
        }
    }
    disks.sort();
    let found = disks.iter().position(|(.., disk)| disk == name);
    Ok(found.context("the disk")? + 1)
}

#[test]
fn vm_disks_are_found_by_number_and_by_serial_number() -> Result<()> {
    if !in_vm() {
        return Ok(());
    }
    let room = Room::new()?;
    sh(PARTITIONS, &[])?;
    // `cargo xtask vm` numbers all that it is given: five sticks, a disc, then these.
    for (disk, part, serial) in [
        ("vda", "vda2", "AZUD-6"),
        ("vdb", "vdb2", "AZUD-7"),
        ("nvme0n1", "nvme0n1p2", "AZUD-10"),
    ] {
        let by_number = format!("{}:2", number(disk)?);
        let by_serial = format!("serial={serial}:2");
        for device in [by_number, by_serial] {
            let said = source(&room, &device)?;
            let plan = said.plan().to_string();
            ensure!(
                plan.contains(&format!("/dev/{part}\"")),
                "{device}: {plan} {}",
                said.last()
            );
        }
    }
    for (device, word) in [
        ("99:1", "no disk 99"),
        ("serial=AZUD-7:9", "no partition 9"),
    ] {
        let said = source(&room, device)?;
        ensure!(said.refused()? == "disk/not-a-device");
        let message = said.last()["error"]["message"].to_string();
        ensure!(message.contains(word), "{message}");
    }
    // A whole way through a reference, written for real.
    let image = room.path("images/aula1/deb.img");
    let target = format!("{}:2", number("nvme0n1")?);
    room.done(&["image", "create", "serial=AZUD-6:2", text(&image)])?;
    room.done(&["image", "restore", text(&image), &target, "--yes"])?;
    let label = sh("blkid -p -o value -s LABEL /dev/nvme0n1p2", &[])?;
    ensure!(String::from_utf8(label.stdout)?.trim() == "vda2");
    Ok(())
}
