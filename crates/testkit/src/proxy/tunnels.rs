//! A proxy that clients ask for a way to somebody else (`CONNECT`).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::{Result, ensure};

use super::{Harm, Proxy, Shared, pass};

/// The longest head of a request that is read.
const LONGEST: usize = 8 << 10;

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
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < LONGEST, "a head without an end");
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line).into_owned();
    list.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .push(line);
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    pass(&client, server, Harm::None, proxy)
}
