//! Removable storage: what is plugged in, what is on it, where it is mounted.

use std::path::{Path, PathBuf};

use azud_core::reference::{Media, Removable};

use crate::command::Tool;
use crate::error::{DiskError, Result};
use crate::mounting::{Kind, Mounted, Mounting, mount, mounts_of};
use crate::sysfs::BlockDev;

/// For tests: the loop devices that alone count as removable, nodes separated by colons, an optical one with
/// `dvd=` before it.
const LOOPS: &str = "AZUD_REMOVABLE_LOOPS";

/// A file system on removable storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Medium {
    /// Its node, e.g. `/dev/sdb1`.
    pub node: PathBuf,
    /// USB or optical.
    pub media: Media,
    /// Type of the file system, as `blkid` calls it.
    pub fs: String,
    /// Its label.
    pub label: Option<String>,
    /// Its UUID.
    pub uuid: Option<String>,
    /// Size in bytes.
    pub size: u64,
    /// Model of the drive.
    pub model: Option<String>,
    /// Whether writing is refused.
    pub read_only: bool,
    /// Its name here: by label if that is safe and unique, else by UUID. `None` if neither will do.
    pub name: Option<Removable>,
    /// Where it is mounted.
    pub mounted: Vec<PathBuf>,
}

/// What is plugged in and has a file system.
///
/// # Errors
/// [`DiskError::ToolMissing`] and [`DiskError::ToolFailed`] of `blkid`.
pub fn media() -> Result<Vec<Medium>> {
    let mut found = Vec::new();
    for device in BlockDev::all() {
        let Some(media) = kind(&device) else { continue };
        let size = device.size().unwrap_or(0);
        if size > 0 {
            found.extend(read(&device, media, size)?);
        }
    }
    found.sort_by(|a: &Medium, b| a.node.cmp(&b.node));
    name(&mut found);
    Ok(found)
}

/// Whether a device is on removable storage.
pub(crate) fn is_removable(device: &BlockDev) -> bool {
    kind(device).is_some()
}

/// What kind of removable storage a device is on, if any.
fn kind(device: &BlockDev) -> Option<Media> {
    let disk = device.disk();
    let name = disk.name();
    if let Some(loops) = std::env::var(LOOPS).ok().filter(|it| !it.is_empty()) {
        // Nothing else then: a test must not touch what somebody has plugged in.
        return asked(&loops, &disk);
    }
    if name.starts_with("sr") {
        return Some(Media::Dvd);
    }
    let never = ["loop", "fd"].iter().any(|prefix| name.starts_with(prefix));
    let removable = disk.number("removable") == Some(1) && !never;
    (removable || disk.is_on_usb()).then_some(Media::Usb)
}

fn asked(loops: &str, disk: &BlockDev) -> Option<Media> {
    let node = disk.node();
    loops.split(':').find_map(|text| {
        let dvd = text.strip_prefix("dvd=");
        let media = if dvd.is_some() {
            Media::Dvd
        } else {
            Media::Usb
        };
        (Path::new(dvd.unwrap_or(text)) == node).then_some(media)
    })
}

fn read(device: &BlockDev, media: Media, size: u64) -> Result<Option<Medium>> {
    let node = device.node();
    // 2: nothing found, or no disc in the drive. 8: contradicting signatures, which nobody should mount.
    let told = Tool::find("blkid")?
        .args(["--probe", "--output", "udev", "--"])
        .arg(&node)
        .accept(2)
        .accept(8)
        .run()?;
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    let value = |key: &str| {
        let mut pairs = text.lines().filter_map(|line| line.split_once('='));
        let found = pairs.find(|(name, _)| *name == key)?.1;
        let plain = decode(found);
        (!plain.is_empty()).then_some(plain)
    };
    let Some(fs) = value("ID_FS_TYPE") else {
        return Ok(None);
    };
    if value("ID_FS_USAGE").as_deref() != Some("filesystem") || told.status != 0 {
        return Ok(None);
    }
    let disk = device.disk();
    Ok(Some(Medium {
        media,
        fs,
        label: value("ID_FS_LABEL_ENC"),
        uuid: value("ID_FS_UUID_ENC"),
        size,
        model: disk.text("device/model"),
        read_only: media == Media::Dvd || device.number("ro") == Some(1),
        name: None,
        mounted: mounts_of(&node).into_iter().map(|facts| facts.at).collect(),
        node,
    }))
}

