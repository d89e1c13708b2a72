//! What stands behind the names: files in containers, partitions by number, repositories by name.

use azud_core::code::Code;
use azud_core::reference::{Folder, Host, SubPath, Where};

use crate::failure::Failure;

/// Where a file lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Container {
    /// The manager's tree.
    Repo,
    /// The cache's tree.
    Cache,
    /// The disc in the drive.
    Cdrom,
    /// A partition's file system.
    Partition(Partition),
}

/// A partition as OpenGnsys counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Partition {
    /// The disk, from 1.
    pub(crate) disk: u32,
    /// The partition, from 1.
    pub(crate) part: u32,
}

/// A file or folder, as functions are given it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileArg {
    /// A path of this machine, with single slashes.
    Path(String),
    /// A path in a container, by its names.
    In(Container, Vec<String>),
}

/// Why arguments are refused. The right order is shown beside it.
pub(crate) fn refuse(why: impl Into<String>) -> Failure {
    Failure::new(Code::Usage, why)
}

/// No arguments.
///
/// # Errors
/// `cli/usage`.
pub(crate) fn none(args: &[String]) -> Result<(), Failure> {
    match args {
        [] => Ok(()),
        _ => Err(refuse(args.join(" "))),
    }
}

/// `[REPO|CACHE|CDROM] path` or `disk part path`.
///
/// # Errors
/// `cli/usage`, `image/bad-name`.
pub(crate) fn file(args: &[String]) -> Result<FileArg, Failure> {
    match args {
        [path] if path.starts_with('/') => Ok(FileArg::Path(squeezed(path))),
        [path] => Err(refuse(format!("{path:?} does not begin with '/'"))),
        [container, path] => inside(self::container(container)?, path),
        [disk, part, path] => inside(Container::Partition(Partition::parse(disk, part)?), path),
        _ => Err(refuse(format!("{} arguments", args.len()))),
    }
}

/// `CACHE`, `CDROM` or `disk part`: what can be mounted.
///
/// # Errors
/// `cli/usage`.
pub(crate) fn mountable(args: &[String]) -> Result<Container, Failure> {
    match args {
        [word] => match container(word)? {
            Container::Repo => Err(refuse("MountRepo mounts repositories")),
            other => Ok(other),
        },
        [disk, part] => Ok(Container::Partition(Partition::parse(disk, part)?)),
        _ => Err(refuse(format!("{} arguments", args.len()))),
    }
}

fn container(text: &str) -> Result<Container, Failure> {
    match text.to_ascii_uppercase().as_str() {
        "REPO" => Ok(Container::Repo),
        "CACHE" => Ok(Container::Cache),
        "CDROM" => Ok(Container::Cdrom),
        _ => Err(refuse(format!("{text:?} is not REPO, CACHE or CDROM"))),
    }
}

/// Slashes before, between and after names do not count. In repositories the rules for names hold; of other
/// file systems anything is said that does not climb.
fn inside(container: Container, path: &str) -> Result<FileArg, Failure> {
    let plain = squeezed(path);
    let plain = plain.trim_matches('/');
    let names = match container {
        Container::Repo | Container::Cache => Folder::parse(plain)?.components().to_vec(),
        Container::Cdrom | Container::Partition(_) => {
            let names = plain.split('/').filter(|name| !name.is_empty());
            names.map(str::to_owned).collect()
        }
    };
    if names.iter().any(|name| matches!(name.as_str(), "." | "..")) {
        return Err(Failure::new(Code::BadName, path));
    }
    Ok(FileArg::In(container, names))
}

/// The path with single slashes, and none at its end.
fn squeezed(path: &str) -> String {
    let parts = path.split('/').filter(|part| !part.is_empty());
    let joined = parts.collect::<Vec<_>>().join("/");
    if path.starts_with('/') {
        format!("/{joined}")
    } else {
        joined
    }
}

impl Partition {
    /// Understands two numbers from 1.
    ///
    /// # Errors
    /// `cli/usage`.
    pub(crate) fn parse(disk: &str, part: &str) -> Result<Self, Failure> {
        let number = |text: &str, what: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let value = if digits { text.parse().ok() } else { None };
            value
                .filter(|number| *number > 0)
                .ok_or_else(|| refuse(format!("{text:?} is no number of a {what}")))
        };
        Ok(Self {
            disk: number(disk, "disk")?,
            part: number(part, "partition")?,
        })
    }
}

