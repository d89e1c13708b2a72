//! How much one peer may take, so that it holds up only itself: connections, requests at work, memory.

use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use azud_core::access::peer;
use azud_core::code::Code;
use http_body::Body as _;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::task_local;

use crate::budget::Budget;
use crate::problem::Problem;

/// So many connections are served at once, if there are descriptors for them; more wait to be accepted.
const CONNECTIONS: u64 = 2048;
/// So many of one peer; more are told to come later. A room behind one address needs several for each computer.
const OF_A_PEER: usize = 192;
/// So many requests of a peer are worked on at once; the others wait for their turn. Thus a million small ones of
/// one peer cost the others no more than these.
const AT_WORK: usize = 16;
/// So much work at once may wait for servers of repositories that are mounted here. One that hangs keeps so many threads at
/// most, and the manager's own images have the others.
const AT_OTHERS: usize = 128;
/// So many of a peer watch the room at once: each may be told all of it at any time.
const WATCHING: usize = 4;
/// So many connections may be told to come later at once; beyond them they are cut.
const TURNED_AWAY: usize = 64;
/// A connection takes two descriptors: its own and that of an image.
const DESCRIPTORS: u64 = 2;
/// Descriptors for everything else.
const SPARE_DESCRIPTORS: u64 = 128;

/// Bytes that wait in memory to be sent to all clients together, about.
const BUFFER: u64 = 96 << 20;
/// Bytes that are read at once for a body, as long as there is room.
const PIECE: u64 = 512 << 10;
/// The fewest.
const SMALL_PIECE: u64 = 32 << 10;
/// Pieces that are under way for each body.
pub(crate) const PIECES: u64 = 2;

task_local! {
    /// Whose request is being answered.
    static ASKING: Peer;
}

/// Where work waits for other servers; all managers of a process share its threads.
static OTHERS: Semaphore = Semaphore::const_new(AT_OTHERS);

/// Lets work go to another server's repository until this is dropped; where too much is there already, that it is to be
/// asked for later.
pub(crate) fn at_others() -> Result<SemaphorePermit<'static>, Problem> {
    OTHERS.try_acquire().map_err(|_| {
        let text = "servers of repositories that are mounted here are waited for already";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::TooBusy, text).retry_after(AGAIN)
    })
}

/// The same for who is being answered already: he waits.
pub(crate) async fn wait_at_others() -> Option<SemaphorePermit<'static>> {
    OTHERS.acquire().await.ok()
}

/// Who is connected.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    open: Mutex<HashMap<IpAddr, Open>>,
}

/// What one peer has open.
#[derive(Debug)]
struct Open {
    connections: usize,
    work: Arc<Semaphore>,
    whole: Arc<Budget>,
    watching: Arc<Semaphore>,
}

impl Open {
    /// Whether nothing of the peer is left: neither a connection, nor work and answers that it left behind when it hung up.
    fn is_over(&self) -> bool {
        let has = [
            Arc::strong_count(&self.work),
            Arc::strong_count(&self.whole),
            Arc::strong_count(&self.watching),
        ];
        self.connections == 0 && has == [1; 3]
    }
}

/// The address that a connection comes from, and the turns of its requests. What a client writes into headers
/// about its address is not believed.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    work: Arc<Semaphore>,
    /// For answers that are whole in memory.
    whole: Arc<Budget>,
    watching: Arc<Semaphore>,
}

impl Peer {
    /// Waits for a turn to work; the turn ends when this is dropped.
    pub(crate) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.work).acquire_owned().await.ok()
    }

    /// Watches the room until this is dropped; nothing where the peer does so too often already.
    pub(crate) fn watch(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.watching).try_acquire_owned().ok()
    }

    /// One without a connection.
    #[cfg(test)]
    pub(crate) fn alone(address: [u8; 4]) -> Self {
        Arc::new(Peers::default()).enter(address.into()).1
    }

    /// Answers a request of this peer.
    pub(crate) async fn answered<T>(self, answer: impl Future<Output = T>) -> T {
        ASKING.scope(self, answer).await
    }
}

/// Waits for a turn of whoever's request is being answered. It belongs to the work and not to the answer: who hangs up
/// ends the one and not the other.
pub(crate) async fn turn() -> Option<OwnedSemaphorePermit> {
    let peer = ASKING.try_with(Peer::clone).ok()?;
    peer.turn().await
}

