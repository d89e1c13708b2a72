//! Images that go to a manager.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};

use crate::kit::{self, text, whole};
use crate::server::{Manager, Room, refusal};
use crate::sources::spoil;
use crate::{MIB, bytes, noise, same};

/// A manager, and a client that may write.
pub(crate) fn room() -> Result<(Room, Manager)> {
    let room = Room::new()?;
    let manager = room.serve()?;
    room.know_as(&manager, "write")?;
    Ok((room, manager))
}

/// A volume of these bytes.
fn volume(room: &Room, content: &[u8]) -> Result<PathBuf> {
    let path = room.dir().join("volume");
    fs::write(&path, content)?;
    Ok(path)
}

/// An image of such a volume, here.
pub(crate) fn image_of(room: &Room, content: &[u8]) -> Result<PathBuf> {
    let (from, to) = (volume(room, content)?, room.dir().join("here.img"));
    kit::done(&["image", "create", text(&from), text(&to), "--yes"])?;
    Ok(to)
}

/// Nothing but what belongs to one image.
pub(crate) fn tidy(dir: &Path, name: &str) -> Result<()> {
    let mut found = kit::names(dir)?;
    found.retain(|one| !one.starts_with(name) && !kit::is_draft(dir, one));
    found.retain(|one| ![".azud-trash", ".azud-lock", ".azud-catalogue"].contains(&one.as_str()));
    ensure!(found.is_empty(), "left behind: {found:?}");
    ensure!(!dir.join(format!("{name}.lock")).exists(), "still locked");
    Ok(())
}

#[test]
fn a_copy_sends_what_the_manager_lacks() -> Result<()> {
    let (room, _manager) = room()?;
    let mut content = noise(11, 24 * MIB);
    let here = image_of(&room, &content)?;
    let there = room.images().join("aula1/win.img");
    let copy = ["image", "copy", text(&here), "REPO:aula1/win", "--yes"];
    let first = room.done(&copy)?;
    same(&here, &there)?;
    whole(&there)?;
    let size = fs::metadata(&here)?.len();
    ensure!(bytes(&first, "sent")? > size - MIB as u64, "{first}");
    content[9 * MIB..10 * MIB].fill(7);
    image_of(&room, &content)?;
    let second = room.done(&copy)?;
    same(&here, &there)?;
    whole(&there)?;
    ensure!(bytes(&second, "sent")? < 4 * MIB as u64, "{second}");
    ensure!(second["replaced"] == true, "{second}");
    let third = room.done(&copy)?;
    ensure!(third["way"] == "nothing", "{third}");
    tidy(&room.images().join("aula1"), "win.img")?;
    let history = kit::done(&["image", "history", text(&there)])?;
    ensure!(
        history["versions"]
            .as_array()
            .is_some_and(|all| all.len() == 2),
        "{history}"
    );
    Ok(())
}

#[test]
fn a_folder_of_the_manager_gets_the_image_under_its_name() -> Result<()> {
    let (room, _manager) = room()?;
    let here = image_of(&room, &noise(23, MIB))?;
    let name = here.file_name().context("a name")?;
    room.done(&["image", "copy", text(&here), "REPO:aula1/", "--yes"])?;
    same(&here, &room.images().join("aula1").join(name))?;
    let there = format!("REPO:aula1/{}", name.display());
    let local = room.dir().join("local.img");
    room.done(&["image", "copy", &there, text(&local), "--yes"])?;
    room.done(&["image", "copy", &there, "REPO:aula2/", "--yes"])?;
    same(&here, &room.images().join("aula2").join(name))
}

#[test]
fn a_capture_goes_straight_to_the_manager() -> Result<()> {
    let (room, _manager) = room()?;
    let mut content = noise(12, 24 * MIB);
    let from = volume(&room, &content)?;
    let create = ["image", "create", text(&from), "REPO:aula1/win", "--yes"];
    let first = room.done(&create)?;
    let there = room.images().join("aula1/win.img");
    ensure!(first["identity"] == whole(&there)?.as_str(), "{first}");
    content[9 * MIB..10 * MIB].fill(7);
    fs::write(&from, &content)?;
    let second = room.done(&create)?;
    ensure!(second["identity"] == whole(&there)?.as_str(), "{second}");
    ensure!(
        bytes(&second, "sent")? < 4 * MIB as u64,
        "only the change: {second}"
    );
    ensure!(
        bytes(&second, "reused_bytes")? > 18 * MIB as u64,
        "{second}"
    );
    let back = room.dir().join("back");
    fs::write(&back, vec![0; content.len()])?;
    kit::done(&["image", "restore", text(&there), text(&back), "--yes"])?;
    ensure!(fs::read(&back)? == content, "another volume");
    tidy(&room.images().join("aula1"), "win.img")
}

