//! What an assembly remembers, `docs/formats/journal.md`: two slots, written in turn, each with a checksum.
//!
//! A slot that a power cut tore apart has a wrong checksum; the other one is older and whole.

use crate::bitmap::Bitmap;
use crate::format::Hash;

const MAGIC: &[u8; 8] = b"AZUDJNL\0";
const VERSION: u16 = 1;
const MOVING: u16 = 1;
const HEAD_LEN: usize = 96;
const SUM_LEN: usize = 32;

/// Slots begin on sectors of their own, so that writing one cannot damage the other.
const ALIGN: u64 = 4096;

/// What is on the medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Counts the records from 1; 0 before the first.
    pub generation: u64,
    /// The image that is assembled.
    pub identity: Hash,
    /// The old image whose pieces may have been given up, if they are moved.
    pub moving: Option<Hash>,
    /// The pieces whose right bytes are on the medium.
    pub verified: Bitmap,
}

/// Bytes of a slot for so many pieces.
pub fn slot_len(pieces: usize) -> u64 {
    let len = HEAD_LEN + pieces.div_ceil(8) + SUM_LEN;
    (len as u64).next_multiple_of(ALIGN)
}

/// Where in the journal a record goes, and its bytes there.
pub fn slot(record: &Record) -> (u64, Vec<u8>) {
    let pieces = record.verified.len();
    let bits = record.verified.to_bytes();
    let flags = if record.moving.is_some() { MOVING } else { 0 };
    let mut out = Vec::with_capacity(HEAD_LEN + bits.len() + SUM_LEN);
    out.extend(MAGIC);
    out.extend(VERSION.to_le_bytes());
    out.extend(flags.to_le_bytes());
    out.extend([0; 4]);
    out.extend(record.generation.to_le_bytes());
    out.extend(pieces.to_le_bytes());
    out.extend(record.identity);
    out.extend(record.moving.unwrap_or_default());
    out.extend(bits);
    let sum = blake3::hash(&out);
    out.extend(sum.as_bytes());
    let pieces = usize::try_from(pieces).expect("a bitmap in memory");
    (record.generation % 2 * slot_len(pieces), out)
}

/// The newest whole record of a journal, if it is about this image. Nothing else can be had from a
/// journal: one that is damaged says nothing, and everything is fetched or looked for again.
pub fn read(journal: &[u8], identity: &Hash, pieces: usize) -> Option<Record> {
    let len = usize::try_from(slot_len(pieces)).ok()?;
    let slots = [journal.get(..), journal.get(len..)];
    let records = slots
        .into_iter()
        .flatten()
        .filter_map(|slot| parse(slot, pieces));
    let ours = records.filter(|record| record.identity == *identity);
    ours.max_by_key(|record| record.generation)
}

/// Whether pieces of an old image may have been given up by what a journal says, of whatever image it is: also where that
/// cannot be told, since what was given up is nowhere else.
pub fn may_move(journal: &[u8]) -> bool {
    let align = usize::try_from(ALIGN).expect("small");
    let at = (0..journal.len()).step_by(align);
    let slots = at.map(|at| &journal[at..]);
    let mut told = false;
    for slot in slots.filter(|slot| slot.starts_with(MAGIC)) {
        let word = |at: usize| Some(u16::from_le_bytes(slot.get(at..at + 2)?.try_into().ok()?));
        let newer = word(8) != Some(VERSION) || word(10).is_none_or(|flags| flags & !MOVING != 0);
        let record = number_of(slot).and_then(|pieces| parse(slot, pieces));
        if newer || record.as_ref().is_some_and(|it| it.moving.is_some()) {
            return true;
        }
        told |= record.is_some();
    }
    // Of two records one may be torn. The first one goes to slot 1, and before the second nothing is given up.
    let first = journal.len().min(align);
    !told && journal[..first].iter().any(|byte| *byte != 0)
}

/// How many pieces a slot says that there are.
fn number_of(slot: &[u8]) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(slot.get(24..32)?.try_into().ok()?)).ok()
}

