//! Managers that are reached by a name or an address that their certificates do not hold.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use azud_testkit::proxy::Proxy;
use serde_json::json;

use crate::kit::{Said, text};
use crate::server::{Room, refusal};
use crate::{MIB, image, noise, same};

/// An address of loopback that is on no interface, so that no manager finds it among its own.
const ELSEWHERE: &str = "127.0.0.9";

/// A name that leads nowhere.
const NAME: &str = "manager.room.invalid";

/// A room whose client calls the manager so.
fn room(manager: &str, seed: u64) -> Result<Room> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(seed, MIB))?;
    let site = format!("manager = '{manager}'\n");
    fs::write(room.dir().join("etc/azud.toml"), site)?;
    Ok(room)
}

fn token(room: &Room) -> Result<String> {
    let made = room.done(&["token", "create", "--role", "read"])?;
    Ok(made["token"].as_str().context("a token")?.to_owned())
}

fn copy(to: &Path) -> [&str; 5] {
    ["image", "copy", "REPO:one", text(to), "--yes"]
}

#[test]
fn a_manager_is_known_by_its_authority_whatever_it_is_called() -> Result<()> {
    let room = room(ELSEWHERE, 231)?;
    let manager = room.serve_on("0.0.0.0:0")?;
    let token = token(&room)?;
    room.introduce(&manager, &manager.pin, &token)?.done()?;
    let to = room.dir().join("to.img");
    room.done(&copy(&to))?;
    same(&room.images().join("one.img"), &to)?;
    let list = room.done(&["repo", "list"])?;
    ensure!(list["repositories"][0]["state"] == "answers", "{list}");
    ensure!(list["same_manager"] == json!([]), "{list}");
    Ok(())
}

#[test]
fn the_name_that_all_managers_have_makes_nobody_this_one() -> Result<()> {
    let room = room(ELSEWHERE, 232)?;
    let manager = room.serve_on("0.0.0.0:0")?;
    let (token, pin, port) = (token(&room)?, manager.pin.clone(), manager.port);
    room.introduce(&manager, &pin, &token)?.done()?;
    manager.kill()?;
    fs::remove_dir_all(room.state())?;
    let other = room.serve_on(&format!("0.0.0.0:{port}"))?;
    ensure!(other.pin != pin, "another authority");
    let to = room.dir().join("to.img");
    let said = room.run(&copy(&to))?;
    refusal(&said, "repo/untrusted")?;
    names(&said, ELSEWHERE)?;
    ensure!(!to.exists(), "nothing came");
    refusal(&room.introduce(&other, &pin, &token)?, "repo/untrusted")
}

/// Fails unless the error is about whom the user named.
fn names(said: &Said, host: &str) -> Result<()> {
    let message = said.last()["error"]["message"].to_string();
    ensure!(message.contains(host), "{message}");
    Ok(())
}

#[test]
fn a_manager_that_is_known_by_another_of_its_names_is_told_so() -> Result<()> {
    let room = room("127.0.0.1", 234)?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let site = format!("manager = ['{NAME}', '127.0.0.1']\n");
    fs::write(room.dir().join("etc/azud.toml"), site)?;
    let to = room.dir().join("to.img");
    let lines: [(&[&str], &str); 4] = [
        (&copy(&to), "place/not-mounted"),
        (&["image", "list", "REPO:"], "place/not-mounted"),
        (&["repo", "mount", "REPO", "--yes"], "repo/unknown"),
        (&["repo", "mount", NAME, "--yes"], "repo/unknown"),
    ];
    for (line, code) in lines {
        let said = room.run(line)?;
        refusal(&said, code).with_context(|| format!("{line:?}"))?;
        let hint = said.last()["error"]["hint"].to_string();
        for part in ["known here as 127.0.0.1", "azud.toml", NAME] {
            ensure!(hint.contains(part), "{line:?}: {hint}");
        }
    }
    let site = format!("manager = ['127.0.0.1', '{NAME}']\n");
    fs::write(room.dir().join("etc/azud.toml"), site)?;
    room.done(&copy(&to))?;
    Ok(())
}

#[test]
fn a_proxy_is_asked_for_the_manager_as_the_user_names_it() -> Result<()> {
    let room = room(NAME, 233)?;
    let manager = room.serve()?;
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, manager.port));
    let (proxy, asked) = Proxy::of_tunnels(server)?;
    let token = token(&room)?;
    // Nobody but the proxy knows the way.
    let alone = room.introduce(&manager, &manager.pin, &token)?;
    refusal(&alone, "repo/unreachable")?;
    names(&alone, NAME)?;
    let (file, port) = (room.dir().join("token"), manager.port.to_string());
    let to = room.dir().join("to.img");
    let given = [
        "--pin",
        &manager.pin,
        "--port",
        &port,
        "--token-file",
        text(&file),
    ];
    let add = [&["repo", "add", "REPO", "--yes"][..], &given].concat();
    for args in [&add[..], &copy(&to)] {
        let mut command = room.command(args);
        command.env("HTTPS_PROXY", format!("http://127.0.0.1:{}", proxy.port()));
        Said::of(&command.output()?)?.done()?;
    }
    same(&room.images().join("one.img"), &to)?;
    let asked = asked.lock().expect("nobody panicked");
    let wanted = format!("CONNECT {NAME}:{port} HTTP/1.1");
    ensure!(
        !asked.is_empty() && asked.iter().all(|line| *line == wanted),
        "{asked:?}"
    );
    Ok(())
}
