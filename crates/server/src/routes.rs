//! The HTTP API: thin, what it answers is found by [`Library`]. Where a role may not use a route, the gate answers.

use std::convert::Infallible;
use std::future;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, FromRef, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{from_fn, map_response};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use azud_core::access::HTTPS_ONLY_HEADER;
use azud_core::assembly::Layout;
use azud_core::code::Code;
use azud_core::io::ReadAt;
use azud_core::reference::Host;
use azud_store::Stored;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::allowed;
use crate::conditions::{Meant, part};
use crate::gate::{Gate, Roles, takes_nothing};
use crate::grant::Grant;
use crate::history;
use crate::library::{Found, Library, Listed, read};
use crate::limits::{Bodies, PIECES, Peer, Sent, at_others, turn, wait_at_others};
use crate::login::{self, Attempts};
use crate::metrics::{self, Metrics, counted, named};
use crate::mounts::placed;
use crate::openapi::{self, Octets};
use crate::problem::Problem;
use crate::refusal::as_problem;
use crate::reports::{self, AllReports, Reports};
use crate::rollback::{self, Rollbacks};
use crate::side;
use crate::token::Tokens;
use crate::upload::{self, Uploads};

/// What all routes share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) library: Arc<Library>,
    pub(crate) tokens: Tokens,
    pub(crate) authority: String,
    pub(crate) uploads: Arc<Uploads>,
    pub(crate) rollbacks: Rollbacks,
    pub(crate) bodies: Arc<Bodies>,
    /// Where the manager keeps what is its own.
    pub(crate) state: PathBuf,
    pub(crate) attempts: Attempts,
    pub(crate) reports: Arc<Reports>,
    pub(crate) metrics: Arc<Metrics>,
    /// Whether nothing is taken from anybody.
    pub(crate) read_only: bool,
}

impl FromRef<Arc<Shared>> for AllReports {
    fn from_ref(shared: &Arc<Shared>) -> Self {
        Self(Arc::clone(&shared.reports))
    }
}

/// The routes of every role, and those for everybody, with what is told of them.
pub(crate) struct Described {
    pub(crate) open: OpenApiRouter<Arc<Shared>>,
    pub(crate) read: OpenApiRouter<Arc<Shared>>,
    /// What who may write sees besides.
    pub(crate) watch: OpenApiRouter<Arc<Shared>>,
    pub(crate) write: OpenApiRouter<Arc<Shared>>,
}

/// All routes.
pub(crate) fn described() -> Described {
    Described {
        open: OpenApiRouter::new()
            .routes(routes!(health))
            .routes(routes!(authority))
            .routes(routes!(openapi::openapi))
            .merge(login::routes()),
        read: OpenApiRouter::new()
            .routes(routes!(images))
            .routes(routes!(file))
            .routes(routes!(index))
            .merge(side::routes())
            .merge(history::routes())
            .merge(reports::telling())
            .merge(metrics::routes())
            .merge(allowed::routes()),
        watch: reports::watching(),
        write: upload::routes().merge(rollback::routes()),
    }
}

/// The whole API.
pub(crate) fn api(shared: Shared) -> Router {
    let shared = Arc::new(shared);
    let Described {
        open,
        read,
        watch,
        write,
    } = described();
    let of = |routes: OpenApiRouter<_>| Router::from(routes).with_state(Arc::clone(&shared));
    let (mut read, mut watch, write) = (of(read), of(watch), of(write));
    if shared.read_only {
        // Who only reads out what others made takes nothing from anybody.
        read = read.merge(write.route_layer(from_fn(takes_nothing)));
    } else {
        watch = watch.merge(write);
    }
    let roles = Roles {
        read,
        write: watch,
        admin: Router::new(),
    };
    let gate = Gate::new(Arc::clone(&shared), roles);
    let metrics = Arc::clone(&shared.metrics);
    let api = named(open.into())
        .fallback(move |request: Request| gate.pass(request))
        .with_state(shared)
        .layer(map_response(as_problem));
    counted(api, &metrics)
}

/// A manager that answers.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// `ok`.
    status: &'static str,
    version: &'static str,
}

