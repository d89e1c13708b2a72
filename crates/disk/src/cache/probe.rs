//! What `blkid` sees on a device, read from the medium itself: neither udev nor a cache is asked.

use std::path::Path;

use crate::command::Tool;
use crate::error::{DiskError, Result};

/// `blkid` found nothing, or could not read.
const NOTHING: i32 = 2;
/// `blkid` found several things.
const AMBIVALENT: i32 = 8;

/// What is on a device, and what its disk's table says of it. Labels and names may hold anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signature {
    /// Type of the file system, or of whatever else is recognised, as blkid calls it.
    pub kind: Option<String>,
    /// Whether that is a file system.
    pub is_fs: bool,
    /// Its label.
    pub label: Option<String>,
    /// Its UUID.
    pub uuid: Option<String>,
    /// Whether the device has a partition table of its own.
    pub has_table: bool,
    /// Whether there are marks of several things, so that nothing is known.
    pub ambivalent: bool,
    /// For a partition: the kind of table, `gpt` or `dos`.
    pub scheme: Option<String>,
    /// For a partition: its name in a GPT.
    pub part_name: Option<String>,
    /// For a partition: its type, a GUID or `0x83`.
    pub part_type: Option<String>,
}

impl Signature {
    /// Whether there is a file system, and it is known without doubt which.
    pub fn is_recognised(&self) -> bool {
        self.is_fs && !self.ambivalent
    }
}

/// Looks at a device or file.
///
/// # Errors
/// [`DiskError::ToolMissing`], [`DiskError::ToolFailed`]; those of opening it.
pub fn probe(device: &Path) -> Result<Signature> {
    // blkid says "nothing" of what it cannot open.
    std::fs::File::open(device).map_err(|error| DiskError::at(device, "opening", error))?;
    let absolute =
        std::path::absolute(device).map_err(|error| DiskError::at(device, "looking", error))?;
    let output = Tool::find("blkid")?
        .args(["-p", "-o", "udev", "--"])
        .arg(absolute)
        .accept(NOTHING)
        .accept(AMBIVALENT)
        .run()?;
    let mut signature = parse(&String::from_utf8_lossy(&output.stdout));
    signature.ambivalent |= output.status == AMBIVALENT;
    Ok(signature)
}

/// Understands `blkid -o udev`: one `ID_…=value` on a line, where `…_ENC` values are escaped.
fn parse(text: &str) -> Signature {
    let mut found = Signature::default();
    let lines = text.lines().filter_map(|line| line.split_once('='));
    for (key, value) in lines {
        let value = Some(decode(value)).filter(|value| !value.is_empty());
        match key {
            "ID_FS_TYPE" => found.kind = value,
            "ID_FS_USAGE" => found.is_fs = value.as_deref() == Some("filesystem"),
            "ID_FS_LABEL_ENC" => found.label = value,
            "ID_FS_UUID_ENC" => found.uuid = value,
            "ID_FS_AMBIVALENT" => found.ambivalent = true,
            "ID_PART_TABLE_TYPE" => found.has_table = true,
            "ID_PART_ENTRY_SCHEME" => found.scheme = value,
            "ID_PART_ENTRY_NAME" => found.part_name = value,
            "ID_PART_ENTRY_TYPE" => found.part_type = value,
            _ => {}
        }
    }
    found
}

/// Undoes libblkid's `\xNN`.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = rest
            .strip_prefix(b"\\x")
            .and_then(|digits| digits.get(..2))
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = escaped {
            bytes.push(byte);
            rest = &rest[4..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Signature, decode, parse};

    #[test]
    fn what_blkid_prints_of_a_partition() {
        let text = "ID_FS_LABEL=CACHE\nID_FS_LABEL_ENC=CACHE\nID_FS_UUID=143dab5b\n\
            ID_FS_UUID_ENC=143dab5b\nID_FS_BLOCK_SIZE=4096\nID_FS_TYPE=btrfs\nID_FS_USAGE=filesystem\n\
            ID_PART_ENTRY_SCHEME=gpt\nID_PART_ENTRY_NAME=My\\x20\\x22CACHE\\x22\\x0a=\n\
            ID_PART_ENTRY_TYPE=0fc63daf-8483-4772-8e79-3d69d8477de4\nID_PART_ENTRY_NUMBER=4\n";
        let expected = Signature {
            kind: Some("btrfs".to_owned()),
            is_fs: true,
            label: Some("CACHE".to_owned()),
            uuid: Some("143dab5b".to_owned()),
            scheme: Some("gpt".to_owned()),
            part_name: Some("My \"CACHE\"\n=".to_owned()),
            part_type: Some("0fc63daf-8483-4772-8e79-3d69d8477de4".to_owned()),
            ..Signature::default()
        };
        assert_eq!(parse(text), expected);
        assert_eq!(parse(""), Signature::default());
        assert!(parse("ID_PART_TABLE_UUID=1\nID_PART_TABLE_TYPE=gpt\n").has_table);
        assert!(parse("ID_FS_AMBIVALENT=filesystem:xfs other:x\n").ambivalent);
        // The unescaped label is a tidied one and must not be believed.
        assert_eq!(
            parse("ID_FS_LABEL=CACHE\nID_FS_LABEL_ENC=CACHE\\x20\n")
                .label
                .as_deref(),
            Some("CACHE ")
        );
    }

    #[test]
    fn escapes_that_are_none_stay() {
        for (text, plain) in [
            ("a\\x2", "a\\x2"),
            ("\\x+1", "\\x+1"),
            ("\\xff", "\u{fffd}"),
            ("\\x5cx41", "\\x41"),
            ("\\xé1", "\\xé1"),
            ("\\x", "\\x"),
        ] {
            assert_eq!(decode(text), plain, "{text}");
        }
    }
}
