//! An image of which a part lies in an update that was broken off: it is read as if nothing had happened,
//! and nobody changes it.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_core::progress::Silent;
use azud_store::assembly::{Assembly, Facts, FileSource, Moving};
use azud_store::durable::{Op, set_hook};
use azud_testkit::tools::{have, sh};

use crate::kit::{azud, done, ext4, text, whole};
use crate::{cache, listed, refusal};

pub(crate) const TOOLS: [&str; 4] = ["mke2fs", "debugfs", "e2fsck", "md5sum"];

/// A cache whose image is half moved over to a newer version.
pub(crate) struct Scene {
    dir: tempfile::TempDir,
    root: PathBuf,
    older: PathBuf,
    newer: PathBuf,
}

impl Scene {
    pub(crate) fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let (volume, root) = (dir.path().join("volume"), dir.path().join("cache"));
        let (older, newer) = (dir.path().join("older.img"), dir.path().join("newer.img"));
        ext4(&volume, 64, 40)?;
        done(&["image", "create", text(&volume), text(&older)])?;
        let change = r#"head -c 1M /dev/urandom > "$1.piece"
printf 'rm a/noise20\nwrite %s a/noise20\n' "$1.piece" > "$1.do"
debugfs -w -f "$1.do" "$1"; e2fsck -fy "$1" || test $? -eq 1"#;
        sh(change, &[text(&volume)])?;
        let base = ["--base", text(&older)];
        done(&[&["image", "create", text(&volume), text(&newer)], &base[..]].concat())?;
        fs::create_dir_all(root.join("aula"))?;
        for side in ["", ".info", ".sum", ".full.sum"] {
            let from = dir.path().join(format!("older.img{side}"));
            fs::copy(from, root.join(format!("aula/deb.img{side}")))?;
        }
        let scene = Self {
            dir,
            root,
            older,
            newer,
        };
        half_move(&scene.image(), &scene.newer)?;
        ensure!(
            fs::read(scene.image())? != fs::read(scene.older())?,
            "nothing moved"
        );
        Ok(scene)
    }

    /// The same of images of another program, which have no hashes in them.
    fn foreign() -> Result<Self> {
        let native = Self::new()?;
        let plain = |image: &Path, name: &str| -> Result<PathBuf> {
            let out = native.dir.path().join(name);
            done(&[
                "image",
                "export",
                text(image),
                text(&out),
                "--to",
                "partclone",
            ])?;
            Ok(out)
        };
        let scene = Self {
            older: plain(&native.older, "older.pc.img")?,
            newer: plain(&native.newer, "newer.pc.img")?,
            root: native.dir.path().join("foreign"),
            dir: native.dir,
        };
        let image = scene.image();
        fs::create_dir_all(scene.root.join("aula"))?;
        done(&[
            "cache",
            "update",
            text(&image),
            "--from",
            text(&scene.older),
        ])?;
        half_move(&image, &scene.newer)?;
        ensure!(fs::read(image)? != fs::read(&scene.older)?, "nothing moved");
        Ok(scene)
    }

    pub(crate) fn image(&self) -> PathBuf {
        self.root.join("aula/deb.img")
    }

    pub(crate) fn older(&self) -> PathBuf {
        self.older.clone()
    }

    /// Fails unless a command is refused, by its plan already, with what to do, and the image is as it was.
    fn is_kept_from(&self, verb: &str, args: &[&str]) -> Result<()> {
        let before = fs::read(self.image())?;
        for step in ["--dry-run", "--yes"] {
            let place = ["cache", verb, "--cache", text(&self.root), step];
            let said = azud(&[&place[..], args].concat())?;
            ensure!(said.refused()? == "store/half-moved", "{}", said.last());
            let hint = said.last()["error"]["hint"].as_str().context("a hint")?;
            ensure!(hint.contains("Run that update again"), "{hint}");
        }
        ensure!(fs::read(self.image())? == before, "it was changed");
        Ok(())
    }
}

/// Receives a newer version and breaks off once parts of the old file were given up.
fn half_move(image: &Path, newer: &Path) -> Result<()> {
    let old = image.to_owned();
    let mut given_up = false;
    set_hook(Some(Box::new(move |step| {
        given_up |= step.op == Op::Punch && step.path == old;
        if given_up && step.op == Op::Record {
            return Err(io::ErrorKind::Other.into());
        }
        Ok(())
    })));
    let target = ImageFile::parse(image)?;
    let source = FileSource::open(newer)?;
    let facts = Facts {
        info: None,
        carried: Vec::new(),
        now: SystemTime::now(),
    };
    let assembly = Assembly::plan(&target, &source, Moving::Always)?.step(1 << 20);
    let done = assembly.run(&facts, &Silent);
    set_hook(None);
    ensure!(done.is_err(), "it came to its end");
    Ok(())
}

