//! Two computers on one cable: network namespaces, joined by a veth whose rate is limited.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

use crate::tools::{run, run_any, sh};

/// An end of the cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where the server is.
    Server,
    /// Where the client is.
    Client,
}

/// A cable and both computers. They go away when this is dropped.
#[derive(Debug)]
pub struct Cable {
    server: String,
    client: String,
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// `$1` and `$2` are the namespaces, `$3` the rate.
const SCRIPT: &str = r#"ip netns add "$1"; ip netns add "$2"
ip -n "$1" link add wire type veth peer name wire netns "$2"
end() {
    ip -n "$1" address add "$2/24" dev wire; ip -n "$1" link set lo up; ip -n "$1" link set wire up
    if [ "$3" != none ]; then tc -n "$1" qdisc add dev wire root tbf rate "$3" burst 256kb latency 20ms; fi
}
end "$1" 10.77.0.1 "$3"; end "$2" 10.77.0.2 "$3""#;

impl Cable {
    /// The server's address.
    pub const SERVER: &str = "10.77.0.1";

    /// A cable of this rate each way, as `tc` knows rates; without one, as fast as it goes. Needs root.
    ///
    /// # Errors
    /// What `ip` and `tc` say.
    pub fn new(rate: Option<&str>) -> Result<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |side| format!("azud-{}-{number}-{side}", std::process::id());
        let cable = Self {
            server: name("server"),
            client: name("client"),
        };
        let args = [cable.server.as_str(), &cable.client, rate.unwrap_or("none")];
        sh(SCRIPT, &args)?;
        Ok(cable)
    }

    /// The name of a computer, as `ip netns` knows it.
    pub fn name(&self, side: Side) -> &str {
        match side {
            Side::Server => &self.server,
            Side::Client => &self.client,
        }
    }

    /// A program on one of the computers.
    pub fn command(&self, side: Side, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", self.name(side)])
            .arg(program);
        command
    }

    /// Bytes that a side has received, with all that belongs to the cable.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn received(&self, side: Side) -> Result<u64> {
        let script = r#"ip netns exec "$1" cat /sys/class/net/wire/statistics/rx_bytes"#;
        let said = sh(script, &[self.name(side)])?.stdout;
        let said = String::from_utf8(said)?;
        said.trim().parse().context("a number")
    }

    /// Gives the server one more address.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn also(&self, address: &str) -> Result<()> {
        let address = format!("{address}/24");
        let args = [
            "-n",
            &self.server,
            "address",
            "add",
            &address,
            "dev",
            "wire",
        ];
        run("ip", &args).map(drop)
    }

    /// Nothing that an address of the server sends leaves it any more, and nobody is told; or all of it does again.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn silence(&self, address: &str, is_silent: bool) -> Result<()> {
        let verb = if is_silent { "add" } else { "del" };
        let rule = ["rule", verb, "from", address, "blackhole"];
        run("ip", &[&["-n", &self.server][..], &rule].concat()).map(drop)
    }

    /// Pulls the plug, or puts it in again.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn plug(&self, is_in: bool) -> Result<()> {
        let state = if is_in { "up" } else { "down" };
        let args = ["-n", &self.client, "link", "set", "wire", state];
        run("ip", &args).map(drop)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in [&self.client, &self.server] {
            let _ = run_any("ip", &["netns", "del", name]);
        }
    }
}
