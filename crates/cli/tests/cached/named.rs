//! What a name means to `azud cache update`, as the guide tells it; pins are kept by other commands, too.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::foreign;
use crate::kit::{Said, command, text};

/// Addresses that no machine of ours has (RFC 5737): the manager's, and one that stands for a stick.
const MANAGER: &str = "203.0.113.1";
const STICK: &str = "203.0.113.9";
const CACHE: &str = "localhost/opt/opengnsys/images";

/// A client, and a stick that has images of the same name at its top and in folders.
struct Client {
    dir: tempfile::TempDir,
    root: PathBuf,
}

impl Client {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let root = fs::canonicalize(dir.path())?.join("images");
        let client = Self { dir, root };
        fs::create_dir_all(client.root.join(CACHE))?;
        foreign(&client.root.join(MANAGER), "aula1/win11.img", 1, 5000)?;
        foreign(&client.root.join(STICK), "aula1/win11.img", 2, 5000)?;
        foreign(&client.root.join(STICK), "win11.img", 3, 5000)?;
        let settings = format!("root = '{}'\nmanager = '{MANAGER}'\n", text(&client.root));
        fs::write(client.dir.path().join("azud.toml"), settings)?;
        Ok(client)
    }

    fn said(&self, args: &[&str]) -> Result<Said> {
        self.said_with(args, None)
    }

    /// The same with a cache that the environment names.
    fn said_with(&self, args: &[&str], cache: Option<&str>) -> Result<Said> {
        let mut command = command(args);
        command.envs(cache.map(|cache| ("AZUD_CACHE", cache)));
        // Elsewhere than in any tree.
        command
            .current_dir(self.dir.path())
            .env("AZUD_CONFIG", self.dir.path().join("azud.toml"))
            .env("AZUD_MNT", self.dir.path().join("mnt"));
        Said::of(&command.output()?)
    }

    fn done(&self, args: &[&str]) -> Result<()> {
        self.said(args)?
            .done()
            .with_context(|| format!("{args:?}"))?;
        Ok(())
    }

    /// Fails unless the cache has the image of a tree, and nothing else.
    fn has(&self, of: &str) -> Result<()> {
        let there = fs::read(self.root.join(CACHE).join("aula1/win11.img"))?;
        ensure!(there == fs::read(self.root.join(of))?, "another than {of}");
        ensure!(
            !self.root.join(CACHE).join("win11.img").exists(),
            "at the top"
        );
        Ok(())
    }
}

/// The lines of a document that begin with these words, without what follows a `#`.
fn lines(document: &str, words: &str) -> Result<Vec<String>> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(docs.join(document))?;
    let lines = text.lines().filter_map(|line| line.strip_prefix("sudo "));
    let lines = lines.filter(|line| line.starts_with(words));
    let bare = lines.map(|line| line.split('#').next().unwrap_or_default().trim().to_owned());
    Ok(bare.collect())
}

#[test]
fn the_guide_and_the_deed_agree() -> Result<()> {
    let mut run = 0;
    for document in ["docs/en/guide.md", "docs/es/guide.md", "README.md"] {
        for line in lines(document, "azud cache update")? {
            let client = Client::new()?;
            let words = line.replace("USB-tools:", &format!("{STICK}:"));
            let words: Vec<&str> = words.split_whitespace().skip(1).collect();
            client.done(&words)?;
            // The first of several says which image it is.
            let said = line.split(" --from ").take(2).last().unwrap_or_default();
            let from = if said.contains("USB-tools:") {
                STICK
            } else {
                MANAGER
            };
            client
                .has(&format!("{from}/aula1/win11.img"))
                .with_context(|| line.clone())?;
            run += 1;
        }
    }
    ensure!(run >= 6, "{run} lines");
    Ok(())
}

#[test]
fn a_file_is_no_cache_and_nobody_is_told_to_make_it() -> Result<()> {
    let client = Client::new()?;
    let file = client.dir.path().join("file");
    fs::write(&file, "")?;
    for line in [&["cache", "status"][..], &["image", "list", "CACHE:"]] {
        let said = client.said_with(line, Some(text(&file)))?;
        ensure!(said.refused()? == "cache/not-found", "{}", said.last());
        let told = said.last()["error"].to_string();
        ensure!(told.contains("is no directory"), "{told}");
        ensure!(!told.contains("mkdir"), "{told}");
    }
    Ok(())
}

