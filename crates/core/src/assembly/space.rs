//! How much space an assembly takes, and what a moved piece gives back.

use super::{Layout, Origin, Piece, Plan};
use crate::bitmap::Bitmap;

/// The least space that moving works with: pieces are copied before their old place is freed.
const LEAST_BATCH: u64 = 8 << 20;

/// The most bytes that are moved before they are recorded and freed.
const MOST_BATCH: u64 = 64 << 20;

/// For the file system's own notes: a fixed part, and one of so many bytes.
const NOTES: u64 = 1 << 20;
const NOTES_PART: u64 = 512;

/// The file system that the image is made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Medium {
    /// Bytes of a block.
    pub block: u64,
    /// Whether two files can share blocks.
    pub shares: bool,
    /// Bytes that may still be written.
    pub available: u64,
}

/// The space that a plan needs, in bytes beyond what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// When the old image stays whole until the new one is.
    pub copy: u64,
    /// When pieces move over from the old image, the first of the locals.
    pub moving: u64,
    /// Bytes that can be shared instead of copied.
    pub shared: u64,
}

impl Need {
    /// Of a plan on a medium.
    pub fn of(plan: &Plan, wanted: &Layout, medium: &Medium) -> Self {
        let mut shared = 0;
        let mut moved = 0;
        for run in plan.runs() {
            let part = run.shareable(medium.block).filter(|_| medium.shares);
            let part = part.map_or(0, |(_, len)| len);
            shared += part;
            if matches!(run.origin, Origin::Local { file: 0, .. }) {
                moved += run.len - part;
            }
        }
        let all = plan.bytes(|_| true) + wanted.ending().len() as u64;
        let notes = NOTES + all / NOTES_PART;
        Self {
            copy: all - shared + notes,
            moving: all - shared - moved + LEAST_BATCH.min(moved) + notes,
            shared,
        }
    }

    /// How much to move at once when so much space is left.
    pub fn batch(available: u64) -> u64 {
        (available / 2).clamp(LEAST_BATCH / 2, MOST_BATCH)
    }
}

/// The whole blocks of the old image that hold nothing but pieces in `free`, as offset and length, near
/// the pieces in `fresh` (which are in `free` too). Blocks that a piece shares with one that is still
/// needed stay.
pub fn holes(old: &[Piece], free: &Bitmap, fresh: &Bitmap, block: u64) -> Vec<(u64, u64)> {
    let mut holes: Vec<(u64, u64)> = Vec::new();
    for run in fresh.runs() {
        let (Ok(first), Ok(count)) = (usize::try_from(run.start), usize::try_from(run.count))
        else {
            continue;
        };
        let Some(pieces) = old.get(first..first + count) else {
            continue;
        };
        let (Some(head), Some(tail)) = (pieces.first(), pieces.last()) else {
            continue;
        };
        // As far as the block at each end reaches, if all that is in it is free.
        let floor = head.offset / block * block;
        let before = old[..first].iter().enumerate().rev();
        let mut before = before.take_while(|(_, piece)| piece.end() > floor);
        let start = if before.all(|(number, _)| free.get(number as u64)) {
            floor
        } else {
            head.offset.next_multiple_of(block)
        };
        let ceiling = tail.end().next_multiple_of(block);
        let after = old.iter().enumerate().skip(first + count);
        let mut after = after.take_while(|(_, piece)| piece.offset < ceiling);
        // What follows the last piece is the ending, which stays.
        let last = old.last().map_or(0, Piece::end);
        let end = if ceiling <= last && after.all(|(number, _)| free.get(number as u64)) {
            ceiling
        } else {
            tail.end() / block * block
        };
        if start < end {
            holes.push((start, end - start));
        }
    }
    holes
}

#[cfg(test)]
mod tests {
    use super::{Medium, NOTES, Need, holes};
    use crate::assembly::Plan;
    use crate::assembly::testing::{image, layout};
    use crate::bitmap::Bitmap;
    use proptest::prelude::*;

    #[test]
    fn moving_needs_no_more_than_what_changed() {
        let mut frames: Vec<(u8, u32)> = (0..20).map(|fill| (fill, 4 << 20)).collect();
        let old = layout(&frames);
        frames.insert(10, (99, 4 << 20));
        let new = layout(&frames);
        let plan = Plan::make(&new, &Bitmap::new(21), &[&old]);
        let medium = |shares| Medium {
            block: 4096,
            shares,
            available: 0,
        };
        let plain = Need::of(&plan, &new, &medium(false));
        let mib = 1 << 20;
        assert!(plain.copy >= 84 * mib && plain.copy < 86 * mib);
        assert!(
            plain.moving >= 12 * mib && plain.moving < 14 * mib,
            "{plain:?}"
        );
        let sharing = Need::of(&plan, &new, &medium(true));
        assert_eq!(sharing.shared, 80 * mib);
        assert!(sharing.copy < 4 * mib + 2 * NOTES, "{sharing:?}");
    }

    proptest! {
        /// Against a model of single bytes: a hole never takes a byte that is still needed, and once all is
        /// free only the blocks at the very end remain.
        #[test]
        fn proptest_holes_take_free_bytes_only(old in image(), order in any::<u64>(), step in 1usize..4, block in 1u64..40) {
            let pieces = old.layout.pieces();
            let count = pieces.len() as u64;
            let mut free = Bitmap::new(count);
            let mut punched = vec![false; old.bytes.len() + 64];
            let mut numbers: Vec<u64> = (0..count).collect();
            numbers.sort_by_key(|n| (n + 1).wrapping_mul(order | 1));
            for batch in numbers.chunks(step) {
                let mut fresh = Bitmap::new(count);
                for n in batch { fresh.set(*n); free.set(*n); }
                for (offset, len) in holes(pieces, &free, &fresh, block) {
                    prop_assert_eq!((offset % block, len % block), (0, 0));
                    (offset..offset + len).for_each(|at| punched[usize::try_from(at).unwrap()] = true);
                }
                for (number, piece) in pieces.iter().enumerate() {
                    let bytes = usize::try_from(piece.offset).unwrap()..usize::try_from(piece.end()).unwrap();
                    prop_assert!(free.get(number as u64) || !punched[bytes].contains(&true));
                }
            }
            let end = old.layout.ending_offset();
            let whole = usize::try_from(end / block * block).unwrap();
            prop_assert!(punched[..whole].iter().all(|gone| *gone));
            prop_assert!(!punched[usize::try_from(end).unwrap()..].contains(&true));
        }
    }
}
