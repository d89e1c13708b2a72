//! Whether anybody uses a device or file, and who.
//!
//! Everything that is known to be in use (mounts, swap, members of btrfs, what has holders) is
//! followed to the bytes it stands on and compared with the bytes in question: so a mounted
//! partition refuses its disk, and a file is refused whose loop device is mounted, but not the
//! partition beside it. What other mount namespaces use is found by asking for exclusive access.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::{DiskError, Result};
use crate::extent::{Extent, devices_over, of_device, of_metadata, of_path};
use crate::mounts::{Mount, mounts, swaps};
use crate::sysfs::{BlockDev, btrfs_members};

/// Refuses what is in use, saying where.
///
/// # Errors
/// [`DiskError::Mounted`] and [`DiskError::Busy`]; [`DiskError::NotFound`] and
/// [`DiskError::NotADevice`] when it is nothing that could be used.
pub fn check_unused(path: &Path) -> Result<()> {
    let extent = of_path(path)?;
    let refuse = |by: String| {
        Err(DiskError::Busy {
            path: path.to_owned(),
            by,
        })
    };
    for mount in mounts() {
        if mounted_extents(&mount)
            .iter()
            .any(|used| used.touches(&extent))
        {
            return Err(DiskError::Mounted {
                path: path.to_owned(),
                at: mount.at,
            });
        }
    }
    for area in swaps() {
        if fs::metadata(&area)
            .ok()
            .and_then(|meta| of_metadata(&meta))
            .is_some_and(|used| used.touches(&extent))
        {
            return refuse(format!("swap ({})", area.display()));
        }
    }
    for (uuid, members) in btrfs_members() {
        if members
            .iter()
            .any(|member| of_device(member.dev).touches(&extent))
        {
            return refuse(format!("the mounted btrfs {uuid}"));
        }
    }
    let over = devices_over(&extent);
    if let Some(holder) = over.iter().flat_map(BlockDev::holders).next() {
        return refuse(holder.title());
    }
    // Not asked of the disk around a partition: a neighbour in use would answer.
    let mut inside = over
        .iter()
        .filter(|device| of_device(device.dev).within(&extent));
    match inside.find(|device| held_exclusively(&device.node())) {
        Some(device) => refuse(format!(
            "another program, which has {} to itself",
            device.node().display()
        )),
        None => Ok(()),
    }
}

/// The bytes a mount stands on. Where the kernel invents the number (btrfs, FUSE) the source's name must do.
pub(crate) fn mounted_extents(mount: &Mount) -> Vec<Extent> {
    if BlockDev::of(mount.dev).is_some() {
        return vec![of_device(mount.dev)];
    }
    // `server:/dir` would be looked for here, where a server may not answer.
    if !mount.source.is_absolute() {
        return Vec::new();
    }
    // bcachefs joins its members by colons.
    let source = mount.source.to_string_lossy();
    let names = source
        .split(':')
        .map(Path::new)
        .filter(|name| name.is_absolute());
    names
        .filter_map(|name| of_metadata(&fs::metadata(name).ok()?))
        .collect()
}

/// Whether the kernel refuses exclusive access. Any other refusal is not for us to judge.
pub(crate) fn held_exclusively(node: &Path) -> bool {
    let is_block = fs::metadata(node).is_ok_and(|meta| meta.file_type().is_block_device());
    let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NONBLOCK;
    is_block && rustix::fs::open(node, flags, Mode::empty()).map(drop) == Err(Errno::BUSY)
}
