//! One image from several places at once, and the way in which it comes.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use azud_testkit::proxy::{Harm, Proxy};

use crate::kit::{Said, text};
use crate::mounted::with_a_nas;
use crate::server::{Manager, Room, refusal};
use crate::{MIB, bytes, image, noise, same};

const NAME: &str = "aula1/win.img";
/// Longer than one of several is waited for before the others are asked, shorter than all of them are.
const ABSENCE: Duration = Duration::from_secs(5);

/// The way to a manager, which the client takes from now on: after a while it breaks off, and for some time nobody is
/// there.
pub(crate) fn absent(room: &Room, manager: &Manager) -> Result<Proxy> {
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), manager.port);
    let (last, gone) = (Arc::new(AtomicU64::new(u64::MAX)), OnceLock::new());
    let until = Arc::clone(&last);
    let proxy = Proxy::of_bytes(address, move |number| {
        match number.checked_sub(until.load(Ordering::Relaxed)) {
            None => Harm::None,
            Some(0..6) => Harm::Cut(3 * MIB as u64),
            _ if gone.get_or_init(Instant::now).elapsed() < ABSENCE => Harm::Cut(0),
            _ => Harm::None,
        }
    })?;
    room.know_at(proxy.port(), &manager.pin, "read")?;
    last.store(proxy.connections(), Ordering::Relaxed);
    Ok(proxy)
}

/// A client that knows a manager, and has a stick with the same image.
struct Scene {
    room: Room,
    manager: Option<Manager>,
    stick: PathBuf,
    here: PathBuf,
}

impl Scene {
    fn new(seed: u64) -> Result<Self> {
        Self::of(seed, 24 * MIB)
    }

    fn of(seed: u64, len: usize) -> Result<Self> {
        let room = Room::new()?;
        image(&room, NAME, &noise(seed, len))?;
        let (stick, cache) = (room.dir().join("stick"), room.dir().join("cache/aula1"));
        for dir in [&stick, &cache] {
            fs::create_dir_all(dir)?;
        }
        let stick = stick.join("win.img");
        fs::copy(room.images().join(NAME), &stick)?;
        let manager = room.serve()?;
        room.know(&manager)?;
        Ok(Self {
            here: cache.join("win.img"),
            room,
            manager: Some(manager),
            stick,
        })
    }

    fn there(&self) -> PathBuf {
        self.room.images().join(NAME)
    }

    fn update(&self, from: &[&str]) -> Result<Said> {
        let from = from.iter().flat_map(|from| ["--from", *from]);
        let mut args = vec!["cache", "update", text(&self.here), "--yes"];
        args.extend(from);
        self.room.run(&args)
    }
}

/// Whether somebody was warned of something.
pub(crate) fn warned(said: &Said, of: &str) -> bool {
    let warnings = said
        .lines
        .iter()
        .filter_map(|line| line["warning"].as_str());
    warnings.into_iter().any(|text| text.contains(of))
}

/// What a source gave, as the result tells: of right bytes, how often others, and how often none.
fn gave(said: &Said, source: &str) -> Result<(u64, u64, u64)> {
    let all = said.done()?["sources"].as_array().context("sources")?;
    let name = |one: &&serde_json::Value| {
        one["source"]
            .as_str()
            .is_some_and(|name| name.contains(source))
    };
    let one = all.iter().find(name).with_context(|| format!("{all:?}"))?;
    Ok((
        bytes(one, "bytes")?,
        bytes(one, "wrong")?,
        bytes(one, "silent")?,
    ))
}

/// Makes other bytes of most of an image; its ending stays.
pub(crate) fn spoil(path: &Path) -> Result<()> {
    let mut bytes = fs::read(path)?;
    let most = bytes.len() - MIB;
    bytes[MIB..most].iter_mut().for_each(|byte| *byte ^= 0x55);
    Ok(fs::write(path, bytes)?)
}