#[test]
fn a_half_moved_image_is_not_evicted() -> Result<()> {
    if !have(&TOOLS) {
        return Ok(());
    }
    let scene = Scene::new()?;
    scene.is_kept_from("evict", &["aula/deb"])?;
    // Nor to make room, and that is said beforehand.
    let all = ["--yes", "--budget", "0", "--floor", "0"];
    ensure!(refusal(&scene.root, "evict", &all)? == "cache/no-room");
    ensure!(listed(&scene.root, "aula/deb.img")?["stays"] == "half-moved");
    // Its update ends, and it may go.
    let (image, newer) = (scene.image(), &scene.newer);
    done(&["cache", "update", text(&image), "--from", text(newer)])?;
    ensure!(fs::read(&image)? == fs::read(newer)?);
    cache(&scene.root, "evict", &["aula/deb", "--yes"])?;
    ensure!(!image.exists());
    Ok(())
}

#[test]
fn a_half_moved_image_is_not_repaired() -> Result<()> {
    if !have(&TOOLS) {
        return Ok(());
    }
    let scene = Scene::new()?;
    let older = scene.older();
    scene.is_kept_from("repair", &["aula/deb", "--from", text(&older)])
}

#[test]
fn a_half_moved_image_verifies() -> Result<()> {
    if !have(&TOOLS) {
        return Ok(());
    }
    let scene = Scene::new()?;
    let told = cache(&scene.root, "verify", &["aula/deb"])?;
    ensure!(told["images"][0]["state"] == "sound", "{told}");
    ensure!(listed(&scene.root, "aula/deb.img")?["verified"]["sound"] == true);
    done(&["image", "verify", "--deep", text(&scene.image())])?;
    Ok(())
}

#[test]
fn a_half_moved_image_is_exported() -> Result<()> {
    if !have(&TOOLS) {
        return Ok(());
    }
    let scene = Scene::new()?;
    for format in ["raw", "partclone"] {
        let export = |image: &Path, name: &str| -> Result<Vec<u8>> {
            let out = scene.dir.path().join(name);
            let args = ["image", "export", text(image), text(&out), "--to", format];
            done(&args)?;
            Ok(fs::read(out)?)
        };
        let half = export(&scene.image(), &format!("half.{format}"))?;
        let plain = export(&scene.older(), &format!("plain.{format}"))?;
        ensure!(half == plain, "{format}: other bytes");
    }
    Ok(())
}

#[test]
fn a_half_moved_image_is_copied_from() -> Result<()> {
    if !have(&TOOLS) {
        return Ok(());
    }
    let scene = Scene::new()?;
    let copy = scene.dir.path().join("copy.img");
    done(&["image", "copy", text(&scene.image()), text(&copy)])?;
    ensure!(fs::read(&copy)? == fs::read(scene.older())?, "other bytes");
    whole(&copy)?;
    Ok(())
}

/// What reads it goes by no hashes of its own: holes would be zeros on the disk.
#[test]
fn a_half_moved_foreign_image_is_read_whole() -> Result<()> {
    if !have(&TOOLS) {
        return Ok(());
    }
    let scene = Scene::foreign()?;
    let (image, older) = (scene.image(), scene.older());
    let restored = |image: &Path, name: &str| -> Result<Vec<u8>> {
        let disk = scene.dir.path().join(name);
        done(&["image", "restore", text(image), text(&disk), "--yes"])?;
        Ok(fs::read(disk)?)
    };
    ensure!(
        restored(&image, "a")? == restored(&older, "b")?,
        "other bytes"
    );
    // By every name that it has.
    let alias = scene.root.join("alias.img");
    symlink("aula/deb.img", &alias)?;
    ensure!(
        restored(&alias, "a2")? == restored(&older, "b")?,
        "other bytes"
    );
    let told = done(&["image", "verify", text(&image)])?;
    ensure!(told["full_sum"] == true, "{told}");
    let native = scene.dir.path().join("native.img");
    done(&["image", "import", text(&image), text(&native)])?;
    ensure!(
        restored(&native, "c")? == restored(&older, "d")?,
        "other bytes"
    );
    // Where nobody can tell what has moved, nobody takes holes for bytes.
    let other = scene.dir.path().join("older.img");
    fs::remove_file(scene.root.join("aula/deb.img.index"))?;
    for args in [
        &["image", "restore", text(&image), "e", "--yes"][..],
        &["image", "restore", text(&alias), "e", "--yes"],
        &["image", "verify", text(&image)],
        &["image", "import", text(&image), text(&native), "--yes"],
        &["image", "copy", text(&image), text(&older)],
        // Nor is it a former version of another image.
        &["cache", "update", text(&image), "--from", text(&other)],
    ] {
        let said = azud(args)?;
        ensure!(said.refused()? == "store/half-moved", "{}", said.last());
    }
    // Nor are they given to others.
    let error = FileSource::open(&image)?.hashed().err();
    ensure!(error.is_some_and(|it| it.code() == Code::HalfMoved));
    Ok(())
}
