//! Which pieces are there, and which of them a power cut can no longer take.

use super::journal::Record;
use crate::bitmap::Bitmap;
use crate::format::Hash;

/// After so many new bytes the journal is due.
pub const RECORD_BYTES: u64 = 64 << 20;

/// The state of an image that is being assembled.
///
/// A piece is *placed* when bytes that match its hash were written. It is *recorded* when those bytes were
/// synced and the journal that says so was synced after. Only what is recorded survives a power cut, and
/// only then may its old place be given up.
#[derive(Debug, Clone)]
pub struct Tracker {
    placed: Bitmap,
    record: Record,
    fresh_bytes: u64,
}

impl Tracker {
    /// Nothing is there.
    pub fn new(identity: Hash, pieces: usize) -> Self {
        Self::resume(Record {
            generation: 0,
            identity,
            moving: None,
            verified: Bitmap::new(pieces as u64),
        })
    }

    /// What a journal says is there.
    pub fn resume(record: Record) -> Self {
        Self {
            placed: record.verified.clone(),
            record,
            fresh_bytes: 0,
        }
    }

    /// Pieces whose right bytes were written.
    pub fn placed(&self) -> &Bitmap {
        &self.placed
    }

    /// What the journal on the medium says.
    pub fn recorded(&self) -> &Record {
        &self.record
    }

    /// Whether every piece was written.
    pub fn is_complete(&self) -> bool {
        self.placed.count() == self.placed.len()
    }

    /// Bytes placed since the last record was drawn up.
    pub fn fresh_bytes(&self) -> u64 {
        self.fresh_bytes
    }

    /// The right bytes of a piece were written; `false` if they were there already.
    pub fn place(&mut self, piece: usize, len: u32) -> bool {
        let piece = piece as u64;
        if self.placed.get(piece) {
            return false;
        }
        self.placed.set(piece);
        self.fresh_bytes += u64::from(len);
        true
    }

    /// The bytes of a piece are not the right ones after all.
    pub fn lose(&mut self, piece: usize) {
        self.placed.clear(piece as u64);
    }

    /// The record for what is placed now. Sync the image, then write it, then call [`Tracker::wrote`].
    /// With `moving`, pieces of that image may be given up once the record is on the medium.
    pub fn draw_up(&mut self, moving: Option<Hash>) -> Record {
        self.fresh_bytes = 0;
        Record {
            generation: self.record.generation + 1,
            identity: self.record.identity,
            moving: moving.or(self.record.moving),
            verified: self.placed.clone(),
        }
    }

    /// A record is on the medium.
    pub fn wrote(&mut self, record: Record) {
        self.record = record;
    }
}

#[cfg(test)]
mod tests {
    use super::Tracker;
    use crate::assembly::journal::{self, Record};
    use crate::assembly::testing::{Image, image};
    use crate::assembly::{Plan, holes};
    use crate::bitmap::Bitmap;
    use proptest::prelude::*;

    /// A medium that forgets: what was written and not synced may or may not be there after a power cut,
    /// byte range by byte range.
    #[derive(Debug, Clone)]
    struct File {
        safe: Vec<u8>,
        pending: Vec<(usize, Vec<u8>)>,
    }

    impl File {
        fn new(bytes: Vec<u8>) -> Self {
            Self {
                safe: bytes,
                pending: Vec::new(),
            }
        }

        fn write(&mut self, at: usize, bytes: &[u8]) {
            self.pending.push((at, bytes.to_vec()));
        }

        fn sync(&mut self) {
            self.cut(u64::MAX);
        }

        /// Keeps those pending writes whose bit is set; of one that is not, the half at most.
        fn cut(&mut self, keep: u64) {
            for (number, (at, bytes)) in std::mem::take(&mut self.pending).into_iter().enumerate() {
                let len = if keep >> (number % 64) & 1 == 1 {
                    bytes.len()
                } else {
                    bytes.len() / 2 * (number % 2)
                };
                self.safe[at..at + len].copy_from_slice(&bytes[..len]);
            }
        }

        fn now(&self) -> Vec<u8> {
            let mut copy = self.clone();
            copy.sync();
            copy.safe
        }
    }

