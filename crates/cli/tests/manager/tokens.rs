//! What a token is good for: until when, where, for which images.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::kit::{program, text};
use crate::raw::{Head, Line, Raw, bearer};
use crate::server::{Manager, Room, refusal};
use crate::{MIB, bytes, image, noise, same};

/// A room with two images and its manager.
fn room() -> Result<(Room, Manager)> {
    let room = Room::new()?;
    image(&room, "aula1/win.img", &noise(31, MIB))?;
    image(&room, "aula2/win.img", &noise(32, MIB))?;
    let manager = room.serve()?;
    Ok((room, manager))
}

fn token(room: &Room, args: &[&str]) -> Result<Value> {
    room.done(&[&["token", "create"], args].concat())
}

fn secret(made: &Value) -> Result<&str> {
    made["token"].as_str().context("a token")
}

fn id(made: &Value) -> Result<&str> {
    made["id"].as_str().context("an id")
}

/// Changes what the manager has written down of a token.
fn rewrite(room: &Room, made: &Value, change: impl Fn(&mut Value)) -> Result<()> {
    let file = room.state().join("tokens.json");
    let mut tokens: Vec<Value> = serde_json::from_slice(&fs::read(&file)?)?;
    let mut found = tokens.iter_mut().filter(|token| token["id"] == made["id"]);
    change(found.next().context("the token")?);
    Ok(fs::write(file, serde_json::to_vec(&tokens)?)?)
}

#[test]
fn a_secret_that_goes_into_a_file_goes_alone() -> Result<()> {
    let (room, _manager) = room()?;
    for what in ["create", "code"] {
        let lines = |more: &[&str]| -> Result<(usize, usize)> {
            let mut plain = std::process::Command::new(program());
            plain.args(["token", what]).args(more);
            let output = room.settings(&mut plain).output()?;
            ensure!(output.status.success(), "{output:?}");
            let lines = |bytes| anyhow::Ok(String::from_utf8(bytes)?.lines().count());
            Ok((lines(output.stdout)?, lines(output.stderr)?))
        };
        ensure!(lines(&["-q"])? == (1, 0), "{what}: more than the secret");
        ensure!(lines(&[])? == (1, 1), "{what}: people are told what it is");
        // Of a code they do not see it in the list.
        let notes = if what == "code" { 2 } else { 1 };
        ensure!(lines(&["--images", "aula1/*"])? == (1, notes), "{what}");
    }
    Ok(())
}

#[test]
fn a_list_tells_which_tokens_have_ended() -> Result<()> {
    let (room, _manager) = room()?;
    let made = token(&room, &["--expires", "30d"])?;
    let ended = |lang: &str| -> Result<(bool, String)> {
        let list = room.done(&["token", "list"])?;
        let listed = list["tokens"].as_array().into_iter().flatten();
        let mut listed = listed.filter(|one| one["id"] == made["id"]);
        let listed = listed.next().context("the token")?;
        let expired = listed["expired"].as_bool().context("whether it ended")?;
        let mut people = std::process::Command::new(program());
        people.args(["token", "list", "--lang", lang]);
        let output = room.settings(&mut people).output()?;
        Ok((expired, String::from_utf8(output.stdout)?))
    };
    let words = [("en", "(ended)"), ("es", "(caducado)")];
    for (lang, word) in words {
        let (expired, shown) = ended(lang)?;
        ensure!(!expired && !shown.contains(word), "{shown}");
    }
    rewrite(&room, &made, |token| token["bounds"]["expires"] = json!(1))?;
    for (lang, word) in words {
        let (expired, shown) = ended(lang)?;
        ensure!(expired && shown.contains(word), "{shown}");
    }
    Ok(())
}

#[test]
fn a_token_is_revoked_as_other_things_are_taken_away() -> Result<()> {
    let (room, _manager) = room()?;
    let made = token(&room, &["--note", "room 1"])?;
    let id = made["id"].as_str().context("an id")?;
    let count = || -> Result<Option<usize>> {
        let listed = room.done(&["token", "list"])?;
        Ok(listed["tokens"].as_array().map(Vec::len))
    };
    let all = count()?;
    let said = room.run(&["token", "revoke", id, "--dry-run"])?;
    said.done()?;
    ensure!(said.plan()["rows"]["note"] == "room 1", "{}", said.plan());
    ensure!(count()? == all, "a plan revoked it");
    let done = room.done(&["token", "revoke", id, "--yes"])?;
    ensure!(done["id"] == id, "{done}");
    ensure!(count()? == all.map(|all| all - 1));
    for more in ["--yes", "--dry-run"] {
        refusal(
            &room.run(&["token", "revoke", id, more])?,
            "server/no-token",
        )?;
    }
    Ok(())
}

