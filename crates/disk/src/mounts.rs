//! The tables of mounts and of swap areas, as the kernel prints them.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rustix::fs::Dev;

use crate::sysfs::parse_dev;

/// One line of `/proc/self/mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Number of the mount (`stx_mnt_id`).
    pub(crate) id: u64,
    /// Device number; an invented one (major 0) for file systems without a device, and for btrfs.
    pub(crate) dev: Dev,
    /// The directory of the file system that is seen there; `/` if it is all of it.
    pub(crate) root: PathBuf,
    /// Where.
    pub(crate) at: PathBuf,
    /// Type of the file system.
    pub(crate) fs_type: String,
    /// What was mounted, as the file system calls it.
    pub(crate) source: PathBuf,
    /// Whether the directory that was mounted has been removed meanwhile.
    pub(crate) deleted: bool,
    /// Whether this mount or the whole file system refuses writes.
    pub(crate) read_only: bool,
    /// The file system's own options.
    pub(crate) options: String,
}

/// The mounts of this process' namespace.
pub(crate) fn mounts() -> Vec<Mount> {
    let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
    mounts_in(&table).collect()
}

fn mounts_in(table: &[u8]) -> impl Iterator<Item = Mount> {
    table.split(|byte| *byte == b'\n').filter_map(parse_mount)
}

/// Where file systems are mounted, and of which type, oldest first.
pub fn mount_points() -> Vec<(PathBuf, String)> {
    mount_points_in(&fs::read("/proc/self/mountinfo").unwrap_or_default())
}

/// The same by a table that looks like the kernel's; lines that do not are passed over.
pub fn mount_points_in(table: &[u8]) -> Vec<(PathBuf, String)> {
    mounts_in(table)
        .map(|mount| (mount.at, mount.fs_type))
        .collect()
}

fn parse_mount(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    // Optional fields stand between the sixth field and a lone "-".
    let dash = fields.iter().skip(6).position(|field| *field == b"-")? + 6;
    let own = fields.get(5)?;
    let options = fields.get(dash + 3)?;
    Some(Mount {
        id: text(fields[0])?.parse().ok()?,
        dev: parse_dev(text(fields.get(2)?)?)?,
        root: unescape(fields.get(3)?),
        at: unescape(fields.get(4)?),
        fs_type: text(fields.get(dash + 1)?)?.to_owned(),
        source: unescape(fields.get(dash + 2)?),
        // The kernel's own words, which it does not escape.
        deleted: fields.get(3)?.ends_with(b"//deleted"),
        read_only: [own, options]
            .iter()
            .any(|list| list.split(|byte| *byte == b',').any(|word| word == b"ro")),
        options: String::from_utf8_lossy(options).into_owned(),
    })
}

/// The active swap areas, devices and files.
pub(crate) fn swaps() -> Vec<PathBuf> {
    let table = fs::read("/proc/swaps").unwrap_or_default();
    let lines = table.split(|byte| *byte == b'\n').skip(1);
    lines
        .filter_map(|line| line.split(|byte| matches!(byte, b' ' | b'\t')).next())
        .filter(|name| !name.is_empty())
        .map(unescape)
        .collect()
}

fn text(field: &[u8]) -> Option<&str> {
    std::str::from_utf8(field).ok()
}

/// Undoes the kernel's `\040`.
fn unescape(field: &[u8]) -> PathBuf {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal = (*first == b'\\')
            .then(|| tail.get(..3).and_then(text))
            .flatten();
        if let Some(byte) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            out.push(byte);
            rest = &tail[3..];
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    PathBuf::from(OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::{parse_mount, unescape};
    use std::path::Path;

    #[test]
    fn lines_with_and_without_optional_fields() {
        let with = parse_mount(b"36 35 98:0 /mnt1 /mnt\\0402 rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue");
        let with = with.expect("a whole line");
        assert_eq!((with.id, with.at.as_path()), (36, Path::new("/mnt 2")));
        assert_eq!(
            (with.fs_type.as_str(), with.source.as_path()),
            ("ext3", Path::new("/dev/root"))
        );
        assert!(!with.read_only);
        for line in [
            &b"1 1 8:1 / /a ro,noatime - ext4 /dev/sda1 rw"[..],
            b"1 1 8:1 / /a rw - ext4 /dev/sda1 ro,errors=continue",
        ] {
            assert!(parse_mount(line).expect("a whole line").read_only);
        }
        let without = parse_mount(b"1 1 0:21 / /proc rw - proc proc rw").expect("a whole line");
        assert_eq!(without.source, Path::new("proc"));
        for torn in [
            &b""[..],
            b"1 1 0:21 / /proc rw - proc",
            b"1 1 0:21 / /proc",
            b"x 1 0:2 / / rw - a b c",
        ] {
            assert_eq!(parse_mount(torn), None, "{}", String::from_utf8_lossy(torn));
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape(b"a\\134b\\12"), Path::new("a\\b\\12"));
        assert_eq!(unescape(b"\\777"), Path::new("\\777"));
    }
}