/// Undoes `\x20`; what is not UTF-8 then becomes the sign for that, which no name has.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\x") {
        bytes.extend(&rest.as_bytes()[..at]);
        let digits = rest.get(at + 2..at + 4);
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &rest[at + 4..];
        } else {
            bytes.extend(b"\\x");
            rest = &rest[at + 2..];
        }
    }
    bytes.extend(rest.as_bytes());
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

/// Gives each medium its name. What bears the label of another keeps to its UUID: both, so that none takes the other's place.
fn name(media: &mut [Medium]) {
    let by = |kind: Media, text: Option<&String>| Removable::new(kind, text?).ok();
    let labels: Vec<(Media, Option<String>)> = media
        .iter()
        .map(|it| {
            (
                it.media,
                it.label.as_ref().map(|label| label.to_lowercase()),
            )
        })
        .collect();
    let uuids: Vec<(Media, Option<String>)> = media
        .iter()
        .map(|it| (it.media, it.uuid.as_ref().map(|uuid| uuid.to_lowercase())))
        .collect();
    let once = |all: &[(Media, Option<String>)], at: usize| {
        all.iter().filter(|other| **other == all[at]).count() == 1
    };
    for (at, medium) in media.iter_mut().enumerate() {
        let label = once(&labels, at)
            .then(|| by(medium.media, medium.label.as_ref()))
            .flatten();
        let uuid = || {
            once(&uuids, at)
                .then(|| by(medium.media, medium.uuid.as_ref()))
                .flatten()
        };
        medium.name = label.or_else(uuid);
    }
}

impl Medium {
    /// Mounts it, read-only if it cannot be written or is not to be.
    ///
    /// # Errors
    /// Those of [`mount`]; what the kernel does not know is tried with the helpers that are installed.
    pub fn mount(&self, at: &Path, read_only: bool) -> Result<Mounted> {
        let with = |kind| {
            mount(&Mounting {
                source: self.node.as_os_str(),
                at,
                kind,
                read_only: read_only || self.read_only,
                options: if self.fs == "vfat" { "utf8=1" } else { "" },
            })
        };
        let (kernel, helper) = match self.fs.as_str() {
            "ntfs" => ("ntfs3", Some("ntfs-3g")),
            "exfat" => ("exfat", Some("exfat-fuse")),
            other => (other, None),
        };
        match (with(Kind::Device(kernel)), helper) {
            (Err(DiskError::MountUnsupported { .. }), Some(helper)) => with(Kind::Helper(helper)),
            (done, _) => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use azud_core::reference::Media;

    use super::{Medium, decode, name};

    fn medium(media: Media, label: &str, uuid: &str) -> Medium {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Medium {
            node: "/dev/sdz1".into(),
            media,
            fs: "vfat".to_owned(),
            label: text(label),
            uuid: text(uuid),
            size: 1,
            model: None,
            read_only: false,
            name: None,
            mounted: Vec::new(),
        }
    }

    #[test]
    fn labels_name_media_where_they_are_safe_and_unique() {
        let mut all = [
            medium(Media::Usb, "TOOLS", "1-1"),
            medium(Media::Usb, "twin", "2-2"),
            medium(Media::Usb, "TWIN", "3-3"),
            medium(Media::Dvd, "twin", "4-4"),
            medium(Media::Usb, "../etc", "5-5"),
            medium(Media::Usb, "my stick", "6-6"),
            medium(Media::Usb, "", ""),
            medium(Media::Usb, "", "7-7"),
            medium(Media::Usb, "", "7-7"),
        ];
        name(&mut all);
        let names: Vec<String> = all
            .iter()
            .map(|it| {
                it.name
                    .as_ref()
                    .map_or_else(String::new, ToString::to_string)
            })
            .collect();
        let expected = [
            "USB-TOOLS",
            "USB-2-2",
            "USB-3-3",
            "DVD-twin",
            "USB-5-5",
            "USB-6-6",
            "",
            "",
            "",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn escapes_of_blkid_are_undone() {
        assert_eq!(decode("my\\x20stick\\x2f"), "my stick/");
        assert_eq!(decode("\\xc3\\xb1\\x"), "ñ\\x");
        assert_eq!(decode("\\xff"), "\u{fffd}");
    }
}
