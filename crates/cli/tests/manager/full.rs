//! Disks that fill up while an image comes, the manager's and a client's: told with its code, the former image stays,
//! and when there is room again the same command sends or fetches only the rest.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use azud_core::name::ImageFile;
use azud_store::assembly::Inbox;
use azud_testkit::loops::Mount;
use azud_testkit::tools::{have, have_root, run};

use crate::kit::{self, Disk, Said, text, whole};
use crate::server::{Manager, Room, refusal};
use crate::upload::tidy;
use crate::{MIB, bytes, noise, same, update};

/// Bytes of the new image, all of them new.
const SIZE: usize = 40 * MIB;
/// So many have come when the disk becomes full. Several pieces come at once, so not all before are there.
const COME: u64 = 24 << 20;
/// So many of them have to be worth something.
const WORTH: u64 = 2 << 20;

fn can() -> bool {
    have(&["mke2fs"]) && have_root()
}

/// A disk with a file system that can be filled.
struct Medium {
    mount: Mount,
    _disk: Disk,
}

impl Medium {
    fn new(room: &Room, kind: &str) -> Result<Self> {
        let disk = Disk::blank(room.dir().join("medium"), 192 << 20)?;
        run("mke2fs", &["-q", "-t", kind, "-m", "0", disk.name()])?;
        let mount = Mount::new(disk.path(), None, "")?;
        fs::create_dir(mount.path().join("aula1"))?;
        Ok(Self { mount, _disk: disk })
    }

    fn image(&self) -> PathBuf {
        self.mount.path().join("aula1/win.img")
    }

    fn filler(&self) -> PathBuf {
        self.mount.path().join("filler")
    }

    /// Takes all the room that there is.
    fn fill(&self) -> Result<()> {
        let mut file = File::create(self.filler())?;
        for len in [MIB, 1024] {
            let piece = vec![0xA5; len];
            loop {
                match file.write_all(&piece) {
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    done => done?,
                }
            }
        }
        Ok(file.sync_all()?)
    }

    fn make_room(&self) -> Result<()> {
        Ok(fs::remove_file(self.filler())?)
    }

    /// Runs a command that brings the image here, and fills the disk in the middle of it.
    fn filled_meanwhile(&self, room: &Room, args: &[&str]) -> Result<Said> {
        let mut child = begun(room, args)?;
        let pid = child.id().to_string();
        halfway(&mut child, &self.mount.path().join("aula1"), COME)?;
        run("kill", &["-STOP", &pid])?;
        let filled = self.fill();
        run("kill", &["-CONT", &pid])?;
        let said = Said::of(&child.wait_with_output()?)?;
        filled.map(|()| said)
    }
}

/// Starts a command whose words are read at its end.
pub(crate) fn begun(room: &Room, args: &[&str]) -> Result<Child> {
    let mut command = room.command(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command.spawn()?)
}

/// Waits until so many bytes of an image have come into a folder that is not whole there yet.
pub(crate) fn halfway(child: &mut Child, dir: &Path, wanted: u64) -> Result<()> {
    while_it_runs(child, || Ok(coming(dir).unwrap_or(0) >= wanted))
}

