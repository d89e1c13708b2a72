//! One MFT record: its fix-ups and its attributes.
//!
//! Invariant: a [`Record`] carries the signature `FILE`, was written whole (every sector ends with the
//! update sequence number) and is in use; offsets handed out lie within it.

use super::runs::{Run, decode};
use super::{SECTOR, corrupt};
use crate::fs::FsError;
use crate::fs::bytes::{le16, le32, le64};

/// Attribute types.
pub(super) mod kind {
    pub(in super::super) const LIST: u32 = 0x20;
    pub(in super::super) const VOLUME_NAME: u32 = 0x60;
    pub(in super::super) const VOLUME_INFORMATION: u32 = 0x70;
    pub(in super::super) const DATA: u32 = 0x80;
    pub(in super::super) const INDEX_ROOT: u32 = 0x90;
    pub(in super::super) const INDEX_ALLOCATION: u32 = 0xA0;
    pub(in super::super) const BITMAP: u32 = 0xB0;
    pub(in super::super) const REPARSE_POINT: u32 = 0xC0;
    pub(super) const END: u32 = 0xFFFF_FFFF;
}

/// The number of a record and how often it was reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reference {
    /// Record number.
    pub(super) number: u64,
    /// Sequence number.
    pub(super) sequence: u16,
}

impl Reference {
    /// From its 8 bytes.
    pub(super) fn from_raw(raw: u64) -> Self {
        let sequence = u16::try_from(raw >> 48).expect("16 bits");
        Self {
            number: raw & 0xFFFF_FFFF_FFFF,
            sequence,
        }
    }
}

/// Puts back the two bytes at the end of every sector, and checks on the way that all sectors of the
/// record are of the same age.
pub(super) fn fix_up(record: &mut [u8], magic: [u8; 4], what: &str) -> Result<(), FsError> {
    if record.get(..4) != Some(&magic[..]) {
        return Err(corrupt(format!(
            "{what} has no signature {}",
            String::from_utf8_lossy(&magic)
        )));
    }
    let bad = || corrupt(format!("{what} has impossible fix-ups"));
    let start = usize::from(le16(record, 4).ok_or_else(bad)?);
    let count = usize::from(le16(record, 6).ok_or_else(bad)?);
    if !record.len().is_multiple_of(SECTOR) || count != record.len() / SECTOR + 1 {
        return Err(bad());
    }
    let array = record
        .get(start..start + 2 * count)
        .ok_or_else(bad)?
        .to_vec();
    let (number, saved) = array.split_at(2);
    for (sector, saved) in record.chunks_exact_mut(SECTOR).zip(saved.chunks_exact(2)) {
        let end = &mut sector[SECTOR - 2..];
        if end != number {
            return Err(corrupt(format!("{what} was only partly written")));
        }
        end.copy_from_slice(saved);
    }
    Ok(())
}

/// A checked MFT record.
#[derive(Debug)]
pub(super) struct Record {
    bytes: Vec<u8>,
    number: u64,
    in_use: usize,
}

/// The value of an attribute, or the part of it that one record describes.
#[derive(Debug)]
pub(super) enum Value<'a> {
    /// Within the record.
    Resident(&'a [u8]),
    /// In clusters of its own.
    Elsewhere(Part),
}

/// What one record says of a value in clusters.
#[derive(Debug)]
pub(super) struct Part {
    /// First cluster that this part describes.
    pub(super) first: u64,
    /// Its runs.
    pub(super) runs: Vec<Run>,
    /// Length of the whole value; only valid in the part that begins at cluster 0.
    pub(super) size: u64,
    /// How much of it was written; likewise.
    pub(super) initialized: u64,
}

/// One attribute.
#[derive(Debug)]
pub(super) struct Attribute<'a> {
    /// Its type.
    pub(super) kind: u32,
    /// Its name in UTF-16, empty for most.
    pub(super) name: &'a [u8],
    /// Compressed, encrypted, sparse.
    pub(super) flags: u16,
    bytes: &'a [u8],
    number: u64,
}

impl Record {
    /// Checks the bytes of record `number` as they are on the disk.
    pub(super) fn parse(mut bytes: Vec<u8>, number: u64) -> Result<Self, FsError> {
        fix_up(&mut bytes, *b"FILE", &format!("MFT record {number}"))?;
        let in_use = le32(&bytes, 24)
            .and_then(|len| usize::try_from(len).ok())
            .filter(|len| *len <= bytes.len());
        let in_use = in_use
            .ok_or_else(|| corrupt(format!("MFT record {number} is longer than it can be")))?;
        let record = Self {
            bytes,
            number,
            in_use,
        };
        if record.flags() & 1 == 0 {
            return Err(corrupt(format!(
                "MFT record {number} is needed and marked unused"
            )));
        }
        Ok(record)
    }

