//! How a person at a client gets write access.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use azud_testkit::tools::{have_root, run};
use serde_json::{Value, json};

use crate::kit::{Said, over, program, text};
use crate::raw::{Line, bearer};
use crate::server::{Manager, Room, refusal};
use crate::{MIB, image, noise};

pub(crate) fn code(room: &Room, args: &[&str]) -> Result<String> {
    let made = room.done(&[&["token", "code"], args].concat())?;
    Ok(made["code"].as_str().context("a code")?.to_owned())
}

/// Types a code at a client.
pub(crate) fn login(room: &Room, code: &str, args: &[&str]) -> Result<Said> {
    let mut command = room.command(&[&["login"], args].concat());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("a pipe")?;
    // It may have ended before it reads.
    let _ = writeln!(input, "{code}");
    drop(input);
    Said::of(&child.wait_with_output()?)
}

/// Sends a login as it is.
fn post(line: &Line, body: &str) -> Result<(u16, Value)> {
    let mut raw = line.connect()?;
    let len = body.len();
    let head = "POST /v1/login HTTP/1.1\r\nHost: og\r\nContent-Type: application/json";
    raw.say(format!("{head}\r\nContent-Length: {len}\r\n\r\n{body}").as_bytes())?;
    let (head, body) = raw.answer()?;
    Ok((head.status, serde_json::from_slice(&body)?))
}

fn kept(room: &Room) -> std::path::PathBuf {
    room.dir().join("etc/managers/127.0.0.1.login")
}

#[test]
fn a_person_gets_write_access_for_a_while_with_a_code() -> Result<()> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(61, MIB))?;
    let manager = room.serve()?;
    let said = login(&room, "AAAA-AAAA", &[])?;
    refusal(&said, "repo/unknown")?;
    let hint = said.last()["error"]["hint"].as_str().unwrap_or_default();
    ensure!(
        hint.contains("azud login 127.0.0.1 --pin") && !hint.contains("--path"),
        "{hint}"
    );
    room.know(&manager)?;
    let one = room.images().join("one.img");
    let send = ["image", "copy", text(&one), "REPO:new", "--yes"];
    refusal(&room.run(&send)?, "repo/not-allowed")?;
    let code = code(&room, &["--note", "ana"])?;
    let said = login(&room, &code.to_lowercase(), &[])?;
    ensure!(said.done()?["role"] == "write", "{}", said.last());
    let mode = fs::metadata(kept(&room))?.permissions().mode();
    ensure!(mode & 0o777 == 0o600, "a secret is its owner's");
    let list = room.done(&["token", "list"])?;
    let made = &list["tokens"][2];
    ensure!(
        made["role"] == "write" && made["expires"].is_string(),
        "{list}"
    );
    let note = made["note"].as_str().context("a note")?;
    ensure!(
        note.starts_with("ana ") && note.ends_with("127.0.0.1"),
        "{note}"
    );
    room.done(&send)?;
    ensure!(room.images().join("new.img").exists(), "it may write");
    // It is used, and good once.
    let to = room.dir().join("to.img");
    let copy = ["image", "copy", "REPO:one", text(&to), "--yes"];
    room.done(&copy)?;
    refusal(&login(&room, &code, &[])?, "repo/bad-login")?;
    ensure!(room.done(&["token", "list"])? == list, "no other token");
    fs::remove_file(&to)?;
    room.done(&["token", "revoke", made["id"].as_str().context("id")?])?;
    refusal(&room.run(&copy)?, "repo/unauthorised")?;
    // Without it the computer reads with its own token again.
    let out = room.done(&["login", "--out"])?;
    ensure!(
        !kept(&room).exists() && out["was_logged_in"] == true,
        "{out}"
    );
    let out = room.done(&["login", "--out"])?;
    ensure!(out["was_logged_in"] == false, "{out}");
    let stranger = room.run(&["login", "10.9.9.9", "--out"])?;
    refusal(&stranger, "repo/unknown")?;
    room.done(&copy)?;
    Ok(())
}

