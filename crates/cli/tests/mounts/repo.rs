//! `azud repo`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};
use azud_testkit::tools::{have, have_root};

use crate::kit::{Said, text};
use crate::room::Room;

/// Mounts a directory as the repository of an address.
fn directory<'a>(address: &'a str, path: &'a str) -> [&'a str; 7] {
    [
        "repo",
        "mount",
        address,
        "--protocol",
        "file",
        "--path",
        path,
    ]
}

#[test]
fn mount_several_repositories_at_once_each_at_its_address() -> Result<()> {
    if !have_root() {
        return Ok(());
    }
    let room = Room::new()?;
    let told = room.mount("10.0.0.9", &[])?;
    assert_eq!(told["read_only"], true);
    // Once more is the same, and once is enough to take it away.
    assert_eq!(room.mount("10.0.0.9", &[])?, told);
    room.mount("NAS.example.org", &["--write"])?;
    let (first, second) = (
        room.path("root/10.0.0.9"),
        room.path("root/nas.example.org"),
    );
    assert_eq!(fs::read_to_string(first.join("aula1/win.img"))?, "an image");
    assert!(
        fs::write(first.join("new"), "x").is_err(),
        "read-only by default"
    );
    fs::write(second.join("new"), "x")?;
    let listed = room.done(&["image", "list", "10.0.0.9:"])?;
    assert_eq!(listed["images"][0]["path"], "aula1/win.img");
    assert_eq!(room.state("10.0.0.9")?, "mounted");
    assert_eq!(room.state("nas.example.org")?, "mounted");
    let (code, _) = room.refused(&directory("10.0.0.9", "/"))?;
    assert_eq!(code, "disk/mounted");
    assert_eq!(room.state("10.0.0.9")?, "mounted");
    room.done(&["repo", "unmount", "10.0.0.9"])?;
    assert_eq!(room.state("10.0.0.9")?, "absent");
    assert_eq!(room.state("nas.example.org")?, "mounted");
    room.done(&["repo", "unmount", "nas.example.org"])?;
    let (code, _) = room.refused(&["repo", "unmount", "nas.example.org"])?;
    assert_eq!(code, "mount/not-mounted");
    room.tidy()
}

#[test]
fn mount_over_another_says_what_is_there_and_how_it_goes() -> Result<()> {
    if !have_root() {
        return Ok(());
    }
    let room = Room::new()?;
    room.mount("10.0.0.9", &[])?;
    let (images, at) = (room.path("images"), room.path("root/10.0.0.9"));
    let other = room.path("etc");
    let args = |path, more: &[&'static str]| {
        let args = directory("10.0.0.9", path);
        [&args[..], more].concat()
    };
    for args in [args(text(&other), &[]), args(text(&images), &["--write"])] {
        for step in ["--dry-run", "--yes"] {
            let said = room.said(&[&args[..], &[step]].concat())?;
            assert_eq!(said.refused()?, "disk/mounted");
            assert!(said.plan().is_null(), "{}", said.plan());
            let error = &said.last()["error"];
            let all = [&error["message"], &error["cause"], &error["hint"]];
            let all = all.map(ToString::to_string).concat();
            assert!(
                all.contains(text(&images)) && all.contains(text(&at)),
                "{all}"
            );
            assert!(all.contains("read-only"), "{all}");
            assert!(all.contains("sudo azud repo unmount 10.0.0.9"), "{all}");
        }
    }
    // What is there as it was asked for needs no plan.
    let mut command = Command::new(env!("CARGO_BIN_EXE_azud"));
    room.furnish(command.args(args(text(&images), &[])).env("LC_ALL", "C"));
    let output = command.output()?;
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout)?;
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(text(&at)), "{said}");
    room.done(&["repo", "unmount", "10.0.0.9"])?;
    room.tidy()
}

#[test]
fn mount_of_the_manager_gives_it_all_its_names() -> Result<()> {
    if !have_root() {
        return Ok(());
    }
    let room = Room::new()?;
    fs::write(
        room.path("etc/azud.toml"),
        "manager = [\"10.0.0.9\", \"og.example.org\"]\n",
    )?;
    let told = room.mount("REPO", &[])?;
    assert_eq!(told["address"], "10.0.0.9");
    for name in ["10.0.0.9", "og.example.org", "REPO", "repo"] {
        let file = room.path("root").join(name).join("aula1/win.img");
        assert_eq!(fs::read_to_string(file)?, "an image", "{name}");
    }
    room.done(&["repo", "unmount", "og.example.org"])?;
    room.tidy()
}

