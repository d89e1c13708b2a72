//! Sticks on a USB port and a disc in a drive. `/dev/sda` to `/dev/sde` are blank sticks, each for one test;
//! `/dev/sr0` holds what `cargo xtask vm-tests` has put there.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::sh;

use crate::in_vm;
use crate::kit::{Said, text};
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
    let expected = ["aula1/señal.img", "top.img"];
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
    assert_eq!(images(&room.medium("DVD-AZUD_DISC")?), ["aula1/win.img"]);
    let tree = room.path("root/DVD-AZUD_DISC/opt/opengnsys/images");
    let file = tree.join("aula1/win.img");
    assert_eq!(fs::read_to_string(file)?, "from a disc\n");
    room.done(&["storage", "unmount", "DVD-AZUD_DISC"])?;
    room.tidy()
}

/// Pulls a stick out of its port, as far as the kernel can tell.
fn pull(name: &str) -> Result<()> {
    // The port is the directory above that of the interface: `…/usb2/2-1/2-1:1.0/host0/…/block/sda`.
    let disk = fs::canonicalize(Path::new("/sys/block").join(name))?;
    let mut above = disk.ancestors();
    let port = above
        .find(|dir| dir.join("authorized").is_file() && dir.join("remove").is_file())
        .context("the port")?;
    fs::write(port.join("remove"), "1")?;
    while Path::new("/dev").join(name).exists() {
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Waits at most ten seconds.
fn comes_true(what: &str, is: impl Fn() -> bool) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(10);
    while !is() {
        ensure!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[test]
fn vm_names_of_a_pulled_stick_go_with_the_next_name() -> Result<()> {
    if !in_vm() {
        return Ok(());
    }
    let room = Room::new()?;
    sh("mkfs.ext4 -q -F -L NAMED /dev/sdd", &[])?;
    room.done(&["storage", "mount", "named"])?;
    sh("chmod -R a+rX \"$1\"", &[text(&room.path(""))])?;
    let alias = room.path("root/USB-NAMED");
    ensure!(alias.is_symlink());
    let variables = room.done(&["env"])?["variables"].clone();
    ensure!(variables["USB"].is_string(), "{variables}");
    pull("sdd")?;
    // Whoever may not unmount is told; whoever may clears it away.
    let program = room.command(&["image", "list", "USB-NAMED:"]);
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid=12345", "--clear-groups", "--inh-caps=-all"]);
    command.arg(program.get_program()).args(program.get_args());
    room.furnish(&mut command);
    let said = Said::of(&command.output()?)?;
    ensure!(said.refused()? == "place/gone", "{}", said.last());
    ensure!(alias.is_symlink());
    let said = room.said(&["image", "list", "USB-NAMED:"])?;
    ensure!(said.refused()? == "place/not-mounted", "{}", said.last());
    ensure!(!alias.is_symlink(), "the alias goes");
    let variables = room.done(&["env"])?["variables"].clone();
    ensure!(variables["USB"].is_null(), "{variables}");
    room.tidy()
}

#[test]
fn vm_a_pulled_stick_is_withdrawn_by_who_watches() -> Result<()> {
    if !in_vm() {
        return Ok(());
    }
    let room = Room::new()?;
    sh("mkfs.ext4 -q -F -L WATCHED /dev/sde", &[])?;
    let mut watch = room.command(&["storage", "watch"]);
    let log = room.path("log");
    let watch = Running(watch.stdout(fs::File::create(&log)?).spawn()?);
    let said = |word: &str| fs::read_to_string(&log).is_ok_and(|text| text.contains(word));
    comes_true("it begins", || said("watching"))?;
    // Mounted by hand: the watcher gives it its names.
    let at = room.path("mnt/USB-WATCHED");
    let alias = room.path("root/USB-WATCHED");
    sh("mkdir \"$1\"; mount /dev/sde \"$1\"", &[text(&at)])?;
    comes_true("the alias comes", || alias.is_symlink())?;
    let user = fs::File::open(&at)?;
    pull("sde")?;
    comes_true("the alias goes", || !alias.is_symlink())?;
    comes_true("it is said", || said("{\"withdrawn\":\"USB-WATCHED\"}"))?;
    drop((user, watch));
    room.tidy()
}

/// A process that ends with its handle.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
    pull("sdc")?;
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
