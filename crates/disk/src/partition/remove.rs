//! Taking a partition out of a disk's table.

use std::fs;
use std::path::Path;

use rustix::io::Errno;

use super::{Entry, Scheme, Table, read};
use crate::command::Tool;
use crate::error::{DiskError, Result};
use crate::sys;

/// Takes partition `number` out of a disk's table, which was `before`. No byte of the partition itself is
/// written. The kernel lets go of it first, which it does only while nobody uses it.
///
/// # Errors
/// [`DiskError::Changed`] when the table is not what it was looked at for; [`DiskError::BadTable`] for a partition
/// that is not there, a logical or an extended one, whose removal would change others, and when the table
/// is not what it should be afterwards; [`DiskError::Busy`]; those of sfdisk.
pub fn remove(disk: &Path, before: &Table, number: u32) -> Result<()> {
    let bad = |why| DiskError::BadTable {
        path: disk.to_owned(),
        why,
    };
    let entry = removable(before, number).map_err(bad)?;
    if read(disk)?.as_ref() != Some(before) {
        return Err(DiskError::Changed {
            path: disk.to_owned(),
            what: "its partition table is not what it was",
        });
    }
    let hidden = hide(disk, entry)?;
    if let Err(error) = delete(disk, number) {
        if hidden {
            // Nothing has changed: the kernel shows it again.
            let _ = show(disk, entry);
        }
        return Err(error);
    }
    if !is_gone(before, read(disk)?.as_ref(), number) {
        return Err(bad("after the change it is not what was planned"));
    }
    Ok(())
}

fn removable(table: &Table, number: u32) -> std::result::Result<&Entry, &'static str> {
    let mut entries = table.entries.iter();
    let entry = entries.find(|entry| entry.number == number);
    let entry = entry.ok_or("it has no partition of this number")?;
    if table.scheme == Scheme::Mbr && (entry.is_extended() || number > 4) {
        return Err("without this partition the logical ones would not be the same");
    }
    Ok(entry)
}

/// Whether the kernel showed it.
fn hide(disk: &Path, entry: &Entry) -> Result<bool> {
    match sys::delete_partition(open(disk)?, signed(entry.number)) {
        Ok(()) => Ok(true),
        Err(Errno::NXIO) => Ok(false),
        Err(Errno::BUSY) => Err(DiskError::Busy {
            path: disk.to_owned(),
            by: format!("whoever uses partition {}", entry.number),
        }),
        Err(error) => Err(DiskError::at(disk, "hiding the partition", error)),
    }
}

fn show(disk: &Path, entry: &Entry) -> Result<()> {
    let len = entry.range.end - entry.range.start;
    sys::add_partition(open(disk)?, signed(entry.number), entry.range.start, len)
        .map_err(|error| DiskError::at(disk, "showing the partition to the kernel", error))
}

fn open(disk: &Path) -> Result<fs::File> {
    fs::File::open(disk).map_err(|error| DiskError::at(disk, "opening", error))
}

fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn delete(disk: &Path, number: u32) -> Result<()> {
    let absolute =
        std::path::absolute(disk).map_err(|error| DiskError::at(disk, "looking", error))?;
    Tool::find("sfdisk")?
        .args(["--quiet", "--lock=yes", "--no-reread", "--no-tell-kernel"])
        .args(["--wipe", "never", "--wipe-partitions", "never"])
        .args(["--delete", "--"])
        .arg(absolute)
        .arg(number.to_string())
        .run()
        .map(drop)
}

/// Whether exactly this entry has gone.
fn is_gone(before: &Table, after: Option<&Table>, number: u32) -> bool {
    let mut wanted = before.clone();
    wanted.entries.retain(|entry| entry.number != number);
    after == Some(&wanted)
}

#[cfg(test)]
mod tests {
    use super::{Entry, Scheme, Table, is_gone, removable};

    fn table(numbers: &[(u32, &str)]) -> Table {
        let entry = |(number, kind): &(u32, &str)| Entry {
            number: *number,
            range: u64::from(*number) << 20..u64::from(number + 1) << 20,
            kind: (*kind).to_owned(),
            name: None,
            uuid: None,
            flags: String::new(),
        };
        Table {
            scheme: Scheme::Mbr,
            id: "1".to_owned(),
            sector: 512,
            usable: None,
            entries: numbers.iter().map(entry).collect(),
        }
    }

    #[test]
    fn others_would_not_stay_the_same() {
        let table = table(&[(1, "7"), (2, "5"), (5, "83"), (4, "ca")]);
        for number in [2, 3, 5] {
            assert!(removable(&table, number).is_err(), "{number}");
        }
        assert_eq!(removable(&table, 4), Ok(&table.entries[3]));
        let gpt = Table {
            scheme: Scheme::Gpt,
            ..table
        };
        assert_eq!(removable(&gpt, 5), Ok(&gpt.entries[2]));
    }

    #[test]
    fn one_entry_goes_and_no_other_changes() {
        let before = table(&[(1, "7"), (4, "ca")]);
        assert!(is_gone(&before, Some(&table(&[(1, "7")])), 4));
        for after in [
            table(&[(1, "7"), (4, "ca")]),
            table(&[(1, "83")]),
            table(&[(4, "ca")]),
        ] {
            assert!(!is_gone(&before, Some(&after), 4), "{after:?}");
        }
        assert!(!is_gone(&before, None, 4));
    }
}
