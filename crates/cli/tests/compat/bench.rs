//! A machine with OpenGnsys' names installed, and scripts that dash runs on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::kit::text;

/// An address that no machine of ours has (RFC 5737).
pub(crate) const MANAGER: &str = "203.0.113.1";

/// A client whose manager's tree and cache are directories.
pub(crate) struct Machine {
    dir: tempfile::TempDir,
    root: PathBuf,
    vars: Vec<(&'static str, String)>,
}

/// What a script left.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Machine {
    pub(crate) fn client() -> Result<Self> {
        Self::new(
            &format!("manager = '{MANAGER}'\n"),
            &[MANAGER, "localhost/opt/opengnsys/images"],
        )
    }

    pub(crate) fn new(settings: &str, folders: &[&str]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let root = fs::canonicalize(dir.path())?.join("images");
        fs::create_dir_all(&root)?;
        for folder in folders {
            fs::create_dir_all(root.join(folder))?;
        }
        for folder in ["bin", "mnt"] {
            fs::create_dir(dir.path().join(folder))?;
        }
        let settings = format!("root = '{}'\n{settings}", text(&root));
        fs::write(dir.path().join("azud.toml"), settings)?;
        let bin = dir.path().join("bin");
        crate::kit::done(&["aliases", "install", text(&bin)])?;
        Ok(Self {
            dir,
            root,
            vars: Vec::new(),
        })
    }

    /// Sets a variable for all scripts.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.vars.push((name, value.to_owned()));
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.root.join(MANAGER)
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.root.join("localhost/opt/opengnsys/images")
    }

    pub(crate) fn mnt(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }

    /// Runs a script: `$REPO_DIR`, `$CACHE_DIR` and `$MNT` are the trees, `azud` is on the path.
    pub(crate) fn run(&self, script: &str) -> Result<Said> {
        let azud = Path::new(env!("CARGO_BIN_EXE_azud"))
            .parent()
            .context("a directory")?;
        let path = std::env::var("PATH")?;
        let path = format!(
            "{}:{}:{path}",
            text(&self.dir.path().join("bin")),
            text(azud)
        );
        let output = Command::new("dash")
            .args(["-c", script])
            .envs(self.vars.iter().map(|(name, value)| (*name, value)))
            .env("PATH", path)
            .env("LC_ALL", "C.UTF-8")
            .env("AZUD_CONFIG", self.dir.path().join("azud.toml"))
            .env("AZUD_MNT", self.mnt())
            .env("REPO_DIR", self.repo())
            .env("CACHE_DIR", self.cache())
            .env("MNT", self.mnt())
            .stdin(Stdio::null())
            .output()?;
        ensure!(output.status.success(), "{script}: {output:?}");
        Ok(Said {
            out: String::from_utf8(output.stdout)?,
            err: String::from_utf8(output.stderr)?,
        })
    }

    /// Runs a script whose standard output must be this. What it said beside it.
    pub(crate) fn expect(&self, script: &str, out: &str) -> Result<String> {
        let said = self.run(script)?;
        ensure!(
            said.out == out,
            "{script}\nprints {:?}\nnot {out:?}\n{}",
            said.out,
            said.err
        );
        Ok(said.err)
    }

    /// Runs one call; its exit status must be this one and its standard output empty. What it said beside it.
    pub(crate) fn ends(&self, call: &str, status: u8) -> Result<String> {
        self.expect(&format!("{call}; echo \"= $?\""), &format!("= {status}\n"))
    }
}

/// Puts a file there, with its folders.
pub(crate) fn put(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    fs::create_dir_all(path.parent().context("a directory")?)?;
    Ok(fs::write(path, content)?)
}
