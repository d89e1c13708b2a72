//! An image that is damaged where it says what it is: in its header, its bitmap, its index or what follows that. Whoever
//! else has these bytes gives them; where nobody has, it is refused.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use azud_core::assembly::Layout;
use azud_core::format::container;

use crate::kit::{Said, text};
use crate::server::{Manager, Room, refusal};
use crate::sources::warned;
use crate::{MIB, image, noise, same};

const NAME: &str = "aula1/win.img";
/// The same as a user says it.
const REPO: &str = "REPO:aula1/win";

/// A manager and a stick that have one image.
struct Scene {
    room: Room,
    volume: Vec<u8>,
    /// The image as it was made.
    sound: PathBuf,
    stick: PathBuf,
    _manager: Manager,
}

/// Where an image is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Header,
    Bitmap,
    Index,
    Trailer,
    /// The last bytes of all.
    Footer,
}

const PARTS: [Part; 5] = [
    Part::Header,
    Part::Bitmap,
    Part::Index,
    Part::Trailer,
    Part::Footer,
];

/// What is done with it.
#[derive(Debug, Clone, Copy)]
enum Work {
    Update,
    Cached,
    Directly,
}

const WORKS: [Work; 3] = [Work::Update, Work::Cached, Work::Directly];

/// Each part, with whatever is done with it.
fn cases() -> impl Iterator<Item = (Part, Work)> {
    PARTS
        .into_iter()
        .flat_map(|part| WORKS.map(|work| (part, work)))
}

impl Part {
    /// What is said of it.
    fn code(self) -> &'static str {
        match self {
            Self::Footer => "image/truncated",
            _ => "image/corrupt",
        }
    }

    fn damage(self, image: &Path) -> Result<()> {
        let mut bytes = fs::read(image)?;
        let layout = Layout::read_native(&bytes)?;
        let frame = |number: usize| {
            let piece = &layout.pieces()[number];
            piece.offset + u64::from(piece.len) / 2
        };
        let mark = container::TRAILER_MARK;
        let trailer = bytes.windows(mark.len()).rposition(|at| at == mark);
        let at = match self {
            Self::Header => frame(0),
            Self::Bitmap => frame(1),
            Self::Index => layout.ending_offset() + 20,
            Self::Trailer => trailer.context("a trailer")? as u64,
            Self::Footer => layout.size() - 1,
        };
        bytes[usize::try_from(at)?] ^= 1;
        Ok(fs::write(image, bytes)?)
    }
}

impl Scene {
    fn new(seed: u64) -> Result<Self> {
        let room = Room::new()?;
        let volume = noise(seed, 8 * MIB);
        image(&room, NAME, &volume)?;
        let manager = room.serve()?;
        room.know(&manager)?;
        for dir in ["stick", "sound"] {
            fs::create_dir(room.dir().join(dir))?;
        }
        let [stick, sound] = ["stick", "sound"].map(|dir| room.dir().join(dir).join("win.img"));
        fs::copy(room.images().join(NAME), &sound)?;
        Ok(Self {
            room,
            volume,
            sound,
            stick,
            _manager: manager,
        })
    }

    fn there(&self) -> PathBuf {
        self.room.images().join(NAME)
    }

    fn disk(&self) -> PathBuf {
        self.room.dir().join("disk")
    }

    /// Two sound images, an empty cache, a disk that is no good.
    fn clear(&self) -> Result<()> {
        for copy in [&self.there(), &self.stick] {
            fs::copy(&self.sound, copy)?;
        }
        let cache = self.room.dir().join("cache");
        let _ = fs::remove_dir_all(&cache);
        fs::create_dir_all(cache.join("aula1"))?;
        Ok(fs::write(self.disk(), vec![0xA5; self.volume.len()])?)
    }

    /// Works with what the first one says it is, and another one helps.
    fn run(&self, work: Work, (first, other): (&str, &str)) -> Result<Said> {
        let (here, disk) = (self.here(work), self.disk());
        let cache = self.room.dir().join("cache");
        let update = ["cache", "update", text(&here), "--from", first];
        let deploy = ["deploy", first, text(&disk)];
        let work = match work {
            Work::Update => update.to_vec(),
            Work::Cached => [&deploy[..], &["--cache", text(&cache)]].concat(),
            Work::Directly => [&deploy[..], &["--no-cache"]].concat(),
        };
        let both = [&work[..], &["--from", other, "--yes"]].concat();
        self.room.run(&both)
    }

    fn here(&self, work: Work) -> PathBuf {
        let cache = self.room.dir().join("cache");
        let inside = cache.join(NAME);
        match work {
            // A file of no repository goes to the top.
            Work::Cached if !inside.exists() => cache.join("win.img"),
            _ => inside,
        }
    }

