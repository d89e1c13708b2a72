//! Partitions by number, as OpenGnsys counts disks, and by the disk's serial number.

use std::path::{Path, PathBuf};

use azud_core::reference::DeviceRef;
use rustix::fs::{major, minor};

use crate::error::{DiskError, Result};
use crate::facts::serial;
use crate::numbers::Numbers;
use crate::sysfs::BlockDev;

/// The path of a device that a user names. Numbers count the disks that `order` names, else all in the kernel's order.
///
/// # Errors
/// [`DiskError::NoSuchDisk`] when numbers or serial number fit nothing, [`DiskError::Ambiguous`] when two
/// disks have the serial number; those of [`Numbers::read`]. Whether a path leads anywhere is not looked at.
pub fn device_of(device: &DeviceRef, order: &[PathBuf]) -> Result<PathBuf> {
    device_in(Path::new("/sys"), device, order)
}

fn device_in(sys: &Path, device: &DeviceRef, order: &[PathBuf]) -> Result<PathBuf> {
    let missing = |reason: String| DiskError::NoSuchDisk {
        name: device.to_string(),
        reason,
    };
    let all = BlockDev::all_in(sys);
    let (disk, part) = match device {
        DeviceRef::Path(path) => return Ok(path.clone()),
        DeviceRef::Numbers { disk, part } => {
            return Numbers::among(all, order)?.node(*disk, *part);
        }
        DeviceRef::Serial {
            serial: wanted,
            part,
        } => {
            let fits = |disk: &&BlockDev| serial(disk).as_ref() == Some(wanted);
            let found: Vec<&BlockDev> = disks(&all).into_iter().filter(fits).collect();
            match found.as_slice() {
                [] => return Err(missing("no disk has that serial number".to_owned())),
                [one] => (*one, *part),
                several => {
                    let node = |disk: &&BlockDev| disk.node().display().to_string();
                    return Err(DiskError::Ambiguous {
                        name: device.to_string(),
                        nodes: several.iter().map(node).collect(),
                    });
                }
            }
        }
    };
    let of_disk = |candidate: &&BlockDev| {
        let place = candidate.partition();
        place.is_some_and(|(of, number, _)| of.dev == disk.dev && number == part)
    };
    let found = all.iter().find(of_disk);
    found
        .map(BlockDev::node)
        .ok_or_else(|| missing(format!("{} has no partition {part}", disk.node().display())))
}

/// What OpenGnsys does not count: no disks, or disks that are made of others.
const NO_DISKS: [&str; 8] = ["loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd"];

/// The disks in the order of their device numbers: 1 is the first.
pub(crate) fn disks(all: &[BlockDev]) -> Vec<&BlockDev> {
    let is_disk = |device: &&BlockDev| {
        let name = device.name();
        device.partition().is_none()
            && !NO_DISKS.iter().any(|prefix| name.starts_with(prefix))
            // Slots without a card, paths of a multipath NVMe, and the boot areas of an eMMC.
            && device.size().is_some_and(|size| size > 0)
            && device.number("hidden") != Some(1)
            && !(name.starts_with("mmcblk") && name.contains("boot"))
    };
    let mut disks: Vec<&BlockDev> = all.iter().filter(is_disk).collect();
    disks.sort_by_key(|disk| (major(disk.dev), minor(disk.dev)));
    disks
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    use azud_core::code::Code;
    use azud_core::reference::DeviceRef;

    use super::device_in;

    /// Adds a disk with partitions to a sysfs of our own.
    fn add(sys: &Path, name: &str, (dev, serial): (&str, &str), parts: &[(&str, u32, &str)]) {
        let disk = sys.join("devices/block").join(name);
        fs::create_dir_all(disk.join("device")).unwrap();
        fs::create_dir_all(sys.join("class/block")).unwrap();
        let write = |dir: &Path, file: &str, text: &str| fs::write(dir.join(file), text).unwrap();
        write(&disk, "dev", dev);
        write(
            &disk,
            "size",
            if serial == "empty" { "0\n" } else { "2048\n" },
        );
        write(&disk, "device/serial", &format!("{serial}  \n"));
        if serial == "hidden" {
            write(&disk, "hidden", "1\n");
        }
        symlink(&disk, sys.join("class/block").join(name)).unwrap();
        for (part, number, dev) in parts {
            let dir = disk.join(part);
            fs::create_dir(&dir).unwrap();
            write(&dir, "dev", dev);
            write(&dir, "partition", &number.to_string());
            write(&dir, "start", "63\n");
            symlink(&dir, sys.join("class/block").join(part)).unwrap();
        }
    }

    fn room() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let sys = dir.path();
        add(
            sys,
            "nvme0n1",
            ("259:0", "NV 1"),
            &[("nvme0n1p1", 1, "259:1"), ("nvme0n1p12", 12, "259:2")],
        );
        add(
            sys,
            "sda",
            ("8:0", "WD-1"),
            &[("sda1", 1, "8:1"), ("sda4", 4, "8:4")],
        );
        add(sys, "sdb", ("8:16", "twin"), &[("sdb1", 1, "8:17")]);
        add(sys, "sdq", ("65:0", "twin"), &[("sdq1", 1, "65:1")]);
        add(sys, "loop0", ("7:0", "x"), &[("loop0p1", 1, "259:3")]);
        add(sys, "sr0", ("11:0", "x"), &[]);
        add(sys, "sdc", ("8:32", "empty"), &[]);
        add(sys, "nvme0c0n1", ("259:9", "hidden"), &[]);
        dir
    }

    fn found(sys: &Path, text: &str) -> Result<PathBuf, (Code, String)> {
        let device = DeviceRef::parse(text).expect(text);
        device_in(sys, &device, &[]).map_err(|error| (error.code(), error.to_string()))
    }

    #[test]
    fn disks_are_counted_by_device_number() {
        let room = room();
        for (text, node) in [
            ("1:1", "/dev/sda1"),
            ("1:4", "/dev/sda4"),
            ("2:1", "/dev/sdb1"),
            ("3:1", "/dev/sdq1"),
            ("4:1", "/dev/nvme0n1p1"),
            ("4:12", "/dev/nvme0n1p12"),
            ("serial=WD-1:4", "/dev/sda4"),
            ("serial=NV 1:1", "/dev/nvme0n1p1"),
            ("/dev/any", "/dev/any"),
        ] {
            assert_eq!(found(room.path(), text), Ok(node.into()), "{text}");
        }
    }

    #[test]
    fn what_fits_nothing_or_two_is_refused() {
        let room = room();
        for (text, code, word) in [
            ("5:1", Code::NotADevice, "sda sdb sdq nvme0n1"),
            ("1:2", Code::NotADevice, "/dev/sda has no partition 2"),
            ("serial=none:1", Code::NotADevice, "no disk has"),
            ("serial=wd-1:1", Code::NotADevice, "no disk has"),
            (
                "serial=twin:1",
                Code::AmbiguousDevice,
                "/dev/sdb or /dev/sdq",
            ),
        ] {
            let (found, message) = found(room.path(), text).unwrap_err();
            assert_eq!(found, code, "{text}");
            assert!(message.contains(word), "{message}");
        }
    }
}
