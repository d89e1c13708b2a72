//! Images that are signed, and computers that take no others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{have, run};
use serde_json::{Value, json};

use crate::kit::{Said, text};
use crate::server::{Room, refusal};
use crate::{MIB, image, noise, update};

/// A pair of keys of stock minisign, without a password; the public one.
pub(crate) fn keys(room: &Room, name: &str) -> Result<(PathBuf, String)> {
    let (secret, public) = (
        room.dir().join(format!("{name}.key")),
        room.dir().join(format!("{name}.pub")),
    );
    run(
        "minisign",
        &["-G", "-W", "-f", "-s", text(&secret), "-p", text(&public)],
    )?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    let public = fs::read_to_string(public)?;
    let line = public.lines().last().context("a key")?.to_owned();
    Ok((secret, line))
}

/// The client trusts these keys.
pub(crate) fn trust(room: &Room, keys: &[&str]) -> Result<()> {
    let config = format!("manager = '127.0.0.1'\n[trust]\nkeys = {}\n", json!(keys));
    Ok(fs::write(room.dir().join("etc/azud.toml"), config)?)
}

pub(crate) fn sign(room: &Room, image: &Path, key: &Path, name: &str) -> Result<Value> {
    let args = ["image", "sign", text(image), "--key", text(key)];
    room.done(&[&args[..], &["--name", name, "--yes"]].concat())
}

fn signature(image: &Path) -> PathBuf {
    let mut name = image.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}

#[test]
fn stock_minisign_checks_what_azud_signs_and_the_other_way_round() -> Result<()> {
    if !have(&["minisign"]) {
        return Ok(());
    }
    let room = Room::new()?;
    image(&room, "win.img", &noise(71, MIB))?;
    fs::write(room.images().join("old.img"), noise(72, 3 * MIB))?;
    let (key, public) = keys(&room, "ana")?;
    for name in ["win.img", "old.img"] {
        let image = room.images().join(name);
        let signed = sign(&room, &image, &key, "aula1/win")?;
        ensure!(signed["name"] == "aula1/win.img" && signed["key"] == public.as_str());
        let index = room.dir().join("index");
        let info = ["image", "info", text(&image), "--index-out", text(&index)];
        // Of a file that is no image of anything there is no more to say.
        room.run(&info)?;
        let minisig = signature(&image);
        let stock = [
            "-V",
            "-P",
            &public,
            "-m",
            text(&index),
            "-x",
            text(&minisig),
        ];
        let said = run("minisign", &stock)?;
        let said = String::from_utf8(said.stdout)?;
        ensure!(said.contains("aula1/win.img"), "{said}");
        // What stock minisign signs, with the comment that the format asks for, is as good.
        let comment = fs::read_to_string(&minisig)?;
        let comment = comment.lines().nth(2).context("a line")?;
        let comment = comment.replace("trusted comment: ", "");
        let by_hand = [
            "-S",
            "-s",
            text(&key),
            "-m",
            text(&index),
            "-x",
            text(&minisig),
        ];
        run("minisign", &[&by_hand[..], &["-t", &comment]].concat())?;
        fs::remove_file(&index)?;
        trust(&room, &[&public])?;
        let to = room.dir().join("to").join("win.img");
        fs::create_dir_all(to.parent().context("a directory")?)?;
        let update = [
            "cache",
            "update",
            text(&to),
            "--from",
            text(&image),
            "--yes",
        ];
        room.done(&update).context(name)?;
    }
    Ok(())
}

#[test]
fn a_computer_with_keys_takes_signed_images_only() -> Result<()> {
    if !have(&["minisign"]) {
        return Ok(());
    }
    let room = Room::new()?;
    image(&room, "aula1/win.img", &noise(73, MIB))?;
    image(&room, "aula1/lin.img", &noise(74, MIB))?;
    let (win, lin) = (
        room.images().join("aula1/win.img"),
        room.images().join("aula1/lin.img"),
    );
    let ((key, public), (other_key, other)) = (keys(&room, "ana")?, keys(&room, "eva")?);
    let manager = room.serve()?;
    room.know(&manager)?;
    trust(&room, &[&public])?;
    let cache = room.dir().join("cache");
    fs::create_dir(&cache)?;
    let here = cache.join("win.img");
    let update = update(&here);
    let unsigned = room.run(&update)?;
    refusal(&unsigned, "trust/unsigned")?;
    let message = unsigned.last()["error"]["message"].to_string();
    let is_there = message.contains("127.0.0.1:aula1/win") && !message.contains("cache");
    ensure!(is_there, "what is not there is not named: {message}");
    sign(&room, &win, &other_key, "aula1/win")?;
    refusal(&room.run(&update)?, "trust/bad-signature")?;
    sign(&room, &win, &key, "aula1/lin")?;
    refusal(&room.run(&update)?, "trust/other-image")?;
    // The signature of one image beside another.
    sign(&room, &lin, &key, "aula1/win")?;
    fs::copy(signature(&lin), signature(&win))?;
    refusal(&room.run(&update)?, "trust/bad-signature")?;
    fs::write(signature(&win), "untrusted comment: none\n")?;
    refusal(&room.run(&update)?, "trust/bad-signature")?;
    ensure!(fs::read_dir(&cache)?.count() == 0, "nothing came");
    sign(&room, &win, &key, "aula1/win")?;
    room.done(&update)?;
    let carried = fs::read(signature(&here))? == fs::read(signature(&win))?;
    ensure!(carried, "the signature comes along");
    // Either key is good enough.
    trust(&room, &[&other, &public])?;
    restores(&room, &here)
}

