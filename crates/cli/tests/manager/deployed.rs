//! A deployment from several places: whoever dies, gives damaged frames or has another image, the disk is right in the
//! end.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use azud_testkit::proxy::{Answer, Proxy};

use crate::faults::{address, identity};
use crate::kit::{Said, text};
use crate::server::{Manager, Room, refusal};
use crate::sources::{spoil, warned};
use crate::{MIB, bytes, image, noise, same};

const NAME: &str = "aula1/win.img";
/// As a request names the image that is the manager's own.
const OWN: &str = "/v1/images/aula1%2Fwin.img";

/// The pieces that the manager gives of its own image.
struct Own {
    answers: AtomicU64,
    /// From this one on they are harmed.
    from: AtomicU64,
    harmed: AtomicU64,
}

impl Own {
    fn becomes(&self, request: &str, harm: Answer) -> Answer {
        let is_piece = request.contains(OWN) && request.to_ascii_lowercase().contains("\nrange:");
        if !is_piece
            || self.answers.fetch_add(1, Ordering::Relaxed) < self.from.load(Ordering::Relaxed)
        {
            return Answer::Right;
        }
        self.harmed.fetch_add(1, Ordering::Relaxed);
        harm
    }
}

/// A manager, a file server that it has mounted and a stick: all of them have one image. A client knows the manager by
/// way of a proxy.
struct Scene {
    room: Room,
    volume: Vec<u8>,
    stick: PathBuf,
    nas: PathBuf,
    own: Arc<Own>,
    manager: Manager,
    _proxy: Proxy,
}

impl Scene {
    fn new(seed: u64, harm: Answer) -> Result<Self> {
        let room = Room::new()?;
        let volume = noise(seed, 24 * MIB);
        image(&room, NAME, &volume)?;
        let root = room.dir().join("server");
        let (nas, stick) = (
            root.join("10.0.0.9").join(NAME),
            room.dir().join("stick/win.img"),
        );
        for copy in [&nas, &stick] {
            fs::create_dir_all(copy.parent().context("a folder")?)?;
            fs::copy(room.images().join(NAME), copy)?;
        }
        let manager = room.serve_with(&["--root", text(&root)])?;
        let own = Arc::new(Own {
            answers: AtomicU64::new(0),
            from: AtomicU64::new(u64::MAX),
            harmed: AtomicU64::new(0),
        });
        let harmed = Arc::clone(&own);
        let becomes = move |_, request: &str| harmed.becomes(request, harm);
        let proxy = Proxy::of_requests(address(&manager), &identity(&room)?, becomes)?;
        room.know_at(proxy.port(), &manager.pin, "read")?;
        let scene = Self {
            room,
            volume,
            stick,
            nas,
            own,
            manager,
            _proxy: proxy,
        };
        scene.clear()?;
        Ok(scene)
    }

    fn there(&self) -> PathBuf {
        self.room.images().join(NAME)
    }

    fn cache(&self) -> PathBuf {
        self.room.dir().join("cache")
    }

    fn disk(&self) -> PathBuf {
        self.room.dir().join("disk")
    }

    /// Neither a cached image nor a disk that is any good.
    fn clear(&self) -> Result<()> {
        let _ = fs::remove_dir_all(self.cache());
        fs::create_dir(self.cache())?;
        Ok(fs::write(self.disk(), vec![0xA5; self.volume.len()])?)
    }

    fn deploy(&self, from: &[&str], way: Way, more: &str) -> Result<Said> {
        let (disk, cache) = (self.disk(), self.cache());
        let mut args = vec!["deploy", "REPO:aula1/win", text(&disk), more];
        args.extend(from.iter().flat_map(|from| ["--from", *from]));
        match way {
            Way::Cached => args.extend(["--cache", text(&cache)]),
            Way::Directly => args.push("--no-cache"),
        }
        self.room.run(&args)
    }

    /// Fails unless the disk is right, and what is in the cache is the image.
    fn right(&self, way: Way) -> Result<()> {
        ensure!(fs::read(self.disk())? == self.volume, "another disk");
        let here = self.cache().join(NAME);
        match way {
            Way::Cached => same(&self.there(), &here),
            Way::Directly => {
                ensure!(!here.exists(), "it was cached");
                Ok(())
            }
        }
    }

