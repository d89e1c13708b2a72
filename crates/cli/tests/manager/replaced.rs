//! An image that is replaced, brought back or put away at the manager while a client fetches it: who began with the
//! old one ends with the old one, whole; only where that is gone for good it is told, and nothing is mixed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use azud_testkit::proxy::{Answer, Proxy};

use crate::faults::{Harmed, address, identity};
use crate::kit::{done, text};
use crate::raw::{Line, bearer};
use crate::server::{Manager, Room, refusal};
use crate::{MIB, image, noise};

/// It happens before this answer passes; the index and the first bytes came before it.
const MIDST: u64 = 4;

/// What happens at the manager in the midst of a fetch.
type Event = Box<dyn FnOnce() -> Result<()> + Send>;

/// Answers that passed since a fetch began, and what is to happen in its midst.
#[derive(Default)]
struct Plot {
    answers: u64,
    event: Option<Event>,
    happened: Option<Result<()>>,
}

struct Stage {
    harmed: Harmed,
    plot: Arc<Mutex<Plot>>,
    /// Another volume of the same size.
    newer: Vec<u8>,
}

impl Stage {
    fn new() -> Result<Self> {
        let plot = Arc::<Mutex<Plot>>::default();
        let playing = Arc::clone(&plot);
        let harmed = Harmed::make(|room, manager, armed| {
            Proxy::of_answers(address(manager), &identity(room)?, move |_| {
                if armed.load(Ordering::Relaxed) {
                    play(&playing);
                }
                Answer::Right
            })
        })?;
        let newer = noise(22, harmed.volume.len());
        Ok(Self {
            harmed,
            plot,
            newer,
        })
    }

    /// A volume, and the image that it becomes in the midst.
    fn replacing(&self) -> Result<(PathBuf, PathBuf)> {
        let source = self.harmed.room.dir().join("newer");
        fs::write(&source, &self.newer)?;
        Ok((source, self.harmed.there()))
    }

    /// A turn in whose midst something happens, and how it ended.
    fn turn(&self, turn: u64, event: Event) -> Result<crate::kit::Said> {
        self.harmed.clear()?;
        let plot = || self.plot.lock().unwrap_or_else(PoisonError::into_inner);
        *plot() = Plot {
            event: Some(event),
            ..Plot::default()
        };
        self.harmed.armed.store(true, Ordering::Relaxed);
        let said = self.harmed.run(turn);
        self.harmed.armed.store(false, Ordering::Relaxed);
        let mut plot = plot();
        let happened = plot.happened.take();
        happened.with_context(|| format!("nothing happened in {} answers", plot.answers))??;
        ensure!(plot.answers > MIDST, "{} answers", plot.answers);
        said
    }

    /// Fails unless a turn left this image, by its bytes and those of its volume.
    fn left(&self, turn: u64, (file, volume): (&[u8], &[u8])) -> Result<()> {
        ensure!(
            turn == 1 || fs::read(self.harmed.here())? == file,
            "another image"
        );
        ensure!(
            turn == 0 || fs::read(self.harmed.target())? == volume,
            "another disk"
        );
        Ok(())
    }
}

fn play(plot: &Mutex<Plot>) {
    // Nobody else's answer passes meanwhile.
    let mut plot = plot.lock().unwrap_or_else(PoisonError::into_inner);
    plot.answers += 1;
    if plot.answers >= MIDST
        && let Some(event) = plot.event.take()
    {
        plot.happened = Some(event());
    }
}

fn replace((source, target): &(PathBuf, PathBuf)) -> Result<()> {
    done(&["image", "create", text(source), text(target), "--yes"])?;
    Ok(())
}

fn trash_of(image: &Path) -> Result<PathBuf> {
    let dir = image.parent().context("a directory")?;
    Ok(dir.join(".azud-trash"))
}

