//! Targets of what an assembly leaves on disk, and of the indexes that it believes.

use azud_core::assembly::{Layout, Piece, journal};
use azud_core::format::container;
use azud_core::format::index::Index;
use azud_core::format::ranges::RangeIndex;

use super::Input;

/// The image that the journals are about.
const IDENTITY: [u8; 32] = [5; 32];

/// Bytes of a journal's slot before and after its bits.
const HEAD_LEN: usize = 96;
const SUM_LEN: usize = 32;

/// The index of a foreign image: it is canonical, so only its own bytes are read as it.
pub fn ranges(data: &[u8]) {
    let Ok(index) = RangeIndex::parse(data) else {
        return;
    };
    assert_eq!(RangeIndex::count(index.size), Ok(index.hashes.len()));
    assert_eq!(index.encode(), data);
}

/// A description: after a 0 as it is, else the ending that belongs to an index.
pub fn layout(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else {
        return;
    };
    let description = match (choice, Index::parse(rest)) {
        (0, _) | (_, Err(_)) => rest.to_vec(),
        (_, Ok(index)) => container::ending(&index).0,
    };
    let Ok(layout) = Layout::parse(description.clone()) else {
        return;
    };
    let in_a_row = |at: u64, piece: &Piece| {
        assert_eq!(piece.offset, at, "a gap");
        piece.end()
    };
    let end = layout.pieces().iter().fold(0, in_a_row);
    assert_eq!(layout.ending_offset(), end);
    assert_eq!(end + layout.ending().len() as u64, layout.size());
    assert_eq!(layout.description(), description);
    assert_eq!(Layout::parse(description), Ok(layout));
}

/// A journal, after a byte of choices (1: checksums are computed anew) and the number of pieces.
pub fn journal(data: &[u8]) {
    let mut input = Input(data);
    let (Some(choices), Some(pieces)) = (input.u8(), input.u24()) else {
        return;
    };
    let pieces = pieces % 100_000;
    let mut bytes = input.0.to_vec();
    if choices & 1 == 1 {
        let slot = usize::try_from(journal::slot_len(pieces)).expect("small");
        let body = HEAD_LEN + pieces.div_ceil(8);
        for start in [0, slot] {
            seal(&mut bytes, start, body);
        }
    }
    let may_move = journal::may_move(&bytes);
    let Some(record) = journal::read(&bytes, &IDENTITY, pieces) else {
        return;
    };
    assert!(may_move || record.moving.is_none());
    assert_eq!(record.identity, IDENTITY);
    assert_eq!(record.verified.len(), pieces as u64);
    assert!(
        record.generation.checked_add(1).is_some(),
        "none can follow"
    );
    let (at, slot) = journal::slot(&record);
    let mut again = vec![0; usize::try_from(at).expect("one slot")];
    again.extend(slot);
    assert_eq!(journal::read(&again, &IDENTITY, pieces), Some(record));
}

/// Makes the checksum of a slot right, if the slot is there.
fn seal(bytes: &mut [u8], start: usize, body: usize) {
    let end = start + body;
    if let Some(slot) = bytes.get_mut(start..end + SUM_LEN) {
        let (content, sum) = slot.split_at_mut(body);
        sum.copy_from_slice(blake3::hash(content).as_bytes());
    }
}