/// The index is right, and the frames that it names are not.
#[test]
fn a_capture_over_an_image_that_is_damaged_there_mends_it() -> Result<()> {
    let (room, _manager) = room()?;
    let mut content = noise(13, 24 * MIB);
    let from = volume(&room, &content)?;
    let create = ["image", "create", text(&from), "REPO:aula1/win", "--yes"];
    room.done(&create)?;
    let there = room.images().join("aula1/win.img");
    spoil(&there)?;
    content[9 * MIB..10 * MIB].fill(7);
    fs::write(&from, &content)?;
    let mended = room.done(&create)?;
    ensure!(mended["identity"] == whole(&there)?.as_str(), "{mended}");
    tidy(&room.images().join("aula1"), "win.img")
}

#[test]
fn a_foreign_image_goes_by_its_ranges() -> Result<()> {
    let (room, _manager) = room()?;
    let mut content = noise(13, 5 * MIB + 77);
    // A disk by its table: one partition of 2 MiB that begins after the first.
    content[446..512].fill(0);
    content[450] = 0x83;
    content[454..458].copy_from_slice(&2048_u32.to_le_bytes());
    content[458..462].copy_from_slice(&4096_u32.to_le_bytes());
    content[510..512].copy_from_slice(&[0x55, 0xAA]);
    let here = room.dir().join("old.dsk");
    fs::write(&here, &content)?;
    fs::write(
        room.dir().join("old.dsk.info"),
        "PARTCLONE:LZOP:NTFS:5642158:pc14\n",
    )?;
    let copy = ["image", "copy", text(&here), "REPO:", "--yes"];
    room.done(&copy)?;
    let there = room.images().join("old.dsk");
    same(&here, &there)?;
    let info = fs::read_to_string(room.images().join("old.dsk.info"))?;
    ensure!(info == "PARTCLONE:LZOP:NTFS:5642158:pc14\n", "{info}");
    content[3 * MIB] ^= 1;
    fs::write(&here, &content)?;
    let second = room.done(&copy)?;
    same(&here, &there)?;
    ensure!(
        bytes(&second, "sent")? < 2 * MIB as u64,
        "one range: {second}"
    );
    tidy(&room.images(), "old.dsk")
}

#[test]
fn who_may_only_read_sends_nothing() -> Result<()> {
    let room = Room::new()?;
    let here = image_of(&room, &noise(14, MIB))?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let copy = ["image", "copy", text(&here), "REPO:aula1/win", "--yes"];
    refusal(&room.run(&copy)?, "repo/not-allowed")?;
    ensure!(kit::names(&room.images())?.is_empty(), "something was made");
    Ok(())
}

#[test]
fn an_image_that_somebody_writes_is_locked() -> Result<()> {
    let (room, _manager) = room()?;
    let here = image_of(&room, &noise(15, MIB))?;
    fs::write(room.images().join("win.img.lock"), "")?;
    let copy = ["image", "copy", text(&here), "REPO:win", "--yes"];
    refusal(&room.run(&copy)?, "image/locked")?;
    fs::remove_file(room.images().join("win.img.lock"))?;
    room.done(&copy)?;
    Ok(())
}

/// How often they may miss each other.
const ROUNDS: usize = 10;

#[test]
fn of_two_who_send_one_name_at_once_one_wins_and_the_other_hears_of_it() -> Result<()> {
    let (room, _manager) = room()?;
    let mut images = Vec::new();
    for seed in [47, 48] {
        let from = volume(&room, &noise(seed, 24 * MIB))?;
        let image = room.dir().join(format!("{seed}.img"));
        kit::done(&["image", "create", text(&from), text(&image), "--yes"])?;
        images.push(image);
    }
    for round in 0..ROUNDS {
        let name = format!("round{round}/win");
        let (to, start) = (format!("REPO:{name}"), Barrier::new(images.len()));
        let send = |image: &Path| {
            start.wait();
            room.run(&["image", "copy", text(image), &to, "--yes"])
        };
        let said = thread::scope(|scope| {
            let both = [0, 1].map(|one: usize| {
                let (send, image) = (&send, &images[one]);
                scope.spawn(move || send(image))
            });
            both.map(|one| one.join().map_err(|_| anyhow!("it panicked"))?)
        });
        let [first, second] = said;
        let said = [first?, second?];
        let there = room.images().join(format!("{name}.img"));
        whole(&there)?;
        tidy(&room.images().join(format!("round{round}")), "win.img")?;
        let Some(loser) = said.iter().position(|one| one.status != Some(0)) else {
            // One came after the other.
            continue;
        };
        let winner = 1 - loser;
        said[winner].done()?;
        same(&images[winner], &there)?;
        refusal(&said[loser], "image/locked")?;
        let message = said[loser].last()["error"]["message"].to_string();
        let host = fs::read_to_string("/proc/sys/kernel/hostname")?;
        let sender = format!("{} (127.0.0.1)", host.trim());
        ensure!(message.contains(&sender), "{sender}: {message}");
        // It is sent when its turn has come.
        let again = ["image", "copy", text(&images[loser]), &to, "--yes"];
        ensure!(room.done(&again)?["replaced"] == true);
        return same(&images[loser], &there);
    }
    bail!("they never met")
}

