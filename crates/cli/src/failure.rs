//! One shape for every error that reaches the user, whichever crate it comes from.

use std::error::Error;
use std::io;
use std::path::Path;

use azud_core::code::{self, Code};
use azud_image::ImageError;
use azud_image::fs::FsError;

/// An error type that knows its stable code.
pub trait Coded: Error {
    /// The stable code.
    fn code(&self) -> Code;

    /// What exactly to do in this very case, one step per line, where the error knows it.
    fn remedy(&self) -> Option<String> {
        None
    }
}

/// The code inside an error of the system that a device, a file or a foreign image raised.
fn inner_code(error: &(dyn Error + 'static)) -> Option<Code> {
    let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
    let disk = inner
        .downcast_ref::<azud_disk::DiskError>()
        .map(azud_disk::DiskError::code);
    let store = inner
        .downcast_ref::<azud_store::StoreError>()
        .map(azud_store::StoreError::code);
    let foreign = inner.downcast_ref::<azud_image::foreign::ForeignError>();
    disk.or(store)
        .or(foreign.map(azud_image::foreign::ForeignError::code))
}

impl Coded for ImageError {
    fn code(&self) -> Code {
        self.source()
            .and_then(inner_code)
            .unwrap_or_else(|| self.code())
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::Fs(error) => Coded::remedy(error),
            _ => None,
        }
    }
}

impl Coded for FsError {
    fn code(&self) -> Code {
        self.code()
    }

    fn remedy(&self) -> Option<String> {
        self.remedy().map(str::to_owned)
    }
}

impl Coded for azud_disk::DiskError {
    fn code(&self) -> Code {
        self.code()
    }
}

impl Coded for azud_store::StoreError {
    fn code(&self) -> Code {
        self.code()
    }

    fn remedy(&self) -> Option<String> {
        self.remedy()
    }
}

impl Coded for azud_core::name::NameError {
    fn code(&self) -> Code {
        self.code()
    }
}

impl Coded for azud_image::foreign::ForeignError {
    fn code(&self) -> Code {
        self.code()
    }
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The stable code; its summary and hint come from the catalogue.
    pub code: Code,
    /// What failed in this case.
    pub detail: String,
    /// The chain of causes, nearest first.
    pub causes: Vec<String>,
    /// What exactly to do, in the words of the engine: commands and a little English.
    pub remedy: Option<String>,
    /// What to do, in the user's language, if that is known better than the code's hint.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure that begins here.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            causes: Vec::new(),
            remedy: None,
            hint: None,
        }
    }

    /// An operation on a file that the operating system refused. That a file is absent means
    /// `image/not-found` here; a command that means something else says so itself.
    pub fn io(path: &Path, error: &io::Error) -> Self {
        Self {
            causes: vec![error.to_string()],
            ..Self::new(code::of_io(error), path.display().to_string())
        }
    }

    /// The same failure with a better hint, in the user's language.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// The same failure, said of something: `context: detail`.
    #[must_use]
    pub fn about(self, context: &str) -> Self {
        Self {
            detail: format!("{context}: {}", self.detail),
            ..self
        }
    }
}

impl<E: Coded> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut causes = Vec::new();
        let mut cause = error.source();
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        Self {
            code: error.code(),
            detail: error.to_string(),
            causes,
            remedy: error.remedy(),
            hint: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use azud_core::code::Code;
    use azud_image::ImageError;
    use azud_image::fs::FsError;

    use super::Failure;

    #[test]
    fn causes_are_listed_once_each() {
        let failure = Failure::from(ImageError::Source {
            offset: 4096,
            source: io::Error::new(io::ErrorKind::PermissionDenied, "no"),
        });
        assert_eq!(failure.code, Code::Permission);
        assert_eq!(failure.detail, "cannot read the source at offset 4096");
        assert_eq!(failure.causes, ["no"]);
    }

    #[test]
    fn the_remedy_of_a_file_system_reaches_the_user() {
        let failure = Failure::from(ImageError::from(FsError::Dirty {
            fs: "ext4",
            why: "the journal needs recovery".to_owned(),
            remedy: "e2fsck -f DEVICE",
        }));
        assert_eq!(failure.code, Code::Dirty);
        assert_eq!(failure.remedy.as_deref(), Some("e2fsck -f DEVICE"));
        assert!(failure.causes.is_empty(), "{:?}", failure.causes);
    }
}
