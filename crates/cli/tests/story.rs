//! The story of a technician, by the commands of README.md, "Places": a cache is made, filled from the manager
//! and from a USB disk, and holds, verifies, pins, evicts, repairs and restores what it was given.
//!
//! Where the README names no device, these name their own: others may be at work on this computer.

mod kit;

#[path = "cache/bench.rs"]
#[allow(dead_code, reason = "what this test needs of the bench")]
mod bench;
#[path = "mounts/room.rs"]
mod room;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{have, have_root, run, run_any};
use bench::Parted;
use kit::{Disk, ext4, picture_of, text, whole};
use room::Room;

const TOOLS: [&str; 7] = [
    "mke2fs", "losetup", "sfdisk", "partx", "blkid", "md5sum", "e2fsck",
];

/// The address of a manager whose tree is a directory here.
const MANAGER: &str = "10.99.0.1";

/// MiB of the volumes that are captured, and of the noise on them.
const SIZE: u64 = 48;
const NOISE: u64 = 24;

/// A computer: a disk with a partition for a system and the cache, a manager, a USB disk.
struct Computer {
    disk: Parted,
    usb: Disk,
    room: Room,
}

impl Computer {
    /// The cache is made and mounted, the manager and the USB disk are mounted.
    fn ready() -> Result<Self> {
        let mut room = Room::new()?;
        let manager = format!("manager = \"{MANAGER}\"\n");
        fs::write(room.path("etc/azud.toml"), manager)?;
        let disk = Parted::new(&room.path(""), "disk", 500, &[])?;
        disk.table(&format!("label: gpt\\nsize={SIZE}M\\n"))?;
        let usb = Disk::blank(room.path("usb"), 300 << 20)?;
        let label = ["-q", "-F", "-t", "ext4", "-L", "tools", usb.name()];
        run("mke2fs", &label)?;
        usb.name().clone_into(&mut room.loops);
        let computer = Self { disk, usb, room };
        computer.set_up()?;
        Ok(computer)
    }

    fn set_up(&self) -> Result<()> {
        let (room, disk) = (&self.room, self.disk.name());
        let before = self.disk.entries()?;
        room.done(&["cache", "init", disk, "--size", "300M", "--yes"])?;
        let after = self.disk.entries()?;
        ensure!(after[..1] == before[..], "{before:?} became {after:?}");
        let found = room.done(&["cache", "find", disk])?;
        ensure!(found.to_string().contains(&self.disk.part(2)), "{found}");
        room.done(&["cache", "mount", disk])?;
        let status = room.done(&["cache", "status", disk])?;
        ensure!(status.to_string().contains("localhost"), "{status}");
        room.mount(MANAGER, &[])?;
        ensure!(room.state(MANAGER)? == "mounted");
        let listed = room.done(&["storage", "list"])?;
        ensure!(listed.to_string().contains(self.usb.name()), "{listed}");
        room.done(&["storage", "mount", "tools"])?;
        Ok(())
    }

    /// Where the cache has an image.
    fn cached(&self, name: &str) -> PathBuf {
        let inner = "localhost/opt/opengnsys/images";
        self.room
            .path("root")
            .join(inner)
            .join(format!("{name}.img"))
    }

    /// A volume that is captured into an image that a path or a reference names.
    fn capture(&self, image: &str) -> Result<PathBuf> {
        let count = fs::read_dir(self.room.path(""))?.count();
        let volume = self.room.path(&format!("volume{count}"));
        ext4(&volume, SIZE, NOISE)?;
        self.room.done(&["image", "create", text(&volume), image])?;
        Ok(volume)
    }

    /// Everything that the cache does for an image of a place: `PLACE:NAME`.
    fn tend(&self, place: &str, name: &str) -> Result<()> {
        let room = &self.room;
        let image = format!("{place}:{name}");
        let plan = room.said(&["cache", "update", &image, "--dry-run"])?;
        plan.done()?;
        ensure!(!self.cached(name).exists(), "a dry run wrote");
        let report = room.done(&["cache", "update", &image])?;
        ensure!(report["way"] == "copy", "{report}");
        whole(&self.cached(name))?;
        let again = room.done(&["cache", "update", &image])?;
        ensure!(again["way"] == "nothing", "{again}");
        let list = room.done(&["cache", "list"])?;
        ensure!(list.to_string().contains(&format!("{name}.img")), "{list}");
        room.done(&["cache", "verify", "--older-than", "30", "--rate", "500M"])?;
        room.done(&["image", "verify", &format!("CACHE:{name}")])?;
        room.done(&["cache", "pin", name])?;
        let (code, _) = room.refused(&["cache", "evict", name, "--yes"])?;
        ensure!(code == "cache/pinned", "{code}");
        self.mend(place, name)
    }

