//! What a user types to name a place, an image in it, or a device.
//!
//! Invariant: a reference is understood as it is or refused with a reason. Only where the contract says
//! that two spellings mean the same (`repo` and `REPO`, the text forms of an IPv6 address, `.img` where
//! no extension is given) does one stand for the other.

mod device;
mod place;

use std::ffi::OsStr;
use std::fmt;
use std::net::Ipv6Addr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::code::Code;
use crate::layout::is_reserved;
use crate::name::{EXTENSION, NameError, check_component, complete};

pub use device::{DeviceRef, is_nearly_a_device};
pub(crate) use place::address;
pub use place::{Host, Media, Removable, Where};

/// The longest path inside a repository, in bytes: what Linux allows (4096) less room for where the
/// repository lies and for side files.
pub const MAX_PATH: usize = 3072;

/// Why a reference is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefError {
    /// The image's name or a folder's.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The place.
    #[error("{text:?} names no repository: {reason}")]
    Place {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The device.
    #[error("{text:?} names no device: {reason}")]
    Device {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl RefError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Name(error) => error.code(),
            Self::Place { .. } => Code::BadPlace,
            Self::Device { .. } => Code::BadDevice,
        }
    }
}

/// An image, as it is named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageRef {
    /// A path of this machine.
    Path(PathBuf),
    /// An image in a repository.
    Placed {
        /// Which repository.
        place: Where,
        /// Where in it.
        image: SubPath,
    },
}

impl ImageRef {
    /// Understands `WHERE:folder/name`, or a plain path. Whatever has no `:` in its first component is a
    /// path, so `./` before a name makes it one.
    ///
    /// # Errors
    /// [`RefError::Place`] or [`RefError::Name`]. Of a plain path nothing is checked here.
    pub fn parse(text: impl AsRef<OsStr>) -> Result<Self, RefError> {
        let text = text.as_ref();
        let Some((place, rest)) = split(text)? else {
            return Ok(Self::Path(text.into()));
        };
        Ok(Self::Placed {
            place: Where::parse(place)?,
            image: SubPath::parse(rest).map_err(|error| as_typed(&error, text))?,
        })
    }

    /// The one of its spellings that says no more than it has to.
    pub fn brief(&self) -> String {
        match self {
            Self::Path(path) => path.to_string_lossy().into_owned(),
            Self::Placed { place, image } => format!("{place}:{}", image.brief()),
        }
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Placed { place, image } => write!(f, "{place}:{image}"),
        }
    }
}

/// A folder of images, as it is named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FolderRef {
    /// A path of this machine.
    Path(PathBuf),
    /// A folder in a repository.
    Placed {
        /// Which repository.
        place: Where,
        /// Where in it.
        folder: Folder,
    },
}

impl FolderRef {
    /// Understands `WHERE:folder`, `WHERE:` for the whole repository, or a plain path.
    ///
    /// # Errors
    /// As [`ImageRef::parse`].
    pub fn parse(text: impl AsRef<OsStr>) -> Result<Self, RefError> {
        let text = text.as_ref();
        let Some((place, rest)) = split(text)? else {
            return Ok(Self::Path(text.into()));
        };
        Ok(Self::Placed {
            place: Where::parse(place)?,
            folder: Folder::parse(rest).map_err(|error| as_typed(&error, text))?,
        })
    }
}

impl fmt::Display for FolderRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Placed { place, folder } => write!(f, "{place}:{folder}"),
        }
    }
}

/// An error of the part of a reference, said of all of it: nobody typed the part alone.
fn as_typed(error: &NameError, text: &OsStr) -> NameError {
    NameError {
        text: text.to_string_lossy().into_owned(),
        reason: error.reason,
    }
}

const BRACKETS: &str = "an IPv6 address is written [ADDRESS]: before the image's name";

