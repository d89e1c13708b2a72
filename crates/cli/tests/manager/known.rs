//! Managers that a client is introduced to, and what it says of those that it knows.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::sh;
use serde_json::Value;

use crate::kit::{Said, text};
use crate::server::{Manager, Room, refusal};
use crate::{MIB, image, noise};

/// What looks like a token.
const NO_TOKEN: &str = "azud_00000000_00";

/// Makes a file server known that is no manager.
const NFS: [&str; 7] = [
    "repo",
    "add",
    "nas",
    "--protocol",
    "nfs",
    "--path",
    "/images",
];

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
        let said = room.introduce(&manager, pin, NO_TOKEN)?;
        ensure!(said.status == Some(2), "{}", said.last());
        ensure!(
            said.last()["error"]["code"] == "cli/usage",
            "{}",
            said.last()
        );
    }
    let wrong = format!("sha256:{}", "f".repeat(64));
    refusal(
        &room.introduce(&manager, &wrong, NO_TOKEN)?,
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
fn what_is_no_token_is_sent_to_nobody() -> Result<()> {
    let room = Room::new()?;
    let file = room.dir().join("token");
    // Nobody listens: whoever would send it would say so.
    let add = ["repo", "add", "REPO", "--port", "1", "--token-file"];
    let add = [&add[..], &[text(&file), "--yes"]].concat();
    let long = format!("azud_00_{}", "0".repeat(1 << 20));
    for content in [
        &b"hunter2"[..],
        b"-----BEGIN PRIVATE KEY-----",
        b"-----BEGIN PRIVATE KEY-----\nMC4CAQ==\n-----END PRIVATE KEY-----\n",
        b"the token of the manager",
        b"{\"token\":\"azud_00000000_00\"}",
        b"azud_00000000_",
        b"azud_00000000_hunter2",
        b"hunter2\xff",
        long.as_bytes(),
    ] {
        fs::write(&file, content)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        let said = room.run(&add)?;
        refusal(&said, "repo/bad-token")?;
        let told = said.last().to_string();
        ensure!(told.contains(text(&file)), "{told}");
        for secret in ["hunter2", "BEGIN", "MC4", "00000000"] {
            ensure!(!told.contains(secret), "{told}");
        }
    }
    Ok(())
}

/// A token of a role, in a file of its own.
fn token(room: &Room, role: &str) -> Result<PathBuf> {
    let made = room.done(&["token", "create", "--role", role])?;
    let file = room.dir().join(role);
    fs::write(&file, made["token"].as_str().context("a token")?)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

#[test]
fn a_token_for_less_takes_no_place_unasked() -> Result<()> {
    let (room, manager) = room()?;
    let site = "manager = ['127.0.0.1', 'manager.room']\n";
    fs::write(room.dir().join("etc/azud.toml"), site)?;
    let kept = || fs::read(room.dir().join("etc/managers/127.0.0.1.token"));
    let (write, read) = (token(&room, "write")?, token(&room, "read")?);
    let port = manager.port.to_string();
    let add = |address, file: &PathBuf, more: &[&str]| {
        let add = ["repo", "add", address, "--port", &port];
        let who = ["--pin", &manager.pin, "--token-file", text(file)];
        room.run(&[&add[..], &who, more].concat())
    };
    add("REPO", &read, &[])?.done()?;
    let more = add("manager.room", &write, &[])?;
    more.done()?;
    ensure!(more.warned().is_empty() && kept()? == fs::read(&write)?);
    for address in ["REPO", "manager.room"] {
        let said = add(address, &read, &[])?;
        refusal(&said, "cli/not-confirmed")?;
        ensure!(said.warned() == ["lesser-token"], "{}", said.plan());
        ensure!(hint(&said).contains("--yes"), "{}", hint(&said));
        let dry = add(address, &read, &["--dry-run"])?;
        dry.done()?;
        ensure!(dry.warned() == ["lesser-token"], "{}", dry.plan());
        ensure!(kept()? == fs::read(&write)?, "it was replaced");
    }
    // As a repository of another kind it would have none at all.
    let nfs = ["repo", "add", "REPO", "--protocol", "nfs"];
    let said = room.run(&nfs)?;
    refusal(&said, "cli/not-confirmed")?;
    ensure!(said.warned() == ["no-manager-then"], "{}", said.plan());
    ensure!(listed(&room)?["state"] == "answers");
    add("manager.room", &read, &["--yes"])?.done()?;
    ensure!(kept()? == fs::read(&read)?, "it was not replaced");
    // Nothing of the manager stays that nobody would use any more.
    let dry = room.run(&[&nfs[..], &["--dry-run"]].concat())?;
    let files = dry.plan()["rows"]["removed_files"].clone();
    ensure!(files.as_array().is_some_and(|files| files.len() == 2));
    ensure!(kept()? == fs::read(&read)?, "a dry run removed something");
    let done = room.done(&[&nfs[..], &["--yes"]].concat())?;
    ensure!(done["removed"] == files, "{done}");
    ensure!(listed(&room)?["protocol"] == "nfs");
    let mut left = settings(&room)?.into_keys();
    ensure!(!left.any(|file| file.to_string_lossy().contains("127.0.0.1")));
    Ok(())
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
fn regression_a_manager_that_nobody_compared_gets_no_token() -> Result<()> {
    let (room, manager) = room()?;
    let (file, port) = (room.dir().join("token"), manager.port.to_string());
    // One that it would not take, by which it shows whether it got it.
    let token = format!("azud_00000000_{}", "0".repeat(64));
    fs::write(&file, token)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    let before = settings(&room)?;
    let add = ["repo", "add", "REPO", "--port", &port];
    let add = |more: &[&str]| room.run(&[&add[..], &["--token-file", text(&file)], more].concat());
    refusal(&add(&[])?, "cli/not-confirmed")?;
    add(&["--dry-run"])?.done()?;
    for sure in [&["--yes"][..], &["--pin", &manager.pin, "--dry-run"]] {
        refusal(&add(sure)?, "repo/unauthorised")?;
    }
    ensure!(settings(&room)? == before, "something is kept");
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
fn a_name_without_an_address_is_told_as_that() -> Result<()> {
    let (room, manager) = room()?;
    let name = "nobody.azud.invalid";
    let who = (manager.pin.as_str(), manager.admin.as_str());
    let said = room.introduce_as(name, manager.port, who)?;
    refusal(&said, "repo/unreachable")?;
    let message = said.last()["error"]["message"].to_string();
    let wanted = format!("{name} cannot be resolved");
    ensure!(message.contains(&wanted), "{message}");
    ensure!(hint(&said).contains("getent hosts"), "{}", hint(&said));
    Ok(())
}

#[test]
fn a_manager_without_a_token_is_told_how_one_is_got() -> Result<()> {
    let (room, manager) = room()?;
    let add = ["repo", "add", "REPO", "--pin", &manager.pin, "--yes"];
    let said = room.run(&add)?;
    ensure!(said.status == Some(2), "{}", said.last());
    for wanted in ["azud token create", "azud login 127.0.0.1"] {
        ensure!(hint(&said).contains(wanted), "{}", hint(&said));
    }
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

/// All that is in the directory of the settings, with its content.
fn settings(room: &Room) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![room.dir().join("etc")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                found.insert(path.clone(), fs::read(&path)?);
            }
        }
    }
    Ok(found)
}

#[test]
fn what_is_forgotten_leaves_no_secret_and_takes_nothing_else() -> Result<()> {
    let (room, manager) = room()?;
    room.done(&NFS)?;
    fs::create_dir(room.dir().join("etc/managers"))?;
    fs::write(room.dir().join("etc/managers/README"), "of somebody")?;
    let before = settings(&room)?;
    refusal(&room.run(&["repo", "forget", "REPO"])?, "repo/unknown")?;
    room.know(&manager)?;
    // What a killed run of the helper left is no secret.
    for left in ["part", "token.part"] {
        let left = room.dir().join(format!("etc/managers/127.0.0.1.{left}"));
        let _ = fs::remove_file(left);
    }
    let login = room.dir().join("etc/managers/127.0.0.1.login");
    fs::write(&login, "{}")?;
    let known = settings(&room)?;
    let dry = room.run(&["repo", "forget", "REPO", "--dry-run"])?;
    dry.done()?;
    ensure!(settings(&room)? == known, "a dry run changed something");
    let files = dry.plan()["rows"]["removed_files"].clone();
    ensure!(
        files.as_array().is_some_and(|files| files.len() == 3),
        "{files}"
    );
    ensure!(
        dry.plan()["rows"]["address"] == "127.0.0.1",
        "{}",
        dry.plan()
    );
    let said = room.done(&["repo", "forget", "REPO"])?;
    ensure!(
        said["action"] == "repo-forget" && said["address"] == "127.0.0.1",
        "{said}"
    );
    ensure!(said["removed"] == files, "{said}");
    ensure!(settings(&room)? == before, "{:?}", settings(&room)?.keys());
    ensure!(listed(&room)?["address"] == "nas");
    refusal(&room.run(&["repo", "forget", "REPO"])?, "repo/unknown")?;
    let to = room.dir().join("win.img");
    let copy = ["image", "copy", "REPO:aula1/win", text(&to), "--yes"];
    refusal(&room.run(&copy)?, "place/not-mounted")?;
    // It can be introduced again, and the other one goes alone as well.
    room.know(&manager)?;
    room.done(&["repo", "forget", "NAS"])?;
    ensure!(listed(&room)?["address"] == "127.0.0.1");
    room.done(&copy)?;
    Ok(())
}

#[test]
fn a_password_that_was_kept_is_forgotten_and_a_file_of_somebody_stays() -> Result<()> {
    let (room, _manager) = room()?;
    let add = [
        "repo",
        "add",
        "nas",
        "--protocol",
        "smb",
        "--path",
        "images",
    ];
    let keep = || -> Result<()> {
        let mut kept = room.command(&[&add[..], &["--user", "ana", "--password-stdin"]].concat());
        let mut child = kept.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        writeln!(child.stdin.take().context("a pipe")?, "secret")?;
        ensure!(child.wait()?.success(), "not added");
        Ok(())
    };
    keep()?;
    let file = room.dir().join("etc/credentials/nas");
    ensure!(file.exists(), "no password");
    room.done(&["repo", "forget", "nas"])?;
    ensure!(!file.exists(), "the password is still there");
    // It goes as well where the place is reached in another way from now on.
    keep()?;
    ensure!(file.exists(), "no password");
    room.done(&NFS)?;
    ensure!(!file.exists(), "the password stayed");
    let own = room.dir().join("own");
    fs::write(&own, "username=ana\npassword=secret\n")?;
    fs::set_permissions(&own, fs::Permissions::from_mode(0o600))?;
    room.done(&[&add[..], &["--credentials", text(&own)]].concat())?;
    let said = room.done(&["repo", "forget", "nas"])?;
    ensure!(
        said["removed"] == serde_json::json!([]) && own.exists(),
        "{said}"
    );
    Ok(())
}

#[test]
fn a_forgetting_that_was_cut_short_is_ended_by_the_next() -> Result<()> {
    let (room, manager) = room()?;
    room.know(&manager)?;
    let managers = room.dir().join("etc/managers");
    fs::remove_file(managers.join("127.0.0.1.token"))?;
    room.done(&["repo", "forget", "REPO"])?;
    room.know(&manager)?;
    fs::remove_file(room.dir().join("etc/repositories.json"))?;
    room.done(&["repo", "forget", "127.0.0.1"])?;
    ensure!(
        !managers.join("127.0.0.1.token").exists(),
        "a secret stayed"
    );
    // An address that has become this computer's own is one as it was typed.
    room.know(&manager)?;
    fs::write(room.dir().join("etc/azud.toml"), "serving = true\n")?;
    room.done(&["repo", "forget", "127.0.0.1"])?;
    ensure!(
        !managers.join("127.0.0.1.token").exists(),
        "a secret stayed"
    );
    Ok(())
}
