//! Images that travel over HTTPS from the manager alone.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::kit::text;
use crate::raw::{Line, bearer};
use crate::server::{Manager, Room};
use crate::{MIB, image, noise};

/// Of each image, whether the manager says that it travels over HTTPS alone, and what stands beside it.
fn told(room: &Room, manager: &Manager, token: &str) -> Result<Vec<(String, bool, bool)>> {
    let bearer = bearer(token);
    let fields = [("Authorization", bearer.as_str())];
    let (_, body) = Line::to(room, manager)?.get("/v1/images", &fields)?;
    let list: Value = serde_json::from_slice(&body)?;
    let of = |image: &Value| {
        let beside = image["beside"].as_array().into_iter().flatten();
        let torrent = beside.filter(|it| it["ending"] == ".torrent").count() > 0;
        let name = image["name"].as_str().unwrap_or_default().to_owned();
        (name, image["https_only"] == true, torrent)
    };
    let images = list["images"].as_array().context("images")?;
    Ok(images.iter().map(of).collect())
}

fn status(room: &Room, manager: &Manager, (token, path): (&str, &str)) -> Result<u16> {
    let bearer = bearer(token);
    let fields = [("Authorization", bearer.as_str())];
    let (head, _) = Line::to(room, manager)?.get(&format!("/v1/images/{path}"), &fields)?;
    Ok(head.status)
}

fn reader(room: &Room) -> Result<String> {
    let made = room.done(&["token", "create", "--role", "read"])?;
    Ok(made["token"].as_str().context("a token")?.to_owned())
}

#[test]
fn neighbours_and_swarms_get_none_of_them() -> Result<()> {
    let room = Room::new()?;
    for (seed, name) in [(61, "aula/win.img"), (62, "exams/win.img")] {
        image(&room, name, &noise(seed, MIB))?;
        fs::write(room.images().join(format!("{name}.torrent")), "metainfo")?;
    }
    let manager = room.serve_with(&["--https-only", "exams/*"])?;
    let token = reader(&room)?;
    let expected = [
        ("aula/win.img".to_owned(), false, true),
        ("exams/win.img".to_owned(), true, false),
    ];
    ensure!(told(&room, &manager, &token)? == expected);
    let of = |path: &str| status(&room, &manager, (&token, path));
    ensure!(of("aula%2Fwin.img/beside/.torrent")? == 200);
    ensure!(of("exams%2Fwin.img/beside/.torrent")? == 404);
    ensure!(of("exams%2Fwin.img/beside/.info")? == 200);
    // A client gets it and keeps in mind what it is, wherever the file goes.
    room.know(&manager)?;
    let there = room.dir().join("there");
    for name in ["aula/win.img", "exams/win.img"] {
        let (first, second) = (there.join(name), room.dir().join("second").join(name));
        fs::create_dir_all(first.parent().context("a folder")?)?;
        fs::create_dir_all(second.parent().context("a folder")?)?;
        let from = format!("REPO:{name}");
        room.done(&["image", "copy", &from, text(&first), "--yes"])?;
        room.done(&["image", "copy", text(&first), text(&second), "--yes"])?;
        let mark = |path: &Path| path.with_extension("img.https-only").exists();
        let is_marked = name.starts_with("exams");
        ensure!(
            mark(&first) == is_marked && mark(&second) == is_marked,
            "{name}"
        );
    }
    drop(manager);
    // Who gives what it got from a manager does not give these.
    let neighbour = room.serve_bare(&["--read-only", "--images", text(&there)])?;
    let token = reader(&room)?;
    let expected = [("aula/win.img".to_owned(), false, false)];
    ensure!(told(&room, &neighbour, &token)? == expected);
    let of = |path: &str| status(&room, &neighbour, (&token, path));
    ensure!(of("aula%2Fwin.img")? == 200);
    for path in ["", "/index", "/minisig", "/beside/.info"] {
        ensure!(of(&format!("exams%2Fwin.img{path}"))? == 404, "{path}");
    }
    Ok(())
}