    /// From the plan on, no piece of the manager's own image comes as it should.
    fn arm(&self, from: &[&str], way: Way) -> Result<()> {
        let Own {
            answers,
            from: begins,
            ..
        } = &*self.own;
        begins.store(u64::MAX, Ordering::Relaxed);
        answers.store(0, Ordering::Relaxed);
        self.deploy(from, way, "--dry-run")?.done()?;
        begins.store(answers.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        self.own.harmed.store(0, Ordering::Relaxed);
        Ok(())
    }
}

/// With a cache or without one.
#[derive(Debug, Clone, Copy)]
enum Way {
    Cached,
    Directly,
}

const WAYS: [Way; 2] = [Way::Cached, Way::Directly];

/// A manager that breaks off in the midst of an answer and gives no whole one any more, and one that gives wrong bytes.
#[test]
fn whatever_becomes_of_the_manager_another_one_gives_the_rest() -> Result<()> {
    for (seed, harm) in [(171, Answer::CutShort), (172, Answer::Corrupt)] {
        let scene = Scene::new(seed, harm)?;
        for way in WAYS {
            let case = || format!("{harm:?}, {way:?}");
            let from = ["10.0.0.9:"];
            scene.clear()?;
            scene.arm(&from, way)?;
            let said = scene.deploy(&from, way, "--yes")?;
            let done = said.done().with_context(case)?;
            scene.right(way).with_context(case)?;
            let harmed = scene.own.harmed.load(Ordering::Relaxed);
            ensure!(harmed > 0, "{}: nobody asked the manager", case());
            let both = format!("127.0.0.1:{NAME}, 127.0.0.1:10.0.0.9:{NAME}");
            ensure!(done["source"] == both.as_str(), "{done}");
            ensure!(
                said.plan()["rows"]["source"] == both.as_str(),
                "{}",
                said.plan()
            );
            let size = fs::metadata(scene.there())?.len();
            ensure!(bytes(done, "received")? > size - MIB as u64, "{done}");
        }
    }
    Ok(())
}

/// One alone does not get through that.
#[test]
fn without_another_one_it_ends_with_the_manager() -> Result<()> {
    let scene = Scene::new(173, Answer::Corrupt)?;
    scene.arm(&[], Way::Directly)?;
    refusal(&scene.deploy(&[], Way::Directly, "--yes")?, "image/corrupt")
}

#[test]
fn a_stick_gives_what_it_has_and_who_has_another_image_is_left_aside() -> Result<()> {
    let scene = Scene::new(174, Answer::Right)?;
    let stick = scene.stick.parent().context("a folder")?;
    let size = fs::metadata(scene.there())?.len();
    let deploy = |way| {
        scene.clear()?;
        let said = scene.deploy(&[text(stick)], way, "--yes")?;
        said.done()?;
        scene.right(way)?;
        Ok::<_, anyhow::Error>(said)
    };
    for way in WAYS {
        let said = deploy(way).with_context(|| format!("{way:?}"))?;
        ensure!(said.told().is_empty(), "{}", said.told());
        let received = bytes(said.last(), "received")?;
        ensure!(received < size, "the stick is nearer: {}", said.last());
    }
    let warns_of_the_stick = |way| {
        let said = deploy(way).with_context(|| format!("{way:?}"))?;
        ensure!(
            warned(&said, text(&scene.stick)),
            "{way:?}: {}",
            said.told()
        );
        Ok(said)
    };
    // The same image, most of which the stick has wrong.
    spoil(&scene.stick)?;
    for way in WAYS {
        warns_of_the_stick(way)?;
    }
    image(&scene.room, "other.img", &noise(175, 24 * MIB))?;
    fs::rename(scene.room.images().join("other.img"), &scene.stick)?;
    for way in WAYS {
        let said = warns_of_the_stick(way)?;
        ensure!(said.last()["source"] == format!("127.0.0.1:{NAME}").as_str());
    }
    // Nor does somebody do harm who is not there.
    fs::remove_file(&scene.stick)?;
    for way in WAYS {
        warns_of_the_stick(way)?;
    }
    Ok(())
}

#[test]
fn where_everybody_has_wrong_bytes_or_nobody_says_which_image_it_is_it_is_refused() -> Result<()> {
    let scene = Scene::new(176, Answer::Right)?;
    let stick = scene.stick.clone();
    let others = ["10.0.0.9:", text(&stick)];
    for path in [&scene.there(), &scene.nas, &scene.stick] {
        spoil(path)?;
    }
    for way in WAYS {
        let said = scene.deploy(&others, way, "--yes")?;
        refusal(&said, "image/corrupt").with_context(|| format!("{way:?}"))?;
        ensure!(crate::kit::seen(&scene.disk())?.is_none());
    }
    scene.clear()?;
    let Scene { room, manager, .. } = &scene;
    let before = fs::read(scene.disk())?;
    azud_testkit::tools::run("kill", &["-9", &manager.pid().to_string()])?;
    for way in WAYS {
        let said = scene.deploy(&others, way, "--yes")?;
        refusal(&said, "repo/unreachable").with_context(|| format!("{way:?}"))?;
    }
    ensure!(fs::read(scene.disk())? == before, "the disk was written");
    ensure!(
        is_empty(&room.dir().join("cache"))?,
        "the cache was written"
    );
    Ok(())
}

fn is_empty(dir: &Path) -> Result<bool> {
    Ok(fs::read_dir(dir)?.next().is_none())
}
