//! Making a partition a cache: file system, folders, marker.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, mkdirat, open, openat};
use rustix::io::Errno;

use super::LABEL;
use crate::busy::check_unused;
use crate::command::Tool;
use crate::error::{DiskError, Result};
use crate::facts::DeviceFacts;
use crate::mounting::{Kind, Mounted, Mounting, mount};

/// The file in a cache's root that says that it is one.
const MARKER: &str = ".azud-cache-id";
/// Its first line, with the version of what follows.
const MARKER_HEAD: &str = "azud-cache 1";
/// Longest marker that is read, in bytes.
const MARKER_LIMIT: u64 = 4096;
/// Larger ext4 file systems need 64-bit block numbers, whatever old boot loaders make of it.
const EXT4_32_BIT: u64 = 16 << 40;

/// The file systems that a cache can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheFs {
    /// What every kernel and boot loader of a computer room reads.
    Ext4,
    /// Shares blocks between files.
    Xfs,
    /// Shares blocks between files.
    Btrfs,
}

impl CacheFs {
    /// The kernel's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// Bytes of the smallest device that its tool formats.
    pub const fn min_size(self) -> u64 {
        match self {
            Self::Ext4 => 16 << 20,
            Self::Xfs => 300 << 20,
            Self::Btrfs => 128 << 20,
        }
    }

    /// The tool that makes it, without the device.
    fn tool(self, len: u64) -> Result<Tool> {
        let tool = Tool::find(&format!("mkfs.{}", self.name()))?;
        Ok(match self {
            // What boot loaders and kernels of older clients read, as OpenGnsys chose it; nothing is
            // kept back for root, who writes all of a cache.
            Self::Ext4 if len < EXT4_32_BIT => tool.args([
                "-q",
                "-F",
                "-b",
                "4096",
                "-m",
                "0",
                "-O",
                "extent,large_file,uninit_bg,^metadata_csum,^64bit",
            ]),
            Self::Ext4 => tool.args(["-q", "-F", "-m", "0"]),
            Self::Xfs => tool.args(["-q", "-f", "-m", "reflink=1"]),
            Self::Btrfs => tool.args(["-q", "-f"]),
        }
        .args(["-L", LABEL]))
    }
}

/// Whether everything is installed that [`format()`] runs: better known before a partition is made.
///
/// # Errors
/// [`DiskError::ToolMissing`].
pub fn ready(fs: CacheFs) -> Result<()> {
    fs.tool(0)?;
    Tool::find("wipefs").map(drop)
}

/// Formats a device as a cache whose images will lie at `inner` (relative), and returns the identity it got.
/// All that it held is lost.
///
/// # Errors
/// [`DiskError::Mounted`], [`DiskError::Busy`], [`DiskError::ReadOnly`]; [`DiskError::TooSmall`];
/// those of the tools and of mounting.
pub fn format(device: &Path, fs: CacheFs, inner: &Path) -> Result<String> {
    let facts = DeviceFacts::read(device)?;
    check_unused(device)?;
    if facts.read_only {
        return Err(DiskError::ReadOnly {
            path: device.to_owned(),
        });
    }
    if facts.len < fs.min_size() {
        return Err(DiskError::TooSmall {
            path: device.to_owned(),
            has: facts.len,
            needs: fs.min_size(),
        });
    }
    let device =
        std::path::absolute(device).map_err(|error| DiskError::at(device, "looking", error))?;
    let tool = fs.tool(facts.len)?;
    // The marks of a former file system may lie where the new one writes nothing.
    Tool::find("wipefs")?
        .args(["--all", "--quiet", "--"])
        .arg(&device)
        .uninterrupted()
        .run()?;
    tool.arg("--").arg(&device).uninterrupted().run()?;
    finish(&device, fs, inner)
}

/// Where a cache is mounted to be furnished or looked into.
fn aside() -> PathBuf {
    PathBuf::from(format!("/run/azud-cache-{}", std::process::id()))
}

