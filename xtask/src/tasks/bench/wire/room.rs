//! Both sides of a cable: the manager, and a client that knows it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use azud_testkit::cable::{Cable, Side};
use azud_testkit::tools::run;
use serde_json::Value;

use super::super::disks::{Lab, text};
use super::super::measure::peak_of;
use super::super::served::Served;
use super::nginx::Nginx;

/// A cable, a manager at one end of it, settings for clients at the other.
pub(super) struct Room {
    dir: PathBuf,
    azud: String,
    manager: Served,
    _nginx: Nginx,
    pub(super) cable: Cable,
}

impl Room {
    /// With a cable of this rate, or an unlimited one; `images` is what is served.
    pub(super) fn new(lab: &Lab, rate: Option<&str>, images: &Path) -> Result<Self> {
        let dir = lab.fresh_dir("room")?;
        for name in ["etc", "root", "state", "nginx"] {
            fs::create_dir(dir.join(name))?;
        }
        let site = format!("manager = '{}'\n", Cable::SERVER);
        fs::write(dir.join("etc/azud.toml"), site)?;
        let cable = Cable::new(rate)?;
        let nginx = Nginx::start(&cable, &dir.join("nginx"), images)?;
        let mut serve = cable.command(Side::Server, &lab.azud);
        serve.args(["serve", "--json", "--listen", Cable::SERVER, "--images"]);
        serve.arg(images);
        let manager = settings(&mut serve, &dir).stdout(Stdio::piped()).spawn()?;
        let mut manager = Served(manager);
        let mut line = String::new();
        let said = manager.0.stdout.take().context("a pipe")?;
        BufReader::new(said).read_line(&mut line)?;
        let room = Self {
            dir,
            azud: lab.azud.clone(),
            manager,
            _nginx: nginx,
            cable,
        };
        let said: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        room.know(said["pin"].as_str().context("a pin")?)?;
        Ok(room)
    }

    fn know(&self, pin: &str) -> Result<()> {
        let made = self.azud(&["token", "create", "--role", "read"])?;
        let token = self.dir.join("token");
        fs::write(&token, made["token"].as_str().context("a token")?)?;
        run("chmod", &["600", text(&token)?])?;
        let add = ["repo", "add", "REPO", "--protocol", "http", "--pin", pin];
        let more = ["--token-file", text(&token)?, "--yes"];
        self.azud(&[&add[..], &more].concat()).map(drop)
    }

    /// Runs a command of the client's; its last word.
    pub(super) fn azud(&self, args: &[&str]) -> Result<Value> {
        let mut command = self.cable.command(Side::Client, &self.azud);
        command.args(args).arg("--json");
        let output = settings(&mut command, &self.dir).output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{args:?}: {said}");
        let last = said.lines().last().unwrap_or("null");
        serde_json::from_str(last).with_context(|| said.clone())
    }

    /// What scripts are given as `$1`, `$2`, `$3`: the client's namespace, the program, the directory of settings.
    pub(super) fn args(&self) -> Result<[&str; 3]> {
        Ok([self.cable.name(Side::Client), &self.azud, text(&self.dir)?])
    }

    /// The most memory that the manager ever had, in bytes.
    pub(super) fn manager_peak(&self) -> Result<u64> {
        peak_of(self.manager.0.id())
    }

    /// The certificate that curl is to believe.
    pub(super) fn certificate(&self) -> PathBuf {
        self.dir.join("nginx/cert")
    }
}

/// How scripts run a program on the client's side: `client PROGRAM …`.
pub(super) const CLIENT: &str = r#"client() { ip netns exec "$ns" "$@"; }
ns="$1"; azud="$2"; export AZUD_CONFIG="$3/etc/azud.toml" AZUD_ROOT="$3/root" AZUD_STATE="$3/state"; shift 3
"#;

fn settings<'a>(command: &'a mut Command, dir: &Path) -> &'a mut Command {
    command
        .env("AZUD_CONFIG", dir.join("etc/azud.toml"))
        .env("AZUD_ROOT", dir.join("root"))
        .env("AZUD_STATE", dir.join("state"))
        .stdin(Stdio::null())
}
