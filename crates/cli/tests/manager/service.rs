//! The manager as a service: settings, readiness, sockets that are handed over, an orderly end.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{have, run_any};
use serde_json::Value;

use crate::kit::{program, text};
use crate::server::{Room, refusal};
use crate::{MIB, image, noise};

/// How long anything may take that takes a moment.
const PATIENCE: Duration = Duration::from_mins(1);

/// A manager that was started in some way of its own; it is killed when this is dropped.
struct Started {
    child: Child,
    said: Value,
    _out: BufReader<ChildStdout>,
}

impl Started {
    fn of(command: &mut Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut out = BufReader::new(child.stdout.take().context("a pipe")?);
        let mut line = String::new();
        out.read_line(&mut line)?;
        let said = serde_json::from_str(&line).with_context(|| line.clone())?;
        Ok(Self {
            child,
            said,
            _out: out,
        })
    }

    fn term(&self) -> Result<()> {
        run_any("kill", &[&self.child.id().to_string()])?;
        Ok(())
    }

    /// The exit status, once it has ended.
    fn ended(&mut self, within: Duration) -> Result<Option<i32>> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            ensure!(begun.elapsed() < within, "it does not end");
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listens(started: &Started) -> Vec<&str> {
    let listen = started.said["listen"].as_array().into_iter().flatten();
    listen.filter_map(Value::as_str).collect()
}

/// Writes what the file says of the manager; it listens at this port.
fn configure(room: &Room, rest: &str) -> Result<()> {
    let images = room.images();
    let serve = format!("[serve]\nimages = '{}'\n{rest}", text(&images));
    fs::write(room.dir().join("etc/azud.toml"), serve)?;
    Ok(())
}

#[test]
fn settings_come_from_the_file_and_what_is_nearer_goes_before() -> Result<()> {
    let room = Room::new()?;
    let state = room.dir().join("of-the-file");
    let lines = format!(
        "listen = ['127.0.0.1:0', '[::1]:0']\nstate = '{}'\n",
        text(&state)
    );
    configure(&room, &lines)?;
    let serve = || {
        let mut command = room.command(&["serve"]);
        command.env_remove("AZUD_STATE");
        command
    };
    let of_file = Started::of(&mut serve())?;
    ensure!(listens(&of_file).len() == 2, "{}", of_file.said);
    ensure!(
        of_file.said["images"] == text(&room.images()),
        "{}",
        of_file.said
    );
    ensure!(state.join("ca.pem").exists());
    // The tokens are those of the same state.
    let mut list = room.command(&["token", "list"]);
    let output = list.env_remove("AZUD_STATE").output()?;
    let tokens: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(
        tokens["tokens"].as_array().is_some_and(|it| it.len() == 1),
        "{tokens}"
    );
    let of_variable = Started::of(serve().env("AZUD_LISTEN", "127.0.0.1:0"))?;
    ensure!(listens(&of_variable).len() == 1, "{}", of_variable.said);
    let other = room.dir().join("other");
    fs::create_dir(&other)?;
    let mut command = room.command(&["serve", "--listen", "127.0.0.2:0"]);
    command
        .env("AZUD_LISTEN", "127.0.0.1:0")
        .env("AZUD_IMAGES", &other);
    let of_option = Started::of(&mut command)?;
    ensure!(
        listens(&of_option)[0].starts_with("127.0.0.2:"),
        "{}",
        of_option.said
    );
    ensure!(
        of_option.said["images"] == text(&other),
        "{}",
        of_option.said
    );
    configure(&room, "listen = 'everywhere'\n")?;
    refusal(&room.run(&["serve"])?, "cli/bad-config")?;
    configure(&room, "listens = '127.0.0.1'\n")?;
    refusal(&room.run(&["serve"])?, "cli/bad-config")
}

#[test]
fn a_manager_that_reads_out_by_its_file_takes_nothing() -> Result<()> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(20, MIB))?;
    configure(&room, "listen = '127.0.0.1:0'\nread_only = true\n")?;
    let started = Started::of(&mut room.command(&["serve"]))?;
    let said = &started.said;
    ensure!(said["read_only"] == true, "{said}");
    ensure!(said["admin_token"].is_null(), "a token to be lost: {said}");
    let word = |key: &str| said[key].as_str().with_context(|| format!("{key}: {said}"));
    let (pin, token) = (word("pin")?, word("read_token")?);
    let (_, port) = listens(&started)[0].rsplit_once(':').context("a port")?;
    let port = port.parse()?;
    fs::write(room.dir().join("etc/azud.toml"), "manager = '127.0.0.1'\n")?;
    room.introduce_at(port, pin, token)?.done()?;
    let one = room.images().join("one.img");
    let sent = room.run(&["image", "copy", text(&one), "REPO:sent", "--yes"])?;
    refusal(&sent, "repo/read-only")
}