/// A connection that counts as long as this lives.
#[derive(Debug)]
pub(crate) struct Ticket {
    peers: Arc<Peers>,
    key: IpAddr,
    /// Whether the peer has more than its share.
    pub(crate) too_many: bool,
}

impl Peers {
    /// Counts a connection.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> (Ticket, Peer) {
        let key = peer(address);
        let mut open = self.open.lock().expect("no holder panics");
        if !open.contains_key(&key) {
            // Those whose work ended after their last connection.
            open.retain(|_, of| !of.is_over());
        }
        let of = open.entry(key).or_insert_with(|| Open {
            connections: 0,
            work: Arc::new(Semaphore::new(AT_WORK)),
            whole: Budget::of(WHOLE_OF_A_PEER),
            watching: Arc::new(Semaphore::new(WATCHING)),
        });
        of.connections += 1;
        let ticket = Ticket {
            peers: Arc::clone(self),
            key,
            too_many: of.connections > OF_A_PEER,
        };
        let peer = Peer {
            address,
            work: Arc::clone(&of.work),
            whole: Arc::clone(&of.whole),
            watching: Arc::clone(&of.watching),
        };
        (ticket, peer)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut open = self.peers.open.lock().expect("no holder panics");
        if let Some(of) = open.get_mut(&self.key) {
            of.connections -= 1;
            // Who hangs up and comes again goes on with what he has: his work does too.
            if of.is_over() {
                open.remove(&self.key);
            }
        }
    }
}

/// Room for connections, and for those that are told to come later.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    pub(crate) served: Arc<Semaphore>,
    pub(crate) turned_away: Arc<Semaphore>,
}

impl Room {
    /// As much as the system allows, up to what is sensible.
    pub(crate) fn of_system() -> Self {
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        // Where it may not be raised, what there was has to do.
        let _ = setrlimit(Resource::Nofile, limit);
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let most = descriptors.saturating_sub(SPARE_DESCRIPTORS) / DESCRIPTORS;
        let most = usize::try_from(most.clamp(1, CONNECTIONS)).expect("a few thousand");
        Self {
            served: Arc::new(Semaphore::new(most)),
            turned_away: Arc::new(Semaphore::new(TURNED_AWAY)),
        }
    }
}

/// Bytes of answers that are whole in memory until somebody takes them, of all clients together, about: lists of
/// many images.
const WHOLE: u64 = 128 << 20;
/// The same of one peer.
const WHOLE_OF_A_PEER: u64 = WHOLE / 4;
/// Shorter answers are not counted; of their number connections are the bound.
const SHORT: u64 = 64 << 10;
/// When to ask again where there is no room for another, in seconds.
const AGAIN: u32 = 2;

/// The bodies that are being sent.
#[derive(Debug)]
pub(crate) struct Bodies {
    sent: AtomicU64,
    whole: Arc<Budget>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            sent: AtomicU64::new(0),
            whole: Budget::of(WHOLE),
        }
    }
}

/// A body that counts as long as this lives.
#[derive(Debug)]
pub(crate) struct Sent(Arc<Bodies>);

impl Bodies {
    pub(crate) fn begin(self: &Arc<Self>) -> Sent {
        self.sent.fetch_add(1, Ordering::Relaxed);
        Sent(Arc::clone(self))
    }

    /// Whether any is.
    pub(crate) fn any(&self) -> bool {
        self.sent.load(Ordering::Relaxed) > 0
    }

