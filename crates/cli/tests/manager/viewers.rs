//! Who sees a view of a manager: whom the manager trusts, and which users of the computer.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{run, run_any, sh};

use crate::kit::{self, program, text};
use crate::server::{Room, refusal};
use crate::view::{Client, cannot, known, until};
use crate::{MIB, image, noise, same};

#[test]
fn a_view_whose_token_was_revoked_is_told_so_and_takes_the_next_one() -> Result<()> {
    if cannot() {
        return Ok(());
    }
    let (client, manager) = known(210, MIB)?;
    let (room, at) = (&client.room, client.at());
    client.mount()?;
    let tokens = room.done(&["token", "list"])?;
    for token in tokens["tokens"].as_array().context("tokens")? {
        if token["role"] == "read" {
            let id = token["id"].as_str().context("its id")?;
            room.done(&["token", "revoke", id])?;
        }
    }
    until("it is refused", || Ok(client.state()?.0 == "refused"))?;
    let said = room.run(&["repo", "list"])?;
    ensure!(said.told().contains("azud token create"));
    let doctor = format!("{:?}", room.run(&["doctor"])?.lines);
    ensure!(doctor.contains("view-refused"), "{doctor}");
    room.know(&manager)?;
    until("it goes on", || Ok(client.state()?.0 == "mounted"))?;
    same(
        &room.images().join("aula1/win.img"),
        &at.join("aula1/win.img"),
    )?;
    drop(manager);
    until("it is silent", || Ok(client.state()?.0 == "unreachable"))?;
    let said = room.run(&["repo", "list"])?;
    ensure!(said.told().contains("azud serve"));
    // It is called as it is where it is taken away.
    let doctor = format!("{:?}", room.run(&["doctor"])?.lines);
    let source = r#""source": String("127.0.0.1")"#;
    ensure!(doctor.contains(source), "{doctor}");
    room.done(&["repo", "unmount", "REPO", "--yes"])?;
    client.gone()
}

#[test]
fn a_manager_that_is_not_trusted_is_not_mounted() -> Result<()> {
    if cannot() {
        return Ok(());
    }
    let client = Client::new()?;
    let room = &client.room;
    image(room, "one.img", &noise(209, MIB))?;
    let manager = room.serve()?;
    let made = room.done(&["token", "create", "--role", "read"])?;
    let token = made["token"].as_str().context("a token")?;
    let file = room.dir().join("reader");
    sh("umask 077; printf %s \"$1\" >\"$2\"", &[token, text(&file)])?;
    let port = manager.port.to_string();
    let plain = [
        "repo",
        "mount",
        "REPO",
        "--protocol",
        "http",
        "--port",
        &port,
    ];
    let with = |more: &[&str]| room.run(&[&plain[..], &["--yes"], more].concat());
    let wrong = format!("sha256:{}", "0".repeat(64));
    refusal(&with(&[])?, "repo/unknown")?;
    refusal(
        &with(&["--pin", &wrong, "--token-file", text(&file)])?,
        "repo/untrusted",
    )?;
    ensure!(
        with(&["--token-file", text(&file)])?.status == Some(2),
        "no pin"
    );
    client.gone()?;
    let given = ["--pin", &manager.pin, "--token-file", text(&file)];
    let written = with(&[&given[..], &["--write"]].concat())?;
    ensure!(written.status == Some(2), "{}", written.last());
    client.gone()?;
    with(&given)?.done()?;
    same(&room.images().join("one.img"), &client.at().join("one.img"))?;
    for process in client.processes()? {
        for of in ["cmdline", "environ"] {
            let shown = fs::read(Path::new("/proc").join(&process).join(of))?;
            ensure!(!String::from_utf8_lossy(&shown).contains(token), "{of}");
        }
    }
    room.done(&["repo", "unmount", "REPO", "--yes"])?;
    room.know(&manager)?;
    refusal(
        &room.run(&["repo", "mount", "REPO", "--pin", &wrong, "--yes"])?,
        "repo/untrusted",
    )?;
    client.gone()
}

/// Whether a user who is nobody in particular can read the image.
fn for_others(client: &Client) -> Result<bool> {
    let image = client.at().join("aula1/win.img");
    let who = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let args = [&who[..], &["head", "-c", "9", text(&image)]].concat();
    Ok(run_any("setpriv", &args)?.status.success())
}

#[test]
fn others_than_root_read_what_they_are_meant_to() -> Result<()> {
    if cannot() {
        return Ok(());
    }
    let (client, _manager) = known(219, 2 * MIB)?;
    for dir in [client.room.dir(), client.at().parent().context("a root")?] {
        fs::create_dir_all(dir)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
    }
    client.mount()?;
    ensure!(!for_others(&client)?, "root alone, unless it is said");
    let all = ["repo", "mount", "REPO", "--for-all", "--yes"];
    let said = client.room.run(&all)?;
    refusal(&said, "disk/mounted")?;
    // By its address, as everywhere; what the kernel calls it has the fingerprint in it.
    let message = said.last()["error"]["message"].to_string();
    let is_named = message.contains("127.0.0.1:") && !message.contains("sha256:");
    ensure!(is_named, "{message}");
    client.room.done(&["repo", "unmount", "REPO", "--yes"])?;
    client.room.done(&all)?;
    ensure!(for_others(&client)?);
    // Who says nothing of others does not mean them.
    let root_alone = ["repo", "mount", "REPO", "--yes"];
    refusal(&client.room.run(&root_alone)?, "disk/mounted")?;
    client.room.done(&all)?;
    Ok(())
}

