//! The manager as its unit describes it, where systemd itself is not the first process: what the unit says is read
//! from the installed file and done by the tools beneath it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use azud_testkit::sandbox::with_only;

use super::filter;
use super::inside::Inside;

const SERVICE: &str = "/usr/lib/systemd/system/azud.service";
const SOCKET: &str = "/usr/lib/systemd/system/azud.socket";

/// How long the manager may take to be ready, or to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// Only what may be written is writable (`$1`), as `ProtectSystem=strict` has it. `$2` is the mask, `$3` how many files
/// may be open; the rest starts the manager, whose number comes first.
const STRICT: &str = "for path in $1; do mount --bind \"$path\" \"$path\"; done; \
    mount -o remount,bind,ro /; mount -t tmpfs tmpfs /tmp; umask \"$2\"; ulimit -n \"$3\"; shift 3; echo $$; exec \"$@\"";

/// The settings of a unit, in their order.
pub(super) struct Unit(Vec<(String, String)>);

impl Unit {
    /// Understands a unit file without continued lines, as ours are.
    fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim);
        let settings = lines.filter(|line| !line.starts_with(['#', ';', '[']));
        let pair = |line: &str| {
            let (key, value) = line.split_once('=')?;
            Some((key.trim().to_owned(), value.trim().to_owned()))
        };
        Self(settings.filter_map(pair).collect())
    }

    /// The only value of a setting.
    pub(super) fn one(&self, key: &str) -> Result<&str> {
        let mut values = self.all(key);
        let value = values.next().with_context(|| format!("no {key}"))?;
        ensure!(values.next().is_none(), "{key} twice");
        Ok(value)
    }

    pub(super) fn all<'s>(&'s self, key: &str) -> impl Iterator<Item = &'s str> {
        let values = self.0.iter().filter(move |(name, _)| name == key);
        values.map(|(_, value)| value.as_str())
    }
}

/// How the manager comes to its socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// It listens itself.
    Itself,
    /// It is started by the first client, as `azud.socket` has it.
    Socket,
}

/// A manager that was started as its unit says. It ends with the root at the latest.
pub(super) struct Service<'a> {
    inside: &'a Inside,
    child: Child,
    out: BufReader<ChildStdout>,
    /// What systemd would hear.
    notify: UnixDatagram,
    /// Its number in the root.
    number: String,
}

impl<'a> Service<'a> {
    pub(super) fn start(inside: &'a Inside, by: By) -> Result<Self> {
        let unit = Unit::parse(&inside.read(SERVICE)?);
        ensure!(unit.one("Type")? == "notify", "nobody would wait for it");
        let (user, group) = (unit.one("User")?, unit.one("Group")?);
        let state = state(inside, &unit)?;
        let notify = listen(inside)?;
        let mut variables: Vec<&str> = unit.all("Environment").collect();
        variables.extend(["NOTIFY_SOCKET=/run/notify", "JOURNAL_STREAM=1:1"]);
        let exec: Vec<&str> = unit.one("ExecStart")?.split_whitespace().collect();
        let account = [
            "setpriv",
            "--reuid",
            user,
            "--regid",
            group,
            "--init-groups",
        ];
        let rights = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"];
        let path = "PATH=/usr/sbin:/usr/bin";
        let socket = Unit::parse(&inside.read(SOCKET)?);
        let port = socket.one("ListenStream")?;
        let mut start = vec!["env", "-i", path];
        start.extend(&variables);
        if by == By::Socket {
            start.extend(["systemd-socket-activate", "--listen", port]);
            for variable in &variables {
                start.extend(["--setenv", variable]);
            }
        }
        let writable = writable(inside, &unit, &state);
        let args = [&writable, unit.one("UMask")?, unit.one("LimitNOFILE")?];
        let args = [&args[..], &start, &account, &rights, &exec].concat();
        let strict = ["--mount", "/bin/sh", "-euc", STRICT, "sh"];
        let mut command = inside.command("exec unshare \"$@\"", &[&strict[..], &args].concat());
        command.stdout(Stdio::piped());
        let calls = filter::numbers(inside, &unit)?;
        let mut child = with_only(&calls, || Ok(command.spawn()?))?;
        let mut out = BufReader::new(child.stdout.take().context("a pipe")?);
        let mut number = String::new();
        out.read_line(&mut number)?;
        let number = number.trim().to_owned();
        Ok(Self {
            inside,
            child,
            out,
            notify,
            number,
        })
    }

