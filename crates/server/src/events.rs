//! What happens at the manager, told at once to whoever watches (`text/event-stream`). Who is too slow misses
//! events and is told the whole anew; nobody is waited for.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use azud_core::code::Code;
use azud_core::room::Shown;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};

use crate::limits::Peer;
use crate::problem::Problem;

/// So many may watch at once.
const WATCHERS: usize = 64;
/// So many events are kept for a watcher that is slow.
const KEPT: usize = 256;
/// A sign of life, so that both ends notice when the other is gone.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);
/// When to ask again if too many watch, in seconds.
const AGAIN_AFTER: u32 = 10;

/// Tells events to those who watch.
#[derive(Debug)]
pub(crate) struct Events {
    told: broadcast::Sender<Arc<Told>>,
    closed: watch::Sender<bool>,
    watchers: Arc<Semaphore>,
}

/// A computer told something. Its JSON is made once for all who see the whole.
#[derive(Debug)]
struct Told {
    shown: Shown,
    data: String,
}

/// What a watcher is shown.
pub(crate) struct View<P> {
    /// All that there is, as JSON; made on a thread that may take its time.
    pub(crate) whole: Arc<dyn Fn() -> String + Send + Sync>,
    /// What of a computer is shown; `None` where the watcher sees everything.
    pub(crate) part: Option<P>,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self {
            told: broadcast::Sender::new(KEPT),
            closed: watch::Sender::new(false),
            watchers: Arc::new(Semaphore::new(WATCHERS)),
        }
    }

    /// Tells all who watch of a computer.
    pub(crate) fn tell(&self, shown: Shown) {
        if self.told.receiver_count() == 0 {
            return;
        }
        let data = json(&shown);
        // Whoever left meanwhile misses nothing.
        let _ = self.told.send(Arc::new(Told { shown, data }));
    }

    /// Lets all watchers go: the manager ends.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// The events from now on; the whole is told at first, and whenever events were missed.
    pub(crate) fn watch<P>(&self, peer: &Peer, view: View<P>) -> Result<Response, Problem>
    where
        P: Fn(Shown) -> Option<Shown> + Send + Sync + 'static,
    {
        let too_many = || {
            let text = "too many watch already";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::TooBusy, text)
                .retry_after(AGAIN_AFTER)
        };
        let of_peer = peer.watch().ok_or_else(too_many)?;
        let permit = Arc::clone(&self.watchers).try_acquire_owned();
        let permits = (permit.map_err(|_| too_many())?, of_peer);
        let events = stream(self.told.subscribe(), view, permits);
        let events = events.take_until(until_closed(self.closed.subscribe()));
        let alive = KeepAlive::new().interval(SIGN_OF_LIFE);
        Ok(Sse::new(events).keep_alive(alive).into_response())
    }
}

async fn until_closed(mut closed: watch::Receiver<bool>) {
    // An error means that the manager is gone already.
    let _ = closed.wait_for(|closed| *closed).await;
}

fn json(shown: &Shown) -> String {
    serde_json::to_string(shown).expect("our own types serialise")
}

fn stream<P>(
    told: broadcast::Receiver<Arc<Told>>,
    view: View<P>,
    permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
) -> impl Stream<Item = Result<Event, Infallible>>
where
    P: Fn(Shown) -> Option<Shown>,
{
    let begin = (told, view, true, permits);
    stream::unfold(begin, async |(mut told, view, anew, permits)| {
        let event = if anew {
            view.room().await?
        } else {
            next(&mut told, &view).await?
        };
        Some((Ok(event), (told, view, false, permits)))
    })
}

/// The next event that concerns the watcher; none when the manager ends.
async fn next<P>(told: &mut broadcast::Receiver<Arc<Told>>, view: &View<P>) -> Option<Event>
where
    P: Fn(Shown) -> Option<Shown>,
{
    loop {
        match told.recv().await {
            Ok(one) => {
                if let Some(event) = view.computer(&one) {
                    return Some(event);
                }
            }
            Err(RecvError::Lagged(_)) => return view.room().await,
            Err(RecvError::Closed) => return None,
        }
    }
}

impl<P: Fn(Shown) -> Option<Shown>> View<P> {
    /// `None` when the manager ends.
    async fn room(&self) -> Option<Event> {
        let whole = Arc::clone(&self.whole);
        let text = tokio::task::spawn_blocking(move || whole()).await.ok()?;
        Some(Event::default().event("room").data(text))
    }

    fn computer(&self, told: &Told) -> Option<Event> {
        let event = Event::default().event("computer");
        match &self.part {
            None => Some(event.data(&told.data)),
            Some(part) => part(told.shown.clone()).map(|shown| event.data(json(&shown))),
        }
    }
}