#[test]
fn regression_a_view_of_another_manager_is_not_the_one_that_is_asked_for() -> Result<()> {
    if cannot() {
        return Ok(());
    }
    let (client, _manager) = known(221, MIB)?;
    client.mount()?;
    // Another manager of the same computer.
    let other = Room::new()?;
    let second = other.serve()?;
    let made = other.done(&["token", "create", "--role", "read"])?;
    let token = made["token"].as_str().context("a token")?;
    client.room.introduce(&second, &second.pin, token)?.done()?;
    let again = ["repo", "mount", "REPO", "--yes"];
    refusal(&client.room.run(&again)?, "disk/mounted")?;
    client.room.done(&["repo", "unmount", "REPO", "--yes"])?;
    client.mount()?;
    ensure!(kit::names(&client.at())?.is_empty(), "the other's images");
    ensure!(client.state()? == ("mounted".into(), "http".into()));
    Ok(())
}

/// A process that stands still until this is dropped.
struct Still(String);

impl Still {
    fn make(process: u32) -> Result<Self> {
        let process = process.to_string();
        run("kill", &["-STOP", &process])?;
        Ok(Self(process))
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        let _ = run_any("kill", &["-CONT", &self.0]);
    }
}

#[test]
fn a_view_whose_manager_is_gone_is_not_called_mounted_for_a_moment() -> Result<()> {
    if cannot() {
        return Ok(());
    }
    let (client, manager) = known(214, MIB)?;
    client.mount()?;
    // What the view knows is a moment old.
    fs::read_dir(client.at())?;
    manager.kill()?;
    let said = client.room.run(&["repo", "list"])?;
    let row = said.done()?["repositories"][0].clone();
    ensure!(
        row["state"] == "unreachable" && row["at"].is_string(),
        "{row}"
    );
    ensure!(said.told().contains("azud serve"), "{}", said.told());
    // The kernel may go on knowing names for a while.
    ensure!(
        said.told().contains("at most what was seen"),
        "{}",
        said.told()
    );
    ensure!(fs::read(client.at().join("aula1/win.img")).is_err());
    let mut list = Command::new(program());
    list.args(["repo", "list", "--lang", "en"]);
    let output = client.room.settings(&mut list).output()?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(text.contains("mounted, no answer"), "{text}");
    Ok(())
}

#[test]
fn a_view_whose_manager_is_silent_holds_nobody() -> Result<()> {
    if cannot() {
        return Ok(());
    }
    let (client, manager) = known(215, MIB)?;
    client.mount()?;
    let _still = Still::make(manager.pid())?;
    // What the view knew is of no use any more.
    std::thread::sleep(Duration::from_secs(2));
    let begun = Instant::now();
    let state = client.state()?.0;
    let list = begun.elapsed();
    ensure!(state == "unreachable", "{state}");
    ensure!(list < Duration::from_secs(6), "a list: {list:?}");
    let begun = Instant::now();
    client.room.done(&["repo", "unmount", "REPO", "--yes"])?;
    let unmount = begun.elapsed();
    ensure!(unmount < Duration::from_secs(5), "an end: {unmount:?}");
    client.gone()
}

#[test]
fn folders_are_as_new_as_what_is_in_them() -> Result<()> {
    if cannot() {
        return Ok(());
    }
    let (client, _manager) = known(216, MIB)?;
    let room = &client.room;
    image(room, "aula2/deep/win.img", &noise(217, MIB))?;
    let old = "find \"$1\" -type f -exec touch -d @$2 {} +; touch -d @$3 \"$1/$4\"";
    let date = |folder: &str, one: &str, all: &str, newest: &str| {
        let folder = room.images().join(folder);
        sh(old, &[text(&folder), all, newest, one])
    };
    date("aula1", "win.img", "1000000000", "1000000007")?;
    date("aula2", "deep/win.img.info", "1100000000", "1100000007")?;
    client.mount()?;
    let of = |folder: &str| -> Result<u64> {
        let meta = fs::metadata(client.at().join(folder))?;
        Ok(meta.modified()?.duration_since(UNIX_EPOCH)?.as_secs())
    };
    for (folder, time) in [
        ("aula1", 1_000_000_007),
        ("aula2", 1_100_000_007),
        ("aula2/deep", 1_100_000_007),
        ("", 1_100_000_007),
    ] {
        ensure!(of(folder)? == time, "{folder}: {}", of(folder)?);
    }
    room.done(&["repo", "unmount", "REPO", "--yes"])?;
    // Where there is nothing, it is as old as the view.
    fs::remove_dir_all(room.images().join("aula1"))?;
    fs::remove_dir_all(room.images().join("aula2"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    client.mount()?;
    ensure!(of("")? >= now, "{}", of("")?);
    Ok(())
}
