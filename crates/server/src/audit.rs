//! Who asked for what, when, and what became of it: JSON lines in the manager's state, without secrets.
//!
//! An image is fetched by many requests, so the same again within some minutes is counted and told in one line, when
//! these are over or with the next one of its kind. What was changed is told each time and with its image, whether
//! its client heard of that or not, and in a file of its own, too: no reading pushes it out. What the disk cannot take
//! is counted, not waited for.

mod log;

use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use azud_core::access::peer;
use azud_core::reference::SubPath;
use serde_json::{Value, json};

use crate::limits::Peer;
use crate::metrics::{Route, known_method};
use log::Log;

/// So many lines may wait for the disk.
const WAITING: usize = 1024;
/// Longer paths are cut, in bytes.
const PATH: usize = 512;
/// Nobody's actions, or many a second, which `/metrics` counts; or told by whoever does them.
const COMMON: [&str; 6] = [
    "/health",
    "/metrics",
    "/v1/login",
    "/v1/reports",
    "/v1/room",
    "/v1/token",
];

/// Whose token was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Who(String);

impl Who {
    /// The part of an accepted token that is no secret.
    pub(crate) fn of_token(text: &str) -> Option<Self> {
        text.split('_').nth(1).map(|id| Self(id.to_owned()))
    }
}

/// What is another than before; the answer of who did it has it among its extensions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Changed {
    image: Option<String>,
    what: &'static str,
}

impl Changed {
    /// An image, by the name that somebody asked for.
    pub(crate) fn image(name: &str, what: &'static str) -> Self {
        let whole = SubPath::parse(name).map(|name| name.to_string());
        Self {
            image: Some(whole.unwrap_or_else(|_| name.to_owned())),
            what,
        }
    }

    /// The tokens that there are.
    pub(crate) fn tokens(what: &'static str) -> Self {
        Self { image: None, what }
    }
}

/// What was asked and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Asked {
    who: Option<String>,
    address: Option<IpAddr>,
    method: String,
    path: String,
    /// What was asked for, however it was spelt; of what was refused nothing, so that refusals are alike.
    meant: Option<String>,
    status: u16,
    changed: Option<Changed>,
}

impl Asked {
    /// What is counted together, so that nobody can fill the file: a peer's requests for the same.
    fn kind(&self) -> Self {
        Self {
            address: self.address.map(peer),
            method: known_method(&self.method).to_owned(),
            path: String::new(),
            ..self.clone()
        }
    }

    /// Whether another kind is of the same peer with the same token.
    fn has_asker_of(&self, other: &Self) -> bool {
        (&self.who, self.address) == (&other.who, other.address)
    }

    fn line(&self, now: u64, repeated: u64, missed: u64) -> Value {
        let mut line = json!({
            "time": now,
            "who": self.who,
            "address": self.address,
            "method": self.method,
            "path": self.path,
            "status": self.status,
        });
        if let Some(Changed { image, what }) = &self.changed {
            line["change"] = json!(what);
            if let Some(image) = image {
                line["image"] = json!(image);
            }
        }
        if repeated > 0 {
            line["repeated"] = json!(repeated);
        }
        if missed > 0 {
            line["missed"] = json!(missed);
        }
        line
    }
}

/// The log's end at the routes.
#[derive(Debug)]
pub(crate) struct Audit {
    lines: SyncSender<Option<Asked>>,
    missed: Arc<AtomicU64>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Audit {
    /// The log in a manager's state.
    pub(crate) fn open(state: &Path) -> Arc<Self> {
        let (lines, waiting) = sync_channel(WAITING);
        let missed = Arc::new(AtomicU64::new(0));
        let log = Log::new(state, Arc::clone(&missed));
        let thread = thread::spawn(move || log.keep(&waiting));
        Arc::new(Self {
            lines,
            missed,
            thread: Mutex::new(Some(thread)),
        })
    }

    fn tell(&self, asked: Asked) {
        if self.lines.try_send(Some(asked)).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all is written down: the manager ends.
    pub(crate) fn close(&self) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // A log that ended by itself has nothing to be waited for.
            let _ = self.lines.send(None);
            let _ = thread.join();
        }
    }
}

/// Who asks: with it, work that goes on after its answer tells what it changed.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    audit: Arc<Audit>,
    asked: Asked,
}

impl Asker {
    /// Its token was accepted.
    pub(crate) fn is(&mut self, who: &Who) {
        self.asked.who = Some(who.0.clone());
    }

    /// Something is another than before, which is answered so, or was by then.
    pub(crate) fn changed(self, status: StatusCode, changed: Changed) {
        self.audit.tell(Asked {
            status: status.as_u16(),
            changed: Some(changed),
            ..self.asked
        });
    }
}

