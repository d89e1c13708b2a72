//! What else may be on a device: volumes, containers and tables that this program does not map, but that a
//! kernel, `blkid` or `udev` would act upon when it meets them.
//!
//! A restore zeroes the ranges found here before it writes anything, so that a leftover of the former
//! content never speaks for the new one. Invariants: every range lies on the device; zeroing it makes
//! that signature unrecognisable; what cannot be seen in the given head and tail is not reported, save the
//! places that a visible signature names. Nothing here vouches for a signature: it is a reason to look, no more.

use std::ops::Range;

use crate::fs::bytes::{be32, be64, le16, le32};

mod spread;
mod table;
mod weak;

use table::{BCACHEFS, END_MAGICS, MAGICS, RAID, SWAP, UFS};

/// Something recognised by its magic bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The type, as `blkid` spells it.
    pub name: &'static str,
    /// The bytes to zero so that it is no longer recognised.
    pub range: Range<u64>,
}

/// Lists what is recognised in the first bytes of a device (128 KiB, or more) and in its last (up to 1 MiB),
/// ascending. The slices may overlap on a small device.
pub fn foreign(head: &[u8], tail: &[u8], device_size: u64) -> Vec<Signature> {
    let mut found = Found {
        view: View::new(head, tail, device_size),
        list: Vec::new(),
    };
    fixed(&mut found);
    end(&mut found);
    swap(&mut found);
    luks2(&mut found);
    lvm2(&mut found);
    raid(&mut found);
    ufs(&mut found);
    bcachefs(&mut found);
    spread::zfs(&mut found);
    spread::optical(&mut found);
    weak::hfs(&mut found);
    weak::nilfs(&mut found);
    weak::minix(&mut found);
    weak::lvm1(&mut found);
    weak::mbr(&mut found);
    weak::workstations(&mut found);
    let mut list = found.list;
    list.sort_by(|a, b| {
        (a.range.start, a.range.end, a.name).cmp(&(b.range.start, b.range.end, b.name))
    });
    list.dedup();
    list
}

/// The device as far as it is seen.
#[derive(Clone, Copy)]
struct View<'a> {
    head: &'a [u8],
    tail: &'a [u8],
    tail_start: u64,
    size: u64,
}

impl<'a> View<'a> {
    fn new(head: &'a [u8], tail: &'a [u8], size: u64) -> Self {
        match size.checked_sub(tail.len() as u64) {
            Some(tail_start) => Self {
                head,
                tail,
                tail_start,
                size,
            },
            None => Self {
                head,
                tail: &[],
                tail_start: size,
                size,
            },
        }
    }

    /// Bytes of the device, if they are seen.
    fn get(&self, at: u64, len: usize) -> Option<&'a [u8]> {
        let part = |bytes: &'a [u8], at: u64| {
            let start = usize::try_from(at).ok()?;
            bytes.get(start..start.checked_add(len)?)
        };
        part(self.head, at).or_else(|| part(self.tail, at.checked_sub(self.tail_start)?))
    }

    fn has(&self, at: u64, bytes: &[u8]) -> bool {
        self.get(at, bytes.len()) == Some(bytes)
    }
}

/// What was recognised so far.
struct Found<'a> {
    view: View<'a>,
    list: Vec<Signature>,
}

impl Found<'_> {
    /// To zero: the sectors of 512 bytes that a magic touches.
    fn add(&mut self, name: &'static str, at: u64, len: u64) {
        let start = at / 512 * 512;
        let end = at.saturating_add(len).checked_next_multiple_of(512);
        self.add_range(name, start..end.unwrap_or(u64::MAX));
    }

    fn add_range(&mut self, name: &'static str, range: Range<u64>) {
        let range = range.start..range.end.min(self.view.size);
        if range.start < range.end {
            self.list.push(Signature { name, range });
        }
    }

    fn add_if(&mut self, name: &'static str, at: u64, bytes: &[u8]) {
        if self.view.has(at, bytes) {
            self.add(name, at, bytes.len() as u64);
        }
    }
}

