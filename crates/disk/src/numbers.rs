//! Partitions by OpenGnsys' numbers, both ways.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::disks::disks;
use crate::error::{DiskError, Result};
use crate::sysfs::BlockDev;

/// The disks of this computer in the order in which they are counted.
#[derive(Debug)]
pub struct Numbers {
    all: Vec<BlockDev>,
    disks: Vec<BlockDev>,
}

impl Numbers {
    /// The kernel's order, or the disks that are named.
    ///
    /// # Errors
    /// [`DiskError::NotFound`], [`DiskError::NotADevice`] for a named one.
    pub fn read(order: &[PathBuf]) -> Result<Self> {
        Self::among(BlockDev::all(), order)
    }

    pub(crate) fn among(all: Vec<BlockDev>, order: &[PathBuf]) -> Result<Self> {
        let disks = if order.is_empty() {
            disks(&all).into_iter().cloned().collect()
        } else {
            let named = order.iter().map(|path| disk(path));
            named.collect::<Result<_>>()?
        };
        Ok(Self { all, disks })
    }

    /// The node of a partition.
    ///
    /// # Errors
    /// [`DiskError::NoSuchDisk`].
    pub fn node(&self, disk: u32, part: u32) -> Result<PathBuf> {
        let name = format!("{disk}:{part}");
        let chosen = self.chosen(disk, &name)?;
        let fits = |device: &&BlockDev| {
            let place = device.partition();
            place.is_some_and(|(of, number, _)| of.dev == chosen.dev && number == part)
        };
        let found = self.all.iter().find(fits).map(BlockDev::node);
        found.ok_or_else(|| DiskError::NoSuchDisk {
            name,
            reason: format!("{} has no partition {part}", chosen.node().display()),
        })
    }

    /// The node of a disk.
    ///
    /// # Errors
    /// [`DiskError::NoSuchDisk`].
    pub fn disk(&self, disk: u32) -> Result<PathBuf> {
        Ok(self.chosen(disk, &disk.to_string())?.node())
    }

    fn chosen(&self, disk: u32, name: &str) -> Result<&BlockDev> {
        let at = usize::try_from(disk).ok().and_then(|at| at.checked_sub(1));
        let chosen = at.and_then(|at| self.disks.get(at));
        chosen.ok_or_else(|| {
            let names: Vec<String> = self.disks.iter().map(BlockDev::name).collect();
            DiskError::NoSuchDisk {
                name: name.to_owned(),
                reason: format!("there is no disk {disk} among: {}", names.join(" ")),
            }
        })
    }

    /// The numbers of a partition; `None` for one of a disk that is not counted.
    pub fn of(&self, device: &Path) -> Option<(u32, u32)> {
        let dev = std::fs::metadata(device).ok()?.rdev();
        let (disk, part, _) = BlockDev::of(dev)?.partition()?;
        let at = self.disks.iter().position(|it| it.dev == disk.dev)?;
        Some((u32::try_from(at + 1).ok()?, part))
    }
}

fn disk(path: &Path) -> Result<BlockDev> {
    let meta = std::fs::metadata(path).map_err(|error| DiskError::at(path, "looking", error))?;
    BlockDev::of(meta.rdev()).ok_or_else(|| DiskError::NotADevice {
        path: path.to_owned(),
    })
}
