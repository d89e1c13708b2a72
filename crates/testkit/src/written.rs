//! What the kernel's `dm-log-writes` recorded of a disk, and the disk as it was after any part of it.
//!
//! The log is a sector that says what it is, then for each write a sector about it and its data. A write is in the log when
//! it is certain: at the flush after it, or at once if it was not to wait for one. So whatever comes before a flush is on
//! the disk when the power goes after it, and of what comes next any part is.

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, ensure};
use rustix::fs::{FallocateFlags, fallocate};

const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
/// Bytes about a write that are in use.
const HEAD: u64 = ENTRY as u64;
const ENTRY: usize = 32;

const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
const MARK: u64 = 8;
const METADATA: u64 = 16;

/// One write, or whatever else was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// Where it is on the disk, and how long it is, in bytes.
    at: u64,
    len: u64,
    flags: u64,
    /// Where its data is in the log.
    data: u64,
    mark: Option<String>,
}

/// A log that was read.
#[derive(Debug)]
pub struct Written {
    log: File,
    entries: Vec<Entry>,
}

impl Written {
    /// Reads all of a log but the data.
    ///
    /// # Errors
    /// When it is no log, or is not whole.
    pub fn read(log: File) -> Result<Self> {
        let len = log.metadata()?.len();
        let head: [u8; 28] = piece(&log, 0)?;
        ensure!(number(&head, 0) == MAGIC, "no log of writes");
        ensure!(number(&head, 8) == VERSION, "a log of another version");
        let count = number(&head, 16);
        let sector = number(&head, 24);
        ensure!(
            (512..=65536).contains(&sector) && sector.is_power_of_two(),
            "sectors of {sector} bytes"
        );
        ensure!(count <= len / sector, "{count} writes in {len} bytes");
        let mut entries = Vec::new();
        let mut next = sector;
        for turn in 0..count {
            let entry = Entry::read(&log, next, sector)
                .with_context(|| format!("write {turn} of {count}"))?;
            next = entry.data + entry.stored();
            ensure!(next <= len, "write {turn} of {count} ends behind the log");
            entries.push(entry);
        }
        Ok(Self { log, entries })
    }

    /// How many writes and marks there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The marks with the number of what comes before each.
    pub fn marks(&self) -> impl Iterator<Item = (usize, &str)> {
        let all = self.entries.iter().enumerate();
        all.filter_map(|(turn, entry)| Some((turn, entry.mark.as_deref()?)))
    }

    /// After how many entries something had become certain.
    pub fn boundaries(&self) -> impl Iterator<Item = usize> {
        let all = self.entries.iter().enumerate();
        all.filter_map(|(turn, entry)| (entry.flags & (FLUSH | FUA) != 0).then_some(turn + 1))
    }

    /// Does the entries of a range to a file that is the disk; of those for which `is_there` says no, nothing.
    ///
    /// # Errors
    /// When one of them is not within the disk.
    pub fn replay(
        &self,
        range: std::ops::Range<usize>,
        disk: &File,
        mut is_there: impl FnMut() -> bool,
    ) -> Result<()> {
        let size = disk.metadata()?.len();
        let entries = self.entries.get(range).context("no such writes")?;
        for entry in entries.iter().filter(|entry| entry.len > 0) {
            let end = entry.at.checked_add(entry.len);
            ensure!(
                end.is_some_and(|end| end <= size),
                "a write at {} is not within the disk",
                entry.at
            );
            if !is_there() {
                continue;
            }
            if entry.flags & DISCARD != 0 {
                let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                fallocate(disk, hole, entry.at, entry.len)?;
                continue;
            }
            let mut bytes = vec![0; usize::try_from(entry.len)?];
            self.log.read_exact_at(&mut bytes, entry.data)?;
            disk.write_all_at(&bytes, entry.at)?;
        }
        Ok(())
    }
}

impl Entry {
    fn read(log: &File, place: u64, sector: u64) -> Result<Self> {
        let head: [u8; ENTRY] = piece(log, place)?;
        let [at, sectors, flags, text] = [0, 8, 16, 24].map(|offset| number(&head, offset));
        let known = FLUSH | FUA | DISCARD | MARK | METADATA;
        ensure!(flags & !known == 0, "unknown flags {flags:#x}");
        let bytes = |sectors: u64| sectors.checked_mul(sector).context("a number too large");
        let is_mark = flags & MARK != 0;
        ensure!(
            if is_mark {
                sectors == 0 && text <= sector - HEAD
            } else {
                text == 0
            },
            "a mark that is a write"
        );
        let mut mark = vec![0; usize::try_from(text)?];
        log.read_exact_at(&mut mark, place + HEAD)?;
        let entry = Self {
            at: bytes(at)?,
            len: bytes(sectors)?,
            flags,
            data: place + sector,
            mark: is_mark.then(|| String::from_utf8(mark)).transpose()?,
        };
        ensure!(
            entry.data.checked_add(entry.len).is_some(),
            "a number too large"
        );
        Ok(entry)
    }

