//! Reading a table: `sfdisk --json`, every number and name of which may come from a hostile disk.

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;

use super::{Entry, Scheme, Table};
use crate::command::Tool;
use crate::error::{DiskError, Result};

/// What sfdisk says of a disk without a table.
const NO_TABLE: &str = "does not contain a recognized partition table";
/// The type of the one entry that protects a GPT from programs that only know MBRs.
const PROTECTIVE: &str = "ee";

#[derive(Deserialize)]
struct Printed {
    partitiontable: PrintedTable,
}

#[derive(Deserialize)]
struct PrintedTable {
    label: String,
    #[serde(default)]
    id: String,
    device: String,
    sectorsize: u32,
    firstlba: Option<u64>,
    lastlba: Option<u64>,
    #[serde(default)]
    partitions: Vec<PrintedEntry>,
}

#[derive(Deserialize)]
struct PrintedEntry {
    node: String,
    start: u64,
    size: u64,
    #[serde(rename = "type")]
    kind: String,
    uuid: Option<String>,
    name: Option<String>,
    attrs: Option<String>,
    #[serde(default)]
    bootable: bool,
}

/// The table of a disk, `None` when it has none.
///
/// # Errors
/// [`DiskError::BadTable`] for one that is damaged, contradicts itself or is of another kind;
/// [`DiskError::ToolMissing`], [`DiskError::ToolFailed`].
pub fn read(disk: &Path) -> Result<Option<Table>> {
    let absolute =
        std::path::absolute(disk).map_err(|error| DiskError::at(disk, "looking", error))?;
    let printed = Tool::find("sfdisk")?
        .args(["--json", "--"])
        .arg(absolute)
        .run();
    match printed {
        Ok(output) => parse(&output.stdout)
            .map(Some)
            .map_err(|why| bad(disk, why)),
        Err(DiskError::ToolFailed { stderr, .. }) if stderr.contains(NO_TABLE) => Ok(None),
        Err(error) => Err(error),
    }
}

fn bad(disk: &Path, why: &'static str) -> DiskError {
    DiskError::BadTable {
        path: disk.to_owned(),
        why,
    }
}

/// Understands what `sfdisk --json` printed.
///
/// # Errors
/// Why it is nothing to build on.
pub fn parse(json: &[u8]) -> std::result::Result<Table, &'static str> {
    // Names of a GPT may be no Unicode, and sfdisk passes them on.
    let text = String::from_utf8_lossy(json);
    let printed: Printed =
        serde_json::from_str(&text).map_err(|_| "sfdisk says nothing of sense about it")?;
    let table = printed.partitiontable;
    let scheme = match table.label.as_str() {
        "gpt" => Scheme::Gpt,
        "dos" => Scheme::Mbr,
        _ => return Err("it is neither a GPT nor an MBR"),
    };
    if !table.sectorsize.is_power_of_two() || !(512..=1 << 16).contains(&table.sectorsize) {
        return Err("its sector size is none");
    }
    let sector = u64::from(table.sectorsize);
    let entries = table.partitions.into_iter();
    let entries = entries
        .map(|entry| entry_of(entry, &table.device, sector))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let usable = match (table.firstlba, table.lastlba) {
        (Some(first), Some(last)) => Some(bytes(first, last.checked_add(1), sector)?),
        _ => None,
    };
    let table = Table {
        scheme,
        id: table.id,
        sector: table.sectorsize,
        usable,
        entries,
    };
    sound(&table).map(|()| table)
}

fn entry_of(
    entry: PrintedEntry,
    device: &str,
    sector: u64,
) -> std::result::Result<Entry, &'static str> {
    let mut kind = entry.kind;
    if kind.len() > 2 {
        kind.make_ascii_uppercase();
    } else {
        kind.make_ascii_lowercase();
    }
    let active = if entry.bootable { "active" } else { "" };
    let attributes = entry.attrs.unwrap_or_default();
    Ok(Entry {
        number: number(&entry.node, device).ok_or("a partition has no number")?,
        range: bytes(entry.start, entry.start.checked_add(entry.size), sector)?,
        kind,
        name: entry.name.filter(|name| !name.is_empty()),
        uuid: entry.uuid,
        flags: format!("{active} {attributes}").trim().to_owned(),
    })
}

/// `sda1`, `nvme0n1p1`, `disk-part1` without the name of the disk and what joins them.
fn number(node: &str, device: &str) -> Option<u32> {
    let rest = node.strip_prefix(device)?;
    let digits = rest
        .strip_prefix('p')
        .or_else(|| rest.strip_prefix("-part"))
        .unwrap_or(rest);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|number| plain && *number > 0)
}

fn bytes(
    start: u64,
    end: Option<u64>,
    sector: u64,
) -> std::result::Result<Range<u64>, &'static str> {
    let beyond = "a partition lies beyond all disks";
    let start = start.checked_mul(sector).ok_or(beyond)?;
    let end = end.and_then(|end| end.checked_mul(sector)).ok_or(beyond)?;
    Ok(start..end)
}