    #[derive(Debug, Clone)]
    enum Event {
        /// Bytes for a piece arrive from somewhere: the right ones or not; perhaps for the second time.
        Arrive {
            piece: prop::sample::Index,
            good: bool,
        },
        Record {
            moving: bool,
        },
        /// The record is written, but the power goes before it is synced.
        TornRecord {
            keep: u64,
        },
        PowerCut {
            keep: u64,
        },
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            8 => (any::<prop::sample::Index>(), prop::bool::weighted(0.8))
                .prop_map(|(piece, good)| Event::Arrive { piece, good }),
            3 => any::<bool>().prop_map(|moving| Event::Record { moving }),
            1 => any::<u64>().prop_map(|keep| Event::TornRecord { keep }),
            1 => any::<u64>().prop_map(|keep| Event::PowerCut { keep }),
        ]
    }

    /// An assembly as its driver runs it, with files that forget.
    struct World<'a> {
        old: &'a Image,
        new: &'a Image,
        old_file: File,
        new_file: File,
        journal: File,
        tracker: Tracker,
    }

    const BLOCK: u64 = 4;

    impl World<'_> {
        fn at(image: &Image, piece: usize) -> std::ops::Range<usize> {
            let piece = &image.layout.pieces()[piece];
            usize::try_from(piece.offset).unwrap()..usize::try_from(piece.end()).unwrap()
        }

        fn arrive(&mut self, piece: usize, good: bool) {
            let range = Self::at(self.new, piece);
            let mut bytes = self.new.bytes[range.clone()].to_vec();
            if !good {
                bytes[0] ^= 1;
            }
            let wanted = &self.new.layout.pieces()[piece];
            if blake3::hash(&bytes).as_bytes() == &wanted.hash {
                self.new_file.write(range.start, &bytes);
                self.tracker.place(piece, wanted.len);
            }
        }

        fn record(&mut self, moving: bool, torn: Option<u64>) {
            let from = moving.then(|| *self.old.layout.identity());
            let record = self.tracker.draw_up(from);
            self.new_file.sync();
            let (at, slot) = journal::slot(&record);
            self.journal.write(usize::try_from(at).unwrap(), &slot);
            if let Some(keep) = torn {
                return self.power_cut(keep);
            }
            self.journal.sync();
            self.tracker.wrote(record);
            if self.tracker.recorded().moving.is_some() {
                self.give_up();
            }
        }

        /// Punches what is recorded out of the old file.
        fn give_up(&mut self) {
            let free = freed(self.old, self.new, self.tracker.recorded());
            for (offset, len) in holes(self.old.layout.pieces(), &free, &free, BLOCK) {
                let zeros = vec![0; usize::try_from(len).unwrap()];
                self.old_file
                    .write(usize::try_from(offset).unwrap(), &zeros);
            }
        }

        fn power_cut(&mut self, keep: u64) {
            self.new_file.cut(keep);
            self.old_file.cut(keep.rotate_left(17));
            self.journal.cut(keep.rotate_left(31));
            self.restart();
        }

        fn restart(&mut self) {
            let pieces = self.new.layout.pieces().len();
            let found = journal::read(&self.journal.now(), self.new.layout.identity(), pieces);
            self.tracker = found.map_or_else(
                || Tracker::new(*self.new.layout.identity(), pieces),
                Tracker::resume,
            );
        }

        fn check(&self) {
            let (old, new) = (self.old_file.now(), self.new_file.now());
            let record = self.tracker.recorded();
            for piece in 0..self.new.layout.pieces().len() {
                if self.tracker.placed().get(piece as u64) {
                    let range = Self::at(self.new, piece);
                    assert_eq!(new[range.clone()], self.new.bytes[range], "placed {piece}");
                }
                if record.verified.get(piece as u64) {
                    let range = Self::at(self.new, piece);
                    assert_eq!(
                        self.new_file.safe[range.clone()],
                        self.new.bytes[range],
                        "recorded {piece}"
                    );
                }
            }
            // The old image is whole as the union of both files.
            let free = freed(self.old, self.new, record);
            for (number, piece) in self.old.layout.pieces().iter().enumerate() {
                let range = Self::at(self.old, number);
                let bytes = &self.old.bytes[range.clone()];
                let in_new = self
                    .new
                    .layout
                    .pieces()
                    .iter()
                    .enumerate()
                    .any(|(n, other)| record.verified.get(n as u64) && other.hash == piece.hash);
                assert_eq!(free.get(number as u64), in_new && record.moving.is_some());
                assert!(
                    free.get(number as u64) || &old[range] == bytes,
                    "old piece {number}"
                );
            }
        }
    }

    fn freed(old: &Image, new: &Image, record: &Record) -> Bitmap {
        let mut free = Bitmap::new(old.layout.pieces().len() as u64);
        if record.moving.is_none() {
            return free;
        }
        for (number, piece) in old.layout.pieces().iter().enumerate() {
            let there = new.layout.pieces().iter().enumerate();
            let mut there = there.filter(|(n, _)| record.verified.get(*n as u64));
            if there.any(|(_, other)| other.hash == piece.hash && other.len == piece.len) {
                free.set(number as u64);
            }
        }
        free
    }

    proptest! {
        /// Pieces in any order, lost, doubled, damaged, with power cuts: what is said to be there is there,
        /// the old image is whole as long as the new one is not, and what is left can be finished.
        #[test]
        fn proptest_nothing_is_lost_whatever_happens(
            old in image(), new in image(), events in prop::collection::vec(event(), 0..60),
        ) {
            let pieces = new.layout.pieces().len();
            let mut world = World {
                old: &old,
                new: &new,
                old_file: File::new(old.bytes.clone()),
                new_file: File::new(vec![0; new.bytes.len()]),
                journal: File::new(vec![0; 2 * usize::try_from(journal::slot_len(pieces)).unwrap()]),
                tracker: Tracker::new(*new.layout.identity(), pieces),
            };
            for event in events {
                match event {
                    Event::Arrive { piece, good } if pieces > 0 => world.arrive(piece.index(pieces), good),
                    Event::Arrive { .. } => {}
                    Event::Record { moving } => world.record(moving, None),
                    Event::TornRecord { keep } => world.record(true, Some(keep)),
                    Event::PowerCut { keep } => world.power_cut(keep),
                }
                world.check();
            }
            let plan = Plan::make(&new.layout, world.tracker.placed(), &[]);
            for run in plan.runs() {
                run.pieces().for_each(|piece| world.arrive(piece, true));
            }
            prop_assert!(world.tracker.is_complete());
            world.record(false, None);
            world.check();
            let body = usize::try_from(new.layout.ending_offset()).unwrap();
            prop_assert_eq!(&world.new_file.safe[..body], &new.bytes[..body]);
        }
    }
}
