//! One shape for every error that reaches the user, whichever crate it comes from.

mod hint;
mod words;

use std::error::Error;
use std::io;
use std::path::Path;

use azud_core::assembly::SourceError;
use azud_core::code::{self, Code};
use azud_core::namespace::PlaceError;
use azud_core::progress::Interrupted;
use azud_image::ImageError;
use azud_image::fs::FsError;
use serde_json::Value;

pub use hint::Hint;

/// An error type that knows its stable code.
pub trait Coded: Error {
    /// The stable code.
    fn code(&self) -> Code;

    /// What exactly to do in this very case, one step per line, where the error knows it.
    fn remedy(&self) -> Option<String> {
        None
    }

    /// The error in the words of the catalogue, where it has them; else it speaks English.
    fn words(&self) -> Option<Words> {
        None
    }
}

/// The variable that stands for `DEVICE` in a remedy.
const DEVICE: &str = "on";

/// A message of the catalogue and its variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// The message is `detail-<key>`; if it has a `.hint`, that goes before the code's. Where a language has no such
    /// message, the error's own words hold.
    pub key: &'static str,
    /// Names and values.
    pub values: Vec<(&'static str, String)>,
    /// Names, and values that are English words of the program: other languages have them among their terms.
    pub terms: Vec<(&'static str, String)>,
    /// The causes, nearest first, where they have words.
    pub causes: Vec<Option<Words>>,
    /// What it is said of, if the message does not say so itself.
    pub about: Option<String>,
}

impl Words {
    fn new<const N: usize>(key: &'static str, values: [(&'static str, String); N]) -> Self {
        Self {
            key,
            values: values.into(),
            terms: Vec::new(),
            causes: Vec::new(),
            about: None,
        }
    }

    /// One more variable.
    fn with(mut self, name: &'static str, value: String) -> Self {
        self.values.push((name, value));
        self
    }

    /// The device that steps are to be taken on, as shells read it.
    pub(crate) fn device(&self) -> Option<&str> {
        let mut values = self.values.iter();
        let device = values.find(|(name, _)| *name == DEVICE);
        device.map(|(_, device)| device.as_str())
    }

    /// One more variable, which is a term.
    fn term(mut self, name: &'static str, text: &str) -> Self {
        self.terms.push((name, text.to_owned()));
        self
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
    let net = inner.downcast_ref::<azud_transport::NetError>();
    let source = inner.downcast_ref::<SourceError>();
    disk.or(store)
        .or(net.map(azud_transport::NetError::code))
        .or(source.map(SourceError::code))
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

    fn words(&self) -> Option<Words> {
        Some(words::image(self))
    }
}

impl Coded for FsError {
    fn code(&self) -> Code {
        self.code()
    }

    fn remedy(&self) -> Option<String> {
        self.remedy().map(str::to_owned)
    }

    fn words(&self) -> Option<Words> {
        Some(words::fs(self))
    }
}

impl Coded for azud_disk::DiskError {
    fn code(&self) -> Code {
        self.code()
    }

    fn words(&self) -> Option<Words> {
        Some(words::disk(self))
    }
}

impl Coded for azud_store::StoreError {
    fn code(&self) -> Code {
        match self {
            Self::Source {
                source: SourceError::Temporary(error) | SourceError::Permanent(error),
                ..
            } => inner_code(error).unwrap_or_else(|| code::of_io(error)),
            _ => self.code(),
        }
    }

    fn words(&self) -> Option<Words> {
        Some(words::store(self))
    }
}

impl Coded for azud_transport::NetError {
    fn code(&self) -> Code {
        words::net_code(self)
    }

    fn words(&self) -> Option<Words> {
        Some(words::net(self))
    }
}

impl Coded for azud_server::ServerError {
    fn code(&self) -> Code {
        self.code()
    }

    fn words(&self) -> Option<Words> {
        Some(words::server(self))
    }
}

impl Coded for azud_core::reference::RefError {
    fn code(&self) -> Code {
        self.code()
    }

    fn words(&self) -> Option<Words> {
        Some(words::reference(self))
    }
}

impl Coded for azud_core::layout::LayoutError {
    fn code(&self) -> Code {
        self.code()
    }