#[test]
fn mount_that_fails_leaves_nothing_behind() -> Result<()> {
    if !have_root() {
        return Ok(());
    }
    let room = Room::new()?;
    let absent = room.path("absent");
    let (code, _) = room.refused(&directory("10.0.0.9", text(&absent)))?;
    assert_eq!(code, "repo/no-such-share");
    let (code, _) = room.refused(&["repo", "mount", "10.0.0.9", "--protocol", "file"])?;
    assert_eq!(code, "repo/unknown");
    for (address, code) in [
        ("CACHE", "place/bad-name"),
        ("127.0.0.1", "place/bad-name"),
        ("USB-x", "place/bad-name"),
        ("../x", "place/bad-name"),
        ("REPO", "place/no-manager"),
    ] {
        let path = room.path("images");
        let args = directory(address, text(&path));
        assert_eq!(room.refused(&args)?.0, code, "{address}");
    }
    // A dry run mounts nothing either.
    room.mount("10.0.0.9", &["--dry-run"])?;
    room.tidy()
}

#[test]
fn mount_through_a_planted_link_is_refused() -> Result<()> {
    if !have_root() {
        return Ok(());
    }
    let room = Room::new()?;
    std::os::unix::fs::symlink(room.path("etc"), room.path("root/10.0.0.9"))?;
    let path = room.path("images");
    let (code, _) = room.refused(&directory("10.0.0.9", text(&path)))?;
    assert_eq!(code, "mount/bad-place");
    Ok(())
}

#[test]
fn mount_in_use_says_who_uses_it() -> Result<()> {
    if !have_root() {
        return Ok(());
    }
    let room = Room::new()?;
    room.mount("10.0.0.9", &[])?;
    let mut user = Command::new("sleep")
        .arg("600")
        .current_dir(room.path("root/10.0.0.9/aula1"))
        .spawn()?;
    let refused = room.refused(&["repo", "unmount", "10.0.0.9"]);
    user.kill()?;
    user.wait()?;
    let (code, message) = refused?;
    assert_eq!(code, "disk/busy");
    let who = format!("sleep ({})", user.id());
    assert!(message.contains(&who), "{message}");
    room.done(&["repo", "unmount", "10.0.0.9"])?;
    room.tidy()
}

#[test]
fn mount_whose_directory_was_removed_is_stale_and_can_be_replaced() -> Result<()> {
    if !have_root() {
        return Ok(());
    }
    let room = Room::new()?;
    let gone = room.path("gone");
    fs::create_dir(&gone)?;
    room.done(&directory("10.0.0.9", text(&gone)))?;
    fs::remove_dir(&gone)?;
    assert_eq!(room.state("10.0.0.9")?, "stale");
    room.mount("10.0.0.9", &[])?;
    assert_eq!(room.state("10.0.0.9")?, "mounted");
    room.done(&["repo", "unmount", "10.0.0.9"])?;
    room.tidy()
}

#[test]
fn mount_of_a_known_repository_needs_only_its_address() -> Result<()> {
    if !have_root() {
        return Ok(());
    }
    let room = Room::new()?;
    let path = room.path("images");
    let add = [
        "repo",
        "add",
        "nas",
        "--protocol",
        "file",
        "--path",
        text(&path),
        "--write",
    ];
    room.done(&add)?;
    assert_eq!(room.state("nas")?, "unmounted");
    let told = room.done(&["repo", "mount", "NAS"])?;
    assert_eq!(told["read_only"], false);
    assert_eq!(room.state("nas")?, "mounted");
    // What is mounted is not forgotten, and it is told what comes first.
    for more in [&["--dry-run"][..], &[]] {
        let said = room.said(&[&["repo", "forget", "nas"], more].concat())?;
        assert_eq!(said.refused()?, "disk/mounted");
        let all = said.last().to_string();
        assert!(all.contains("sudo azud repo unmount nas"), "{all}");
    }
    room.done(&["repo", "unmount", "nas"])?;
    assert_eq!(room.state("nas")?, "unmounted");
    room.done(&["repo", "forget", "nas"])?;
    assert_eq!(room.refused(&["repo", "forget", "nas"])?.0, "repo/unknown");
    room.done(&add)?;
    fs::write(room.path("etc/repositories.json"), "[{}]")?;
    assert_eq!(room.refused(&["repo", "list"])?.0, "cli/bad-config");
    room.tidy()
}

/// Runs the program where 10.9.9.9 leads back to this machine without being an address of it, and somebody
/// listens on SMB's and NFS' ports there, with helpers of ours before the real ones. `input` is what it reads.
fn with_helpers(room: &Room, args: &[&str], input: &str) -> Result<Output> {
    let script = "ip link set lo up; ip route add local 10.9.9.9/32 dev lo
        for port in 445 2049; do busybox nc -ll -p $port -e /bin/true & pids=\"$pids $!\"; done
        sleep 0.5; \"$@\"; status=$?; kill $pids; exit $status";
    let program = room.command(args);
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", script, "sh"]);
    command.arg(program.get_program()).args(program.get_args());
    room.furnish(&mut command);
    let path = std::env::var("PATH")?;
    command.env("PATH", format!("{}:{path}", room.path("bin").display()));
    command.env("SEEN", room.path("seen"));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    std::io::Write::write_all(&mut child.stdin.take().context("input")?, input.as_bytes())?;
    Ok(child.wait_with_output()?)
}

