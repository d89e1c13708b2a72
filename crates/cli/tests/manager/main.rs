//! The manager and its clients, through the real program over real TLS on loopback.

mod accounts;
mod asked;
mod audit;
mod broken;
mod cut_off;
mod damaged;
mod deploy;
mod deployed;
mod failing;
mod faults;
mod foreign;
mod full;
mod greedy;
mod halves;
mod held;
mod hostile;
mod imported;
mod kills;
#[path = "../kit/mod.rs"]
mod kit;
mod known;
mod login;
mod mended;
mod mounted;
mod named;
mod own_room;
mod own_state;
mod power;
mod pressure;
mod raw;
mod replaced;
mod reports;
mod restarted;
mod resumed;
mod rollback;
mod secluded;
mod sent;
mod server;
mod service;
mod shaped;
mod signed;
mod silent;
mod sources;
mod spelt;
mod terminal;
mod tokens;
mod upload;
mod vanished;
mod view;
mod viewers;
mod waited;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use kit::{Random, text};
use server::{Room, refusal};

const MIB: usize = 1 << 20;

/// A native image of a volume that holds these bytes.
fn image(room: &Room, name: &str, volume: &[u8]) -> Result<()> {
    let (source, target) = (room.dir().join("volume"), room.images().join(name));
    fs::create_dir_all(target.parent().context("a directory")?)?;
    fs::write(&source, volume)?;
    kit::done(&["image", "create", text(&source), text(&target), "--yes"])?;
    Ok(())
}

/// Brings a file to what the manager has of `aula1/win`.
fn update(here: &Path) -> [&str; 6] {
    let from = "REPO:aula1/win";
    ["cache", "update", text(here), "--from", from, "--yes"]
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random(seed);
    std::iter::repeat_with(|| random.next().to_le_bytes())
        .take(len / 8)
        .flatten()
        .collect()
}

fn bytes(value: &Value, key: &str) -> Result<u64> {
    value[key]
        .as_u64()
        .with_context(|| format!("{key} in {value}"))
}

fn same(a: &Path, b: &Path) -> Result<()> {
    ensure!(fs::read(a)? == fs::read(b)?, "{} differs", b.display());
    Ok(())
}

#[test]
fn people_read_how_a_manager_is_reached() -> Result<()> {
    let room = Room::new()?;
    let manager = room.serve()?;
    room.know(&manager)?;
    for lang in ["en", "es"] {
        let mut list = std::process::Command::new(kit::program());
        list.args(["repo", "list", "--lang", lang]);
        let settings = room.command(&[]);
        let settings = settings.get_envs();
        list.envs(settings.filter_map(|(name, value)| Some((name, value?))));
        let output = list.output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success() && said.contains("HTTPS"),
            "{output:?}"
        );
    }
    Ok(())
}

#[test]
fn an_image_comes_whole_and_its_change_alone() -> Result<()> {
    let room = Room::new()?;
    let mut volume = noise(1, 24 * MIB);
    image(&room, "aula1/win.img", &volume)?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let copy = room.dir().join("copies");
    fs::create_dir(&copy)?;
    let first = room.done(&["image", "copy", "REPO:aula1/win", text(&copy), "--yes"])?;
    let (here, there) = (copy.join("win.img"), room.images().join("aula1/win.img"));
    same(&there, &here)?;
    let size = fs::metadata(&there)?.len();
    ensure!(bytes(&first, "from_source")? > size - MIB as u64, "{first}");
    let sums = |path: &Path| fs::read_to_string(path.with_extension("img.full.sum"));
    ensure!(
        sums(&here)? == sums(&there)?,
        "the sums are made anew and the same"
    );
    volume[9 * MIB..10 * MIB].fill(7);
    image(&room, "aula1/win.img", &volume)?;
    let update = update(&here);
    let second = room.done(&update)?;
    same(&there, &here)?;
    ensure!(
        bytes(&second, "from_source")? < 4 * MIB as u64,
        "only the change: {second}"
    );
    let third = room.done(&update)?;
    ensure!(third["way"] == "nothing", "{third}");
    Ok(())
}

#[test]
fn a_foreign_image_comes_when_its_index_is_made() -> Result<()> {
    let room = Room::new()?;
    // An archive of fsarchiver, by its first bytes.
    let mut foreign = noise(2, 5 * MIB);
    foreign[..4].copy_from_slice(b"FsA0");
    fs::write(room.images().join("old.img"), &foreign)?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let copy = room.dir().join("old.img");
    room.done(&["image", "copy", "REPO:old", text(&copy), "--yes"])?;
    ensure!(fs::read(&copy)? == foreign, "other bytes");
    Ok(())
}

#[test]
fn who_is_not_trusted_gets_nothing_and_gives_nothing() -> Result<()> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(3, MIB))?;
    let manager = room.serve()?;
    let to = room.dir().join("one.img");
    let copy = ["image", "copy", "REPO:one", text(&to), "--yes"];
    refusal(&room.run(&copy)?, "place/not-mounted")?;
    // A pin that does not fit, then a token that does not.
    let wrong = format!("sha256:{}", "0".repeat(64));
    refusal(
        &room.introduce(&manager, &wrong, &manager.admin)?,
        "repo/untrusted",
    )?;
    refusal(
        &room.introduce(&manager, &manager.pin, "azud_00000000_00")?,
        "repo/unauthorised",
    )?;
    refusal(&room.run(&copy)?, "place/not-mounted")?;
    room.know(&manager)?;
    room.done(&copy)?;
    // A token that was taken back.
    fs::remove_file(&to)?;
    let list = room.done(&["token", "list"])?;
    let id = list["tokens"][1]["id"]
        .as_str()
        .context("the reader's")?
        .to_owned();
    room.done(&["token", "revoke", &id])?;
    refusal(&room.run(&copy)?, "repo/unauthorised")?;
    ensure!(!to.exists(), "nothing came");
    Ok(())
}

#[test]
fn a_manager_with_another_authority_is_refused() -> Result<()> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(4, MIB))?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let port = manager.port;
    drop(manager);
    fs::remove_file(room.state().join("ca.key"))?;
    fs::remove_file(room.state().join("ca.pem"))?;
    let _other = room.serve_at(port)?;
    let to = room.dir().join("one.img");
    let said = room.run(&["image", "copy", "REPO:one", text(&to), "--yes"])?;
    refusal(&said, "repo/untrusted")?;
    ensure!(!to.exists(), "nothing came");
    Ok(())
}

#[test]
fn names_lead_to_images_and_nowhere_else() -> Result<()> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(5, MIB))?;
    fs::write(room.dir().join("secret.img"), "secret")?;
    std::os::unix::fs::symlink(
        room.dir().join("secret.img"),
        room.images().join("link.img"),
    )?;
    let manager = room.serve()?;
    room.know(&manager)?;
    let to = room.dir().join("to.img");
    for (name, code) in [
        ("link", "image/outside"),
        ("none", "image/not-found"),
        ("one/deeper", "image/not-found"),
    ] {
        let said = room.run(&["image", "copy", &format!("REPO:{name}"), text(&to), "--yes"])?;
        refusal(&said, code).context(name)?;
    }
    ensure!(!to.exists(), "nothing came");
    Ok(())
}

#[test]
fn a_manager_that_went_away_is_told_so() -> Result<()> {
    let room = Room::new()?;
    image(&room, "one.img", &noise(6, MIB))?;
    let manager = room.serve()?;
    room.know(&manager)?;
    drop(manager);
    let to = room.dir().join("to.img");
    let said = room.run(&["image", "copy", "REPO:one", text(&to), "--yes"])?;
    refusal(&said, "repo/unreachable")
}
