//! Where repositories lie on a machine: the two layouts, and names that are kept for them.

use std::path::{Component, Path, PathBuf};

use crate::code::Code;
use crate::reference::{Host, Media, Removable, Where, address};

/// How a site lays out its trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Everything under one root: `/opt/opengnsys/images`.
    OpenGnsys,
    /// The older one: `/var/opt/<package>/hdimages`.
    Eac,
}

impl Profile {
    /// By its name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }

    /// Both.
    pub const ALL: [Self; 2] = [Self::OpenGnsys, Self::Eac];

    /// `opengnsys` or `eac`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenGnsys => "opengnsys",
            Self::Eac => "eac",
        }
    }
}

/// Why a layout cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?}: {reason}")]
pub struct LayoutError {
    /// The setting.
    pub what: &'static str,
    /// Its value.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl LayoutError {
    /// Always [`Code::BadConfig`].
    pub fn code(&self) -> Code {
        Code::BadConfig
    }
}

/// The folder at which the cache is mounted under the root; its other names are links to it.
pub const CACHE_FOLDER: &str = "localhost";
/// The hidden directory of views.
pub const VIEWS: &str = ".azud-view";

const OPENGNSYS: &str = "opt/opengnsys/images";
/// Where OpenGnsys 1 mounts the cache.
const OPENGNSYS_CACHE: &str = "/opt/opengnsys/cache";
const MNT: &str = "/mnt";

/// The paths of a layout on this machine. All are absolute, UTF-8 and free of `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    profile: Profile,
    /// Where images lie inside a cache partition, relative.
    inner: PathBuf,
    root: PathBuf,
    mnt: PathBuf,
}

impl Layout {
    /// A layout with its usual root, or another one. `package` is for [`Profile::Eac`] only.
    ///
    /// # Errors
    /// [`LayoutError`] for a package that is missing, not wanted or no name; for a root that is relative,
    /// `/`, not UTF-8, or has `..` or control characters in it.
    pub fn new(
        profile: Profile,
        package: Option<&str>,
        root: Option<&Path>,
    ) -> Result<Self, LayoutError> {
        let inner = match (profile, package) {
            (Profile::OpenGnsys, None) => OPENGNSYS.to_owned(),
            (Profile::Eac, Some(package)) => {
                check_package(package)?;
                format!("var/opt/{package}/hdimages")
            }
            (Profile::Eac, None) => {
                return Err(refuse("package", "", "the layout eac needs one"));
            }
            (Profile::OpenGnsys, Some(package)) => {
                return Err(refuse("package", package, "only the layout eac has one"));
            }
        };
        let usual = Path::new("/").join(&inner);
        Ok(Self {
            profile,
            root: directory("root", root.unwrap_or(&usual))?,
            inner: inner.into(),
            mnt: MNT.into(),
        })
    }

    /// The same, with another directory for what is mounted outside the root (`/mnt`).
    ///
    /// # Errors
    /// [`LayoutError`], as for the root.
    pub fn with_mnt(self, mnt: &Path) -> Result<Self, LayoutError> {
        Ok(Self {
            mnt: directory("mnt", mnt)?,
            ..self
        })
    }

    /// Which one it is.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The images root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where removable storage is mounted, and under `eac` everything but the manager's tree.
    pub fn mnt(&self) -> &Path {
        &self.mnt
    }

    /// Where images lie inside a cache partition, relative to its top.
    pub fn inner(&self) -> &Path {
        &self.inner
    }

    /// The directory in which other repositories are mounted and aliases stand.
    pub fn base(&self) -> &Path {
        match self.profile {
            Profile::OpenGnsys => &self.root,
            Profile::Eac => &self.mnt,
        }
    }

    /// Where the views lie.
    pub fn views(&self) -> PathBuf {
        self.base().join(VIEWS)
    }

    /// Where another computer's repository is mounted.
    pub fn host_mount(&self, host: &Host) -> PathBuf {
        self.base().join(host.to_string())
    }

    /// Where a removable medium is mounted.
    pub fn removable_mount(&self, medium: &Removable) -> PathBuf {
        self.mnt.join(medium.to_string())
    }

    /// Where the cache partition is mounted. `device` is the kernel's name of it (`sda4`), which only
    /// [`Profile::Eac`] uses.
    pub fn cache_mount(&self, device: &str) -> PathBuf {
        match self.profile {
            Profile::OpenGnsys => self.root.join(CACHE_FOLDER),
            Profile::Eac => self.mnt.join(device.replace(['/', '!'], "_")),
        }
    }

    /// Where OpenGnsys itself mounts the cache: found there too, as long as the root is the usual one.
    pub fn former_cache_mount(&self) -> Option<&Path> {
        let usual = self.root == Path::new("/").join(OPENGNSYS);
        (usual && self.profile == Profile::OpenGnsys).then_some(Path::new(OPENGNSYS_CACHE))
    }
}

fn refuse(what: &'static str, text: &str, reason: &'static str) -> LayoutError {
    LayoutError {
        what,
        text: text.to_owned(),
        reason,
    }
}

fn check_package(package: &str) -> Result<(), LayoutError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if package.is_empty()
        || package.starts_with('.')
        || package.len() > 64
        || !package.bytes().all(plain)
    {
        let reason = "it has letters, digits, '-', '_' and '.', and does not begin with '.'";
        return Err(refuse("package", package, reason));
    }
    Ok(())
}

