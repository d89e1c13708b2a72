//! What a technician may rely on: a former version is checked before it comes back, nothing goes for good that no
//! plan named, and what is no image holds nobody up.

#[path = "../kit/mod.rs"]
mod kit;

mod damage;
mod plans;
mod shapes;
mod versions;

use std::path::PathBuf;

use anyhow::{Context, Result};
use azud_testkit::tools::have;
use kit::{Said, azud, done, text};
use serde_json::Value;
use tempfile::TempDir;

/// A volume in a file, and where its images go.
struct Site {
    dir: TempDir,
    volume: PathBuf,
}

impl Site {
    fn new() -> Result<Option<Self>> {
        if !have(&["mke2fs", "md5sum", "mkfifo"]) {
            return Ok(None);
        }
        let dir = tempfile::tempdir()?;
        let volume = dir.path().join("volume");
        kit::ext4(&volume, 8, 2)?;
        std::fs::create_dir(dir.path().join("images"))?;
        Ok(Some(Self { dir, volume }))
    }

    fn path(&self, name: &str) -> String {
        text(&self.dir.path().join(name)).to_owned()
    }

    fn create(&self, image: &str, more: &[&str]) -> Result<Said> {
        let args = ["image", "create", text(&self.volume), image];
        azud(&[&args[..], more].concat())
    }

    fn versions(image: &str) -> Result<Vec<Value>> {
        let history = done(&["image", "history", image])?;
        let versions = history["versions"].as_array().context("versions")?;
        Ok(versions.clone())
    }
}

fn word<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key]
        .as_str()
        .with_context(|| format!("{key} in {value}"))
}
