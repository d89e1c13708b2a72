//! What the manager's computer has mounted of a server reaches its clients, also where another account runs the manager than the one
//! that mounted it, as the unit has it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{have, sh};
use serde_json::Value;

use crate::in_vm;
use crate::kit::{done, ext4, over, text};
use crate::room::Room;
use crate::servers::{ADDRESS, Server, nfs, samba, with_input};

/// Somebody who may do nothing that others may not.
const NOBODY: [&str; 3] = ["--reuid=65534", "--regid=65534", "--clear-groups"];

/// An image in the folder of a server.
fn image(room: &Room, dir: &Path) -> Result<()> {
    let (volume, image) = (room.path("volume"), dir.join("aula1/lin.img"));
    ext4(&volume, 24, 12)?;
    done(&["image", "create", text(&volume), text(&image), "--yes"])?;
    Ok(())
}

/// A manager on the computer of this room, run by nobody; a client of it that knows its address.
fn serve(room: &Room) -> Result<(Server, Room)> {
    let script =
        r#"chmod 755 "$1"; mkdir "$1/state" "$1/own"; chown 65534:65534 "$1/state" "$1/own""#;
    sh(script, &[text(&room.path(""))])?;
    let mut command = Command::new("setpriv");
    command.args(NOBODY).arg(env!("CARGO_BIN_EXE_azud"));
    let own = room.path("own");
    let args = ["serve", "--listen", "127.0.0.1:0", "--images", text(&own)];
    let mut command = over(command, &args);
    room.furnish(&mut command);
    command.env("AZUD_STATE", room.path("state"));
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().context("a pipe")?;
    let server = Server(child);
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line)?;
    let said: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (pin, listen) = (word(&said["pin"]), word(&said["listen"][0]));
    let (_, port) = listen.rsplit_once(':').with_context(|| line.clone())?;
    let client = Room::new()?;
    fs::write(client.path("etc/azud.toml"), "manager = '127.0.0.1'\n")?;
    let token = client.path("token");
    fs::write(&token, word(&said["admin_token"]))?;
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600))?;
    let add = ["repo", "add", "REPO", "--protocol", "http", "--port", port];
    let secrets = ["--pin", &pin, "--token-file", text(&token), "--yes"];
    client.done(&[&add[..], &secrets].concat())?;
    Ok((server, client))
}

/// What a client gets of the share is what its server has.
fn reaches_clients(room: &Room, served: &Path) -> Result<()> {
    let (_manager, client) = serve(room)?;
    let listed = client.done(&["image", "list", "10.9.9.9:"])?;
    let images = listed["images"].as_array().into_iter().flatten();
    let paths: Vec<&Value> = images.map(|image| &image["path"]).collect();
    ensure!(paths.contains(&&"aula1/lin.img".into()), "{listed}");
    let here = client.path("lin.img");
    client.done(&["image", "copy", "10.9.9.9:aula1/lin", text(&here), "--yes"])?;
    let there = served.join("aula1/lin.img");
    ensure!(fs::read(&there)? == fs::read(&here)?, "other bytes");
    client.done(&["image", "verify", "10.9.9.9:aula1/lin"])?;
    Ok(())
}

#[test]
fn vm_a_samba_share_reaches_the_clients_of_the_manager() -> Result<()> {
    if !in_vm() || !have(&["smbd", "smbpasswd", "mount.cifs", "setpriv"]) {
        return Ok(());
    }
    let room = Room::new()?;
    let _server = samba(&room)?;
    image(&room, &room.path("images"))?;
    let mut mount = vec!["repo", "mount", ADDRESS, "--protocol", "smb"];
    mount.extend(["--user", "lab", "--password-stdin"]);
    with_input(&room, &mount, "gehe,im\n")?.done()?;
    reaches_clients(&room, &room.path("images"))?;
    room.done(&["repo", "unmount", ADDRESS])?;
    room.tidy()
}

#[test]
fn vm_an_nfs_export_reaches_the_clients_of_the_manager() -> Result<()> {
    if !in_vm() || !have(&["rpc.nfsd", "rpc.mountd", "exportfs", "mount.nfs", "setpriv"]) {
        return Ok(());
    }
    let room = Room::new()?;
    let server = nfs(&room)?;
    let export = room.path("export");
    image(&room, &export)?;
    room.done(&["repo", "mount", ADDRESS, "--path", "/"])?;
    reaches_clients(&room, &export)?;
    room.done(&["repo", "unmount", ADDRESS])?;
    server.end()?;
    room.tidy()
}