#[test]
fn a_bare_name_is_one_in_the_cache() -> Result<()> {
    let client = Client::new()?;
    client.done(&["cache", "update", "aula1/win11"])?;
    client.has(&format!("{MANAGER}/aula1/win11.img"))?;
    let stick = format!("{STICK}:");
    client.done(&["cache", "update", "aula1/win11", "--from", &stick])?;
    client.has(&format!("{STICK}/aula1/win11.img"))?;
    // A file of the cache has a place in it as well.
    client.done(&["cache", "update", "CACHE:aula1/win11"])?;
    let file = client.root.join(CACHE).join("aula1/win11.img");
    client.done(&["cache", "update", text(&file), "--from", &stick])?;
    client.has(&format!("{STICK}/aula1/win11.img"))?;
    // With a folder, the one of this name in it.
    let folder = text(&client.root).to_owned() + "/" + STICK;
    client.done(&["cache", "update", "aula1/win11", "--from", &folder])?;
    client.has(&format!("{STICK}/win11.img"))?;
    // A path is a path.
    let said = client.said(&["cache", "update", "./aula1/win11"])?;
    ensure!(said.status == Some(2), "{}", said.last());
    Ok(())
}

#[test]
fn the_environments_cache_is_the_one_that_is_updated() -> Result<()> {
    let client = Client::new()?;
    let other = client.dir.path().join("other");
    fs::create_dir(&other)?;
    let mut command = command(&["cache", "update", "aula1/win11"]);
    command
        .env("AZUD_CACHE", &other)
        .env("AZUD_CONFIG", client.dir.path().join("azud.toml"));
    Said::of(&command.output()?)?.done()?;
    ensure!(other.join("aula1/win11.img").is_file());
    ensure!(!client.root.join(CACHE).join("aula1").exists());
    Ok(())
}

#[test]
fn the_environments_cache_is_meant_by_every_command() -> Result<()> {
    let client = Client::new()?;
    client.done(&["cache", "update", "aula1/win11"])?;
    let other = client.dir.path().join("other");
    fs::create_dir(&other)?;
    let said = |args: &[&str]| -> Result<Value> {
        let said = client.said_with(args, Some(text(&other)))?;
        Ok(said.done().with_context(|| format!("{args:?}"))?.clone())
    };
    let stick = format!("{STICK}:aula1/win11");
    said(&["image", "copy", &stick, "CACHE:"])?;
    let (here, copy) = (
        other.join("aula1/win11.img"),
        client.dir.path().join("copy.img"),
    );
    for place in ["CACHE", "localhost", "cache"] {
        let image = format!("{place}:aula1/win11");
        said(&["image", "copy", &image, text(&copy)])?;
        ensure!(fs::read(&copy)? == fs::read(&here)?, "another image");
        fs::remove_file(&copy)?;
        let info = said(&["image", "info", &image])?;
        let name = info.to_string();
        ensure!(name.contains(text(&here)), "{name}");
        said(&["image", "verify", &image])?;
    }
    let list = said(&["image", "list", "CACHE:"])?;
    let images = list["images"].as_array().context("a list")?;
    ensure!(images.len() == 1, "{list}");
    let status = said(&["cache", "status"])?;
    ensure!(status["images_dir"] == text(&other), "{status}");
    ensure!(status["images"] == 1, "{status}");
    let doctor = client.said_with(&["doctor"], Some(text(&other)))?;
    let found = doctor.result()["findings"].to_string();
    ensure!(found.contains("\"cache-named\""), "{found}");
    let none = client.dir.path().join("none");
    let doctor = client.said_with(&["doctor"], Some(text(&none)))?;
    let found = doctor.result()["findings"].to_string();
    ensure!(found.contains("\"cache-named-absent\""), "{found}");
    said(&["image", "rm", "CACHE:aula1/win11"])?;
    ensure!(!here.exists());
    client.has(&format!("{MANAGER}/aula1/win11.img"))
}

