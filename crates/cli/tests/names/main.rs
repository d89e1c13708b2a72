//! One name for one image on every machine: references in commands, variables in shells, links on disk.

#[path = "../kit/mod.rs"]
mod kit;

mod links;
mod references;
mod variables;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::run;
use kit::{Said, text};

/// Addresses that no machine of ours has (RFC 5737).
const MANAGER: &str = "203.0.113.1";
const OTHER: &str = "203.0.113.9";

/// A machine with its configuration, in a directory of its own.
struct Machine {
    dir: tempfile::TempDir,
    root: PathBuf,
    settings: String,
}

impl Machine {
    /// Writes the configuration; `root` and other paths are below the machine's directory.
    fn new(root: &str, settings: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let root = fs::canonicalize(dir.path())?.join(root);
        fs::create_dir_all(&root)?;
        fs::create_dir(dir.path().join("mnt"))?;
        let settings = format!("root = '''{}'''\n{settings}", text(&root));
        fs::write(dir.path().join("azud.toml"), &settings)?;
        Ok(Self {
            dir,
            root,
            settings,
        })
    }

    /// A client of the manager: both trees are there and empty.
    fn client() -> Result<Self> {
        let machine = Self::new("images", &format!("manager = '{MANAGER}'\n"))?;
        fs::create_dir_all(machine.repo().join("aula1"))?;
        fs::create_dir_all(machine.cache())?;
        Ok(machine)
    }

    fn repo(&self) -> PathBuf {
        self.root.join(MANAGER)
    }

    fn cache(&self) -> PathBuf {
        self.root.join("localhost/opt/opengnsys/images")
    }

    fn mnt(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }

    /// Makes a command see this machine.
    fn on<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("AZUD_CONFIG", self.dir.path().join("azud.toml"))
            .env("AZUD_MNT", self.mnt())
    }

    fn azud(&self, args: &[&str]) -> Result<Said> {
        Said::of(&self.on(&mut kit::command(args)).output()?)
    }

    fn done(&self, args: &[&str]) -> Result<serde_json::Value> {
        let said = self.azud(args)?;
        Ok(said.done().with_context(|| format!("{args:?}"))?.clone())
    }

    fn refused(&self, args: &[&str]) -> Result<String> {
        let said = self.azud(args)?;
        Ok(said.refused().with_context(|| format!("{args:?}"))?.into())
    }

    /// What a script prints in a shell after `azud env` was read.
    fn script(&self, shell: &[&str], script: &str) -> Result<String> {
        let azud = Path::new(env!("CARGO_BIN_EXE_azud"));
        let load = if shell[0] == "fish" {
            "azud env --shell fish | source"
        } else {
            "eval \"$(azud env)\""
        };
        let mut command = Command::new(shell[0]);
        command
            .args(&shell[1..])
            .arg("-c")
            .arg(format!("{load}\n{script}"));
        let path = std::env::var("PATH")?;
        let dir = azud.parent().context("a directory")?;
        command.env("PATH", format!("{}:{path}", dir.display()));
        command.env("LC_ALL", "C.UTF-8");
        let output = self.on(&mut command).output()?;
        let said = String::from_utf8(output.stdout)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{shell:?}: {said} {errors}");
        Ok(said)
    }
}

fn put(path: &Path, content: &str) -> Result<()> {
    fs::create_dir_all(path.parent().context("a directory")?)?;
    Ok(fs::write(path, content)?)
}

/// A file system mounted where the test says; unmounted in the end, whatever happens.
struct MountedAt(PathBuf);

impl MountedAt {
    fn new(device: &str, at: &Path) -> Result<Self> {
        fs::create_dir_all(at)?;
        run("mount", &[device, text(at)])?;
        Ok(Self(at.to_owned()))
    }
}

impl Drop for MountedAt {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
