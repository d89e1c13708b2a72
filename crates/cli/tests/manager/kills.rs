//! `kill -9` of a client that sends or imports, and of the manager that receives, at random moments: the former image stays
//! whole until the new one is, the same command again comes to its end, and nothing is left lying about.
//!
//! 10 moments, 200 with `AZUD_SOAK`; `AZUD_SEED` repeats a run as far as time allows.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::full::{halfway, while_it_runs};
use crate::kit::{self, Kills, Random, Said, text, whole};
use crate::server::{Room, refusal};
use crate::upload::tidy;
use crate::{MIB, bytes, noise, same};

const SIZE: usize = 40 * MIB;

#[test]
fn stress_whoever_is_killed_the_image_is_whole() -> Result<()> {
    let room = Room::new()?;
    let mut manager = room.serve()?;
    let port = manager.port;
    room.know_as(&manager, "write")?;
    let mut content = noise(Random::seeded(9).next(), SIZE);
    let (volume, here) = (room.dir().join("volume"), room.dir().join("here.img"));
    fs::write(&volume, &content)?;
    let capture = ["image", "create", text(&volume), text(&here)];
    kit::done(&capture)?;
    let there = room.images().join("aula1/win.img");
    let create = [
        "image",
        "create",
        text(&volume),
        "REPO:aula1/win",
        "--base",
        "none",
    ];
    let copy = ["image", "copy", text(&here), "REPO:aula1/win"];
    let begun = Instant::now();
    room.done(&create)?;
    let mut kills = Kills::of(begun.elapsed(), 9);
    while let Some((number, after)) = kills.next() {
        let at = usize::try_from(kills.random.below(38))? * MIB;
        content[at..at + MIB].copy_from_slice(&noise(kills.random.next(), MIB));
        fs::write(&volume, &content)?;
        kit::done(&[&capture[..], &["--keep-bytes", "0"]].concat())?;
        let args = if number % 4 < 2 {
            &create[..]
        } else {
            &copy[..]
        };
        let mut client = start(&room, args)?;
        std::thread::sleep(after);
        let running = client.try_wait()?.is_none();
        kills.note(running, running);
        let case = || kills.case();
        if number % 2 == 0 {
            client.kill()?;
            client.wait()?;
            // Every frame is right. The manager may be publishing: the sums beside may be another image's just now.
            restored(&room, &there, SIZE).with_context(case)?;
            room.done(args).with_context(case)?;
        } else {
            manager.kill()?;
            std::thread::sleep(Duration::from_millis(100));
            whole(&there).with_context(case)?;
            manager = room.serve_at(port)?;
            ended_well(&room, client, args).with_context(case)?;
        }
        whole(&there).with_context(case)?;
        let volume = restored(&room, &there, SIZE).with_context(case)?;
        ensure!(volume == content, "{}: another volume", case());
        tidy(&room.images().join("aula1"), "win.img").with_context(case)?;
    }
    kills.judge("came in time")
}

fn start(room: &Room, args: &[&str]) -> Result<Child> {
    let mut command = room.command(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command.spawn()?)
}

/// Kills a run of this command after a time; whether it had not ended by then.
fn killed(room: &Room, args: &[&str], after: Duration) -> Result<bool> {
    let mut client = start(room, args)?;
    std::thread::sleep(after);
    client.kill()?;
    Ok(client.wait()?.code().is_none())
}

