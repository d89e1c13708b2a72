//! How `doctor` and `repo list` tell of the managers that are known: each is asked, all at once, and not for long.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use azud_testkit::proxy::{Answer, Proxy};
use serde_json::{Value, json};

use crate::faults::identity;
use crate::kit::program;
use crate::server::{Manager, Room};

/// So long has a manager for its answer to the doctor.
const PATIENCE: Duration = Duration::from_secs(5);
/// And so long to a list.
const OF_LIST: Duration = Duration::from_secs(3);
/// What a run may need for all else, on a busy machine.
const ELSE: Duration = Duration::from_secs(8);

/// What the doctor finds of managers, without their times.
fn found(room: &Room) -> Result<Vec<Value>> {
    let said = room.run(&["doctor"])?;
    let findings = said.result()["findings"].as_array();
    let findings = findings.context("no findings")?;
    let of = |finding: &&Value| finding["area"] == "managers";
    Ok(findings.iter().filter(of).cloned().collect())
}

/// States and names of what is found, and the first finding.
fn told(room: &Room) -> Result<(Vec<(String, String)>, Value)> {
    let found = found(room)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let names = found
        .iter()
        .map(|it| (text(&it["state"]), text(&it["finding"])));
    Ok((names.collect(), found[0].clone()))
}

/// The only finding; its state and its name are checked.
fn only(room: &Room, state: &str, name: &str) -> Result<Value> {
    let (names, first) = told(room)?;
    let wanted = [(state.to_owned(), name.to_owned())];
    ensure!(names == wanted, "{names:?}: {first}");
    if state == "problem" {
        for part in ["why", "remedy"] {
            ensure!(
                first[part].as_str().is_some_and(|it| !it.is_empty()),
                "{first}"
            );
        }
    }
    Ok(first)
}

fn listed(room: &Room) -> Result<Vec<Value>> {
    let list = room.done(&["repo", "list"])?;
    let all = list["repositories"].as_array().context("a list")?;
    Ok(all.iter().map(|row| row["state"].clone()).collect())
}

fn audit(room: &Room) -> Result<String> {
    Ok(fs::read_to_string(room.state().join("audit.log"))?)
}

/// What is known of a manager is put down as of another address, so that nobody has to answer there.
pub(crate) fn known_too(room: &Room, host: &str, port: u16) -> Result<()> {
    let register = room.dir().join("etc/repositories.json");
    let mut known: Vec<Value> = serde_json::from_slice(&fs::read(&register)?)?;
    let mut other = known.first().context("one")?.clone();
    (other["address"], other["port"]) = (json!(host), json!(port));
    known.push(other);
    fs::write(register, serde_json::to_vec(&known)?)?;
    let managers = room.dir().join("etc/managers");
    for ending in ["pem", "token"] {
        let of = |host: &str| managers.join(format!("{host}.{ending}"));
        fs::copy(of("127.0.0.1"), of(host))?;
    }
    Ok(())
}

#[test]
fn a_manager_that_answers_is_told_with_what_the_token_is_for() -> Result<()> {
    let room = Room::new()?;
    ensure!(only(&room, "ok", "no-managers")?["values"] == json!({}));
    let manager = room.serve()?;
    for role in ["read", "write", "admin"] {
        room.know_as(&manager, role)?;
        let finding = only(&room, "ok", "manager-answers")?;
        let values = &finding["values"];
        ensure!(
            values["host"] == "127.0.0.1" && values["allows"] == role,
            "{finding}"
        );
        let took = values["milliseconds"].as_str().context("a time")?;
        ensure!(took.parse::<u64>()? < 5000, "{finding}");
    }
    // For some images and subnets alone it is accepted all the same.
    let bound = [
        "--images",
        "aula1/*",
        "--subnet",
        "127.0.0.0/8",
        "--role",
        "write",
    ];
    let made = room.done(&[&["token", "create"], &bound[..]].concat())?;
    let token = made["token"].as_str().context("a token")?;
    room.introduce(&manager, &manager.pin, token)?.done()?;
    let finding = only(&room, "ok", "manager-answers")?;
    ensure!(finding["values"]["allows"] == "write", "{finding}");
    ensure!(listed(&room)? == ["answers"]);
    // Nobody did anything.
    let audit = audit(&room)?;
    ensure!(
        !audit.contains("/v1/token") && !audit.contains("\"status\":4"),
        "{audit}"
    );
    Ok(())
}

#[test]
fn a_manager_that_takes_nothing_is_told_so_whatever_the_token() -> Result<()> {
    let room = Room::new()?;
    let manager = room.serve_with(&["--read-only"])?;
    room.know_as(&manager, "write")?;
    let finding = only(&room, "ok", "manager-answers")?;
    ensure!(finding["values"]["allows"] == "read-only", "{finding}");
    Ok(())
}