#[test]
fn a_manager_tells_what_it_has_and_puts_it_away() -> Result<()> {
    let (room, _manager) = room()?;
    let here = image_of(&room, &noise(16, MIB))?;
    room.done(&["image", "copy", text(&here), "REPO:aula1/win", "--yes"])?;
    room.done(&["image", "copy", text(&here), "REPO:aula2/win", "--yes"])?;
    let list = room.done(&["image", "list", "REPO:aula1"])?;
    ensure!(
        list["images"].as_array().is_some_and(|all| all.len() == 1),
        "{list}"
    );
    ensure!(list["images"][0]["path"] == "aula1/win.img", "{list}");
    ensure!(list["images"][0]["lock"] == Value::Null, "{list}");
    let lock = room.images().join("aula1/win.img.lock");
    fs::write(&lock, "")?;
    let list = room.done(&["image", "list", "REPO:aula1"])?;
    ensure!(list["images"][0]["lock"]["kind"] == "ownerless", "{list}");
    fs::remove_file(lock)?;
    // A folder that may not be there is told, and so is where to look.
    let said = room.run(&["image", "list", "REPO:nosuch"])?;
    ensure!(said.done()?["images"] == json!([]), "{}", said.last());
    let warned = said.lines.iter().find(|line| line["warning"].is_string());
    let warned = warned.context("a warning")?.to_string();
    ensure!(warned.contains("REPO:nosuch"), "{warned}");
    let info = room.done(&["image", "info", "REPO:aula1/win"])?;
    let own = kit::done(&["image", "info", text(&here)])?;
    ensure!(
        info["identity"] == own["identity"] && info["used"] == own["used"],
        "{info}"
    );
    // What was left unfinished is cleared away where it lies.
    let said = room.run(&["image", "rm", "--unfinished", "REPO:aula1/win"])?;
    let error = &said.last()["error"];
    ensure!(said.status == Some(2), "{error}");
    let hint = error["hint"].as_str().unwrap_or_default();
    ensure!(hint.contains("azud doctor"), "{hint}");
    let said = room.run(&["image", "rm", "REPO:aula1/none"])?;
    refusal(&said, "image/not-found")?;
    let hint = said.last()["error"]["hint"].to_string();
    ensure!(hint.contains("image list 127.0.0.1:"), "{hint}");
    // What a broken-off upload left is the manager's computer's.
    ensure!(hint.contains("azud doctor"), "{hint}");
    room.done(&["image", "rm", "REPO:aula1/win"])?;
    ensure!(!room.images().join("aula1/win.img").exists(), "still there");
    let there = room.images().join("aula1/win.img");
    kit::done(&["image", "rollback", text(&there), "--yes"])?;
    same(&here, &there)
}

#[test]
fn an_image_that_is_locked_is_not_planned_to_go() -> Result<()> {
    let (room, _manager) = room()?;
    let here = image_of(&room, &noise(19, MIB))?;
    room.done(&["image", "copy", text(&here), "REPO:aula1/win", "--yes"])?;
    let (there, lock) = (
        room.images().join("aula1/win.img"),
        room.images().join("aula1/win.img.lock"),
    );
    fs::write(&lock, "")?;
    for more in [&["--dry-run"][..], &[]] {
        let said = room.run(&[&["image", "rm", "REPO:aula1/win"], more].concat())?;
        refusal(&said, "image/locked")?;
        ensure!(said.plan().is_null(), "{}", said.plan());
        let told = said.last().to_string();
        ensure!(!told.contains(text(room.dir())), "{told}");
    }
    same(&here, &there)?;
    fs::remove_file(&lock)?;
    let dry = room.run(&["image", "rm", "REPO:aula1/win", "--dry-run"])?;
    dry.done()?;
    ensure!(dry.plan()["action"] == "image-rm", "{}", dry.plan());
    same(&here, &there)?;
    ensure!(
        !room.images().join("aula1/.azud-lock").exists(),
        "a dry run left something"
    );
    room.done(&["image", "rm", "REPO:aula1/win"])?;
    ensure!(!there.exists(), "still there");
    Ok(())
}

