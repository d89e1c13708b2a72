//! Signals: the program stops at a safe moment, leaves nothing behind, says so, and can be run again.

mod kit;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{have, have_root, run};
use kit::{Disk, command, done, names, text};
use serde_json::Value;

/// Nothing here takes so long that is not stuck.
const PATIENCE: Duration = Duration::from_mins(1);
const HEEDING: &str = "--default-signal=INT,TERM,HUP";
const SIGNALS: [(&str, i32); 3] = [("INT", 130), ("TERM", 143), ("HUP", 129)];

/// A run of the program; it does not outlive the test.
struct Run {
    child: Child,
    out: BufReader<ChildStdout>,
    lines: Vec<Value>,
}

impl Run {
    /// Whoever runs the tests in the background has switched signals off for all that they start.
    fn start(command: &Command) -> Result<Self> {
        let mut heeding = Command::new("env");
        heeding
            .arg(HEEDING)
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                heeding.env(name, value);
            }
        }
        let mut child = heeding
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let out = BufReader::new(child.stdout.take().context("a pipe")?);
        let lines = Vec::new();
        Ok(Self { child, out, lines })
    }

    /// Reads until a line has this member.
    fn until(&mut self, member: &str) -> Result<()> {
        let mut line = String::new();
        while self.out.read_line(&mut line)? > 0 {
            let value: Value = serde_json::from_str(&line)?;
            self.lines.push(value);
            line.clear();
            if self
                .lines
                .last()
                .is_some_and(|line| !line[member].is_null())
            {
                return Ok(());
            }
        }
        anyhow::bail!("it ended before {member}: {:?}", self.lines)
    }

    fn signal(&self, name: &str) -> Result<()> {
        let pid = self.child.id().to_string();
        run("kill", &["-s", name, &pid]).map(drop)
    }

    /// How it ended; what it still said is among its lines.
    fn end(&mut self) -> Result<ExitStatus> {
        let mut rest = String::new();
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            ensure!(begun.elapsed() < PATIENCE, "it goes on: {:?}", self.lines);
            std::thread::sleep(Duration::from_millis(5));
        };
        self.out.read_to_string(&mut rest)?;
        for line in rest.lines() {
            self.lines.push(serde_json::from_str(line)?);
        }
        Ok(status)
    }

    /// The same where work was under way: whoever reads is told at once that the signal was heard.
    fn stopped(&mut self, (signal, status): (&str, i32)) -> Result<()> {
        self.interrupted(status)?;
        let heard = format!("SIG{signal}");
        let heard = |line: &&Value| line["stopping"]["signal"] == heard.as_str();
        let times = self.lines.iter().filter(heard).count();
        ensure!(times == 1, "{times} times: {:?}", self.lines);
        Ok(())
    }

    /// Fails unless a signal's status and code came of it.
    fn interrupted(&mut self, status: i32) -> Result<()> {
        let ended = self.end()?;
        ensure!(ended.code() == Some(status), "{ended}: {:?}", self.lines);
        let last = self.lines.last().context("a line")?;
        ensure!(last["error"]["code"] == "cli/interrupted", "{last}");
        Ok(())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A volume in a file whose capture at a high level takes seconds, and an image of it.
struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        kit::ext4(&dir.path().join("volume"), 96, 64)?;
        fs::create_dir(dir.path().join("images"))?;
        let scene = Self { dir };
        done(&[
            "image",
            "create",
            &scene.path("volume"),
            &scene.path("old.img"),
        ])?;
        Ok(scene)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn path(&self, name: &str) -> String {
        text(&self.at(name)).to_owned()
    }

    fn images(&self) -> Result<Vec<String>> {
        names(&self.at("images"))
    }
}

/// A program of this name that makes ready, writes its number to `$0.pid` and then does what is said.
fn stub(dir: &Path, name: &str, (ready, then): (&str, &str)) -> Result<PathBuf> {
    fs::create_dir_all(dir)?;
    let file = dir.join(name);
    fs::write(
        &file,
        format!("#!/bin/sh\n{ready}\necho $$ > \"$0.new\"; mv \"$0.new\" \"$0.pid\"\n{then}\n"),
    )?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    Ok(dir.join(format!("{name}.pid")))
}

