//! What stands beside an image and goes along with it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use azud_core::code::Code;
use azud_store::side::Carried;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::conditions::Meant;
use crate::openapi::Octets;
use crate::problem::Problem;
use crate::routes::{Shared, about, etag, octets};

pub(crate) fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(routes!(signature))
        .routes(routes!(side_file))
}

/// Any file that stands beside an image, as it is.
#[utoipa::path(
    get,
    path = "/v1/images/{name}/beside/{ending}",
    params(
        ("name" = String, Path, description = "The image, `/` as `%2F`."),
        ("ending" = String, Path, description = "Such as `.info`."),
    ),
    responses((status = 200, description = "The file.", body = Octets, content_type = "application/octet-stream"))
)]
async fn side_file(
    State(shared): State<Arc<Shared>>,
    Path((name, ending)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let content = about(name, move |name| shared.library.beside(name, &ending)).await?;
    Ok(([(header::CONTENT_TYPE, octets())], content).into_response())
}

/// The signature of the image that stands there now, or of the former version that is meant.
#[utoipa::path(
    get,
    path = "/v1/images/{name}/minisig",
    params(
        ("name" = String, Path, description = "The image, `/` as `%2F`."),
        ("If-Match" = Option<String>, Header, description = "Identities in quotes: 412 if the image is none of these, and no former version of it is."),
    ),
    responses((status = 200, description = "minisign's file.", body = Octets, content_type = "application/octet-stream"))
)]
async fn signature(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let meant = Meant::of(&headers);
    let (found, carried) = about(name, move |name| {
        let found = shared.library.find_meant(name, &meant)?;
        let carried = Carried::beside(found.stored.path())?;
        Ok((found, carried))
    })
    .await?;
    let tag = etag(&found);
    let signature = carried.into_iter().find(|one| one.ending == ".minisig");
    let signature = signature
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, Code::Unsigned, "it is not signed"))?;
    let headers = [(header::ETAG, tag), (header::CONTENT_TYPE, octets())];
    Ok((headers, signature.content).into_response())
}