fn helper(room: &Room, name: &str, script: &str) -> Result<()> {
    let file = room.path("bin").join(name);
    fs::create_dir_all(room.path("bin"))?;
    fs::write(&file, format!("#!/bin/sh\n{script}\n"))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Says what it was told, what every process could see, and what the file of credentials was like.
const CIFS: &str = "tr '\\0' ' ' </proc/$$/cmdline >\"$SEEN\"; tr '\\0' ' ' </proc/$PPID/cmdline >>\"$SEEN\"
    tr '\\0' '\\n' </proc/$$/environ >>\"$SEEN\"
    file=$(echo \"$4\" | tr , '\\n' | sed -n 's/^credentials=//p')
    stat -c 'mode %a %U' \"$file\" >>\"$SEEN\"; cp \"$file\" \"$SEEN.file\"; echo \"$file\" >\"$SEEN.name\"
    mount -t tmpfs none \"$2\"";

#[test]
fn mount_hands_passwords_over_in_a_file_and_nowhere_else() -> Result<()> {
    if !have_root() || !have(&["unshare", "ip", "busybox"]) {
        return Ok(());
    }
    let room = Room::new()?;
    helper(&room, "mount.cifs", CIFS)?;
    let args = [
        "repo",
        "mount",
        "10.9.9.9",
        "--user",
        "lab",
        "--password-stdin",
    ];
    let args = [&args[..], &["--path", "og/aula1", "--option", "vers=3.0"]].concat();
    let said = Said::of(&with_helpers(&room, &args, "gehe,im =1\n")?)?;
    assert_eq!(said.done()?["source"], "//10.9.9.9/og/aula1");
    let seen = fs::read_to_string(room.path("seen"))?;
    assert!(seen.contains("//10.9.9.9/og/aula1"), "{seen}");
    assert!(seen.contains("vers=3.0") && seen.contains(",ro"), "{seen}");
    assert!(!seen.contains("gehe"), "{seen}");
    assert!(seen.contains("mode 600 root"), "{seen}");
    let file = fs::read_to_string(room.path("seen.file"))?;
    assert_eq!(file, "username=lab\npassword=gehe,im =1\n");
    let name = fs::read_to_string(room.path("seen.name"))?;
    assert!(!std::path::Path::new(name.trim()).exists(), "it is gone");

    let options = ["repo", "mount", "10.9.9.9", "--option", "password=geheim"];
    let (code, message) = room.refused(&options).or_else(|_| {
        let said = room.said(&options)?;
        let error = &said.last()["error"];
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        anyhow::Ok((text("code"), text("message")))
    })?;
    assert_eq!(code, "cli/usage");
    assert!(!message.contains("geheim"), "{message}");
    Ok(())
}

#[test]
fn mount_takes_no_credentials_that_others_may_read() -> Result<()> {
    if !have_root() {
        return Ok(());
    }
    let room = Room::new()?;
    let file = room.path("secret");
    fs::write(&file, "username=a\npassword=b\n")?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
    for verb in ["mount", "add"] {
        let args = [
            "repo",
            verb,
            "10.0.0.9",
            "--protocol",
            "smb",
            "--credentials",
            text(&file),
        ];
        assert_eq!(room.refused(&args)?.0, "repo/open-secret", "{verb}");
    }
    room.tidy()
}

#[test]
fn mount_says_what_is_missing() -> Result<()> {
    if !have_root() || !have(&["unshare", "ip", "busybox"]) {
        return Ok(());
    }
    let room = Room::new()?;
    // As the real one fails on a kernel without NFS.
    helper(
        &room,
        "mount.nfs",
        "echo 'mount.nfs: No such device' >&2; exit 32",
    )?;
    helper(&room, "mount.cifs", "exit 0")?;
    let code = |args: &[&str]| -> Result<String> {
        let said = Said::of(&with_helpers(&room, args, "")?)?;
        Ok(said.refused()?.to_owned())
    };
    let known = fs::read_to_string("/proc/filesystems")?;
    let nfs = known.lines().any(|line| line.trim_end().ends_with("\tnfs"));
    let expected = if nfs {
        "tool/failed"
    } else {
        "mount/unsupported"
    };
    assert_eq!(
        code(&["repo", "mount", "10.9.9.9", "--protocol", "nfs"])?,
        expected
    );
    // Nobody may write into the directory below and believe that it is the server's.
    let idle = code(&["repo", "mount", "10.9.9.9", "--protocol", "smb"])?;
    assert_eq!(idle, "mount/not-mounted");
    assert_eq!(code(&["repo", "mount", "10.9.9.8"])?, "repo/unreachable");
    room.tidy()
}
