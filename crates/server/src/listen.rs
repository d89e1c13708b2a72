//! Connections: TLS, HTTP/1.1, and an orderly end. Whoever is slow holds up only itself, and not for ever.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use azud_core::code::Code;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use listenfd::ListenFd;
use rustls::ServerConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::error::ServerError;
use crate::limits::{Peer, Peers, Room, Ticket};
use crate::patience::{self, Patient};
use crate::problem::Problem;

/// So long are answers under way waited for at the end.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// The longest head of a request, the longest part of a body, and what HTTP keeps back of an answer, in bytes.
pub(crate) const HEAD: usize = 64 << 10;
/// When a peer that has more than its share may come again, in seconds.
const LATER: u32 = 1;
/// What a client that does not speak TLS is told.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 31\r\nconnection: close\r\n\r\nThis port speaks HTTPS, always\n";

/// What every connection is served by.
struct Served {
    acceptor: TlsAcceptor,
    api: Router,
    patience: Duration,
}

/// Serves until `stop`, then lets answers under way end. A client may stand still for as long as `patience`.
pub(crate) async fn serve(
    listeners: Vec<TcpListener>,
    tls: ServerConfig,
    (api, patience): (Router, Duration),
    stop: impl Future<Output = ()>,
) {
    let served = Arc::new(Served {
        acceptor: TlsAcceptor::from(Arc::new(tls)),
        api,
        patience,
    });
    let graceful = GracefulShutdown::new();
    let (room, peers) = (Room::of_system(), Arc::new(Peers::default()));
    let mut stop = pin!(stop);
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&room.served).acquire_owned() => permit,
            () = &mut stop => break,
        };
        let stream = tokio::select! {
            accepted = accept(&listeners) => accepted,
            () = &mut stop => break,
        };
        let Some((stream, address)) = stream else {
            // Out of descriptors, most likely: what is open now will be closed.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (ticket, peer) = peers.enter(address.ip().to_canonical());
        let away = ticket
            .too_many
            .then(|| Arc::clone(&room.turned_away).try_acquire_owned());
        if matches!(away, Some(Err(_))) {
            continue;
        }
        let (served, watcher) = (Arc::clone(&served), graceful.watcher());
        tokio::spawn(async move {
            let (_permit, _away) = (permit, away);
            served.connection(stream, (&ticket, peer), watcher).await;
        });
    }
    let _ = timeout(LAST_WORDS, graceful.shutdown()).await;
}

impl Served {
    /// Serves one. What a client does to its own connection is its own business.
    async fn connection(
        &self,
        stream: TcpStream,
        (ticket, peer): (&Ticket, Peer),
        watcher: Watcher,
    ) {
        settle(&stream, self.patience);
        let stream = match timeout(self.patience, speaks_tls(stream)).await {
            Ok(Some(stream)) => Patient::new(stream, self.patience),
            _ => return,
        };
        let Ok(Ok(stream)) = timeout(self.patience, self.acceptor.accept(stream)).await else {
            return;
        };
        let (api, patience, too_many) = (self.api.clone(), self.patience, ticket.too_many);
        let service = service_fn(move |request: Request<Incoming>| {
            let (api, peer) = (api.clone(), peer.clone());
            async move {
                if too_many {
                    return Ok(come_later());
                }
                let mut request = request.map(|body| patience::body(body, patience));
                request.extensions_mut().insert(peer.clone());
                peer.answered(api.oneshot(request)).await
            }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.patience)
            .max_buf_size(HEAD);
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let _ = watcher.watch(connection).await;
    }
}

/// A peer that was switched off is found out, also while there is nothing to be sent.
fn settle(stream: &TcpStream, patience: Duration) {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(patience)
        .with_interval(patience / 3 + Duration::from_secs(1));
    // Without them it takes longer, that is all.
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&keepalive);
    let _ = socket.set_tcp_user_timeout(Some(2 * patience));
}

/// The connection, if TLS comes on it; who speaks plain HTTP is told what is wrong.
async fn speaks_tls(mut stream: TcpStream) -> Option<TcpStream> {
    let mut first = [0];
    if stream.peek(&mut first).await.ok()? == 0 {
        return None;
    }
    if first[0].is_ascii_alphabetic() {
        // What was not read would break the connection before the answer arrives.
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(NOT_TLS).await;
        let _ = stream.shutdown().await;
        return None;
    }
    Some(stream)
}

fn come_later() -> axum::response::Response {
    let detail = "this address has too many connections";
    let mut response = Problem::new(StatusCode::TOO_MANY_REQUESTS, Code::TooBusy, detail)
        .retry_after(LATER)
        .into_response();
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

async fn accept(listeners: &[TcpListener]) -> Option<(TcpStream, SocketAddr)> {
    let waiting = listeners.iter().map(|listener| Box::pin(listener.accept()));
    let (accepted, _, _) = futures_util::future::select_all(waiting).await;
    accepted.ok()
}

fn handed_over() -> std::io::Result<Vec<TcpListener>> {
    let mut handed = ListenFd::from_env();
    let mut listeners = Vec::new();
    for number in 0..handed.len() {
        if let Some(listener) = handed.take_tcp_listener(number)? {
            listener.set_nonblocking(true)?;
            listeners.push(TcpListener::from_std(listener)?);
        }
    }
    Ok(listeners)
}

/// The sockets that a supervisor handed over; else binds all addresses, or none.
pub(crate) async fn bind(addresses: &[SocketAddr]) -> crate::Result<Vec<TcpListener>> {
    let mut listeners = handed_over().map_err(ServerError::Start)?;
    if !listeners.is_empty() {
        return Ok(listeners);
    }
    for address in addresses {
        let bound = TcpListener::bind(address).await;
        listeners.push(bound.map_err(|source| ServerError::Listen {
            address: *address,
            source,
        })?);
    }
    Ok(listeners)
}
