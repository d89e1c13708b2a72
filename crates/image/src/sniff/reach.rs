//! How far a disk reaches by its own partition table: one that is shorter was cut short.
//!
//! Nothing but this tells it of a disk as it lies, or of one whose compressor writes whole frames: the file ends well.

use crate::fs::bytes::{le32, le64};

const HEADER: usize = 92;
const CRC_AT: usize = 16;
/// The type of an entry that stands for a GPT.
const PROTECTIVE: u8 = 0xEE;

/// The fewest bytes that a disk beginning with `head` has; `None` where no table tells.
pub(crate) fn reach(head: &[u8]) -> Option<u64> {
    [512, 4096]
        .into_iter()
        .find_map(|sector| gpt(head, sector))
        .or_else(|| mbr(head))
}

/// By the header of a GPT, which names the sector of its copy: the last of the disk that it was made for.
fn gpt(head: &[u8], sector: usize) -> Option<u64> {
    let rest = head.get(sector..)?;
    let len = le32(rest, 12).and_then(|len| usize::try_from(len).ok())?;
    let header = rest.get(..len.clamp(HEADER, sector))?;
    if !header.starts_with(super::content::GPT) || le32(header, CRC_AT) != Some(crc(header)) {
        return None;
    }
    let (copy, last_usable) = (le64(header, 32)?, le64(header, 48)?);
    let sectors = copy.max(last_usable).checked_add(1)?;
    sectors.checked_mul(sector as u64)
}

fn crc(header: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&header[..CRC_AT]);
    crc.update(&[0; 4]);
    crc.update(&header[CRC_AT + 4..]);
    crc.finalize()
}

/// By the end of the last partition, in sectors of 512 bytes: it does not tell of longer ones.
fn mbr(head: &[u8]) -> Option<u64> {
    let entries = head.get(446..510)?.chunks(16);
    let real = entries.filter(|entry| !matches!(entry[4], 0 | PROTECTIVE));
    let end = |entry: &[u8]| Some(u64::from(le32(entry, 8)?) + u64::from(le32(entry, 12)?));
    real.filter_map(end).max().map(|sectors| sectors * 512)
}

#[cfg(test)]
mod tests {
    use super::{CRC_AT, crc, reach};

    fn with_gpt(sector: usize, copy: u64) -> Vec<u8> {
        let mut head = vec![0; 3 * sector];
        head[450] = 0xEE;
        head[454..462].copy_from_slice(&[1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
        let header = &mut head[sector..sector + 92];
        header[..8].copy_from_slice(b"EFI PART");
        header[12] = 92;
        header[32..40].copy_from_slice(&copy.to_le_bytes());
        header[48..56].copy_from_slice(&(copy - 33).to_le_bytes());
        let sum = crc(header).to_le_bytes();
        header[CRC_AT..CRC_AT + 4].copy_from_slice(&sum);
        head
    }

    #[test]
    fn a_gpt_tells_where_its_copy_is_in_sectors_of_either_size() {
        assert_eq!(reach(&with_gpt(512, 2047)), Some(1 << 20));
        assert_eq!(reach(&with_gpt(4096, 511)), Some(2 << 20));
        let mut damaged = with_gpt(512, 2047);
        damaged[512 + 33] ^= 1;
        assert_eq!(reach(&damaged), None, "its own sum is wrong");
        assert_eq!(reach(&with_gpt(512, u64::MAX)), None);
        assert_eq!(reach(&with_gpt(512, u64::MAX >> 9)), None);
    }

    #[test]
    fn the_last_partition_of_an_mbr_tells_wherever_it_stands() {
        let mut head = vec![0; 1024];
        for (at, entry) in [(446, [64u32, 100]), (478, [2, 7])] {
            head[at + 4] = 0x83;
            head[at + 8..at + 12].copy_from_slice(&entry[0].to_le_bytes());
            head[at + 12..at + 16].copy_from_slice(&entry[1].to_le_bytes());
        }
        assert_eq!(reach(&head), Some(164 * 512));
        head[450] = 0xEE;
        assert_eq!(
            reach(&head),
            Some(9 * 512),
            "an entry for a GPT may say anything"
        );
        head[482] = 0;
        assert_eq!(reach(&head), None);
        assert_eq!(reach(&head[..500]), None);
    }
}