/// There is no former image, nor another that has any of it.
#[test]
fn stress_a_first_capture_that_is_killed_is_whole_or_not_there() -> Result<()> {
    const NEW: usize = 24 * MIB;
    let room = Room::new()?;
    let manager = room.serve()?;
    room.know_as(&manager, "write")?;
    let volume = room.dir().join("volume");
    fs::write(&volume, noise(95, NEW))?;
    let (dir, create) = (
        room.images().join("new"),
        ["image", "create", text(&volume), "REPO:new/win"],
    );
    let there = dir.join("win.img");
    let begun = Instant::now();
    room.done(&create)?;
    let mut kills = Kills::of(begun.elapsed(), 43);
    while let Some((_, after)) = kills.next() {
        fs::remove_dir_all(&dir)?;
        let content = noise(kills.random.next(), NEW);
        fs::write(&volume, &content)?;
        let running = killed(&room, &create, after)?;
        kills.note(running, running && dir.exists());
        let case = || kills.case();
        let is_volume = || -> Result<()> {
            let restored = restored(&room, &there, NEW).with_context(case)?;
            ensure!(restored == content, "{}: another volume", case());
            Ok(())
        };
        if there.exists() {
            is_volume()?;
        }
        let again = room.done(&create).with_context(case)?;
        let identity = whole(&there).with_context(case)?;
        ensure!(again["identity"] == identity.as_str(), "{again}");
        is_volume()?;
        tidy(&dir, "win.img").with_context(case)?;
    }
    kills.judge("had begun to send")
}

/// There is no former image to take anything from: what the dead one had sent is all that there is.
#[test]
fn a_first_capture_that_was_killed_sends_the_rest_alone() -> Result<()> {
    let room = Room::new()?;
    let manager = room.serve()?;
    room.know_as(&manager, "write")?;
    let volume = room.dir().join("volume");
    let mut content = noise(91, 64 * MIB);
    // What came before it was killed is there again behind it.
    content.copy_within(..8 * MIB, 56 * MIB);
    fs::write(&volume, content)?;
    let create = ["image", "create", text(&volume), "REPO:new/win"];
    let (dir, half) = (room.images().join("new"), 32 << 20);
    let mut client = start(&room, &create)?;
    halfway(&mut client, &dir, half)?;
    client.kill()?;
    client.wait()?;
    let there = dir.join("win.img");
    ensure!(!there.exists(), "half of it is to be seen");
    let again = room.done(&create)?;
    let (size, sent) = (fs::metadata(&there)?.len(), bytes(&again, "sent")?);
    // Several pieces come at once, and some come while it is killed.
    ensure!(
        size / 16 < sent && sent < size - half / 2,
        "{sent} of {size}"
    );
    ensure!(again["identity"] == whole(&there)?.as_str(), "{again}");
    ensure!(again["from_there"] == 0, "no image there had any: {again}");
    tidy(&dir, "win.img")
}

/// Waits until so many hundredths of the image that comes into a folder are on record: on a busy medium that is a while after
/// it came.
fn on_record(child: &mut Child, dir: &Path, wanted: u64) -> Result<()> {
    while_it_runs(child, || Ok(recorded(dir).unwrap_or(0) >= wanted))
}

/// How many hundredths of the pieces the journal counts; `docs/formats/journal.md`.
fn recorded(dir: &Path) -> Result<u64> {
    let mut most = 0;
    for entry in fs::read_dir(dir)? {
        let Ok(journal) = fs::read(entry?.path().join("journal")) else {
            continue;
        };
        for slot in journal.chunks((journal.len() / 2).max(1)) {
            let pieces = slot.get(24..32).context("a number of pieces")?;
            let pieces = u64::from_le_bytes(pieces.try_into()?);
            let end = 96 + usize::try_from(pieces.div_ceil(8))?;
            let bits = slot.get(96..end).context("bits")?;
            let set = bits.iter().map(|byte| u64::from(byte.count_ones()));
            most = most.max(100 * set.sum::<u64>() / pieces.max(1));
        }
    }
    Ok(most)
}

