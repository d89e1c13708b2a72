//! `azud cache init DEVICE`: a partition is formatted, a disk gets one more partition.

mod disk;
mod partition;

use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_disk::cache::{self, CacheFs, Hit};
use azud_disk::partition::Scheme;
use azud_disk::{DeviceFacts, DiskError, Kind};
use clap::ValueEnum;
use serde_json::json;

use super::{layout, unrecognised_hint};
use crate::args::Writing;
use crate::args::size::size;
use crate::commands::Context;
use crate::failure::Failure;
use crate::place;
use crate::plan::Plan;

/// The file system of a new cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fs {
    /// ext4.
    Ext4,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
}

impl From<Fs> for CacheFs {
    fn from(fs: Fs) -> Self {
        match fs {
            Fs::Ext4 => Self::Ext4,
            Fs::Xfs => Self::Xfs,
            Fs::Btrfs => Self::Btrfs,
        }
    }
}

/// The partition table of a disk that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TableKind {
    /// GPT.
    Gpt,
    /// MBR.
    Mbr,
}

impl From<TableKind> for Scheme {
    fn from(kind: TableKind) -> Self {
        match kind {
            TableKind::Gpt => Self::Gpt,
            TableKind::Mbr => Self::Mbr,
        }
    }
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Disk or partition.
    pub device: PathBuf,
    /// Its file system.
    #[arg(long, value_name = "FS", default_value = "ext4")]
    pub fs: Fs,
    /// Size of the new partition.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub size: Option<u64>,
    /// Where it begins.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub start: Option<u64>,
    /// Number of the new partition.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub number: Option<u32>,
    /// For a disk without a table.
    #[arg(long, value_name = "TABLE", default_value = "gpt")]
    pub table: TableKind,
    /// Format a cache anew.
    #[arg(long)]
    pub reformat: bool,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

impl Args {
    /// Makes a cache.
    ///
    /// # Errors
    /// When the device is refused, there is no room, nobody agrees, or a tool fails.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let device = canonical(&place::device(&self.device)?)?;
        let facts = DeviceFacts::read(&device)?;
        if facts.kind != Kind::BlockDevice {
            return Err(DiskError::NotADevice { path: device }.into());
        }
        if facts.read_only {
            return Err(DiskError::ReadOnly { path: device }.into());
        }
        cache::ready(self.fs.into())?;
        let signature = cache::probe(&device)?;
        // A whole disk may hold a file system without a table around it: then it is no disk to divide.
        if facts.partition.is_some() || signature.is_fs {
            partition::init(self, context, &device, &facts, &signature)
        } else {
            match disk::create(self, context, &device, &facts, &signature)? {
                Some(device) => self.format(context, &device),
                None => Ok(()),
            }
        }
    }

    /// Makes a partition on a disk and formats nothing.
    ///
    /// # Errors
    /// As [`Args::run`].
    pub(crate) fn create_only(&self, context: &Context) -> Result<Option<PathBuf>, Failure> {
        let facts = DeviceFacts::read(&self.device)?;
        let signature = cache::probe(&self.device)?;
        disk::create(self, context, &self.device, &facts, &signature)
    }

    fn format(&self, context: &Context, device: &Path) -> Result<(), Failure> {
        let identity = cache::format(device, self.fs.into(), layout(context)?.inner())?;
        let value = json!({
            "action": "cache-init",
            "device": device,
            "fs": CacheFs::from(self.fs).name(),
            "identity": identity,
        });
        context.output.result(&value, || {
            let device = device.display().to_string();
            context
                .catalog
                .fmt("result-cache-init", &[("device", device.into())])
        });
        Ok(())
    }
}

/// Adds to a plan which other devices are caches: where two could be meant nothing is chosen. What is plugged in does not
/// count beside the computer's own.
fn warn_others(context: &Context, plan: Plan, device: &Path) -> Plan {
    let hits = cache::find(&place::disks()).unwrap_or_default().hits;
    let other =
        |hit: &&Hit| !hit.removable && hit.device != device && hit.disk.as_deref() != Some(device);
    let others = hits.iter().filter(other);
    let others: Vec<String> = others.map(|hit| hit.device.display().to_string()).collect();
    if others.is_empty() {
        return plan;
    }
    let values = [("devices", others.join(", ").into())];
    plan.warning(&context.catalog, "another-cache", &values)
}

/// The node itself: what links to it may mean another device later.
fn canonical(device: &Path) -> Result<PathBuf, Failure> {
    std::fs::canonicalize(device).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => DiskError::NotFound {
            path: device.to_owned(),
        }
        .into(),
        _ => Failure::io(device, &error),
    })
}

/// There is a cache, and the user did not say that it may go. `sound` says that it could be looked into.
fn exists(context: &Context, device: &Path, sound: bool) -> Failure {
    let name = device.display().to_string();
    let hint = if sound {
        let values = [("device", name.clone().into())];
        context.catalog.fmt("hint-reformat", &values)
    } else {
        unrecognised_hint(context, device)
    };
    Failure::new(Code::IsCache, name).with_hint(hint)
}