    /// How much of the log its data takes.
    fn stored(&self) -> u64 {
        if self.flags & DISCARD == 0 {
            self.len
        } else {
            0
        }
    }
}

fn piece<const LEN: usize>(log: &File, place: u64) -> Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    log.read_exact_at(&mut bytes, place)
        .context("the log ends")?;
    Ok(bytes)
}

/// The little-endian number at an offset: eight bytes, or those that are left.
fn number(bytes: &[u8], offset: usize) -> u64 {
    let eight = bytes.iter().skip(offset).take(8).rev();
    eight.fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, Write};

    use super::{DISCARD, FLUSH, FUA, MAGIC, MARK, Written};

    fn words(numbers: &[u64]) -> Vec<u8> {
        let mut sector: Vec<u8> = numbers.iter().flat_map(|it| it.to_le_bytes()).collect();
        sector.resize(512, 0);
        sector
    }

    fn mark(text: &str) -> Vec<u8> {
        let mut sector = words(&[0, 0, MARK, text.len() as u64]);
        sector[32..32 + text.len()].copy_from_slice(text.as_bytes());
        sector
    }

    /// A log by hand: two sectors of 1 and one of 2 that are flushed, a mark, one of 3 at once, the first taken away.
    fn by_hand() -> Vec<Vec<u8>> {
        vec![
            words(&[MAGIC, 1, 6, 512]),
            [words(&[0, 2, 0, 0]), vec![1; 1024]].concat(),
            [words(&[3, 1, 0, 0]), vec![2; 512]].concat(),
            words(&[0, 0, FLUSH, 0]),
            mark("here"),
            [words(&[1, 1, FUA, 0]), vec![3; 512]].concat(),
            words(&[0, 1, DISCARD, 0]),
        ]
    }

    fn read(log: &[Vec<u8>]) -> anyhow::Result<Written> {
        let mut file = tempfile::tempfile()?;
        file.write_all(&log.concat())?;
        Written::read(file)
    }

    fn disk(sectors: u64) -> File {
        let disk = tempfile::tempfile().unwrap();
        disk.set_len(sectors * 512).unwrap();
        disk
    }

    /// The first byte of each sector.
    fn seen(mut disk: &File) -> Vec<u8> {
        let mut bytes = Vec::new();
        disk.rewind().unwrap();
        disk.read_to_end(&mut bytes).unwrap();
        bytes.chunks(512).map(|sector| sector[0]).collect()
    }

    #[test]
    fn a_disk_is_as_it_was_after_any_part() {
        let log = read(&by_hand()).unwrap();
        assert_eq!(log.len(), 6);
        assert_eq!(log.marks().collect::<Vec<_>>(), [(3, "here")]);
        assert_eq!(log.boundaries().collect::<Vec<_>>(), [3, 5]);
        let disk = disk(4);
        log.replay(0..3, &disk, || true).unwrap();
        assert_eq!(seen(&disk), [1, 1, 0, 2]);
        log.replay(3..5, &disk, || true).unwrap();
        assert_eq!(seen(&disk), [1, 3, 0, 2]);
        log.replay(5..6, &disk, || true).unwrap();
        assert_eq!(seen(&disk), [0, 3, 0, 2]);
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let log = read(&by_hand()).unwrap();
        let disk = disk(4);
        let mut turn = 0;
        let second = || {
            turn += 1;
            turn == 2
        };
        log.replay(0..3, &disk, second).unwrap();
        assert_eq!(seen(&disk), [0, 0, 0, 2]);
    }

    #[test]
    fn what_is_no_whole_log_is_refused() {
        let changes: [(&str, usize, Vec<u8>); 9] = [
            ("magic", 0, words(&[MAGIC + 1, 1, 6, 512])),
            ("version", 0, words(&[MAGIC, 2, 6, 512])),
            ("sector", 0, words(&[MAGIC, 1, 6, 100])),
            ("no sector", 0, words(&[MAGIC, 1, 6, 0])),
            ("count", 0, words(&[MAGIC, 1, u64::MAX, 512])),
            ("one too many", 0, words(&[MAGIC, 1, 7, 512])),
            ("flags", 3, words(&[0, 0, 32, 0])),
            ("too long", 6, words(&[0, u64::MAX / 2, 0, 0])),
            ("a mark without end", 4, words(&[0, 0, MARK, 481])),
        ];
        for (what, place, sector) in changes {
            let mut log = by_hand();
            log[place] = sector;
            assert!(read(&log).is_err(), "{what}");
        }
        let mut short = by_hand();
        short[5].truncate(600);
        short.pop();
        assert!(read(&short).is_err());
        let log = read(&by_hand()).unwrap();
        assert!(log.replay(0..3, &disk(3), || true).is_err(), "a small disk");
        assert!(log.replay(0..7, &disk(4), || true).is_err());
    }
}
