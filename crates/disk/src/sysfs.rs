//! What `/sys` tells about block devices. Everything is optional: in a container it may be absent.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Dev, major, makedev, minor};

/// A block device as sysfs shows it.
#[derive(Debug, Clone)]
pub(crate) struct BlockDev {
    /// Its number.
    pub(crate) dev: Dev,
    /// Its directory, free of symbolic links.
    dir: PathBuf,
}

impl BlockDev {
    /// By number.
    pub(crate) fn of(dev: Dev) -> Option<Self> {
        let dir = fs::canonicalize(format!("/sys/dev/block/{}:{}", major(dev), minor(dev))).ok()?;
        Some(Self { dev, dir })
    }

    /// By its directory.
    fn in_dir(dir: PathBuf) -> Option<Self> {
        let text = fs::read_to_string(dir.join("dev")).ok()?;
        Some(Self {
            dev: parse_dev(&text)?,
            dir,
        })
    }

    /// All of them.
    pub(crate) fn all() -> Vec<Self> {
        Self::all_in(Path::new("/sys"))
    }

    /// All that a sysfs shows.
    pub(crate) fn all_in(sys: &Path) -> Vec<Self> {
        let entries = fs::read_dir(sys.join("class/block"))
            .into_iter()
            .flatten()
            .flatten();
        entries
            .filter_map(|entry| Self::in_dir(fs::canonicalize(entry.path()).ok()?))
            .collect()
    }

    /// Name of the kernel, e.g. `sda1`.
    pub(crate) fn name(&self) -> String {
        self.dir
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// The node in `/dev`; a `!` of the kernel's name is a `/` there.
    pub(crate) fn node(&self) -> PathBuf {
        Path::new("/dev").join(self.name().replace('!', "/"))
    }

    /// An attribute without its surrounding blanks; `None` when absent or empty.
    pub(crate) fn text(&self, attribute: &str) -> Option<String> {
        let bytes = fs::read(self.dir.join(attribute)).ok()?;
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// An attribute as bytes.
    pub(crate) fn bytes(&self, attribute: &str) -> Option<Vec<u8>> {
        fs::read(self.dir.join(attribute)).ok()
    }

    /// A numeric attribute.
    pub(crate) fn number(&self, attribute: &str) -> Option<u64> {
        self.text(attribute)?.parse().ok()
    }

    /// Size in bytes (`size` counts units of 512 whatever the sector size is).
    pub(crate) fn size(&self) -> Option<u64> {
        self.number("size")?.checked_mul(512)
    }

    /// For a partition: its disk, its number and its first byte.
    pub(crate) fn partition(&self) -> Option<(Self, u32, u64)> {
        let number = u32::try_from(self.number("partition")?).ok()?;
        let start = self.number("start")?.checked_mul(512)?;
        Some((Self::in_dir(self.dir.parent()?.to_owned())?, number, start))
    }

    /// The disk of a partition, or the device itself.
    pub(crate) fn disk(&self) -> Self {
        self.partition()
            .map_or_else(|| self.clone(), |(disk, ..)| disk)
    }

    /// How many partitions of it the kernel knows.
    pub(crate) fn partitions(&self) -> usize {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let is_one = |entry: &fs::DirEntry| entry.path().join("partition").is_file();
        entries.filter(is_one).count()
    }

    /// Whether its medium spins, asked of the whole disk.
    pub(crate) fn rotational(&self) -> Option<bool> {
        self.disk().number("queue/rotational").map(|flag| flag != 0)
    }

    /// Whether its disk hangs on a USB port.
    pub(crate) fn is_on_usb(&self) -> bool {
        let port = |part: &std::ffi::OsStr| {
            let number = part.to_str().and_then(|part| part.strip_prefix("usb"));
            number.is_some_and(|number| number.parse::<u32>().is_ok())
        };
        self.dir.iter().any(port)
    }

    /// Whether it is an attached loop device.
    pub(crate) fn is_loop(&self) -> bool {
        self.dir.join("loop").is_dir()
    }

    /// The devices that stand on it (device mapper, md, bcache).
    pub(crate) fn holders(&self) -> Vec<Self> {
        self.linked("holders")
    }

    /// The devices it stands on.
    pub(crate) fn slaves(&self) -> Vec<Self> {
        self.linked("slaves")
    }

    fn linked(&self, folder: &str) -> Vec<Self> {
        let entries = fs::read_dir(self.dir.join(folder))
            .into_iter()
            .flatten()
            .flatten();
        entries
            .filter_map(|entry| Self::in_dir(fs::canonicalize(entry.path()).ok()?))
            .collect()
    }

    /// Name for people: the kernel's, with the mapper's beside it.
    pub(crate) fn title(&self) -> String {
        match self.text("dm/name") {
            Some(mapped) => format!("{} ({mapped})", self.name()),
            None => self.name(),
        }
    }
}

/// Parses `MAJOR:MINOR`.
pub(crate) fn parse_dev(text: &str) -> Option<Dev> {
    let (major, minor) = text.trim().split_once(':')?;
    Some(makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// The btrfs file systems that are mounted: identity and all members, of which the table of mounts names only one.
pub(crate) fn btrfs_members() -> Vec<(String, Vec<BlockDev>)> {
    let Ok(entries) = fs::read_dir("/sys/fs/btrfs") else {
        return Vec::new();
    };
    let one = |entry: fs::DirEntry| {
        let members = fs::read_dir(entry.path().join("devices")).ok()?.flatten();
        let members = members
            .filter_map(|link| BlockDev::in_dir(fs::canonicalize(link.path()).ok()?))
            .collect();
        Some((entry.file_name().to_string_lossy().into_owned(), members))
    };
    entries.flatten().filter_map(one).collect()
}