    /// A byte rots; only its frame is fetched again.
    fn mend(&self, place: &str, name: &str) -> Result<()> {
        let (room, image) = (&self.room, self.cached(name));
        let good = fs::read(&image)?;
        let file = File::options().write(true).open(&image)?;
        let at = good.len() / 2;
        file.write_all_at(&[good[at] ^ 1], at as u64)?;
        file.sync_all()?;
        drop(file);
        let (code, _) = room.refused(&["cache", "verify", name])?;
        ensure!(code == "image/corrupt", "{code}");
        let from = format!("{place}:");
        let told = room.done(&["cache", "repair", name, "--from", &from])?;
        ensure!(told["frames"] == 1, "{told}");
        ensure!(fs::read(&image)? == good, "other bytes");
        room.done(&["cache", "verify", name])?;
        Ok(())
    }

    /// The image is put on the partition of the system.
    fn restore(&self, name: &str, volume: &Path) -> Result<()> {
        let target = self.disk.part(1);
        let image = format!("CACHE:{name}");
        self.room
            .done(&["image", "restore", &image, &target, "--yes"])?;
        run("e2fsck", &["-fn", &target])?;
        let (restored, captured) = (
            picture_of(Path::new(&target), None, "ro")?,
            picture_of(volume, None, "ro,loop")?,
        );
        ensure!(restored == captured, "other files");
        Ok(())
    }

    /// Nothing that was mounted stays.
    fn shut_down(self) -> Result<()> {
        let room = &self.room;
        room.done(&["storage", "unmount", "tools"])?;
        room.done(&["repo", "unmount", MANAGER])?;
        room.done(&["cache", "unmount", self.disk.name()])?;
        ensure!(!room.path("root/localhost").exists(), "its place goes too");
        room.tidy()?;
        bench::check(&self.disk.part(2), "ext4")
    }
}

impl Drop for Computer {
    fn drop(&mut self) {
        // Before the disks go, whatever failed; the room takes away what else is mounted in it.
        for at in ["root/localhost", "mnt/USB-tools"] {
            let _ = run_any("umount", &["--quiet", text(&self.room.path(at))]);
        }
    }
}

fn possible() -> bool {
    have_root() && have(&TOOLS)
}

#[test]
fn loop_a_cache_is_filled_from_the_manager() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let computer = Computer::ready()?;
    let room = &computer.room;
    let volume = computer.capture(text(&room.path("images/aula1/win11.img")))?;
    computer.tend("REPO", "aula1/win11")?;
    computer.restore("aula1/win11", &volume)?;
    // It stays for what the partition runs, pinned or not.
    room.done(&["cache", "unpin", "aula1/win11"])?;
    let (code, _) = room.refused(&["cache", "evict", "aula1/win11", "--yes"])?;
    ensure!(code == "cache/last-copy", "{code}");
    room.done(&["image", "copy", "REPO:aula1/win11", "USB-tools:aula1/win11"])?;
    let listed = room.done(&["image", "list", "USB-tools:"])?;
    ensure!(listed.to_string().contains("win11.img"), "{listed}");
    computer.shut_down()
}

#[test]
fn loop_a_technician_fills_a_cache_from_a_usb_disk() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let computer = Computer::ready()?;
    let room = &computer.room;
    let on_usb = room.path("mnt/USB-tools/opt/opengnsys/images/aula1");
    fs::create_dir_all(&on_usb)?;
    let volume = computer.capture("USB-tools:aula1/win11")?;
    ensure!(on_usb.join("win11.img").exists(), "in the place for images");
    computer.tend("USB-tools", "aula1/win11")?;
    computer.restore("aula1/win11", &volume)?;
    // Back to the disk, under another name: what is there already is not read again.
    let copy = [
        "image",
        "copy",
        "CACHE:aula1/win11",
        "USB-tools:aula1/spare",
    ];
    let report = room.done(&copy)?;
    ensure!(report["from_source"] == 0, "{report}");
    whole(&on_usb.join("spare.img"))?;
    // Another image comes and goes; the first one stays.
    let other = computer.capture("USB-tools:aula1/debian")?;
    room.done(&["cache", "update", "USB-tools:aula1/debian"])?;
    let free = room.done(&["cache", "list"])?["free"].as_u64();
    let need = (free.context("free")? + (4 << 20)).to_string();
    let evict = ["cache", "evict", "--floor", "0", "--free", &need];
    room.said(&[&evict[..], &["--dry-run"]].concat())?.done()?;
    ensure!(computer.cached("aula1/debian").exists());
    room.done(&[&evict[..], &["--yes"]].concat())?;
    ensure!(!computer.cached("aula1/debian").exists());
    ensure!(computer.cached("aula1/win11").exists());
    room.done(&["cache", "update", "USB-tools:aula1/debian"])?;
    computer.restore("aula1/debian", &other)?;
    computer.shut_down()
}
