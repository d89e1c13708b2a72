//! The cache through the real program: what goes, what stays, checks and repairs.

mod beside;
mod half;
mod hurt;
#[path = "../kit/mod.rs"]
mod kit;
mod named;
mod planted;
mod remains;
mod repair;
mod room;
mod update;
mod use_marks;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use azud_testkit::tools::run;
use kit::{azud, done, refused, text};
use serde_json::Value;

/// An image that another program made, with its side files; its content is `fill` over and over.
pub(crate) fn foreign(root: &Path, path: &str, fill: u8, bytes: usize) -> Result<PathBuf> {
    let full = root.join(path);
    fs::create_dir_all(full.parent().context("a directory")?)?;
    let mut content = vec![fill; bytes];
    // By its first bytes an archive of fsarchiver: what is no image at all is not copied.
    for (byte, magic) in content.iter_mut().zip(*b"FsA0") {
        *byte = magic;
    }
    fs::write(&full, content)?;
    let script = r#"md5sum < "$1" | cut -c1-32 > "$1.full.sum"; tail -c 1048576 "$1" | md5sum | cut -c1-32 > "$1.sum"
echo PARTCLONE:LZOP:EXTFS:1000:pc1 > "$1.info"; sync "$1" "$1.full.sum" "$1.sum" "$1.info""#;
    azud_testkit::tools::sh(script, &[text(&full)])?;
    Ok(full)
}

/// Makes a file look as if it was last of use so many hours after 2020.
pub(crate) fn used_at(file: &Path, hours: u64) -> Result<()> {
    let when = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_577_836_800 + hours * 3600);
    let times = fs::FileTimes::new().set_modified(when).set_accessed(when);
    Ok(fs::File::options()
        .write(true)
        .open(file)?
        .set_times(times)?)
}

/// Stops a program where it holds no lock of a cache, in whose way everybody else would wait; whether it had not ended.
pub(crate) fn stop(child: &mut Child, root: &Path) -> Result<bool> {
    let notes = fs::File::open(root.join(".azud-cache"))?;
    let pid = child.id().to_string();
    loop {
        run("kill", &["-STOP", &pid])?;
        // None of its threads goes on then.
        sleep(Duration::from_millis(5));
        let runs = child.try_wait()?.is_none();
        if notes.try_lock().is_ok() || !runs {
            return Ok(runs);
        }
        run("kill", &["-CONT", &pid])?;
        sleep(Duration::from_millis(5));
    }
}

/// Runs `azud cache VERB --cache ROOT …`; it must succeed.
pub(crate) fn cache(root: &Path, verb: &str, args: &[&str]) -> Result<Value> {
    done(&[&["cache", verb, "--cache", text(root)], args].concat())
}

/// Runs it; it must refuse. The code.
pub(crate) fn refusal(root: &Path, verb: &str, args: &[&str]) -> Result<String> {
    refused(&[&["cache", verb, "--cache", text(root)], args].concat())
}

/// What `cache list` says of an image.
pub(crate) fn listed(root: &Path, path: &str) -> Result<Value> {
    let list = cache(root, "list", &[])?;
    let images = list["images"].as_array().context("images")?;
    let found = images.iter().find(|image| image["path"] == path);
    Ok(found
        .with_context(|| format!("no {path} in {list}"))?
        .clone())
}

/// The paths that a list names.
pub(crate) fn paths(value: &Value) -> Vec<String> {
    let list = value.as_array().into_iter().flatten();
    list.filter_map(|path| path["path"].as_str().or(path.as_str()))
        .map(str::to_owned)
        .collect()
}

#[test]
fn people_read_it_in_their_language() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let image = foreign(dir.path(), "aula/win.img", 1, 5000)?;
    used_at(&image, 0)?;
    cache(dir.path(), "pin", &["CACHE:aula/win"])?;
    for (lang, words) in [
        ("en", ["aula/win.img", "2020-01-01", "never", "pinned"]),
        ("es", ["aula/win.img", "2020-01-01", "nunca", "fijada"]),
    ] {
        let args = ["cache", "list", "--lang", lang, "--cache", text(dir.path())];
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_azud"))
            .args(args)
            .output()?;
        let said = String::from_utf8(output.stdout)?;
        for word in words {
            anyhow::ensure!(said.contains(word), "{word} in {said}");
        }
    }
    let args = [
        "cache",
        "evict",
        "aula/win",
        "--lang",
        "es",
        "--cache",
        text(dir.path()),
    ];
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_azud"))
        .args(args)
        .output()?;
    let said = String::from_utf8(output.stderr)?;
    anyhow::ensure!(
        said.contains("fijada") && said.contains("cache/pinned"),
        "{said}"
    );
    Ok(())
}

#[test]
fn the_cache_is_the_one_that_the_environment_names() -> Result<()> {
    let dir = tempfile::tempdir()?;
    foreign(dir.path(), "CACHE/a.img", 1, 5000)?;
    let output = kit::command(&["cache", "list"])
        .env("AZUD_CACHE", dir.path().join("CACHE"))
        .output()?;
    let said = kit::Said::of(&output)?;
    assert_eq!(paths(&said.done()?["images"]), ["a.img"]);
    let none = dir.path().join("none");
    let said = azud(&["cache", "list", "--cache", text(&none)])?;
    assert_eq!(said.refused()?, "cache/not-found");
    Ok(())
}
