//! Whether a device holds a file: a target that holds its own source must not be written.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dev, StatxFlags, statx};

use crate::busy::mounted_extents;
use crate::error::{DiskError, Result};
use crate::extent::{Extent, Root, of_device, of_metadata, of_path};
use crate::mounts::{Mount, mounts};
use crate::sysfs::{BlockDev, btrfs_members};

/// File systems on loops on file systems …: an end for cycles.
const MAX_STEPS: usize = 256;

/// Whether the bytes of `file` lie on `device` (a block device or a regular file): directly, on
/// one of its partitions, or through loop devices, the device mapper, md, btrfs or overlays.
/// A `file` that does not exist yet is judged by the nearest folder that does.
///
/// # Errors
/// When `device` cannot be looked at, or nothing on the way to `file` can.
pub fn holds(device: &Path, file: &Path) -> Result<bool> {
    let wanted = of_path(device)?;
    let mut walk = Walk {
        mounts: mounts(),
        found: Vec::new(),
        steps: 0,
    };
    walk.file(&nearest(file)?);
    Ok(walk.found.iter().any(|extent| extent.touches(&wanted)))
}

/// The block devices, nearest first, that a file lies on; partitions are named by their disk.
pub(crate) fn disks_under(file: &Path) -> Vec<BlockDev> {
    let mut walk = Walk {
        mounts: mounts(),
        found: Vec::new(),
        steps: 0,
    };
    walk.file(file);
    let device = |extent: &Extent| match extent.root {
        Root::Device(dev) => BlockDev::of(dev),
        Root::File { .. } => None,
    };
    walk.found.iter().filter_map(device).collect()
}

fn nearest(file: &Path) -> Result<PathBuf> {
    let absolute =
        std::path::absolute(file).map_err(|error| DiskError::at(file, "looking", error))?;
    let found = absolute.ancestors().find(|path| fs::metadata(path).is_ok());
    found
        .map(Path::to_owned)
        .ok_or_else(|| DiskError::NotFound {
            path: file.to_owned(),
        })
}

struct Walk {
    mounts: Vec<Mount>,
    found: Vec<Extent>,
    steps: usize,
}

impl Walk {
    /// Notes a file's own bytes, and those of the devices that its file system stands on.
    fn file(&mut self, path: &Path) {
        let Ok(meta) = fs::metadata(path) else { return };
        if let Some(own) = of_metadata(&meta) {
            self.found.push(own);
        }
        self.file_system(meta.dev(), Some(path));
    }

    fn file_system(&mut self, dev: Dev, path: Option<&Path>) {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return;
        }
        if BlockDev::of(dev).is_some() {
            return self.device(dev);
        }
        let id = path.and_then(mount_id);
        let Some(mount) = self
            .mounts
            .iter()
            .find(|mount| id.map_or(mount.dev == dev, |id| mount.id == id))
            .cloned()
        else {
            return;
        };
        if mount.fs_type == "overlay" {
            for layer in layers(&mount.options) {
                self.file(&layer);
            }
        }
        let own = mounted_extents(&mount);
        for (_, members) in btrfs_members() {
            if members.iter().any(|member| {
                own.iter()
                    .any(|extent| of_device(member.dev).touches(extent))
            }) {
                for member in members {
                    self.device(member.dev);
                }
            }
        }
        for extent in own {
            self.extent(extent, None);
        }
    }

    fn device(&mut self, dev: Dev) {
        let backing = BlockDev::of(dev).and_then(|device| device.disk().text("loop/backing_file"));
        self.extent(of_device(dev), backing.map(PathBuf::from));
    }

    /// Notes an extent and goes on to what is below its root.
    fn extent(&mut self, extent: Extent, path: Option<PathBuf>) {
        self.steps += 1;
        if self.steps > MAX_STEPS || self.found.contains(&extent) {
            return;
        }
        let root = extent.root;
        self.found.push(extent);
        match root {
            Root::Device(dev) => {
                for below in BlockDev::of(dev).iter().flat_map(BlockDev::slaves) {
                    self.device(below.dev);
                }
            }
            Root::File { dev, ino } => {
                // The path only helps where the number of the file system is an invented one; it may be out of date.
                let same = |path: &PathBuf| {
                    fs::metadata(path).is_ok_and(|meta| (meta.dev(), meta.ino()) == (dev, ino))
                };
                self.file_system(dev, path.filter(same).as_deref());
            }
        }
    }
}

fn mount_id(path: &Path) -> Option<u64> {
    let facts = statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).ok()?;
    StatxFlags::from_bits_retain(facts.stx_mask)
        .contains(StatxFlags::MNT_ID)
        .then_some(facts.stx_mnt_id)
}

/// The folders an overlay is made of.
fn layers(options: &str) -> Vec<PathBuf> {
    let lists = options
        .split(',')
        .filter_map(|option| option.split_once('='));
    let lists = lists.filter(|(key, _)| key.starts_with("lowerdir") || *key == "upperdir");
    lists
        .flat_map(|(_, list)| list.split(':'))
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from)
        .collect()
}
