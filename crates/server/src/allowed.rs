//! What somebody may do here, told to himself.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::grant::Grant;
use crate::routes::Shared;
use crate::token::Role;

/// What a token allows here.
#[derive(Debug, Serialize, ToSchema)]
struct Allowed {
    role: Role,
    /// Whether the manager takes nothing from anybody, whatever the role.
    read_only: bool,
}

pub(crate) fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new().routes(routes!(allowed))
}

/// What the token that is shown allows. No image is looked at.
#[utoipa::path(
    get,
    path = "/v1/token",
    responses((status = 200, description = "It is accepted.", body = Allowed))
)]
async fn allowed(
    State(shared): State<Arc<Shared>>,
    Extension(grant): Extension<Grant>,
) -> Json<Allowed> {
    Json(Allowed {
        role: grant.role(),
        read_only: shared.read_only,
    })
}