/// Takes `WHERE:rest` apart; `None` for a plain path.
fn split(text: &OsStr) -> Result<Option<(&str, &str)>, RefError> {
    let bytes = text.as_bytes();
    let first = bytes.split(|byte| *byte == b'/').next().unwrap_or_default();
    if !first.contains(&b':') {
        return Ok(None);
    }
    let refuse = |reason| RefError::Place {
        text: text.to_string_lossy().into_owned(),
        reason,
    };
    let text = text.to_str().ok_or_else(|| refuse("it is not UTF-8"))?;
    let first = text.split('/').next().unwrap_or_default();
    if first
        .rsplit_once(':')
        .is_some_and(|(before, _)| before.parse::<Ipv6Addr>().is_ok())
    {
        return Err(refuse(BRACKETS));
    }
    let end = if text.starts_with('[') {
        text.find(']').map_or(0, |at| at + 1)
    } else {
        text.find(':').unwrap_or_default()
    };
    let (place, rest) = text.split_at(end);
    let rest = rest.strip_prefix(':').ok_or_else(|| refuse(BRACKETS))?;
    Ok(Some((place, rest)))
}

/// A folder inside a repository: the components, none for the repository itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Folder(Vec<String>);

impl Folder {
    /// Understands `a/b`, or nothing at all for the repository itself.
    ///
    /// # Errors
    /// [`NameError`] for an empty, hidden, `..` or overlong component, a control character, and a first
    /// component that means a repository.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let refuse = |reason| NameError {
            text: text.to_owned(),
            reason,
        };
        let parts: Vec<String> = text.split('/').map(str::to_owned).collect();
        parts
            .iter()
            .try_for_each(|part| check_component(part))
            .map_err(refuse)?;
        check_first(&parts[0]).map_err(refuse)?;
        if text.len() > MAX_PATH {
            return Err(refuse("the path is too long"));
        }
        Ok(Self(parts))
    }

    /// Its components, from the repository down.
    pub fn components(&self) -> &[String] {
        &self.0
    }

    /// The path from the repository; empty for the repository itself.
    pub fn path(&self) -> PathBuf {
        self.0.iter().collect()
    }

    /// Whether it is the repository itself.
    pub fn is_top(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

/// Where an image lies in its repository: the same in the manager's and in every cache.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubPath {
    folder: Folder,
    name: String,
}

impl SubPath {
    /// Understands `folder/name`; `.img` is added to a name without an extension.
    ///
    /// # Errors
    /// As [`Folder::parse`]; also names of side files and names that leave no room for them.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let refuse = |reason| NameError {
            text: text.to_owned(),
            reason,
        };
        let (folder, name) = match text.rsplit_once('/') {
            Some(("", _)) => return Err(refuse("it begins with '/'")),
            Some((folder, name)) => {
                let folder = Folder::parse(folder).map_err(|error| refuse(error.reason))?;
                (folder, name)
            }
            None => (Folder::default(), text),
        };
        let name = complete(name).map_err(refuse)?;
        if folder.is_top() {
            check_first(&name).map_err(refuse)?;
        }
        if text.len() > MAX_PATH {
            return Err(refuse("the path is too long"));
        }
        Ok(Self { folder, name })
    }

    /// The folder that holds it.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The name of the file, extension included.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path from the repository.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(Path::new(&self.name))
    }

    /// Without the extension that goes without saying.
    fn brief(&self) -> String {
        let mut whole = self.to_string();
        let bare = self.name.strip_suffix(EXTENSION);
        if bare.is_some_and(|bare| complete(bare).as_ref() == Ok(&self.name)) {
            whole.truncate(whole.len() - EXTENSION.len());
        }
        whole
    }
}

impl fmt::Display for SubPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.folder.is_top() {
            write!(f, "{}/", self.folder)?;
        }
        f.write_str(&self.name)
    }
}

