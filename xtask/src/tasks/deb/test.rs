//! `cargo xtask deb-test [--binary FILE]`: the package in a clean Debian root: installed, started, used, removed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use azud_testkit::tools::{run, run_any, sh};
use serde_json::Value;

use super::super::say;
use super::{build, pack, text};

/// Where packages come from: where this machine has its own from. A release and its mirror.
const MIRROR: &str = "apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' | \
    grep -vE 'security|updates|backports' | grep -m1 . || true";

/// What stands in the configuration there.
const SETTINGS: &str = "[serve]\nimages = '/srv/images'\nlisten = '127.0.0.1:0'\n";

/// Runs a script in a root.
const ENTER: &str = "mount -t proc proc \"$1/proc\"; mount --bind /dev \"$1/dev\"; \
    exec chroot \"$1\" /bin/sh -euc \"$2\"";

/// Makes the root, installs, starts the manager as its account, uses it, removes the package.
pub(crate) fn run_task(args: &[String]) -> Result<()> {
    let binary = match args {
        [] => build()?,
        [option, binary] if option == "--binary" => binary.into(),
        _ => bail!("[--binary FILE]"),
    };
    let work = tempfile::tempdir()?;
    let package = pack(&binary, work.path())?;
    let root = work.path().join("root");
    clean_root(&root)?;
    let inside = Inside(&root);
    fs::copy(&package, root.join("azud.deb"))?;
    inside.done("dpkg -i /azud.deb")?;
    inside.done("azud --version && azud completions bash --quiet >/dev/null")?;
    inside.done("test -s /usr/share/man/man1/azud-serve.1.gz")?;
    inside.done("getent passwd azud")?;
    serve_and_use(&inside)?;
    inside.done("dpkg --purge azud && test ! -e /var/lib/azud && test -e /srv/images/a.img")?;
    say("deb-test: installed, served, used, purged");
    Ok(())
}

/// The smallest system that Debian calls one.
fn clean_root(root: &Path) -> Result<()> {
    let said = sh(MIRROR, &[])?;
    let said = String::from_utf8(said.stdout)?;
    let (release, mirror) = said.trim().split_once(' ').context("no mirror is known")?;
    say(&format!("deb-test: making a root of {release}"));
    let args = ["--variant=minbase", release, text(root)?, mirror];
    run("debootstrap", &args)?;
    Ok(())
}

/// As the unit starts it; whatever happens, it is ended.
struct Manager(Child);

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = run_any("kill", &[&self.0.id().to_string()]);
        let _ = self.0.wait();
    }
}

fn serve_and_use(inside: &Inside<'_>) -> Result<()> {
    fs::write(inside.0.join("etc/azud/azud.toml"), SETTINGS)?;
    inside.done(
        "install -d -o azud -g azud -m 700 /var/lib/azud && install -d -o azud /srv/images",
    )?;
    inside.done(
        "head -c 8M /dev/urandom >/volume && azud image create /volume /srv/images/a --yes",
    )?;
    // Root makes a token in the state of the account, which has to be able to read it.
    inside.done("azud token create --role write --json | tee /token.json")?;
    let token: Value = serde_json::from_slice(&fs::read(inside.0.join("token.json"))?)?;
    let token = token["token"].as_str().context("a token")?;
    fs::write(inside.0.join("token"), token)?;
    inside.done("chmod 600 /token")?;
    let script = "exec setpriv --reuid azud --regid azud --clear-groups env AZUD_STATE=/var/lib/azud azud serve --json";
    let mut child = inside.command(script).stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().context("a pipe")?;
    let _manager = Manager(child);
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line)?;
    let said: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
    let address = said["listen"][0].as_str().context("an address")?;
    let (_, port) = address.rsplit_once(':').context("a port")?;
    let pin = said["pin"].as_str().context("a pin")?;
    inside.done(&format!(
        "azud repo add 127.0.0.1 --protocol http --port {port} --pin {pin} --token-file /token --yes && \
        azud image copy 127.0.0.1:a /copy.img --yes && cmp /copy.img /srv/images/a.img"
    ))
}

/// Commands in the root.
struct Inside<'a>(&'a Path);

impl Inside<'_> {
    /// Its mounts are its own and end with it.
    fn command(&self, script: &str) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "/bin/sh", "-euc", ENTER, "sh"])
            .arg(self.0)
            .arg(script)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C");
        command
    }

    fn done(&self, script: &str) -> Result<()> {
        let output = self.command(script).output().context("starting unshare")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{script}\n{said}{errors}");
        Ok(())
    }
}