#[test]
fn a_manager_that_is_gone_or_another_is_told_with_the_way_out() -> Result<()> {
    let room = Room::new()?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let port = manager.port;
    manager.kill()?;
    let finding = only(&room, "problem", "manager-unreachable")?;
    let what = finding["what"].to_string();
    ensure!(what.contains(&format!("port {port}: ")), "{finding}");
    // Somebody else in its place.
    fs::remove_dir_all(room.state())?;
    let _other = room.serve_at(port)?;
    let finding = only(&room, "problem", "manager-untrusted")?;
    ensure!(
        finding["remedy"].to_string().contains("--pin PIN"),
        "{finding}"
    );
    let known = fs::read_to_string(room.dir().join("etc/repositories.json"))?;
    ensure!(known.contains("127.0.0.1"), "{known}");
    Ok(())
}

/// A room that knows its manager by a token with these bounds.
fn bounded(more: &[&str]) -> Result<(Room, Manager, Value)> {
    let room = Room::new()?;
    let manager = room.serve()?;
    let made = room.done(&[&["token", "create"], more].concat())?;
    let token = made["token"].as_str().context("a token")?;
    room.introduce(&manager, &manager.pin, token)?.done()?;
    Ok((room, manager, made))
}

/// Changes what the manager has written down of its tokens.
fn rewrite(room: &Room, change: impl Fn(&mut Value)) -> Result<()> {
    let file = room.state().join("tokens.json");
    let mut tokens: Vec<Value> = serde_json::from_slice(&fs::read(&file)?)?;
    tokens.iter_mut().for_each(change);
    Ok(fs::write(file, serde_json::to_vec(&tokens)?)?)
}

#[test]
fn a_token_that_is_not_taken_is_told_with_the_reason() -> Result<()> {
    let refused = |room: &Room, remedy: &str| -> Result<()> {
        let finding = only(room, "problem", "manager-refused")?;
        ensure!(finding["remedy"].to_string().contains(remedy), "{finding}");
        ensure!(listed(room)? == ["refused"]);
        Ok(())
    };
    let (room, _manager, made) = bounded(&["--expires", "30d"])?;
    rewrite(&room, |token| {
        if token["id"] == made["id"] {
            token["bounds"]["expires"] = json!(1);
        }
    })?;
    refused(&room, "“azud login” for a person")?;
    let id = made["id"].as_str().context("an id")?;
    room.done(&["token", "revoke", id])?;
    refused(&room, "“azud token create” on the manager")?;
    let (room, _manager, made) = bounded(&["--subnet", "127.0.0.0/8"])?;
    rewrite(&room, |token| {
        if token["id"] == made["id"] {
            token["bounds"]["subnets"] = json!(["10.0.0.0/8"]);
        }
    })?;
    refused(&room, "for which subnets")
}

#[test]
fn what_is_kept_of_a_manager_and_is_of_no_use_is_told() -> Result<()> {
    let room = Room::new()?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let managers = room.dir().join("etc/managers");
    fs::write(managers.join("127.0.0.1.pem"), "none")?;
    let finding = only(&room, "problem", "manager-unusable")?;
    ensure!(
        finding["remedy"].to_string().contains("azud repo add"),
        "{finding}"
    );
    fs::remove_file(managers.join("127.0.0.1.token"))?;
    let finding = only(&room, "problem", "manager-unusable")?;
    ensure!(
        finding["what"].to_string().contains("there is no "),
        "{finding}"
    );
    fs::write(room.dir().join("etc/repositories.json"), "none")?;
    only(&room, "unknown", "managers-unknown")?;
    Ok(())
}

/// It is looked at, and that is all: a clock that is wrong here ends no login.
#[test]
fn a_login_that_has_ended_stays_where_it_is_looked_at() -> Result<()> {
    let room = Room::new()?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let login = room.dir().join("etc/managers/127.0.0.1.login");
    let kept = json!({ "token": "azud_00000000_00", "until": 1 });
    fs::write(&login, kept.to_string())?;
    fs::set_permissions(&login, fs::Permissions::from_mode(0o600))?;
    let finding = only(&room, "ok", "manager-answers")?;
    ensure!(
        finding["values"]["allows"] == "read" && login.exists(),
        "{finding}"
    );
    Ok(())
}