fn fixed(found: &mut Found<'_>) {
    for magic in MAGICS {
        found.add_if(magic.name, magic.at, magic.bytes);
    }
}

fn end(found: &mut Found<'_>) {
    for magic in END_MAGICS {
        if let Some(at) = found.view.size.checked_sub(magic.at) {
            found.add_if(magic.name, at, magic.bytes);
        }
    }
}

/// For pages of 4 to 64 KiB: a disk may come from another machine.
fn swap(found: &mut Found<'_>) {
    for page in [4096, 8192, 16384, 32768, 65536] {
        for (name, magic) in SWAP {
            found.add_if(name, page - 10, magic);
        }
    }
}

/// Where the second header of LUKS2 may be.
fn luks2_places() -> impl Iterator<Item = u64> {
    (14..=22).map(|shift| 1u64 << shift)
}

/// Where the first header of LUKS2 in a head says that the second is: as long as the binary part of either is.
pub(crate) fn second_luks2(head: &[u8]) -> Option<Range<u64>> {
    const BINARY: u64 = 4096;
    let first = head.starts_with(b"LUKS\xba\xbe\0\x02");
    let named = first.then(|| be64(head, 8)).flatten();
    let at = named.filter(|named| luks2_places().any(|at| at == *named));
    at.map(|at| at..at + BINARY)
}

/// The second header of LUKS2, at one of nine places; the first says at which.
fn luks2(found: &mut Found<'_>) {
    let named = found.view.get(0, 16).and_then(second_luks2);
    for at in luks2_places() {
        let here = named.as_ref().is_some_and(|named| named.start == at);
        if here || found.view.has(at, b"SKUL\xba\xbe") {
            found.add("crypto_LUKS", at, 512);
        }
    }
}

/// The label of a physical volume is in one of the first four sectors.
fn lvm2(found: &mut Found<'_>) {
    for at in (0..4).map(|sector| sector * 512) {
        if found.view.has(at, b"LABELONE") && found.view.has(at + 24, b"LVM2 001") {
            found.add("LVM2_member", at, 512);
        }
    }
}

/// Superblocks of Linux RAID at the end: version 1.0, and 0.90 in either byte order.
fn raid(found: &mut Found<'_>) {
    const RESERVED: u64 = 64 * 1024;
    let size = found.view.size;
    // 1.0 counts in sectors, blkid in pages: they differ on odd sizes.
    for at in [
        (size & !0xFFF).checked_sub(0x2000),
        (size / 512).checked_sub(16).map(|at| (at & !7) * 512),
    ] {
        found.add_if("linux_raid_member", at.unwrap_or(u64::MAX), RAID);
    }
    if let Some(at) = (size / RESERVED * RESERVED).checked_sub(RESERVED) {
        found.add_if("linux_raid_member", at, RAID);
        found.add_if("linux_raid_member", at, b"\xa9\x2b\x4e\xfc");
    }
}

fn ufs(found: &mut Found<'_>) {
    for superblock in [0, 8192, 65536, 262_144] {
        let at = superblock + 1372;
        let magic = found
            .view
            .get(at, 4)
            .map(|bytes| (le32(bytes, 0), be32(bytes, 0)));
        if UFS
            .iter()
            .any(|ufs| magic.is_some_and(|(little, big)| little == Some(*ufs) || big == Some(*ufs)))
        {
            found.add("ufs", at, 4);
        }
    }
}

/// Copies of the superblock, in any sector of the tail.
fn bcachefs(found: &mut Found<'_>) {
    let first = found
        .view
        .tail_start
        .checked_next_multiple_of(512)
        .unwrap_or(u64::MAX);
    for at in (first..found.view.size).step_by(512) {
        found.add_if("bcachefs", at.saturating_add(24), BCACHEFS);
    }
}