/// Whether the manager answers.
#[utoipa::path(
    get,
    path = "/health",
    responses((status = 200, description = "It does.", body = Health))
)]
async fn health() -> Json<Health> {
    Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// The certificate of the manager's own authority, whose hash clients pin.
#[utoipa::path(
    get,
    path = "/v1/ca",
    responses((status = 200, description = "PEM.", body = String, content_type = "application/x-pem-file"))
)]
async fn authority(State(shared): State<Arc<Shared>>) -> Response {
    let kind = (header::CONTENT_TYPE, "application/x-pem-file");
    ([kind], shared.authority.clone()).into_response()
}

/// The images of a manager.
#[derive(Debug, Serialize, ToSchema)]
struct Images {
    images: Vec<Listed>,
}

/// Whose images are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Of {
    /// Another computer, whose repository is mounted on the manager's: an image of it is named `ADDRESS:name`.
    address: Option<String>,
}

/// All images that a token is good for, by name.
#[utoipa::path(
    get,
    path = "/v1/images",
    params(Of),
    responses((status = 200, description = "The images.", body = Images))
)]
async fn images(
    State(shared): State<Arc<Shared>>,
    Extension(grant): Extension<Grant>,
    Query(of): Query<Of>,
) -> Result<Json<Images>, Problem> {
    let Some(address) = of.address else {
        let mut images = blocking(move || shared.library.list()).await?;
        images.retain(|image| grant.sees(image.name()));
        return Ok(Json(Images { images }));
    };
    let host = Host::parse(&address).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, Code::BadPlace, error.to_string())
    })?;
    let before = format!("{host}:");
    let mut images = blocking_at_others(move || shared.library.list_of(&host)).await?;
    images.retain(|image| grant.sees(&[&before, image.name()].concat()));
    Ok(Json(Images { images }))
}

/// What an image is made of: its frames and their hashes.
///
/// 503 with `Retry-After` while the index of a foreign image is being made.
#[utoipa::path(
    get,
    path = "/v1/images/{name}/index",
    params(
        ("name" = String, Path, description = "The image, `/` as `%2F`."),
        ("If-Match" = Option<String>, Header, description = "Identities in quotes: 412 if the image is none of these, and no former version of it is."),
    ),
    responses((
        status = 200,
        description = "The index; `ETag` is the image's identity, and `azud-https-only: true` says that none but a manager is to give the image.",
        body = Octets,
        content_type = "application/octet-stream"
    ))
)]
async fn index(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = found(&shared, name, Meant::of(&headers)).await?;
    let len = found.layout.description().len();
    let secluded = secluded(&found);
    let headers = [
        (header::ETAG, etag(&found)),
        (header::CONTENT_TYPE, octets()),
        (header::CONTENT_LENGTH, len.into()),
    ];
    // One copy in memory is enough for all who ask.
    let whole = Bytes::from_owner(Description(found.layout));
    let sent = shared.bodies.begin();
    let pieces = stream::unfold(whole, move |mut left| {
        let len = usize::try_from(sent.piece()).expect("a piece is small");
        let piece = left.split_to(len.min(left.len()));
        let piece = (!piece.is_empty()).then_some((Ok::<_, Infallible>(piece), left));
        future::ready(piece)
    });
    Ok((headers, secluded, Body::from_stream(pieces)).into_response())
}

/// The image that is meant.
async fn found(shared: &Shared, name: String, meant: Meant) -> Result<Found, Problem> {
    let library = Arc::clone(&shared.library);
    about(name, move |name| library.find_meant(name, &meant)).await
}

/// The index of an image, which many clients are sent at once.
struct Description(Arc<Layout>);

impl AsRef<[u8]> for Description {
    fn as_ref(&self) -> &[u8] {
        self.0.description()
    }
}

