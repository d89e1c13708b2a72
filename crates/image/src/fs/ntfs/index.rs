//! Looking names up in the root directory.
//!
//! All blocks that the directory's own bitmap calls used are read one after another: no order of names
//! needs to be understood, and no pointer between blocks can lead around in circles.

use super::mft::{Content, Mft};
use super::record::{Reference, fix_up, kind};
use super::{SECTOR, corrupt, unsupported};
use crate::fs::FsError;
use crate::fs::bytes::{le16, le32, le64};

const ROOT_DIRECTORY: u64 = 5;
const NAME: &str = "$I30";
const MAX_BLOCK: usize = 64 << 10;
/// Blocks of a root directory that are still read: some 30 million names.
const MAX_BLOCKS: u64 = 1 << 20;

/// The records of the wanted names (ASCII, compared without regard to case), in the order of `names`.
pub(super) fn find(
    mft: &Mft<'_>,
    names: &[&'static str],
) -> Result<Vec<(&'static str, Reference)>, FsError> {
    let mut search = Search {
        names,
        found: Vec::new(),
    };
    let directory = mft.record(ROOT_DIRECTORY)?;
    let Some(Content::Resident(root)) = mft.content(&directory, kind::INDEX_ROOT, NAME)? else {
        return Err(corrupt("the root directory has no index"));
    };
    let bad = || corrupt("the root directory's index is damaged");
    let block = le32(&root, 8)
        .and_then(|size| usize::try_from(size).ok())
        .ok_or_else(bad)?;
    search
        .entries(root.get(16..).ok_or_else(bad)?)
        .ok_or_else(bad)?;
    if let Some(blocks) = mft.content(&directory, kind::INDEX_ALLOCATION, NAME)? {
        if !block.is_power_of_two() || !(SECTOR..=MAX_BLOCK).contains(&block) {
            return Err(bad());
        }
        let used = mft
            .content(&directory, kind::BITMAP, NAME)?
            .ok_or_else(bad)?;
        walk(mft, (&blocks, &used), block, &mut search)?;
    }
    search
        .found
        .sort_by_key(|(name, _)| names.iter().position(|other| other == name));
    Ok(search.found)
}

fn walk(
    mft: &Mft<'_>,
    (blocks, used): (&Content, &Content),
    size: usize,
    search: &mut Search<'_>,
) -> Result<(), FsError> {
    let count = blocks.size() / size as u64;
    if count > MAX_BLOCKS {
        return Err(unsupported(
            "a root directory of more than a million blocks",
        ));
    }
    let mut map =
        vec![0; usize::try_from(used.size().min(count.div_ceil(8))).expect("at most MAX_BLOCKS")];
    used.read(mft.device(), 0, &mut map)?;
    let mut block = vec![0; size];
    for number in 0..count {
        let byte = map
            .get(usize::try_from(number / 8).expect("at most MAX_BLOCKS"))
            .copied()
            .unwrap_or_default();
        if byte >> (number % 8) & 1 == 0 {
            continue;
        }
        blocks.read(mft.device(), number * size as u64, &mut block)?;
        let what = format!("block {number} of the root directory");
        fix_up(&mut block, *b"INDX", &what)?;
        search
            .entries(&block[24..])
            .ok_or_else(|| corrupt(format!("{what} is damaged")))?;
    }
    Ok(())
}

struct Search<'n> {
    names: &'n [&'static str],
    found: Vec<(&'static str, Reference)>,
}

impl Search<'_> {
    /// Looks through the entries behind an index header; `None` when they do not fit.
    fn entries(&mut self, header: &[u8]) -> Option<()> {
        let mut at = usize::try_from(le32(header, 0)?).ok()?;
        let end = usize::try_from(le32(header, 4)?).ok()?;
        loop {
            let entry = header.get(at..end)?;
            let len = usize::from(le16(entry, 8)?);
            let key = usize::from(le16(entry, 10)?);
            let flags = le16(entry, 12)?;
            if flags & 2 != 0 {
                return Some(());
            }
            let entry = entry.get(..len).filter(|entry| entry.len() >= 16)?;
            self.entry(
                Reference::from_raw(le64(entry, 0)?),
                entry.get(16..16 + key)?,
            )?;
            at += len;
        }
    }

    /// One entry, whose key is a `$FILE_NAME`.
    fn entry(&mut self, reference: Reference, key: &[u8]) -> Option<()> {
        let len = usize::from(*key.get(64)?);
        let name = key.get(66..66 + 2 * len)?;
        let wanted = self.names.iter().find(|wanted| {
            wanted.len() == len
                && wanted
                    .bytes()
                    .zip(name.chunks_exact(2))
                    .all(|(a, b)| b[1] == 0 && b[0].eq_ignore_ascii_case(&a))
        });
        if let Some(wanted) = wanted
            && !self.found.iter().any(|(_, other)| *other == reference)
        {
            self.found.push((wanted, reference));
        }
        Some(())
    }
}
