//! Whether the internal log needs a replay.
//!
//! Every 512-byte block of the log begins with the number of its cycle (in a record's first block, behind
//! the magic number). The log is written round and round, so there is one edge between the present
//! cycle and the former one: the head. The log is clean when the record that ends at the head holds
//! nothing but the mark of an unmount. Whatever looks irregular counts as dirty: a replay by the
//! kernel settles it.

use std::ops::RangeInclusive;

use azud_core::io::ReadAt;

use super::superblock::Superblock;
use super::{Fields, NAME, bytes, corrupt};
use crate::fs::FsError;

/// Unit of the log, whatever the sectors are.
const BASIC: u64 = 512;
const BASIC_LEN: usize = 512;
const RECORD_MAGIC: [u8; 4] = 0xFEED_BABE_u32.to_be_bytes();
/// The flag of an operation that marks an unmount.
const UNMOUNT: u8 = 0x20;
/// What eight log buffers of 256 KiB may leave half-written: cycles are checked this far around the head.
const WINDOW: u64 = 4096;
/// A record is at most 256 KiB and its headers; it begins no further than this before its end.
const LONGEST_RECORD: u64 = 1024;
/// Bytes of a record whose cycles one header block keeps.
const PER_HEADER: u32 = 32 * 1024;

const REMEDY: &str = "mount DEVICE /mnt && umount /mnt\n\
    xfs_repair DEVICE   (only if it cannot be mounted; never with -L unless there is a backup)";

struct Log<'a> {
    device: &'a dyn ReadAt,
    /// Where it begins on the device, in bytes.
    start: u64,
    /// Its length in basic blocks.
    len: u64,
}

/// Refuses a log that does not end with an unmount.
pub(super) fn check_clean(device: &dyn ReadAt, sb: &Superblock) -> Result<(), FsError> {
    let size = u64::from(sb.block_size);
    let log = Log {
        device,
        start: sb.log_start * size,
        len: sb.log_blocks * (size / BASIC),
    };
    let (first, last) = (log.cycle(0)?, log.cycle(log.len - 1)?);
    let head = log.head(first, last)?;
    log.check_cycles(head, first, last)?;
    if first == 0 {
        // All zeros: never written to since it was made. Kernels take it for clean.
        return Ok(());
    }
    log.check_unmount(head, sb)
}

impl Log<'_> {
    /// Reads `count` blocks from `block`, both within the log.
    fn read(&self, block: u64, count: u64) -> Result<Vec<u8>, FsError> {
        let len = usize::try_from(count * BASIC).expect("callers read no more than a window");
        bytes::read_vec(self.device, self.start + block * BASIC, len)
    }

    fn cycle(&self, block: u64) -> Result<u32, FsError> {
        Ok(cycle_of(&self.read(block, 1)?))
    }

    /// The first block that the next record would be written to; 0 when the log was just filled to its end.
    fn head(&self, first: u32, last: u32) -> Result<u64, FsError> {
        if first == last {
            return Ok(0);
        }
        if first != last.wrapping_add(1) {
            return Err(dirty(format!(
                "its log begins with cycle {first} and ends with {last}"
            )));
        }
        let (mut present, mut former) = (0, self.len - 1);
        while former - present > 1 {
            let middle = present + (former - present) / 2;
            if self.cycle(middle)? == first {
                present = middle;
            } else {
                former = middle;
            }
        }
        Ok(former)
    }

    /// That blocks around the head, as far as a crash may have left holes, are of the cycles they should be of.
    fn check_cycles(&self, head: u64, first: u32, last: u32) -> Result<(), FsError> {
        let before = head.saturating_sub(WINDOW);
        self.check_range(before, head, first..=first)?;
        // `xfs_repair -L` and `xfs_admin -U` leave zeros behind the record that they write.
        self.check_range(head, self.len.min(head + WINDOW), 0..=last)?;
        // What the window lacks at the beginning of the log continues at its end.
        let rest = WINDOW - (head - before);
        self.check_range(self.len.saturating_sub(rest).max(head), self.len, 0..=last)
    }

    fn check_range(
        &self,
        start: u64,
        end: u64,
        cycles: RangeInclusive<u32>,
    ) -> Result<(), FsError> {
        if start >= end {
            return Ok(());
        }
        let raw = self.read(start, end - start)?;
        let cycles_there = raw.chunks(BASIC_LEN).map(cycle_of);
        match cycles_there
            .zip(start..)
            .find(|(cycle, _)| !cycles.contains(cycle))
        {
            None => Ok(()),
            Some((cycle, at)) => Err(dirty(format!(
                "block {at} of its log is of cycle {cycle} where {} is due",
                cycles.end()
            ))),
        }
    }

    /// That the last record before the head ends there and marks an unmount.
    fn check_unmount(&self, head: u64, sb: &Superblock) -> Result<(), FsError> {
        let (at, raw) = self.last_record(head)?;
        let header = Fields(&raw);
        let uuid = &raw[304..320];
        if uuid.iter().any(|byte| *byte != 0) && uuid != sb.uuid {
            return Err(corrupt("its log belongs to another file system (UUID)"));
        }
        let (version, len, size) = (header.u32(8), header.u32(12), header.u32(320));
        // Since version 2 a record may be longer than the cycles that one header block can keep.
        let headers = if version & 2 == 0 {
            1
        } else {
            u64::from(size.div_ceil(PER_HEADER)).max(1)
        };
        let blocks = headers + u64::from(len).div_ceil(BASIC);
        if blocks > LONGEST_RECORD || (at + blocks) % self.len != head || header.u32(40) != 1 {
            return Err(dirty(format!(
                "the last record of its log, at block {at}, is not an unmount"
            )));
        }
        let operation = self.read((at + headers) % self.len, 1)?;
        // Behind transaction number, length and client: the flags. Only the first four bytes gave way to the cycle.
        if Fields(&operation).u8(9) & UNMOUNT == 0 {
            return Err(dirty(format!(
                "the last record of its log, at block {at}, is not an unmount"
            )));
        }
        Ok(())
    }

    /// The last block before `head`, going round, that begins a record.
    fn last_record(&self, head: u64) -> Result<(u64, Vec<u8>), FsError> {
        let end = if head == 0 { self.len } else { head };
        let start = end.saturating_sub(LONGEST_RECORD);
        let round = (LONGEST_RECORD - (end - start)).min(self.len - end);
        for (start, count) in [(start, end - start), (self.len - round, round)] {
            let raw = self.read(start, count)?;
            let blocks = raw.chunks(BASIC_LEN).enumerate();
            if let Some((index, block)) = blocks
                .rev()
                .find(|(_, block)| block.starts_with(&RECORD_MAGIC))
            {
                return Ok((start + index as u64, block.to_vec()));
            }
        }
        Err(dirty(format!(
            "there is no record before the head of its log, block {head}"
        )))
    }
}

fn cycle_of(block: &[u8]) -> u32 {
    let fields = Fields(block);
    fields.u32(if fields.has(0, &RECORD_MAGIC) { 4 } else { 0 })
}

fn dirty(why: String) -> FsError {
    FsError::Dirty {
        fs: NAME,
        why,
        remedy: REMEDY,
    }
}