/// The number of a stub, once it runs.
fn number(file: &Path) -> Result<String> {
    let begun = Instant::now();
    loop {
        match fs::read_to_string(file) {
            Ok(number) => return Ok(number.trim().to_owned()),
            _ if begun.elapsed() > PATIENCE => anyhow::bail!("it never ran"),
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn is_running(number: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{number}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn with_stubs(args: &[&str], dir: &Path) -> Command {
    let mut command = command(args);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", text(dir)));
    command
}

#[test]
fn a_capture_and_an_import_leave_nothing() -> Result<()> {
    if !have(&["mke2fs", "kill"]) {
        return Ok(());
    }
    let scene = Scene::new()?;
    let (old, image) = (scene.path("old.img"), scene.path("images/aula.img"));
    done(&[
        "image",
        "export",
        &old,
        &scene.path("foreign"),
        "--to",
        "partclone",
    ])?;
    for (verb, from) in [("create", "volume"), ("import", "foreign")] {
        let from = scene.path(from);
        let mut args = vec!["image", verb, &from, &image, "--level", "19"];
        if verb == "create" {
            args.extend(["--base", "none"]);
        }
        for (signal, status) in SIGNALS {
            let mut run = Run::start(&command(&args))?;
            run.until("progress")?;
            while run
                .lines
                .last()
                .is_some_and(|line| line["progress"]["phase"] != "capture")
            {
                run.until("progress")?;
            }
            run.signal(signal)?;
            run.stopped((signal, status))?;
            let left = scene.images()?;
            ensure!(left.is_empty(), "{verb} left {left:?}");
        }
    }
    Ok(())
}

#[test]
fn an_export_leaves_nothing() -> Result<()> {
    if !have(&["mke2fs", "kill"]) {
        return Ok(());
    }
    let scene = Scene::new()?;
    let stubs = scene.at("stubs");
    let pid = stub(&stubs, "qemu-img", ("", "exec sleep 600"))?;
    let (old, out) = (scene.path("old.img"), scene.path("images/disk.qcow2"));
    let args = ["image", "export", &old, &out, "--to", "qcow2"];
    let mut run = Run::start(&with_stubs(&args, &stubs))?;
    let number = number(&pid)?;
    ensure!(!scene.images()?.is_empty(), "nothing was begun");
    run.signal("TERM")?;
    run.stopped(("TERM", 143))?;
    ensure!(!is_running(&number), "the converter goes on");
    let left = scene.images()?;
    ensure!(left.is_empty(), "left {left:?}");
    Ok(())
}

#[test]
fn a_second_signal_ends_at_once_and_the_next_run_clears_up() -> Result<()> {
    if !have(&["mke2fs", "kill"]) {
        return Ok(());
    }
    let scene = Scene::new()?;
    let stubs = scene.at("stubs");
    let pid = stub(
        &stubs,
        "qemu-img",
        ("trap '' TERM", "for i in $(seq 600); do sleep 0.1; done"),
    )?;
    let (old, out) = (scene.path("old.img"), scene.path("images/disk.qcow2"));
    let args = ["image", "export", &old, &out, "--to", "qcow2"];
    let mut run = Run::start(&with_stubs(&args, &stubs))?;
    let number = number(&pid)?;
    run.signal("INT")?;
    run.until("stopping")?;
    std::thread::sleep(Duration::from_millis(300));
    ensure!(run.child.try_wait()?.is_none(), "the stub did not hold it");
    run.signal("INT")?;
    let ended = run.end()?;
    azud_testkit::tools::run("kill", &["-s", "KILL", &number])?;
    ensure!(ended.signal() == Some(2), "{ended}");
    ensure!(!scene.images()?.is_empty(), "an end at once cleans nothing");
    done(&[
        "image",
        "export",
        &old,
        &scene.path("images/disk.raw"),
        "--to",
        "raw",
    ])?;
    ensure!(scene.images()? == ["disk.raw"], "{:?}", scene.images()?);
    Ok(())
}

#[test]
fn before_the_plan_a_program_under_way_is_ended() -> Result<()> {
    if !have(&["mke2fs", "kill"]) {
        return Ok(());
    }
    let scene = Scene::new()?;
    let stubs = scene.at("stubs");
    let pid = stub(&stubs, "partclone.extfs", ("", "exec sleep 600"))?;
    let (volume, image) = (scene.path("volume"), scene.path("images/aula.img"));
    let args = ["image", "create", &volume, &image, "--engine", "partclone"];
    let mut run = Run::start(&with_stubs(&args, &stubs))?;
    let number = number(&pid)?;
    run.signal("HUP")?;
    run.interrupted(129)?;
    let begun = Instant::now();
    while is_running(&number) {
        ensure!(begun.elapsed() < PATIENCE, "partclone goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
    ensure!(scene.images()?.is_empty());
    Ok(())
}

#[test]
fn a_question_is_no_reason_to_wait() -> Result<()> {
    if !have(&["mke2fs", "kill", "script"]) {
        return Ok(());
    }
    let scene = Scene::new()?;
    let target = scene.at("target");
    fs::copy(scene.at("volume"), &target)?;
    let before = fs::read(&target)?;
    let azud = env!("CARGO_BIN_EXE_azud");
    // Quotes are not needed: none of these paths has blanks.
    let line = format!(
        "echo $$ > {pid}.new; mv {pid}.new {pid}; exec env {HEEDING} {azud} image restore {image} {target}",
        pid = scene.path("pid"),
        image = scene.path("old.img"),
        target = text(&target)
    );
    let mut asked = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("LC_ALL", "C")
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut out = asked.stdout.take().context("a pipe")?;
    let mut said = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&said).contains("type its name") && out.read(&mut byte)? > 0 {
        said.push(byte[0]);
    }
    run("kill", &["-s", "INT", &number(&scene.at("pid"))?])?;
    out.read_to_end(&mut said)?;
    let status = asked.wait()?;
    let said = String::from_utf8_lossy(&said).into_owned();
    ensure!(status.code() == Some(130), "{status}: {said}");
    ensure!(said.contains("cli/interrupted"), "{said}");
    ensure!(said.contains("nothing is changed"), "{said}");
    ensure!(fs::read(&target)? == before);
    Ok(())
}

#[test]
fn loop_an_interrupted_restore_is_not_valid_and_goes_on() -> Result<()> {
    if !have(&["mke2fs", "e2fsck", "blkid", "b2sum", "kill"]) || !have_root() {
        return Ok(());
    }
    let scene = Scene::new()?;
    let image = scene.path("old.img");
    fs::copy(scene.at("volume"), scene.at("target"))?;
    let target = Disk::over(scene.at("target"))?;
    let whole = fs::read(&image)?;
    let restore = ["image", "restore", "-", target.name(), "--yes"];
    // Half of it comes, then nothing.
    let mut run = Run::start(&command(&restore))?;
    let mut input = run.child.stdin.take().context("a pipe")?;
    std::io::Write::write_all(&mut input, &whole[..whole.len() / 2])?;
    run.signal("INT")?;
    run.interrupted(130)?;
    drop(input);
    let warned = run.lines.iter().filter_map(|line| line["warning"].as_str());
    ensure!(
        warned.clone().any(|text| text.contains("--changed-only")),
        "{:?}",
        run.lines
    );
    ensure!(target.seen()?.is_none(), "it looks like a file system");
    done(&[
        "image",
        "restore",
        &image,
        target.name(),
        "--yes",
        "--changed-only",
    ])?;
    azud_testkit::tools::run("e2fsck", &["-fn", target.name()])?;
    Ok(())
}

#[test]
fn a_broken_off_copy_is_gone_on_with() -> Result<()> {
    if !have(&["mke2fs", "kill"]) {
        return Ok(());
    }
    let scene = Scene::new()?;
    let (old, image) = (scene.path("old.img"), scene.path("images/aula.img"));
    let copy = ["image", "copy", &old, &image];
    let mut random = kit::Random::seeded(11);
    for _ in 0..60 {
        let mut run = Run::start(&command(&copy))?;
        run.until("plan")?;
        std::thread::sleep(Duration::from_millis(random.below(120)));
        run.signal("TERM")?;
        let status = run.end()?.code();
        if status == Some(0) {
            done(&["image", "rm", &image])?;
            continue;
        }
        ensure!(status == Some(143), "{status:?}: {:?}", run.lines);
        ensure!(!scene.images()?.contains(&"aula.img.lock".to_owned()));
        if scene
            .images()?
            .iter()
            .any(|name| name.starts_with(".azud-assembly-"))
        {
            let report = done(&copy)?;
            ensure!(report["resumed"].as_u64() > Some(0), "{report}");
            done(&["image", "verify", "--deep", &image])?;
            return Ok(());
        }
    }
    anyhow::bail!("no signal came while it copied")
}

#[test]
fn of_a_new_file_nothing_stays_and_one_that_was_there_does() -> Result<()> {
    if !have(&["mke2fs", "kill"]) {
        return Ok(());
    }
    let scene = Scene::new()?;
    let image = scene.path("old.img");
    // The data of a frame is damaged: found when it is decoded, long after the target was opened.
    let mut bytes = fs::read(&image)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(scene.at("bad.img"), &bytes)?;
    let target = scene.path("images/disk");
    let restore = ["image", "restore", &scene.path("bad.img"), &target, "--yes"];
    ensure!(kit::refused(&restore)? == "image/corrupt");
    ensure!(scene.images()?.is_empty(), "{:?}", scene.images()?);
    fs::write(&target, "")?;
    ensure!(kit::refused(&restore)? == "image/corrupt");
    ensure!(scene.images()? == ["disk"], "it was the user's");
    Ok(())
}

/// It does nothing but wait: to be ended is no failure.
#[test]
fn a_watch_ends_quietly() -> Result<()> {
    let dir = tempfile::tempdir()?;
    for (signal, status) in SIGNALS {
        let mut watch = command(&["storage", "watch"]);
        watch
            .env("AZUD_ROOT", dir.path().join("root"))
            .env("AZUD_MNT", dir.path().join("mnt"))
            .env("AZUD_CONFIG", "/dev/null");
        let mut watch = Run::start(&watch)?;
        watch.until("watching")?;
        watch.signal(signal)?;
        ensure!(watch.end()?.code() == Some(status), "{signal}");
        let told = watch.lines.iter().find(|line| line["error"].is_object());
        ensure!(told.is_none(), "{told:?}");
    }
    Ok(())
}
