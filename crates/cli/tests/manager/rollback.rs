//! Former versions that come back at a manager.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::kit::{self, Said, text, whole};
use crate::server::{Manager, Room, refusal};
use crate::{MIB, image, noise};

/// An image that was replaced once: the file, the bytes of the former version and of the present one.
fn replaced(room: &Room, name: &str, seed: u64) -> Result<(PathBuf, Vec<u8>, Vec<u8>)> {
    let path = room.images().join(name);
    image(room, name, &noise(seed, 3 * MIB))?;
    let former = fs::read(&path)?;
    image(room, name, &noise(seed + 1, 2 * MIB))?;
    let present = fs::read(&path)?;
    Ok((path, former, present))
}

fn known_as(role: &str) -> Result<(Room, Manager)> {
    let room = Room::new()?;
    let manager = room.serve()?;
    room.know_as(&manager, role)?;
    Ok((room, manager))
}

fn versions(path: &Path) -> Result<Vec<Value>> {
    let history = kit::done(&["image", "history", text(path)])?;
    Ok(history["versions"].as_array().context("versions")?.clone())
}

/// Fails unless both plans say the same, but for where it is.
fn same_plan(here: &Said, there: &Said) -> Result<()> {
    let rows = |said: &Said| -> Result<Value> {
        let mut rows = said.plan()["rows"].clone();
        let object = rows.as_object_mut().context("rows")?;
        object.remove("image");
        if let Some(present) = rows["present"].as_object_mut() {
            present.remove("path");
        }
        Ok(rows)
    };
    let (ours, theirs) = (rows(here)?, rows(there)?);
    ensure!(ours == theirs, "{ours} {theirs}");
    ensure!(here.plan()["action"] == there.plan()["action"]);
    ensure!(
        here.warned() == there.warned(),
        "{:?} {:?}",
        here.warned(),
        there.warned()
    );
    Ok(())
}

#[test]
fn a_former_version_comes_back_where_it_is() -> Result<()> {
    let (room, _manager) = known_as("write")?;
    let (path, former, present) = replaced(&room, "aula1/one.img", 401)?;
    let before = versions(&path)?;
    let dry = room.run(&["image", "rollback", "REPO:aula1/one", "--dry-run"])?;
    dry.done()?;
    let here = room.run(&["image", "rollback", text(&path), "--dry-run"])?;
    same_plan(&here, &dry)?;
    ensure!(dry.plan()["rows"]["checked"] == "sound", "{}", dry.plan());
    ensure!(
        versions(&path)? == before && fs::read(&path)? == present,
        "a dry run changed something"
    );
    let back = room.run(&["image", "rollback", "REPO:aula1/one"])?;
    same_plan(&here, &back)?;
    let said = back.done()?;
    ensure!(said["action"] == "image-rollback", "{said}");
    ensure!(said["image"] == "127.0.0.1:aula1/one.img", "{said}");
    ensure!(said["version"] == before[1]["version"], "{said}");
    ensure!(said["identity"] == before[1]["identity"], "{said}");
    ensure!(fs::read(&path)? == former, "another version came");
    whole(&path)?;
    let after = versions(&path)?;
    let identities = |all: &[Value]| -> Vec<Value> {
        let of = all.iter().map(|version| version["identity"].clone());
        of.collect()
    };
    let mut swapped = identities(&before);
    swapped.reverse();
    ensure!(identities(&after) == swapped, "{after:?}");
    // By the beginning of its identity the other one comes again, and it is told that this goes forward.
    let name = before[0]["identity"].as_str().context("an identity")?;
    let forth = room.run(&["image", "rollback", "REPO:aula1/one", &name[..12]])?;
    forth.done()?;
    ensure!(
        forth.warned() == ["to-history", "rolls-forward"],
        "{:?}",
        forth.warned()
    );
    ensure!(fs::read(&path)? == present, "another version came");
    // One that was removed comes back as well.
    room.done(&["image", "rm", "REPO:aula1/one"])?;
    let back = room.run(&["image", "rollback", "REPO:aula1/one"])?;
    ensure!(back.done()?["identity"] == before[0]["identity"]);
    ensure!(back.plan()["rows"]["present"] == "none", "{}", back.plan());
    ensure!(fs::read(&path)? == present, "another version came");
    Ok(())
}

#[test]
fn who_may_not_change_it_brings_nothing_back() -> Result<()> {
    let room = Room::new()?;
    let (path, _, present) = replaced(&room, "aula1/one.img", 411)?;
    let before = versions(&path)?;
    let rollback = ["image", "rollback", "REPO:aula1/one"];
    let manager = room.serve()?;
    room.know(&manager)?;
    refusal(&room.run(&rollback)?, "repo/not-allowed")?;
    // What a token is not for is not there for it.
    let made = room.done(&["token", "create", "--role", "write", "--images", "aula2/*"])?;
    let token = made["token"].as_str().context("a token")?;
    room.introduce(&manager, &manager.pin, token)?.done()?;
    refusal(&room.run(&rollback)?, "image/not-found")?;
    drop(manager);
    let reading = room.serve_with(&["--read-only"])?;
    room.know_as(&reading, "write")?;
    refusal(&room.run(&rollback)?, "repo/read-only")?;
    ensure!(
        versions(&path)? == before && fs::read(&path)? == present,
        "something was moved"
    );
    Ok(())
}

