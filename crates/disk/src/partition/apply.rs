//! Entering a planned partition in a disk's table.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rustix::io::Errno;

use super::{Entry, NewPartition, Scheme, Table, read};
use crate::command::Tool;
use crate::error::{DiskError, Result};
use crate::sys;
use crate::sysfs::BlockDev;

/// "Linux filesystem data": there is no registered type for caches.
const GPT_TYPE: &str = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";
/// The type of `OpenGnsys`' caches.
const MBR_TYPE: &str = "ca";
/// How long a new node in `/dev` is waited for: it is made by another program.
const NODE_TRIES: u32 = 100;
const NODE_PAUSE: Duration = Duration::from_millis(50);

/// Makes a partition named `name` as planned on a disk whose table was `before`, and returns its node.
/// Nothing is written into it.
///
/// # Errors
/// [`DiskError::Changed`] when the table is not what the plan was made for;
/// [`DiskError::BadTable`] when it is not what it should be afterwards; those of sfdisk and the kernel.
pub fn create(
    disk: &Path,
    before: Option<&Table>,
    new: &NewPartition,
    name: &str,
) -> Result<PathBuf> {
    if read(disk)?.as_ref() != before {
        return Err(DiskError::Changed {
            path: disk.to_owned(),
            what: "its partition table is not what the plan was made for",
        });
    }
    write(disk, new, name)?;
    let after = read(disk)?;
    if !as_planned(before, after.as_ref(), new, name) {
        return Err(DiskError::BadTable {
            path: disk.to_owned(),
            why: "after the change it is not what was planned",
        });
    }
    tell_kernel(disk, new)
}

/// What sfdisk is to read. Nothing in it comes from a disk.
fn script(new: &NewPartition, name: &str) -> String {
    let sector = u64::from(new.sector);
    let (start, size) = (
        new.range.start / sector,
        (new.range.end - new.range.start) / sector,
    );
    let head = if new.new_table {
        format!("label: {}\n", new.scheme.label())
    } else {
        String::new()
    };
    let kind = match new.scheme {
        Scheme::Gpt => format!("type={GPT_TYPE}, name={name}"),
        Scheme::Mbr => format!("type={MBR_TYPE}"),
    };
    format!(
        "{head}{} : start={start}, size={size}, {kind}\n",
        new.number
    )
}

fn write(disk: &Path, new: &NewPartition, name: &str) -> Result<()> {
    let absolute =
        std::path::absolute(disk).map_err(|error| DiskError::at(disk, "looking", error))?;
    let failed = |error| DiskError::at(disk, "handing the plan over", error);
    let (reader, mut writer) = std::io::pipe().map_err(failed)?;
    // Much shorter than what a pipe holds.
    writer
        .write_all(script(new, name).as_bytes())
        .map_err(failed)?;
    drop(writer);
    let mut tool = Tool::find("sfdisk")?
        .args(["--quiet", "--lock=yes", "--no-reread", "--no-tell-kernel"])
        .args(["--wipe", "never", "--wipe-partitions", "never"])
        .uninterrupted();
    if !new.new_table {
        tool = tool.arg("--append");
    }
    tool.arg("--").arg(absolute).stdin(reader).run().map(drop)
}

/// Whether exactly the planned entry was added.
fn as_planned(
    before: Option<&Table>,
    after: Option<&Table>,
    new: &NewPartition,
    name: &str,
) -> bool {
    let Some(after) = after else { return false };
    let ours = |entry: &&Entry| entry.number == new.number;
    let named = |entry: &Entry| match new.scheme {
        Scheme::Gpt => entry.name.as_deref() == Some(name) && entry.kind == GPT_TYPE,
        Scheme::Mbr => entry.kind == MBR_TYPE,
    };
    let there = after.entries.iter().find(ours);
    let right = there.is_some_and(|entry| entry.range == new.range && named(entry));
    let others: Vec<&Entry> = after.entries.iter().filter(|entry| !ours(entry)).collect();
    let kept = before.map_or(&[][..], |table| &table.entries);
    let same_table = before.is_none_or(|before| {
        (before.scheme, &before.id, before.sector) == (after.scheme, &after.id, after.sector)
    });
    right && same_table && others.into_iter().eq(kept)
}

