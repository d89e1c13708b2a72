//! A clean Debian root in namespaces of its own. Everything in it ends with the process that holds it, which ends
//! with this one, however that happens.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{run, sh};

use super::super::say;
use super::text;

/// Where packages come from: where this machine has its own from. A release and its mirror.
const MIRROR: &str = "apt-get indextargets --format '$(RELEASE) $(REPO_URI)' \
    'Created-By: Packages' 'Origin: Debian' 'Component: main' | \
    grep -vE 'security|updates|backports' | sed -n 1p";

/// What the holder does: the root is a mount, with a network where only it listens. Then it waits.
const HOLD: &str = "mount --bind \"$1\" \"$1\"; mount -t proc proc \"$1/proc\"; mount --rbind /dev \"$1/dev\"; \
    ip link set lo up; echo held; exec cat";

/// The root, held.
pub(super) struct Inside {
    root: PathBuf,
    holder: Child,
}

impl Inside {
    /// Makes the smallest system that Debian calls one, with systemd's files.
    pub(super) fn new(root: &Path) -> Result<Self> {
        let said = String::from_utf8(sh(MIRROR, &[])?.stdout)?;
        let (release, mirror) = said.trim().split_once(' ').context("no mirror is known")?;
        say(&format!("deb-test: making a root of {release}"));
        let args = ["--variant=minbase", "--include=systemd"];
        run(
            "debootstrap",
            &[&args[..], &[release, text(root)?, mirror]].concat(),
        )?;
        let mut holder = Command::new("unshare")
            .args([
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "/bin/sh",
                "-euc",
                HOLD,
                "sh",
            ])
            .arg(root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting unshare")?;
        let out = holder.stdout.take().context("a pipe")?;
        // From here on it is ended whatever happens.
        let inside = Self {
            root: root.to_owned(),
            holder,
        };
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        ensure!(line == "held\n", "the root cannot be held");
        Ok(inside)
    }

    /// Where a file of the root is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name.trim_start_matches('/'))
    }

    pub(super) fn read(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.path(name)).with_context(|| name.to_owned())
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path(name);
        fs::create_dir_all(path.parent().context("a directory")?)?;
        fs::write(path, text).with_context(|| name.to_owned())
    }

    /// A script in the root, as root; `$1` … are `args`.
    pub(super) fn command(&self, script: &str, args: &[&str]) -> Command {
        let namespace = |name| self.namespace(name);
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--mount={}", namespace("mnt")))
            .arg(format!("--net={}", namespace("net")))
            .arg(format!("--pid={}", namespace("pid_for_children")))
            .arg("chroot")
            .arg(&self.root)
            .args(["/bin/sh", "-euc", script, "sh"])
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        command
    }

    fn namespace(&self, name: &str) -> String {
        format!("/proc/{}/ns/{name}", self.holder.id())
    }

    /// Runs a program of this machine in the root's network, which must succeed; what it printed.
    pub(super) fn beside(&self, program: &[&str]) -> Result<String> {
        let network = format!("--net={}", self.namespace("net"));
        let output = run("nsenter", &[&[network.as_str()], program].concat())?;
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs a script, which must succeed; what it printed.
    pub(super) fn done(&self, script: &str) -> Result<String> {
        let output = self
            .command(script, &[])
            .output()
            .context("starting nsenter")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{script}\n{said}{errors}");
        Ok(said)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        // Its end is the end of its namespaces: of all that runs and is mounted there.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}
