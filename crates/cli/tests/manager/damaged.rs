//! Native images that are damaged at a manager: whoever asks over HTTPS is told what its own computer tells.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use azud_core::assembly::Layout;
use azud_core::format::container;
use azud_store::side::Sums;
use serde_json::Value;

use crate::audit::metric;
use crate::kit::{self, Said, text};
use crate::raw::Line;
use crate::server::{Manager, Room};
use crate::{MIB, image, noise};

/// So far before the end the seek table has a byte.
const SEEK: usize = 20;

const THERE: &str = "REPO:aula5/f1";
const SENT: &str = "azud_sent_bytes_total";

/// A manager with one native image, without anything beside it.
struct Scene {
    room: Room,
    whole: Vec<u8>,
    manager: Manager,
}

impl Scene {
    fn new(seed: u64) -> Result<Self> {
        let room = Room::new()?;
        image(&room, "aula5/f1.img", &noise(seed, 2 * MIB))?;
        let file = room.images().join("aula5/f1.img");
        let whole = fs::read(&file)?;
        // What is remembered of it is gone as well.
        fs::remove_dir_all(room.images().join("aula5"))?;
        fs::create_dir(room.images().join("aula5"))?;
        fs::write(file, &whole)?;
        let manager = room.serve()?;
        room.know(&manager)?;
        Ok(Self {
            room,
            whole,
            manager,
        })
    }

    fn file(&self) -> PathBuf {
        self.room.images().join("aula5/f1.img")
    }

    /// What a command says of it on the manager's computer, and over HTTPS.
    fn both(&self, args: &[&str]) -> Result<(Said, Said)> {
        let file = self.file();
        let run = |image: &str| self.room.run(&[args, &[image]].concat());
        Ok((run(text(&file))?, run(THERE)?))
    }

    /// The image with other bytes at the end, or in a frame.
    fn damages(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let (layout, size) = (Layout::read_native(&self.whole)?, self.whole.len());
        let mark = container::TRAILER_MARK;
        let trailer = self.whole.windows(4).rposition(|at| at == &mark[..4]);
        let ending = usize::try_from(layout.ending_offset())?;
        let frame = |number: usize| -> Result<usize> {
            let piece = &layout.pieces()[number];
            Ok(usize::try_from(piece.offset)? + piece.len as usize / 2)
        };
        let flips = [
            size - 1,
            size - SEEK,
            size - 100,
            trailer.context("a trailer")?,
            ending + 1,
            ending + 5,
            ending + 20,
            frame(0)?,
            frame(1)?,
            frame(2)?,
        ];
        let flipped = flips.iter().map(|at| {
            let mut bytes = self.whole.clone();
            bytes[*at] ^= 1;
            (format!("byte {} before the end", size - at), bytes)
        });
        let cuts = [1, 2, 9, 17, 50, 100, 600, size - ending, size / 2];
        let cut = cuts.iter().map(|less| {
            let left = self.whole[..size - less].to_vec();
            (format!("{less} bytes less of {size}"), left)
        });
        let padded = [&self.whole[..], &[0; 512]].concat();
        let padded = [("padded".to_owned(), padded)];
        Ok(flipped.chain(cut).chain(padded).collect())
    }
}

fn code(said: &Said) -> Option<&str> {
    said.last()["error"]["code"].as_str()
}

fn agree((here, there): &(Said, Said)) -> Result<()> {
    ensure!(
        here.status == there.status && code(here) == code(there),
        "{} there: {}",
        here.last(),
        there.last()
    );
    Ok(())
}

#[test]
fn regression_damage_is_found_over_https_as_it_is_at_the_manager() -> Result<()> {
    let scene = Scene::new(901)?;
    for deep in [&["image", "verify"][..], &["image", "verify", "--deep"]] {
        let sound = scene.both(deep)?;
        sound.0.done()?;
        sound.1.done()?;
    }
    for (number, (what, bytes)) in scene.damages()?.iter().enumerate() {
        fs::write(scene.file(), bytes)?;
        let deep: &[&str] = if number % 2 == 0 { &["--deep"] } else { &[] };
        let said = scene.both(&[&["image", "verify"], deep].concat())?;
        said.0.refused().with_context(|| what.clone())?;
        agree(&said).with_context(|| what.clone())?;
        let (here, there) = (said.0.told(), said.1.told());
        ensure!(here == there, "{what}: {here} there: {there}");
        let message = said.1.last()["error"]["message"].to_string();
        ensure!(message.contains("aula5/f1"), "{what}: {message}");
        agree(&scene.both(&["image", "info"])?).with_context(|| what.clone())?;
    }
    Ok(())
}

