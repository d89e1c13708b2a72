//! `ogCreateCache`, `ogDeleteCache`, `ogFormatCache`, `ogGetCacheSpace`, `initCache`.

use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_disk::cache::{Hit, blank};
use azud_disk::partition::{self, ALIGNMENT, NewPartition, Place, Scheme, Table, Wish, plan};
use azud_disk::{DeviceFacts, DiskError, Numbers};

use super::args::{none, refuse};
use super::container::{AGREED, mount_cache, the_cache};
use super::{Call, Done, Refusal, Status, cache};
use crate::commands::cache::{init, unrecognised_hint};
use crate::failure::Failure;
use crate::place;

/// Where a cache is wanted, and how large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    disk: u32,
    part: Option<u32>,
    /// Bytes, more than none.
    size: u64,
}

/// `[disk [part]] size` with a size in KiB.
fn parse_size(args: &[String]) -> Result<(u32, Option<u32>, &String), Failure> {
    let number = |text: &String| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let value = digits.then(|| text.parse::<u32>().ok()).flatten();
        value
            .filter(|value| *value > 0)
            .ok_or_else(|| refuse(format!("{text:?} is no number of a disk or partition")))
    };
    match args {
        [size] => Ok((1, None, size)),
        [disk, size] => Ok((number(disk)?, None, size)),
        [disk, part, size] => Ok((number(disk)?, Some(number(part)?), size)),
        _ => Err(refuse(format!("{} arguments", args.len()))),
    }
}

fn kib(text: &str) -> Result<u64, Failure> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let bytes = digits.then(|| text.parse::<u64>().ok()?.checked_mul(1024));
    let bytes = bytes.flatten();
    bytes.ok_or_else(|| refuse(format!("{text:?} is no size in KiB")))
}

pub(super) fn parse_create(args: &[String]) -> Result<Wanted, Failure> {
    let (disk, part, size) = parse_size(args)?;
    match kib(size)? {
        0 => Err(refuse("a cache has a size")),
        size => Ok(Wanted { disk, part, size }),
    }
}

/// What becomes of the cache.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Init {
    Delete,
    Keep,
    Make(Wanted),
}

/// `[disk [part]] -1|0|sizeKB [NOMOUNT]`, and whether it is mounted afterwards.
pub(super) fn parse_init(args: &[String]) -> Result<(Init, bool), Failure> {
    let (args, mounts) = match args {
        [rest @ .., last] if last.eq_ignore_ascii_case("NOMOUNT") => (rest, false),
        all => (all, true),
    };
    let (disk, part, size) = parse_size(args)?;
    let init = match size.as_str() {
        "-1" => Init::Delete,
        size => match kib(size)? {
            0 => Init::Keep,
            size => Init::Make(Wanted { disk, part, size }),
        },
    };
    Ok((init, mounts))
}

/// Prints the KiB behind the third partition, half the disk at most.
pub(super) fn space(call: &Call) -> Done {
    none(&call.args)?;
    let (disk, table) = home(&the_cache(call)?)?;
    let len = DeviceFacts::read(&disk)?.len;
    let bytes = room(&table, len).ok_or_else(|| {
        let what = format!("{} has no partition 3", disk.display());
        Failure::new(Code::NotADevice, what)
    })?;
    call.print(&(bytes / 1024).to_string());
    Ok(Status::Ok)
}

fn room(table: &Table, disk_len: u64) -> Option<u64> {
    let third = table.entries.iter().find(|entry| entry.number == 3)?;
    let behind = disk_len.saturating_sub(third.range.end);
    Some(behind.min(disk_len / 2))
}

/// Makes a partition; in a GPT one that is there goes first.
pub(super) fn create_cache(call: &Call) -> Done {
    let wanted = parse_create(&call.args)?;
    let disk = Numbers::read(&place::disks())?.disk(wanted.disk)?;
    let table = partition::read(&disk)?;
    let gpt = table.is_some_and(|table| table.scheme == Scheme::Gpt);
    let former = existing(call)?.filter(|hit| gpt && hit.disk.as_deref() == Some(&disk));
    fits(&wanted, &disk, former.as_ref())?;
    if let Some(hit) = former {
        delete(call, &hit)?;
    }
    make(&wanted, disk).create_only(&call.context)?;
    Ok(Status::Ok)
}