/// `REPO`, `CACHE` or a computer's address, as scripts are given it.
///
/// # Errors
/// `cli/usage`.
pub(crate) fn place(text: &str) -> Result<Where, Failure> {
    let wrong = || refuse(format!("{text:?} is not REPO, CACHE or an address"));
    match Where::parse(text).map_err(|_| wrong())? {
        place @ Where::Host(Host::Address(_)) => Ok(place),
        Where::Manager => Ok(Where::Manager),
        // A loopback address too.
        Where::Cache => Ok(Where::Cache),
        _ => Err(wrong()),
    }
}

/// The name of an image as scripts are given it: without its extension, which is `.img`.
///
/// # Errors
/// `cli/usage` for an empty one and one with the extension; `image/bad-name`.
pub(crate) fn image(name: &str) -> Result<SubPath, Failure> {
    with_extension(name, ".img")
}

/// The same with another extension.
///
/// # Errors
/// As [`image`].
pub(crate) fn with_extension(name: &str, extension: &str) -> Result<SubPath, Failure> {
    let plain = squeezed(name);
    let plain = plain.trim_start_matches('/');
    if plain.is_empty() || name.ends_with('/') {
        return Err(refuse(format!("{name:?} is no image's name")));
    }
    if plain.to_ascii_lowercase().ends_with(".img") {
        return Err(refuse(format!("{name:?}: the name goes without .img")));
    }
    Ok(SubPath::parse(&format!("{plain}{extension}"))?)
}

#[cfg(test)]
mod tests {
    use azud_core::code::Code;
    use azud_core::reference::Where;

    use super::{Container, FileArg, Partition, file, image, place, with_extension};

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn files_have_one_two_or_three_arguments() {
        let inside = |container, path: &str| {
            let names = path.split('/').filter(|name| !name.is_empty());
            FileArg::In(container, names.map(str::to_owned).collect())
        };
        let partition = |disk, part| Container::Partition(Partition { disk, part });
        for (line, expected) in [
            ("/mnt//sda1/x/", FileArg::Path("/mnt/sda1/x".to_owned())),
            ("/", FileArg::Path("/".to_owned())),
            ("REPO /win.img", inside(Container::Repo, "win.img")),
            (
                "repo aula1//win.img",
                inside(Container::Repo, "aula1/win.img"),
            ),
            ("Cache /", inside(Container::Cache, "")),
            ("cdrom /pool", inside(Container::Cdrom, "pool")),
            ("1 2 /WINDOWS/.x", inside(partition(1, 2), "WINDOWS/.x")),
            ("12 15 a", inside(partition(12, 15), "a")),
        ] {
            assert_eq!(file(&words(line)).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn what_is_no_file_is_refused() {
        for line in [
            "",
            "REPO",
            "win.img",
            "REPOX /x",
            "10.0.0.1 /x",
            "/x REPO",
            "1 /x",
            "a b /x",
            "0 1 /x",
            "1 -1 /x",
            "1 +1 /x",
            "1 99999999999 /x",
            "1 2 3 /x",
        ] {
            assert_eq!(file(&words(line)).unwrap_err().code, Code::Usage, "{line}");
        }
        assert_eq!(file(&[]).unwrap_err().code, Code::Usage);
        for line in ["REPO ../x", "CACHE a/../../x", "REPO .hidden", "1 2 .."] {
            assert_eq!(
                file(&words(line)).unwrap_err().code,
                Code::BadName,
                "{line}"
            );
        }
    }

    #[test]
    fn scripts_name_places_by_address() {
        assert_eq!(place("repo").unwrap(), Where::Manager);
        assert_eq!(place("127.0.0.1").unwrap(), Where::Cache);
        assert_eq!(place("10.0.0.1").unwrap().to_string(), "10.0.0.1");
        for text in ["", "1", "win10", "USB-x", "10.0.0", "/x", "0.0.0.0"] {
            assert_eq!(place(text).unwrap_err().code, Code::Usage, "{text}");
        }
    }

    #[test]
    fn names_of_images_go_without_their_extension() {
        for (name, path) in [
            ("win10", "win10.img"),
            ("/aula1/win10", "aula1/win10.img"),
            ("win10.v2", "win10.v2.img"),
        ] {
            assert_eq!(image(name).unwrap().to_string(), path);
        }
        let diff = with_extension("win10", ".img.diff").unwrap();
        assert_eq!(diff.to_string(), "win10.img.diff");
        for name in ["", "/", "aula1/", "win10.img"] {
            assert_eq!(image(name).unwrap_err().code, Code::Usage, "{name}");
        }
        for name in ["../x", ".x", "a/../x", "..", "REPO/x", "a\n"] {
            assert_eq!(image(name).unwrap_err().code, Code::BadName, "{name:?}");
        }
    }
}
