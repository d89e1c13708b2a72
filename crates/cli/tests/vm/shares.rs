//! One share: two computers that want one image on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::have;

use crate::in_vm;
use crate::kit::{Said, done, ext4, over, text, tidy, whole};
use crate::room::Room;
use crate::servers::{ADDRESS, samba, with_input};

/// Runs a program on a computer of this name, in a start of the system of its own.
const ELSEWHERE: &str =
    r#"hostname "$1"; mount --bind "$2" /proc/sys/kernel/random/boot_id; shift 2; exec "$@""#;

/// A computer with a mount of the share of its own.
struct Computer<'a> {
    name: &'static str,
    room: &'a Room,
}

impl Computer<'_> {
    fn command(&self, args: &[&str]) -> Result<Command> {
        let boot = self.room.path("boot_id");
        fs::write(&boot, format!("of {}\n", self.name))?;
        let mut command = Command::new("unshare");
        command.args(["--mount", "--uts", "sh", "-ec", ELSEWHERE, "sh", self.name]);
        command.arg(boot).arg(env!("CARGO_BIN_EXE_azud"));
        let mut command = over(command, args);
        self.room.furnish(&mut command);
        Ok(command)
    }

    fn start(&self, args: &[&str]) -> Result<Child> {
        let mut command = self.command(args)?;
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(piped.spawn()?)
    }

    /// The image, as this computer sees it.
    fn image(&self) -> PathBuf {
        self.room.path("root").join(ADDRESS).join("lab/aula.img")
    }

    /// Begins to bring another version to it.
    fn update(&self, from: &Path) -> Result<Child> {
        let image = self.image();
        self.start(&["cache", "update", text(&image), "--from", text(from)])
    }
}

/// What two computers do to one image in the folder `lab` of a share, which lies at `served`.
fn contend(served: &Path, computers: [&Computer; 2]) -> Result<()> {
    let [one, two] = computers;
    let dir = tempfile::tempdir()?;
    let volume = dir.path().join("volume");
    let mut versions = Vec::new();
    for name in ["a.img", "b.img"] {
        ext4(&volume, 24, 12)?;
        let image = dir.path().join(name);
        let made = done(&["image", "create", text(&volume), text(&image)])?;
        let identity = made["identity"].as_str().context("identity")?.to_owned();
        versions.push((image, identity));
    }
    // While one of them writes it, the other is told who that is.
    let (here, lab) = (one.image(), served.join("lab"));
    let create = [
        "image",
        "create",
        text(&volume),
        text(&here),
        "--level",
        "19",
    ];
    let mut first = one.start(&create)?;
    let begun = Instant::now();
    while !lab.join("aula.img.lock").exists() {
        ensure!(first.try_wait()?.is_none(), "it ended before it was locked");
        ensure!(begun.elapsed() < Duration::from_mins(2), "no lock appears");
        std::thread::sleep(Duration::from_millis(5));
    }
    let refused = Said::of(&two.update(&versions[0].0)?.wait_with_output()?)?;
    ensure!(first.try_wait()?.is_none(), "too quick to prove anything");
    ensure!(refused.refused()? == "image/locked", "{}", refused.last());
    let message = refused.last()["error"]["message"].to_string();
    ensure!(message.contains(one.name), "{message}");
    Said::of(&first.wait_with_output()?)?.done()?;
    whole(&lab.join("aula.img"))?;
    // Both at once, time and again: whoever does not win is told so, and what is there is a winner's.
    for round in 0..4 {
        let wanted = [&versions[round % 2], &versions[(round + 1) % 2]];
        let running = [one.update(&wanted[0].0)?, two.update(&wanted[1].0)?];
        let mut won = Vec::new();
        for (child, (_, identity)) in running.into_iter().zip(wanted) {
            let said = Said::of(&child.wait_with_output()?)?;
            if said.status == Some(0) {
                won.push(identity);
            } else {
                ensure!(said.refused()? == "image/locked", "{}", said.last());
            }
        }
        let identity = whole(&lab.join("aula.img"))?;
        ensure!(won.contains(&&identity), "{identity} of {won:?}");
        tidy(&lab)?;
    }
    // Who lost has only to come again.
    for (computer, (from, identity)) in computers.into_iter().zip(&versions) {
        Said::of(&computer.update(from)?.wait_with_output()?)?.done()?;
        ensure!(whole(&lab.join("aula.img"))? == *identity);
    }
    tidy(&lab)
}

#[test]
fn vm_two_computers_want_one_image_on_a_samba_share() -> Result<()> {
    if !in_vm() || !have(&["smbd", "smbpasswd", "mount.cifs", "unshare"]) {
        return Ok(());
    }
    let (room, other) = (Room::new()?, Room::new()?);
    let _server = samba(&room)?;
    let served = room.path("images");
    fs::create_dir(served.join("lab"))?;
    for room in [&room, &other] {
        let mount = [
            "repo",
            "mount",
            ADDRESS,
            "--protocol",
            "smb",
            "--user",
            "lab",
            "--password-stdin",
            // One connection for each, as of two computers.
            "--write",
            "--option",
            "nosharesock",
        ];
        with_input(room, &mount, "gehe,im\n")?.done()?;
    }
    let computers = [("pc-one", &room), ("pc-two", &other)];
    let [one, two] = computers.map(|(name, room)| Computer { name, room });
    contend(&served, [&one, &two])?;
    for room in [&room, &other] {
        room.done(&["repo", "unmount", ADDRESS])?;
        room.tidy()?;
    }
    Ok(())
}