/// Removes the partition.
pub(super) fn delete_cache(call: &Call) -> Done {
    none(&call.args)?;
    delete(call, &the_cache(call)?)?;
    Ok(Status::Ok)
}

/// Formats the partition and mounts it.
pub(super) fn format_cache(call: &Call) -> Done {
    none(&call.args)?;
    let hit = the_cache(call)?;
    cache::unmount_if_mounted(call)?;
    format(call, hit.device)?;
    mount_cache(call)?;
    Ok(Status::Ok)
}

/// Makes, keeps or removes the cache.
pub(super) fn init_cache(call: &Call) -> Done {
    let (init, mounts) = parse_init(&call.args)?;
    let former = existing(call)?;
    match init {
        Init::Delete => {
            if let Some(hit) = former {
                delete(call, &hit)?;
            }
            return Ok(Status::Ok);
        }
        Init::Keep if former.is_none() => return Ok(Status::Ok),
        Init::Keep => {}
        Init::Make(wanted) => bring_about(call, &wanted, former)?,
    }
    if mounts {
        mount_cache(call)?;
    }
    Ok(Status::Ok)
}

/// A cache where it is wanted and as large stays; any other goes, once it is certain that there is room.
fn bring_about(call: &Call, wanted: &Wanted, former: Option<Hit>) -> Result<(), Refusal> {
    let disk = Numbers::read(&place::disks())?.disk(wanted.disk)?;
    let same = |hit: &Hit| {
        let there = DeviceFacts::read(&hit.device)?.partition;
        let number = there.as_ref().map(|there| there.number);
        let at =
            hit.disk.as_deref() == Some(&disk) && wanted.part.is_none_or(|it| Some(it) == number);
        Ok::<_, DiskError>(at && hit.len.abs_diff(wanted.size) < ALIGNMENT)
    };
    match former {
        Some(hit) if same(&hit)? => {
            if hit.signature.is_fs {
                return Ok(());
            }
            if !blank(&hit.device)? {
                let hint = unrecognised_hint(&call.context, &hit.device);
                let name = hit.device.display().to_string();
                return Err(Failure::new(Code::IsCache, name).with_hint(hint).into());
            }
            format(call, hit.device)
        }
        former => {
            let on_disk = |hit: &&Hit| hit.disk.as_deref() == Some(&disk);
            fits(wanted, &disk, former.as_ref().filter(on_disk))?;
            if let Some(hit) = former {
                delete(call, &hit)?;
            }
            match make(wanted, disk).create_only(&call.context)? {
                Some(device) => format(call, device),
                None => Ok(()),
            }
        }
    }
}

