//! A root, a `/mnt` and settings of a test's own; whatever is mounted in them goes away with it.
#![allow(dead_code, reason = "each test program uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::run_any;
use serde_json::Value;
use tempfile::TempDir;

use crate::kit::{Said, command, text};

/// The directories.
pub(crate) struct Room {
    dir: TempDir,
    /// Loop devices that count as removable.
    pub(crate) loops: String,
}

impl Room {
    pub(crate) fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        for name in ["root", "mnt", "etc", "images/aula1"] {
            fs::create_dir_all(dir.path().join(name))?;
        }
        fs::write(dir.path().join("images/aula1/win.img"), "an image")?;
        fs::write(dir.path().join("etc/azud.toml"), "")?;
        Ok(Self {
            dir,
            loops: String::new(),
        })
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The program, at home here.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = command(args);
        self.furnish(&mut command);
        command
    }

    /// The variables that make a program at home here.
    pub(crate) fn furnish(&self, command: &mut Command) {
        command
            .env("AZUD_ROOT", self.path("root"))
            .env("AZUD_MNT", self.path("mnt"))
            .env("AZUD_CONFIG", self.path("etc/azud.toml"))
            .env("AZUD_REMOVABLE_LOOPS", &self.loops);
    }

    pub(crate) fn said(&self, args: &[&str]) -> Result<Said> {
        Said::of(&self.command(args).output()?)
    }

    /// Runs it; it must succeed. The last line.
    pub(crate) fn done(&self, args: &[&str]) -> Result<Value> {
        let said = self.said(args)?;
        Ok(said.done().with_context(|| format!("{args:?}"))?.clone())
    }

    /// Runs it; it must refuse. The code and the message.
    pub(crate) fn refused(&self, args: &[&str]) -> Result<(String, String)> {
        let said = self.said(args)?;
        let code = said.refused().with_context(|| format!("{args:?}"))?;
        let message = said.last()["error"]["message"].as_str();
        Ok((code.to_owned(), message.unwrap_or_default().to_owned()))
    }

    /// Mounts its `images` as the repository of a computer.
    pub(crate) fn mount(&self, address: &str, more: &[&str]) -> Result<Value> {
        let path = self.path("images");
        let mut args = vec!["repo", "mount", address, "--protocol", "file", "--path"];
        args.push(text(&path));
        args.extend(more);
        self.done(&args)
    }

    /// The state of a repository, as `repo list` says it.
    pub(crate) fn state(&self, address: &str) -> Result<String> {
        let listed = self.done(&["repo", "list"])?;
        let all = listed["repositories"].as_array().context("a list")?;
        let found = all.iter().find(|row| row["address"] == address);
        let state = found.and_then(|row| row["state"].as_str());
        Ok(state.unwrap_or("absent").to_owned())
    }

    /// What `storage list` says of a medium.
    pub(crate) fn medium(&self, name: &str) -> Result<Value> {
        let listed = self.done(&["storage", "list"])?;
        let all = listed["media"].as_array().context("a list")?;
        let found = all.iter().find(|row| row["name"] == name);
        let found = found.with_context(|| format!("{name} in {listed}"))?;
        Ok(found.clone())
    }

    /// Fails if anything is still mounted here, or a directory or link for it is left.
    pub(crate) fn tidy(&self) -> Result<()> {
        for name in ["root", "mnt"] {
            let mut mounts = self.mounts();
            mounts.retain(|at| at.starts_with(self.path(name)));
            ensure!(mounts.is_empty(), "mounted: {mounts:?}");
            let mut left = crate::kit::names(&self.path(name))?;
            // The views' directory is of use again.
            left.retain(|name| !name.starts_with('.'));
            ensure!(left.is_empty(), "left in {name}: {left:?}");
        }
        Ok(())
    }

    fn mounts(&self) -> Vec<PathBuf> {
        let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let places = table.lines().filter_map(|line| line.split(' ').nth(1));
        let places = places.map(PathBuf::from);
        places
            .filter(|at| at.starts_with(self.dir.path()))
            .collect()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        for at in self.mounts().into_iter().rev() {
            let _ = run_any("umount", &["--lazy", text(&at)]);
        }
    }
}

/// The paths of the images of a medium.
pub(crate) fn images(medium: &Value) -> Vec<&str> {
    let images = medium["images"].as_array();
    let all = images.into_iter().flatten();
    all.filter_map(|image| image["path"].as_str()).collect()
}

/// Where a link leads.
pub(crate) fn target(link: &Path) -> Option<PathBuf> {
    fs::read_link(link).ok()
}
