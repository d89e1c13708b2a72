//! Repositories that are imported.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use azud_testkit::tools::run;
use serde_json::{Value, json};

use crate::kit::{self, Said, text, whole};
use crate::server::{Room, refusal};
use crate::upload::{image_of, room};
use crate::{MIB, bytes, image, noise, same};

#[test]
fn a_repository_is_imported_below_a_folder() -> Result<()> {
    let (room, _manager) = room()?;
    let mut content = noise(17, 8 * MIB);
    let here = image_of(&room, &content)?;
    room.done(&["image", "copy", text(&here), "REPO:aula1/win", "--yes"])?;
    fs::write(room.images().join("old.img"), noise(18, MIB))?;
    fs::write(room.images().join("notes.txt"), "no image")?;
    let mirror = room.dir().join("mirror");
    fs::create_dir(&mirror)?;
    let import = ["repo", "import", "REPO:", text(&mirror), "--yes"];
    let first = room.done(&import)?;
    ensure!(
        first["brought"]
            .as_array()
            .is_some_and(|all| all.len() == 2),
        "{first}"
    );
    whole(&mirror.join("aula1/win.img"))?;
    same(&room.images().join("old.img"), &mirror.join("old.img"))?;
    content[MIB..2 * MIB].fill(3);
    let here = image_of(&room, &content)?;
    room.done(&["image", "copy", text(&here), "REPO:aula1/win", "--yes"])?;
    let second = room.done(&import)?;
    ensure!(second["unchanged"] == 1, "{second}");
    ensure!(bytes(&second, "from_source")? < 4 * MIB as u64, "{second}");
    same(&here, &mirror.join("aula1/win.img"))?;
    // From a tree, too, and one that fails keeps no other from coming.
    let other = room.dir().join("other");
    fs::create_dir(&other)?;
    fs::write(other.join("old.img.lock"), "")?;
    let said = room.run(&["repo", "import", text(&mirror), text(&other), "--yes"])?;
    refusal(&said, "image/locked")?;
    same(&here, &other.join("aula1/win.img"))?;
    // A folder that is missing is made, but not by a plan, nor two of them.
    let (new, lost) = (room.dir().join("new"), room.dir().join("lost/new"));
    let import = ["repo", "import", "REPO:", text(&new)];
    room.done(&[&import[..], &["--dry-run"]].concat())?;
    ensure!(!new.exists(), "a plan made it");
    room.done(&[&import[..], &["--yes"]].concat())?;
    same(&here, &new.join("aula1/win.img"))?;
    let said = room.run(&["repo", "import", "REPO:", text(&lost), "--yes"])?;
    refusal(&said, "image/not-found")?;
    let hint = &said.last()["error"]["hint"];
    let make = format!("mkdir -p {}", text(&lost));
    ensure!(
        hint.as_str().is_some_and(|hint| hint.contains(&make)),
        "{hint}"
    );
    Ok(())
}

#[test]
fn an_import_that_is_stopped_tells_what_came() -> Result<()> {
    let (room, _manager) = room()?;
    image(&room, "one.img", &noise(18, MIB))?;
    image(&room, "two.img", &noise(19, 192 * MIB))?;
    let mirror = room.dir().join("mirror");
    fs::create_dir(&mirror)?;
    let mut import = room.command(&["repo", "import", "REPO:", text(&mirror), "--yes"]);
    let mut child = import.stdout(Stdio::piped()).spawn()?;
    while !mirror.join("one.img").exists() {
        ensure!(child.try_wait()?.is_none(), "it ended before");
        sleep(Duration::from_millis(1));
    }
    run("kill", &["-s", "TERM", &child.id().to_string()])?;
    let said = Said::of(&child.wait_with_output()?)?;
    let last = said.last();
    ensure!(last["error"]["code"] == "cli/interrupted", "{last}");
    let brought = &last["result"]["brought"];
    ensure!(
        brought[0]["image"] == "one.img" && brought[1].is_null(),
        "{brought}"
    );
    Ok(())
}