/// Mounts a file system of type `fs` so that not a byte of it changes, its journal included.
///
/// # Errors
/// Those of [`mount`].
pub fn peek(device: &Path, fs: &str) -> Result<Mounted> {
    mount(&Mounting {
        source: device.as_os_str(),
        at: &aside(),
        kind: Kind::Device(fs),
        read_only: true,
        options: match fs {
            "ext3" | "ext4" => "noload",
            "xfs" => "norecovery",
            "btrfs" => "rescue=nologreplay",
            _ => "",
        },
    })
}

/// Folders and marker. The marker comes last: a cache without one was not finished.
fn finish(device: &Path, fs: CacheFs, inner: &Path) -> Result<String> {
    let mounted = mount(&Mounting {
        source: device.as_os_str(),
        at: &aside(),
        kind: Kind::Device(fs.name()),
        read_only: false,
        options: "",
    })?;
    furnish(mounted.at(), inner)?;
    let identity = fs::read_to_string("/proc/sys/kernel/random/uuid").map_err(|error| {
        DiskError::at(Path::new("/proc/sys/kernel/random/uuid"), "reading", error)
    })?;
    let identity = identity.trim().to_owned();
    let marker = mounted.at().join(MARKER);
    File::create_new(&marker)
        .and_then(|mut file| {
            writeln!(file, "{MARKER_HEAD}\n{identity}")?;
            file.sync_all()
        })
        .map_err(|error| DiskError::at(&marker, "writing", error))?;
    mounted.unmount()?;
    Ok(identity)
}

/// Makes the folders for images in a cache that is mounted at `root`, as far as they are missing. A link on the
/// way, which could lead out of it, is refused.
///
/// # Errors
/// What the system says of the first folder that is none or cannot be made.
pub fn furnish(root: &Path, inner: &Path) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = root.to_owned();
    let mut dir = open(root, flags, Mode::empty())
        .map_err(|error| DiskError::at(root, "opening the directory", error))?;
    for part in inner.components() {
        let Component::Normal(name) = part else {
            continue;
        };
        at.push(name);
        match mkdirat(&dir, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(DiskError::at(&at, "making the directory", error)),
        }
        dir = openat(&dir, name, flags, Mode::empty()).map_err(|error| DiskError::Io {
            path: at.clone(),
            op: "it is a link or a file where a folder should be",
            source: error.into(),
        })?;
    }
    Ok(())
}

/// The identity of the cache that is mounted at `root`, if Azud made it.
pub fn identity(root: &Path) -> Option<String> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(root.join(MARKER))
        .ok()?;
    let mut text = String::new();
    file.take(MARKER_LIMIT).read_to_string(&mut text).ok()?;
    parse_marker(&text)
}

fn parse_marker(text: &str) -> Option<String> {
    let mut lines = text.lines();
    let identity = lines
        .next()
        .filter(|head| *head == MARKER_HEAD)
        .and(lines.next())?;
    let shape = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    (identity.len() == 36 && identity.bytes().enumerate().all(shape)).then(|| identity.to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse_marker;

    #[test]
    fn only_a_whole_marker_is_believed() {
        let id = "0b54b1a2-61a1-4a3b-9a43-2f4d3c1b5e6f";
        assert_eq!(
            parse_marker(&format!("azud-cache 1\n{id}\n")).as_deref(),
            Some(id)
        );
        for text in [
            String::new(),
            "azud-cache 1\n".to_owned(),
            format!("azud-cache 2\n{id}\n"),
            format!("azud-cache 1\n{}\n", &id[..35]),
            format!("azud-cache 1\n{id}0\n"),
            format!("azud-cache 1\n{}\n", id.replace('b', "g")),
            format!("azud-cache 1\n{}\n", id.replace('-', "0")),
        ] {
            assert_eq!(parse_marker(&text), None, "{text:?}");
        }
    }
}