#[test]
fn the_supervisor_is_told_when_it_listens_and_when_it_ends() -> Result<()> {
    let room = Room::new()?;
    configure(&room, "listen = '127.0.0.1:0'\n")?;
    let path = room.dir().join("notify");
    let socket = UnixDatagram::bind(&path)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let next = || -> Result<String> {
        let mut buf = [0; 512];
        let len = socket.recv(&mut buf)?;
        Ok(String::from_utf8_lossy(&buf[..len]).into_owned())
    };
    let mut command = room.command(&["serve"]);
    let mut started = Started::of(command.env("NOTIFY_SOCKET", &path))?;
    ensure!(next()?.lines().any(|line| line == "READY=1"));
    started.term()?;
    ensure!(next()?.lines().any(|line| line == "STOPPING=1"));
    ensure!(started.ended(PATIENCE)? == Some(0), "an orderly end");
    Ok(())
}

#[test]
fn sockets_that_are_handed_over_are_served() -> Result<()> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(21, MIB))?;
    configure(&room, "listen = '127.0.0.1:1'\n")?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let serve = room.command(&["serve"]);
    // As systemd does it: the socket is descriptor 3 and the program knows that it is meant.
    let script = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\" 3<&0 </dev/null";
    let mut launcher = Command::new("sh");
    launcher.args(["-c", script, "sh"]).arg(serve.get_program());
    launcher.args(serve.get_args());
    for (name, value) in serve.get_envs() {
        launcher.env(name, value.unwrap_or_default());
    }
    launcher.stdin(OwnedFd::from(listener));
    let started = Started::of(&mut launcher)?;
    ensure!(
        listens(&started) == [format!("127.0.0.1:{port}")],
        "{}",
        started.said
    );
    let word = |key: &str| started.said[key].as_str().unwrap_or_default().to_owned();
    let (pin, admin) = (word("pin"), word("admin_token"));
    fs::write(room.dir().join("etc/azud.toml"), "manager = '127.0.0.1'\n")?;
    room.introduce_at(port, &pin, &admin)?.done()?;
    let to = room.dir().join("to.img");
    room.done(&["image", "copy", "REPO:one", text(&to), "--yes"])?;
    Ok(())
}

/// A download at this rate, with the first piece of what it brings.
fn download(manager: &Started, rate: &str) -> Result<(Child, ChildStdout)> {
    let token = manager.said["admin_token"].as_str().context("a token")?;
    let url = format!("https://{}/v1/images/one.img", listens(manager)[0]);
    let bearer = format!("Authorization: Bearer {token}");
    let args = ["-sSkf", "--limit-rate", rate, "-H", &bearer, &url];
    let mut curl = Command::new("curl")
        .args(args)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut out = curl.stdout.take().context("a pipe")?;
    out.read_exact(&mut [0])?;
    Ok((curl, out))
}

fn with_image(room: &Room) -> Result<Started> {
    configure(room, "listen = '127.0.0.1:0'\n")?;
    Started::of(&mut room.command(&["serve"]))
}

#[test]
fn downloads_under_way_come_to_their_end() -> Result<()> {
    if !have(&["curl"]) {
        return Ok(());
    }
    let room = Room::new()?;
    image(&room, "one.img", &noise(22, 24 * MIB))?;
    let mut started = with_image(&room)?;
    let (mut curl, mut out) = download(&started, "12M")?;
    started.term()?;
    let mut rest = Vec::new();
    out.read_to_end(&mut rest)?;
    ensure!(curl.wait()?.success());
    let whole = fs::read(room.images().join("one.img"))?;
    ensure!(rest == whole[1..], "all of it came");
    ensure!(started.ended(PATIENCE)? == Some(0));
    Ok(())
}

#[test]
fn who_does_not_read_does_not_keep_the_manager_from_ending() -> Result<()> {
    if !have(&["curl"]) {
        return Ok(());
    }
    let room = Room::new()?;
    image(&room, "one.img", &noise(23, 32 * MIB))?;
    let mut started = with_image(&room)?;
    let (mut curl, out) = download(&started, "1k")?;
    started.term()?;
    let ended = started.ended(PATIENCE);
    drop(out);
    let _ = curl.kill();
    curl.wait()?;
    ensure!(ended? == Some(0));
    Ok(())
}

