//! A manager of this machine, and a client that knows it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::disks::{Lab, text};
use super::measure::peak_of;
use super::served::Served;

/// What both keep outside the images.
pub(super) struct Site {
    azud: String,
    dir: PathBuf,
}

/// A manager that listens; it ends with this.
pub(super) struct Manager {
    child: Served,
}

/// How a script begins that runs commands of the client's, whose site is `$5`. It has not the manager's state: who serves
/// the images itself reads them without asking.
pub(super) const CLIENT: &str = r#"export AZUD_CONFIG="$5/etc/azud.toml" AZUD_ROOT="$5/root"
"#;

impl Site {
    pub(super) fn new(lab: &Lab) -> Result<Self> {
        let dir = lab.fresh_dir("site")?;
        for name in ["etc", "root"] {
            fs::create_dir(dir.join(name))?;
        }
        fs::write(dir.join("etc/azud.toml"), "manager = '127.0.0.1'\n")?;
        let azud = lab.azud.clone();
        Ok(Self { azud, dir })
    }

    /// Where the scripts find the client's settings.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.azud);
        command
            .arg("--json")
            .args(args)
            .env("AZUD_CONFIG", self.dir.join("etc/azud.toml"))
            .env("AZUD_ROOT", self.dir.join("root"))
            .env("AZUD_STATE", self.dir.join("state"));
        command
    }

    fn ask(&self, args: &[&str]) -> Result<Value> {
        let output = self.command(args).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{args:?}: {said}");
        let last = said.lines().last().context("an answer")?;
        Ok(serde_json::from_str(last)?)
    }

    /// Serves a directory; the client is introduced.
    pub(super) fn serve(&self, images: &Path) -> Result<Manager> {
        let args = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--images",
            text(images)?,
        ];
        let mut child = self.command(&args).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().context("a pipe")?;
        let manager = Manager {
            child: Served(child),
        };
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        let listen = said["listen"][0].as_str().context("an address")?;
        let (_, port) = listen.rsplit_once(':').context("a port")?;
        let pin = said["pin"].as_str().context("a pin")?;
        let token = self.ask(&["token", "create", "--role", "write"])?;
        let file = self.dir.join("token");
        fs::write(&file, token["token"].as_str().context("a token")?)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        let add = ["repo", "add", "REPO", "--protocol", "http", "--yes"];
        let how = ["--port", port, "--pin", pin, "--token-file", text(&file)?];
        self.ask(&[&add[..], &how].concat())?;
        Ok(manager)
    }
}

impl Manager {
    /// The most memory that it ever had, in bytes.
    pub(super) fn peak(&self) -> Result<u64> {
        peak_of(self.child.0.id())
    }
}