#[test]
fn a_state_that_is_a_file_is_told_as_one() -> Result<()> {
    let (room, _manager) = room()?;
    let file = room.dir().join("file");
    fs::write(&file, "")?;
    // Nor can anything be made where a link leads to nothing.
    let link = room.dir().join("link");
    std::os::unix::fs::symlink(room.dir().join("away"), &link)?;
    for state in [&file, &link] {
        for args in [&["token", "list"][..], &["token", "create"], &["serve"]] {
            let said = room.run(&[args, &["--state", text(state)]].concat())?;
            ensure!(
                said.last()["error"]["code"] == "cli/bad-config",
                "{}",
                said.last()
            );
            let told = said.last().to_string();
            let wanted = format!("{} is no directory", text(state));
            ensure!(
                told.contains(&wanted) && told.contains("azud serve"),
                "{told}"
            );
        }
    }
    Ok(())
}

#[test]
fn a_token_ends_while_it_is_in_use() -> Result<()> {
    let (room, manager) = room()?;
    let made = token(&room, &["--expires", "30d"])?;
    ensure!(made["expires"].is_string(), "{made}");
    room.introduce(&manager, &manager.pin, secret(&made)?)?
        .done()?;
    let to = room.dir().join("win.img");
    let copy = ["image", "copy", "REPO:aula1/win", text(&to), "--yes"];
    room.done(&copy)?;
    fs::remove_file(&to)?;
    rewrite(&room, &made, |token| token["bounds"]["expires"] = json!(1))?;
    refusal(&room.run(&copy)?, "repo/token-expired")?;
    ensure!(!to.exists(), "nothing came");
    // A manager whose clock stands before the token was made cannot tell.
    rewrite(&room, &made, |token| {
        token["bounds"]["expires"] = json!(u64::MAX);
        token["created"] = json!(u64::MAX / 2);
    })?;
    refusal(&room.run(&copy)?, "repo/token-expired")?;
    let listed = room.done(&["token", "list"])?;
    ensure!(listed["tokens"].as_array().map(Vec::len) == Some(2));
    Ok(())
}

/// What comes of an answer until it ends, in a time that is long enough for a sign of life.
fn to_its_end(mut answer: Raw) -> Result<Vec<u8>> {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(answer.rest()));
    let ended = told.recv_timeout(Duration::from_secs(40));
    ended.context("it goes on")?
}

#[test]
fn an_answer_that_is_under_way_breaks_off_when_its_token_is_no_good_any_more() -> Result<()> {
    let room = Room::new()?;
    image(&room, "win.img", &noise(39, 48 * MIB))?;
    let manager = room.serve()?;
    let line = Line::to(&room, &manager)?;
    let begin = |path: &str| -> Result<(Value, Raw, Head)> {
        let made = token(&room, &["--role", "write", "--expires", "8h"])?;
        let mut answer = line.connect()?;
        answer.ask(path, &[("Authorization", &bearer(secret(&made)?))])?;
        let head = answer.head()?;
        ensure!(head.status == 200, "{head:?}");
        Ok((made, answer, head))
    };
    let events: [fn(&mut Value); 2] = [
        |token| token["bounds"]["expires"] = json!(1),
        // It is good still, but not for all of that.
        |token| token["bounds"]["images"] = json!(["aula1/*"]),
    ];
    let mut streams = Vec::new();
    for change in events {
        let (made, answer, _) = begin("/v1/events")?;
        rewrite(&room, &made, change)?;
        streams.push(answer);
    }
    let (made, answer, _) = begin("/v1/events")?;
    room.done(&["token", "revoke", id(&made)?])?;
    streams.push(answer);
    let (made, image, head) = begin("/v1/images/win")?;
    room.done(&["token", "revoke", id(&made)?])?;
    // A yes counts for a second.
    sleep(Duration::from_millis(1500));
    let len: usize = head.fields["content-length"].parse()?;
    let came = to_its_end(image)?.len();
    ensure!(came < len, "all {len} bytes came");
    for answer in streams {
        let text = String::from_utf8(to_its_end(answer)?)?;
        ensure!(text.contains("event: room"), "{text}");
    }
    Ok(())
}

