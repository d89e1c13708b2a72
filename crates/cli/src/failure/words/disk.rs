//! The words for what devices, mounts and partition tables are refused for.

use std::path::Path;

use azud_disk::DiskError;
use azud_disk::partition::PlanRefusal;

use super::{Words, joined, of, plain, shown};

/// What a server says of what was to be mounted.
fn asked(key: &'static str, repo: &str, protocol: &str) -> Words {
    let values = [("repo", repo.to_owned()), ("protocol", protocol.to_owned())];
    Words::new(key, values)
}

/// What is missing, in words; a list of disks or the name of one is no word of the program's.
fn no_such_disk(name: &str, reason: &str) -> Words {
    let name = ("name", name.to_owned());
    if let Some((reason, among)) = reason.split_once(" among: ") {
        let among = ("among", among.to_owned());
        return Words::new("no-such-disk-among", [name, among]).term("reason", reason);
    }
    if let Some((disk, number)) = reason.split_once(" has no partition ") {
        let values = [
            name,
            ("disk", disk.to_owned()),
            ("number", number.to_owned()),
        ];
        return Words::new("no-such-partition", values);
    }
    Words::new("no-such-disk", [name]).term("reason", reason)
}

/// Who uses a device, and which one where it is another: the disk around a partition, for instance.
fn busy(path: &Path, by: &str) -> Words {
    let device = by
        .strip_prefix("another program, which has ")
        .and_then(|by| by.strip_suffix(" to itself"));
    match device {
        Some(device) => of("busy-exclusive", path).with("device", device.to_owned()),
        None => of("busy", path).term("by", by),
    }
}

pub(in crate::failure) fn disk(error: &DiskError) -> Words {
    match error {
        DiskError::NotFound { path } => of("no-device", path),
        DiskError::NoSuchDisk { name, reason } => no_such_disk(name, reason),
        DiskError::Ambiguous { name, nodes } => {
            Words::new("ambiguous", [("name", name.clone())]).with("nodes", nodes.join(", "))
        }
        DiskError::NotADevice { path } => of("not-a-device", path),
        DiskError::Mounted { path, at } => of("mounted", path).with("at", shown(at)),
        DiskError::Busy { path, by } => busy(path, by),
        DiskError::Changed { path, what } => of("device-changed", path).term("what", what),
        DiskError::ReadOnly { path } => of("write-protected", path),
        DiskError::Permission { path, op } => of("permission", path).term("op", op),
        DiskError::MountUnsupported { path, fs } => {
            of("mount-unsupported", path).with("fs", fs.clone())
        }
        DiskError::Unmountable { path, fs, .. } => of("unmountable", path).with("fs", fs.clone()),
        DiskError::BadMountPoint { at, why } => of("bad-mount-point", at).term("why", why),
        DiskError::Unreachable { host, protocol } => {
            Words::new("unreachable", [("host", host.clone())])
                .with("protocol", (*protocol).to_owned())
        }
        DiskError::OpenSecret { path } => of("open-secret", path),
        DiskError::BadSecret => plain("bad-secret"),
        DiskError::SecretOption { name } => Words::new("secret-option", [("name", name.clone())]),
        DiskError::NotMounted { at } => of("not-mounted", at),
        DiskError::BadTable { path, why } => of("bad-table", path).term("why", why),
        DiskError::NoPlace { path, .. } => of("no-place", path),
        DiskError::TooSmall { path, has, needs } => of("device-too-small", path)
            .with("has", has.to_string())
            .with("needs", needs.to_string()),
        DiskError::NoCache => plain("no-cache"),
        DiskError::SeveralCaches { devices } => {
            Words::new("several", [("devices", joined(devices))])
        }
        DiskError::Io { path, op, .. } => of("disk-io", path).term("op", op),
        DiskError::ToolMissing { program, package } => Words::new(
            "tool-missing",
            [("program", program.clone()), ("package", package.clone())],
        ),
        DiskError::Denied { repo, protocol, .. } => asked("repo-denied", repo, protocol),
        DiskError::NoShare { repo, protocol, .. } => asked("repo-no-share", repo, protocol),
        DiskError::WrongProtocol { repo, protocol, .. } => {
            asked("repo-wrong-protocol", repo, protocol)
        }
        DiskError::ToolFailed {
            program,
            status,
            stderr,
            ..
        } => Words::new("tool-failed", [("program", program.clone())])
            .with("status", status.code().unwrap_or(-1).to_string())
            .with("said", stderr.clone()),
    }
}

/// Why a partition table is not changed.
pub(super) fn refusal(error: &PlanRefusal) -> Words {
    match error {
        PlanRefusal::TooLittleRoom { largest, needed } => Words::new(
            "plan-room",
            [
                ("largest", largest.to_string()),
                ("needed", needed.to_string()),
            ],
        ),
        PlanRefusal::Taken { range } => Words::new(
            "plan-taken",
            [
                ("start", range.start.to_string()),
                ("end", range.end.to_string()),
            ],
        ),
        PlanRefusal::Unaligned { start } => {
            Words::new("plan-unaligned", [("start", start.to_string())])
        }
        PlanRefusal::NoNumber(count) => {
            Words::new("plan-no-number", [("count", count.to_string())])
        }
        PlanRefusal::NotANumber(number) => {
            Words::new("plan-not-a-number", [("number", number.to_string())])
        }
        PlanRefusal::SectorSize { table, disk } => Words::new(
            "plan-sector",
            [("table", table.to_string()), ("disk", disk.to_string())],
        ),
    }
}