#[test]
fn a_login_is_bound_as_its_code_says() -> Result<()> {
    let room = Room::new()?;
    image(&room, "aula1/win.img", &noise(65, MIB))?;
    image(&room, "aula2/win.img", &noise(66, MIB))?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let bounds = ["--images", "aula1/*", "--images", "lab/*"];
    let made = room.done(&[&["token", "code", "--subnet", "10.0.0.0/8"], &bounds[..]].concat())?;
    ensure!(made["subnets"] == json!(["10.0.0.0/8"]), "{made}");
    ensure!(made["images"] == json!(["aula1/*", "lab/*"]), "{made}");
    let elsewhere = made["code"].as_str().context("a code")?;
    for _ in 0..2 {
        let said = login(&room, elsewhere, &[])?;
        refusal(&said, "repo/token-elsewhere")?;
        let hint = said.last()["error"]["hint"].to_string();
        ensure!(hint.contains("token code --subnet"), "{hint}");
    }
    ensure!(!kept(&room).exists());
    let here = ["--subnet", "127.0.0.1", "--subnet", "fd00::/8"];
    let said = login(&room, &code(&room, &[&here[..], &bounds].concat())?, &[])?;
    let told = said.done()?;
    ensure!(
        told["subnets"] == json!(["127.0.0.1/32", "fd00::/8"]),
        "{told}"
    );
    ensure!(told["images"] == json!(["aula1/*", "lab/*"]), "{told}");
    let listed = room.done(&["token", "list"])?["tokens"][2].clone();
    for key in ["subnets", "images"] {
        ensure!(listed[key] == told[key], "{key}: {listed}");
    }
    // It may write what it is for, and sees nothing else.
    let one = room.images().join("aula1/win.img");
    let send = |to: &str| room.run(&["image", "copy", text(&one), to, "--yes"]);
    send("REPO:lab/new")?.done()?;
    ensure!(room.images().join("lab/new.img").exists());
    refusal(&send("REPO:aula2/new")?, "repo/not-allowed")?;
    let list = room.done(&["image", "list", "REPO:"])?;
    ensure!(!list.to_string().contains("aula2"), "{list}");
    Ok(())
}

#[test]
fn regression_who_is_introduced_anew_is_not_asked_with_an_old_login() -> Result<()> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(64, MIB))?;
    let manager = room.serve()?;
    room.know(&manager)?;
    login(&room, &code(&room, &[])?, &[])?.done()?;
    let list = room.done(&["token", "list"])?;
    let id = list["tokens"][2]["id"].as_str().context("id")?;
    room.done(&["token", "revoke", id])?;
    let to = room.dir().join("to.img");
    let copy = ["image", "copy", "REPO:one", text(&to), "--yes"];
    let said = room.run(&copy)?;
    refusal(&said, "repo/unauthorised")?;
    let hint = said.last()["error"]["hint"].to_string();
    ensure!(hint.contains("azud login 127.0.0.1 --out"), "{hint}");
    // A token that is said is the one that is meant.
    let said = room.introduce(&manager, &manager.pin, "azud_00000000_00")?;
    refusal(&said, "repo/unauthorised")?;
    let hint = said.last()["error"]["hint"].to_string();
    ensure!(hint.contains("azud token create"), "{hint}");
    room.know(&manager)?;
    ensure!(!kept(&room).exists(), "the login stays");
    room.done(&copy)?;
    Ok(())
}

#[test]
fn regression_no_secret_goes_to_another_authority() -> Result<()> {
    let (room, other) = (Room::new()?, Room::new()?);
    let (manager, second) = (room.serve()?, other.serve()?);
    room.know(&manager)?;
    let token = room.dir().join("etc/managers/127.0.0.1.token");
    ensure!(token.exists());
    let port = second.port.to_string();
    let args = ["--port", &port, "--pin", &second.pin];
    login(&room, &code(&other, &[])?, &args)?.done()?;
    ensure!(
        kept(&room).exists() && !token.exists(),
        "the old token stays"
    );
    Ok(())
}