/// A restore asks the same of the image that came.
fn restores(room: &Room, image: &Path) -> Result<()> {
    let disk = room.dir().join("disk");
    let restore = |image: &str| {
        let args = ["image", "restore", image, text(&disk), "--yes"];
        room.run(&args)
    };
    let renamed = image.with_file_name("renamed.img");
    fs::copy(image, &renamed)?;
    refusal(&restore(text(&renamed))?, "trust/unsigned")?;
    fs::copy(signature(image), signature(&renamed))?;
    refusal(&restore(text(&renamed))?, "trust/other-image")?;
    refusal(&restore("-")?, "trust/unsigned")?;
    let foreign = image.with_file_name("old.img");
    fs::write(&foreign, noise(75, MIB))?;
    refusal(&restore(text(&foreign))?, "trust/unsigned")?;
    ensure!(!disk.exists(), "not a byte is written");
    restore(text(image))?.done()?;
    ensure!(disk.exists(), "it is restored");
    Ok(())
}

/// Whatever takes an image into the cache or a file asks the same.
#[test]
fn regression_copies_exports_and_imports_are_signed_too() -> Result<()> {
    if !have(&["minisign"]) {
        return Ok(());
    }
    let room = Room::new()?;
    image(&room, "aula1/win.img", &noise(79, MIB))?;
    let win = room.images().join("aula1/win.img");
    let old = room.dir().join("old.img");
    room.done(&[
        "image",
        "export",
        text(&win),
        text(&old),
        "--to",
        "partclone",
    ])?;
    let ((key, public), (other, _)) = (keys(&room, "ana")?, keys(&room, "eva")?);
    let manager = room.serve()?;
    room.know_as(&manager, "write")?;
    trust(&room, &[&public])?;
    let cache = room.dir().join("cache");
    let out = room.dir().join("out");
    fs::create_dir(&cache)?;
    fs::create_dir(&out)?;
    let to = |name: &str| text(&out.join(name)).to_owned();
    let (plain, disk, aula) = (to("win.img"), to("disk"), room.images().join("aula1"));
    let takes = [
        vec!["image", "copy", "REPO:aula1/win", &plain],
        vec!["image", "copy", text(&win), &plain],
        vec!["image", "copy", "REPO:aula1/win", "CACHE:"],
        vec!["image", "export", "REPO:aula1/win", &disk, "--to", "raw"],
        vec!["image", "export", text(&win), &disk, "--to", "partclone"],
        vec!["repo", "import", "REPO:aula1", text(&out)],
        vec!["repo", "import", text(&aula), text(&out)],
    ];
    let run = |take: &[&str]| {
        let mut command = room.command(&[take, &["--yes"]].concat());
        Said::of(&command.env("AZUD_CACHE", &cache).output()?)
    };
    let all = |code: &str| {
        for take in &takes {
            refusal(&run(take)?, code).with_context(|| format!("{take:?}"))?;
        }
        ensure!(fs::read_dir(&cache)?.count() == 0, "nothing came");
        ensure!(fs::read_dir(&out)?.count() == 0, "nothing was written");
        Ok::<_, anyhow::Error>(())
    };
    all("trust/unsigned")?;
    sign(&room, &win, &other, "aula1/win")?;
    all("trust/bad-signature")?;
    sign(&room, &win, &key, "aula1/lin")?;
    all("trust/other-image")?;
    // What is sent is not taken, and may be signed where it is.
    let sent = room.dir().join("sent.img");
    fs::copy(&win, &sent)?;
    room.done(&["image", "copy", text(&sent), "REPO:", "--yes"])?;
    imports(&room, &old, &key)?;
    sign(&room, &win, &key, "aula1/win")?;
    for take in &takes {
        run(take)?.done().with_context(|| format!("{take:?}"))?;
    }
    renamed(&room, &cache)
}

