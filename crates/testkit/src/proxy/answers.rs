//! Harm to whole answers: TLS ends here, and begins anew towards the server.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};

use super::{Proxy, Shared};

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It passes.
    Right,
    /// It comes so much later.
    Late(Duration),
    /// It breaks off in the middle of its body.
    CutShort,
    /// It does not come: the connection is cut when the server has given it.
    Lost,
    /// A bit of its body is another.
    Corrupt,
    /// Its body is shorter, and it says so.
    Shorter,
    /// It says that it is another range.
    OtherRange,
    /// It is the one that was sent before, perhaps to somebody else.
    Former,
    /// The server has an error.
    Error,
    /// The server still makes the index that is asked for.
    Making,
    /// It says that it was given at another time, as HTTP writes it.
    Dated(&'static str),
    /// The server does not know what is asked for, as one of an older version.
    Unknown,
}

/// Who the proxy says it is, and whom it believes.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its certificates, its own first.
    pub chain: Vec<Vec<u8>>,
    /// The key of its own.
    pub key: Vec<u8>,
    /// The authority of the server.
    pub authority: Vec<u8>,
}

impl Proxy {
    /// Stands before a server of HTTP over TLS; `harm` says what becomes of each answer with content, by its
    /// number.
    ///
    /// # Errors
    /// When nobody can listen, or with such certificates.
    pub fn of_answers(
        server: SocketAddr,
        identity: &Identity,
        harm: impl Fn(u64) -> Answer + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::of_requests(server, identity, move |number, _| harm(number))
    }

    /// The same; `harm` hears also the head of the request.
    ///
    /// # Errors
    /// As [`Proxy::of_answers`].
    pub fn of_requests(
        server: SocketAddr,
        identity: &Identity,
        harm: impl Fn(u64, &str) -> Answer + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::of_lines(Lines::new(server, identity, Box::new(harm))?)
    }

    /// The same for answers without content, too.
    ///
    /// # Errors
    /// As [`Proxy::of_answers`].
    pub fn of_all_requests(
        server: SocketAddr,
        identity: &Identity,
        harm: impl Fn(u64, &str) -> Answer + Send + Sync + 'static,
    ) -> Result<Self> {
        let lines = Lines::new(server, identity, Box::new(harm))?;
        Self::of_lines(Lines {
            bare_too: true,
            ..lines
        })
    }

    fn of_lines(lines: Lines) -> Result<Self> {
        let lines = Arc::new(lines);
        Self::start(move |client, _, proxy| {
            let (lines, proxy) = (Arc::clone(&lines), proxy.clone());
            thread::spawn(move || {
                // Whoever is cut off sees it.
                let _ = lines.serve(client, &proxy);
            });
        })
    }
}

/// What becomes of an answer, by its number and the head of its request.
type Harm = dyn Fn(u64, &str) -> Answer + Send + Sync;

struct Lines {
    server: SocketAddr,
    towards_clients: Arc<ServerConfig>,
    towards_server: Arc<ClientConfig>,
    harm: Box<Harm>,
    /// Whether harm is done to answers without content, too.
    bare_too: bool,
    number: AtomicU64,
    former: Mutex<Vec<u8>>,
}

/// An answer: head with its blank line, and body.
struct Whole {
    head: String,
    body: Vec<u8>,
}