/// Shows the partition to the kernel, which a running udev may have done before us.
fn tell_kernel(disk: &Path, new: &NewPartition) -> Result<PathBuf> {
    let node = fs::File::open(disk).map_err(|error| DiskError::at(disk, "opening", error))?;
    let number = i32::try_from(new.number).unwrap_or(i32::MAX);
    let len = new.range.end - new.range.start;
    match sys::add_partition(&node, number, new.range.start, len) {
        Ok(()) | Err(Errno::BUSY) => {}
        Err(error) => {
            return Err(DiskError::at(
                disk,
                "showing the partition to the kernel",
                error,
            ));
        }
    }
    for _ in 0..NODE_TRIES {
        if let Some(device) = shown(disk, new)
            && device.node().exists()
        {
            return Ok(device.node());
        }
        sleep(NODE_PAUSE);
    }
    Err(DiskError::Changed {
        path: disk.to_owned(),
        what: "its new partition is in the table but the kernel does not show it",
    })
}

/// The partition as the kernel shows it, where it should be.
fn shown(disk: &Path, new: &NewPartition) -> Option<BlockDev> {
    let dev = rustix::fs::stat(disk).ok()?.st_rdev;
    BlockDev::all().into_iter().find(|device| {
        let size = device.size();
        device.partition().is_some_and(|(disk, number, start)| {
            disk.dev == dev
                && (number, start) == (new.number, new.range.start)
                && size == Some(new.range.end - new.range.start)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Entry, NewPartition, Scheme, Table};
    use super::{as_planned, script};

    fn new(scheme: Scheme, sector: u32) -> NewPartition {
        NewPartition {
            scheme,
            new_table: false,
            number: 4,
            range: 64 << 20..128 << 20,
            sector,
        }
    }

    #[test]
    fn scripts_say_sectors_number_and_type() {
        assert_eq!(
            script(&new(Scheme::Mbr, 512), "CACHE"),
            "4 : start=131072, size=131072, type=ca\n"
        );
        let fresh = NewPartition {
            new_table: true,
            ..new(Scheme::Gpt, 4096)
        };
        assert_eq!(
            script(&fresh, "CACHE"),
            "label: gpt\n4 : start=16384, size=16384, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name=CACHE\n"
        );
    }

    #[test]
    fn any_other_change_is_noticed() {
        let entry = |number, range, kind: &str| Entry {
            number,
            range,
            kind: kind.to_owned(),
            name: None,
            uuid: None,
            flags: String::new(),
        };
        let table = |entries| Table {
            scheme: Scheme::Mbr,
            id: "0x1".to_owned(),
            sector: 512,
            usable: None,
            entries,
        };
        let new = new(Scheme::Mbr, 512);
        let old = entry(1, 1 << 20..2 << 20, "7");
        let added = entry(4, new.range.clone(), "ca");
        let before = table(vec![old.clone()]);
        let judge = |after: Option<&Table>| as_planned(Some(&before), after, &new, "CACHE");
        assert!(judge(Some(&table(vec![old.clone(), added.clone()]))));
        let moved = entry(1, 1 << 20..3 << 20, "7");
        let marked = Entry {
            flags: "active".to_owned(),
            ..old.clone()
        };
        let other = entry(4, new.range.clone(), "83");
        let renamed = Table {
            id: "0x2".to_owned(),
            ..table(vec![old.clone(), added.clone()])
        };
        for wrong in [
            table(vec![moved, added.clone()]),
            table(vec![marked, added.clone()]),
            table(vec![added]),
            table(vec![old.clone()]),
            table(vec![old, other]),
            renamed,
        ] {
            assert!(!judge(Some(&wrong)), "{wrong:?}");
        }
        assert!(!judge(None));
    }
}
