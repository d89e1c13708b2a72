//! What people use today: files behind nginx, with and without TLS.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use azud_testkit::cable::{Cable, Side};
use azud_testkit::tools::{run_any, sh};

use super::super::disks::text;
use super::super::served::Served;

/// A server that runs on the server's side; it ends with this.
pub(super) struct Nginx {
    child: Served,
}

impl Nginx {
    /// Serves a directory on ports 80 and 443.
    pub(super) fn start(cable: &Cable, dir: &Path, files: &Path) -> Result<Self> {
        let (root, files) = (text(dir)?, text(files)?);
        let script = r#"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
            -subj /CN=bench -addext "subjectAltName=IP:$2" -keyout "$1/key" -out "$1/cert" 2>/dev/null"#;
        sh(script, &[root, Cable::SERVER])?;
        let address = Cable::SERVER;
        let config = dir.join("nginx.conf");
        fs::write(
            &config,
            format!(
                "user root; worker_processes auto; daemon off; pid {root}/pid; error_log {root}/errors; events {{}}\n\
                 http {{ access_log off; sendfile on; tcp_nopush on; client_body_temp_path {root}/b; proxy_temp_path {root}/p;\n\
                 fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;\n\
                 server {{ listen {address}:80; listen {address}:443 ssl; ssl_certificate {root}/cert;\n\
                 ssl_certificate_key {root}/key; root {files}; }} }}\n"
            ),
        )?;
        let child = cable
            .command(Side::Server, "nginx")
            .args(["-e", &format!("{root}/errors"), "-c", text(&config)?])
            .stdin(Stdio::null())
            .spawn()
            .context("starting nginx")?;
        let mut server = Self {
            child: Served(child),
        };
        for _ in 0..100 {
            let (client, url) = (cable.name(Side::Client), format!("http://{address}/"));
            let asked = run_any("ip", &["netns", "exec", client, "curl", "-sI", &url])?;
            if asked.status.success() {
                return Ok(server);
            }
            if let Some(status) = server.child.0.try_wait()? {
                bail!("nginx ended: {status}");
            }
            sleep(Duration::from_millis(50));
        }
        bail!("nginx does not answer")
    }
}
