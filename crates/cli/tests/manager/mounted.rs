//! What the manager's computer has mounted of others reaches its clients; what a client has, its neighbours.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::kit::{Said, text};
use crate::raw::{Line, bearer};
use crate::server::{Manager, Room, refusal};
use crate::{MIB, image, noise, same};

/// A manager with roots of its own, in which there is the repository of a NAS.
pub(crate) fn with_a_nas(room: &Room) -> Result<(Manager, PathBuf)> {
    let root = room.dir().join("server");
    let nas = root.join("10.0.0.9");
    fs::create_dir_all(&nas)?;
    // A directory that is not empty is as good as a mount.
    fs::write(nas.join(".keep"), "")?;
    let manager = room.serve_with(&["--root", text(&root)])?;
    room.know_as(&manager, "write")?;
    Ok((manager, nas))
}

#[test]
fn what_the_manager_has_mounted_reaches_its_clients() -> Result<()> {
    let room = Room::new()?;
    let (_manager, nas) = with_a_nas(&room)?;
    image(&room, "own.img", &noise(61, MIB))?;
    image(&room, "aula1/win.img", &noise(62, 6 * MIB))?;
    fs::create_dir(nas.join("aula1"))?;
    fs::rename(
        room.images().join("aula1/win.img"),
        nas.join("aula1/win.img"),
    )?;
    let copy = room.dir().join("win.img");
    room.done(&["image", "copy", "10.0.0.9:aula1/win", text(&copy), "--yes"])?;
    same(&nas.join("aula1/win.img"), &copy)?;
    room.done(&["image", "verify", "10.0.0.9:aula1/win"])?;
    let names = |place: &str| -> Result<Vec<String>> {
        let said = room.done(&["image", "list", place])?;
        let images = said["images"].as_array().context("images")?;
        let paths = images.iter().filter_map(|image| image["path"].as_str());
        Ok(paths.map(str::to_owned).collect())
    };
    ensure!(names("10.0.0.9:")? == ["aula1/win.img"]);
    ensure!(names("REPO:")? == ["own.img"], "each has its own");
    let into = room.dir().join("imported");
    fs::create_dir(&into)?;
    room.done(&["repo", "import", "10.0.0.9:", text(&into), "--yes"])?;
    same(&copy, &into.join("aula1/win.img"))
}

#[test]
fn what_is_not_mounted_is_not_there_and_nothing_is_written_there() -> Result<()> {
    let room = Room::new()?;
    let (_manager, nas) = with_a_nas(&room)?;
    image(&room, "own.img", &noise(63, MIB))?;
    let (own, copy) = (room.images().join("own.img"), room.dir().join("x.img"));
    let get = |from: &str| room.run(&["image", "copy", from, text(&copy), "--yes"]);
    refusal(&get("10.0.0.9:x")?, "image/not-found")?;
    refusal(&get("10.0.0.8:x")?, "place/not-mounted")?;
    // Of its own addresses the manager says nothing but what it serves.
    refusal(&get("REPO:127.0.0.1:own")?, "image/not-found")?;
    for outside in ["10.0.0.9:../own", "10.0.0.9:a/../../own"] {
        refusal(&get(outside)?, "image/bad-name")?;
    }
    std::os::unix::fs::symlink(room.images(), nas.join("planted"))?;
    refusal(&get("10.0.0.9:planted/own")?, "image/outside")?;
    for to in ["10.0.0.9:own", "REPO:10.0.0.9:own"] {
        let said = room.run(&["image", "copy", text(&own), to, "--yes"])?;
        ensure!(said.done().is_err(), "written to {to}");
    }
    ensure!(fs::read_dir(&nas)?.count() == 2 && !copy.exists());
    Ok(())
}

fn hint(said: &Said) -> &str {
    said.last()["error"]["hint"].as_str().unwrap_or_default()
}

#[test]
fn writing_to_what_only_the_manager_has_mounted_is_explained() -> Result<()> {
    let room = Room::new()?;
    let (_manager, _) = with_a_nas(&room)?;
    image(&room, "own.img", &noise(67, MIB))?;
    let own = room.images().join("own.img");
    let to = |place: &str| room.run(&["image", "copy", text(&own), place, "--yes"]);
    let said = to("10.0.0.9:own")?;
    refusal(&said, "place/not-mounted")?;
    let detail = said.last()["error"].to_string();
    ensure!(detail.contains("only read"), "{detail}");
    ensure!(hint(&said).contains("azud repo mount 10.0.0.9"), "{detail}");
    // What nobody has mounted is another matter.
    let said = to("10.0.0.8:own")?;
    refusal(&said, "place/not-mounted")?;
    ensure!(
        !said.last().to_string().contains("only read"),
        "{}",
        said.last()
    );
    Ok(())
}

#[test]
fn a_repository_that_is_away_on_the_manager_is_told_so() -> Result<()> {
    let room = Room::new()?;
    let (_manager, _) = with_a_nas(&room)?;
    fs::remove_dir(room.images())?;
    for args in [["image", "list", "REPO:"], ["image", "info", "REPO:x"]] {
        let said = room.run(&args)?;
        refusal(&said, "place/gone")?;
        let error = said.last()["error"].to_string();
        ensure!(
            error.contains("127.0.0.1: the directory of its images"),
            "{error}"
        );
        ensure!(
            hint(&said).contains("on the computer of that manager"),
            "{error}"
        );
    }
    let said = room.run(&["image", "list", "10.0.0.8:"])?;
    refusal(&said, "place/not-mounted")?;
    ensure!(
        hint(&said).contains("on the computer of that manager"),
        "{}",
        said.last()
    );
    Ok(())
}

