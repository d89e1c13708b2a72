//! The routes of uploads: for whoever may change images.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{Extension, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use azud_core::code::Code;
use azud_core::upload::{
    Held, MAX_ASKED, MAX_BATCH, Opened, Opening, RECORD_LEN, State as Standing,
};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::time::timeout;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::receive::receive;
use super::session::Session;
use crate::audit::{Asker, Changed};
use crate::budget::Share;
use crate::conditions::Meant;
use crate::grant::Grant;
use crate::limits::Peer;
use crate::listen::HEAD;
use crate::openapi::Octets;
use crate::problem::Problem;
use crate::refusal::not_understood;
use crate::routes::{Shared, about, blocking, changing};

/// The most bytes of what an upload begins with.
const MAX_OPENING: usize = 16 << 10;
/// A client has so long for a few bytes; for a whole body it has what the uploads say.
const PATIENCE: Duration = Duration::from_secs(30);
/// Parts of a body between the connection and the disk.
const AHEAD: usize = 2;
/// Bytes in memory of a body of pieces: as many parts again are being written, and one more waits at either side.
pub(super) const UNDER_WAY: u64 = (2 * AHEAD as u64 + 2) * HEAD as u64;

pub(crate) fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(routes!(remove))
        .routes(routes!(check_removal))
        .routes(routes!(open))
        .routes(routes!(state, close))
        .routes(routes!(left, ask, pieces))
        .routes(routes!(beside))
        .routes(routes!(image))
}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, Code::BadUpload, detail)
}

/// A whole body, `most` bytes at most, and what it costs.
async fn whole(
    (body, most): (Body, usize),
    patience: Duration,
    mut share: Share,
    came: impl Fn(usize),
) -> Result<(Vec<u8>, Share), Problem> {
    let mut body = body.into_data_stream();
    let collected = async {
        let mut all = Vec::new();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|_| bad("it was cut off"))?;
            let len = all.len() + chunk.len();
            if len > most {
                return Err(bad("it is too long"));
            }
            share.hold(len as u64)?;
            came(chunk.len());
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    };
    match timeout(patience, collected).await {
        Ok(Ok(all)) => Ok((all, share)),
        Ok(Err(problem)) => {
            drop(share);
            hear_out((body, MAX_BATCH), patience).await;
            Err(problem)
        }
        Err(_) => Err(late()),
    }
}

fn late() -> Problem {
    bad("it did not come in time")
}

/// Lets a client say what is of no more use: only then it hears why.
async fn hear_out((mut body, most): (BodyDataStream, u64), patience: Duration) {
    let heard = async {
        let mut bytes = 0;
        while let Some(Ok(chunk)) = body.next().await {
            bytes += chunk.len() as u64;
            if bytes > most {
                break;
            }
        }
    };
    // Who is slow hears nothing.
    let _ = timeout(patience, heard).await;
}

/// The upload of an id, and the body that is for it. Who asks for one that is not there is heard out, so that it
/// hears so.
async fn found(
    shared: &Shared,
    id: &str,
    request: Request,
) -> Result<(Arc<Session>, Body), Problem> {
    let body = request.into_body();
    match shared.uploads.find(id) {
        Ok(session) => Ok((session, body)),
        Err(problem) => {
            hear_out((body.into_data_stream(), MAX_BATCH), shared.uploads.body).await;
            Err(problem)
        }
    }
}

fn json(state: Bytes) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], state)
}

/// Begin to send an image.
///
/// Room for all its bytes is set aside: 507 where there is none, 409 while another sends the same image.
#[utoipa::path(
    post,
    path = "/v1/uploads",
    request_body = Opening,
    responses(
        (status = 201, description = "It has begun.", body = Opened),
        (status = 200, description = "A rehearsal: it could begin.", body = Opened),
    )
)]
async fn open(
    State(shared): State<Arc<Shared>>,
    Extension(grant): Extension<Grant>,
    request: Request,
) -> Result<(StatusCode, Json<Opened>), Problem> {
    let address = request.extensions().get().map(|peer: &Peer| peer.address);
    let (body, share) = (request.into_body(), shared.uploads.budget.share());
    let (body, _) = whole((body, MAX_OPENING), PATIENCE, share, |_| ()).await?;
    let opening: Opening =
        serde_json::from_slice(&body).map_err(|error| bad(not_understood(&error)))?;
    // What a token is not for is not there for it, to be made neither.
    if !grant.sees(&opening.name) {
        let (status, name) = (StatusCode::NOT_FOUND, opening.name);
        return Err(Problem::new(status, Code::NotFound, name));
    }
    let name = opening.name.clone();
    if opening.rehearsal {
        let opened = changing(name, move |_| shared.uploads.rehearse(&opening, &grant)).await?;
        return Ok((StatusCode::OK, Json(opened)));
    }
    let opened = changing(name, move |_| shared.uploads.open(&opening, grant, address)).await?;
    Ok((StatusCode::CREATED, Json(opened)))
}