    fn words(&self) -> Option<Words> {
        Some(words::layout(self))
    }
}

impl Coded for PlaceError {
    fn code(&self) -> Code {
        self.code()
    }

    fn words(&self) -> Option<Words> {
        Some(words::place(self))
    }
}

impl Coded for azud_core::name::NameError {
    fn code(&self) -> Code {
        self.code()
    }

    fn words(&self) -> Option<Words> {
        Some(words::name(self))
    }
}

impl Coded for Interrupted {
    fn code(&self) -> Code {
        Code::Interrupted
    }

    fn words(&self) -> Option<Words> {
        Some(words::interrupted())
    }
}

impl Coded for azud_image::foreign::ForeignError {
    fn code(&self) -> Code {
        self.code()
    }

    fn words(&self) -> Option<Words> {
        Some(words::foreign(self))
    }
}

impl Coded for azud_image::signature::SignatureError {
    fn code(&self) -> Code {
        self.code()
    }

    fn words(&self) -> Option<Words> {
        Some(words::signature(self))
    }
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The stable code; its summary and hint come from the catalogue.
    pub code: Code,
    /// What failed in this case, in English; a fixed sentence may be among the terms of other languages.
    pub detail: String,
    /// The same in the words of the catalogue, if it has them.
    pub words: Option<Box<Words>>,
    /// The chain of causes, nearest first.
    pub causes: Vec<String>,
    /// What exactly to do, in the words of the engine: commands and a little English.
    pub remedy: Option<String>,
    /// What to do, if that is known better than the code's hint.
    pub hint: Option<Box<Hint>>,
    /// What to do or to know beside that.
    pub beside: Box<[Hint]>,
    /// What was done all the same, for programs.
    pub result: Option<Box<Value>>,
}

impl Failure {
    /// A failure that begins here.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            words: None,
            causes: Vec::new(),
            remedy: None,
            hint: None,
            beside: Box::default(),
            result: None,
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

    /// An error that goes on to be somebody else's.
    pub fn of<E: Coded>(error: &E) -> Self {
        let mut causes = Vec::new();
        let mut causes_words = Vec::new();
        let mut cause = error.source();
        while let Some(error) = cause {
            causes.push(error.to_string());
            causes_words.push(words::cause(error));
            cause = error.source();
        }
        Self {
            words: error.words().map(|mut words| {
                words.causes = causes_words;
                Box::new(words)
            }),
            causes,
            remedy: error.remedy(),
            ..Self::new(error.code(), error.to_string())
        }
    }

    /// The same failure with words of the catalogue: `detail-<key>`.
    #[must_use]
    pub(crate) fn in_words<const N: usize>(
        self,
        key: &'static str,
        values: [(&'static str, String); N],
    ) -> Self {
        Self {
            words: Some(Box::new(Words::new(key, values))),
            ..self
        }
    }

    /// The same failure of a device: what to do is said with its name.
    #[must_use]
    pub(crate) fn on(mut self, device: &Path) -> Self {
        let device = crate::human::shell_word(device);
        if let Some(words) = &mut self.words {
            words.values.push((DEVICE, device));
        }
        self
    }

    /// The same failure with a better hint.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<Hint>) -> Self {
        Self {
            hint: Some(Box::new(hint.into())),
            ..self
        }
    }

    /// The same failure with one more thing to do or to know, whatever else is to be done.
    #[must_use]
    pub(crate) fn and_hint(self, hint: Hint) -> Self {
        let beside = self.beside.into_iter().chain([hint]).collect();
        Self { beside, ..self }
    }

    /// The same failure, said of something: `context: detail`.
    #[must_use]
    pub fn about(self, context: &str) -> Self {
        let before = |text: &str| format!("{context}: {text}");
        let words = self.words.map(|mut words| {
            words.about = Some(
                words
                    .about
                    .map_or(context.to_owned(), |about| before(&about)),
            );
            words
        });
        Self {
            detail: before(&self.detail),
            words,
            ..self
        }
    }
}

impl<E: Coded> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::of(&error)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use azud_core::code::Code;
    use azud_core::format::FormatError;
    use azud_disk::DiskError;
    use azud_image::ImageError;
    use azud_image::fs::FsError;
    use azud_store::StoreError;
    use azud_store::lease::Holder;

