//! What the manager did, as numbers for Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{Extension, MatchedPath, RawPathParams, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use azud_core::code::Code;
use http_body::{Frame, SizeHint};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::grant::Grant;
use crate::mounts::whole_name;
use crate::problem::Problem;
use crate::routes::Shared;

/// Requests by route, method and status; bytes of bodies.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<(String, &'static str, u16), u64>>,
    sent: AtomicU64,
}

/// Which route answered.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    path: String,
    /// What it was asked for.
    values: Vec<String>,
}

impl Route {
    fn of(path: &str, params: Option<&RawPathParams>) -> Self {
        let value = |(key, value): (&str, &str)| match key {
            "name" => whole_name(value),
            _ => value.to_owned(),
        };
        let params = params.into_iter().flat_map(RawPathParams::iter);
        Self {
            path: path.to_owned(),
            values: params.map(value).collect(),
        }
    }

    /// What was asked, which is the same however its path was spelt.
    pub(crate) fn asked(&self) -> String {
        format!("{} {}", self.path, self.values.join(" "))
    }
}

impl Metrics {
    /// In Prometheus' text format; `at_work` and `reports` are of the room.
    pub(crate) fn text(&self, at_work: usize, reports: u64) -> String {
        let mut text = String::new();
        let mut head = |name: &str, kind: &str, help: &str| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        };
        head(
            "azud_requests_total",
            "counter",
            "Requests that were answered.",
        );
        for ((route, method, status), count) in &*self.requests.lock().expect("no holder panics") {
            let labels = format!("route=\"{route}\",method=\"{method}\",status=\"{status}\"");
            let _ = writeln!(text, "azud_requests_total{{{labels}}} {count}");
        }
        let sent = self.sent.load(Ordering::Relaxed);
        for (name, kind, help, value) in [
            (
                "azud_sent_bytes_total",
                "counter",
                "Bytes of bodies that were sent.",
                sent,
            ),
            (
                "azud_reports_total",
                "counter",
                "Reports that were taken.",
                reports,
            ),
            (
                "azud_clients_at_work",
                "gauge",
                "Computers that report work.",
                at_work as u64,
            ),
        ] {
            let _ = writeln!(
                text,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}"
            );
        }
        text
    }

    fn count(&self, route: &str, method: &'static str, status: u16) {
        let mut requests = self.requests.lock().expect("no holder panics");
        *requests
            .entry((route.to_owned(), method, status))
            .or_default() += 1;
    }
}

/// The route that shows them.
pub(crate) fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// Counters for Prometheus.
///
/// 403 for a token that is bound to images.
#[utoipa::path(
    get,
    path = "/metrics",
    responses((status = 200, description = "Prometheus' text format.", body = String, content_type = "text/plain"))
)]
async fn metrics(
    State(shared): State<Arc<Shared>>,
    Extension(grant): Extension<Grant>,
) -> Result<impl IntoResponse, Problem> {
    if !grant.sees_all() {
        let detail = "the token is good for some images, and these are figures of all";
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            Code::NotAllowed,
            detail,
        ));
    }
    let (at_work, taken) = shared.reports.counts();
    let kind = (CONTENT_TYPE, "text/plain; version=0.0.4");
    Ok(([kind], shared.metrics.text(at_work, taken)))
}

/// Has the routes of a router say in their answers which they are.
pub(crate) fn named<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.route_layer(from_fn(name))
}

async fn name(
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    // What cannot be understood the route refuses itself.
    let route = path.map(|path| Route::of(path.as_str(), params.as_ref().ok()));
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}

/// Counts whatever a router answers.
pub(crate) fn counted(router: Router, metrics: &Arc<Metrics>) -> Router {
    router.layer(from_fn_with_state(Arc::clone(metrics), count))
}

async fn count(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let method = known_method(request.method().as_str());
    let response = next.run(request).await;
    let route = response.extensions().get::<Route>();
    let route = route.map_or("none", |route| route.path.as_str());
    metrics.count(route, method, response.status().as_u16());
    response.map(|inner| Body::new(Counted { inner, metrics }))
}

/// A client may invent any method.
pub(crate) fn known_method(method: &str) -> &'static str {
    match method {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

/// A body whose bytes are counted as they leave.
struct Counted {
    inner: Body,
    metrics: Arc<Metrics>,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.metrics
                .sent
                .fetch_add(data.len() as u64, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