/// How an upload stands.
#[utoipa::path(
    get,
    path = "/v1/uploads/{id}",
    params(("id" = String, Path, description = "The upload.")),
    responses((status = 200, description = "Its state.", body = Standing))
)]
async fn state(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(json(shared.uploads.find(&id)?.state()))
}

/// End an upload; what arrived is kept for the next one of this name.
#[utoipa::path(
    delete,
    path = "/v1/uploads/{id}",
    params(("id" = String, Path, description = "The upload.")),
    responses((status = 204, description = "It has ended."))
)]
async fn close(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    blocking(move || shared.uploads.close(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What an earlier upload left.
#[utoipa::path(
    get,
    path = "/v1/uploads/{id}/pieces",
    params(("id" = String, Path, description = "The upload.")),
    responses((status = 200, description = "Records of pieces, 48 bytes each.", body = Octets, content_type = "application/octet-stream"))
)]
async fn left(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let kind = (header::CONTENT_TYPE, "application/octet-stream");
    Ok(([kind], shared.uploads.find(&id)?.left()).into_response())
}

/// Move an image to the trash.
#[utoipa::path(
    delete,
    path = "/v1/images/{name}",
    params(
        ("name" = String, Path, description = "The image, `/` as `%2F`."),
        ("If-Match" = Option<String>, Header, description = "Identities in quotes: 412 if the image is none of these."),
    ),
    responses((status = 204, description = "It is in the trash."))
)]
async fn remove(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<(StatusCode, Extension<Changed>), Problem> {
    let removed = Changed::image(&name, "removed");
    let meant = Meant::of(&headers);
    changing(name, move |name| {
        if !meant.is(None) {
            // Where that is not known yet, it is found out first.
            meant.check(shared.library.find(name)?.identity())?;
        }
        let identify = |path: &std::path::Path| shared.library.identity(path);
        shared.uploads.remove(name, &identify, &meant)
    })
    .await?;
    Ok((StatusCode::NO_CONTENT, Extension(removed)))
}

/// Say whether an image could be moved to the trash. Nothing is touched.
///
/// 409 with `image/locked` while somebody works on it.
#[utoipa::path(
    post,
    path = "/v1/images/{name}/removal/check",
    params(("name" = String, Path, description = "The image, `/` as `%2F`.")),
    responses((status = 204, description = "It could."))
)]
async fn check_removal(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    changing(name, move |name| shared.uploads.check_removal(name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Send pieces.
///
/// Records and their bytes, as `docs/formats/upload.md` says. A client that is refused is heard out, so that it
/// hears why.
#[utoipa::path(
    put,
    path = "/v1/uploads/{id}/pieces",
    params(("id" = String, Path, description = "The upload.")),
    request_body(content = Octets, content_type = "application/octet-stream"),
    responses((status = 204, description = "All are on the disk."))
)]
async fn pieces(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (session, body) = found(&shared, &id, request).await?;
    let mut share = shared.uploads.budget.share();
    if let Err(problem) = share.hold(UNDER_WAY) {
        hear_out((body.into_data_stream(), MAX_BATCH), shared.uploads.body).await;
        return Err(problem.into());
    }
    let (chunks, coming) = mpsc::channel(AHEAD);
    let feed = async move {
        let mut body = body.into_data_stream();
        let mut bytes = 0;
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|_| bad("it was cut off"))?;
            bytes += chunk.len() as u64;
            if bytes > MAX_BATCH {
                return Err(bad("so much at once is not taken"));
            }
            // Whoever took them may have stopped already.
            let _ = chunks.send(chunk).await;
        }
        Ok(())
    };
    let both = futures_util::future::join(receive(session, coming), feed);
    let (received, fed) = timeout(shared.uploads.body, both)
        .await
        .map_err(|_| late())?;
    received.and(fed)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Finds out where pieces lie, once. Who waits too long for his turn sends these, and asks for the next ones.
