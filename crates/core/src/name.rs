//! Names of images: what may be typed, and which file it means.
//!
//! Invariant: a name is taken as it is or refused with a reason; it is never changed into another
//! one. The one addition is `.img` where no extension was given.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::code::Code;

/// The extension of an image whose name has none.
pub const EXTENSION: &str = ".img";

/// The longest name, in bytes: what Linux allows (255) less the longest ending of a side file.
pub const MAX_NAME: usize = 255 - LONGEST_ENDING;

const LONGEST_ENDING: usize = ".info.checked".len();

/// The endings of files that stand beside an image and belong to it, ours and those of the stock tools.
pub const SIDE_ENDINGS: &[&str] = &[
    ".info",
    ".info.checked",
    ".sum",
    ".full.sum",
    ".torrent",
    ".torrent.bf",
    ".torrent.bfog",
    ".mcast",
    ".index",
    ".minisig",
    ".https-only",
    ".size",
    ".lock",
    ".ant",
];

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} cannot name an image: {reason}")]
pub struct NameError {
    /// What was given, as far as it is text.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl NameError {
    /// Always [`Code::BadName`].
    pub fn code(&self) -> Code {
        Code::BadName
    }
}

/// The file beside another one that has its name and an ending more.
pub fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The directory that a file lies in, by its path alone: `.` for a bare name.
pub fn folder_of(file: &Path) -> &Path {
    let folder = file.parent().filter(|dir| !dir.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// An image as a file: the directory that holds it and its name there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageFile {
    dir: PathBuf,
    name: String,
}

impl ImageFile {
    /// Understands a plain path: absolute, or relative to the working directory.
    ///
    /// The directories may be anything that exists; only the last component is held to the rules of
    /// names. A relative path whose first component has a `:` is refused, since `REPO:room/image`
    /// means a place, not a directory of that name; with `./` before it, it is a path.
    ///
    /// # Errors
    /// [`Code::BadName`], with the reason.
    pub fn parse(text: impl AsRef<OsStr>) -> Result<Self, NameError> {
        let text = text.as_ref();
        let bytes = text.as_bytes();
        let refuse = |reason| NameError {
            text: text.to_string_lossy().into_owned(),
            reason,
        };
        let first = bytes.split(|b| *b == b'/').next().unwrap_or_default();
        if first.contains(&b':') {
            return Err(refuse(
                "what stands before ':' is no directory (write ./ before a name with a colon)",
            ));
        }
        if bytes.contains(&0) {
            return Err(refuse("it has a NUL character"));
        }
        let (dir, name) = match bytes.iter().rposition(|b| *b == b'/') {
            Some(0) => (PathBuf::from("/"), &bytes[1..]),
            Some(at) => (
                PathBuf::from(OsStr::from_bytes(&bytes[..at])),
                &bytes[at + 1..],
            ),
            None => (PathBuf::from("."), bytes),
        };
        let name = std::str::from_utf8(name).map_err(|_| refuse("it is not UTF-8"))?;
        let name = complete(name).map_err(refuse)?;
        Ok(Self { dir, name })
    }

    /// A file of exactly this name in a directory; nothing is added to it.
    ///
    /// # Errors
    /// [`Code::BadName`], with the reason.
    pub fn in_dir(dir: impl Into<PathBuf>, name: &str) -> Result<Self, NameError> {
        let refuse = |reason| NameError {
            text: name.to_owned(),
            reason,
        };
        check(name).map_err(refuse)?;
        if name.len() > MAX_NAME {
            return Err(refuse(
                "it is too long: no room is left for the endings of its side files",
            ));
        }
        Ok(Self {
            dir: dir.into(),
            name: name.to_owned(),
        })
    }

    /// The directory that holds it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The name of the file, extension included.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name without its last extension.
    pub fn stem(&self) -> &str {
        self.name
            .rsplit_once('.')
            .map_or(self.name.as_str(), |(stem, _)| stem)
    }

    /// The path of the image.
    pub fn path(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    /// The path of a side file, by its ending (`.info` …).
    pub fn beside(&self, ending: &str) -> PathBuf {
        let mut name = OsString::from(&self.name);
        name.push(ending);
        self.dir.join(name)
    }
}

impl fmt::Display for ImageFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path().display().fmt(f)
    }
}

/// Whether a file of this name belongs to an image rather than being one.
pub fn is_side_file(name: &str) -> bool {
    let ends = |ending: &str| {
        let start = name.len().saturating_sub(ending.len());
        start > 0 && name.as_bytes()[start..].eq_ignore_ascii_case(ending.as_bytes())
    };
    SIDE_ENDINGS.iter().any(|ending| ends(ending))
}

/// The name of an image's file from what was typed: as it is, with [`EXTENSION`] if it has none.
pub(crate) fn complete(name: &str) -> Result<String, &'static str> {
    check(name)?;
    let name = if name.contains('.') {
        name.to_owned()
    } else {
        format!("{name}{EXTENSION}")
    };
    if name.len() > MAX_NAME {
        return Err("it is too long: no room is left for the endings of its side files");
    }
    Ok(name)
}