#[test]
fn the_plan_of_an_import_counts_a_shared_frame_once() -> Result<()> {
    let (room, _manager) = room()?;
    let mut content = noise(22, 8 * MIB);
    let mut sizes = 0;
    for name in ["REPO:aula1/one", "REPO:aula1/two"] {
        let here = image_of(&room, &content)?;
        room.done(&["image", "copy", text(&here), name, "--yes"])?;
        sizes += fs::metadata(&here)?.len();
        content[..MIB].fill(5);
    }
    let mirror = room.dir().join("mirror");
    let import = ["repo", "import", "REPO:", text(&mirror)];
    let planned = room.run(&[&import[..], &["--dry-run"]].concat())?;
    planned.done()?;
    let rows = &planned.plan()["rows"];
    ensure!(bytes(rows, "from_source")? < 14 * MIB as u64, "{rows}");
    let needed = bytes(rows, "room_needed_at_most")?;
    ensure!(needed >= sizes && needed < sizes + 4 * MIB as u64, "{rows}");
    ensure!(bytes(rows, "room")? > 0, "{rows}");
    let done = room.done(&import)?;
    ensure!(rows["from_source"] == done["from_source"], "{rows} {done}");
    // What is sent is a bound: the manager may have some of it elsewhere.
    let here = text(&room.dir().join("here.img")).to_owned();
    let args = ["image", "copy", &here, "REPO:aula1/three", "--dry-run"];
    let mut plain = std::process::Command::new(kit::program());
    let output = room
        .settings(plain.args(args).args(["--lang", "en"]))
        .output()?;
    let said = String::from_utf8(output.stdout)?;
    ensure!(said.contains("To be sent, at most"), "{said}");
    Ok(())
}

#[test]
fn the_plan_of_an_import_tells_what_is_there_and_what_comes() -> Result<()> {
    let (room, _manager) = room()?;
    let mut content = noise(20, 8 * MIB);
    let here = image_of(&room, &content)?;
    let send = ["image", "copy", text(&here), "REPO:aula1/win", "--yes"];
    room.done(&send)?;
    fs::write(room.images().join("old.img"), noise(21, MIB))?;
    let mirror = room.dir().join("mirror");
    let import = ["repo", "import", "REPO:", text(&mirror)];
    room.done(&import)?;
    content[MIB..2 * MIB].fill(3);
    image_of(&room, &content)?;
    room.done(&send)?;
    let planned = room.run(&[&import[..], &["--dry-run"]].concat())?;
    planned.done()?;
    let run = room.run(&import)?;
    let done = run.done()?;
    let (rows, size) = (&planned.plan()["rows"], fs::metadata(&here)?.len());
    let share = |images: u64, bytes: u64| json!({ "images": images, "bytes": bytes });
    ensure!(rows["images_there"] == share(1, MIB as u64), "{rows}");
    ensure!(rows["images_coming"] == share(1, size), "{rows}");
    ensure!(
        rows["images_names"].as_array().map(Vec::len) == Some(1),
        "{rows}"
    );
    ensure!(rows["from_source"] == done["from_source"], "{rows} {done}");
    ensure!(
        rows["images"] == 2 && rows["images_unread"].is_null(),
        "{rows}"
    );
    // What is free others change meanwhile.
    let but_room = |rows: &Value| {
        let rows = rows.as_object().into_iter().flatten();
        let rows = rows.filter(|(key, _)| *key != "room");
        rows.map(|(key, value)| format!("{key}: {value}"))
            .collect::<Vec<_>>()
    };
    let again = &run.plan()["rows"];
    ensure!(but_room(again) == but_room(rows), "{again} {rows}");
    let third = room.run(&[&import[..], &["--dry-run"]].concat())?;
    let rows = &third.plan()["rows"];
    ensure!(
        rows["images_there"] == share(2, size + MIB as u64),
        "{rows}"
    );
    ensure!(rows["images_coming"] == share(0, 0), "{rows}");
    ensure!(rows["images_names"].is_null(), "{rows}");
    ensure!(rows["from_source"] == 0, "{rows}");
    Ok(())
}

