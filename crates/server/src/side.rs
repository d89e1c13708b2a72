//! What stands beside an image and goes along with it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use azud_core::code::Code;
use azud_store::side::Carried;

use crate::problem::Problem;
use crate::routes::{Shared, blocking, etag, octets, unchanged};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/v1/images/{name}/minisig", get(signature))
}

/// The signature of the image that stands there now.
async fn signature(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (found, carried) = blocking(move || {
        let found = shared.library.find(&name)?;
        let carried = Carried::beside(found.stored.path())?;
        Ok((found, carried))
    })
    .await?;
    let tag = etag(&found);
    unchanged(&headers, &tag)?;
    let signature = carried.into_iter().find(|one| one.ending == ".minisig");
    let signature = signature
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, Code::Unsigned, "it is not signed"))?;
    let headers = [(header::ETAG, tag), (header::CONTENT_TYPE, octets())];
    Ok((headers, signature.content).into_response())
}