#[test]
fn those_that_say_nothing_are_waited_for_at_once_and_seconds_only() -> Result<()> {
    let room = Room::new()?;
    let manager = room.serve()?;
    room.know(&manager)?;
    // They accept, and that is all they do. One after the other they would cost 20 seconds.
    let mut silent = Vec::new();
    for host in ["127.0.0.5", "127.0.0.6", "127.0.0.7", "127.0.0.8"] {
        let listener = TcpListener::bind((host, 0))?;
        known_too(&room, host, listener.local_addr()?.port())?;
        silent.push(listener);
    }
    let begun = Instant::now();
    let (names, _) = told(&room)?;
    let took = begun.elapsed();
    ensure!(
        names.len() == 6 && names[0].1 == "manager-answers",
        "{names:?}"
    );
    let silent = |(state, name): &(String, String)| state == "problem" && name == "manager-silent";
    ensure!(names[1..5].iter().all(silent), "{names:?}");
    // They have one authority, and nobody has to answer for that.
    ensure!(names[5].1 == "managers-same", "{names:?}");
    ensure!(took >= PATIENCE && took < PATIENCE + ELSE, "{took:?}");
    let begun = Instant::now();
    let states = listed(&room)?;
    let took = begun.elapsed();
    ensure!(states[0] == "answers", "{states:?}");
    ensure!(states[1..] == ["unreachable"; 4], "{states:?}");
    ensure!(took >= OF_LIST && took < OF_LIST + ELSE, "{took:?}");
    let same = room.done(&["repo", "list"])?["same_manager"].clone();
    let all = [1, 5, 6, 7, 8].map(|number| format!("127.0.0.{number}"));
    ensure!(same == json!([all]), "{same}");
    Ok(())
}

/// A room that knows its manager by way of a proxy that changes each answer.
fn changed(answer: Answer) -> Result<(Room, Manager, Proxy)> {
    let room = Room::new()?;
    let manager = room.serve()?;
    let address = SocketAddr::from(([127, 0, 0, 1], manager.port));
    let becomes = move |_: u64, request: &str| {
        if request.starts_with("GET /v1/token ") {
            answer
        } else {
            Answer::Right
        }
    };
    let proxy = Proxy::of_requests(address, &identity(&room)?, becomes)?;
    room.know_at(proxy.port(), &manager.pin, "read")?;
    Ok((room, manager, proxy))
}

#[test]
fn a_manager_of_an_older_version_answers() -> Result<()> {
    let (room, _manager, _proxy) = changed(Answer::Unknown)?;
    let finding = only(&room, "ok", "manager-answers")?;
    ensure!(finding["values"]["allows"] == "unknown", "{finding}");
    ensure!(listed(&room)? == ["answers"]);
    Ok(())
}

#[test]
fn an_answer_that_is_none_is_told() -> Result<()> {
    for answer in [Answer::Error, Answer::Shorter] {
        let (room, _manager, _proxy) = changed(answer)?;
        only(&room, "problem", "manager-odd")?;
    }
    let (room, _manager, _proxy) = changed(Answer::Late(Duration::from_secs(8)))?;
    only(&room, "problem", "manager-silent")?;
    Ok(())
}

/// The time so many seconds from now, as HTTP writes it.
fn date(from_now: i64) -> Result<&'static str> {
    let time = jiff::Timestamp::try_from(SystemTime::now())?;
    let time = time + jiff::SignedDuration::from_secs(from_now);
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time)?;
    Ok(text.leak())
}

#[test]
fn a_clock_that_is_off_is_told_beside_the_answer() -> Result<()> {
    for (from_now, state) in [
        (-30, None),
        (600, Some("warning")),
        (-100_000, Some("problem")),
    ] {
        let (room, _manager, _proxy) = changed(Answer::Dated(date(from_now)?))?;
        let found = found(&room)?;
        ensure!(found[0]["finding"] == "manager-answers", "{found:?}");
        let Some(state) = state else {
            ensure!(found.len() == 1, "{found:?}");
            continue;
        };
        let clock = found.get(1).context("no clock")?;
        ensure!(
            clock["state"] == state && clock["finding"] == "manager-clock",
            "{clock}"
        );
        let seconds: i64 = clock["values"]["seconds"]
            .as_str()
            .context("seconds")?
            .parse()?;
        ensure!((seconds - from_now).abs() <= 15, "{clock}");
    }
    Ok(())
}

#[test]
fn people_hear_of_managers_in_their_language() -> Result<()> {
    let room = Room::new()?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let said = |args: &[&str]| -> Result<String> {
        let mut command = Command::new(program());
        let command = room.settings(command.args(args).stdin(Stdio::null()));
        Ok(String::from_utf8(command.output()?.stdout)?)
    };
    let text = said(&["doctor", "--lang", "es"])?;
    ensure!(text.contains("Gestores\n"), "{text}");
    ensure!(text.contains("ms; el token es para leer\n"), "{text}");
    manager.kill()?;
    let text = said(&["doctor", "--lang", "es", "--quiet"])?;
    ensure!(
        text.contains("El gestor 127.0.0.1 no responde en el puerto"),
        "{text}"
    );
    ensure!(
        text.contains("remedio: Compruebe que «azud serve»"),
        "{text}"
    );
    Ok(())
}
