//! The manager's own state: what others can read or replace is refused, and so is half an authority.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};

use crate::kit::text;
use crate::server::{Room, refusal};

#[test]
fn a_state_that_others_can_read_or_replace_is_refused() -> Result<()> {
    let room = Room::new()?;
    drop(room.serve()?);
    room.done(&["token", "code"])?;
    let images = room.images();
    // What is not refused cannot listen, and nobody waits for its end.
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let at = taken.local_addr()?.to_string();
    let lines: [&[&str]; 3] = [
        &["serve", "--images", text(&images), "--listen", &at],
        &["token", "create"],
        &["token", "code"],
    ];
    for (name, mode, good) in [
        ("ca.key", 0o640, 0o600),
        ("tokens.json", 0o604, 0o600),
        ("codes.json", 0o602, 0o600),
        ("", 0o777, 0o700),
    ] {
        let path = room.state().join(name);
        let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode));
        set(mode)?;
        for line in lines {
            let said = room.run(line)?;
            refusal(&said, "repo/open-secret").with_context(|| format!("{name} {line:?}"))?;
            let message = said.last()["error"]["message"].as_str();
            ensure!(message.is_some_and(|it| it.contains(name)), "{message:?}");
        }
        set(good)?;
    }
    drop(room.serve()?);
    Ok(())
}

#[test]
fn a_token_is_made_and_looked_for_only_where_a_manager_has_its_state() -> Result<()> {
    let room = Room::new()?;
    let (none, other) = (room.dir().join("none"), room.dir().join("images"));
    let lines: [&[&str]; 5] = [
        &["token", "create"],
        &["token", "code"],
        &["token", "list"],
        &["token", "revoke", "00"],
        &["room", "status"],
    ];
    let refused = |wanted: &str| -> Result<()> {
        for line in lines {
            for dir in [&none, &other] {
                let said = room.run(&[line, &["--state", text(dir)]].concat())?;
                refusal(&said, "server/no-state").with_context(|| format!("{line:?}"))?;
                let error = said.last()["error"].clone();
                ensure!(error["message"].to_string().contains(text(dir)), "{error}");
                ensure!(error["hint"].to_string().contains(wanted), "{error}");
            }
        }
        ensure!(!none.exists(), "it was made");
        ensure!(fs::read_dir(&other)?.next().is_none(), "something was made");
        Ok(())
    };
    refused("azud serve")?;
    let manager = room.serve()?;
    room.done(&["token", "create"])?;
    refused(text(&room.state()))?;
    drop(manager);
    room.done(&["token", "list"])?;
    Ok(())
}

#[test]
fn a_state_that_cannot_be_made_is_not_told_as_an_image() -> Result<()> {
    let room = Room::new()?;
    let images = room.images();
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let at = taken.local_addr()?.to_string();
    // Nobody makes a directory there.
    let state = "/proc/none/azud";
    let serve = ["serve", "--images", text(&images), "--listen", &at];
    let said = room.run(&[&serve[..], &["--state", state]].concat())?;
    refusal(&said, "server/no-state")?;
    let error = said.last()["error"].to_string();
    ensure!(
        error.contains(state) && error.contains("--state"),
        "{error}"
    );
    Ok(())
}

#[test]
fn images_are_served_from_a_directory_alone() -> Result<()> {
    let room = Room::new()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let at = taken.local_addr()?.to_string();
    let (file, none) = (room.dir().join("file"), room.dir().join("none"));
    fs::write(&file, "")?;
    for (images, code, message, hint) in [
        (&file, "image/not-a-file", "is no directory", "--images DIR"),
        (&none, "image/not-found", "there is no directory", "mkdir"),
    ] {
        let said = room.run(&["serve", "--images", text(images), "--listen", &at])?;
        refusal(&said, code)?;
        let error = &said.last()["error"];
        ensure!(error["message"].to_string().contains(message), "{error}");
        ensure!(error["hint"].to_string().contains(hint), "{error}");
    }
    Ok(())
}

#[test]
fn half_an_authority_is_no_new_one() -> Result<()> {
    let room = Room::new()?;
    let manager = room.serve()?;
    let (pin, port) = (manager.pin.clone(), manager.port);
    drop(manager);
    let (key, kept) = (room.state().join("ca.key"), room.dir().join("ca.key"));
    fs::rename(&key, &kept)?;
    let images = room.images();
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let at = taken.local_addr()?.to_string();
    let serve = ["serve", "--images", text(&images), "--listen", &at];
    let said = room.run(&serve)?;
    refusal(&said, "server/bad-certificate")?;
    let message = said.last()["error"]["message"].as_str();
    ensure!(
        message.is_some_and(|it| it.contains("ca.key")),
        "{message:?}"
    );
    ensure!(!key.exists(), "a new key was made");
    fs::rename(&kept, &key)?;
    ensure!(room.serve_at(port)?.pin == pin);
    Ok(())
}
