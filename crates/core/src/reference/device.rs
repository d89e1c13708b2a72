//! Devices as they are named on the command line.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;

use super::RefError;

/// A device or regular file. Numbers and serial numbers are found in `/sys` by the crate for disks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DeviceRef {
    /// `/dev/…` or a file.
    Path(PathBuf),
    /// `DISK:PART`, both counted from 1 as OpenGnsys does.
    Numbers {
        /// The disk, in the order of device numbers.
        disk: u32,
        /// The partition's number in its table.
        part: u32,
    },
    /// `serial=SERIAL:PART`.
    Serial {
        /// The disk's serial number, as the system shows it.
        serial: String,
        /// The partition's number in its table.
        part: u32,
    },
}

/// What begins a serial number.
const SERIAL: &str = "serial=";

impl DeviceRef {
    /// Understands `1:2`, `serial=WD-123:2`, or a path; `./1:2` is a file of that name.
    ///
    /// # Errors
    /// [`RefError::Device`] for what is meant as one of the first two and is not.
    pub fn parse(text: impl AsRef<OsStr>) -> Result<Self, RefError> {
        let path = text.as_ref();
        let Some(text) = path.to_str() else {
            return Ok(Self::Path(path.into()));
        };
        let refuse = |reason| RefError::Device {
            text: text.to_owned(),
            reason,
        };
        if let Some(rest) = text.strip_prefix(SERIAL) {
            // A serial number may hold a colon itself.
            let (serial, part) = rest
                .rsplit_once(':')
                .ok_or_else(|| refuse("it is written serial=SERIAL:PARTITION"))?;
            if serial.is_empty() || serial.chars().any(char::is_control) {
                return Err(refuse("that is no serial number"));
            }
            let part = number(part).ok_or_else(|| refuse(NUMBERS))?;
            return Ok(Self::Serial {
                serial: serial.to_owned(),
                part,
            });
        }
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        match text.split_once(':') {
            Some((disk, part)) if digits(disk) && digits(part) => Ok(Self::Numbers {
                disk: number(disk).ok_or_else(|| refuse(NUMBERS))?,
                part: number(part).ok_or_else(|| refuse(NUMBERS))?,
            }),
            _ if text
                .split('/')
                .next()
                .is_some_and(|first| first.contains(':')) =>
            {
                Err(refuse(
                    "what stands before ':' is no directory (write ./ before a name with a colon)",
                ))
            }
            _ => Ok(Self::Path(path.into())),
        }
    }
}

/// Whether a bare name is most likely a device's with something left out: `sda2` without its directory, `1` without
/// its partition.
pub fn is_nearly_a_device(name: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let counted = |before: &str| {
        let number = name.strip_prefix(before);
        number.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    };
    // `sda`, `vdb1`, `sdaa12`; not `sdcard`.
    let lettered = |before: &str| {
        name.strip_prefix(before).is_some_and(|rest| {
            let disk = rest.trim_end_matches(|last: char| last.is_ascii_digit());
            matches!(disk.len(), 1 | 2) && disk.bytes().all(|byte| byte.is_ascii_lowercase())
        })
    };
    // `nvme0n1p2`, `mmcblk0p1`, `loop0`, `dm-0`: a number, and perhaps more letters and numbers.
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let numbered = ["nvme", "mmcblk", "loop", "md", "dm-", "nbd", "sr"];
    !name.is_empty()
        && (digits(name)
            || ["sd", "hd", "vd", "xvd"].into_iter().any(lettered)
            || (numbered.into_iter().any(counted) && name.bytes().all(plain)))
}

const NUMBERS: &str = "disks and partitions are counted from 1";

/// A number from 1, without signs or leading zeros.
fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain)
}

impl fmt::Display for DeviceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Numbers { disk, part } => write!(f, "{disk}:{part}"),
            Self::Serial { serial, part } => write!(f, "{SERIAL}{serial}:{part}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DeviceRef, is_nearly_a_device};
    use crate::code::Code;
    use proptest::prelude::*;

    #[test]
    fn devices_are_paths_numbers_or_serials() {
        let parsed = |text: &str| DeviceRef::parse(text).expect(text);
        assert_eq!(parsed("1:2"), DeviceRef::Numbers { disk: 1, part: 2 });
        assert_eq!(
            parsed("serial=a:b c:12"),
            DeviceRef::Serial {
                serial: "a:b c".to_owned(),
                part: 12
            }
        );
        for text in ["/dev/by-path/a:2", "./1:2", "1", "a/b:2", "disk.img"] {
            assert_eq!(parsed(text), DeviceRef::Path(text.into()), "{text}");
        }
    }

    #[test]
    fn what_is_nearly_a_number_is_refused() {
        for text in [
            "0:1",
            "1:0",
            "01:2",
            "1:",
            "a:2",
            "1:b",
            "1:2:3",
            "REPO:x",
            ":1",
            "99999999999:1",
            "serial=",
            "serial=x",
            "serial=:1",
            "serial=x:0",
            "serial=x:+1",
            "serial=a\nb:1",
        ] {
            let error = DeviceRef::parse(text).expect_err(text);
            assert_eq!(error.code(), Code::BadDevice, "{text:?}");
        }
    }

    #[test]
    fn a_name_with_something_left_out_is_nearly_a_device() {
        for name in [
            "sda",
            "sda2",
            "sdaa12",
            "hdb1",
            "vda",
            "xvdb2",
            "nvme0n1",
            "nvme0n1p2",
            "mmcblk0p1",
            "loop7",
            "md127",
            "dm-0",
            "nbd0p1",
            "sr0",
            "1",
            "12",
        ] {
            assert!(is_nearly_a_device(name), "{name}");
        }
        for name in [
            "", "disk", "disk.img", "sdcard", "sda2.img", "1.img", "loop", "nvme", "md5.sum",
            "SDA", "./sda2", "sd", "1a", "mdata",
        ] {
            assert!(!is_nearly_a_device(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn proptest_devices_survive_being_printed(text in "(serial=)?[0-9a-z:./]{0,12}") {
            if let Ok(device) = DeviceRef::parse(&text) {
                prop_assert_eq!(device.to_string(), text);
            }
        }
    }
}