#[test]
fn a_token_is_good_in_its_subnets_whatever_a_client_says_of_itself() -> Result<()> {
    let (room, manager) = room()?;
    let there = token(&room, &["--subnet", "10.0.0.0/8"])?;
    let there = secret(&there)?;
    let said = room.introduce(&manager, &manager.pin, there)?;
    refusal(&said, "repo/token-elsewhere")?;
    let line = Line::to(&room, &manager)?;
    let bearer = bearer(there);
    for field in ["X-Forwarded-For", "X-Real-IP", "Forwarded"] {
        let fields = [("Authorization", bearer.as_str()), (field, "10.0.0.1")];
        let (head, _) = line.get("/v1/images", &fields)?;
        ensure!(head.status == 403, "{field}: {head:?}");
    }
    let here = token(
        &room,
        &["--subnet", "10.0.0.0/8", "--subnet", "127.0.0.0/8"],
    )?;
    let here = secret(&here)?;
    room.introduce(&manager, &manager.pin, here)?.done()?;
    Ok(())
}

#[test]
fn what_a_token_is_not_for_does_not_exist() -> Result<()> {
    let (room, manager) = room()?;
    let made = token(&room, &["--images", "aula1/*"])?;
    room.introduce(&manager, &manager.pin, secret(&made)?)?
        .done()?;
    let to = room.dir().join("win.img");
    let copy = |name| ["image", "copy", name, text(&to), "--yes"];
    refusal(&room.run(&copy("REPO:aula2/win"))?, "image/not-found")?;
    ensure!(!to.exists(), "nothing came");
    room.done(&copy("REPO:aula1/win"))?;
    let (line, bearer) = (Line::to(&room, &manager)?, bearer(secret(&made)?));
    let fields = [("Authorization", bearer.as_str())];
    let (head, body) = line.get("/v1/images", &fields)?;
    let listed: Value = serde_json::from_slice(&body)?;
    let names: Vec<&Value> = listed["images"]
        .as_array()
        .context("a list")?
        .iter()
        .map(|image| &image["name"])
        .collect();
    ensure!(head.status == 200 && names == ["aula1/win.img"], "{listed}");
    // What is hidden answers as what is not there, however it is spelt.
    for name in [
        "aula2%2Fwin",
        "aula2%2Fwin.img",
        "aula1%2F..%2Faula2%2Fwin.img",
        "aula2%2fwin.img",
        "none",
    ] {
        for behind in ["", "/index"] {
            let (head, body) = line.get(&format!("/v1/images/{name}{behind}"), &fields)?;
            let problem: Value = serde_json::from_slice(&body)?;
            ensure!(head.status == 404, "{name}{behind}: {problem}");
            ensure!(problem["code"] == "image/not-found", "{problem}");
        }
    }
    Ok(())
}

#[test]
fn nothing_is_made_where_a_token_is_not_for() -> Result<()> {
    let (room, manager) = room()?;
    let made = token(&room, &["--role", "write", "--images", "aula1/*"])?;
    room.introduce(&manager, &manager.pin, secret(&made)?)?
        .done()?;
    let here = room.images().join("aula1/win.img");
    let copy = |to| ["image", "copy", text(&here), to, "--yes"];
    refusal(&room.run(&copy("REPO:aula2/new"))?, "repo/not-allowed")?;
    ensure!(!room.images().join("aula2/new.img").exists(), "it came");
    room.done(&copy("REPO:aula1/new"))?;
    same(&here, &room.images().join("aula1/new.img"))
}

#[test]
fn what_a_token_does_not_see_gives_nothing_to_what_is_sent() -> Result<()> {
    let (room, manager) = room()?;
    let there = room.images().join("aula2/win.img");
    let here = room.dir().join("here.img");
    fs::copy(&there, &here)?;
    let size = fs::metadata(&there)?.len();
    let copy = |to| ["image", "copy", text(&here), to, "--yes"];
    let sent = |made: &Value, to: &'static str| -> Result<u64> {
        room.introduce(&manager, &manager.pin, secret(made)?)?
            .done()?;
        bytes(&room.done(&copy(to))?, "sent")
    };
    let all = token(&room, &["--role", "write"])?;
    let found = sent(&all, "REPO:aula3/found")?;
    ensure!(found < size / 8, "{found} bytes of what another folder has");
    fs::remove_file(room.images().join("aula3/found.img"))?;
    let bound = ["--images", "aula1/*", "--images", "aula2/other"];
    let bound = token(&room, &[&["--role", "write"][..], &bound].concat())?;
    let other_folder = sent(&bound, "REPO:aula1/new")?;
    ensure!(other_folder > size / 2, "{other_folder} bytes");
    fs::remove_file(room.images().join("aula1/new.img"))?;
    let neighbour = sent(&bound, "REPO:aula2/other")?;
    ensure!(neighbour > size / 2, "{neighbour} bytes");
    same(&here, &room.images().join("aula2/other.img"))
}

