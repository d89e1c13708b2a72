//! What a device is: sizes, sectors, kind of medium, place in its disk.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::error::{DiskError, Result};
use crate::same::disks_under;
use crate::sys;
use crate::sysfs::BlockDev;
use crate::table;

/// Sector size that regular files are taken to have.
pub const FILE_SECTOR: u32 = 512;

/// The two kinds of thing that images are taken from and put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A disk, a partition, a logical volume …
    BlockDevice,
    /// A file that holds the bytes of one.
    RegularFile,
}

/// A partition's place in its disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionFacts {
    /// The disk's node.
    pub disk: PathBuf,
    /// Number in the table, from 1.
    pub number: u32,
    /// First byte.
    pub start: u64,
}

/// What is known of a device or regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceFacts {
    /// Device or file.
    pub kind: Kind,
    /// Size in bytes.
    pub len: u64,
    /// Smallest unit that can be addressed; [`FILE_SECTOR`] for files.
    pub logical_sector: u32,
    /// Unit that the medium writes at once; [`FILE_SECTOR`] for files.
    pub physical_sector: u32,
    /// Whether the medium spins; for files, any of the disks they lie on. `None` when nothing tells.
    pub rotational: Option<bool>,
    /// Whether writing is refused.
    pub read_only: bool,
    /// Model of the disk.
    pub model: Option<String>,
    /// Serial number of the disk.
    pub serial: Option<String>,
    /// Where it lies, for partitions.
    pub partition: Option<PartitionFacts>,
    /// Identity of the partition table: GPT disk GUID, or MBR signature as 8 hexadecimal digits.
    pub table_id: Option<String>,
    /// Identity of the partition (`PARTUUID`): GPT unique GUID, or signature and number.
    pub partition_id: Option<String>,
}

impl DeviceFacts {
    /// Looks at a device or file without changing anything.
    ///
    /// # Errors
    /// [`DiskError::NotFound`], [`DiskError::NotADevice`], [`DiskError::Permission`], [`DiskError::Io`].
    pub fn read(path: &Path) -> Result<Self> {
        let meta = fs::metadata(path).map_err(|error| DiskError::at(path, "looking", error))?;
        match kind_of(&meta) {
            Some(Kind::BlockDevice) => of_device(path, &meta),
            Some(Kind::RegularFile) => Ok(of_file(path, &meta)),
            None => Err(DiskError::NotADevice {
                path: path.to_owned(),
            }),
        }
    }

    /// First logical sector of a partition (what NTFS calls "hidden sectors").
    pub fn start_sector(&self) -> Option<u64> {
        self.partition
            .as_ref()
            .map(|partition| partition.start / u64::from(self.logical_sector))
    }
}

/// The kind of what a path leads to.
pub(crate) fn kind_of(meta: &Metadata) -> Option<Kind> {
    if meta.file_type().is_block_device() {
        Some(Kind::BlockDevice)
    } else if meta.is_file() {
        Some(Kind::RegularFile)
    } else {
        None
    }
}

fn of_device(path: &Path, meta: &Metadata) -> Result<DeviceFacts> {
    let node = File::open(path).map_err(|error| DiskError::at(path, "opening", error))?;
    let ask = |op: &'static str| move |error: rustix::io::Errno| DiskError::at(path, op, error);
    let device = BlockDev::of(meta.rdev());
    let disk = device.as_ref().map(BlockDev::disk);
    let mut facts = DeviceFacts {
        kind: Kind::BlockDevice,
        len: sys::device_size(&node).map_err(ask("asking for the size"))?,
        logical_sector: rustix::fs::ioctl_blksszget(&node)
            .map_err(ask("asking for the sector size"))?,
        physical_sector: rustix::fs::ioctl_blkpbszget(&node)
            .map_err(ask("asking for the sector size"))?,
        rotational: device.as_ref().and_then(BlockDev::rotational),
        read_only: sys::device_read_only(&node).map_err(ask("asking whether it is read-only"))?,
        model: disk.as_ref().and_then(|disk| disk.text("device/model")),
        serial: disk.as_ref().and_then(serial),
        partition: None,
        table_id: None,
        partition_id: None,
    };
    if let (Some(device), Some(disk)) = (&device, &disk) {
        name_partition(&mut facts, device, disk);
    }
    Ok(facts)
}

fn name_partition(facts: &mut DeviceFacts, device: &BlockDev, disk: &BlockDev) {
    if let Some((disk, number, start)) = device.partition() {
        facts.partition = Some(PartitionFacts {
            disk: disk.node(),
            number,
            start,
        });
    }
    let partition = facts
        .partition
        .as_ref()
        .map(|partition| (partition.number, partition.start));
    let ids = table::identities(&disk.node(), facts.logical_sector, partition);
    facts.table_id = ids.table;
    facts.partition_id = ids.partition.or_else(|| {
        let uevent = device.text("uevent")?;
        uevent
            .lines()
            .find_map(|line| line.strip_prefix("PARTUUID="))
            .map(str::to_owned)
    });
}

pub(crate) fn serial(disk: &BlockDev) -> Option<String> {
    disk.text("serial")
        .or_else(|| disk.text("device/serial"))
        .or_else(|| {
            // SCSI keeps its answer raw: a header of four bytes, then the text.
            let page = disk.bytes("device/vpd_pg80")?;
            let text = String::from_utf8_lossy(page.get(4..)?)
                .trim_matches(['\0', ' '])
                .to_owned();
            (!text.is_empty()).then_some(text)
        })
}

fn of_file(path: &Path, meta: &Metadata) -> DeviceFacts {
    let spins: Vec<bool> = disks_under(path)
        .iter()
        .filter_map(BlockDev::rotational)
        .collect();
    DeviceFacts {
        kind: Kind::RegularFile,
        len: meta.len(),
        logical_sector: FILE_SECTOR,
        physical_sector: FILE_SECTOR,
        rotational: (!spins.is_empty()).then(|| spins.contains(&true)),
        read_only: access(path, Access::WRITE_OK).is_err(),
        model: None,
        serial: None,
        partition: None,
        table_id: None,
        partition_id: None,
    }
}
