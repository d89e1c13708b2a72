//! The HTTP API: thin, what it answers is found by [`Library`]. A route that a role may not use is not there
//! for it.

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use azud_core::code::Code;
use azud_core::io::ReadAt;
use azud_store::Stored;
use futures_util::{StreamExt, stream};
use serde_json::json;
use tower::ServiceExt;

use crate::library::{Found, Library, read};
use crate::problem::Problem;
use crate::token::{Role, Tokens};
use crate::upload::{self, Uploads};

/// Bytes that are read at once for a body; two such pieces are under way for each connection.
const PIECE: u64 = 512 << 10;

/// What all routes share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) library: Arc<Library>,
    pub(crate) tokens: Tokens,
    pub(crate) authority: String,
    pub(crate) uploads: Arc<Uploads>,
}

/// The whole API.
pub(crate) fn api(shared: Shared) -> Router {
    let shared = Arc::new(shared);
    let reading = Router::new()
        .route("/v1/images", get(images))
        .route("/v1/images/{name}", get(file))
        .route("/v1/images/{name}/index", get(index));
    let writing = reading.clone().merge(upload::routes());
    let ready = |router: Router<Arc<Shared>>| {
        let router = router.fallback(nothing_there);
        router.with_state(Arc::clone(&shared))
    };
    let gate = Gate {
        shared: Arc::clone(&shared),
        reading: ready(reading),
        writing: ready(writing),
    };
    Router::new()
        .route("/health", get(health))
        .route("/v1/ca", get(authority))
        .fallback(move |request: Request| gate.pass(request))
        .with_state(shared)
}

/// What only bearers of a token come to.
#[derive(Clone)]
struct Gate {
    shared: Arc<Shared>,
    reading: Router,
    writing: Router,
}

impl Gate {
    async fn pass(self, request: Request) -> Response {
        let Some(role) = self.role(request.headers()) else {
            let detail = "a valid token is needed";
            let mut response =
                Problem::new(StatusCode::UNAUTHORIZED, Code::Unauthorised, detail).into_response();
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return response;
        };
        let router = match role {
            Role::Read => self.reading,
            Role::Write | Role::Admin => self.writing,
        };
        match router.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    fn role(&self, headers: &HeaderMap) -> Option<Role> {
        let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = text.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("Bearer")
            .then(|| self.shared.tokens.role(token.trim()))?
    }
}

async fn nothing_there(request: Request) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, Code::NotFound, request.uri().path())
}

async fn health() -> Response {
    json_of(&json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

async fn authority(State(shared): State<Arc<Shared>>) -> Response {
    let kind = (header::CONTENT_TYPE, "application/x-pem-file");
    ([kind], shared.authority.clone()).into_response()
}

async fn images(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let images = blocking(move || shared.library.list(SystemTime::now())).await?;
    Ok(json_of(&json!({ "images": images })))
}

async fn index(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let found = blocking(move || shared.library.find(&name)).await?;
    let headers = [
        (header::ETAG, etag(&found)),
        (header::CONTENT_TYPE, octets()),
    ];
    Ok((headers, found.layout.description().to_vec()).into_response())
}

async fn file(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = blocking(move || shared.library.find(&name)).await?;
    let tag = etag(&found);
    if headers
        .get(header::IF_MATCH)
        .is_some_and(|wanted| wanted != tag && wanted != "*")
    {
        return Err(Problem::new(
            StatusCode::PRECONDITION_FAILED,
            Code::SourceChanged,
            "it is another image by now",
        ));
    }
    let size = found.stored.len();
    let asked = headers.get(header::RANGE).filter(|_| method == Method::GET);
    let range = asked
        .map(|value| range(value, size).ok_or_else(|| unsatisfiable(size)))
        .transpose()?;
    let (status, part) = match &range {
        Some(range) => (StatusCode::PARTIAL_CONTENT, range.clone()),
        None => (StatusCode::OK, 0..size),
    };
    let mut response = Response::new(if method == Method::HEAD {
        Body::empty()
    } else {
        body(found.stored, part.clone())
    });
    *response.status_mut() = status;
    let out = response.headers_mut();
    out.insert(header::ETAG, tag);
    out.insert(header::CONTENT_TYPE, octets());
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    out.insert(header::CONTENT_LENGTH, (part.end - part.start).into());
    if range.is_some() {
        let text = format!("bytes {}-{}/{size}", part.start, part.end - 1);
        out.insert(
            header::CONTENT_RANGE,
            HeaderValue::try_from(text).expect("digits"),
        );
    }
    Ok(response)
}

/// One range of bytes that the file has; several at once are refused, for they cost more than they are worth.
fn range(value: &HeaderValue, size: u64) -> Option<Range<u64>> {
    let spec = value.to_str().ok()?.strip_prefix("bytes=")?;
    let (from, to) = spec.split_once('-')?;
    let (start, end) = match (from.trim(), to.trim()) {
        ("", last) => (size.saturating_sub(last.parse().ok()?), size),
        (from, "") => (from.parse().ok()?, size),
        (from, to) => (
            from.parse().ok()?,
            to.parse::<u64>().ok()?.checked_add(1)?.min(size),
        ),
    };
    (start < end).then_some(start..end)
}

fn unsatisfiable(size: u64) -> Problem {
    let detail = format!("one range within {size} bytes can be asked for");
    Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, Code::BadRange, detail)
}

/// A part of a file, read as fast as the client takes it.
fn body(stored: Arc<Stored>, part: Range<u64>) -> Body {
    let count = (part.end - part.start).div_ceil(PIECE);
    let pieces = stream::iter(0..count).map(move |number| {
        let stored = Arc::clone(&stored);
        let start = part.start + number * PIECE;
        let len = usize::try_from((part.end - start).min(PIECE)).expect("at most a piece");
        async move {
            let done = tokio::task::spawn_blocking(move || read(&stored, start, len)).await;
            done.map_err(std::io::Error::other)?.map(Bytes::from)
        }
    });
    Body::from_stream(pieces.buffered(2))
}

fn etag(found: &Found) -> HeaderValue {
    HeaderValue::try_from(format!("\"{}\"", found.identity())).expect("hexadecimal")
}

fn octets() -> HeaderValue {
    HeaderValue::from_static("application/octet-stream")
}

fn json_of(value: &serde_json::Value) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        value.to_string(),
    )
        .into_response()
}

/// Runs what may wait for a disk where that harms nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let failed = |_| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Code::Io,
            "the request was broken off",
        )
    };
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::range;

    #[test]
    fn one_range_within_the_file_is_understood() {
        let of = |text: &'static str| range(&HeaderValue::from_static(text), 100);
        assert_eq!(of("bytes=0-9"), Some(0..10));
        assert_eq!(of("bytes=90-200"), Some(90..100));
        assert_eq!(of("bytes=90-"), Some(90..100));
        assert_eq!(of("bytes=-10"), Some(90..100));
        assert_eq!(of("bytes=-200"), Some(0..100));
        for bad in [
            "bytes=100-",
            "bytes=9-8",
            "bytes=-0",
            "bytes=-",
            "bytes=",
            "lines=0-1",
            "bytes=0-1,3-4",
            "bytes=a-b",
            "bytes=0-18446744073709551615",
            "bytes=18446744073709551616-",
        ] {
            if bad == "bytes=0-18446744073709551615" {
                assert_eq!(of(bad), None, "one more than the largest number");
                continue;
            }
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