async fn look(shared: &Arc<Shared>, session: &Arc<Session>) -> Result<(), Problem> {
    let first = Arc::clone(&session.looking).lock_owned().await;
    if session.has_looked() {
        return Ok(());
    }
    let one = Arc::clone(&shared.uploads.looking).acquire_owned();
    let Ok(Ok(one)) = timeout(PATIENCE, one).await else {
        return Ok(());
    };
    let (shared, looking) = (Arc::clone(shared), Arc::clone(session));
    let work = move |_: &str| {
        let _turn = (first, one);
        looking.look(&shared.uploads.lookups)
    };
    about(session.name(), work).await
}

/// Ask for pieces that images of the manager have.
///
/// Records without their bytes. Those that images have which the token sees go to their places, as if they had been sent.
#[utoipa::path(
    post,
    path = "/v1/uploads/{id}/pieces",
    params(("id" = String, Path, description = "The upload.")),
    request_body(content = Octets, content_type = "application/octet-stream"),
    responses((status = 200, description = "Which are still to be sent.", body = Held))
)]
async fn ask(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Held>, Problem> {
    let (session, body) = found(&shared, &id, request).await?;
    let (share, most) = (shared.uploads.budget.share(), MAX_ASKED * RECORD_LEN);
    let (records, _share) = whole((body, most), PATIENCE, share, |_| ()).await?;
    look(&shared, &session).await?;
    let name = session.name();
    let held = about(name, move |_| session.take_over(&records)).await?;
    Ok(Json(held))
}

/// Send a side file that goes along with the image.
#[utoipa::path(
    put,
    path = "/v1/uploads/{id}/beside/{ending}",
    params(
        ("id" = String, Path, description = "The upload."),
        ("ending" = String, Path, description = "Such as `.minisig`."),
    ),
    request_body(content = Octets, content_type = "application/octet-stream"),
    responses((status = 204, description = "It was taken."))
)]
async fn beside(
    State(shared): State<Arc<Shared>>,
    Path((id, ending)): Path<(String, String)>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (session, body) = found(&shared, &id, request).await?;
    let most = usize::try_from(session.longest_beside()).unwrap_or(usize::MAX);
    let share = shared.uploads.budget.share();
    let came = |bytes| session.came(bytes);
    let content = whole((body, most), shared.uploads.body, share, came).await?;
    if session.carry(&ending, content) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(bad("no file of this ending goes along with an image"))
    }
}

/// Have the image put together and published.
#[utoipa::path(
    post,
    path = "/v1/uploads/{id}/image",
    params(("id" = String, Path, description = "The upload.")),
    request_body(content = Octets, content_type = "application/octet-stream", description = "The image's description."),
    responses((status = 202, description = "Work has begun.", body = Standing))
)]
async fn image(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<impl IntoResponse, Problem> {
    let asker = request.extensions().get::<Asker>().cloned();
    let (session, body) = found(&shared, &id, request).await?;
    let one = match session.describe() {
        Ok(Some(one)) => one,
        refused => {
            let body = (body.into_data_stream(), session.longest_description());
            hear_out(body, shared.uploads.body).await;
            refused?;
            return Ok((StatusCode::ACCEPTED, json(session.state())));
        }
    };
    let most = usize::try_from(session.longest_description()).unwrap_or(usize::MAX);
    let share = shared.uploads.budget.share();
    let came = |bytes| session.came(bytes);
    let description = whole((body, most), shared.uploads.body, share, came).await?;
    session.touch();
    if session.begin_work() {
        let working = Arc::clone(&session);
        tokio::spawn(async move {
            let at_work = Arc::clone(&working);
            let work = tokio::task::spawn_blocking(move || {
                at_work.work(description);
                if let (Some(asker), Some(changed)) = (asker, at_work.changed()) {
                    asker.changed(StatusCode::ACCEPTED, changed);
                }
            });
            if work.await.is_err() {
                working.broke();
            }
        });
    }
    drop(one);
    Ok((StatusCode::ACCEPTED, json(session.state())))
}
