//! `cargo xtask deb-test [--binary FILE]`: the package in a clean Debian root: installed, started, used, replaced by the
//! next version, removed.

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use azud_testkit::tools::sh;
use serde_json::Value;

use super::super::{released, say};
use super::inside::Inside;
use super::unit::{By, Service};
use super::{pack, text};

/// What an administrator writes into the configuration.
const SETTINGS: &str = "manager = '127.0.0.1'\n";

/// Where a manager listens that only its own computer reaches, as the kernel writes it.
const LOOPBACK: &str = "0100007F:1D13";

/// What a manager says that may not write there.
const MAY_NOT_WRITE: &str = "may not write into /opt/opengnsys/images";

/// Stands in for the systemctl of a system that systemd runs: what the package asks for is written down.
const SYSTEMCTL: &str = "#!/bin/sh\necho \"$@\" >>/systemctl.log\n";

/// The same package, called the next version.
const NEXT: &str = "dpkg-deb -R \"$1\" \"$2\"; sed -i 's/^Version: .*/&+next/' \"$2/DEBIAN/control\"; \
    dpkg-deb --root-owner-group -Zgzip -b \"$2\" \"$3\"";

/// What systemd has against the units, and how much of the manager's world they leave open: 10 would be all.
const VERIFY: &str = "cd /usr/lib/systemd/system && systemd-analyze verify --man=no azud.service azud.socket 2>&1 && \
    systemd-analyze security --offline=true --threshold=20 azud.service >/security";

/// Makes the root, installs, starts the manager as its unit does, uses it, replaces it, removes it.
pub(crate) fn run_task(args: &[String]) -> Result<()> {
    let binary = match args {
        [] => released()?,
        [option, binary] if option == "--binary" => binary.into(),
        _ => bail!("[--binary FILE]"),
    };
    let work = tempfile::tempdir()?;
    let package = pack(&binary, work.path())?;
    let inside = Inside::new(&work.path().join("root"))?;
    fs::copy(&package, inside.path("/azud.deb"))?;
    installed(&inside)?;
    started(&inside)?;
    used(&inside)?;
    let (tree, next) = (work.path().join("tree"), inside.path("/next.deb"));
    sh(NEXT, &[text(&package)?, text(&tree)?, text(&next)?])?;
    replaced(&inside)?;
    removed(&inside)?;
    say("deb-test: installed, served, used, replaced, purged");
    Ok(())
}

/// Everything is there, and nothing is lacking.
fn installed(inside: &Inside) -> Result<()> {
    inside.done("dpkg -i /azud.deb && dpkg --audit && apt-get check")?;
    let said = inside.done("azud --version && azud completions bash --quiet >/dev/null")?;
    ensure!(said.contains(env!("CARGO_PKG_VERSION")), "{said}");
    inside.done("zcat /usr/share/man/man1/azud-serve.1.gz | grep -q '^\\.TH azud-serve 1'")?;
    for (_, completions) in super::SHELLS {
        inside.done(&format!("test -s /{completions}"))?;
    }
    let account = inside.done("getent passwd azud")?;
    ensure!(
        account.trim().ends_with(":/var/lib/azud:/usr/sbin/nologin"),
        "{account}"
    );
    inside.done("dpkg -V azud").and_then(|changed| {
        ensure!(changed.is_empty(), "{changed}");
        Ok(())
    })?;
    let said = inside.done(VERIFY)?;
    ensure!(said.is_empty(), "{said}");
    Ok(())
}

/// As the package leaves it, before anybody writes anything, the manager answers: to this computer alone.
fn started(inside: &Inside) -> Result<()> {
    let service = Service::start(inside, By::Itself)?;
    service.told("READY=1")?;
    let authority = inside.path("/var/lib/azud/ca.pem");
    let health = inside.beside(&[
        "curl",
        "-sSf",
        "--cacert",
        text(&authority)?,
        "https://127.0.0.1:7443/health",
    ])?;
    let health: Value = serde_json::from_str(&health)?;
    ensure!(health["status"] == "ok", "{health}");
    let sockets = inside.done("cat /proc/net/tcp /proc/net/tcp6")?;
    let fields = sockets
        .lines()
        .map(|line| line.split_whitespace().collect());
    let listening = fields.filter(|fields: &Vec<&str>| fields.get(3) == Some(&"0A"));
    let listening: Vec<&str> = listening.map(|fields| fields[1]).collect();
    ensure!(listening == [LOOPBACK], "{listening:?}");
    let said = service.stop()?;
    ensure!(!said.contains(MAY_NOT_WRITE), "{said}");
    Ok(())
}

