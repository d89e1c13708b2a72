//! From logical addresses to places on the device.
//!
//! Invariants: chunks do not overlap, neither do their copies on the device; all copies lie on the device.

use std::collections::BTreeMap;

use super::superblock::Superblock;
use super::tree::{Key, Trees};
use super::{Fields, corrupt, unsupported};
use crate::fs::FsError;

const CHUNK_ITEM: u8 = 228;
const CHUNK_TREE: u64 = 256;
const DEVICE_ITEM: u8 = 216;
const DEVICES: u64 = 1;

/// Bytes of a chunk item before its stripes, and of a stripe.
const CHUNK_HEAD: usize = 48;
const STRIPE: usize = 32;

/// What a chunk holds: data, system, metadata, or mixes of them.
const TYPES: u64 = 0b111;
const RAID1: u64 = 1 << 4;
const DUP: u64 = 1 << 5;

#[derive(Debug)]
struct Chunk {
    len: u64,
    /// Where each copy begins on the device.
    copies: Vec<u64>,
}

/// The chunks by logical address.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    by_logical: BTreeMap<u64, Chunk>,
    /// Ends of the copies by their beginnings.
    by_place: BTreeMap<u64, u64>,
}

impl Chunks {
    /// The chunks that the superblock lists: enough to read the chunk tree.
    pub(super) fn from_superblock(sb: &Superblock) -> Result<Self, FsError> {
        let mut chunks = Self::default();
        let mut rest = sb.system_chunks.as_slice();
        while !rest.is_empty() {
            let key =
                Key::read(rest, 0).ok_or_else(|| corrupt("its system chunks are cut short"))?;
            let item = &rest[Key::LEN..];
            let len = CHUNK_HEAD + STRIPE * usize::from(Fields(item).u16(44));
            if (key.object, key.kind) != (CHUNK_TREE, CHUNK_ITEM) || item.len() < len {
                return Err(corrupt("its system chunks are cut short"));
            }
            chunks.insert(sb, key.offset, &item[..len])?;
            rest = &item[len..];
        }
        Ok(chunks)
    }

    /// All chunks.
    pub(super) fn from_tree(trees: &Trees) -> Result<Self, FsError> {
        let mut chunks = Self::default();
        trees.walk(
            trees.sb.chunk_root,
            Key::MIN..=Key::MAX,
            &mut |key, item| match (key.object, key.kind) {
                (CHUNK_TREE, CHUNK_ITEM) => chunks.insert(trees.sb, key.offset, item),
                (DEVICES, DEVICE_ITEM) if key.offset != trees.sb.device_id => {
                    Err(unsupported("several devices"))
                }
                _ => Ok(()),
            },
        )?;
        Ok(chunks)
    }

    fn insert(&mut self, sb: &Superblock, logical: u64, item: &[u8]) -> Result<(), FsError> {
        let fields = Fields(item);
        let (len, kind) = (fields.u64(0), fields.u64(24));
        let wrong = |what: &str| corrupt(format!("the chunk at {logical} {what}"));
        let copies: u16 = match kind & !TYPES {
            0 => 1,
            DUP | RAID1 => 2,
            profile => {
                return Err(unsupported(format!(
                    "{} (chunk at {logical})",
                    profile_name(profile)
                )));
            }
        };
        if fields.u16(44) != copies || item.len() != CHUNK_HEAD + STRIPE * usize::from(copies) {
            return Err(wrong("has a wrong number of copies"));
        }
        let sector = u64::from(sb.sector_size);
        let end = logical
            .checked_add(len)
            .filter(|_| len > 0 && len.is_multiple_of(sector) && logical.is_multiple_of(sector));
        let end = end.ok_or_else(|| wrong("is not aligned"))?;
        let before = self.by_logical.range(..end).next_back();
        if before.is_some_and(|(start, chunk)| start + chunk.len > logical) {
            return Err(wrong("overlaps another one"));
        }
        let mut places = Vec::new();
        for stripe in item[CHUNK_HEAD..].chunks_exact(STRIPE) {
            let (device, place) = (Fields(stripe).u64(0), Fields(stripe).u64(8));
            if device != sb.device_id {
                return Err(unsupported(format!("several devices (chunk at {logical})")));
            }
            let end = place
                .checked_add(len)
                .filter(|end| *end <= sb.device_bytes && place.is_multiple_of(sector));
            let end = end.ok_or_else(|| wrong("leaves the device"))?;
            if self
                .by_place
                .range(..end)
                .next_back()
                .is_some_and(|(_, end)| *end > place)
            {
                return Err(wrong("shares its place with another one"));
            }
            self.by_place.insert(place, end);
            places.push(place);
        }
        self.by_logical.insert(
            logical,
            Chunk {
                len,
                copies: places,
            },
        );
        Ok(())
    }

    /// Where the copies of `len` bytes at `logical` begin on the device; the bytes lie in one chunk.
    pub(super) fn copies(&self, logical: u64, len: u64) -> Result<Vec<u64>, FsError> {
        let chunk = self.by_logical.range(..=logical).next_back();
        match chunk {
            Some((start, chunk))
                if logical
                    .checked_add(len)
                    .is_some_and(|end| end - start <= chunk.len) =>
            {
                Ok(chunk
                    .copies
                    .iter()
                    .map(|place| place + (logical - start))
                    .collect())
            }
            _ => Err(corrupt(format!("{len} bytes at {logical} are in no chunk"))),
        }
    }
}

fn profile_name(profile: u64) -> String {
    let known = [
        (1 << 3, "RAID0"),
        (1 << 6, "RAID10"),
        (1 << 7, "RAID5"),
        (1 << 8, "RAID6"),
    ];
    match known.iter().find(|(bit, _)| *bit == profile) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("the chunk profile {profile:#x}"),
    }
}