/// Waits until something is seen while a command runs, which must not end before.
pub(crate) fn while_it_runs(
    child: &mut Child,
    mut seen: impl FnMut() -> Result<bool>,
) -> Result<()> {
    while !seen()? {
        ensure!(child.try_wait()?.is_none(), "it ended before");
        sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// The length of the longest file that is being put together in a folder; what is there may go meanwhile.
fn coming(dir: &Path) -> Result<u64> {
    let mut longest = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().contains("assembly") {
            continue;
        }
        for file in fs::read_dir(entry.path())? {
            longest = longest.max(file?.metadata()?.len());
        }
    }
    Ok(longest)
}

/// Captures a volume of these bytes into an image.
fn captured(room: &Room, content: &[u8], image: &Path) -> Result<()> {
    let volume = room.dir().join("volume");
    fs::write(&volume, content)?;
    kit::done(&["image", "create", text(&volume), text(image), "--yes"]).map(drop)
}

/// A manager whose images are on the medium, which has a former version of the image; the newer one is here.
fn lab(room: &Room, medium: &Medium) -> Result<(Manager, PathBuf)> {
    captured(room, &noise(70, 8 * MIB), &medium.image())?;
    let here = room.dir().join("here.img");
    captured(room, &noise(71, SIZE), &here)?;
    let manager = room.serve_bare(&["--images", text(medium.mount.path())])?;
    room.know_as(&manager, "write")?;
    Ok((manager, here))
}

#[test]
fn loop_a_manager_whose_disk_fills_up_keeps_the_former_image_and_goes_on() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let room = Room::new()?;
    // Where no room can be set aside before.
    let medium = Medium::new(&room, "ext2")?;
    let (_manager, here) = lab(&room, &medium)?;
    let former = fs::read(medium.image())?;
    let send = ["image", "copy", text(&here), "REPO:aula1/win", "--yes"];
    let said = medium.filled_meanwhile(&room, &send)?;
    refusal(&said, "disk/no-space")?;
    let error = &said.last()["error"];
    let (message, hint) = (error["message"].to_string(), error["hint"].to_string());
    ensure!(message.contains(" aula1/win.img"), "{message}");
    ensure!(hint.contains("azud serve"), "{hint}");
    served(&room, &former)?;
    ensure!(fs::read(medium.image())? == former, "another image");
    tidy(&medium.mount.path().join("aula1"), "win.img").or_else(|error| only_what_came(&error))?;
    medium.make_room()?;
    let again = room.done(&send)?;
    let (size, sent) = (fs::metadata(&here)?.len(), bytes(&again, "sent")?);
    ensure!(sent < size - WORTH, "{sent} of {size}");
    same(&here, &medium.image())?;
    whole(&medium.image())?;
    tidy(&medium.mount.path().join("aula1"), "win.img")
}

/// Nothing is written here, so nobody is to make room here.
#[test]
fn loop_a_capture_to_a_manager_whose_disk_fills_up_says_where_room_is_to_be_made() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let room = Room::new()?;
    let medium = Medium::new(&room, "ext2")?;
    let (_manager, _) = lab(&room, &medium)?;
    let volume = room.dir().join("volume");
    let send = ["image", "create", text(&volume), "REPO:aula1/win", "--yes"];
    let said = medium.filled_meanwhile(&room, &send)?;
    refusal(&said, "disk/no-space")?;
    let hint = said.last()["error"]["hint"].to_string();
    ensure!(hint.contains("azud serve"), "{hint}");
    Ok(())
}

/// What came stays for the next time, out of sight.
fn only_what_came(error: &anyhow::Error) -> Result<()> {
    let text = format!("{error:#}");
    ensure!(
        text.contains(".azud-assembly-") && text.matches('"').count() == 2,
        "{text}"
    );
    Ok(())
}

/// The manager gives an image of these bytes, and names no other.
fn served(room: &Room, content: &[u8]) -> Result<()> {
    let to = room.dir().join("served.img");
    room.done(&["image", "copy", "REPO:aula1/win", text(&to), "--yes"])?;
    ensure!(fs::read(&to)? == content, "another image is served");
    let list = room.done(&["image", "list", "REPO:aula1"])?;
    let count = list["images"].as_array().context("a list")?.len();
    ensure!(count == 1, "{list}");
    Ok(())
}

#[test]
fn loop_room_that_was_set_aside_is_there_when_the_disk_fills_up() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let room = Room::new()?;
    let medium = Medium::new(&room, "ext4")?;
    let (_manager, here) = lab(&room, &medium)?;
    let former = fs::read(medium.image())?;
    let send = ["image", "copy", text(&here), "REPO:aula1/win", "--yes"];
    // Its bytes have their room; whether what belongs to it has, depends on the file system.
    let said = medium.filled_meanwhile(&room, &send)?;
    if said.status == Some(0) {
        said.done()?;
        served(&room, &fs::read(&here)?)?;
    } else {
        // What belongs to it is looked for in the end.
        refusal(&said, "store/no-room").or_else(|_| refusal(&said, "disk/no-space"))?;
        served(&room, &former)?;
    }
    medium.make_room()?;
    room.done(&send)?;
    same(&here, &medium.image())?;
    whole(&medium.image())?;
    tidy(&medium.mount.path().join("aula1"), "win.img")
}

#[test]
fn loop_a_cache_that_fills_up_keeps_the_former_image_and_goes_on() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let room = Room::new()?;
    let medium = Medium::new(&room, "ext2")?;
    let there = room.images().join("aula1/win.img");
    fs::create_dir(room.images().join("aula1"))?;
    captured(&room, &noise(72, 8 * MIB), &medium.image())?;
    captured(&room, &noise(73, SIZE), &there)?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let (here, former) = (medium.image(), fs::read(medium.image())?);
    let update = update(&here);
    refusal(&medium.filled_meanwhile(&room, &update)?, "disk/no-space")?;
    ensure!(fs::read(&here)? == former, "another image");
    whole(&here)?;
    medium.make_room()?;
    let again = room.done(&update)?;
    let (size, came) = (fs::metadata(&there)?.len(), bytes(&again, "from_source")?);
    ensure!(came < size - WORTH, "{came} of {size}");
    same(&there, &here)?;
    whole(&here)?;
    Ok(())
}