/// An image of another program is signed before one of Azud is made of it.
fn imports(room: &Room, old: &Path, key: &Path) -> Result<()> {
    let new = room.dir().join("new.img");
    let import = ["image", "import", text(old), text(&new), "--yes"];
    refusal(&room.run(&import)?, "trust/unsigned")?;
    ensure!(!new.exists(), "nothing was made");
    sign(room, old, key, "old")?;
    room.done(&import)?;
    Ok(())
}

/// In the cache an image is asked for by the name that it has there.
fn renamed(room: &Room, cache: &Path) -> Result<()> {
    let copy = [
        "image",
        "copy",
        "REPO:aula1/win",
        "CACHE:aula1/other",
        "--yes",
    ];
    let said = Said::of(&room.command(&copy).env("AZUD_CACHE", cache).output()?)?;
    refusal(&said, "trust/other-image")
}

#[test]
fn an_older_image_is_not_taken_again() -> Result<()> {
    if !have(&["minisign"]) {
        return Ok(());
    }
    let room = Room::new()?;
    image(&room, "win.img", &noise(76, MIB))?;
    let there = room.images().join("win.img");
    let (key, public) = keys(&room, "ana")?;
    sign(&room, &there, &key, "win")?;
    let old = [fs::read(&there)?, fs::read(signature(&there))?];
    trust(&room, &[&public])?;
    let here = room.dir().join("win.img");
    let update = [
        "cache",
        "update",
        text(&here),
        "--from",
        text(&there),
        "--yes",
    ];
    room.done(&update)?;
    let mode = |path: &Path| Ok::<_, anyhow::Error>(fs::metadata(path)?.permissions().mode());
    ensure!(mode(&room.state())? & 0o777 == 0o700, "others may look");
    image(&room, "win.img", &noise(77, MIB))?;
    refusal(&room.run(&update)?, "trust/unsigned")?;
    sign(&room, &there, &key, "win")?;
    // Within the second in which the first was signed nothing is older.
    sign(&room, &there, &key, "win")?;
    sign(&room, &there, &key, "win")?;
    room.done(&[&update[..], &["--dry-run"]].concat())?;
    room.done(&update)?;
    let newer = fs::read(&here)?;
    fs::write(&there, &old[0])?;
    fs::write(signature(&there), &old[1])?;
    refusal(&room.run(&update)?, "trust/older-image")?;
    ensure!(fs::read(&here)? == newer, "the newer one stays");
    // If that is what is wanted, it is signed again.
    std::thread::sleep(std::time::Duration::from_secs(3));
    sign(&room, &there, &key, "win")?;
    room.done(&update)?;
    ensure!(fs::read(&here)? == old[0], "the old one is here again");
    Ok(())
}

/// Each signing is a second after the one before, at least: the clock of these was ahead.
#[test]
fn what_is_signed_is_newer_than_every_former_version() -> Result<()> {
    if !have(&["minisign"]) {
        return Ok(());
    }
    let room = Room::new()?;
    let there = room.images().join("win.img");
    let (key, public) = keys(&room, "ana")?;
    trust(&room, &[&public])?;
    let here = room.dir().join("win.img");
    let (to, from) = (text(&here), text(&there));
    let update = ["cache", "update", to, "--from", from, "--yes"];
    for (seed, times) in [(76, 30), (77, 1), (78, 1)] {
        image(&room, "win.img", &noise(seed, MIB))?;
        for _ in 0..times {
            sign(&room, &there, &key, "win")?;
        }
        room.done(&update)?;
    }
    Ok(())
}

#[test]
fn a_key_that_is_none_signs_nothing() -> Result<()> {
    let room = Room::new()?;
    image(&room, "win.img", &noise(78, MIB))?;
    let (there, key) = (room.images().join("win.img"), room.dir().join("key"));
    let args = ["image", "sign", text(&there), "--key", text(&key), "--yes"];
    fs::write(&key, "untrusted comment: none\nRWRT\n")?;
    refusal(&room.run(&args)?, "repo/open-secret")?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    let said = room.run(&[&args[..], &["--password-stdin"]].concat())?;
    refusal(&said, "trust/bad-key")?;
    ensure!(!signature(&there).exists());
    Ok(())
}