#[test]
fn an_image_that_is_replaced_meanwhile_comes_to_its_end() -> Result<()> {
    let stage = Stage::new()?;
    let harmed = &stage.harmed;
    for turn in 0..3 {
        let case = || format!("turn {turn}");
        image(&harmed.room, "aula1/win.img", &harmed.volume)?;
        let old = fs::read(harmed.there())?;
        let files = stage.replacing()?;
        let said = stage.turn(turn, Box::new(move || replace(&files)));
        said?.done().with_context(case)?;
        stage
            .left(turn, (&old, &harmed.volume))
            .with_context(case)?;
        harmed.run(turn)?.done().with_context(case)?;
        let new = fs::read(harmed.there())?;
        ensure!(new != old);
        stage.left(turn, (&new, &stage.newer)).with_context(case)?;
    }
    Ok(())
}

#[test]
fn an_image_before_which_one_goes_back_comes_to_its_end() -> Result<()> {
    let stage = Stage::new()?;
    let harmed = &stage.harmed;
    let former = fs::read(harmed.there())?;
    replace(&stage.replacing()?)?;
    let present = fs::read(harmed.there())?;
    let there = harmed.there();
    let back = move || {
        done(&["image", "rollback", text(&there), "--yes"])?;
        Ok(())
    };
    stage.turn(2, Box::new(back))?.done()?;
    stage.left(2, (&present, &stage.newer))?;
    harmed.run(2)?.done()?;
    stage.left(2, (&former, &harmed.volume))
}

#[test]
fn an_image_that_is_put_away_meanwhile_comes_to_its_end() -> Result<()> {
    let stage = Stage::new()?;
    let harmed = &stage.harmed;
    let (old, there) = (fs::read(harmed.there())?, harmed.there());
    let away = move || {
        done(&["image", "rm", text(&there), "--yes"])?;
        Ok(())
    };
    stage.turn(2, Box::new(away))?.done()?;
    ensure!(!harmed.there().exists());
    stage.left(2, (&old, &harmed.volume))?;
    refusal(&harmed.run(2)?, "image/not-found")
}

/// Of an image of another program only the manager knows what it consists of.
#[test]
fn an_image_of_another_program_comes_to_its_end_as_well() -> Result<()> {
    let stage = Stage::new()?;
    let harmed = &stage.harmed;
    let (there, files) = (harmed.there(), stage.replacing()?);
    // An archive of fsarchiver, by its first bytes.
    let mut old = noise(64, 21 * MIB);
    old[..4].copy_from_slice(b"FsA0");
    let rm = there.clone();
    let events: [Event; 2] = [
        Box::new(move || replace(&files)),
        Box::new(move || {
            done(&["image", "rm", text(&rm), "--yes"])?;
            Ok(())
        }),
    ];
    for event in events {
        let dir = there.parent().context("a directory")?;
        fs::remove_dir_all(dir)?;
        fs::create_dir(dir)?;
        fs::write(&there, &old)?;
        harmed.clear()?;
        // The manager makes its index.
        let here = harmed.here();
        let copy = ["image", "copy", "REPO:aula1/win", text(&here)];
        harmed.room.done(&[&copy[..], &["--dry-run"]].concat())?;
        stage.turn(0, event)?.done()?;
        stage.left(0, (&old, &[]))?;
    }
    Ok(())
}

#[test]
fn an_image_that_is_gone_for_good_is_never_mixed() -> Result<()> {
    let stage = Stage::new()?;
    let harmed = &stage.harmed;
    for turn in 0..3 {
        let case = || format!("turn {turn}");
        image(&harmed.room, "aula1/win.img", &harmed.volume)?;
        let (files, trash) = (stage.replacing()?, trash_of(&harmed.there())?);
        let gone = move || {
            replace(&files)?;
            Ok(fs::remove_dir_all(trash)?)
        };
        let said = stage.turn(turn, Box::new(gone))?;
        refusal(&said, "store/source-changed").with_context(case)?;
        harmed.run(turn)?.done().with_context(case)?;
        let new = fs::read(harmed.there())?;
        stage.left(turn, (&new, &stage.newer)).with_context(case)?;
    }
    Ok(())
}

