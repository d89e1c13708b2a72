//! What zsync fetches from: a file and its sums behind nginx on a port of this machine only.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use azud_testkit::tools::run;

use super::super::disks::text;
use super::super::served::Served;

/// A running server; it ends with this.
pub(super) struct Server {
    child: Served,
    port: u16,
}

impl Server {
    /// Serves a file out of an empty directory.
    pub(super) fn start(dir: &Path, file: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        std::os::unix::fs::symlink(file, dir.join("new.img"))?;
        let url = format!("http://127.0.0.1:{port}/new.img");
        let sums = dir.join("new.img.zsync");
        run("zsyncmake", &["-o", text(&sums)?, "-u", &url, text(file)?])?;
        let config = dir.join("nginx.conf");
        let root = text(dir)?;
        fs::write(
            &config,
            format!(
                "user root; daemon off; pid {root}/pid; error_log {root}/errors; events {{}}\n\
                 http {{ access_log off; sendfile on; client_body_temp_path {root}/b; proxy_temp_path {root}/p;\n\
                 fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;\n\
                 server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n"
            ),
        )?;
        let child = Command::new("nginx")
            .args(["-e", &format!("{root}/errors"), "-c", text(&config)?])
            .stdin(Stdio::null())
            .spawn()
            .context("starting nginx")?;
        let mut server = Self {
            child: Served(child),
            port,
        };
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(server);
            }
            if let Some(status) = server.child.0.try_wait()? {
                bail!("nginx ended: {status}");
            }
            sleep(Duration::from_millis(50));
        }
        bail!("nginx does not answer")
    }

    /// Where the sums are.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/new.img.zsync", self.port)
    }
}