/// The directory without superfluous slashes.
fn directory(what: &'static str, path: &Path) -> Result<PathBuf, LayoutError> {
    let text = path.to_string_lossy();
    let refuse = |reason| Err(refuse(what, &text, reason));
    if path.to_str().is_none() {
        return refuse("it is not UTF-8");
    }
    if text.chars().any(char::is_control) {
        return refuse("it has a control character");
    }
    if !path.is_absolute() {
        return refuse("it does not begin with '/'");
    }
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => return refuse("it has '..' in it"),
            Component::CurDir => {}
            part => clean.push(part),
        }
    }
    if clean == Path::new("/") {
        return refuse("it is the root of the whole system");
    }
    Ok(clean)
}

/// Directories of OpenGnsys in the root that hold no images of their own.
const NO_IMAGES: [&str; 2] = ["mount", "groups"];

/// Whether an entry of the images root is an address, an alias or a folder without images: scans leave it
/// out, and no image or organisational unit may be named so.
pub fn is_reserved(name: &str) -> bool {
    address(name).is_some() || is_alias(name) || NO_IMAGES.contains(&name)
}

/// Whether a name is an alias in any case: `REPO`, `CACHE`, `localhost`, `USB-…`, `DVD-…`.
fn is_alias(name: &str) -> bool {
    let starts = |media: Media| {
        let prefix = media.prefix();
        name.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    Media::ALL.into_iter().any(starts)
        || matches!(Where::parse(name), Ok(Where::Manager | Where::Cache))
}

#[cfg(test)]
mod tests {
    use super::{Layout, Profile, is_reserved};
    use crate::code::Code;
    use crate::reference::{Media, Removable, Where};
    use std::path::Path;

    fn host(layout: &Layout, text: &str) -> String {
        let Ok(Where::Host(host)) = Where::parse(text) else {
            panic!("{text}")
        };
        layout.host_mount(&host).display().to_string()
    }

    #[test]
    fn the_usual_paths_are_those_of_the_contract() {
        let layout = Layout::new(Profile::OpenGnsys, None, None).unwrap();
        assert_eq!(layout.root(), Path::new("/opt/opengnsys/images"));
        assert_eq!(layout.inner(), Path::new("opt/opengnsys/images"));
        assert_eq!(
            layout.cache_mount("sda4"),
            Path::new("/opt/opengnsys/images/localhost")
        );
        assert_eq!(host(&layout, "10.0.0.9"), "/opt/opengnsys/images/10.0.0.9");
        assert_eq!(host(&layout, "fe80::9"), "/opt/opengnsys/images/[fe80::9]");
        let stick = Removable::new(Media::Usb, "tools").unwrap();
        assert_eq!(layout.removable_mount(&stick), Path::new("/mnt/USB-tools"));
        assert!(layout.former_cache_mount().is_some());

        let eac = Layout::new(Profile::Eac, Some("eac"), None).unwrap();
        assert_eq!(eac.root(), Path::new("/var/opt/eac/hdimages"));
        assert_eq!(eac.inner(), Path::new("var/opt/eac/hdimages"));
        assert_eq!(eac.cache_mount("sda4"), Path::new("/mnt/sda4"));
        assert_eq!(
            eac.cache_mount("cciss!c0d0p1"),
            Path::new("/mnt/cciss_c0d0p1")
        );
        assert_eq!(host(&eac, "nas"), "/mnt/nas");
        assert_eq!(eac.former_cache_mount(), None);
    }

    #[test]
    fn another_root_is_taken_as_it_is() {
        let layout =
            Layout::new(Profile::OpenGnsys, None, Some(Path::new("//srv/./img/"))).unwrap();
        assert_eq!(layout.root(), Path::new("/srv/img"));
        assert_eq!(layout.former_cache_mount(), None);
        let layout = layout.with_mnt(Path::new("/run/media")).unwrap();
        assert_eq!(layout.mnt(), Path::new("/run/media"));
        for root in ["", "images", "/", "/a/../b", "/a\nb"] {
            let error = Layout::new(Profile::OpenGnsys, None, Some(Path::new(root)));
            assert_eq!(error.unwrap_err().code(), Code::BadConfig, "{root:?}");
        }
    }

    #[test]
    fn eac_needs_a_package_and_opengnsys_has_none() {
        assert!(Layout::new(Profile::Eac, None, None).is_err());
        assert!(Layout::new(Profile::OpenGnsys, Some("eac"), None).is_err());
        for package in ["", ".x", "..", "a/b", "a b", "ñ"] {
            assert!(Layout::new(Profile::Eac, Some(package), None).is_err());
        }
        assert_eq!(Profile::parse("eac"), Some(Profile::Eac));
        assert_eq!(Profile::parse("EAC"), None);
    }

    #[test]
    fn entries_of_the_root_that_are_no_units() {
        for name in [
            "10.0.0.1",
            "[fe80::1]",
            "fe80::1",
            "REPO",
            "repo",
            "Cache",
            "localhost",
            "127.0.0.1",
            "USB-x",
            "usb-",
            "DVD-a b",
            "mount",
            "groups",
        ] {
            assert!(is_reserved(name), "{name}");
        }
        for name in [
            "aula1",
            "10.0.0",
            "repo1",
            "usb",
            "a.img",
            "Mount",
            "nas.example.org",
        ] {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
