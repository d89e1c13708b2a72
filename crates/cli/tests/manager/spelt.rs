//! Work is the same whatever its image and its places were called.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::asked::known_too;
use crate::kit::{Said, text};
use crate::reports::{computer, look_after};
use crate::server::{Room, refusal};
use crate::{MIB, image, noise};

/// The same work under another name of the manager and of the image.
#[test]
fn what_succeeds_mends_what_failed_whatever_it_was_called() -> Result<()> {
    let room = Room::new()?;
    let site = "manager = ['127.0.0.1', 'og.room']\n";
    fs::write(room.dir().join("etc/azud.toml"), site)?;
    let manager = look_after(&room)?;
    known_too(&room, "also.room.invalid", manager.port)?;
    let (disk, cache) = (room.dir().join("disk"), room.dir().join("cache"));
    fs::create_dir(&cache)?;
    let deploy = |image: &str| room.run(&["deploy", image, text(&disk), "--yes"]);
    let update = |image: &str| {
        let mut update = room.command(&["cache", "update", image]);
        Said::of(&update.env("AZUD_CACHE", &cache).output()?)
    };
    for image in ["REPO:aula1/win", "og.room:aula1/win.img", "Repo:aula1/win"] {
        refusal(&deploy(image)?, "image/not-found")?;
    }
    let said = room.command(&[
        "deploy",
        "also.room.invalid:aula1/win",
        text(&disk),
        "--yes",
    ]);
    let said = Said::of(&{ said }.env("AZUD_PATIENCE", "0").output()?)?;
    refusal(&said, "repo/unreachable")?;
    for image in ["aula1/win", "REPO:aula1/win", "CACHE:aula1/win.img"] {
        refusal(&update(image)?, "image/not-found")?;
    }
    let left = || -> Result<Vec<(Value, Value)>> {
        let failures = computer(&room)?["failures"].as_array().cloned();
        let all = failures.unwrap_or_default().into_iter();
        let all = all.map(|it| (it["job"].clone(), it["image"].clone()));
        Ok(all.collect())
    };
    let of = |job: &str| (Value::from(job), Value::from("REPO:aula1/win"));
    ensure!(
        left()? == [of("cache-update"), of("deploy")],
        "{:?}",
        left()?
    );
    image(&room, "aula1/win.img", &noise(21, MIB))?;
    update("aula1/win")?.done()?;
    ensure!(left()? == [of("deploy")], "{:?}", left()?);
    deploy("og.room:aula1/win")?.done()?;
    ensure!(left()?.is_empty(), "{:?}", left()?);
    Ok(())
}

/// A folder, with a slash or without, and the file in it are one way to go.
#[test]
fn a_copy_is_one_job_however_its_place_is_spelt() -> Result<()> {
    let room = Room::new()?;
    let _manager = look_after(&room)?;
    let copies = fs::canonicalize(room.dir())?.join("copies");
    fs::create_dir(&copies)?;
    let (bare, file) = (text(&copies).to_owned(), copies.join("win.img"));
    let spellings = [
        bare.clone(),
        bare.clone() + "/",
        bare + "/win",
        text(&file).to_owned(),
    ];
    let copy = |to: &str| room.run(&["image", "copy", "REPO:win", to, "--yes"]);
    for to in &spellings {
        refusal(&copy(to)?, "image/not-found")?;
        let failures = computer(&room)?["failures"].clone();
        ensure!(failures[0]["to"] == text(&file), "{to}: {failures}");
        ensure!(failures[1].is_null(), "{to}: {failures}");
    }
    image(&room, "win.img", &noise(26, MIB))?;
    copy(&spellings[1])?.done()?;
    let seen = computer(&room)?;
    ensure!(seen["failures"] == serde_json::json!([]), "{seen}");
    Ok(())
}