    fn flags(&self) -> u16 {
        le16(&self.bytes, 22).unwrap_or_default()
    }

    /// Its number.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// How often it was reused.
    pub(super) fn sequence(&self) -> u16 {
        le16(&self.bytes, 16).unwrap_or_default()
    }

    /// Whether it is a directory's.
    pub(super) fn is_directory(&self) -> bool {
        self.flags() & 2 != 0
    }

    /// The record that this one continues; number 0 and sequence 0 when it is a file's first one.
    pub(super) fn base(&self) -> Reference {
        Reference::from_raw(le64(&self.bytes, 32).unwrap_or_default())
    }

    /// All attributes, in the order of the record.
    pub(super) fn attributes(&self) -> Result<Vec<Attribute<'_>>, FsError> {
        let bad = || {
            corrupt(format!(
                "the attributes of MFT record {} do not fit it",
                self.number
            ))
        };
        let mut all = Vec::new();
        let mut at = usize::from(le16(&self.bytes, 20).ok_or_else(bad)?);
        loop {
            let rest = self.bytes.get(at..self.in_use).ok_or_else(bad)?;
            let kind = le32(rest, 0).ok_or_else(bad)?;
            if kind == kind::END {
                return Ok(all);
            }
            let len = le32(rest, 4)
                .and_then(|len| usize::try_from(len).ok())
                .filter(|len| *len >= 24);
            let bytes = len.and_then(|len| rest.get(..len)).ok_or_else(bad)?;
            let name_len = 2 * usize::from(bytes[9]);
            let name_at = usize::from(le16(bytes, 10).ok_or_else(bad)?);
            let name = if name_len == 0 {
                Some(&bytes[..0])
            } else {
                bytes.get(name_at..name_at + name_len)
            };
            all.push(Attribute {
                kind,
                name: name.ok_or_else(bad)?,
                flags: le16(bytes, 12).ok_or_else(bad)?,
                bytes,
                number: self.number,
            });
            at += bytes.len();
        }
    }
}

impl<'a> Attribute<'a> {
    fn bad(&self, what: &str) -> FsError {
        corrupt(format!(
            "attribute 0x{:x} of MFT record {}: {what}",
            self.kind, self.number
        ))
    }

    /// The first cluster that it describes, 0 for a resident one.
    pub(super) fn first(&self) -> u64 {
        if self.bytes[8] == 0 {
            0
        } else {
            le64(self.bytes, 16).unwrap_or_default()
        }
    }

    /// Its value; `clusters` bounds the runs.
    pub(super) fn value(&self, clusters: u64) -> Result<Value<'a>, FsError> {
        if self.bytes[8] == 0 {
            let len = le32(self.bytes, 16).and_then(|len| usize::try_from(len).ok());
            let at = usize::from(le16(self.bytes, 20).unwrap_or_default());
            let end = len.and_then(|len| at.checked_add(len));
            let value = end.and_then(|end| self.bytes.get(at..end));
            return value
                .map(Value::Resident)
                .ok_or_else(|| self.bad("its value does not fit it"));
        }
        self.part(clusters).map(Value::Elsewhere)
    }

    fn part(&self, clusters: u64) -> Result<Part, FsError> {
        let number = |at| le64(self.bytes, at).filter(|value| *value <= i64::MAX.cast_unsigned());
        let first = number(16).ok_or_else(|| self.bad("it begins nowhere"))?;
        // -1 when there is no cluster at all.
        let last = le64(self.bytes, 24).ok_or_else(|| self.bad("it is too short"))?;
        let pairs = le16(self.bytes, 32).and_then(|at| self.bytes.get(usize::from(at)..));
        let pairs = pairs.ok_or_else(|| self.bad("its runs lie outside of it"))?;
        let runs = decode(pairs, first, clusters).map_err(|why| self.bad(why))?;
        let end = runs.last().map_or(first, |run| run.vcn + run.count);
        if last.wrapping_add(1) != end {
            return Err(self.bad("its runs are not as long as it says"));
        }
        let sizes = if first == 0 {
            (number(48), number(56))
        } else {
            (Some(0), Some(0))
        };
        let (Some(size), Some(initialized)) = sizes else {
            return Err(self.bad("its size makes no sense"));
        };
        if initialized > size {
            return Err(self.bad("more of it was written than it is long"));
        }
        Ok(Part {
            first,
            runs,
            size,
            initialized,
        })
    }
}