/// The cache, if there is one.
fn existing(call: &Call) -> Result<Option<Hit>, Failure> {
    match the_cache(call) {
        Ok(hit) => Ok(Some(hit)),
        Err(failure) if failure.code == Code::NoCache => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Whether there will be room and a number, once the former cache has gone.
fn fits(wanted: &Wanted, disk: &Path, former: Option<&Hit>) -> Result<NewPartition, Refusal> {
    let facts = DeviceFacts::read(disk)?;
    let mut table = partition::read(disk)?;
    if let (Some(table), Some(hit)) = (&mut table, former) {
        let number = number_of(hit)?;
        table.entries.retain(|entry| entry.number != number);
    }
    let wish = Wish {
        size: Some(wanted.size),
        place: Place::End,
        scheme: Scheme::Mbr,
        number: wanted.part,
    };
    plan(facts.len, facts.logical_sector, table.as_ref(), wish).map_err(|source| {
        let path = disk.to_owned();
        Refusal::told(Status::Format, DiskError::NoPlace { path, source }.into())
    })
}

fn make(wanted: &Wanted, disk: PathBuf) -> init::Args {
    init::Args {
        device: disk,
        fs: init::Fs::Ext4,
        size: Some(wanted.size),
        start: None,
        number: wanted.part,
        table: init::TableKind::Mbr,
        reformat: false,
        writing: AGREED,
    }
}

fn format(call: &Call, device: PathBuf) -> Result<(), Refusal> {
    let args = init::Args {
        device,
        fs: init::Fs::Ext4,
        size: None,
        start: None,
        number: None,
        table: init::TableKind::Mbr,
        reformat: true,
        writing: AGREED,
    };
    Ok(args.run(&call.context)?)
}

/// The disk of a cache and its table.
fn home(hit: &Hit) -> Result<(PathBuf, Table), Failure> {
    let disk = hit.disk.clone().ok_or_else(|| no_partition(hit))?;
    let table = partition::read(&disk)?.ok_or_else(|| no_partition(hit))?;
    Ok((disk, table))
}

fn number_of(hit: &Hit) -> Result<u32, Failure> {
    let place = DeviceFacts::read(&hit.device)?.partition;
    Ok(place.ok_or_else(|| no_partition(hit))?.number)
}

fn no_partition(hit: &Hit) -> Failure {
    let what = format!("{} is no partition", hit.device.display());
    Failure::new(Code::NotADevice, what)
}

/// Unmounts the cache and takes its partition out of the table.
fn delete(call: &Call, hit: &Hit) -> Result<(), Refusal> {
    let (disk, table) = home(hit)?;
    let number = number_of(hit)?;
    cache::unmount_if_mounted(call)?;
    let context = &call.context;
    let values = [("device", hit.device.display().to_string().into())];
    let text = context.catalog.fmt("compat-cache-goes", &values);
    context.output.warn(&context.catalog, &text);
    Ok(partition::remove(&disk, &table, number)?)
}

#[cfg(test)]
mod tests {
    use azud_core::code::Code;
    use azud_disk::partition::{Entry, Scheme, Table};

    use super::{Init, Wanted, parse_create, parse_init, room};

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_size_stands_behind_disk_and_partition() {
        let wanted = |disk, part, size| Wanted { disk, part, size };
        for (line, init, mounts) in [
            ("-1", Init::Delete, true),
            ("0 NOMOUNT", Init::Keep, false),
            ("1000", Init::Make(wanted(1, None, 1_024_000)), true),
            ("2 1000", Init::Make(wanted(2, None, 1_024_000)), true),
            (
                "2 3 1000 nomount",
                Init::Make(wanted(2, Some(3), 1_024_000)),
                false,
            ),
            ("1 4 -1", Init::Delete, true),
        ] {
            assert_eq!(parse_init(&words(line)).unwrap(), (init, mounts), "{line}");
        }
        assert_eq!(
            parse_create(&words("1 4 5")).unwrap(),
            wanted(1, Some(4), 5120)
        );
        for line in [
            "",
            "NOMOUNT",
            "-2",
            "x",
            "0 4 5",
            "1 -4 5",
            "1 2 3 4",
            "+5",
            "5k",
            "99999999999999999999",
        ] {
            let refused = parse_init(&words(line)).unwrap_err();
            assert_eq!(refused.code, Code::Usage, "{line}");
            assert_eq!(parse_create(&words(line)).unwrap_err().code, Code::Usage);
        }
        for line in ["0", "-1", "5 NOMOUNT"] {
            assert!(parse_create(&words(line)).is_err(), "{line}");
        }
    }

    #[test]
    fn a_cache_may_have_what_is_behind_the_third_partition() {
        let entry = |number, end| Entry {
            number,
            range: 0..end,
            kind: "83".to_owned(),
            name: None,
            uuid: None,
            flags: String::new(),
        };
        let table = |entries| Table {
            scheme: Scheme::Mbr,
            id: String::new(),
            sector: 512,
            usable: None,
            entries,
        };
        assert_eq!(room(&table(vec![entry(3, 100)]), 1000), Some(500));
        assert_eq!(room(&table(vec![entry(3, 700)]), 1000), Some(300));
        assert_eq!(room(&table(vec![entry(3, 1700)]), 1000), Some(0));
        assert_eq!(room(&table(vec![entry(2, 700)]), 1000), None);
    }
}