/// What somebody is told who goes on with an image of this identity.
fn asked(room: &Room, manager: &Manager, (token, path, tag): (&str, &str, &str)) -> Result<u16> {
    let (bearer, tag) = (bearer(token), format!("\"{tag}\""));
    let fields = [("Authorization", bearer.as_str()), ("If-Match", &tag)];
    let (head, body) = Line::to(room, manager)?.get(&format!("/v1/images/{path}"), &fields)?;
    let told = head.fields.get("etag");
    ensure!(head.status != 200 || (told == Some(&tag) && !body.is_empty()));
    Ok(head.status)
}

fn reader(room: &Room, more: &[&str]) -> Result<String> {
    let made = room.done(&[&["token", "create", "--role", "read"][..], more].concat())?;
    Ok(made["token"].as_str().context("a token")?.to_owned())
}

/// The identity of a native image.
fn tag(image: &Path) -> Result<String> {
    let info = done(&["image", "info", text(image)])?;
    Ok(info["identity"].as_str().context("an identity")?.to_owned())
}

#[test]
fn a_former_version_has_the_bounds_of_its_image() -> Result<()> {
    let room = Room::new()?;
    let path = |name: &str| room.images().join(name);
    let mut tags = Vec::new();
    for (seed, name) in [(61, "aula/win.img"), (62, "exams/win.img")] {
        image(&room, name, &noise(seed, MIB))?;
        tags.push(tag(&path(name))?);
    }
    fs::write(path("exams/win.img.https-only"), "")?;
    fs::write(path("aula/win.img.minisig"), "a signature")?;
    for name in ["aula/win.img", "exams/win.img"] {
        done(&["image", "rm", text(&path(name)), "--yes"])?;
    }
    let (aula, exams) = (tags[0].as_str(), tags[1].as_str());
    let manager = room.serve()?;
    let (any, bound) = (reader(&room, &[])?, reader(&room, &["--images", "aula/*"])?);
    for (token, path, tag, status) in [
        (&any, "aula%2Fwin.img", aula, 200),
        (&any, "exams%2Fwin.img", exams, 200),
        (&bound, "aula%2Fwin.img", aula, 200),
        (&bound, "exams%2Fwin.img", exams, 404),
        (&any, "aula%2Fwin.img/minisig", aula, 200),
        (&any, "aula%2Fwin.img", exams, 404),
        (&any, "aula%2Fwin.img", "*", 404),
        (&any, "aula%2Fwin.img/index", aula, 200),
        (&any, "aula%2Fwin.img/index", exams, 404),
        (&bound, "exams%2Fwin.img/index", exams, 404),
    ] {
        let told = asked(&room, &manager, (token, path, tag))?;
        ensure!(told == status, "{path} {tag}: {told}");
    }
    drop(manager);
    // Who gives what it got from a manager does not give what travels over HTTPS alone, nor what was that.
    let images = room.images();
    let neighbour = room.serve_bare(&["--read-only", "--images", text(&images)])?;
    let of = |path, tag| asked(&room, &neighbour, (&any, path, tag));
    ensure!(of("aula%2Fwin.img", aula)? == 200);
    ensure!(of("exams%2Fwin.img", exams)? == 404);
    Ok(())
}

#[test]
fn a_version_whose_description_is_wrong_is_not_given_for_another() -> Result<()> {
    let room = Room::new()?;
    let path = room.images().join("win.img");
    let mut tags = Vec::new();
    for seed in 63..66 {
        image(&room, "win.img", &noise(seed, MIB))?;
        tags.push(tag(&path)?);
    }
    let shelf = trash_of(&path)?.join("win.img");
    for slot in fs::read_dir(&shelf)? {
        let meta = slot?.path().join("meta.json");
        let said = fs::read_to_string(&meta)?;
        fs::write(&meta, said.replace(&tags[0], &"0".repeat(64)))?;
        let said = fs::read_to_string(&meta)?;
        fs::write(&meta, said.replace(&tags[1], &tags[0]))?;
    }
    let manager = room.serve()?;
    let token = reader(&room, &[])?;
    for (tag, status) in [(&tags[0], 412), (&tags[1], 412), (&tags[2], 200)] {
        let told = asked(&room, &manager, (&token, "win.img", tag))?;
        ensure!(told == status, "{tag}: {told}");
    }
    Ok(())
}
