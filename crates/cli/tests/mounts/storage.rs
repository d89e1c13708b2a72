//! `azud storage`, on loop devices that count as sticks and discs.

use std::fs;
use std::process::Command;

use anyhow::Result;
use azud_testkit::tools::{have, have_root, run, sh};

use crate::kit::{Disk, in_mount, text};
use crate::room::{Room, images, target};

const TOOLS: [&str; 3] = ["mke2fs", "losetup", "blkid"];

/// A stick with a label and what a script puts on it.
fn stick(room: &Room, label: &str, script: &str) -> Result<Disk> {
    let count = fs::read_dir(room.path(""))?.count();
    let disk = Disk::blank(room.path(&format!("stick{count}")), 16 << 20)?;
    run(
        "mke2fs",
        &["-q", "-F", "-t", "ext4", "-L", label, disk.name()],
    )?;
    in_mount(disk.path(), None, script)?;
    Ok(disk)
}

/// A tree of images as OpenGnsys' media have it, images beside it, and much else.
const FILL: &str = "cd \"$1\"; mkdir -p opt/opengnsys/images/aula1 photos
    echo FsA0 1 >opt/opengnsys/images/aula1/win.img; echo FsA0 2 >top.img; echo 3 >photos/not-mine.img
    echo 4 >letter.txt; echo 5 >opt/opengnsys/images/aula1/win.img.sum";

#[test]
fn loop_a_stick_is_found_mounted_listed_and_unmounted() -> Result<()> {
    if !have_root() || !have(&TOOLS) {
        return Ok(());
    }
    let mut room = Room::new()?;
    let disk = stick(&room, "TOOLS", FILL)?;
    // Loop devices are no removable storage unless a test says so.
    let listed = room.done(&["storage", "list"])?;
    assert!(!listed.to_string().contains(disk.name()), "{listed}");
    room.loops = disk.name().to_owned();
    let found = room.medium("USB-TOOLS")?;
    assert_eq!(found["device"], disk.name());
    assert!(found["images"].is_null());
    room.done(&["storage", "mount", "tools", "--dry-run"])?;
    assert!(!room.path("mnt/USB-TOOLS").exists());
    let told = room.done(&["storage", "mount", "tools"])?;
    assert_eq!(room.done(&["storage", "mount", "tools"])?, told);
    let (at, link) = (room.path("mnt/USB-TOOLS"), room.path("root/USB-TOOLS"));
    assert_eq!(target(&link).as_deref(), Some(at.as_path()));
    fs::write(link.join("written"), "x")?;
    let found = room.medium("USB-TOOLS")?;
    assert_eq!(images(&found), ["aula1/win.img", "top.img"]);
    let listed = room.done(&["image", "list", "usb-tools:aula1"])?;
    assert_eq!(listed["images"][0]["path"], "win.img");
    room.done(&["storage", "unmount", "USB-TOOLS"])?;
    room.tidy()?;
    let (code, _) = room.refused(&["storage", "unmount", "USB-TOOLS"])?;
    assert_eq!(code, "mount/not-mounted");
    let (code, _) = room.refused(&["storage", "mount", "USB-other"])?;
    assert_eq!(code, "storage/no-medium");
    Ok(())
}

#[test]
fn loop_sticks_of_one_label_keep_to_their_uuids_and_all_are_mounted_at_once() -> Result<()> {
    if !have_root() || !have(&TOOLS) {
        return Ok(());
    }
    let mut room = Room::new()?;
    let (first, second) = (stick(&room, "twin", "true")?, stick(&room, "TWIN", "true")?);
    let plain = stick(&room, "plain", "mkdir \"$1/a\"; echo 1 >\"$1/a/deb.dsk\"")?;
    room.loops = [first.name(), second.name(), plain.name()].join(":");
    let told = room.done(&["storage", "mount"])?;
    assert_eq!(told["mounted"].as_array().map(Vec::len), Some(3), "{told}");
    for disk in [&first, &second] {
        let uuid = sh("blkid -p -o value -s UUID \"$1\"", &[disk.name()])?;
        let uuid = String::from_utf8(uuid.stdout)?;
        let name = format!("USB-{}", uuid.trim());
        assert_eq!(room.medium(&name)?["device"], disk.name());
        // The other twin goes first; the name it is mounted under still finds it.
        room.done(&["storage", "unmount", disk.name()])?;
    }
    assert_eq!(images(&room.medium("USB-plain")?), ["a/deb.dsk"]);
    room.done(&["storage", "unmount", "plain"])?;
    Ok(())
}

#[test]
fn loop_discs_are_read_only() -> Result<()> {
    if !have_root() || !have(&TOOLS) {
        return Ok(());
    }
    let mut room = Room::new()?;
    let disk = stick(&room, "backup", FILL)?;
    room.loops = format!("dvd={}", disk.name());
    let told = room.done(&["storage", "mount", "DVD-backup"])?;
    assert_eq!(told["mounted"][0]["read_only"], true);
    assert!(fs::write(room.path("mnt/DVD-backup/x"), "x").is_err());
    room.done(&["storage", "unmount", "DVD-backup"])?;
    room.tidy()
}

