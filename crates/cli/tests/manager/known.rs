//! Managers that a client is introduced to, and what it says of those that it knows.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::kit::text;
use crate::server::{Manager, Room, refusal};
use crate::{MIB, image, noise};

fn room() -> Result<(Room, Manager)> {
    let room = Room::new()?;
    image(&room, "aula1/win.img", &noise(91, MIB))?;
    let manager = room.serve()?;
    Ok((room, manager))
}

/// The only repository that is known.
fn listed(room: &Room) -> Result<Value> {
    let list = room.done(&["repo", "list"])?;
    let all = list["repositories"].as_array().context("a list")?;
    ensure!(all.len() == 1, "{list}");
    Ok(all[0].clone())
}

#[test]
fn a_list_says_how_a_manager_answers() -> Result<()> {
    let (room, manager) = room()?;
    room.know_as(&manager, "write")?;
    let row = listed(&room)?;
    ensure!(
        row["state"] == "answers" && row["read_only"].is_null(),
        "{row}"
    );
    let tokens = room.done(&["token", "list"])?;
    for token in tokens["tokens"].as_array().context("tokens")? {
        let id = token["id"].as_str().context("an id")?;
        room.done(&["token", "revoke", id])?;
    }
    let row = listed(&room)?;
    ensure!(row["state"] == "refused", "{row}");
    let port = manager.port;
    manager.kill()?;
    let row = listed(&room)?;
    ensure!(row["state"] == "unreachable", "{row}");
    // Somebody else in its place.
    std::fs::remove_dir_all(room.state())?;
    let _other = room.serve_at(port)?;
    let row = listed(&room)?;
    ensure!(row["state"] == "untrusted", "{row}");
    Ok(())
}

#[test]
fn a_fingerprint_that_is_none_is_a_slip_and_no_attack() -> Result<()> {
    let (room, manager) = room()?;
    for pin in [
        "sha256:00",
        "00",
        &manager.pin[1..],
        &format!("{}0", manager.pin),
    ] {
        let said = room.introduce(&manager, pin, "token")?;
        ensure!(said.status == Some(2), "{}", said.last());
        ensure!(
            said.last()["error"]["code"] == "cli/usage",
            "{}",
            said.last()
        );
    }
    let wrong = format!("sha256:{}", "f".repeat(64));
    refusal(
        &room.introduce(&manager, &wrong, "token")?,
        "repo/untrusted",
    )?;
    let shouted = manager.pin.to_ascii_uppercase();
    room.introduce(&manager, &shouted, &manager.admin)?.done()?;
    Ok(())
}

#[test]
fn a_port_as_in_a_url_is_told_to_go_apart() -> Result<()> {
    let (room, _manager) = room()?;
    let file = room.dir().join("token");
    let add = [
        "repo",
        "add",
        "10.0.0.1:7444",
        "--protocol",
        "http",
        "--token-file",
        text(&file),
    ];
    let said = room.run(&add)?;
    refusal(&said, "place/bad-name")?;
    let hint = said.last()["error"]["hint"].to_string();
    ensure!(hint.contains("10.0.0.1 --port 7444"), "{hint}");
    Ok(())
}

#[test]
fn a_manager_that_nobody_introduced_is_told_to_be() -> Result<()> {
    let (room, _manager) = room()?;
    let to = room.dir().join("win.img");
    let said = room.run(&["image", "copy", "REPO:aula1/win", text(&to), "--yes"])?;
    refusal(&said, "place/not-mounted")?;
    let hint = said.last()["error"]["hint"].to_string();
    ensure!(hint.contains("azud repo add"), "{hint}");
    Ok(())
}

#[test]
fn what_only_managers_have_says_that_one_is_meant() -> Result<()> {
    let (room, manager) = room()?;
    room.know_as(&manager, "read")?;
    let (file, port) = (room.dir().join("token"), manager.port.to_string());
    let add = [
        "repo",
        "add",
        "REPO",
        "--pin",
        &manager.pin,
        "--token-file",
        text(&file),
        "--port",
        &port,
        "--yes",
    ];
    let said = room.done(&add)?;
    ensure!(said["repository"]["protocol"] == "http", "{said}");
    let said = room.run(&[&add[..], &["--protocol", "nfs"]].concat())?;
    ensure!(
        said.last()["error"]["code"] == "cli/usage",
        "{}",
        said.last()
    );
    Ok(())
}