    /// An answer that counts until its last byte was taken, if it is whole in memory; where there is no room for
    /// another, or for another of this peer, that it is to be asked for later.
    pub(crate) async fn counted(&self, response: Response, peer: Option<&Peer>) -> Response {
        // What is read as it is sent does not know its end.
        let bytes = response.body().size_hint().exact().unwrap_or(0);
        if bytes < SHORT {
            return response;
        }
        let mut share = self.whole.share();
        let mut of_peer = peer.map(|peer| peer.whole.share());
        // A larger one takes all that a peer has.
        let bytes = bytes.min(WHOLE_OF_A_PEER);
        let held = of_peer.as_mut().map_or(Ok(()), |of| of.hold(bytes));
        if held.and_then(|()| share.hold(bytes)).is_err() {
            let text = "other answers take all the memory that there is for them";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::TooBusy, text);
            return problem.retry_after(AGAIN).into_response();
        }
        let (parts, body) = response.into_parts();
        match to_bytes(body, usize::MAX).await {
            Ok(bytes) => {
                let bytes = share.with(bytes);
                let bytes = match of_peer {
                    Some(of_peer) => of_peer.with(bytes),
                    None => bytes,
                };
                Response::from_parts(parts, Body::from(bytes))
            }
            // Nothing of it is on its way yet.
            Err(error) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                Problem::new(status, Code::Io, error.to_string()).into_response()
            }
        }
    }
}