/// An image, whole or one range of bytes of it.
#[utoipa::path(
    get,
    path = "/v1/images/{name}",
    params(
        ("name" = String, Path, description = "The image, `/` as `%2F`."),
        ("Range" = Option<String>, Header, description = "One range of bytes; 416 with `Content-Range: bytes */SIZE` where the image has none of it."),
        ("If-Range" = Option<String>, Header, description = "The image's identity in quotes: if it is another, all of it is sent."),
        ("If-Match" = Option<String>, Header, description = "Identities in quotes: 412 if the image is none of these, and no former version of it is."),
    ),
    responses(
        (status = 200, description = "The image.", body = Octets, content_type = "application/octet-stream"),
        (status = 206, description = "The range.", body = Octets, content_type = "application/octet-stream"),
    )
)]
async fn file(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = found(&shared, name.clone(), Meant::of(&headers)).await?;
    let (tag, secluded) = (etag(&found), secluded(&found));
    let size = found.stored.len();
    let range = match method {
        Method::GET => part(&headers, &tag, size)?,
        _ => None,
    };
    let (status, part) = match &range {
        Some(range) => (StatusCode::PARTIAL_CONTENT, range.clone()),
        None => (StatusCode::OK, 0..size),
    };
    let mut response = Response::new(if method == Method::HEAD {
        Body::empty()
    } else {
        let reader = Reader {
            stored: found.stored,
            is_others: placed(&name).is_some(),
            peer,
        };
        let body = body(reader, part.clone(), shared.bodies.begin()).await;
        body.map_err(|error| Problem::of_reading(&name, &error))?
    });
    *response.status_mut() = status;
    let out = response.headers_mut();
    out.extend(secluded);
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

/// Reads an image for a peer.
#[derive(Clone)]
struct Reader {
    stored: Arc<Stored>,
    /// Whether it lies in a repository of others, whose server may hang.
    is_others: bool,
    peer: Peer,
}

/// A part of a file, read as fast as the client takes it and as it is the client's turn. Of what cannot be read from its beginning on,
/// that is still to be told.
async fn body(reader: Reader, part: Range<u64>, sent: Sent) -> io::Result<Body> {
    let pieces = stream::unfold(part.start, move |start| {
        let len = (part.end - start).min(sent.piece());
        let piece = piece(reader.clone(), (start, len));
        future::ready((len > 0).then_some((piece, start + len)))
    });
    let under_way = usize::try_from(PIECES).expect("a few");
    let mut pieces = Box::pin(pieces.buffered(under_way));
    let first = pieces.next().await.transpose()?;
    Ok(Body::from_stream(stream::iter(first.map(Ok)).chain(pieces)))
}

async fn piece(reader: Reader, (start, len): (u64, u64)) -> io::Result<Bytes> {
    let turn = reader.peer.turn().await;
    let place = if reader.is_others {
        wait_at_others().await
    } else {
        None
    };
    let len = usize::try_from(len).map_err(io::Error::other)?;
    let work = move || {
        let _held = (turn, place);
        read(&reader.stored, start, len)
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other)?.map(Bytes::from)
}

/// What an answer says of an image that travels over HTTPS alone.
fn secluded(found: &Found) -> HeaderMap {
    let word = (
        HeaderName::from_static(HTTPS_ONLY_HEADER),
        HeaderValue::from_static("true"),
    );
    found.https_only.then_some(word).into_iter().collect()
}

pub(crate) fn etag(found: &Found) -> HeaderValue {
    HeaderValue::try_from(format!("\"{}\"", found.identity())).expect("hexadecimal")
}

pub(crate) fn octets() -> HeaderValue {
    HeaderValue::from_static("application/octet-stream")
}

/// Runs what may wait for a disk where that harms nobody, when it is the turn of whoever asks.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let turn = turn().await;
    holding(turn, work).await
}

/// The same where work may wait for the server of another repository.
async fn blocking_at_others<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let turn = turn().await;
    let place = at_others()?;
    holding((turn, place), work).await
}

/// Holds something until the work has ended, whoever waits for that.
async fn holding<T: Send + 'static>(
    held: impl Send + 'static,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let failed = |_| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Code::Io,
            "the request was broken off",
        )
    };
    let work = move || {
        let _held = held;
        work()
    };
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

/// The same for an image that somebody named: what is said of it he reads under that name.
pub(crate) async fn about<T: Send + 'static>(
    name: String,
    work: impl FnOnce(&str) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let is_others = placed(&name).is_some();
    let work = move || work(&name).map_err(|problem| problem.about(&name));
    if is_others {
        blocking_at_others(work).await
    } else {
        blocking(work).await
    }
}

/// The same of what changes the image.
pub(crate) async fn changing<T: Send + 'static>(
    name: String,
    work: impl FnOnce(&str) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    about(name, work).await.map_err(Problem::of_change)
}
