//! A proxy that clients ask for a way to somebody else (`CONNECT`).

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Result;

use super::answers::head;
use super::{Harms, Proxy, Shared, pass};

/// The longest head of a request that is read.
const LONGEST: u64 = 8 << 10;

/// The first line of each request, in the order in which they came.
pub type Asked = Arc<Mutex<Vec<String>>>;

impl Proxy {
    /// Leads whoever asks for a way to anybody to this server; also, what it is asked for.
    ///
    /// # Errors
    /// When nobody can listen.
    pub fn of_tunnels(server: SocketAddr) -> Result<(Self, Asked)> {
        let asked = Asked::default();
        let list = Arc::clone(&asked);
        let proxy = Self::start(move |client, _, proxy| {
            let (list, proxy) = (Arc::clone(&list), proxy.clone());
            thread::spawn(move || {
                // Whoever is cut off sees it.
                let _ = lead(client, server, &list, &proxy);
            });
        })?;
        Ok((proxy, asked))
    }
}

fn lead(mut client: TcpStream, server: SocketAddr, list: &Asked, proxy: &Shared) -> Result<()> {
    // Nothing is read of what comes after the head.
    let head = head(&mut BufReader::with_capacity(1, (&client).take(LONGEST)))?;
    let line = head.lines().next().unwrap_or_default().to_owned();
    list.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(line);
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    pass(&client, server, Harms::NONE, proxy)
}