#[test]
fn a_stick_with_bad_bytes_is_found_out_and_the_manager_gives_the_image() -> Result<()> {
    let scene = Scene::new(71)?;
    let stick = text(&scene.stick);
    spoil(&scene.stick)?;
    refusal(&scene.update(&[stick])?, "image/corrupt")?;
    ensure!(!scene.here.exists());
    let said = scene.update(&[stick, "REPO:aula1/win"])?;
    said.done()?;
    ensure!(warned(&said, stick), "{:?}", said.lines);
    let all = bytes(said.done()?, "from_source")?;
    let [bad, good] = [stick, "127.0.0.1"].map(|source| gave(&said, source));
    let (bad, good) = (bad?, good?);
    ensure!(
        bad.1 >= 3 && good.0 > 0 && (good.1, good.2) == (0, 0),
        "{bad:?} {good:?}"
    );
    ensure!(bad.0 + good.0 >= all, "{bad:?} {good:?} {all}");
    same(&scene.there(), &scene.here)
}

#[test]
fn whose_wrong_bytes_they_are_is_told_where_one_alone_has_the_image() -> Result<()> {
    let scene = Scene::new(79)?;
    spoil(&scene.there())?;
    let (first, disk) = ("REPO:aula1/win", scene.room.dir().join("disk"));
    let cache = scene.room.dir().join("cache");
    let deploy = ["deploy", first, text(&disk)];
    for work in [
        [&deploy[..], &["--no-cache", "--yes"]].concat(),
        [&deploy[..], &["--cache", text(&cache), "--yes"]].concat(),
        vec!["image", "restore", first, text(&disk), "--yes"],
        vec!["image", "copy", first, text(&scene.here), "--yes"],
        vec!["image", "verify", first],
    ] {
        let said = scene.room.run(&work)?;
        let case = || format!("{work:?}: {}", said.last());
        refusal(&said, "image/corrupt").with_context(case)?;
        let error = &said.last()["error"];
        let word = |key: &str| error[key].as_str().unwrap_or_default();
        ensure!(
            word("message").contains("127.0.0.1:aula1/win.img"),
            "{}",
            case()
        );
        let verify = "azud image verify DIR/aula1/win.img";
        ensure!(word("hint").contains(verify), "{}", case());
        ensure!(word("hint").contains("127.0.0.1"), "{}", case());
    }
    Ok(())
}

#[test]
fn one_wrong_byte_and_one_silence_are_told() -> Result<()> {
    // So small that all of it is asked for at once, and so of the stick.
    let scene = Scene::of(78, 2 * MIB)?;
    let stick = text(&scene.stick);
    let mut there = fs::read(&scene.stick)?;
    there[MIB] ^= 1;
    fs::write(&scene.stick, there)?;
    let said = scene.update(&[stick, "REPO:aula1/win"])?;
    ensure!(warned(&said, "gave wrong bytes once"), "{:?}", said.lines);
    ensure!(gave(&said, stick)?.1 == 1, "{:?}", said.lines);
    same(&scene.there(), &scene.here)?;

    let scene = Scene::new(80)?;
    // For a while nobody is there.
    let manager = scene.manager.as_ref().context("a manager")?;
    let _way = absent(&scene.room, manager)?;
    let said = scene.update(&["REPO:aula1/win", "REPO:aula1/win"])?;
    ensure!(warned(&said, "did not answer"), "{:?}", said.lines);
    let all = said.done()?["sources"].as_array().context("sources")?;
    ensure!(
        all.iter().any(|one| one["silent"].as_u64() > Some(0)),
        "{all:?}"
    );
    same(&scene.there(), &scene.here)
}

