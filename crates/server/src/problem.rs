//! Errors as clients read them: `application/problem+json` (RFC 9457) with the stable code.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::path::{Path, PathBuf};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use azud_core::assembly::SourceError;
use azud_core::code::Code;
use azud_core::reference::SubPath;
use azud_store::{StoreError, is_in_making};
use rustix::io::Errno;
use serde_json::json;

use crate::mounts::placed;

/// The media type of all of them.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// An answer that is an error.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: Code,
    detail: String,
    /// What the detail says, and of which file, as this computer knows it.
    of: Option<Box<(String, PathBuf)>>,
    retry_after: Option<u32>,
    size: Option<u64>,
    more: Option<(&'static str, String)>,
    /// The same for somebody who is bound to images, where it names what may be another.
    veiled: Option<Box<Self>>,
}

/// What an answer says instead to somebody who is bound to images.
#[derive(Debug, Clone)]
pub(crate) struct Veiled(pub(crate) String);

impl Problem {
    pub(crate) fn new(status: StatusCode, code: Code, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            status,
            code,
            detail,
            of: None,
            retry_after: None,
            size: None,
            more: None,
            veiled: None,
        }
    }

    /// Of a file: its name is said, and no folder of this computer.
    pub(crate) fn of_file(status: StatusCode, code: Code, text: &str, path: &Path) -> Self {
        Self {
            of: Some(Box::new((text.to_owned(), path.to_owned()))),
            ..Self::new(status, code, without_folder(text, path))
        }
    }

    /// What the store says.
    pub(crate) fn of_store(status: StatusCode, code: Code, error: &StoreError) -> Self {
        let text = error.to_string();
        match error.path().filter(|path| path.is_absolute()) {
            Some(path) => Self::of_file(status, code, &text, path),
            None => Self::new(status, code, text),
        }
    }

    /// The same of what is to be changed here: where this computer may not write, who asked for it is not to blame, nor is
    /// the one who wrote this program.
    pub(crate) fn of_change(self) -> Self {
        if !matches!(self.code, Code::CannotRead | Code::ReadOnly) {
            return self;
        }
        Self {
            status: StatusCode::INSUFFICIENT_STORAGE,
            code: Code::CannotStore,
            ..self
        }
    }

    /// The same, said to somebody who asked for an image: its folder in the repository goes with its name.
    pub(crate) fn about(mut self, image: &str) -> Self {
        if let Some((text, path)) = self.of.as_deref() {
            self.detail = with_folder(text, path, image);
        }
        self.veiled = self.veiled.map(|veiled| Box::new(veiled.about(image)));
        self
    }

    /// Tells something more, for programs.
    pub(crate) fn with(self, key: &'static str, value: &str) -> Self {
        Self {
            more: Some((key, value.to_owned())),
            ..self
        }
    }

    /// Tells of how many bytes something can be asked for.
    pub(crate) fn of_size(self, size: u64) -> Self {
        Self {
            size: Some(size),
            ..self
        }
    }

    /// Of bytes of an image that cannot be read.
    pub(crate) fn of_reading(name: &str, error: &io::Error) -> Self {
        let text = format!("cannot read {name}: {error}");
        if is_of_a_disk(error) {
            Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::DiskFails, text)
        } else {
            Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Io, text)
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
        let code = match error.code() {
            // Of this computer's files, not of whoever asks for them.
            Code::Permission => Code::CannotRead,
            Code::Io if is_of_a_disk(&error) => Code::DiskFails,
            code => code,
        };
        let status = match code {
            Code::NotFound | Code::NoSuchVersion => StatusCode::NOT_FOUND,
            Code::BadName | Code::BadPlace => StatusCode::BAD_REQUEST,
            Code::Outside | Code::CaseTwin | Code::NotAFile | Code::Locked | Code::HalfMoved => {
                StatusCode::CONFLICT
            }
            Code::NoSpace | Code::TooLittleRoom | Code::FileTooLarge => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            Code::DiskFails => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let problem = Self::of_store(status, code, &error);
        let StoreError::CaseTwin { wanted, .. } = &error else {
            return problem;
        };
        let text = format!("there is no {}, but one in another case", wanted.display());
        let veiled = Self::of_file(status, code, &text, wanted);
        Self {
            veiled: Some(Box::new(veiled)),
            ..problem
        }
    }
}