/// A table that contradicts itself is nothing to build on.
fn sound(table: &Table) -> std::result::Result<(), &'static str> {
    if table.scheme == Scheme::Mbr && table.entries.iter().any(|entry| entry.kind == PROTECTIVE) {
        return Err("it is a GPT of which only the protective MBR is left");
    }
    for (index, entry) in table.entries.iter().enumerate() {
        let logical = table.scheme == Scheme::Mbr && entry.number > 4;
        for other in &table.entries[index + 1..] {
            if other.number == entry.number {
                return Err("two partitions have one number");
            }
            let other_logical = table.scheme == Scheme::Mbr && other.number > 4;
            let overlap =
                entry.range.start < other.range.end && other.range.start < entry.range.end;
            if overlap && logical == other_logical {
                return Err("two partitions overlap");
            }
        }
        let container = table.entries.iter().find(|entry| entry.is_extended());
        let inside = container.is_some_and(|container| {
            container.range.start <= entry.range.start && entry.range.end <= container.range.end
        });
        if logical && !inside {
            return Err("a logical partition lies outside the extended one");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Scheme, parse};

    fn table(label: &str, rows: &str) -> String {
        format!(
            r#"{{"partitiontable":{{"label":"{label}","id":"0x1","device":"/dev/sda","unit":"sectors","sectorsize":512,"partitions":[{rows}]}}}}"#
        )
    }

    fn row(node: &str, start: u64, size: u64, kind: &str) -> String {
        format!(r#"{{"node":"/dev/sda{node}","start":{start},"size":{size},"type":"{kind}"}}"#)
    }

    /// As util-linux 2.38 prints it, with a name that tries everything.
    const GPT: &str = r#"{
   "partitiontable": {
      "label": "gpt", "id": "AA4115B0-8CB4-E045-BD63-F92969B65A0B", "device": "/dev/nvme0n1",
      "unit": "sectors", "firstlba": 256, "lastlba": 15000, "sectorsize": 4096,
      "partitions": [
         { "node": "/dev/nvme0n1p1", "start": 256, "size": 1000,
           "type": "c12a7328-F81F-11D2-BA4B-00A0C93EC93B",
           "uuid": "AB87BDE4-F16D-3348-808A-A0E686BC2279",
           "name": "x\"y\\z\nnl\ttab é $(id)", "attrs": "RequiredPartition GUID:63" },
         { "node": "/dev/nvme0n1p12", "start": 2000, "size": 1,
           "type": "0FC63DAF-8483-4772-8E79-3D69D8477DE4", "uuid": "1", "name": "CACHE" }
      ]
   }
}"#;

    #[test]
    fn a_gpt_with_a_hostile_name() {
        let table = parse(GPT.as_bytes()).expect("sound");
        assert_eq!((table.scheme, table.sector), (Scheme::Gpt, 4096));
        assert_eq!(table.usable, Some(256 * 4096..15001 * 4096));
        let [first, second] = &table.entries[..] else {
            panic!("{table:?}")
        };
        assert_eq!((first.number, second.number), (1, 12));
        assert_eq!(first.name.as_deref(), Some("x\"y\\z\nnl\ttab é $(id)"));
        assert_eq!(first.kind, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
        assert_eq!(first.flags, "RequiredPartition GUID:63");
        assert_eq!(second.range, 2000 * 4096..2001 * 4096);
    }

    #[test]
    fn an_mbr_with_logical_partitions() {
        let rows = [
            row("1", 2048, 8192, "7"),
            row("3", 20480, 32768, "f"),
            row("5", 22528, 4096, "83"),
        ]
        .join(",");
        let table = parse(table("dos", &rows).as_bytes()).expect("sound");
        assert_eq!((table.scheme, table.usable), (Scheme::Mbr, None));
        let numbers: Vec<u32> = table.entries.iter().map(|entry| entry.number).collect();
        assert_eq!(numbers, [1, 3, 5]);
        assert!(table.entries[1].is_extended() && !table.entries[2].is_extended());
    }

    #[test]
    fn an_empty_table_is_one() {
        let text = r#"{"partitiontable":{"label":"dos","id":"0x0","device":"d","unit":"sectors","sectorsize":512}}"#;
        assert!(parse(text.as_bytes()).expect("sound").entries.is_empty());
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let one = row("1", 2048, 8192, "83");
        let cases = [
            (
                table("gpt", &format!("{one},{}", row("2", 10239, 1, "83"))),
                "overlap",
            ),
            (
                table("gpt", &format!("{one},{}", row("1", 90000, 1, "83"))),
                "one number",
            ),
            (table("dos", &row("1", 1, 122_879, "ee")), "protective"),
            (
                table("dos", &format!("{one},{}", row("5", 20000, 1, "83"))),
                "outside",
            ),
            (table("dos", &row("1", u64::MAX, 1, "83")), "beyond"),
            (table("dos", &row("1", 1 << 60, 1, "83")), "beyond"),
            (table("dos", &row("0", 1, 1, "83")), "no number"),
            (table("dos", &row("p+3", 1, 1, "83")), "no number"),
            (table("dos", &row("4294967296", 1, 1, "83")), "no number"),
            (table("sun", &one), "neither"),
            (table("dos", &one).replace(":512", ":513"), "sector size"),
            (table("dos", &one).replace("start", "begin"), "sense"),
            (String::new(), "sense"),
        ];
        for (text, why) in cases {
            let error = parse(text.as_bytes()).expect_err(&text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