#[test]
fn a_login_that_ended_is_forgotten() -> Result<()> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(62, MIB))?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let code = code(&room, &["--role", "read", "--expires", "1h"])?;
    login(&room, &code, &[])?.done()?;
    let mut login: Value = serde_json::from_slice(&fs::read(kept(&room))?)?;
    login["until"] = json!(1);
    login["token"] = json!("azud_00000000_00");
    fs::write(kept(&room), login.to_string())?;
    let to = room.dir().join("to.img");
    room.done(&["image", "copy", "REPO:one", text(&to), "--yes"])?;
    let left = fs::read_to_string(kept(&room))?;
    ensure!(!left.contains("azud_"), "its secret stays: {left}");
    // The same reason stays the same, as long as the computer's own token is no good.
    let token = room.dir().join("etc/managers/127.0.0.1.token");
    let own = fs::read(&token)?;
    fs::remove_file(&to)?;
    for other in [None, Some("azud_00000000_00")] {
        match other {
            Some(other) => fs::write(&token, other)?,
            None => fs::remove_file(&token)?,
        }
        fs::set_permissions(kept(&room), fs::Permissions::from_mode(0o600))?;
        let _ = fs::set_permissions(&token, fs::Permissions::from_mode(0o600));
        for _ in 0..2 {
            let said = room.run(&["image", "copy", "REPO:one", text(&to), "--yes"])?;
            refusal(&said, "repo/token-expired")?;
            let hint = said.last()["error"]["hint"].to_string();
            ensure!(hint.contains("azud login"), "{hint}");
        }
    }
    // A token that is said is the one that is meant.
    let said = room.introduce(&manager, &manager.pin, "azud_00000000_00")?;
    refusal(&said, "repo/unauthorised")?;
    fs::write(&token, own)?;
    room.done(&["image", "copy", "REPO:one", text(&to), "--yes"])?;
    // A secret that others can read is none.
    fs::write(kept(&room), login.to_string())?;
    fs::set_permissions(kept(&room), fs::Permissions::from_mode(0o644))?;
    let said = room.run(&["image", "copy", "REPO:one", text(&to), "--yes"])?;
    refusal(&said, "repo/open-secret")
}

#[test]
fn a_computer_without_a_token_can_be_logged_in_at() -> Result<()> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(63, MIB))?;
    let manager = room.serve()?;
    let port = manager.port.to_string();
    let wrong = format!("sha256:{}", "0".repeat(64));
    let code = code(&room, &[])?;
    let said = login(&room, &code, &["--port", &port, "--pin", &wrong])?;
    refusal(&said, "repo/untrusted")?;
    login(&room, &code, &["--port", &port, "--pin", &manager.pin])?.done()?;
    let to = room.dir().join("to.img");
    room.done(&["image", "copy", "REPO:one", text(&to), "--yes"])?;
    Ok(())
}

