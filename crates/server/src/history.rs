//! What an image was before.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use azud_core::assembly::Layout;
use azud_store::trash;
use azud_store::{Identity, Stored};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::library::seconds;
use crate::problem::Problem;
use crate::routes::{Shared, about};

pub(crate) fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new().routes(routes!(history))
}

/// A version of an image.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Told {
    /// Its name in the trash; the present one has none.
    version: Option<String>,
    /// Who it is, if that can be told.
    #[schema(value_type = Option<String>)]
    identity: Option<Identity>,
    /// When a native image was captured, as its index says.
    created: Option<String>,
    /// When it went to the trash, in seconds since 1970.
    replaced: Option<u64>,
    size: u64,
}

impl From<trash::Version> for Told {
    fn from(version: trash::Version) -> Self {
        let stored = Stored::open(&version.path).ok();
        let layout = stored.and_then(|stored| Layout::read_native(&stored).ok());
        Self {
            version: version.slot,
            identity: version.identity,
            created: layout.and_then(|layout| layout.created().map(str::to_owned)),
            replaced: version.replaced.and_then(seconds),
            size: version.size,
        }
    }
}

/// The versions of an image.
#[derive(Debug, Serialize, ToSchema)]
struct History {
    versions: Vec<Told>,
}

/// What an image was before: the present version first, if there is one, then the former ones, newest first.
#[utoipa::path(
    get,
    path = "/v1/images/{name}/history",
    params(("name" = String, Path, description = "The image, `/` as `%2F`.")),
    responses((status = 200, description = "The versions.", body = History))
)]
async fn history(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Json<History>, Problem> {
    let versions = about(name, move |name| shared.library.history(name)).await?;
    Ok(Json(History { versions }))
}
