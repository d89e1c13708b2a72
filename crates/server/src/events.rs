//! What happens at the manager, told at once to whoever watches (`text/event-stream`). Who is too slow misses
//! events and is told the whole anew; nobody is waited for.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use azud_core::code::Code;
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};

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

/// An event: its kind and its JSON.
#[derive(Debug)]
struct Told {
    kind: &'static str,
    data: String,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self {
            told: broadcast::Sender::new(KEPT),
            closed: watch::Sender::new(false),
            watchers: Arc::new(Semaphore::new(WATCHERS)),
        }
    }

    /// Tells all who watch.
    pub(crate) fn tell(&self, kind: &'static str, data: &impl Serialize) {
        if self.told.receiver_count() == 0 {
            return;
        }
        let data = serde_json::to_string(data).expect("our own types serialise");
        // Whoever left meanwhile misses nothing.
        let _ = self.told.send(Arc::new(Told { kind, data }));
    }

    /// Lets all watchers go: the manager ends.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// The events from now on; `whole` is told at first, and whenever events were missed.
    pub(crate) fn watch(
        &self,
        whole: impl Fn() -> String + Send + Sync + 'static,
    ) -> Result<Response, Problem> {
        let permit = Arc::clone(&self.watchers).try_acquire_owned();
        let permit = permit.map_err(|_| {
            let text = "too many watch already";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unreachable, text)
                .retry_after(AGAIN_AFTER)
        })?;
        let events = stream(self.told.subscribe(), whole, permit);
        let events = events.take_until(until_closed(self.closed.subscribe()));
        let alive = KeepAlive::new().interval(SIGN_OF_LIFE);
        Ok(Sse::new(events).keep_alive(alive).into_response())
    }
}

async fn until_closed(mut closed: watch::Receiver<bool>) {
    // An error means that the manager is gone already.
    let _ = closed.wait_for(|closed| *closed).await;
}

fn stream(
    told: broadcast::Receiver<Arc<Told>>,
    whole: impl Fn() -> String + Send + Sync + 'static,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let room = move |whole: &dyn Fn() -> String| Event::default().event("room").data(whole());
    let begin = (told, whole, true, permit);
    stream::unfold(begin, move |(mut told, whole, anew, permit)| async move {
        let event = if anew {
            room(&whole)
        } else {
            match told.recv().await {
                Ok(one) => Event::default().event(one.kind).data(&one.data),
                Err(RecvError::Lagged(_)) => room(&whole),
                Err(RecvError::Closed) => return None,
            }
        };
        Some((Ok(event), (told, whole, false, permit)))
    })
}