/// Whether the system says that a disk fails. A share that was away for a moment gives the same error, so whoever meets it may ask
/// again.
fn is_of_a_disk(error: &(dyn Error + 'static)) -> bool {
    successors(Some(error), |&error| error.source()).any(|error| {
        let error = error.downcast_ref::<io::Error>();
        error.is_some_and(|error| error.raw_os_error() == Some(Errno::IO.raw_os_error()))
    })
}

/// What the store says about an image that somebody asked for, without the folders of this computer.
pub(crate) fn told(error: &StoreError, image: &str) -> String {
    let text = error.to_string();
    match error.path().filter(|path| path.is_absolute()) {
        Some(path) => with_folder(&text, path, image),
        None => text,
    }
}

/// What is said of a file, with its name alone: where it lies on this computer is nobody's business.
fn without_folder(text: &str, path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    text.replace(&path.display().to_string(), &name)
}

/// What is said of an image or of a file beside it, with the folder in which whoever asked for it sees it.
fn with_folder(text: &str, path: &Path, image: &str) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let (before, image) = match placed(image) {
        Some((host, image)) => (format!("{host}:"), Some(image)),
        None => (String::new(), SubPath::parse(image).ok()),
    };
    let is_in_making = is_in_making(path);
    let is_its = |image: &SubPath| is_in_making || file.starts_with(image.name());
    let Some(image) = image.filter(is_its) else {
        return without_folder(text, path);
    };
    let whole = image.to_string();
    let folder = whole.strip_suffix(image.name()).unwrap_or_default();
    let file = if is_in_making { image.name() } else { &*file };
    let shown = format!("{before}{folder}{file}");
    text.replace(&path.display().to_string(), &shown)
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

impl Problem {
    fn body(&self) -> String {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "code": self.code.as_str(),
            "detail": self.detail,
        });
        if let Some((key, value)) = &self.more {
            body[*key] = value.as_str().into();
        }
        body.to_string()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body()).into_response();
        if let Some(veiled) = &self.veiled {
            response.extensions_mut().insert(Veiled(veiled.body()));
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(size) = self.size {
            let range = HeaderValue::try_from(format!("bytes */{size}"));
            headers.insert(header::CONTENT_RANGE, range.expect("digits"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::path::{Path, PathBuf};

    use axum::http::StatusCode;
    use azud_core::code::Code;
    use azud_store::StoreError;

    use super::{Problem, with_folder};

    #[test]
    fn where_the_manager_may_not_read_or_write_whoever_asks_is_told_so() {
        let path = || PathBuf::from("/srv/images/aula1");
        let not_allowed = || StoreError::Io {
            op: "write into",
            path: path(),
            source: ErrorKind::PermissionDenied.into(),
        };
        let read_only = StoreError::ReadOnly {
            path: path(),
            source: ErrorKind::ReadOnlyFilesystem.into(),
        };
        let full = StoreError::NoSpace {
            path: path(),
            source: ErrorKind::StorageFull.into(),
        };
        let problem = Problem::from(not_allowed());
        assert_eq!(problem.code, Code::CannotRead);
        for (error, code) in [
            (not_allowed(), Code::CannotStore),
            (read_only, Code::CannotStore),
            (full, Code::NoSpace),
        ] {
            let problem = Problem::from(error).of_change();
            assert_eq!(problem.code, code);
            assert_eq!(problem.status, StatusCode::INSUFFICIENT_STORAGE);
            assert!(!problem.detail.contains("/srv"), "{}", problem.detail);
        }
    }

    #[test]
    fn a_file_is_told_as_whoever_asked_sees_it() {
        for (path, image, shown) in [
            (
                "/srv/images/aula1/win.img",
                "aula1/win.img",
                "aula1/win.img",
            ),
            ("/srv/images/aula1/win.img", "aula1/win", "aula1/win.img"),
            (
                "/srv/images/aula1/win.img.lock",
                "aula1/win",
                "aula1/win.img.lock",
            ),
            ("/srv/images/win.img", "win.img", "win.img"),
            (
                "/mnt/nas/aula1/win.img",
                "10.0.0.9:aula1/win",
                "10.0.0.9:aula1/win.img",
            ),
            // What the image is made of is told as the image.
            (
                "/srv/images/aula1/.azud-assembly-win.img-0123456789abcdef/wanted",
                "aula1/win.img",
                "aula1/win.img",
            ),
            // Not of the image.
            ("/srv/images", "aula1/win.img", "images"),
            ("/srv/images/aula1/win.img", "aula1/../win", "win.img"),
        ] {
            let text = format!("{path} is locked");
            let told = with_folder(&text, Path::new(path), image);
            assert_eq!(told, format!("{shown} is locked"));
        }
    }
}
