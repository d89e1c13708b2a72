//! What nobody should say to a manager, and what it answers.

use std::fs;
use std::io::{Read, Write};
use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::raw::{Line, bearer};
use crate::server::{Manager, Room};
use crate::{MIB, image, noise};

fn room() -> Result<(Room, Manager, Line)> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(41, MIB))?;
    fs::write(room.dir().join("secret.img"), "secret")?;
    let manager = room.serve()?;
    let line = Line::to(&room, &manager)?;
    Ok((room, manager, line))
}

/// The manager goes on serving.
fn healthy(line: &Line) -> Result<()> {
    let (head, _) = line.get("/health", &[])?;
    ensure!(head.status == 200, "{head:?}");
    Ok(())
}

#[test]
fn no_spelling_of_a_path_leads_out() -> Result<()> {
    let (_room, manager, line) = room()?;
    let bearer = bearer(&manager.admin);
    let fields = [("Authorization", bearer.as_str())];
    for name in [
        "..%2fsecret.img",
        "..%2Fsecret.img",
        "%2e%2e%2fsecret.img",
        "..%252fsecret.img",
        "%252e%252e%252fsecret.img",
        "..%5csecret.img",
        "%2fetc%2fpasswd",
        "x%2f..%2f..%2fsecret.img",
        ".%2fone.img",
        "one.img%00",
        "one.img%00.img",
        "one.img%0a",
        "%ff%fe",
        "%c0%ae%c0%ae%2fsecret.img",
        "%",
        "%zz",
        "..;%2fsecret.img",
        "one.img.info",
        ".azud-trash%2fone.img",
        "%2e",
        "",
        "../../secret.img",
        "../../../state/tokens.json",
    ] {
        for behind in ["", "/index"] {
            let path = format!("/v1/images/{name}{behind}");
            let (head, body) = line.get(&path, &fields).context(path.clone())?;
            ensure!(matches!(head.status, 400 | 404), "{path}: {head:?}");
            ensure!(!body.windows(6).any(|it| it == b"secret") || body.starts_with(b"{"));
        }
    }
    let (head, _) = line.get("/v1/images/one%2Eimg", &fields)?;
    ensure!(head.status == 200, "a name is a name: {head:?}");
    healthy(&line)
}

#[test]
fn heads_have_a_size() -> Result<()> {
    let (_room, _manager, line) = room()?;
    let field = format!("X: {}\r\n", "x".repeat(200));
    for (what, head) in [
        ("one field", format!("X: {}\r\n", "x".repeat(1 << 20))),
        ("many fields", "A: b\r\n".repeat(5000)),
        ("many long fields", field.repeat(3000)),
    ] {
        let mut raw = line.connect()?;
        // It may be cut while it still talks.
        let _ = raw.say(format!("GET /health HTTP/1.1\r\nHost: og\r\n{head}\r\n").as_bytes());
        let said = raw.rest()?;
        let refused = said.is_empty() || said.starts_with(b"HTTP/1.1 431");
        ensure!(refused, "{what}: {}", String::from_utf8_lossy(&said));
    }
    let mut raw = line.connect()?;
    let path = "/".repeat(1 << 20);
    let _ = raw.say(format!("GET {path} HTTP/1.1\r\nHost: og\r\n\r\n").as_bytes());
    let said = raw.rest()?;
    let refused = said.is_empty() || said.starts_with(b"HTTP/1.1 4");
    ensure!(refused, "{}", String::from_utf8_lossy(&said));
    healthy(&line)
}

#[test]
fn what_is_half_http_opens_nothing() -> Result<()> {
    let (_room, _manager, line) = room()?;
    let inner = "GET /v1/images HTTP/1.1\r\nHost: og\r\n\r\n";
    for said in [
        format!(
            "POST /v1/images HTTP/1.1\r\nHost: og\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"
        ),
        format!(
            "POST /health HTTP/1.1\r\nHost: og\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n{inner}"
        ),
        format!(
            "POST /health HTTP/1.1\r\nHost: og\r\nTransfer-Encoding: chunked, identity\r\n\r\n{inner}"
        ),
        format!(
            "POST /health HTTP/1.1\r\nHost: og\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n{inner}"
        ),
        format!(
            "POST /health HTTP/1.1\r\nHost: og\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n{inner}"
        ),
        format!("GET /health HTTP/1.1\r\nHost: og\r\nContent-Length: -1\r\n\r\n{inner}"),
        format!("GET /health HTTP/1.1\nHost: og\n\n{inner}"),
        "GET /health\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "GET /v1/images HTTP/1.1\r\nHost: og\r\nAuthorization: Bearer\r\n\r\n".to_owned(),
        "GET /v1/images HTTP/1.1\r\nHost: og\r\nAuthorization: Bearer \u{0}\r\n\r\n".to_owned(),
        "\u{0}\u{1}\u{2}\r\n\r\n".to_owned(),
    ] {
        let mut raw = line.connect()?;
        raw.say(said.as_bytes())?;
        raw.say(b"GET /nothing HTTP/1.1\r\nHost: og\r\nConnection: close\r\n\r\n")
            .ok();
        let answers = String::from_utf8_lossy(&raw.rest()?).into_owned();
        ensure!(!answers.contains("one.img"), "{said:?}: {answers}");
    }
    healthy(&line)
}