#[test]
fn regression_a_cache_that_is_named_and_not_there_is_neither_made_nor_done_without() -> Result<()> {
    let client = Client::new()?;
    let (none, disk) = (
        client.dir.path().join("none"),
        client.dir.path().join("disk"),
    );
    fs::write(&disk, [0; 5000])?;
    let native = client.root.join(MANAGER).join("aula1/native.img");
    client.done(&["image", "create", text(&disk), text(&native), "--yes"])?;
    let option = ["--cache", text(&none)];
    let image = format!("{MANAGER}:aula1/native");
    let deploy = ["deploy", &image, text(&disk), "--yes"];
    let list = ["cache", "list"];
    let update = ["cache", "update", "aula1/win11"];
    for (args, by_name) in [(&deploy[..], true), (&list, true), (&update, false)] {
        let mut told = vec![client.said_with(args, Some(text(&none)))?];
        if by_name {
            told.push(client.said(&[args, &option].concat())?);
        }
        for said in told {
            ensure!(said.refused()? == "cache/not-found", "{}", said.last());
            let hint = said.last()["error"]["hint"].to_string();
            ensure!(
                hint.contains(&format!("mkdir -p {}", text(&none))),
                "{hint}"
            );
        }
    }
    // One of a place that is not there is not done without, either.
    let said = client.said_with(&deploy, Some("USB-none:"))?;
    ensure!(said.refused()? == "place/not-mounted", "{}", said.last());
    ensure!(!none.exists() && fs::read(&disk)? == [0; 5000]);
    Ok(())
}

#[test]
fn regression_a_directory_that_is_missing_is_told_as_one() -> Result<()> {
    let client = Client::new()?;
    let none = client.dir.path().join("none");
    let (folder, new) = (text(&none).to_owned() + "/", none.join("win11.img"));
    let file = client.dir.path().join("azud.toml");
    let image = format!("{MANAGER}:aula1/win11");
    client.done(&["cache", "update", "aula1/win11"])?;
    for line in ["update", "repair"] {
        let said = client.said(&["cache", line, "aula1/win11", "--from", text(&none)])?;
        ensure!(said.refused()? == "image/not-found", "{}", said.last());
        let message = said.last()["error"]["message"].to_string();
        let both = format!("neither a directory {0} nor an image {0}.img", text(&none));
        ensure!(message.contains(&both), "{message}");
    }
    let lines: [&[&str]; 5] = [
        &["cache", "update", "aula1/win11", "--from", &folder],
        &["image", "copy", &image, &folder],
        &["image", "copy", &image, text(&new)],
        &["image", "copy", &image, text(&new), "--dry-run"],
        &["image", "create", text(&file), text(&new)],
    ];
    for line in lines {
        let said = client.said(line)?;
        ensure!(said.refused()? == "image/not-found", "{}", said.last());
        let hint = said.last()["error"]["hint"].to_string();
        let make = format!("mkdir -p {}", text(&none));
        ensure!(hint.contains(&make), "{line:?}: {hint}");
    }
    ensure!(!none.exists());
    Ok(())
}

#[test]
fn a_pinned_image_is_not_removed() -> Result<()> {
    let client = Client::new()?;
    client.done(&["cache", "update", "aula1/win11"])?;
    client.done(&["cache", "pin", "aula1/win11"])?;
    for step in ["--dry-run", "--yes"] {
        let said = client.said(&["image", "rm", "CACHE:aula1/win11", step])?;
        ensure!(said.refused()? == "cache/pinned", "{}", said.last());
        let hint = said.last()["error"]["hint"].as_str();
        ensure!(hint.is_some_and(|hint| hint.contains("unpin")), "{hint:?}");
    }
    client.has(&format!("{MANAGER}/aula1/win11.img"))?;
    client.done(&["cache", "unpin", "aula1/win11"])?;
    client.done(&["image", "rm", "CACHE:aula1/win11"])?;
    ensure!(!client.root.join(CACHE).join("aula1/win11.img").exists());
    Ok(())
}