    /// Fails unless the image is where it belongs, verified.
    fn right(&self, work: Work) -> Result<()> {
        if !matches!(work, Work::Directly) {
            let here = self.here(work);
            same(&self.sound, &here)?;
            self.room.done(&["image", "verify", text(&here)])?;
        }
        if !matches!(work, Work::Update) {
            ensure!(fs::read(self.disk())? == self.volume, "another disk");
        }
        Ok(())
    }

    /// Fails unless nothing was written.
    fn untouched(&self, work: Work) -> Result<()> {
        ensure!(!self.here(work).exists(), "it is there");
        ensure!(fs::read(self.disk())?.iter().all(|byte| *byte == 0xA5));
        Ok(())
    }
}

#[test]
fn another_one_gives_header_bitmap_and_index() -> Result<()> {
    let scene = Scene::new(181)?;
    let (there, stick) = (scene.there(), scene.stick.clone());
    for (part, work) in cases() {
        for (damaged, sources) in [
            (&there, (REPO, text(&stick))),
            (&stick, (text(&stick), REPO)),
        ] {
            let case = || format!("{part:?}, {work:?}, {}", damaged.display());
            scene.clear()?;
            part.damage(damaged)?;
            let said = scene.run(work, sources)?;
            said.done().with_context(case)?;
            scene.right(work).with_context(case)?;
            let told = warned(&said, "aula1/win.img") || warned(&said, text(&stick));
            // For an update, a manager is not asked for what a stick gives.
            let asked = !matches!(work, Work::Update) || damaged == &stick;
            ensure!(
                told || matches!(part, Part::Header | Part::Bitmap) && !asked,
                "{}: {}",
                case(),
                said.told()
            );
        }
    }
    Ok(())
}

#[test]
fn what_is_damaged_everywhere_is_refused() -> Result<()> {
    let scene = Scene::new(182)?;
    let (there, stick) = (scene.there(), scene.stick.clone());
    for (part, work) in cases() {
        let case = || format!("{part:?}, {work:?}");
        scene.clear()?;
        part.damage(&there)?;
        part.damage(&stick)?;
        let said = scene.run(work, (REPO, text(&stick)))?;
        refusal(&said, part.code()).with_context(case)?;
        scene.untouched(work).with_context(case)?;
    }
    Ok(())
}

/// One of them has the index, the other one header and bitmap.
#[test]
fn each_gives_what_it_has_right() -> Result<()> {
    let scene = Scene::new(183)?;
    let (there, stick) = (scene.there(), scene.stick.clone());
    for work in WORKS {
        scene.clear()?;
        Part::Index.damage(&there)?;
        Part::Header.damage(&stick)?;
        Part::Bitmap.damage(&stick).context("two parts")?;
        for sources in [(REPO, text(&stick)), (text(&stick), REPO)] {
            let case = || format!("{work:?}, {sources:?}");
            scene.run(work, sources)?.done().with_context(case)?;
            scene.right(work).with_context(case)?;
        }
    }
    Ok(())
}

#[test]
fn another_image_mends_nothing() -> Result<()> {
    let scene = Scene::new(184)?;
    let stick = scene.stick.clone();
    image(&scene.room, "other.img", &noise(185, 8 * MIB))?;
    let other = scene.room.images().join("other.img");
    for (part, work) in cases() {
        let case = || format!("{part:?}, {work:?}");
        scene.clear()?;
        part.damage(&scene.there())?;
        fs::copy(&other, &stick)?;
        let said = scene.run(work, (REPO, text(&stick)))?;
        refusal(&said, part.code()).with_context(case)?;
        ensure!(warned(&said, text(&stick)), "{}: {}", case(), said.told());
        scene.untouched(work).with_context(case)?;
    }
    Ok(())
}

/// Repairs what is in the cache with what the manager has.
fn repaired(scene: &Scene, from: &str) -> Result<Said> {
    let cache = scene.room.dir().join("cache");
    let repair = ["cache", "repair", "aula1/win", "--from", from, "--yes"];
    scene
        .room
        .run(&[&repair[..], &["--cache", text(&cache)]].concat())
}

#[test]
fn an_image_of_the_cache_is_repaired_from_the_manager() -> Result<()> {
    let scene = Scene::new(186)?;
    let here = scene.here(Work::Update);
    let update = ["cache", "update", text(&here), "--from", REPO, "--yes"];
    for part in PARTS {
        for from in ["REPO:", REPO] {
            let case = || format!("{part:?} from {from}");
            scene.clear()?;
            scene.room.done(&update).with_context(case)?;
            part.damage(&here)?;
            let said = repaired(&scene, from)?;
            let told = said.done().with_context(case)?;
            same(&scene.sound, &here).with_context(case)?;
            ensure!(told["fetched"].as_u64() < Some(MIB as u64), "{told}");
        }
    }
    // Who has lost the same cannot help.
    for copy in [&scene.there(), &here] {
        Part::Header.damage(copy)?;
    }
    refusal(&repaired(&scene, "REPO:")?, "cache/no-copy")
}