/// A repository's own entries must not look like other repositories, which stand in the same root.
fn check_first(name: &str) -> Result<(), &'static str> {
    if is_reserved(name) {
        return Err(
            "its first part means another repository or is kept for the system; rename that folder, \
             or write the repository before the ':'",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Folder, FolderRef, ImageRef, MAX_PATH, RefError, SubPath, Where};
    use crate::code::Code;
    use crate::name::MAX_NAME;
    use proptest::prelude::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    fn placed(text: &str) -> (Where, String) {
        match ImageRef::parse(text).expect(text) {
            ImageRef::Placed { place, image } => (place, image.to_string()),
            ImageRef::Path(path) => panic!("{text} is the path {}", path.display()),
        }
    }

    fn refused(text: impl AsRef<OsStr>) -> RefError {
        ImageRef::parse(text.as_ref()).expect_err("to be refused")
    }

    #[test]
    fn an_image_has_one_brief_name() {
        for (text, brief) in [
            ("REPO:aula1/win", "REPO:aula1/win"),
            ("repo:aula1/win.img", "REPO:aula1/win"),
            ("[FD00:0::1]:win.img", "[fd00::1]:win"),
            ("localhost:win.dsk", "CACHE:win.dsk"),
            ("REPO:win.10.img", "REPO:win.10.img"),
            ("./win.img", "./win.img"),
        ] {
            let image = ImageRef::parse(text).unwrap();
            assert_eq!(image.brief(), brief);
            assert_eq!(ImageRef::parse(image.brief()).unwrap(), image, "{text}");
        }
    }

    #[test]
    fn images_have_a_place_and_a_path_in_it() {
        let image = |text: &str| text.to_owned();
        assert_eq!(
            placed("REPO:aula1/win11"),
            (Where::Manager, image("aula1/win11.img"))
        );
        assert_eq!(placed("cache:deb.dsk"), (Where::Cache, image("deb.dsk")));
        let (place, path) = placed("[2001:DB8::1]:Grado/año 2/ñandú");
        assert_eq!(place.to_string(), "[2001:db8::1]");
        assert_eq!(path, "Grado/año 2/ñandú.img");
        assert_eq!(placed("10.1.2.3:a:b").1, "a:b.img");
        assert_eq!(placed("USB-tools:x").0.to_string(), "USB-tools");
    }

    #[test]
    fn plain_paths_stay_paths() {
        for text in [
            "win11",
            "./REPO:x",
            "../a:b",
            "/a:b",
            "aula/REPO:x",
            "..",
            "",
        ] {
            let parsed = ImageRef::parse(text).unwrap();
            assert_eq!(parsed, ImageRef::Path(text.into()));
        }
        let strange = OsStr::from_bytes(b"\xff/x:y");
        assert_eq!(ImageRef::parse(strange), Ok(ImageRef::Path(strange.into())));
    }

    #[test]
    fn bad_names_inside_a_place_are_refused_with_the_reason() {
        let long = "n".repeat(256);
        for (text, word) in [
            ("REPO:", "empty"),
            ("REPO:a//b", "empty"),
            ("REPO:a/", "empty"),
            ("REPO:/a", "begins with '/'"),
            ("REPO:..", "way"),
            ("REPO:../x", "way"),
            ("REPO:a/../x", "way"),
            ("REPO:a/./x", "way"),
            ("REPO:.azud-trash/x", "hidden"),
            ("REPO:a/.x", "hidden"),
            ("REPO:a\nb/x", "control"),
            ("REPO:a\u{9b}", "control"),
            ("REPO:a\0", "control"),
            ("REPO:win.img.sum", "side file"),
            (&format!("REPO:{long}/x"), "255"),
            (&format!("REPO:{}", "n".repeat(MAX_NAME - 3)), "too long"),
            ("REPO:10.0.0.1/x", "rename that folder"),
            ("REPO:10.0.0.1", "rename that folder"),
            ("REPO:[::1]/x", "rename that folder"),
            ("REPO:fe80::1/x", "rename that folder"),
            ("REPO:Cache/x", "rename that folder"),
            ("REPO:usb-blue/x", "rename that folder"),
            ("REPO:mount/x", "rename that folder"),
        ] {
            let error = refused(text);
            assert_eq!(error.code(), Code::BadName, "{text:?}");
            assert!(error.to_string().contains(word), "{text:?}: {error}");
            let typed = format!("{text:?} cannot name");
            assert!(error.to_string().starts_with(&typed), "{text:?}: {error}");
        }
        let folder = FolderRef::parse("REPO:a/../b").unwrap_err().to_string();
        assert!(folder.starts_with("\"REPO:a/../b\" cannot"), "{folder}");
        let bare = SubPath::parse("a/../b/c").unwrap_err();
        assert_eq!(bare.text, "a/../b/c");
        assert!(SubPath::parse(&format!("{}x", "a/".repeat(MAX_PATH / 2))).is_err());
        assert!(SubPath::parse("aula/10.0.0.1/x").is_ok(), "only the first");
        assert!(SubPath::parse(&format!("{}/x", "n".repeat(255))).is_ok());
    }

    #[test]
    fn bad_places_are_refused_with_the_reason() {
        for (text, word) in [
            (":x", "empty"),
            ("[::1]", "[ADDRESS]:"),
            ("[::1]x:y", "[ADDRESS]:"),
            ("[::1:x", "[ADDRESS]:"),
            ("fe80::1:x", "[ADDRESS]:"),
            ("fd00:1::2:x/y", "[ADDRESS]:"),
            ("10.0.0.300:x", "address"),
            ("a b:x", "host"),
        ] {
            let error = refused(text);
            assert!(error.to_string().contains(word), "{text:?}: {error}");
        }
        let strange = refused(OsStr::from_bytes(b"REPO:\xff"));
        assert_eq!(strange.code(), Code::BadPlace);
    }

    #[test]
    fn folders_may_be_the_repository_itself() {
        let folder = |text: &str| match FolderRef::parse(text).expect(text) {
            FolderRef::Placed { folder, .. } => Some(folder.path()),
            FolderRef::Path(_) => None,
        };
        assert_eq!(folder("REPO:").as_deref(), Some(Path::new("")));
        assert_eq!(folder("CACHE:a/b").as_deref(), Some(Path::new("a/b")));
        assert_eq!(folder("a/b"), None);
        assert!(FolderRef::parse("REPO:a/").is_err());
        assert_eq!(Folder::parse("a/b").unwrap().components(), ["a", "b"]);
        assert_eq!(FolderRef::parse("repo:a").unwrap().to_string(), "REPO:a");
    }

    proptest! {
        #[test]
        fn proptest_references_survive_being_printed(
            text in "(REPO|cache|10\\.0\\.0\\.[0-9]{1,3}|\\[fe80::[0-9a-f]{1,4}\\]|USB-[a-zA-Z.]{1,4}|[a-z.-]{0,8})?:?[\\PC]{0,30}"
        ) {
            if let Ok(image) = ImageRef::parse(&text) {
                let again = ImageRef::parse(image.to_string()).unwrap();
                prop_assert_eq!(&again, &image);
            }
            if let Ok(folder) = FolderRef::parse(&text) {
                prop_assert_eq!(&FolderRef::parse(folder.to_string()).unwrap(), &folder);
            }
        }

        #[test]
        fn proptest_paths_never_leave_the_repository(text in "[./a:~\\x00-\\x20ñ-]{0,16}|\\PC{0,40}") {
            if let Ok(image) = SubPath::parse(&text) {
                let path = image.path();
                prop_assert!(path.is_relative());
                let plain = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
                prop_assert!(plain, "{}", path.display());
                let printed = image.to_string();
                let with_extension = format!("{text}.img");
                prop_assert!(printed == text || printed == with_extension);
            }
        }
    }
}
