//! Which bytes a device or file really stands for.
//!
//! Partitions are followed to their disk and loop devices to their backing, adding up offsets, so
//! that two names can be compared: they touch each other exactly when their extents share a root
//! and overlap. Device-mapper and md devices are roots of their own; what they stand on is seen
//! through `holders` and `slaves`.

use std::fs::{self, File, Metadata};
use std::ops::Range;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::Dev;

use crate::error::{DiskError, Result};
use crate::sys;
use crate::sysfs::BlockDev;

/// Loops over partitions over loops …: deeper than anybody builds, and an end for cycles.
const MAX_DEPTH: usize = 16;

/// What bytes finally belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    /// A device that stands on nothing that is known.
    Device(Dev),
    /// A regular file.
    File {
        /// Device number of its file system.
        dev: Dev,
        /// Inode.
        ino: u64,
    },
}

/// A range of bytes of a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extent {
    /// What they belong to.
    pub(crate) root: Root,
    /// Which of its bytes.
    pub(crate) range: Range<u64>,
}

impl Extent {
    /// Whether both share at least one byte.
    pub(crate) fn touches(&self, other: &Self) -> bool {
        self.root == other.root
            && self.range.start < other.range.end
            && other.range.start < self.range.end
    }

    /// Whether all its bytes are bytes of the other.
    pub(crate) fn within(&self, other: &Self) -> bool {
        self.root == other.root
            && other.range.start <= self.range.start
            && self.range.end <= other.range.end
    }

    /// Everything of a root.
    fn whole(root: Root) -> Self {
        Self {
            root,
            range: 0..u64::MAX,
        }
    }

    /// The part of it that begins `offset` bytes in and has at most `len` bytes.
    fn part(&self, offset: u64, len: u64) -> Self {
        let start = self.range.start.saturating_add(offset);
        let end = start.saturating_add(len).min(self.range.end);
        Self {
            root: self.root,
            range: start..end,
        }
    }
}

/// The extent of a block device or a regular file.
pub(crate) fn of_path(path: &Path) -> Result<Extent> {
    let meta = fs::metadata(path).map_err(|error| DiskError::at(path, "looking", error))?;
    of_metadata(&meta).ok_or_else(|| DiskError::NotADevice {
        path: path.to_owned(),
    })
}

/// As [`of_path`], `None` for anything else.
pub(crate) fn of_metadata(meta: &Metadata) -> Option<Extent> {
    let kind = meta.file_type();
    if kind.is_block_device() {
        Some(of_device(meta.rdev()))
    } else if kind.is_file() {
        Some(Extent::whole(Root::File {
            dev: meta.dev(),
            ino: meta.ino(),
        }))
    } else {
        None
    }
}

/// The extent of a block device.
pub(crate) fn of_device(dev: Dev) -> Extent {
    resolve(dev, MAX_DEPTH)
}

fn resolve(dev: Dev, depth: usize) -> Extent {
    let own = Extent::whole(Root::Device(dev));
    let Some(device) = BlockDev::of(dev) else {
        return own;
    };
    let Some(depth) = depth.checked_sub(1) else {
        return own;
    };
    let size = device.size().unwrap_or(u64::MAX);
    if let Some((disk, _, start)) = device.partition() {
        return resolve(disk.dev, depth).part(start, size);
    }
    match backing(&device) {
        Some((Backing::Device(dev), offset)) => resolve(dev, depth).part(offset, size),
        Some((Backing::File { dev, ino }, offset)) => {
            Extent::whole(Root::File { dev, ino }).part(offset, size)
        }
        None => own,
    }
}

enum Backing {
    Device(Dev),
    File { dev: Dev, ino: u64 },
}

/// What a loop device stands on. The kernel is asked first: the path in sysfs may have another file at its end by now.
fn backing(device: &BlockDev) -> Option<(Backing, u64)> {
    if !device.is_loop() {
        return None;
    }
    if let Some(status) = File::open(device.node())
        .ok()
        .and_then(|node| sys::loop_status(&node).ok())
    {
        let backing = match status.rdevice {
            0 => Backing::File {
                dev: status.device,
                ino: status.inode,
            },
            rdev => Backing::Device(rdev),
        };
        return Some((backing, status.offset));
    }
    let meta = fs::metadata(device.text("loop/backing_file")?).ok()?;
    let backing = if meta.file_type().is_block_device() {
        Backing::Device(meta.rdev())
    } else {
        Backing::File {
            dev: meta.dev(),
            ino: meta.ino(),
        }
    };
    Some((backing, device.number("loop/offset").unwrap_or(0)))
}

/// Every block device that shows some of the bytes of `extent` under a name of its own.
pub(crate) fn devices_over(extent: &Extent) -> Vec<BlockDev> {
    BlockDev::all()
        .into_iter()
        .filter(|device| device.size() != Some(0) && of_device(device.dev).touches(extent))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Extent, Root};

    #[test]
    fn touching_needs_one_common_byte_of_one_root() {
        let disk = Extent::whole(Root::Device(1));
        let first = disk.part(0, 100);
        let second = disk.part(100, 100);
        assert!(disk.touches(&first) && second.touches(&disk));
        assert!(!first.touches(&second));
        assert!(second.within(&disk) && second.within(&second) && !disk.within(&second));
        assert_eq!(second.part(99, 50).range, 199..200);
        assert!(!Extent::whole(Root::Device(2)).touches(&disk));
        assert_eq!(disk.part(u64::MAX, 5).range, u64::MAX..u64::MAX);
    }
}