fn parse(slot: &[u8], pieces: usize) -> Option<Record> {
    let body = HEAD_LEN + pieces.div_ceil(8);
    let (bytes, sum) = (slot.get(..body)?, slot.get(body..body + SUM_LEN)?);
    let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let hash = |at: usize| Hash::try_from(bytes.get(at..at + 32)?).ok();
    let word = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let flags = word(10)?;
    if bytes[..8] != *MAGIC
        || word(8)? != VERSION
        || flags & !MOVING != 0
        || bytes[12..16] != [0; 4]
        || number(24)? != pieces as u64
        || blake3::hash(bytes).as_bytes() != sum
    {
        return None;
    }
    let moving = hash(64)?;
    // Another record must be able to follow.
    let generation = number(16).filter(|number| (1..u64::MAX).contains(number))?;
    Some(Record {
        generation,
        identity: hash(32)?,
        moving: (flags & MOVING != 0).then_some(moving),
        verified: Bitmap::from_bytes(&bytes[HEAD_LEN..], pieces as u64)?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Record, may_move, read, slot, slot_len};
    use crate::bitmap::Bitmap;
    use proptest::prelude::*;

    fn record(generation: u64, bits: &[bool]) -> Record {
        let mut verified = Bitmap::new(bits.len() as u64);
        let set = bits.iter().enumerate().filter(|(_, bit)| **bit);
        set.for_each(|(number, _)| verified.set(number as u64));
        Record {
            generation,
            identity: [5; 32],
            moving: generation.is_multiple_of(3).then_some([6; 32]),
            verified,
        }
    }

    fn write(journal: &mut Vec<u8>, record: &Record) -> std::ops::Range<usize> {
        let (at, bytes) = slot(record);
        let at = usize::try_from(at).unwrap();
        journal.resize(journal.len().max(at + bytes.len()), 0);
        journal[at..at + bytes.len()].copy_from_slice(&bytes);
        at..at + bytes.len()
    }

    #[test]
    fn golden_the_bytes_are_pinned() {
        let (at, bytes) = slot(&record(
            3,
            &[true, false, false, true, true, false, false, false, true],
        ));
        assert_eq!((at, slot_len(9)), (4096, 4096));
        assert_eq!(
            bytes[..32],
            *b"AZUDJNL\0\x01\0\x01\0\0\0\0\0\x03\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0"
        );
        assert_eq!(bytes[96..98], [0b11001, 1]);
        assert_eq!(bytes.len(), 98 + 32);
        assert_eq!(bytes[98..], *blake3::hash(&bytes[..98]).as_bytes());
    }

    #[test]
    fn regression_a_record_that_none_can_follow_is_none() {
        for (generation, counts) in [
            (0, false),
            (1, true),
            (u64::MAX - 1, true),
            (u64::MAX, false),
        ] {
            let mut journal = Vec::new();
            write(&mut journal, &record(generation, &[true; 9]));
            assert_eq!(
                read(&journal, &[5; 32], 9).is_some(),
                counts,
                "{generation}"
            );
        }
    }

    #[test]
    fn what_cannot_be_told_may_have_moved() {
        let still = record(1, &vec![true; 40_000]);
        let moving = Record {
            generation: 2,
            moving: Some([6; 32]),
            ..still.clone()
        };
        let end = usize::try_from(2 * slot_len(40_000)).unwrap();
        let journal = |records: &[&Record]| {
            let mut journal = vec![0; end];
            let ranges: Vec<_> = records.iter().map(|it| write(&mut journal, it)).collect();
            (journal, ranges)
        };
        assert!(!may_move(&[]) && !may_move(&vec![0; end]));
        let (begun, ranges) = journal(&[&still]);
        assert!(!may_move(&begun));
        // Torn: the first record, and the one after it, which would have said that something moves.
        for at in ranges[0].clone().step_by(1000) {
            let mut torn = begun.clone();
            torn[at..].fill(0);
            assert!(!may_move(&torn), "{at}");
        }
        let (both, ranges) = journal(&[&still, &moving]);
        assert!(may_move(&both));
        let mut torn = both.clone();
        torn[ranges[1].end - 1] ^= 1;
        assert!(!may_move(&torn));
        // Both are damaged, are of a newer version, or say more than is understood.
        torn[ranges[0].end - 1] ^= 1;
        assert!(may_move(&torn));
        for at in [8, 11] {
            let mut newer = both.clone();
            for range in &ranges {
                newer[range.start + at] += 2;
            }
            assert!(may_move(&newer), "{at}");
        }
        assert!(may_move(b"something else"));
    }

    proptest! {
        /// Whatever of a slot reaches the medium: the record before it is found, or the new one.
        #[test]
        fn proptest_a_torn_slot_leaves_the_older_one(
            generation in 1u64..1000, bits in prop::collection::vec(any::<bool>(), 1..70_000),
            from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), junk in any::<u8>(),
        ) {
            let mut other = bits.clone();
            other.reverse();
            let mut journal = Vec::new();
            write(&mut journal, &record(generation, &bits));
            let old = record(generation + 1, &other);
            write(&mut journal, &old);
            prop_assert_eq!(read(&journal, &[5; 32], bits.len()), Some(old.clone()));
            prop_assert_eq!(read(&journal, &[4; 32], bits.len()), None);
            prop_assert_eq!(read(&journal, &[5; 32], bits.len() + 8), None);
            let before = journal.clone();
            let new = record(generation + 2, &bits);
            let range = write(&mut journal, &new);
            prop_assert_eq!(read(&journal, &[5; 32], bits.len()), Some(new.clone()));
            // A part of it is as before, or junk.
            let (a, b) = (range.start + from.index(range.len()), range.start + to.index(range.len()));
            for at in a.min(b)..a.max(b) {
                journal[at] = if junk & 1 == 0 { junk } else { before[at] };
            }
            let found = read(&journal, &[5; 32], bits.len());
            prop_assert!(found.is_some_and(|it| it.moving.is_none()) || may_move(&journal));
            let found = read(&journal, &[5; 32], bits.len());
            prop_assert!(found == Some(old) || found == Some(new));
        }
    }
}