impl Lines {
    fn new(server: SocketAddr, identity: &Identity, harm: Box<Harm>) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = identity.chain.iter().cloned().map(CertificateDer::from);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key.clone()));
        let towards_clients = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain.collect(), key)?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(identity.authority.clone()))?;
        let towards_server = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            server,
            towards_clients: Arc::new(towards_clients),
            towards_server: Arc::new(towards_server),
            harm,
            bare_too: false,
            number: AtomicU64::new(0),
            former: Mutex::default(),
        })
    }

    fn serve(&self, client: TcpStream, proxy: &Shared) -> Result<()> {
        client.set_read_timeout(Some(Duration::from_mins(1)))?;
        let upstream = TcpStream::connect(self.server)?;
        let name = ServerName::from(self.server.ip());
        let ours = ServerConnection::new(Arc::clone(&self.towards_clients))?;
        let theirs = ClientConnection::new(Arc::clone(&self.towards_server), name)?;
        let mut client = BufReader::new(StreamOwned::new(ours, client));
        let mut upstream = BufReader::new(StreamOwned::new(theirs, upstream));
        while !proxy.ended.load(Ordering::Relaxed) {
            let request = head(&mut client)?;
            let body = body(&request, &mut client)?;
            let asked = [request.as_bytes(), &body].concat();
            upstream.get_mut().write_all(&asked)?;
            let answer = whole(&mut upstream)?;
            proxy
                .bytes
                .fetch_add(answer.body.len() as u64, Ordering::Relaxed);
            if !self.answer((&request, &answer), client.get_mut())? {
                break;
            }
        }
        Ok(())
    }

    /// Sends an answer, harmed or not; whether the connection lives on.
    fn answer(&self, (request, answer): (&str, &Whole), to: &mut impl Write) -> Result<bool> {
        let right = [answer.head.as_bytes(), &answer.body].concat();
        let harm = if answer.body.is_empty() && !self.bare_too {
            Answer::Right
        } else {
            (self.harm)(self.number.fetch_add(1, Ordering::Relaxed), request)
        };
        let mut former = self.former.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = harmed(answer, &right, harm, &former);
        *former = right;
        drop(former);
        if let Answer::Late(time) = harm {
            thread::sleep(time);
        }
        to.write_all(&bytes)?;
        to.flush()?;
        Ok(!matches!(harm, Answer::CutShort | Answer::Lost))
    }
}

fn harmed(answer: &Whole, right: &[u8], harm: Answer, former: &[u8]) -> Vec<u8> {
    let Whole { head, body } = answer;
    match harm {
        Answer::Right | Answer::Late(_) => right.to_vec(),
        // What has no content has nothing that could be another.
        Answer::Corrupt | Answer::Shorter if body.is_empty() => right.to_vec(),
        Answer::CutShort => right[..head.len() + body.len() / 2].to_vec(),
        Answer::Lost => Vec::new(),
        Answer::Corrupt => {
            let mut bytes = right.to_vec();
            bytes[head.len() + body.len() / 3] ^= 4;
            bytes
        }
        Answer::Shorter => {
            let len = body.len() / 2;
            let said = format!("content-length: {}\r\n", body.len());
            let says = format!("content-length: {len}\r\n");
            [head.replace(&said, &says).as_bytes(), &body[..len]].concat()
        }
        Answer::OtherRange => {
            let head = head.replace("content-range: bytes ", "content-range: bytes 1");
            [head.as_bytes(), body].concat()
        }
        Answer::Former if former.is_empty() => right.to_vec(),
        Answer::Former => former.to_vec(),
        Answer::Error => {
            b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\n{}".to_vec()
        }
        Answer::Making => {
            let body = r#"{"code":"repo/index-in-making","detail":"it is being made"}"#;
            let len = body.len();
            let head = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1";
            format!("{head}\r\ncontent-length: {len}\r\n\r\n{body}").into_bytes()
        }
        Answer::Dated(date) => {
            let lines = head.split_inclusive("\r\n");
            let head: String = lines
                .map(|line| {
                    if line.starts_with("date: ") {
                        format!("date: {date}\r\n")
                    } else {
                        line.to_owned()
                    }
                })
                .collect();
            [head.as_bytes(), body].concat()
        }
        Answer::Unknown => b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}".to_vec(),
    }
}

/// A head, to its blank line.
pub(super) fn head(from: &mut impl BufRead) -> Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let len = from.read_line(&mut head)?;
        anyhow::ensure!(len > 0 && head.len() < 64 << 10, "it ends");
    }
    Ok(head)
}

fn length(head: &str) -> Option<&str> {
    let mut lines = head.lines();
    lines.find_map(|line| line.strip_prefix("content-length: "))
}

/// What follows a head; nothing where it tells no length.
fn body(head: &str, from: &mut impl BufRead) -> Result<Vec<u8>> {
    let len: usize = length(head).unwrap_or("0").trim().parse()?;
    let mut body = vec![0; len];
    from.read_exact(&mut body)?;
    Ok(body)
}

fn whole(from: &mut impl BufRead) -> Result<Whole> {
    let head = head(from)?;
    // What has no content says so; all else tells its length.
    let empty = head.starts_with("HTTP/1.1 204");
    anyhow::ensure!(
        empty || length(&head).is_some(),
        "an answer without a length"
    );
    let body = body(&head, from)?;
    Ok(Whole { head, body })
}