    use super::Failure;
    use crate::i18n::{Catalog, Lang};
    use crate::output::memory::output;

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

    fn azud(here: bool, sender: Option<&str>) -> Holder {
        let (host, pid, since) = ("pc7".to_owned(), 1234, 1_600_000_000);
        Holder::Azud {
            host,
            pid,
            since,
            sender: sender.map(str::to_owned),
            here,
        }
    }

    fn locked(by: Holder) -> StoreError {
        StoreError::Held {
            image: "deb.img".into(),
            by: Box::new(by),
        }
    }

    #[test]
    fn who_has_a_lock_decides_what_to_do_about_it() {
        for (by, [en, es]) in [
            (
                azud(true, None),
                [
                    "process 1234 of this computer",
                    "proceso 1234 de este equipo",
                ],
            ),
            (azud(false, None), ["pc7 is off", "pc7 está apagado"]),
            (
                azud(true, Some("pc9 (10.0.0.9)")),
                [
                    "two minutes after the last sign of life of pc9",
                    "dos minutos después de la última señal de pc9",
                ],
            ),
            (Holder::Ownerless, ["rm 'deb.img.lock'"; 2]),
            (
                Holder::Mounted,
                ["not mounted there: rm 'deb.img.lock'", "rm 'deb.img.lock'"],
            ),
            (
                Holder::Reduced,
                [
                    "not being reduced there: rm 'deb.img.lock'",
                    "rm 'deb.img.lock'",
                ],
            ),
        ] {
            for (lang, wanted) in [(Lang::En, en), (Lang::Es, es)] {
                let (output, _, err) = output(false, false);
                output.failure(&Catalog::new(lang), &locked(by.clone()).into());
                let text = err.text();
                assert!(text.contains(wanted), "{text}");
                assert_eq!(
                    text.contains("Wait") || text.contains("Have"),
                    lang == Lang::En
                );
            }
        }
    }

    #[test]
    fn the_details_of_common_errors_speak_the_users_language() {
        let said = |lang, failure: Failure| {
            let (output, _, err) = output(false, false);
            output.failure(&Catalog::new(lang), &failure.about("aula"));
            err.text().lines().next().unwrap().to_owned()
        };
        let mounted = || DiskError::Mounted {
            path: "/dev/sdz9".into(),
            at: "/home".into(),
        };
        let small = || ImageError::TooSmall { has: 1, needs: 2 };
        assert!(said(Lang::Es, mounted().into()).ends_with(": aula: /dev/sdz9: montado en /home"));
        assert!(said(Lang::En, mounted().into()).ends_with(": aula: /dev/sdz9: mounted on /home"));
        let text = said(Lang::Es, small().into());
        assert!(
            text.ends_with("el destino tiene 1 bytes, la imagen necesita 2 bytes"),
            "{text}"
        );
        // English has the same words as the error itself.
        for failure in [
            Failure::from(small()),
            ImageError::from(FormatError::Trailing { extra: 1, end: 2 }).into(),
            mounted().into(),
            DiskError::NotFound { path: "x".into() }.into(),
            DiskError::Busy {
                path: "x".into(),
                by: "md0".into(),
            }
            .into(),
            StoreError::NotFound("x".into()).into(),
            StoreError::Locked("x".into()).into(),
            StoreError::HalfMoved("x".into()).into(),
            StoreError::SecondName("x".into()).into(),
            locked(Holder::Ownerless).into(),
            locked(Holder::Mounted).into(),
            locked(Holder::Reduced).into(),
            locked(azud(true, None)).into(),
            locked(azud(false, None)).into(),
            FsError::Dirty {
                fs: "ext4",
                why: "why".into(),
                remedy: "",
            }
            .into(),
        ] {
            let (detail, text) = (failure.detail.clone(), said(Lang::En, failure.clone()));
            assert!(text.ends_with(&format!(": aula: {detail}")), "{text}");
            assert_ne!(text, said(Lang::Es, failure.clone()));
            assert!(!said(Lang::Es, failure).contains(&detail), "{detail}");
        }
    }
}