#[test]
fn the_plan_of_an_import_tells_what_is_replaced_and_what_is_older() -> Result<()> {
    let (room, _manager) = room()?;
    let mut content = noise(23, 4 * MIB);
    let mirror = room.dir().join("mirror");
    fs::create_dir(&mirror)?;
    for name in ["win", "deb"] {
        let here = image_of(&room, &content)?;
        let to = format!("REPO:{name}");
        room.done(&["image", "copy", text(&here), &to, "--yes"])?;
        content[..MIB].fill(1);
    }
    let import = ["repo", "import", "REPO:", text(&mirror)];
    let plan = || -> Result<(Value, String)> {
        let said = room.run(&[&import[..], &["--dry-run"]].concat())?;
        said.done()?;
        Ok((
            said.plan()["rows"].clone(),
            said.plan()["warnings"].to_string(),
        ))
    };
    let (rows, warnings) = plan()?;
    ensure!(
        rows["images_replaced"].is_null() && warnings == "[]",
        "{rows} {warnings}"
    );
    room.done(&[&import[..], &["--yes"]].concat())?;
    // What is here was captured later than what the manager has.
    content[MIB..2 * MIB].fill(2);
    let here = image_of(&room, &content)?;
    fs::copy(&here, mirror.join("win.img"))?;
    let (rows, warnings) = plan()?;
    ensure!(rows["images_replaced"] == 1, "{rows}");
    ensure!(rows["images_older"] == json!(["win.img"]), "{rows}");
    ensure!(warnings.contains("win.img"), "{warnings}");
    // It is left alone where that is asked for.
    let mine = fs::read(mirror.join("win.img"))?;
    let said = room.run(&[&import[..], &["--update", "--yes"]].concat())?;
    let done = said.done()?;
    ensure!(done["newer"] == json!(["win.img"]), "{done}");
    ensure!(
        done["brought"] == json!([]) && done["unchanged"] == 1,
        "{done}"
    );
    let (rows, warned) = (&said.plan()["rows"], said.warned());
    ensure!(rows["images_newer"] == json!(["win.img"]), "{rows}");
    ensure!(
        rows["images_replaced"].is_null() && warned.is_empty(),
        "{rows}"
    );
    ensure!(fs::read(mirror.join("win.img"))? == mine, "it was replaced");
    // Now it is the manager's that is newer.
    content[2 * MIB..3 * MIB].fill(3);
    let here = image_of(&room, &content)?;
    room.done(&["image", "copy", text(&here), "REPO:win", "--yes"])?;
    let (rows, warnings) = plan()?;
    ensure!(
        rows["images_replaced"] == 1 && rows["images_older"].is_null(),
        "{rows}"
    );
    ensure!(!warnings.contains("win.img"), "{warnings}");
    let done = room.done(&[&import[..], &["--update", "--yes"]].concat())?;
    ensure!(done["brought"][0]["image"] == "win.img", "{done}");
    ensure!(done["newer"] == json!([]), "{done}");
    Ok(())
}

/// However source and folder are called: what came before does not come again, one folder deeper.
#[test]
fn a_folder_within_the_source_is_not_brought_into_itself() -> Result<()> {
    let room = Room::new()?;
    let images = room.images();
    fs::create_dir(images.join("aula1"))?;
    fs::write(images.join("old.img"), noise(24, MIB))?;
    fs::write(images.join("aula1/win.img"), noise(25, MIB))?;
    symlink(&images, room.dir().join("link"))?;
    let (link, direct) = (room.dir().join("link"), images.join("other"));
    let by_link = link.join("other");
    for (from, to) in [
        (text(&images), text(&direct)),
        (text(&images), text(&by_link)),
        (text(&link), text(&direct)),
        ("REPO:", "REPO:other"),
        ("REPO:", text(&by_link)),
    ] {
        let import = || -> Result<Said> {
            let mut command = room.command(&["repo", "import", from, to, "--yes"]);
            let command = command.env("AZUD_SERVING", "true");
            Said::of(&command.env("AZUD_IMAGES", &images).output()?)
        };
        let first = import()?;
        let brought = first.done()?["brought"].as_array().map(Vec::len);
        ensure!(brought == Some(2), "{from}: {}", first.last());
        let rows = &first.plan()["rows"];
        ensure!(rows["images_own"].is_null(), "{from}: {rows}");
        let again = import()?;
        let (rows, done) = (&again.plan()["rows"], again.done()?);
        ensure!(done["brought"] == json!([]), "{from}: {done}");
        ensure!(done["unchanged"] == 2, "{from}: {done}");
        ensure!(
            rows["images"] == 2 && rows["images_own"] == 2,
            "{from}: {rows}"
        );
        ensure!(!direct.join("other").exists(), "{from}: one folder deeper");
        same(&images.join("aula1/win.img"), &direct.join("aula1/win.img"))?;
        fs::remove_dir_all(&direct)?;
    }
    // Nor does anything come to where it lies.
    let said = room.run(&["repo", "import", text(&images), text(&link), "--yes"])?;
    let (rows, done) = (&said.plan()["rows"], said.done()?);
    ensure!(rows["images"] == 0 && rows["images_own"] == 2, "{rows}");
    ensure!(done["brought"] == json!([]), "{done}");
    ensure!(!images.join(".azud-trash").exists(), "replaced by itself");
    Ok(())
}