    /// Waits until the manager says this to systemd.
    pub(super) fn told(&self, what: &str) -> Result<()> {
        let mut buf = [0; 4096];
        loop {
            let len = self
                .notify
                .recv(&mut buf)
                .with_context(|| format!("waiting for {what}"))?;
            let said = String::from_utf8_lossy(&buf[..len]);
            if said.lines().any(|line| line == what) {
                return Ok(());
            }
        }
    }

    /// The pin, which it shows when it begins.
    pub(super) fn pin(&mut self) -> Result<String> {
        loop {
            let mut line = String::new();
            ensure!(self.out.read_line(&mut line)? > 0, "it ended without a pin");
            let pin = line
                .split_whitespace()
                .find(|word| word.starts_with("sha256:"));
            if let Some(pin) = pin {
                return Ok(pin.to_owned());
            }
        }
    }

    /// Whether a thread of it makes way for the others.
    pub(super) fn is_courteous(&self) -> Result<bool> {
        // Some end meanwhile.
        let stats = format!("cat /proc/{}/task/*/stat 2>/dev/null || true", self.number);
        let said = self.inside.done(&stats)?;
        let nice = |line: &str| {
            line.rsplit_once(')')?
                .1
                .split_whitespace()
                .nth(16)?
                .parse()
                .ok()
        };
        Ok(said.lines().any(|line| nice(line) == Some(19)))
    }

    /// Ends it as systemd does. It says so, and it is no failure. What it printed is no secret: the rest of that.
    pub(super) fn stop(mut self) -> Result<String> {
        self.inside.done(&format!("kill -TERM {}", self.number))?;
        self.told("STOPPING=1")?;
        let status = self.child.wait()?;
        ensure!(status.success(), "{status}");
        let mut rest = String::new();
        self.out.read_to_string(&mut rest)?;
        ensure!(!rest.contains("azud_"), "the journal has a token: {rest}");
        Ok(rest)
    }
}

/// The directory of the manager's state, made as systemd makes it.
fn state(inside: &Inside, unit: &Unit) -> Result<String> {
    let (user, group) = (unit.one("User")?, unit.one("Group")?);
    let state = format!("/var/lib/{}", unit.one("StateDirectory")?);
    let mode = unit.one("StateDirectoryMode")?;
    inside.done(&format!(
        "install -d -o {user} -g {group} -m {mode} {state}"
    ))?;
    Ok(state)
}

/// The socket on which systemd would listen; the account has to reach it.
fn listen(inside: &Inside) -> Result<UnixDatagram> {
    let path = inside.path("/run/notify");
    let _ = fs::remove_file(&path);
    let notify = UnixDatagram::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
    notify.set_read_timeout(Some(PATIENCE))?;
    Ok(notify)
}

/// What the unit lets the manager write to, of what is there.
fn writable(inside: &Inside, unit: &Unit, state: &str) -> String {
    let said = unit.all("ReadWritePaths").flat_map(str::split_whitespace);
    let paths = said.map(|path| path.trim_start_matches('-')).chain([state]);
    let there = paths.filter(|path| inside.path(path).exists());
    there.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::Unit;

    #[test]
    fn a_unit_is_read_as_it_stands() {
        let unit =
            Unit::parse("# User=root\n[Service]\nUser = azud\nFilter=a\nFilter=~b\nBounding=\n");
        assert_eq!(unit.one("User").unwrap(), "azud");
        assert_eq!(unit.all("Filter").collect::<Vec<_>>(), ["a", "~b"]);
        assert_eq!(unit.one("Bounding").unwrap(), "");
        assert!(unit.one("Filter").is_err() && unit.one("Group").is_err());
    }
}