/// The log, once it tells of this status: it is written in its own time.
fn written(room: &Room, status: &str) -> Result<String> {
    let begun = Instant::now();
    loop {
        let log = fs::read_to_string(room.state().join("audit.log")).unwrap_or_default();
        if log.ends_with('\n') && log.contains(&format!("\"status\":{status}")) {
            return Ok(log);
        }
        ensure!(begun.elapsed() < PATIENCE, "{log}");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_was_asked_is_counted_and_written_down_without_secrets() -> Result<()> {
    if !have(&["curl"]) {
        return Ok(());
    }
    let room = Room::new()?;
    image(&room, "one.img", &noise(24, 4 * MIB))?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let to = room.dir().join("to.img");
    room.done(&["image", "copy", "REPO:one", text(&to), "--yes"])?;
    let get = |path: &str, token: &str| -> Result<String> {
        let url = format!("https://127.0.0.1:{}{path}", manager.port);
        let bearer = format!("Authorization: Bearer {token}");
        let output = Command::new("curl")
            .args(["-sSk", "-H", &bearer, &url])
            .output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(String::from_utf8(output.stdout)?)
    };
    get("/v1/images", "azud_0badc0de_00")?;
    let metrics = get("/metrics", &manager.admin)?;
    let number = |begin: &str| -> Result<u64> {
        let line = metrics.lines().find_map(|line| line.strip_prefix(begin));
        let line = line.with_context(|| format!("{begin} in {metrics}"))?;
        Ok(line.trim().parse()?)
    };
    let ranges = "azud_requests_total{route=\"/v1/images/{name}\",method=\"GET\",status=\"206\"}";
    ensure!(number(ranges)? > 1);
    ensure!(number("azud_requests_total{route=\"none\",method=\"GET\",status=\"401\"}")? == 1);
    ensure!(number("azud_sent_bytes_total")? > 4 * MIB as u64);
    ensure!(number("azud_reports_total")? > 0);
    let tokens = room.done(&["token", "list"])?;
    let reader = tokens["tokens"][1]["id"].as_str().context("the reader's")?;
    let log = written(&room, "401")?;
    let lines: Vec<Value> = log
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let fetched: Vec<_> = lines.iter().filter(|line| line["status"] == 206).collect();
    ensure!(fetched.len() == 1, "once, however many ranges: {log}");
    ensure!(
        fetched[0]["who"] == reader && fetched[0]["address"] == "127.0.0.1",
        "{log}"
    );
    let refused = lines.iter().find(|line| line["status"] == 401);
    ensure!(refused.is_some_and(|line| line["who"].is_null()), "{log}");
    let (_, secret) = manager.admin.rsplit_once('_').context("a token")?;
    ensure!(!log.contains(secret), "a secret is written down");
    Ok(())
}

#[test]
fn a_first_start_that_cannot_listen_uses_up_no_token() -> Result<()> {
    let room = Room::new()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let at = taken.local_addr()?.to_string();
    let images = room.images();
    let args = ["serve", "--images", text(&images), "--listen", &at];
    refusal(&room.run(&args)?, "server/cannot-listen")?;
    drop(taken);
    let started = Started::of(&mut room.command(&args))?;
    ensure!(started.said["admin_token"].is_string(), "{}", started.said);
    Ok(())
}

/// What a manager tells people when it starts.
fn greeting(room: &Room, args: &[&str]) -> Result<String> {
    let mut serve = Command::new(program());
    let listen = ["serve", "--lang", "en", "--listen", "127.0.0.1:0"];
    room.settings(serve.args(listen).args(args));
    let mut child = serve.stdout(Stdio::piped()).spawn()?;
    let mut out = BufReader::new(child.stdout.take().context("a pipe")?);
    let mut said = String::new();
    out.read_line(&mut said)?;
    run_any("kill", &[&child.id().to_string()])?;
    out.read_to_string(&mut said)?;
    ensure!(child.wait()?.success(), "{said}");
    Ok(said)
}

#[test]
fn what_is_served_is_repo_on_the_managers_computer_or_it_is_said() -> Result<()> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(25, MIB))?;
    let config = room.dir().join("etc/azud.toml");
    let images = room.images();
    let option = ["--images", text(&images)];
    for (file, wanted) in [
        ("", "itself REPO: means nothing"),
        ("serving = true\n", "itself REPO: means /"),
    ] {
        fs::write(&config, file)?;
        let said = greeting(&room, &option)?;
        ensure!(said.contains(wanted), "{file}: {said}");
    }
    // As it is advised.
    let file = format!("serving = true\n[serve]\nimages = \"{}\"\n", text(&images));
    fs::write(&config, file)?;
    for args in [&[][..], &option] {
        let said = greeting(&room, args)?;
        ensure!(!said.contains("REPO:"), "{said}");
    }
    let listed = room.done(&["image", "list", "REPO:"])?;
    ensure!(listed["images"][0]["path"] == "one.img", "{listed}");
    // Who helps his neighbours has another manager.
    fs::write(&config, "manager = '10.99.0.1'\n")?;
    let said = greeting(&room, &["--read-only", "--images", text(&images)])?;
    ensure!(!said.contains("REPO:"), "{said}");
    Ok(())
}
