//! Servers that never say a word, and names of what is gone.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use azud_testkit::tools::{find, have, have_root};

use crate::kit::{Said, text};
use crate::room::Room;

/// Mounts a file system without a server at `$2`, and a directory as another repository beside it; whoever looks at
/// the first stands still. It goes with the namespace.
const SILENT: &str = "set -e; exec 5<>/dev/fuse; mkdir -p \"$1/10.0.0.8\"
    mount --bind \"$3\" \"$1/10.0.0.8\"
    mkdir -p \"$2\"; mount -i -t fuse -o fd=5,rootmode=40000,user_id=0,group_id=0 azud-dumb \"$2\"
    shift 3; timeout 60 \"$@\" 5>&-; exit $?";

/// Runs the program where the server of what is mounted at `at` is silent.
fn beside_silence(room: &Room, at: &str, args: &[&str]) -> Result<Said> {
    let (root, at, images) = (room.path("root"), room.path(at), room.path("images"));
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", SILENT, "sh"]);
    command.args([text(&root), text(&at), text(&images)]);
    let program = room.command(args);
    command.arg(program.get_program()).args(program.get_args());
    room.furnish(&mut command);
    command.env("AZUD_MANAGER", "10.0.0.8");
    let begun = Instant::now();
    let said = Said::of(&command.output()?)?;
    // Half of the time after which a command that is held would be killed.
    ensure!(
        begun.elapsed() < Duration::from_secs(30),
        "{args:?} was held"
    );
    Ok(said)
}

fn ready() -> bool {
    have_root() && have(&["unshare", "mount", "timeout"]) && find("sh").is_some()
}

#[test]
fn a_silent_server_holds_no_command_and_the_others_go_on() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let room = Room::new()?;
    let at = room.path("root/10.0.0.9");
    let said = |args: &[&str]| beside_silence(&room, "root/10.0.0.9", args);
    for list in ["10.0.0.9:", text(&at)] {
        assert_eq!(
            said(&["image", "list", list])?.refused()?,
            "place/not-answering"
        );
    }
    let there = at.join("aula1/win.img");
    for image in ["10.0.0.9:aula1/win", text(&there)] {
        let info = said(&["image", "info", image])?;
        assert_eq!(info.refused()?, "place/not-answering", "{image}");
    }
    let listed = said(&["image", "list", "REPO:"])?;
    assert_eq!(listed.done()?["images"][0]["path"], "aula1/win.img");
    let listed = said(&["repo", "list"])?;
    let states = listed.done()?["repositories"].as_array().map(|all| {
        let states = all.iter().map(|it| (&it["address"], &it["state"]));
        states
            .map(|pair| format!("{pair:?}"))
            .collect::<Vec<_>>()
            .concat()
    });
    let states = states.unwrap_or_default();
    ensure!(
        states.contains("unreachable") && states.contains("\"mounted\""),
        "{states}"
    );
    said(&["storage", "list"])?.done()?;
    let env = said(&["env"])?;
    let variables = &env.done()?["variables"];
    ensure!(
        variables["REPO"].is_string() && variables.get("REPO_10_0_0_9").is_none(),
        "{variables}"
    );
    let warning = env.lines[0]["warning"].as_str().unwrap_or_default();
    ensure!(warning.contains("10.0.0.9"), "{warning}");
    said(&["repo", "unmount", "10.0.0.9"])?.done()?;
    Ok(())
}

#[test]
fn a_silent_root_holds_no_command() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let room = Room::new()?;
    let said = |args: &[&str]| beside_silence(&room, "root", args);
    for args in [
        &["image", "list", "REPO:"][..],
        &["image", "list", "10.0.0.8:"],
        &["env"],
        &[
            "repo",
            "mount",
            "10.0.0.7",
            "--protocol",
            "file",
            "--path",
            "/",
        ],
    ] {
        assert_eq!(said(args)?.refused()?, "place/not-answering", "{args:?}");
    }
    said(&["repo", "list"])?.done()?;
    said(&["storage", "list"])?.done()?;
    Ok(())
}
