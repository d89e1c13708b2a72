//! Refusals that no route makes: what is answered before one is reached, or by what reads a request for it, is a problem, too.

use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use azud_core::code::Code;
use serde_json::error::Category;

use crate::problem::{MEDIA_TYPE, Problem};

/// The answer, as a problem if it is a refusal. Its other headers stay: `Allow`, for instance.
pub(crate) async fn as_problem(response: Response) -> Response {
    let status = response.status();
    let is_refusal = status.is_client_error() || status.is_server_error();
    let kind = response.headers().get(header::CONTENT_TYPE);
    if !is_refusal || kind.is_some_and(|kind| kind == MEDIA_TYPE) {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let code = if status.is_server_error() {
        Code::Io
    } else {
        Code::BadRequest
    };
    let (_, body) = Problem::new(status, code, detail(status))
        .into_response()
        .into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let kind = HeaderValue::from_static(MEDIA_TYPE);
    parts.headers.insert(header::CONTENT_TYPE, kind);
    Response::from_parts(parts, body)
}

/// In words of our own: the framework's tell how this program is made.
fn detail(status: StatusCode) -> &'static str {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => "it is not asked for by this method",
        StatusCode::PAYLOAD_TOO_LARGE => "it is too long",
        _ if status.is_server_error() => "the request was broken off",
        _ => "the request is not understood",
    }
}

/// A body that did not come whole.
pub(crate) fn not_taken(error: &BytesRejection, code: Code) -> Problem {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            Problem::new(status, code, detail(status))
        }
        _ => Problem::new(StatusCode::BAD_REQUEST, code, "it was cut off"),
    }
}

/// What is wrong with JSON, without the names of our own types.
pub(crate) fn not_understood(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        Category::Data => "it is not as /openapi.json says",
        _ => "it is no JSON",
    };
    format!(
        "{what}, at line {}, column {}",
        error.line(),
        error.column()
    )
}