/// Who may not write where a login is kept could only burn the code.
#[test]
fn a_code_is_not_given_for_a_token_that_cannot_be_kept() -> Result<()> {
    if !have_root() {
        return Ok(());
    }
    let room = Room::new()?;
    let manager = room.serve()?;
    fs::set_permissions(room.dir(), fs::Permissions::from_mode(0o755))?;
    let code = code(&room, &[])?;
    let port = manager.port.to_string();
    let args = ["login", "--port", &port, "--pin", &manager.pin];
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let mut command = Command::new("setpriv");
    command.args(nobody).arg(program());
    let mut command = over(command, &args);
    let mut child = room
        .settings(&mut command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("a pipe")?;
    let _ = writeln!(input, "{code}");
    drop(input);
    refusal(&Said::of(&child.wait_with_output()?)?, "disk/permission")?;
    login(&room, &code, &args[1..])?.done()?;
    Ok(())
}

/// Nor for one of a manager that cannot be remembered.
#[test]
fn a_code_is_not_given_where_managers_cannot_be_remembered() -> Result<()> {
    let room = Room::new()?;
    let manager = room.serve()?;
    let code = code(&room, &[])?;
    let port = manager.port.to_string();
    let args = ["--port", &port, "--pin", &manager.pin];
    let known = room.dir().join("etc/repositories.json");
    fs::write(&known, "[{")?;
    refusal(&login(&room, &code, &args)?, "cli/bad-config")?;
    fs::remove_file(&known)?;
    login(&room, &code, &args)?.done()?;
    Ok(())
}

/// Whether it came to a token nobody knows here.
#[test]
fn who_breaks_a_login_off_is_told_what_may_be_left() -> Result<()> {
    let room = Room::new()?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let port = manager.port;
    manager.kill()?;
    let silent = TcpListener::bind(("127.0.0.1", port))?;
    let mut child = room
        .command(&["login", "--yes"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    writeln!(child.stdin.take().context("a pipe")?, "AAAA-AAAA")?;
    let _asked = silent.accept()?;
    run("kill", &["-TERM", &child.id().to_string()])?;
    let said = Said::of(&child.wait_with_output()?)?;
    ensure!(
        said.last()["error"]["code"] == "cli/interrupted",
        "{}",
        said.last()
    );
    let hint = said.last()["error"]["hint"].to_string();
    ensure!(hint.contains("azud token list"), "{hint}");
    Ok(())
}

#[test]
fn codes_cannot_be_guessed_or_abused() -> Result<()> {
    let (room, manager) = {
        let room = Room::new()?;
        let manager = room.serve()?;
        (room, manager)
    };
    let line = Line::to(&room, &manager)?;
    let code = code(&room, &[])?;
    // What is no login is an error and costs an attempt.
    for body in ["", "{}", "[]", r#"{"code":1}"#] {
        let (status, problem) = post(&line, body)?;
        ensure!(
            status == 400 && problem["code"] == "repo/bad-login",
            "{problem}"
        );
    }
    // Who goes on waits: a few at once, then one now and then.
    let begun = Instant::now();
    let mut tried = 4;
    let later = loop {
        let (status, problem) = post(&line, r#"{"code":"AAAA-AAAA"}"#)?;
        if status == 429 {
            break problem;
        }
        ensure!(
            status == 401 && problem["code"] == "repo/bad-login",
            "{problem}"
        );
        tried += 1;
        ensure!(
            tried <= 6 + begun.elapsed().as_secs() / 2,
            "{tried} attempts"
        );
    };
    ensure!(later["status"] == 429, "{later}");
    ensure!(later["code"] == "repo/too-many-logins", "{later}");
    let (status, problem) = post(&line, &json!({ "code": code }).to_string())?;
    // On a machine that is slow enough there may be an attempt again.
    ensure!(matches!(status, 200 | 429), "{problem}");
    room.know(&manager)?;
    told_of_too_many(&room, &line)?;
    only_people_make_codes(&room, &manager)
}

/// A manager that looks at no code for a while is there all the same.
fn told_of_too_many(room: &Room, line: &Line) -> Result<()> {
    for _ in 0..20 {
        while post(line, r#"{"code":"AAAA-AAAA"}"#)?.0 != 429 {}
        let said = login(room, "AAAA-AAAA", &[])?;
        // On a machine that is slow enough there may be an attempt again.
        if said.refused()? == "repo/bad-login" {
            continue;
        }
        refusal(&said, "repo/too-many-logins")?;
        let told = said.last()["error"].to_string();
        ensure!(!told.contains("does not answer"), "{told}");
        return Ok(());
    }
    bail!("every code was looked at")
}

/// No token is good for making codes or for seeing them.
fn only_people_make_codes(room: &Room, manager: &Manager) -> Result<()> {
    let line = Line::to(room, manager)?;
    let bearer = bearer(&manager.admin);
    for path in ["/v1/login", "/v1/codes", "/codes.json"] {
        let (head, _) = line.get(path, &[("Authorization", &bearer)])?;
        ensure!(matches!(head.status, 404 | 405), "{path}: {head:?}");
    }
    Ok(())
}

/// Plans by which a login is forgotten, of which the manager hears nothing, say so.
#[test]
fn a_login_that_is_forgotten_is_told_to_be_good_at_the_manager() -> Result<()> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(67, MIB))?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let lines: [(&[&str], &str); 3] = [
        (&["login", "--out", "--yes"], "login-outlives"),
        (&["repo", "add"], "login-replaced"),
        (&["repo", "forget", "REPO", "--yes"], "login-outlives"),
    ];
    for (line, word) in lines {
        let said = login(&room, &code(&room, &[])?, &[])?;
        let said = said.done()?;
        let (id, until) = (said["id"].as_str(), said["until"].as_str());
        let (id, until) = (id.context("an id")?, until.context("a time")?);
        let secret: Value = serde_json::from_slice(&fs::read(kept(&room))?)?;
        let token = secret["token"].as_str().context("a token")?.to_owned();
        let said = if line[1] == "add" {
            let made = room.done(&["token", "create"])?;
            room.introduce(
                &manager,
                &manager.pin,
                made["token"].as_str().context("it")?,
            )?
        } else {
            room.run(line)?
        };
        let done = said.done()?;
        if line[0] == "login" {
            ensure!(done["good_there_until"] == until, "{done}");
        }
        ensure!(!kept(&room).exists(), "{line:?}");
        let warnings = said.plan()["warnings"].to_string();
        ensure!(warnings.contains(word), "{line:?}: {warnings}");
        for part in [until, &format!("azud token revoke {id}")] {
            ensure!(warnings.contains(part), "{part}: {warnings}");
        }
        // It is what it is told to be, until it is ended as told.
        room.introduce(&manager, &manager.pin, &token)?.done()?;
        room.done(&["token", "revoke", id])?;
        let said = room.introduce(&manager, &manager.pin, &token)?;
        refusal(&said, "repo/unauthorised")?;
    }
    room.know(&manager)?;
    let out = room.done(&["login", "--out"])?;
    ensure!(out["good_there_until"].is_null(), "{out}");
    Ok(())
}
