//! A manager and a client, each with its own settings, in one temporary directory.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use azud_testkit::cable::{Cable, Side};
use azud_testkit::tools::run_any;
use serde_json::Value;

use crate::kit::{Said, command, over, program, text};

/// Both sides' files.
pub(crate) struct Room {
    dir: tempfile::TempDir,
    /// Between them, if it is not loopback.
    pub(crate) cable: Option<Cable>,
}

/// A manager that runs; it is told to end when this is dropped.
pub(crate) struct Manager {
    child: Child,
    pub(crate) port: u16,
    pub(crate) pin: String,
    pub(crate) admin: String,
}

impl Room {
    pub(crate) fn new() -> Result<Self> {
        Self::over(None)
    }

    /// With a cable between manager and client.
    pub(crate) fn over(cable: Option<Cable>) -> Result<Self> {
        let room = Self {
            dir: tempfile::tempdir()?,
            cable,
        };
        for dir in ["images", "etc", "root"] {
            fs::create_dir(room.dir().join(dir))?;
        }
        let site = format!("manager = '{}'\n", room.host());
        fs::write(room.dir().join("etc/azud.toml"), site)?;
        Ok(room)
    }

    fn host(&self) -> &'static str {
        match self.cable {
            Some(_) => Cable::SERVER,
            None => "127.0.0.1",
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.dir().join("images")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir().join("state")
    }

    /// A command with the settings of this room.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = match &self.cable {
            Some(cable) => {
                let side = if args.first() == Some(&"serve") {
                    Side::Server
                } else {
                    Side::Client
                };
                over(cable.command(side, text(&program())), args)
            }
            None => command(args),
        };
        self.settings(&mut command);
        command
    }

    /// Gives a command the settings of this room.
    pub(crate) fn settings<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("AZUD_CONFIG", self.dir().join("etc/azud.toml"))
            .env("AZUD_ROOT", self.dir().join("root"))
            .env("AZUD_STATE", self.state())
            .env("AZUD_PATIENCE", "10")
    }

    /// Runs a command as a client or beside the manager.
    pub(crate) fn run(&self, args: &[&str]) -> Result<Said> {
        Said::of(&self.command(args).output()?)
    }

    /// Runs it; it must succeed.
    pub(crate) fn done(&self, args: &[&str]) -> Result<Value> {
        let said = self.run(args)?;
        Ok(said.done().with_context(|| format!("{args:?}"))?.clone())
    }

    pub(crate) fn serve(&self) -> Result<Manager> {
        self.serve_at(0)
    }

    /// Starts a manager at a port, or at any that is free.
    pub(crate) fn serve_at(&self, port: u16) -> Result<Manager> {
        self.start(port, &[])
    }

    pub(crate) fn serve_with(&self, more: &[&str]) -> Result<Manager> {
        self.start(0, more)
    }

    /// Starts one that listens at an address and a port.
    pub(crate) fn serve_on(&self, listen: &str) -> Result<Manager> {
        self.start_on(listen, &["--images", text(&self.images())])
    }

    fn start(&self, port: u16, more: &[&str]) -> Result<Manager> {
        let images = self.images();
        let images = ["--images", text(&images)];
        self.start_with(port, &[&images[..], more].concat())
    }

    /// Starts one that is not told what to serve.
    pub(crate) fn serve_bare(&self, more: &[&str]) -> Result<Manager> {
        self.start_with(0, more)
    }

    fn start_with(&self, port: u16, more: &[&str]) -> Result<Manager> {
        self.start_on(&format!("{}:{port}", self.host()), more)
    }

    /// Starts one that may do no more than nobody may.
    pub(crate) fn serve_as_nobody(&self) -> Result<Manager> {
        const NOBODY: u32 = 65534;
        let (ours, images) = (self.dir().join("azud"), self.images());
        // The way to the one that was built may be closed to others.
        fs::copy(program(), &ours)?;
        fs::create_dir_all(self.state())?;
        chown(self.state(), Some(NOBODY), Some(NOBODY))?;
        fs::set_permissions(self.dir(), fs::Permissions::from_mode(0o755))?;
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(ours);
        let args = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--images",
            text(&images),
        ];
        let mut serve = over(command, &args);
        self.settings(&mut serve);
        Self::started(serve)
    }

    fn start_on(&self, listen: &str, more: &[&str]) -> Result<Manager> {
        let mut serve = self.command(&["serve", "--listen", listen]);
        serve.args(more).current_dir(self.dir());
        Self::started(serve)
    }

    fn started(mut serve: Command) -> Result<Manager> {
        let mut child = serve.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().context("a pipe")?;
        BufReader::new(out).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        let field = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let listen = field(&said["listen"][0]);
        let (_, port) = listen.rsplit_once(':').with_context(|| line.clone())?;
        Ok(Manager {
            port: port.parse()?,
            pin: field(&said["pin"]),
            admin: field(&said["admin_token"]),
            child,
        })
    }

    /// Introduces the client to a manager with a token for reading.
    pub(crate) fn know(&self, manager: &Manager) -> Result<()> {
        self.know_as(manager, "read")
    }

    /// The same with a token of a role.
    pub(crate) fn know_as(&self, manager: &Manager, role: &str) -> Result<()> {
        self.know_at(manager.port, &manager.pin, role)
    }

    /// The same by way of another port.
    pub(crate) fn know_at(&self, port: u16, pin: &str, role: &str) -> Result<()> {
        let made = self.done(&["token", "create", "--role", role])?;
        let token = made["token"].as_str().context("a token")?;
        // What a killed run left is in nobody's way.
        let host = self.host();
        let kept = self.dir().join(format!("etc/managers/{host}.token"));
        fs::create_dir_all(self.dir().join("etc/managers"))?;
        for left in ["part", "token.part"] {
            fs::write(kept.with_file_name(format!("{host}.{left}")), "")?;
        }
        self.introduce_at(port, pin, token)?.done()?;
        ensure!(
            fs::metadata(kept)?.permissions().mode() & 0o777 == 0o600,
            "a secret is its owner's"
        );
        Ok(())
    }

    /// The same with any pin and token.
    pub(crate) fn introduce(&self, manager: &Manager, pin: &str, token: &str) -> Result<Said> {
        self.introduce_at(manager.port, pin, token)
    }

    /// The same with whatever listens at a port.
    pub(crate) fn introduce_at(&self, port: u16, pin: &str, token: &str) -> Result<Said> {
        self.introduce_as("REPO", port, (pin, token))
    }

    /// The same with one that has another address.
    pub(crate) fn introduce_as(
        &self,
        address: &str,
        port: u16,
        (pin, token): (&str, &str),
    ) -> Result<Said> {
        let file = self.dir().join("token");
        let mut options = fs::File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        std::io::Write::write_all(&mut options.open(&file)?, token.as_bytes())?;
        let port = port.to_string();
        let args = [
            "repo",
            "add",
            address,
            "--protocol",
            "http",
            "--port",
            &port,
            "--pin",
            pin,
            "--token-file",
            text(&file),
        ];
        self.run(&[&args[..], &["--yes"]].concat())
    }
}

impl Manager {
    /// Ends it at once, as a power cut would.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // The number of one that has ended may be another's by now.
        if let Ok(None) = self.child.try_wait() {
            let _ = run_any("kill", &[&self.child.id().to_string()]);
        }
        let _ = self.child.wait();
    }
}

/// Fails unless a run was refused with this code.
pub(crate) fn refusal(said: &Said, code: &str) -> Result<()> {
    let found = said.refused()?;
    if found != code {
        bail!("{found} instead of {code}: {}", said.last());
    }
    Ok(())
}