/// Images go from the manager and to it.
fn used(inside: &Inside) -> Result<()> {
    inside.write("/etc/azud/azud.toml", SETTINGS)?;
    inside.done(
        "head -c 8M /dev/urandom >/volume && \
        azud image create /volume /opt/opengnsys/images/a --yes && \
        { printf FsA0; cat /volume; } >/opt/opengnsys/images/foreign.img",
    )?;
    let mut service = Service::start(inside, By::Itself)?;
    service.told("READY=1")?;
    let pin = service.pin()?;
    // Root makes a token in the state of the account, which has to be able to read it.
    let made = inside.done("azud token create --role write --json")?;
    let made: Value = serde_json::from_str(&made)?;
    let token = made["token"].as_str().context("a token")?;
    inside.write("/token", token)?;
    inside.done(&format!(
        "chmod 600 /token && \
        azud repo add REPO --protocol http --pin {pin} --token-file /token --yes && \
        azud image copy REPO:a /copy.img --yes && cmp /copy.img /opt/opengnsys/images/a.img && \
        azud image copy /copy.img REPO:sent --yes && cmp /copy.img /opt/opengnsys/images/sent.img && \
        azud image copy REPO:foreign /foreign.img --yes && test -n \"$(ls /var/lib/azud/indexes)\""
    ))?;
    ensure!(service.is_courteous()?, "whoever is served has to wait");
    service.stop()?;
    Ok(())
}

/// The next version keeps configuration and state, and systemd is asked to start it. Its first client does here.
fn replaced(inside: &Inside) -> Result<()> {
    inside.write("/usr/local/sbin/systemctl", SYSTEMCTL)?;
    inside.done("chmod 755 /usr/local/sbin/systemctl && mkdir -p /run/systemd/system")?;
    inside.done("chown 1234:1235 /opt/opengnsys/images && chmod 2775 /opt/opengnsys/images")?;
    inside.done("dpkg -i /next.deb && dpkg --audit && dpkg-query -W azud | grep -q '+next$'")?;
    let asked = inside.read("/systemctl.log")?;
    ensure!(
        asked == "daemon-reload\ntry-restart azud.service\n",
        "{asked}"
    );
    ensure!(
        inside.read("/etc/azud/azud.toml")? == SETTINGS,
        "ours is gone"
    );
    left_alone(inside)?;
    let service = Service::start(inside, By::Socket)?;
    inside.done(
        "for second in $(seq 60); do \
            grep -q ' 0A ' /proc/net/tcp6 /proc/net/tcp && break; sleep 1; \
        done; \
        azud image copy REPO:sent /again.img --yes && cmp /again.img /copy.img",
    )?;
    service.told("READY=1")?;
    service.stop()?;
    Ok(())
}

/// A tree of others stays theirs, and a manager that may not write there says so.
fn left_alone(inside: &Inside) -> Result<()> {
    let owner = inside.done("stat -c '%u:%g %a' /opt/opengnsys/images")?;
    ensure!(owner == "1234:1235 2775\n", "{owner}");
    let service = Service::start(inside, By::Itself)?;
    service.told("READY=1")?;
    let said = service.stop()?;
    ensure!(said.contains(MAY_NOT_WRITE), "{said}");
    inside.done("chown azud:azud /opt/opengnsys/images && chmod 755 /opt/opengnsys/images")?;
    Ok(())
}

/// Removed, it leaves what it knows; purged, nothing but images, wherever they lie, and their owner.
fn removed(inside: &Inside) -> Result<()> {
    inside.done(
        "dpkg --remove azud && test -e /var/lib/azud/ca.key && test -e /etc/azud/azud.toml",
    )?;
    let asked = inside.read("/systemctl.log")?;
    ensure!(
        asked.contains("disable --now azud.socket azud.service"),
        "{asked}"
    );
    inside.done("mkdir /var/lib/azud/images && cp /copy.img /var/lib/azud/images/")?;
    inside.done("dpkg --purge azud && dpkg --purge azud")?;
    let left = inside.done("find /var/lib/azud /etc/azud -type f 2>/dev/null || true")?;
    ensure!(left == "/var/lib/azud/images/copy.img\n", "{left}");
    inside.done(
        "cmp /copy.img /opt/opengnsys/images/a.img && cmp /copy.img /opt/opengnsys/images/sent.img && \
        getent passwd azud && ! command -v azud",
    )?;
    Ok(())
}