#[test]
fn loop_what_does_not_fit_is_refused_by_the_plan_and_makes_nothing() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let room = Room::new()?;
    let medium = Medium::new(&room, "ext4")?;
    let (_manager, here) = lab(&room, &medium)?;
    let large = room.dir().join("large");
    fs::write(&large, noise(74, 8 * MIB))?;
    medium.fill()?;
    let create = ["image", "create", text(&large), "REPO:aula3/deb"];
    let copy = ["image", "copy", text(&here), "REPO:aula3/deb"];
    for what in [create, copy] {
        for how in ["--dry-run", "--yes"] {
            let said = room.run(&[&what[..], &[how]].concat())?;
            refusal(&said, "store/no-room")?;
            let hint = said.last()["error"]["hint"].to_string();
            ensure!(
                hint.contains("azud serve") && !hint.contains("--move"),
                "{hint}"
            );
        }
    }
    ensure!(!medium.mount.path().join("aula3").exists(), "a folder");
    let mirror = medium.mount.path().join("mirror");
    let import = ["repo", "import", "REPO:", text(&mirror), "--yes"];
    refusal(&room.run(&import)?, "store/no-room")?;
    ensure!(!mirror.exists(), "a folder of an import");
    // What is there already needs none.
    let there = room.dir().join("volume.img");
    fs::copy(medium.image(), &there)?;
    let again = room.done(&["image", "copy", text(&there), "REPO:aula1/win", "--yes"])?;
    ensure!(
        again["way"] == "nothing" && bytes(&again, "sent")? == 0,
        "{again}"
    );
    tidy(&medium.mount.path().join("aula1"), "win.img")?;
    medium.make_room()?;
    room.done(&[&create[..], &["--dry-run"]].concat())?;
    ensure!(
        !medium.mount.path().join("aula3").exists(),
        "a plan made it"
    );
    room.done(&[&create[..], &["--yes"]].concat())?;
    whole(&medium.mount.path().join("aula3/deb.img")).map(drop)
}

#[test]
fn loop_what_fits_only_when_its_size_is_known_goes_by_way_of_a_file() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let room = Room::new()?;
    let medium = Medium::new(&room, "ext4")?;
    let (_manager, _) = lab(&room, &medium)?;
    let volume = room.dir().join("volume");
    fs::write(&volume, b"words that are said again ".repeat(10 * MIB))?;
    let said = room.run(&["image", "create", text(&volume), "REPO:aula3/deb", "--yes"])?;
    refusal(&said, "store/no-room")?;
    let hint = said.last()["error"]["hint"].to_string();
    ensure!(hint.contains("azud image copy"), "{hint}");
    // What the hint says is so.
    let here = room.dir().join("deb.img");
    kit::done(&["image", "create", text(&volume), text(&here), "--yes"])?;
    room.done(&["image", "copy", text(&here), "REPO:aula3/deb", "--yes"])?;
    whole(&medium.mount.path().join("aula3/deb.img")).map(drop)
}

/// Nobody has listed the images since.
#[test]
fn loop_room_that_the_killed_set_aside_is_no_reason_to_refuse() -> Result<()> {
    if !can() {
        return Ok(());
    }
    let room = Room::new()?;
    let medium = Medium::new(&room, "ext4")?;
    let (_manager, here) = lab(&room, &medium)?;
    let dir = medium.mount.path().join("aula1");
    let killed = |name: &str, bytes| -> Result<()> {
        let image = ImageFile::in_dir(&dir, name)?;
        let sender = ("a killed one", "pc7");
        // Only its manager gives back what an upload set aside.
        drop(Inbox::open(&image, bytes, sender, SystemTime::now())?);
        Ok(())
    };
    for how in ["--dry-run", "--yes"] {
        killed("dead.img", 150 << 20)?;
        room.done(&["image", "copy", text(&here), "REPO:aula3/deb", how])?;
    }
    same(&here, &medium.mount.path().join("aula3/deb.img"))?;
    tidy(&dir, "win.img")
}