#[test]
fn a_token_for_reading_hears_that_it_is_and_a_stranger_hears_nothing() -> Result<()> {
    let (room, manager) = room()?;
    let reader = token(&room, &["--images", "aula1/*"])?;
    let reader = bearer(secret(&reader)?);
    let writer = token(&room, &["--role", "write"])?;
    let writer = bearer(secret(&writer)?);
    let line = Line::to(&room, &manager)?;
    let ask = |bearer: &str, path: &str| -> Result<(u16, Value)> {
        let (head, body) = line.get(path, &[("Authorization", bearer)])?;
        Ok((head.status, serde_json::from_slice(&body)?))
    };
    for path in ["/v1/room", "/v1/uploads/00"] {
        let (status, problem) = ask(&reader, path)?;
        ensure!(
            status == 403 && problem["code"] == "repo/not-allowed",
            "{path}: {problem}"
        );
    }
    // What nobody has is not told from what others may use.
    let (status, problem) = ask(&reader, "/v1/none")?;
    ensure!(
        status == 404 && problem["code"] == "image/not-found",
        "{problem}"
    );
    ensure!(ask(&writer, "/v1/room")?.0 == 200);
    // Whoever has no token, or none that is good, hears the same of every path.
    let mut answers = Vec::new();
    for path in ["/v1/room", "/v1/images", "/v1/none", "/v1/uploads"] {
        answers.push(ask("Bearer azud_00000000_00", path)?);
    }
    ensure!(answers.iter().all(|it| *it == answers[0]), "{answers:?}");
    ensure!(
        answers[0].0 == 401 && answers[0].1["code"] == "repo/unauthorised",
        "{answers:?}"
    );
    Ok(())
}

#[test]
fn nothing_is_planned_that_the_token_is_not_for() -> Result<()> {
    let (room, manager) = room()?;
    room.know(&manager)?;
    let here = room.images().join("aula1/win.img");
    let volume = room.dir().join("volume");
    let lines: [&[&str]; 3] = [
        &["image", "rm", "REPO:aula1/win"],
        &["image", "copy", text(&here), "REPO:aula1/new"],
        &["image", "create", text(&volume), "REPO:aula1/new"],
    ];
    for line in lines {
        for how in ["--dry-run", "--yes"] {
            let said = room.run(&[line, &[how]].concat())?;
            refusal(&said, "repo/not-allowed").with_context(|| format!("{line:?} {how}"))?;
            ensure!(said.plan().is_null(), "{line:?} {how}: {:?}", said.lines);
        }
    }
    Ok(())
}

#[test]
fn a_token_that_others_can_read_is_called_one() -> Result<()> {
    let (room, manager) = room()?;
    let file = room.dir().join("token");
    fs::write(&file, &manager.admin)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
    let add = ["repo", "add", "REPO", "--protocol", "http", "--token-file"];
    let said = room.run(&[&add[..], &[text(&file), "--yes"]].concat())?;
    refusal(&said, "repo/open-secret")?;
    let message = said.last()["error"]["message"].as_str().context("words")?;
    ensure!(message.contains("others may read the token"), "{message}");
    ensure!(!message.contains("password"), "{message}");
    Ok(())
}

#[test]
fn bounds_that_are_not_understood_are_refused() -> Result<()> {
    let room = Room::new()?;
    for args in [
        ["--subnet", "10.0.0.1/8"],
        ["--subnet", "aula1"],
        ["--images", "../*"],
        ["--expires", "0d"],
        ["--expires", "soon"],
    ] {
        for what in ["create", "code"] {
            let said = room.run(&[&["token", what][..], &args].concat())?;
            ensure!(said.status == Some(2), "{what} {args:?}: {}", said.last());
        }
    }
    for file in ["tokens.json", "codes.json"] {
        ensure!(!room.state().join(file).exists(), "{file} is made");
    }
    Ok(())
}
