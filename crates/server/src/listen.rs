//! Connections: TLS, HTTP/1.1, and an orderly end. Whoever is slow holds up only itself, and not for ever.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// So many connections are served at once; more wait to be accepted.
const CONNECTIONS: usize = 1024;
/// A client has so long to agree on TLS, and as long to send the head of a request.
const PATIENCE: Duration = Duration::from_secs(15);
/// So long are answers under way waited for at the end.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Serves until `stop`, then lets answers under way end.
pub(crate) async fn serve(
    listeners: Vec<TcpListener>,
    tls: ServerConfig,
    api: Router,
    stop: impl Future<Output = ()>,
) {
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut stop = pin!(stop);
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            break;
        };
        let stream = tokio::select! {
            accepted = accept(&listeners) => accepted,
            () = &mut stop => break,
        };
        let Some(stream) = stream else {
            // Out of descriptors, most likely: what is open now will be closed.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (acceptor, api, watcher) = (acceptor.clone(), api.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _permit = permit;
            let Ok(Ok(stream)) = timeout(PATIENCE, acceptor.accept(stream)).await else {
                return;
            };
            let service =
                service_fn(move |request: Request<Incoming>| api.clone().oneshot(request));
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
            // What a client does to its own connection is its own business.
            let _ = watcher
                .watch(http.serve_connection(TokioIo::new(stream), service))
                .await;
        });
    }
    let _ = timeout(LAST_WORDS, graceful.shutdown()).await;
}

async fn accept(listeners: &[TcpListener]) -> Option<TcpStream> {
    let waiting = listeners.iter().map(|listener| Box::pin(listener.accept()));
    let (accepted, _, _) = futures_util::future::select_all(waiting).await;
    let (stream, _) = accepted.ok()?;
    let _ = stream.set_nodelay(true);
    Some(stream)
}

/// Binds all addresses, or none.
pub(crate) async fn bind(addresses: &[SocketAddr]) -> crate::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in addresses {
        let bound = TcpListener::bind(address).await;
        listeners.push(bound.map_err(|source| crate::ServerError::Listen {
            address: *address,
            source,
        })?);
    }
    Ok(listeners)
}
