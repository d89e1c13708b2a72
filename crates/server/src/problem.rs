//! Errors as clients read them: `application/problem+json` (RFC 9457) with the stable code.

use std::path::Path;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use azud_core::assembly::SourceError;
use azud_core::code::Code;
use azud_store::StoreError;
use serde_json::json;

/// An answer that is an error.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: Code,
    detail: String,
    retry_after: Option<u32>,
    more: Option<(&'static str, String)>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: Code, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            status,
            code,
            detail,
            retry_after: None,
            more: None,
        }
    }

    /// Tells something more, for programs.
    pub(crate) fn with(self, key: &'static str, value: &str) -> Self {
        Self {
            more: Some((key, value.to_owned())),
            ..self
        }
    }

    /// Tells when to ask again, in seconds.
    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let code = error.code();
        let status = match code {
            Code::NotFound | Code::NoSuchVersion => StatusCode::NOT_FOUND,
            Code::BadName | Code::BadPlace => StatusCode::BAD_REQUEST,
            Code::Outside | Code::CaseTwin | Code::Locked | Code::HalfMoved => StatusCode::CONFLICT,
            Code::NoSpace | Code::TooLittleRoom | Code::FileTooLarge => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, code, told(&error))
    }
}

/// What the store says, without the folders of this computer: the name of a file is all that is anybody's business.
pub(crate) fn told(error: &StoreError) -> String {
    let text = error.to_string();
    match error.path().filter(|path| path.is_absolute()) {
        Some(path) => without_folder(&text, path),
        None => text,
    }
}

/// What is said of a file, with its name alone.
pub(crate) fn without_folder(text: &str, path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    text.replace(&path.display().to_string(), &name)
}

/// The directory that the manager serves is not there.
pub(crate) fn away() -> Problem {
    let text = "the directory of its images is not there";
    Problem::new(StatusCode::NOT_FOUND, Code::PlaceGone, text)
}

/// As [`away`], where it is that directory that is missing.
pub(crate) fn of_root(error: StoreError) -> Problem {
    match error {
        StoreError::NotFound(_) => away(),
        error => error.into(),
    }
}

impl From<SourceError> for Problem {
    fn from(error: SourceError) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            error.code(),
            error.to_string(),
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "code": self.code.as_str(),
            "detail": self.detail,
        });
        if let Some((key, value)) = self.more {
            body[key] = value.into();
        }
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