#[test]
fn what_is_refused_here_is_refused_there() -> Result<()> {
    let (room, _manager) = known_as("write")?;
    let (path, _, present) = replaced(&room, "one.img", 421)?;
    image(&room, "new.img", &noise(423, MIB))?;
    let before = versions(&path)?;
    let refuse = |name: &str, version: &[&str], code: &str| -> Result<()> {
        let here = room.images().join(format!("{name}.img"));
        let there = format!("REPO:{name}");
        for image in [text(&here), there.as_str()] {
            for more in [&["--dry-run"][..], &[]] {
                let args = [&["image", "rollback", image], version, more].concat();
                refusal(&room.run(&args)?, code).with_context(|| format!("{args:?}"))?;
            }
        }
        Ok(())
    };
    refuse(
        "one",
        &["20010101T000000Z-unknown"],
        "image/no-such-version",
    )?;
    refuse("one", &[""], "image/no-such-version")?;
    refuse("new", &[], "image/no-such-version")?;
    refuse("none", &[], "image/no-such-version")?;
    refuse("folder/none", &[], "image/not-found")?;
    let lock = room.images().join("one.img.lock");
    fs::write(&lock, "")?;
    refuse("one", &[], "image/locked")?;
    fs::remove_file(lock)?;
    flip(Path::new(before[1]["path"].as_str().context("a path")?))?;
    refuse("one", &[], "image/corrupt")?;
    let said = room.run(&["image", "rollback", "REPO:one"])?;
    let error = &said.last()["error"];
    let hint = error["hint"].as_str().unwrap_or_default();
    ensure!(hint.contains("azud image history"), "{error}");
    ensure!(!error.to_string().contains(text(room.dir())), "{error}");
    ensure!(
        versions(&path)? == before && fs::read(&path)? == present,
        "something was moved"
    );
    Ok(())
}

/// Changes one byte in the middle of a file.
fn flip(file: &Path) -> Result<()> {
    let open = fs::File::options().read(true).write(true).open(file)?;
    let (mut byte, at) = ([0], open.metadata()?.len() / 2);
    open.read_exact_at(&mut byte, at)?;
    Ok(open.write_all_at(&[byte[0] ^ 1], at)?)
}

#[test]
fn a_version_that_nothing_vouches_for_comes_back_with_a_warning() -> Result<()> {
    let (room, _manager) = known_as("write")?;
    let path = room.images().join("old.img");
    let sum = room.images().join("old.img.full.sum");
    fs::write(&path, "PaRtImAgE-VoLuMe and so on")?;
    fs::write(&sum, "0123456789abcdef0123456789abcdef\n")?;
    image(&room, "old.img", &noise(431, MIB))?;
    let rollback = ["image", "rollback", "REPO:old"];
    refusal(&room.run(&rollback)?, "image/corrupt")?;
    let moved = versions(&path)?[1]["path"].clone();
    let moved = moved.as_str().context("a path")?;
    fs::remove_file(format!("{moved}.full.sum"))?;
    let back = room.run(&rollback)?;
    back.done()?;
    ensure!(back.plan()["rows"]["checked"] == "unchecked");
    ensure!(
        back.warned() == ["unchecked", "to-history"],
        "{:?}",
        back.warned()
    );
    ensure!(fs::read(&path)? == b"PaRtImAgE-VoLuMe and so on");
    Ok(())
}

#[test]
fn the_manager_writes_down_who_went_back() -> Result<()> {
    let (room, manager) = known_as("write")?;
    let (path, ..) = replaced(&room, "one.img", 441)?;
    let lines = |what: &str| -> Result<usize> {
        let log = fs::read_to_string(room.state().join("audit.log")).unwrap_or_default();
        let mut count = 0;
        for line in log.lines() {
            let line: Value = serde_json::from_str(line)?;
            let is_it = line["path"] == what && line["status"] == 200 && line["method"] == "POST";
            ensure!(!is_it || line["who"].is_string(), "{line}");
            count += usize::from(is_it);
        }
        Ok(count)
    };
    let before = versions(&path)?;
    room.run(&["image", "rollback", "REPO:one", "--dry-run"])?
        .done()?;
    room.run(&["image", "rollback", "REPO:one"])?.done()?;
    ensure!(versions(&path)?[0]["identity"] == before[1]["identity"]);
    // Lines are written in their own time, and in order.
    let went = "/v1/images/one.img/rollback";
    let mut rounds = 0;
    while lines(went)? == 0 {
        rounds += 1;
        ensure!(rounds < 1000, "nothing was written down");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    ensure!(lines(went)? == 1);
    ensure!(
        lines("/v1/images/one.img/rollback/check")? == 1,
        "the dry run is told apart"
    );
    drop(manager);
    Ok(())
}

#[test]
fn what_is_not_what_went_to_the_trash_stays_there() -> Result<()> {
    let (room, _manager) = known_as("write")?;
    let (path, _, present) = replaced(&room, "aula1/one.img", 431)?;
    let (other, ..) = replaced(&room, "aula1/two.img", 433)?;
    let former = versions(&path)?[1]["path"].clone();
    let former = PathBuf::from(former.as_str().context("a path")?);
    let another = fs::read(other)?;
    for content in [&b""[..], b"eight by", &noise(435, MIB), &another] {
        fs::write(&former, content)?;
        for image in ["REPO:aula1/one", text(&path)] {
            for how in ["--dry-run", "--yes"] {
                let said = room.run(&["image", "rollback", image, how])?;
                refusal(&said, "image/corrupt")?;
            }
        }
        ensure!(fs::read(&path)? == present, "another version came");
    }
    Ok(())
}