#[test]
fn a_manager_tells_of_an_image_with_its_folder_and_no_other() -> Result<()> {
    let (room, _manager) = room()?;
    let here = image_of(&room, &noise(18, MIB))?;
    let copy = ["image", "copy", text(&here), "REPO:aula1/win", "--yes"];
    room.done(&copy)?;
    image_of(&room, &noise(17, MIB))?;
    fs::write(room.images().join("aula1/win.img.lock"), "")?;
    let remove = ["image", "rm", "REPO:aula1/win", "--yes"];
    for args in [&copy[..], &remove] {
        let said = room.run(args)?;
        refusal(&said, "image/locked")?;
        let message = said.last()["error"]["message"].to_string();
        ensure!(message.contains(" aula1/win.img is locked"), "{message}");
    }
    Ok(())
}

#[test]
fn damage_of_the_image_that_is_sent_is_not_blamed_on_the_way() -> Result<()> {
    let (room, _manager) = room()?;
    let here = image_of(&room, &noise(19, 8 * MIB))?;
    let mut content = fs::read(&here)?;
    content[3 * MIB] ^= 1;
    fs::write(&here, content)?;
    let copy = ["image", "copy", text(&here), "REPO:aula1/win", "--yes"];
    let said = room.run(&copy)?;
    refusal(&said, "image/corrupt")?;
    let detail = said.last()["error"]["message"].to_string();
    ensure!(detail.contains("here.img"), "{detail}");
    ensure!(!room.images().join("aula1/win.img").exists(), "published");
    Ok(())
}

#[test]
fn a_native_image_that_is_cut_or_damaged_is_not_passed_on() -> Result<()> {
    let (room, _manager) = room()?;
    let here = image_of(&room, &noise(20, 4 * MIB))?;
    let whole = fs::read(&here)?;
    let mut scratched = whole.clone();
    let at = whole.len() - 100;
    for byte in &mut scratched[at..at + 4] {
        *byte ^= 0x55;
    }
    let (other, mirror) = (room.dir().join("other.img"), room.dir().join("mirror"));
    let tree = room.dir().join("tree");
    fs::create_dir(&tree)?;
    for (content, code) in [
        (&whole[..3 * MIB], "image/truncated"),
        (&scratched[..], "image/corrupt"),
    ] {
        fs::write(tree.join("cut.img"), content)?;
        let cut = tree.join("cut.img");
        for to in ["REPO:aula1/cut", text(&other)] {
            refusal(
                &room.run(&["image", "copy", text(&cut), to, "--dry-run"])?,
                code,
            )?;
            refusal(
                &room.run(&["image", "copy", text(&cut), to, "--yes"])?,
                code,
            )?;
        }
        let import = ["repo", "import", text(&tree), text(&mirror), "--yes"];
        refusal(&room.run(&import)?, code)?;
        // Nor does it come from a manager that has it.
        fs::write(room.images().join("cut.img"), content)?;
        let fetch = ["image", "copy", "REPO:cut", text(&other), "--yes"];
        refusal(&room.run(&fetch)?, code)?;
    }
    ensure!(
        !room.images().join("aula1").exists() && !other.exists(),
        "passed on"
    );
    Ok(())
}

#[test]
fn a_plan_names_what_the_managers_rules_send_away_and_a_lock() -> Result<()> {
    let room = Room::new()?;
    let manager = room.serve_with(&["--keep-bytes", "1K"])?;
    room.know_as(&manager, "write")?;
    let send = |seed, how| {
        let here = image_of(&room, &noise(seed, MIB))?;
        room.run(&["image", "copy", text(&here), "REPO:aula1/win", how])
    };
    for seed in [41, 42, 43] {
        send(seed, "--yes")?.done()?;
    }
    let former = || room.done(&["image", "history", "REPO:aula1/win"]);
    let before = former()?;
    for how in ["--dry-run", "--yes"] {
        let said = send(44, how)?;
        said.done()?;
        let purges = &said.plan()["rows"]["purges"];
        ensure!(purges["count"] == 1, "{how}: {}", said.plan());
        ensure!(said.warned().contains(&"purges"), "{how}: {}", said.plan());
        let named = purges["versions"][0]["version"].to_string();
        ensure!(before.to_string().contains(&named), "{named}: {before}");
        let there = former()?.to_string().contains(&named);
        ensure!(there == (how == "--dry-run"), "{how}: {named}");
    }
    fs::write(room.images().join("aula1/win.img.lock"), "hand")?;
    for how in ["--dry-run", "--yes"] {
        refusal(&send(45, how)?, "image/locked")?;
    }
    let volume = volume(&room, &noise(46, MIB))?;
    let create = ["image", "create", text(&volume), "REPO:aula1/other"];
    let said = room.run(&[&create[..], &["--keep-days", "1", "--yes"]].concat())?;
    ensure!(
        said.last()["error"]["code"] == "cli/usage",
        "{}",
        said.last()
    );
    let said = room.run(&["repo", "import", "REPO:aula9", text(room.dir()), "--yes"])?;
    refusal(&said, "image/not-found")
}
