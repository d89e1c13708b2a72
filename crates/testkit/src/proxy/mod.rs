//! A proxy that does harm: between a client and a server it cuts, delays, corrupts and mixes up, as it is told.
//!
//! [`Proxy::of_bytes`] knows only connections; [`Proxy::of_answers`] ends TLS and harms whole answers of HTTP/1.1.
//! [`Proxy::of_tunnels`] does none: it is one that clients are told to use.

mod answers;
mod tunnels;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;

pub use answers::{Answer, Identity};
pub use tunnels::Asked;

/// What is done to the bytes that go one way on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// Nothing.
    None,
    /// After so many bytes both sides are cut off.
    Cut(u64),
    /// After so many bytes nothing comes any more for so long; then both sides are cut off.
    Hang(u64, Duration),
    /// Every piece comes so much later.
    Slow(Duration),
    /// A bit of the byte at this place is another.
    Corrupt(u64),
}

/// What is done to the bytes on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Harms {
    /// To those that come from the server.
    pub from_server: Harm,
    /// To those that go to it.
    pub to_server: Harm,
}

impl Harms {
    const NONE: Self = Self {
        from_server: Harm::None,
        to_server: Harm::None,
    };
}

/// How often a thread looks whether the proxy has ended.
const NAP: Duration = Duration::from_millis(50);

/// A proxy on loopback. It ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    ended: Arc<AtomicBool>,
    connections: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

impl Proxy {
    /// Stands before a server; `harm` says what becomes of the bytes that come from it on each connection, by its number.
    ///
    /// # Errors
    /// When nobody can listen.
    pub fn of_bytes(
        server: SocketAddr,
        harm: impl Fn(u64) -> Harm + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::of_both_ways(server, move |number| Harms {
            from_server: harm(number),
            ..Harms::NONE
        })
    }

    /// The same for the bytes that go to the server, too.
    ///
    /// # Errors
    /// As [`Proxy::of_bytes`].
    pub fn of_both_ways(
        server: SocketAddr,
        harm: impl Fn(u64) -> Harms + Send + Sync + 'static,
    ) -> Result<Self> {
        let harm = Arc::new(harm);
        Self::start(move |client, number, proxy| {
            let (harm, proxy) = (harm(number), proxy.clone());
            thread::spawn(move || {
                // Whoever is cut off sees it.
                let _ = pass(&client, server, harm, &proxy);
            });
        })
    }

    fn start(mut connect: impl FnMut(TcpStream, u64, &Shared) + Send + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let proxy = Self {
            port: listener.local_addr()?.port(),
            ended: Arc::default(),
            connections: Arc::default(),
            bytes: Arc::default(),
        };
        let (shared, connections) = (proxy.shared(), Arc::clone(&proxy.connections));
        thread::spawn(move || {
            while !shared.ended.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((client, _)) => {
                        let number = connections.fetch_add(1, Ordering::Relaxed);
                        let _ = client.set_nonblocking(false);
                        connect(client, number, &shared);
                    }
                    Err(_) => thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        Ok(proxy)
    }

    fn shared(&self) -> Shared {
        Shared {
            ended: Arc::clone(&self.ended),
            bytes: Arc::clone(&self.bytes),
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Bytes that came from the server so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// What threads of a proxy share.
#[derive(Debug, Clone)]
struct Shared {
    ended: Arc<AtomicBool>,
    bytes: Arc<AtomicU64>,
}

fn pass(client: &TcpStream, server: SocketAddr, harms: Harms, proxy: &Shared) -> Result<()> {
    let upstream = TcpStream::connect(server)?;
    for stream in [client, &upstream] {
        stream.set_read_timeout(Some(NAP))?;
        stream.set_nodelay(true)?;
    }
    let there = (client.try_clone()?, upstream.try_clone()?);
    let asking = proxy.clone();
    thread::spawn(move || {
        copy(&there.0, &there.1, harms.to_server, (&asking, false));
    });
    copy(&upstream, client, harms.from_server, (proxy, true));
    Ok(())
}

/// Carries bytes until a side ends; then both are cut off.
fn copy(from: &TcpStream, to: &TcpStream, harm: Harm, (proxy, counts): (&Shared, bool)) {
    let mut passed = 0;
    let mut buf = vec![0; 64 << 10];
    let (mut reader, mut writer) = (from, to);
    while !proxy.ended.load(Ordering::Relaxed) {
        let len = match reader.read(&mut buf) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            Err(_) => break,
        };
        let (bytes, goes_on) = harmed(&mut buf[..len], passed, harm);
        passed += len as u64;
        if counts {
            proxy.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        if writer.write_all(bytes).is_err() || !goes_on {
            break;
        }
    }
    if let Harm::Hang(after, time) = harm
        && passed >= after
    {
        thread::sleep(time);
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// What becomes of bytes that begin at this place, and whether more follow.
fn harmed(bytes: &mut [u8], at: u64, harm: Harm) -> (&[u8], bool) {
    let place = |of: u64| usize::try_from(of.saturating_sub(at)).unwrap_or(usize::MAX);
    match harm {
        Harm::None => (bytes, true),
        Harm::Cut(after) | Harm::Hang(after, _) => {
            let len = place(after).min(bytes.len());
            (
                &bytes[..len],
                len == bytes.len() && at + (len as u64) < after,
            )
        }
        Harm::Slow(time) => {
            thread::sleep(time);
            (bytes, true)
        }
        Harm::Corrupt(byte) => {
            if byte >= at
                && let Some(byte) = bytes.get_mut(place(byte))
            {
                *byte ^= 0x10;
            }
            (bytes, true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Harm, harmed};

    #[test]
    fn harm_is_done_where_it_was_told() {
        let of = |at, harm| {
            let mut bytes = *b"0123";
            let (bytes, goes_on) = harmed(&mut bytes, at, harm);
            (String::from_utf8_lossy(bytes).into_owned(), goes_on)
        };
        assert_eq!(of(100, Harm::Cut(200)), ("0123".into(), true));
        assert_eq!(of(100, Harm::Cut(102)), ("01".into(), false));
        assert_eq!(of(100, Harm::Cut(104)), ("0123".into(), false));
        assert_eq!(of(100, Harm::Cut(7)), (String::new(), false));
        assert_eq!(of(100, Harm::Corrupt(101)), ("0!23".into(), true));
        assert_eq!(of(100, Harm::Corrupt(99)), ("0123".into(), true));
    }
}