impl Sent {
    /// Bytes to be read next: fewer when there are many bodies.
    pub(crate) fn piece(&self) -> u64 {
        let bodies = self.0.sent.load(Ordering::Relaxed).max(1);
        let share = (BUFFER / (PIECES * bodies)).clamp(SMALL_PIECE, PIECE);
        // Whole pages.
        share & !4095
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.0.sent.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use axum::body::{Body, to_bytes};
    use axum::http::StatusCode;
    use axum::response::{IntoResponse, Response};
    use tokio::time::timeout;

    use super::{
        AT_OTHERS, AT_WORK, BUFFER, Bodies, CONNECTIONS, OF_A_PEER, PIECE, PIECES, Peers,
        SMALL_PIECE, WHOLE_OF_A_PEER,
    };
    use crate::mounts;
    use crate::routes::{about, blocking};

    #[test]
    fn a_peer_has_its_share_and_others_have_theirs() {
        let peers = Arc::new(Peers::default());
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        let mut tickets: Vec<_> = (0..OF_A_PEER).map(|_| peers.enter(address).0).collect();
        assert!(tickets.iter().all(|ticket| !ticket.too_many));
        assert!(peers.enter(address).0.too_many);
        let (other, _) = peers.enter("10.0.0.2".parse().unwrap());
        assert!(!other.too_many);
        drop(other);
        tickets.pop();
        assert!(!peers.enter(address).0.too_many);
        tickets.clear();
        assert!(peers.open.lock().unwrap().is_empty(), "nothing is kept");
    }

    #[test]
    fn a_computer_of_ipv6_is_one_peer() {
        let peers = Arc::new(Peers::default());
        let tickets: Vec<_> = (0..=OF_A_PEER)
            .map(|number| {
                let address = format!("fd00::{number:x}").parse().unwrap();
                peers.enter(address).0
            })
            .collect();
        assert!(tickets.last().unwrap().too_many);
        assert!(!peers.enter("fd00:0:0:1::1".parse().unwrap()).0.too_many);
    }

    #[tokio::test]
    async fn who_hangs_up_takes_turns_for_what_he_left_behind() {
        let (_ticket, peer) = Arc::new(Peers::default()).enter([10, 0, 0, 1].into());
        let (begun, may_end) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let asks = || {
            let (begun, may_end) = (Arc::clone(&begun), Arc::clone(&may_end));
            let work = blocking(move || {
                begun.fetch_add(1, Ordering::Relaxed);
                while !may_end.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(1));
                }
                Ok(())
            });
            timeout(Duration::from_millis(20), peer.clone().answered(work))
        };
        for _ in 0..3 * AT_WORK {
            assert!(asks().await.is_err(), "nobody is answered");
        }
        let at_work = begun.load(Ordering::Relaxed);
        // Whatever comes of it, nobody is left waiting.
        may_end.store(true, Ordering::Relaxed);
        assert_eq!(at_work, AT_WORK);
        while asks().await.is_err() {}
    }

    #[tokio::test]
    async fn regression_who_hangs_up_and_comes_again_has_no_more_turns() {
        let peers = Arc::new(Peers::default());
        let enter = |number: u8| peers.enter([10, 0, 0, number].into());
        let (ticket, peer) = enter(1);
        let mut turns = Vec::new();
        for _ in 0..AT_WORK {
            turns.push(peer.turn().await.unwrap());
        }
        drop((ticket, peer));
        let (ticket, peer) = enter(1);
        let soon = Duration::from_millis(20);
        assert!(timeout(soon, peer.turn()).await.is_err());
        turns.pop();
        assert!(timeout(soon, peer.turn()).await.is_ok());
        // Its share of the memory stays held, too.
        let mut share = peer.whole.share();
        share.hold(WHOLE_OF_A_PEER).unwrap();
        turns.clear();
        drop((ticket, peer));
        let (ticket, peer) = enter(1);
        assert_eq!(peer.whole.left(), 0);
        drop((ticket, peer, share));
        let (_ticket, _peer) = enter(2);
        assert_eq!(peers.open.lock().unwrap().len(), 1, "nothing is kept");
    }

    #[tokio::test]
    async fn regression_servers_that_hang_keep_no_more_than_a_part_of_the_threads() {
        let (begun, may_end) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let ask = |name: &str| {
            let (begun, may_end) = (Arc::clone(&begun), Arc::clone(&may_end));
            let hangs = mounts::placed(name).is_some();
            about(name.to_owned(), move |_| {
                begun.fetch_add(1, Ordering::Relaxed);
                while hangs && !may_end.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(1));
                }
                Ok(())
            })
        };
        let other = "10.0.0.9:aula1/win";
        let waiting: Vec<_> = (0..AT_OTHERS).map(|_| tokio::spawn(ask(other))).collect();
        let tries = 0..60_000;
        for _ in tries.take_while(|_| begun.load(Ordering::Relaxed) < AT_OTHERS) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let own = ask("aula1/win").await;
        let refused = timeout(Duration::from_secs(1), ask(other)).await;
        // Whatever comes of it, nobody is left waiting.
        may_end.store(true, Ordering::Relaxed);
        assert!(own.is_ok());
        let refused = refused.unwrap().unwrap_err().into_response();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.headers().contains_key("retry-after"));
        for one in waiting {
            assert!(one.await.unwrap().is_ok());
        }
        assert!(ask(other).await.is_ok());
    }

    #[tokio::test]
    async fn answers_that_wait_to_be_taken_share_a_memory_that_has_an_end() {
        let (bodies, peers) = (Bodies::default(), Arc::new(Peers::default()));
        let enter = |number: u8| peers.enter(IpAddr::from([10, 0, 0, number]));
        let (_tickets, clients): (Vec<_>, Vec<_>) = (0..5).map(enter).unzip();
        let list = |bytes, client: usize| {
            let body = Body::from(vec![b' '; bytes]);
            bodies.counted(Response::new(body), clients.get(client))
        };
        let half = usize::try_from(WHOLE_OF_A_PEER).unwrap() / 2;
        let (all, none) = (StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE);
        let first = [list(half, 0).await, list(half, 0).await];
        assert!(first.iter().all(|one| one.status() == all));
        // One client has a part of it …
        let refused = list(half, 0).await;
        assert_eq!(refused.status(), none);
        assert!(refused.headers().contains_key("retry-after"));
        // … and one that is longer takes all of the part.
        let mut others = Vec::new();
        for client in 1..4 {
            others.push(list(9 * half, client).await);
            assert_eq!(others.last().unwrap().status(), all);
        }
        assert_eq!(list(half, 4).await.status(), none, "nothing is left");
        assert_eq!(list(1000, 4).await.status(), all, "a short one");
        // What was handed on is held as long as somebody has it.
        let taken = others.pop().unwrap().into_body();
        let taken = to_bytes(taken, usize::MAX).await.unwrap();
        assert_eq!(taken.len(), 9 * half);
        assert_eq!(list(half, 4).await.status(), none);
        drop(taken);
        assert_eq!(list(half, 4).await.status(), all);
        drop(first);
        assert_eq!(list(half, 0).await.status(), all);
    }

    #[test]
    fn many_bodies_take_small_pieces() {
        let bodies = Arc::new(Bodies::default());
        let one = bodies.begin();
        assert_eq!(one.piece(), PIECE);
        let many: Vec<_> = (1..CONNECTIONS).map(|_| bodies.begin()).collect();
        let piece = one.piece();
        assert!(piece >= SMALL_PIECE && piece * PIECES * CONNECTIONS <= 2 * BUFFER);
        drop(many);
        assert_eq!(one.piece(), PIECE);
    }
}
