//! A client that says exactly what it is told to, over real TLS.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use socket2::{Domain, Socket, Type};

use crate::server::{Manager, Room};

/// So long is waited for anything at all.
const LONG: Duration = Duration::from_mins(2);

/// Who a manager is, for as many connections as are wanted.
#[derive(Clone)]
pub(crate) struct Line {
    port: u16,
    tls: Arc<ClientConfig>,
}

/// A connection.
pub(crate) struct Raw(StreamOwned<ClientConnection, TcpStream>);

/// An answer without its body.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) fields: HashMap<String, String>,
}

impl Line {
    pub(crate) fn to(room: &Room, manager: &Manager) -> Result<Self> {
        Self::with(room, manager, rustls::ALL_VERSIONS)
    }

    /// With these versions of TLS alone.
    pub(crate) fn with(
        room: &Room,
        manager: &Manager,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(room.state().join("ca.pem"))?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            port: manager.port,
            tls: Arc::new(tls),
        })
    }

    /// A connection without TLS, from an address of this computer.
    pub(crate) fn tcp(&self, from: Ipv4Addr) -> Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from(SocketAddrV4::new(from, 0)).into())?;
        socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)).into())?;
        socket.set_read_timeout(Some(LONG))?;
        socket.set_write_timeout(Some(LONG))?;
        Ok(socket.into())
    }

    /// A connection from an address of this computer, agreed on.
    pub(crate) fn from(&self, from: Ipv4Addr) -> Result<Raw> {
        let mut tcp = self.tcp(from)?;
        let name = ServerName::try_from("127.0.0.1")?;
        let mut tls = ClientConnection::new(Arc::clone(&self.tls), name)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp).context("TLS")?;
        }
        Ok(Raw(StreamOwned::new(tls, tcp)))
    }

    pub(crate) fn connect(&self) -> Result<Raw> {
        self.from(Ipv4Addr::LOCALHOST)
    }

    /// One request on a connection of its own; the answer and its body.
    pub(crate) fn get(&self, path: &str, fields: &[(&str, &str)]) -> Result<(Head, Vec<u8>)> {
        let mut raw = self.connect()?;
        raw.ask(path, fields)?;
        raw.answer()
    }
}

/// The field that shows a token.
pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

impl Raw {
    /// Sends bytes as they are.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes)?;
        Ok(self.0.flush()?)
    }

    /// Sends a request.
    pub(crate) fn ask(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<()> {
        self.begin(&format!("GET {path}"), fields)
    }

    /// Sends the head of a request, `METHOD /path`.
    pub(crate) fn begin(&mut self, what: &str, fields: &[(&str, &str)]) -> Result<()> {
        let first = format!("{what} HTTP/1.1\r\nHost: og\r\n");
        let head = fields.iter().fold(first, |text, (key, value)| {
            format!("{text}{key}: {value}\r\n")
        });
        self.say(format!("{head}\r\n").as_bytes())
    }

    /// Reads the head of an answer.
    pub(crate) fn head(&mut self) -> Result<Head> {
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            ensure!(text.len() < 1 << 16, "an endless head");
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            text.extend(byte);
        }
        let text = String::from_utf8(text)?;
        let mut lines = text.lines();
        let first = lines.next().context("a line")?;
        let status = first.split(' ').nth(1).context("a number")?.parse()?;
        let fields = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(key, value)| (key.to_lowercase(), value.to_owned()))
            .collect();
        Ok(Head { status, fields })
    }

    /// Reads an answer to its end.
    pub(crate) fn answer(&mut self) -> Result<(Head, Vec<u8>)> {
        let head = self.head()?;
        let len = head.fields.get("content-length").context("a length")?;
        let mut body = vec![0; len.parse()?];
        self.0.read_exact(&mut body)?;
        Ok((head, body))
    }

    /// Reads whatever comes until the other side ends; how it ends is of no interest.
    pub(crate) fn rest(&mut self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        match self.0.read_to_end(&mut all) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(error).context("it did not end")
            }
            _ => Ok(all),
        }
    }
}
