//! The second part of the story: a manager on loopback, two caches, another PC.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use azud_core::code::Code;
use azud_server::{NoMounts, Options, Retention, ServerError, serve};
use azud_transport::http::{Manager, authority};
use serde_json::Value;

use crate::commands::image::rollback::ReadWhole;
use crate::failure::Failure;

/// Starts a manager that lives as long as this program; what a client needs to know of it.
pub(super) fn manager(dir: &Path) -> Result<Manager, Failure> {
    let (images, state) = (dir.join("server"), dir.join("state"));
    std::fs::create_dir(&images).map_err(|error| Failure::io(&images, &error))?;
    let options = Options {
        images,
        state,
        listen: vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)],
        addresses: vec![Ipv4Addr::LOCALHOST.into()],
        names: vec!["localhost".to_owned()],
        patience: Duration::from_mins(1),
        https_only: Vec::new(),
        retention: Retention::default(),
        read_only: false,
        mounts: Arc::new(NoMounts),
        checks: Arc::new(ReadWhole),
        first_token: true,
    };
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let ready = tell.clone();
        let done = serve(&options, |begun| {
            let first = begun.first.as_ref();
            let token = first.map(|(_, secret)| secret.text()).unwrap_or_default();
            let port = begun.listen.first().map_or(0, SocketAddr::port);
            let _ = ready.send(Ok((port, token.to_owned())));
        });
        if let Err(error) = done {
            let _ = tell.send(Err::<_, ServerError>(error));
        }
    });
    let gone = |_| Failure::new(Code::Unreachable, "127.0.0.1");
    let (port, token) = told.recv().map_err(gone)??;
    let host = "127.0.0.1".to_owned();
    Ok(Manager {
        authority: authority(&host, port)?,
        host,
        port,
        token,
    })
}

/// Keeps what is written to it.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    /// The last line, which is the result of a command.
    pub(super) fn last(&self) -> Value {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&bytes);
        let last = text.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_default()
    }
}

impl Write for Kept {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