/// Writes down whatever a router is asked.
pub(crate) fn audited(router: Router, audit: Arc<Audit>) -> Router {
    router.layer(from_fn_with_state(audit, note))
}

async fn note(State(audit): State<Arc<Audit>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().cloned();
    let asked = Asked {
        who: None,
        address: peer.as_ref().map(|peer| peer.address),
        method: request.method().as_str().chars().take(16).collect(),
        path: request.uri().path().chars().take(PATH).collect(),
        meant: None,
        status: 0,
        changed: None,
    };
    let may_change = may_change(&request);
    request.extensions_mut().insert(Asker {
        audit: Arc::clone(&audit),
        asked: asked.clone(),
    });
    let work = async move {
        let response = next.run(request).await;
        audit.answered(asked, &response);
        response
    };
    if !may_change {
        return work.await;
    }
    // Who hangs up while he waits for a turn has changed nothing. What is begun then comes to its end, and is told and
    // counted, whether anybody waits for the answer or not; no peer has more of it than turns.
    let turn = match &peer {
        Some(peer) => peer.turn().await,
        None => None,
    };
    let done = tokio::spawn(async move {
        let _turn = turn;
        work.await
    });
    match done.await {
        Ok(response) => response,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Whether an image may be another afterwards. Uploads tell that by themselves, when they are put together, and so do
/// logins.
fn may_change(request: &Request) -> bool {
    match *request.method() {
        Method::DELETE => true,
        Method::POST => request.uri().path().starts_with("/v1/images/"),
        _ => false,
    }
}

impl Audit {
    fn answered(&self, asked: Asked, response: &Response) {
        let (status, extensions) = (response.status().as_u16(), response.extensions());
        if status < 400 && COMMON.contains(&asked.path.as_str()) {
            return;
        }
        let route = extensions.get::<Route>().filter(|_| status < 400);
        self.tell(Asked {
            who: extensions.get::<Who>().map(|who| who.0.clone()),
            meant: route.map(Route::asked),
            changed: extensions.get::<Changed>().cloned(),
            status,
            ..asked
        });
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;
    use std::time::Duration;

    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use axum::routing::{delete, get};
    use axum::{Extension, Router};
    use tokio::time::{sleep, timeout};
    use tower::ServiceExt;

    use super::{Audit, Changed, Who, audited};
    use crate::limits::Peers;
    use crate::metrics::named;

    #[tokio::test]
    async fn what_is_done_after_its_client_left_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let slow = delete(async || {
            sleep(Duration::from_millis(200)).await;
            (
                StatusCode::NO_CONTENT,
                Extension(Changed::image("a", "removed")),
            )
        });
        let audit = Audit::open(dir.path());
        let router = audited(Router::new().route("/v1/images/a", slow), audit.clone());
        let request = Request::delete("/v1/images/a").body(Body::empty()).unwrap();
        let left = timeout(Duration::from_millis(20), router.oneshot(request)).await;
        assert!(left.is_err(), "the client is gone");
        sleep(Duration::from_millis(400)).await;
        audit.close();
        let log = fs::read_to_string(dir.path().join("audit.log")).unwrap_or_default();
        assert!(log.contains(r#""change":"removed""#), "{log:?}");
        assert!(log.contains(r#""image":"a.img""#), "{log}");
    }

    /// Path of an image, in as many spellings as there are numbers.
    fn spelt(number: u32) -> String {
        let is = |bit: usize| number >> bit & 1 == 1;
        let whole = "aula1/win.img";
        let name = if is(14) { &whole[..9] } else { whole };
        let letter = |(bit, letter): (usize, char)| match (is(bit) || letter == '/', is(13)) {
            (true, false) => format!("%{:02x}", u32::from(letter)),
            (true, true) => format!("%{:02X}", u32::from(letter)),
            (false, _) => letter.to_string(),
        };
        let name: String = name.chars().enumerate().map(letter).collect();
        format!("/v1/images/{name}")
    }

    #[tokio::test]
    async fn regression_an_image_is_the_same_however_it_is_spelt() {
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::open(dir.path());
        let routes = Router::new().route("/v1/images/{name}", get(async || ()));
        let router = audited(named(routes), audit.clone());
        for number in 0..20_000 {
            let address = format!("fd00::{number:x}").parse().unwrap();
            let (_ticket, peer) = Arc::new(Peers::default()).enter(address);
            let request = Request::head(spelt(number)).extension(peer);
            let request = request.body(Body::empty()).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
        }
        audit.close();
        let log = fs::read_to_string(dir.path().join("audit.log")).unwrap();
        assert!((1..10).contains(&log.lines().count()), "{log:.2000}");
    }

    #[test]
    fn of_a_token_only_its_name_is_kept() {
        let who = Who::of_token("azud_0a0b0c0d_5ec3e7").unwrap();
        assert_eq!(who.0, "0a0b0c0d");
    }
}