#[test]
fn loop_a_stick_in_use_says_who_uses_it() -> Result<()> {
    if !have_root() || !have(&TOOLS) {
        return Ok(());
    }
    let mut room = Room::new()?;
    let disk = stick(&room, "busy", FILL)?;
    room.loops = disk.name().to_owned();
    room.done(&["storage", "mount", "busy", "--read-only"])?;
    let at = room.path("mnt/USB-busy");
    assert!(fs::write(at.join("x"), "x").is_err(), "--read-only");
    let mut user = Command::new("sleep").arg("600").current_dir(&at).spawn()?;
    let refused = room.refused(&["storage", "unmount", "busy"]);
    user.kill()?;
    user.wait()?;
    let (code, message) = refused?;
    assert_eq!(code, "disk/busy");
    assert!(
        message.contains(&format!("sleep ({})", user.id())),
        "{message}"
    );
    assert!(
        room.path("root/USB-busy").exists(),
        "the alias stays with the mount"
    );
    room.done(&["storage", "unmount", "busy"])?;
    room.tidy()
}

#[test]
fn loop_a_link_planted_on_a_stick_leads_nowhere() -> Result<()> {
    if !have_root() || !have(&TOOLS) {
        return Ok(());
    }
    let mut room = Room::new()?;
    let planted = format!(
        "cd \"$1\"; mkdir -p opt/opengnsys; ln -s '{}' opt/opengnsys/images; echo 1 >own.img; ln -s /etc/passwd p.img",
        text(&room.path("images"))
    );
    let disk = stick(&room, "evil", &planted)?;
    room.loops = disk.name().to_owned();
    // A directory of the user's in the alias' place is left alone.
    fs::create_dir(room.path("root/USB-evil"))?;
    room.done(&["storage", "mount", "evil"])?;
    assert_eq!(images(&room.medium("USB-evil")?), ["own.img"]);
    room.done(&["storage", "unmount", "evil"])?;
    assert!(room.path("root/USB-evil").is_dir());
    Ok(())
}

#[test]
fn loop_an_images_root_that_is_not_there_yet_is_made() -> Result<()> {
    if !have_root() || !have(&TOOLS) {
        return Ok(());
    }
    let mut room = Room::new()?;
    let disk = stick(&room, "first", FILL)?;
    room.loops = disk.name().to_owned();
    fs::remove_dir(room.path("root"))?;
    // Nothing is mounted: nothing is needed.
    room.done(&["env"])?;
    assert!(!room.path("root").exists());
    let said = room.said(&["storage", "mount", "first"])?;
    said.done()?;
    let warned = said.lines.iter().any(|line| line["warning"].is_string());
    assert!(!warned, "{:?}", said.lines);
    assert!(room.path("root/USB-first/top.img").exists());
    // A new machine with a stick that others have mounted.
    fs::remove_file(room.path("root/USB-first"))?;
    fs::remove_dir(room.path("root"))?;
    let variables = room.done(&["env"])?["variables"].clone();
    assert!(variables["USB"].is_string(), "{variables}");
    assert!(room.path("root/USB-first").is_symlink());
    room.done(&["storage", "unmount", "first"])?;
    room.tidy()
}

#[test]
fn loop_the_names_that_a_list_prints_find_the_images() -> Result<()> {
    if !have_root() || !have(&TOOLS) {
        return Ok(());
    }
    let mut room = Room::new()?;
    // One name twice: the tree's comes first, and is the only one that is listed.
    let fill = format!("{FILL}; echo FsA0 6 >opt/opengnsys/images/both.img; echo seven >both.img");
    let disk = stick(&room, "TOOLS", &fill)?;
    room.loops = disk.name().to_owned();
    room.done(&["storage", "mount", "tools"])?;
    let found = room.medium("USB-TOOLS")?;
    let listed = images(&found);
    assert_eq!(listed, ["aula1/win.img", "both.img", "top.img"]);
    let told = room.done(&["image", "list", "USB-TOOLS:"])?;
    assert_eq!(images(&told), listed);
    for (name, content) in [
        ("aula1/win.img", "FsA0 1\n"),
        ("both.img", "FsA0 6\n"),
        ("top.img", "FsA0 2\n"),
        ("top", "FsA0 2\n"),
        ("opt/opengnsys/images/aula1/win", "FsA0 1\n"),
    ] {
        let (from, to) = (format!("USB-TOOLS:{name}"), room.path("copy.img"));
        room.done(&["image", "copy", &from, text(&to), "--yes"])?;
        assert_eq!(fs::read_to_string(&to)?, content, "{name}");
    }
    let nowhere = room.path("nowhere.img");
    let (code, _) = room.refused(&["image", "copy", "USB-TOOLS:none", text(&nowhere)])?;
    assert_eq!(code, "image/not-found");
    // What is made goes into the tree, what is there stays where it is.
    let source = room.path("new.img");
    fs::write(&source, "FsA0 and eleven bytes")?;
    let tree = room.path("mnt/USB-TOOLS/opt/opengnsys/images");
    for name in ["new", "top"] {
        let to = format!("USB-TOOLS:{name}");
        room.done(&["image", "copy", text(&source), &to, "--yes"])?;
    }
    assert!(tree.join("new.img").exists() && !tree.join("top.img").exists());
    room.done(&["storage", "unmount", "tools"])?;
    room.tidy()
}
