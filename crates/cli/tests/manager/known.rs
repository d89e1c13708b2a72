//! Managers that a client is introduced to, and what it says of those that it knows.

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::sh;
use serde_json::Value;

use crate::kit::{Said, text};
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

/// What is said that somebody can do.
fn hint(said: &Said) -> String {
    said.last()["error"]["hint"].to_string()
}

#[test]
fn an_address_as_in_a_url_is_told_as_it_goes_here() -> Result<()> {
    let (room, _manager) = room()?;
    let file = room.dir().join("token");
    let more = ["--protocol", "http", "--token-file", text(&file)];
    for (address, wanted) in [
        ("10.0.0.1:7444", "10.0.0.1 --port 7444"),
        ("[10.0.0.1]:7444", "10.0.0.1 --port 7444"),
        ("https://10.0.0.1:7444/", "10.0.0.1 --port 7444"),
        ("https://[fd00::1]:7444", "[fd00::1] --port 7444"),
        (
            "https://manager.room",
            "azud repo add manager.room --protocol http",
        ),
    ] {
        let said = room.run(&[&["repo", "add", address][..], &more].concat())?;
        refusal(&said, "place/bad-name")?;
        ensure!(hint(&said).contains(wanted), "{address}: {}", hint(&said));
    }
    Ok(())
}

#[test]
fn a_file_without_a_token_is_told_with_the_way_to_one() -> Result<()> {
    let (room, manager) = room()?;
    let (file, port) = (room.dir().join("token"), manager.port.to_string());
    let add = [
        "repo",
        "add",
        "REPO",
        "--pin",
        &manager.pin,
        "--port",
        &port,
        "--token-file",
        text(&file),
        "--yes",
    ];
    let refused = || -> Result<String> {
        let said = room.run(&add)?;
        refusal(&said, "repo/bad-token")?;
        ensure!(hint(&said).contains("azud token create"), "{}", hint(&said));
        Ok(said.last()["error"]["message"].to_string())
    };
    let name = text(&file);
    let said = refused()?;
    ensure!(said.contains(&format!("there is no {name}")), "{said}");
    for (content, wanted) in [
        ("", "is empty"),
        (" \n", "is empty"),
        ("no token", "holds no token"),
    ] {
        sh("umask 077; printf %s \"$1\" >\"$2\"", &[content, name])?;
        let said = refused()?;
        ensure!(said.contains(&format!("{name} {wanted}")), "{said}");
    }
    // So it is with what was kept, where somebody lost it.
    room.know(&manager)?;
    let kept = room.dir().join("etc/managers/127.0.0.1.token");
    std::fs::remove_file(&kept)?;
    let list = room.run(&["image", "list", "REPO:"])?;
    refusal(&list, "repo/bad-token")
}

#[test]
fn a_fingerprint_that_nobody_compared_is_said_how() -> Result<()> {
    let (room, manager) = room()?;
    room.know(&manager)?;
    let (file, port) = (room.dir().join("token"), manager.port.to_string());
    let add = ["repo", "add", "REPO", "--port", &port];
    let add = [&add[..], &["--token-file", text(&file)]].concat();
    let said = room.run(&add)?;
    refusal(&said, "cli/not-confirmed")?;
    let (message, hint) = (said.last()["error"]["message"].to_string(), hint(&said));
    ensure!(message.contains("fingerprint of 127.0.0.1"), "{message}");
    let wanted = [format!("--pin {}", manager.pin), "azud serve".to_owned()];
    ensure!(wanted.iter().all(|part| hint.contains(part)), "{hint}");
    room.done(&[&add[..], &["--pin", &manager.pin, "--yes"]].concat())?;
    Ok(())
}

#[test]
fn a_manager_that_nobody_introduced_is_told_to_be() -> Result<()> {
    let (room, _manager) = room()?;
    let to = room.dir().join("win.img");
    let said = room.run(&["image", "copy", "REPO:aula1/win", text(&to), "--yes"])?;
    refusal(&said, "place/not-mounted")?;
    ensure!(hint(&said).contains("azud repo add"), "{}", hint(&said));
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