#[test]
fn regression_a_list_over_https_shows_what_is_no_whole_native_image() -> Result<()> {
    let scene = Scene::new(902)?;
    // A check found it whole, and `.info` calls it an image of partclone.
    kit::done(&["image", "verify", text(&scene.file())])?;
    let info = "PARTCLONE:ZSTD:EXTFS:2048:aula5\n";
    fs::write(scene.file().with_extension("img.info"), info)?;
    let before = fs::metadata(scene.file())?.modified()?;
    let list = |human: bool, place: &str| -> Result<String> {
        let mut command = std::process::Command::new(kit::program());
        command.args(["image", "list", place]);
        if !human {
            command.arg("--json");
        }
        let output = scene.room.settings(&mut command).output()?;
        let said = String::from_utf8(output.stdout)?;
        // Before what is told for programs come warnings.
        let last = said.lines().last().unwrap_or_default().to_owned();
        Ok(if human { said } else { last })
    };
    let head = Layout::read_native(&scene.whole)?.pieces()[0].len as usize;
    for (what, bytes) in scene.damages()? {
        let is_whole = Layout::read_native(&bytes).is_ok();
        let begins_wrong = bytes[..head] != scene.whole[..head];
        fs::write(scene.file(), &bytes)?;
        let file = fs::File::options().write(true).open(scene.file())?;
        file.set_modified(before)?;
        let dir = scene.room.images();
        // Only whoever reads the index compares the seek table.
        let is_here = what != format!("byte {SEEK} before the end");
        let places = ["REPO:", text(&dir)];
        for place in &places[..=usize::from(is_here)] {
            let row = list(true, place)?;
            ensure!(row.contains(" azud "), "{what}: {row}");
            let is_damaged = !is_whole || begins_wrong;
            ensure!(row.contains("damaged") == is_damaged, "{what}: {row}");
            ensure!(row.contains("verified") != is_damaged, "{what}: {row}");
            let told: Value = serde_json::from_str(&list(false, place)?)?;
            let one = &told["images"][0];
            ensure!(one["native"] == true, "{what}: {one}");
            ensure!(one["identity"].is_string() == is_whole, "{what}: {one}");
        }
    }
    Ok(())
}

#[test]
fn regression_sums_that_are_not_those_of_a_native_image_are_told_over_https() -> Result<()> {
    let scene = Scene::new(903)?;
    let deep = ["image", "verify", "--deep"];
    for (ending, quick) in [("img.sum", true), ("img.full.sum", false)] {
        let sum = scene.file().with_extension(ending);
        for content in ["0123456789abcdef0123456789abcdef\n", "none"] {
            fs::write(&sum, content)?;
            let said = scene.both(&deep)?;
            ensure!(
                code(&said.0) == Some("image/false-sum"),
                "{}",
                said.0.last()
            );
            agree(&said).context(ending)?;
            let said = scene.both(&["image", "verify"])?;
            // What the check of the manager's computer remembers it alone knows.
            if quick {
                agree(&said).context(ending)?;
            } else {
                said.1.done()?;
            }
        }
        fs::remove_file(&sum)?;
    }
    let full = scene.file().with_extension("img.full.sum");
    let mut sums = Sums::new();
    sums.update(&scene.whole);
    fs::write(&full, sums.finish().full)?;
    let line = Line::to(&scene.room, &scene.manager)?;
    let sent = || metric(&line, &scene.manager, SENT)?.context("what was sent");
    let before = sent()?;
    let said = scene.both(&deep)?.1;
    ensure!(said.done()?["full_sum"] == true, "{}", said.last());
    let (sent, size) = (sent()? - before, scene.whole.len() as u64);
    // The end tells who it is before.
    ensure!(sent < size * 3 / 2, "{sent} of {size} were sent");
    let said = scene.both(&["image", "verify"])?.1;
    ensure!(said.done()?["full_sum"] == false, "{}", said.last());
    Ok(())
}
