//! What stands beside images: files that go along with them, locks that were forgotten, checks that are remembered.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::have;
use serde_json::Value;

use crate::kit::{azud, done, ext4, names, refused, text};
use crate::{cache, foreign, listed, refusal};

/// A native image of a small volume, that is another one for each `name`.
fn native(dir: &Path, name: &str) -> Result<PathBuf> {
    let volume = dir.join(format!("{name}.volume"));
    ext4(&volume, 12, 2)?;
    let image = dir.join(format!("{name}.img"));
    done(&["image", "create", text(&volume), text(&image)])?;
    Ok(image)
}

fn beside(image: &Path, ending: &str) -> PathBuf {
    let mut name = image.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[test]
fn metainfo_and_signature_go_along_with_their_image() -> Result<()> {
    if !have(&["mke2fs"]) {
        return Ok(());
    }
    let (from, to) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let first = native(from.path(), "first")?;
    fs::write(beside(&first, ".torrent"), "d4:info1e")?;
    fs::write(beside(&first, ".minisig"), [0xFF, 0, 10])?;
    // What is made for one place only stays there.
    fs::write(beside(&first, ".mcast"), "9000:full-duplex")?;
    let image = to.path().join("aula.img");
    done(&["image", "copy", text(&first), text(&image)])?;
    assert_eq!(fs::read(beside(&image, ".torrent"))?, b"d4:info1e");
    assert_eq!(fs::read(beside(&image, ".minisig"))?, [0xFF, 0, 10]);
    ensure!(!beside(&image, ".mcast").exists());

    // Signed anew: the bytes stay, the signature comes.
    fs::write(beside(&first, ".minisig"), "again")?;
    let same = done(&["image", "copy", text(&first), text(&image)])?;
    assert_eq!(same["way"], "nothing");
    assert_eq!(fs::read(beside(&image, ".minisig"))?, b"again");

    // The next version has none: those of the old one are not its own, and come back with it.
    let second = native(from.path(), "second")?;
    let update = ["cache", "update", text(&image), "--from", text(&second)];
    done(&update)?;
    ensure!(!beside(&image, ".torrent").exists() && !beside(&image, ".minisig").exists());
    done(&["image", "rollback", text(&image), "--yes"])?;
    assert_eq!(fs::read(beside(&image, ".minisig"))?, b"again");
    let mut left = names(to.path())?;
    left.retain(|name| name.starts_with(".azud") && name != ".azud-lock" && name != ".azud-trash");
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

#[test]
fn a_side_file_that_cannot_be_one_is_refused_before_anything_changes() -> Result<()> {
    let (from, to) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let source = foreign(from.path(), "x.img", 3, 100_000)?;
    File::create(beside(&source, ".torrent"))?.set_len(1 << 30)?;
    let code = refused(&["image", "copy", text(&source), text(to.path())])?;
    assert_eq!(code, "image/corrupt");
    ensure!(!to.path().join("x.img").exists());
    // What leads elsewhere is no side file.
    fs::remove_file(beside(&source, ".torrent"))?;
    std::os::unix::fs::symlink("/etc/passwd", beside(&source, ".torrent"))?;
    done(&["image", "copy", text(&source), text(to.path())])?;
    ensure!(!to.path().join("x.img.torrent").exists());
    Ok(())
}

/// An empty lock of a stock tool, last written so long ago.
fn lock(image: &Path, content: &str, age: Duration) -> Result<()> {
    let lock = beside(image, ".lock");
    fs::write(&lock, content)?;
    let file = File::options().write(true).open(lock)?;
    Ok(file.set_modified(SystemTime::now() - age)?)
}

#[test]
fn a_lock_that_somebody_forgot_keeps_an_image_for_a_day() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path();
    let hours = |hours| Duration::from_hours(hours);
    let image = foreign(root, "x.img", 1, 5000)?;
    for (content, age) in [("", 23), ("mounted\n", 500), ("reduced", 500)] {
        lock(&image, content, hours(age))?;
        assert_eq!(listed(root, "x.img")?["stays"], "in-use", "{content}");
        let code = refusal(root, "evict", &["--yes", "x"])?;
        assert_eq!(code, "cache/in-use", "{content} of {age} hours");
    }
    // Another computer's, by what it wrote last.
    let claim = r#"{"host":"pc7","pid":7,"boot_id":"b","started":7,"token":"f0","since":1}"#;
    lock(&image, claim, Duration::from_secs(30))?;
    assert_eq!(listed(root, "x.img")?["in_use"], true);
    lock(&image, claim, Duration::from_secs(90))?;
    assert_eq!(listed(root, "x.img")?["in_use"], false);
    lock(&image, "", hours(25))?;
    assert_eq!(listed(root, "x.img")?["stays"], Value::Null);
    cache(root, "evict", &["--yes", "x"])?;
    ensure!(!image.exists());
    Ok(())
}

/// When `image list` says an image was verified.
fn verified(dir: &Path, name: &str) -> Result<Value> {
    let list = done(&["image", "list", text(dir)])?;
    let images = list["images"].as_array().context("images")?;
    let found = images.iter().find(|image| image["path"] == name);
    Ok(found.with_context(|| format!("no {name} in {list}"))?["verified"].clone())
}

#[test]
fn a_check_of_a_native_image_is_remembered_until_the_file_is_another() -> Result<()> {
    if !have(&["mke2fs"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let image = native(dir.path(), "aula")?;
    assert_eq!(verified(dir.path(), "aula.img")?, Value::Null);
    done(&["image", "verify", text(&image)])?;
    ensure!(verified(dir.path(), "aula.img")?.is_u64());
    // The same in a cache, whichever way it is checked.
    cache(dir.path(), "pin", &["aula"])?;
    assert_eq!(listed(dir.path(), "aula.img")?["verified"], Value::Null);
    done(&["image", "verify", text(&image)])?;
    assert_eq!(listed(dir.path(), "aula.img")?["verified"]["sound"], true);
    fs::remove_file(dir.path().join(".azud-catalogue"))?;
    cache(dir.path(), "verify", &[])?;
    ensure!(verified(dir.path(), "aula.img")?.is_u64());

    // Bytes that change without the file's times do: seen when it is read again.
    let modified = fs::metadata(&image)?.modified()?;
    let mut bytes = fs::read(&image)?;
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&image, &bytes)?;
    assert_eq!(
        verified(dir.path(), "aula.img")?,
        Value::Null,
        "it was written"
    );
    File::options()
        .write(true)
        .open(&image)?
        .set_modified(modified)?;
    let code = refused(&["image", "verify", text(&image)])?;
    assert_eq!(code, "image/corrupt");
    assert_eq!(
        verified(dir.path(), "aula.img")?,
        Value::Null,
        "it is damaged"
    );
    let in_cache = &listed(dir.path(), "aula.img")?["verified"];
    assert_eq!(in_cache["sound"], false);
    assert_eq!(in_cache["bad"].as_array().map(Vec::len), Some(1));

    // Where nothing can be written, the answer is the same.
    bytes[at] ^= 1;
    fs::write(&image, &bytes)?;
    let elsewhere = tempfile::tempdir()?;
    fs::copy(&image, elsewhere.path().join("copy.img"))?;
    fs::create_dir(elsewhere.path().join(".azud-catalogue"))?;
    let said = azud(&["image", "verify", text(&elsewhere.path().join("copy.img"))])?;
    said.done()?;
    Ok(())
}