fn check(name: &str) -> Result<(), &'static str> {
    check_component(name)?;
    if is_side_file(name) {
        return Err("it ends like a side file of another image");
    }
    Ok(())
}

/// The rules for every part of a path inside a repository, folders included.
pub(crate) fn check_component(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("the name is empty");
    }
    if name == ".." || name == "." {
        return Err("it is a way through directories, not a name");
    }
    if name.starts_with('.') {
        return Err("names that begin with '.' are hidden files");
    }
    if name.contains('/') {
        return Err("it has a '/'");
    }
    if name.chars().any(char::is_control) {
        return Err("it has a control character");
    }
    if name.len() > 255 {
        return Err("a part of it is longer than 255 bytes");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{ImageFile, MAX_NAME, NameError, SIDE_ENDINGS, is_side_file};
    use crate::code::Code;
    use proptest::prelude::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    fn parts(text: &str) -> (String, String) {
        let image = ImageFile::parse(text).expect(text);
        (image.dir().display().to_string(), image.name().to_owned())
    }

    fn refused(text: impl AsRef<OsStr>) -> NameError {
        let error = ImageFile::parse(text.as_ref()).expect_err("to be refused");
        assert_eq!(error.code(), Code::BadName);
        error
    }

    #[test]
    fn plain_paths_name_files() {
        let pair = |dir: &str, name: &str| (dir.to_owned(), name.to_owned());
        assert_eq!(parts("win10"), pair(".", "win10.img"));
        assert_eq!(parts("./win10.img"), pair(".", "win10.img"));
        assert_eq!(parts("/win10.dsk"), pair("/", "win10.dsk"));
        assert_eq!(parts("/opt/aula 3/ñandú"), pair("/opt/aula 3", "ñandú.img"));
        assert_eq!(
            parts("../.hidden/../x/deb"),
            pair("../.hidden/../x", "deb.img")
        );
        assert_eq!(parts("./a:b"), pair(".", "a:b.img"));
        assert_eq!(ImageFile::parse("a/deb.v2.img").unwrap().stem(), "deb.v2");
    }

    #[test]
    fn side_files_stand_beside() {
        let image = ImageFile::parse("/i/deb").unwrap();
        assert_eq!(image.beside(".full.sum"), Path::new("/i/deb.img.full.sum"));
        assert_eq!(image.to_string(), "/i/deb.img");
    }

    #[test]
    fn bad_names_are_refused_with_the_reason() {
        for (text, word) in [
            ("", "empty"),
            ("dir/", "empty"),
            ("/", "empty"),
            ("..", "way"),
            ("a/..", "way"),
            ("a/.", "way"),
            (".azud-trash", "hidden"),
            ("a/.x.img", "hidden"),
            ("a\nb", "control"),
            ("a\u{85}b", "control"),
            ("a\0b", "NUL"),
            ("win.img.sum", "side file"),
            ("win.img.FULL.SUM", "side file"),
            ("REPO:win", "before ':'"),
            ("[::1]:win", "before ':'"),
        ] {
            let error = refused(text);
            assert!(error.to_string().contains(word), "{text:?}: {error}");
        }
        assert!(
            refused(OsStr::from_bytes(b"dir/\xff.img"))
                .reason
                .contains("UTF-8")
        );
        assert!(
            ImageFile::parse(OsStr::from_bytes(b"/\xff/win")).is_ok(),
            "directories are what they are"
        );
    }

    #[test]
    fn side_files_of_the_longest_name_still_fit() {
        assert!(ImageFile::parse("n".repeat(MAX_NAME - 4)).is_ok());
        assert!(refused("n".repeat(MAX_NAME - 3)).reason.contains("long"));
        assert!(ImageFile::in_dir(".", &"n".repeat(MAX_NAME + 1)).is_err());
        let longest = SIDE_ENDINGS.iter().map(|e| e.len()).max().unwrap();
        assert!(MAX_NAME + longest <= 255);
    }

    #[test]
    fn side_files_are_told_from_images() {
        for name in ["a.img.info", "a.img.sum", "a.img.torrent.bf", "a.INFO"] {
            assert!(is_side_file(name), "{name}");
        }
        for name in ["a.img", "sum", ".sum", "a.summary", "ñ", "e\u{301}"] {
            assert!(!is_side_file(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn proptest_names_are_kept_or_refused(text in "\\PC{0,40}|[./a:\\x00-\\x20]{0,12}") {
            if let Ok(image) = ImageFile::parse(&text) {
                let last = text.rsplit('/').next().unwrap();
                let with_extension = format!("{last}.img");
                prop_assert!(image.name() == last || image.name() == with_extension);
                let path = image.path();
                prop_assert_eq!(path.parent(), Some(image.dir()));
            }
        }
    }
}