#[test]
fn plain_http_is_told_that_this_is_https() -> Result<()> {
    let (_room, _manager, line) = room()?;
    let mut tcp = line.tcp(Ipv4Addr::LOCALHOST)?;
    tcp.write_all(b"GET /health HTTP/1.1\r\nHost: og\r\n\r\n")?;
    let mut said = String::new();
    tcp.read_to_string(&mut said)?;
    ensure!(
        said.starts_with("HTTP/1.1 400 ") && said.contains("HTTPS"),
        "{said}"
    );
    healthy(&line)
}

#[test]
fn both_versions_of_tls_are_spoken() -> Result<()> {
    let (room, manager, _) = room()?;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let line = Line::with(&room, &manager, &[version])?;
        healthy(&line).with_context(|| format!("{:?}", version.version))?;
    }
    Ok(())
}

#[test]
fn one_range_is_served_and_several_are_not() -> Result<()> {
    let (_room, manager, line) = room()?;
    let bearer = bearer(&manager.admin);
    let ask = |range: &str| {
        let fields = [("Authorization", bearer.as_str()), ("Range", range)];
        line.get("/v1/images/one", &fields)
    };
    let (head, body) = ask("bytes=0-0")?;
    ensure!(head.status == 206 && body.len() == 1, "{head:?}");
    let many: Vec<String> = (0..4000).map(|at| format!("{at}-{at}")).collect();
    for range in [
        "bytes=0-0,2-2".to_owned(),
        format!("bytes={}", many.join(",")),
        "bytes=18446744073709551615-18446744073709551616".to_owned(),
    ] {
        let (head, body) = ask(&range)?;
        let problem: Value = serde_json::from_slice(&body)?;
        ensure!(head.status == 416, "{head:?}");
        ensure!(problem["code"] == "repo/bad-range", "{problem}");
    }
    Ok(())
}

/// Whoever is refused reads a problem with a code, also where no route made it.
#[test]
fn every_refusal_is_a_problem() -> Result<()> {
    let (_room, manager, line) = room()?;
    let bearer = bearer(&manager.admin);
    let long = "x".repeat(9000);
    for (what, body, status, code) in [
        ("POST /v1/reports", long.as_str(), 413, "repo/bad-report"),
        ("POST /v1/login", long.as_str(), 413, "repo/bad-login"),
        ("POST /v1/reports", "[]", 400, "repo/bad-report"),
        ("POST /v1/uploads", "[]", 400, "repo/bad-upload"),
        ("POST /v1/uploads", "nothing", 400, "repo/bad-upload"),
        (
            "POST /v1/uploads",
            r#"{"name":"new","bytes":0,"sender":"s"}"#,
            400,
            "repo/bad-upload",
        ),
        ("POST /health", "", 405, "repo/bad-request"),
        ("DELETE /v1/ca", "", 405, "repo/bad-request"),
        ("GET /v1/login", "", 405, "repo/bad-request"),
        ("POST /v1/images", "", 405, "repo/bad-request"),
        ("GET /v1/uploads", "", 405, "repo/bad-request"),
        ("GET /v1/reports", "", 405, "repo/bad-request"),
        ("POST /v1/token", "", 405, "repo/bad-request"),
        ("GET /v1/nothing", "", 404, "image/not-found"),
        ("GET /v1/images/%ff", "", 400, "repo/bad-request"),
        (
            "GET /v1/images?address=%ff&address=2",
            "",
            400,
            "repo/bad-request",
        ),
    ] {
        let mut raw = line.connect()?;
        let len = body.len().to_string();
        let fields = [("Authorization", bearer.as_str()), ("Content-Length", &len)];
        raw.begin(what, &fields)?;
        raw.say(body.as_bytes())?;
        let (head, body) = raw.answer().context(what)?;
        let case = || format!("{what}: {head:?} {}", String::from_utf8_lossy(&body));
        ensure!(head.status == status, "{}", case());
        let kind = head.fields.get("content-type").map(String::as_str);
        ensure!(kind == Some("application/problem+json"), "{}", case());
        let problem: Value = serde_json::from_slice(&body).with_context(case)?;
        ensure!(problem["code"] == code, "{}", case());
        ensure!(problem["status"] == status, "{}", case());
        ensure!(
            (status == 405) == head.fields.contains_key("allow"),
            "{}",
            case()
        );
        let detail = problem["detail"].as_str().context("no detail")?;
        ensure!(
            !detail.is_empty() && !detail.contains("struct"),
            "{}",
            case()
        );
    }
    healthy(&line)
}