#[test]
fn a_manager_that_is_gone_is_not_waited_for_while_a_stick_has_the_image() -> Result<()> {
    let mut scene = Scene::new(72)?;
    let stick = scene.stick.clone();
    let both = [text(&stick), "REPO:aula1/win"];
    let said = scene.update(&both)?;
    let source = said.done()?["source"].as_str().context("a source")?;
    ensure!(
        both.iter()
            .all(|one| source.contains(&one.replace("REPO", "127.0.0.1"))),
        "{source}"
    );
    fs::remove_file(&scene.here)?;
    scene.manager = None;
    let said = scene.update(&both)?;
    said.done()?;
    ensure!(warned(&said, "127.0.0.1"), "{:?}", said.lines);
    same(&scene.there(), &scene.here)?;
    // The one that is named first says which image it is: without it there is none.
    fs::remove_file(&scene.here)?;
    refusal(&scene.update(&[both[1], both[0]])?, "repo/unreachable")
}

#[test]
fn who_has_another_image_is_left_aside() -> Result<()> {
    let scene = Scene::new(73)?;
    image(&scene.room, NAME, &noise(74, 24 * MIB))?;
    let said = scene.update(&["REPO:aula1/win", text(&scene.stick)])?;
    let size = fs::metadata(scene.there())?.len();
    ensure!(bytes(said.done()?, "from_source")? > size / 2);
    ensure!(warned(&said, text(&scene.stick)), "{:?}", said.lines);
    same(&scene.there(), &scene.here)
}

#[test]
fn that_no_source_answers_is_said_once_and_soon() -> Result<()> {
    let scene = Scene::new(77)?;
    let manager = scene.manager.as_ref().context("a manager")?;
    // From this connection on nobody is there; those before it do not carry the whole image.
    let last = Arc::new(AtomicU64::new(u64::MAX));
    let until = Arc::clone(&last);
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), manager.port);
    let proxy = Proxy::of_bytes(address, move |number| match until.load(Ordering::Relaxed) {
        u64::MAX => Harm::None,
        last if number < last => Harm::Cut(3 * MIB as u64),
        _ => Harm::Cut(0),
    })?;
    scene.room.know_at(proxy.port(), &manager.pin, "read")?;
    last.store(proxy.connections() + 6, Ordering::Relaxed);
    let said = scene.update(&["REPO:aula1/win", "REPO:aula1/win"])?;
    refusal(&said, "repo/unreachable")?;
    let told = said.told();
    ensure!(
        told.matches("None of the sources answers").count() == 1,
        "{told}"
    );
    let seconds = told
        .split("up to ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let seconds: u64 = seconds.context("how long")?.parse()?;
    ensure!((1..10).contains(&seconds), "{told}");
    ensure!(!scene.here.exists());
    Ok(())
}

#[test]
fn the_way_in_which_an_image_comes_can_be_said() -> Result<()> {
    let room = Room::new()?;
    let (_manager, nas) = with_a_nas(&room)?;
    // Another image by that name where the client has the NAS mounted, and where its manager has.
    let mounted = room.dir().join("root/10.0.0.9");
    let [there, near] = [&nas, &mounted].map(|top| top.join(NAME));
    for (seed, path) in [(75, &there), (76, &near)] {
        image(&room, NAME, &noise(seed, 2 * MIB))?;
        fs::create_dir_all(path.parent().context("a folder")?)?;
        fs::rename(room.images().join(NAME), path)?;
    }
    let cache = room.dir().join("cache");
    fs::create_dir(&cache)?;
    let here = cache.join(NAME);
    let update = |via: &str| {
        let mut command = room.command(&["cache", "update", "10.0.0.9:aula1/win", "--yes"]);
        command.args(["--via", via]).env("AZUD_CACHE", &cache);
        Said::of(&command.output()?)
    };
    for (via, from) in [
        ("http", &there),
        ("auto", &near),
        ("http", &there),
        ("file", &near),
    ] {
        update(via)?.done()?;
        same(from, &here).with_context(|| via.to_owned())?;
    }
    fs::remove_dir_all(&mounted)?;
    refusal(&update("file")?, "place/not-mounted")?;
    update("auto")?.done()?;
    same(&there, &here)?;
    ensure!(update("pigeon")?.status == Some(2));
    Ok(())
}
