//! What some content is, once its compressor is peeled.

use azud_core::format::partclone::{HEADER_LEN, Header};

use super::reach::reach;
use super::{Format, Sniffed, fs_name};
use crate::foreign::partclone::{self, head_of};
use crate::foreign::{ForeignError, ntfsclone};

const PARTIMAGE: &[u8] = b"PaRtImAgE-VoLuMe";
const FSARCHIVER: &[u8] = b"FsA0";
const QCOW2: &[u8] = b"QFI\xfb";
const SQUASHFS: &[u8] = b"hsqs";
const ISO: &[u8] = b"CD001";
const ISO_AT: usize = 32769;
pub(super) const GPT: &[u8] = b"EFI PART";
const SECTOR: usize = 512;
/// A saved GPT holds two headers and a table, not a disk.
const MAX_SAVED_GPT: u64 = 64 << 10;

/// By a header at the very beginning.
pub(super) fn by_header(content: &[u8]) -> Option<Sniffed> {
    if content.starts_with(partclone::MAGIC) {
        return Some(by_partclone(content));
    }
    if content.starts_with(ntfsclone::MAGIC) {
        return Some(by_ntfsclone(content));
    }
    if content.starts_with(PARTIMAGE) {
        let version = text(content.get(32..96).unwrap_or_default());
        let mut found = Sniffed::of(Format::Partimage);
        found.tool = version.map(|version| format!("partimage {version}"));
        // The main header follows; compressed inside, it tells nothing here.
        let name = content.get(512..1024).and_then(text);
        found.fs = name.and_then(|name| partimage_fs(&name));
        return Some(found);
    }
    let magics = [
        (FSARCHIVER, Format::Fsarchiver),
        (QCOW2, Format::Qcow2),
        (SQUASHFS, Format::Squashfs),
    ];
    let (_, format) = magics
        .iter()
        .find(|(magic, _)| content.starts_with(magic))?;
    Some(Sniffed::of(*format))
}

/// By the structures of a disk or a file system; `len` is known of what is not compressed.
pub(super) fn by_structure(head: &[u8], len: Option<u64>) -> Sniffed {
    let mut found = Sniffed::of(Format::Unknown);
    if let Some(fs) = fs_name(head) {
        found.format = Format::FileSystem;
        found.fs = Some(fs);
    } else if head.get(ISO_AT..).is_some_and(|rest| rest.starts_with(ISO)) {
        found.format = Format::Iso;
    } else if len.is_some_and(|len| len <= MAX_SAVED_GPT) && has_gpt(head, SECTOR) {
        found.format = Format::Gpt;
        return found;
    } else if head.len() <= SECTOR && has_boot_mark(head) {
        found.format = Format::BootSector;
    } else if is_disk(head) {
        found.format = Format::Disk;
        found.problem = len.and_then(|len| cut_short(head, len));
    } else {
        return found;
    }
    found.device_size = len;
    found
}

fn cut_short(head: &[u8], has: u64) -> Option<String> {
    let needs = reach(head).filter(|needs| has < *needs)?;
    Some(ForeignError::CutShort { has, needs }.to_string())
}

/// Whether a device that begins with `head` has a partition table and no file system of its own.
pub fn is_disk(head: &[u8]) -> bool {
    if head.len() <= SECTOR || fs_name(head).is_some() {
        return false;
    }
    has_gpt(head, SECTOR) || has_gpt(head, 4096) || (has_boot_mark(head) && has_partitions(head))
}

fn has_gpt(head: &[u8], sector: usize) -> bool {
    head.get(sector..).is_some_and(|rest| rest.starts_with(GPT))
}

fn has_boot_mark(head: &[u8]) -> bool {
    head.get(510..512) == Some(&[0x55, 0xAA])
}

/// Four entries of which each is empty or says where it is, and one is not empty.
fn has_partitions(head: &[u8]) -> bool {
    let entries: Vec<&[u8]> = head[446..510].chunks(16).collect();
    let is_empty = |entry: &&[u8]| entry[4] == 0;
    let is_sound = |entry: &&[u8]| {
        matches!(entry[0], 0 | 0x80) && entry[8..12] != [0; 4] && entry[12..16] != [0; 4]
    };
    entries
        .iter()
        .all(|entry| is_empty(entry) || is_sound(entry))
        && !entries.iter().all(is_empty)
}

fn by_partclone(content: &[u8]) -> Sniffed {
    let version = if content.get(30..34) == Some(b"0001") {
        1
    } else {
        2
    };
    let mut found = Sniffed::of(Format::Partclone(version));
    if version == 2 {
        found.tool = content
            .get(16..30)
            .and_then(text)
            .map(|text| format!("partclone {text}"));
    }
    let Some(bytes) = content
        .get(..HEADER_LEN)
        .and_then(|bytes| bytes.try_into().ok())
    else {
        return found.seems("its header is cut short");
    };
    if version == 1 {
        return match head_of(content) {
            Ok((fs, device_size, used)) => {
                found.fs = text(&fs);
                found.device_size = Some(device_size);
                found.used = Some(used);
                found
            }
            Err(error) => found.seems(error.to_string()),
        };
    }
    match Header::parse(bytes) {
        Ok(header) => {
            found.fs = text(&header.fs);
            found.device_size = Some(header.device_size);
            found.used = header.used_blocks.checked_mul(header.block_size.into());
            found
        }
        Err(error) => found.seems(error.to_string()),
    }
}

fn by_ntfsclone(content: &[u8]) -> Sniffed {
    let found = Sniffed::of(Format::Ntfsclone);
    let header = content
        .first_chunk::<{ ntfsclone::HEADER_LEN }>()
        .map(ntfsclone::Header::parse);
    match header {
        Some(Ok(header)) => Sniffed {
            fs: Some("NTFS".into()),
            device_size: Some(header.device_size),
            used: header.used.checked_mul(header.cluster_size.into()),
            ..found
        },
        Some(Err(error)) => found.seems(error.to_string()),
        None => found.seems("its header is cut short"),
    }
}

/// Text up to a NUL, if it is printable.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

/// The name of a file system as partimage has it, `ext3fs`, in the words of partclone.
fn partimage_fs(name: &str) -> Option<String> {
    let is_word = name.len() < 16 && name.bytes().all(|b| b.is_ascii_alphanumeric());
    let name = name.to_ascii_uppercase();
    is_word.then(|| match name.as_str() {
        "EXT2FS" | "EXT3FS" => "EXTFS".to_owned(),
        _ => name,
    })
}