/// The whole of a manager, and a folder of it below another.
#[test]
fn an_import_that_was_killed_fetches_the_rest_alone() -> Result<()> {
    let room = Room::new()?;
    crate::image(&room, "aula1/first.img", &noise(92, 4 * MIB))?;
    crate::image(&room, "aula1/win.img", &noise(93, 160 * MIB))?;
    crate::image(&room, "aula2/other.img", &noise(94, MIB))?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let there = room.images().join("aula1/win.img");
    let size = fs::metadata(&there)?.len();
    // What has come is recorded after each 64 MiB, or two seconds.
    let (most, recorded) = (128 << 20, 48 << 20);
    for (from, to, below, count) in [
        ("REPO:", "mirror", "aula1", 3),
        ("REPO:aula1", "mirror/sub", "", 2),
    ] {
        let to = room.dir().join(to);
        fs::create_dir(&to)?;
        let import = ["repo", "import", from, text(&to), "--yes"];
        let mut client = start(&room, &import)?;
        halfway(&mut client, &to.join(below), most)?;
        on_record(&mut client, &to.join(below), 100 * recorded / size)?;
        client.kill()?;
        client.wait()?;
        let here = to.join(below).join("win.img");
        ensure!(!here.exists(), "{from}: half of it is to be seen");
        let again = room.done(&import)?;
        let came = bytes(&again, "from_source")?;
        ensure!(came < size - recorded / 2, "{from}: {came} of {size}");
        same(&there, &here)?;
        whole(&here)?;
        let last = room.done(&import)?;
        ensure!(last["unchanged"] == count, "{from}: {last}");
        ensure!(bytes(&last, "from_source")? < MIB as u64, "{from}: {last}");
    }
    Ok(())
}

/// What came before it was killed is whole, and comes no more.
#[test]
fn stress_an_import_that_is_killed_goes_on() -> Result<()> {
    const IMAGES: [(&str, &str, usize); 3] = [
        ("aula1", "first.img", 4),
        ("aula2", "win.img", 40),
        ("aula3", "other.img", 8),
    ];
    let room = Room::new()?;
    for (number, (folder, name, mib)) in (96..).zip(IMAGES) {
        let name = format!("{folder}/{name}");
        crate::image(&room, &name, &noise(number, mib * MIB))?;
    }
    let manager = room.serve()?;
    room.know(&manager)?;
    let mirror = room.dir().join("mirror");
    let import = ["repo", "import", "REPO:", text(&mirror), "--yes"];
    let begun = Instant::now();
    room.done(&import)?;
    let mut kills = Kills::of(begun.elapsed(), 44);
    while let Some((_, after)) = kills.next() {
        fs::remove_dir_all(&mirror)?;
        let running = killed(&room, &import, after)?;
        kills.note(running, running && mirror.exists());
        let case = || kills.case();
        let (mut came, mut lacking) = (0, 0);
        for (folder, name, _) in IMAGES {
            let there = room.images().join(folder).join(name);
            let here = mirror.join(folder).join(name);
            if here.exists() {
                same(&there, &here).with_context(case)?;
                came += 1;
            } else {
                lacking += fs::metadata(&there)?.len();
            }
        }
        let again = room.done(&import).with_context(case)?;
        // One more may have been about to be seen.
        let unchanged = bytes(&again, "unchanged")?;
        ensure!(unchanged >= came, "{}: {came}: {again}", case());
        ensure!(
            bytes(&again, "from_source")? <= lacking,
            "{}: {lacking}: {again}",
            case()
        );
        for (folder, name, _) in IMAGES {
            let dir = mirror.join(folder);
            same(&room.images().join(folder).join(name), &dir.join(name)).with_context(case)?;
            whole(&dir.join(name)).with_context(case)?;
            tidy(&dir, name).with_context(case)?;
        }
    }
    kills.judge("had begun to fetch")
}

/// A client whose manager came back.
fn ended_well(room: &Room, client: Child, args: &[&str]) -> Result<()> {
    let said = Said::of(&client.wait_with_output()?)?;
    // Before anything was begun, nothing is waited for.
    if said.status == Some(1) {
        refusal(&said, "repo/unreachable")?;
        room.done(args)?;
        return Ok(());
    }
    said.done().map(drop)
}

/// What an image makes of a volume of this size.
fn restored(room: &Room, image: &Path, size: usize) -> Result<Vec<u8>> {
    let target = room.dir().join("target");
    fs::write(&target, vec![0; size])?;
    kit::done(&["image", "restore", text(image), text(&target), "--yes"])?;
    Ok(fs::read(&target)?)
}