#[test]
fn no_answer_tells_where_things_lie_on_the_managers_disk() -> Result<()> {
    let room = Room::new()?;
    let (manager, nas) = with_a_nas(&room)?;
    std::os::unix::fs::symlink("/etc/passwd", room.images().join("out.img"))?;
    std::os::unix::fs::symlink("/etc/passwd", nas.join("out.img"))?;
    fs::create_dir(room.images().join("dir.img"))?;
    image(&room, "Win.img", &noise(68, MIB))?;
    let bearer = bearer(&manager.admin);
    let line = Line::to(&room, &manager)?;
    let ask = |name: &str| -> Result<String> {
        let path = format!("/v1/images/{name}");
        let (_, body) = line.get(&path, &[("Authorization", &bearer)])?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    };
    let names = [
        "out.img",
        "10.0.0.9:out.img",
        "dir.img",
        "win.img",
        "no.img",
        "10.0.0.8:x.img",
    ];
    for name in names {
        let body = ask(name)?;
        ensure!(body.contains("\"code\""), "{name}: {body}");
        ensure!(!body.contains(text(room.dir())), "{name}: {body}");
    }
    ensure!(
        ask("out.img")?.contains("out.img leads out"),
        "{}",
        ask("out.img")?
    );
    Ok(())
}

#[test]
fn a_client_reads_out_its_cache_and_takes_nothing() -> Result<()> {
    let room = Room::new()?;
    let cache = room.dir().join("root/localhost/opt/opengnsys/images");
    fs::create_dir_all(&cache)?;
    image(&room, "one.img", &noise(64, MIB))?;
    fs::rename(room.images().join("one.img"), cache.join("one.img"))?;
    let neighbour = room.serve_bare(&["--read-only"])?;
    ensure!(neighbour.admin.is_empty(), "a token for more than reading");
    let tokens = room.done(&["token", "list"])?;
    ensure!(tokens["tokens"][0]["role"] == "read", "{tokens}");
    room.know_as(&neighbour, "write")?;
    let copy = room.dir().join("one.img");
    room.done(&["image", "copy", "REPO:one", text(&copy), "--yes"])?;
    same(&cache.join("one.img"), &copy)?;
    let send = room.run(&["image", "copy", text(&copy), "REPO:two", "--yes"])?;
    refusal(&send, "repo/read-only")?;
    let remove = room.run(&["image", "rm", "REPO:one", "--yes"])?;
    refusal(&remove, "repo/read-only")?;
    room.done(&["room", "status"])?;
    ensure!(fs::read_dir(&cache)?.count() == 1, "something was written");
    Ok(())
}

#[test]
fn indexes_of_foreign_images_are_made_before_anybody_asks() -> Result<()> {
    let room = Room::new()?;
    let mut foreign = noise(65, 5 * MIB);
    foreign[..4].copy_from_slice(b"FsA0");
    fs::write(room.images().join("old.img"), &foreign)?;
    let served = Instant::now();
    let manager = room.serve()?;
    room.know(&manager)?;
    let identity = || -> Result<Option<String>> {
        let said = room.done(&["image", "list", "REPO:"])?;
        Ok(said["images"][0]["identity"].as_str().map(str::to_owned))
    };
    let first = identity()?;
    // Nobody is to begin sooner.
    let is_early = served.elapsed() < Duration::from_secs(4);
    ensure!(!is_early || first.is_none(), "who has read it already?");
    let begun = Instant::now();
    while identity()?.is_none() {
        ensure!(begun.elapsed() < Duration::from_mins(2), "no index");
        sleep(Duration::from_millis(200));
    }
    // It outlives the manager: the next one has it at once.
    let before = identity()?;
    manager.kill()?;
    let manager = room.serve()?;
    room.know(&manager)?;
    ensure!(identity()? == before);
    Ok(())
}

#[test]
fn what_is_not_done_through_a_manager_is_no_matter_of_mounting_it() -> Result<()> {
    let room = Room::new()?;
    image(&room, "own.img", &noise(66, MIB))?;
    let manager = room.serve()?;
    room.know_as(&manager, "admin")?;
    let own = room.images().join("own.img");
    let said = room.run(&["image", "import", text(&own), "REPO:other"])?;
    refusal(&said, "place/not-mounted")?;
    let hint = said.last()["error"]["hint"].as_str().unwrap_or_default();
    ensure!(hint.contains("on the manager's computer"), "{hint}");
    Ok(())
}

#[test]
fn regression_what_was_unmounted_just_now_is_told_as_not_mounted() -> Result<()> {
    let room = Room::new()?;
    let (_manager, nas) = with_a_nas(&room)?;
    image(&room, "win.img", &noise(68, MIB))?;
    fs::copy(room.images().join("win.img"), nas.join("win.img"))?;
    room.done(&["image", "list", "10.0.0.9:"])?;
    fs::remove_dir_all(&nas)?;
    for ask in [
        &["image", "list", "10.0.0.9:"][..],
        &["image", "info", "10.0.0.9:win"],
        &[
            "image",
            "copy",
            "10.0.0.9:win",
            text(&room.dir().join("x.img")),
        ],
    ] {
        let said = room.run(ask)?;
        refusal(&said, "place/not-mounted").with_context(|| format!("{ask:?}"))?;
        ensure!(
            hint(&said).contains("on the computer of that manager"),
            "{ask:?}: {}",
            hint(&said)
        );
    }
    Ok(())
}
