//! Where each piece comes from.

use std::collections::HashMap;

use super::{Layout, Piece};
use crate::bitmap::Bitmap;
use crate::format::Hash;

/// The most bytes that are fetched or copied in one go, unless a single piece is longer.
pub const MAX_RUN: u64 = 4 << 20;

/// Where bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A local image that has the same bytes.
    Local {
        /// Which one, by its place in the list that was given.
        file: usize,
        /// Where in it.
        offset: u64,
    },
    /// The source.
    Source,
}

/// Adjacent pieces that come from one place, where they are adjacent too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Number of the first piece.
    pub first: usize,
    /// How many pieces.
    pub count: usize,
    /// Where in the wanted file.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
    /// Where from.
    pub origin: Origin,
}

impl Run {
    /// The numbers of its pieces.
    pub fn pieces(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.count
    }

    /// The part of a local run that two files can share, block by block: where in the wanted file, and
    /// how many bytes. `None` when not even one block falls on a block of both.
    pub fn shareable(&self, block: u64) -> Option<(u64, u64)> {
        let Origin::Local { offset, .. } = self.origin else {
            return None;
        };
        if offset % block != self.offset % block {
            return None;
        }
        let start = self.offset.next_multiple_of(block);
        let end = (self.offset + self.len) / block * block;
        (start < end).then(|| (start, end - start))
    }
}

/// What is still to be done for an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    runs: Vec<Run>,
}

impl Plan {
    /// Decides for each piece that is not `verified` yet: a local image that has its very bytes (the
    /// earlier in the list, the better), else the source.
    pub fn make(wanted: &Layout, verified: &Bitmap, locals: &[&Layout]) -> Self {
        let held = Held::new(locals);
        let mut runs: Vec<Run> = Vec::new();
        let mut last = None;
        for (number, piece) in wanted.pieces().iter().enumerate() {
            if verified.get(number as u64) {
                last = None;
                continue;
            }
            let place = held.find(piece, last);
            last = place;
            let origin = place.map_or(Origin::Source, |(file, number)| Origin::Local {
                file,
                offset: locals[file].pieces()[number].offset,
            });
            match runs.last_mut() {
                Some(run) if continues(run, number, piece, origin) => {
                    run.count += 1;
                    run.len += u64::from(piece.len);
                }
                _ => runs.push(Run {
                    first: number,
                    count: 1,
                    offset: piece.offset,
                    len: piece.len.into(),
                    origin,
                }),
            }
        }
        Self { runs }
    }

    /// Which of `count` local images stay: the first ones, and those that something comes from. They are numbered anew.
    pub fn thin(&mut self, first: usize, count: usize) -> Vec<bool> {
        let mut stay: Vec<bool> = (0..count).map(|file| file < first).collect();
        for run in &self.runs {
            if let Origin::Local { file, .. } = run.origin {
                stay[file] = true;
            }
        }
        for run in &mut self.runs {
            if let Origin::Local { file, .. } = &mut run.origin {
                *file = stay[..*file].iter().filter(|stays| **stays).count();
            }
        }
        stay
    }

    /// All runs, in the order of the wanted file.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Bytes that the source must give.
    pub fn source_bytes(&self) -> u64 {
        self.bytes(|origin| origin == Origin::Source)
    }

    /// Bytes that local images give.
    pub fn local_bytes(&self) -> u64 {
        self.bytes(|origin| origin != Origin::Source)
    }

    /// Bytes from places that fit.
    pub fn bytes(&self, fits: impl Fn(Origin) -> bool) -> u64 {
        let runs = self.runs.iter().filter(|run| fits(run.origin));
        runs.map(|run| run.len).sum()
    }
}

fn continues(run: &Run, number: usize, piece: &Piece, origin: Origin) -> bool {
    let adjacent = match (run.origin, origin) {
        (Origin::Source, Origin::Source) => true,
        (
            Origin::Local { file, offset },
            Origin::Local {
                file: next,
                offset: at,
            },
        ) => file == next && offset + run.len == at,
        _ => false,
    };
    adjacent && run.first + run.count == number && run.len + u64::from(piece.len) <= MAX_RUN
}

/// Which local image has which bytes.
struct Held<'a> {
    locals: &'a [&'a Layout],
    places: HashMap<Hash, (usize, usize)>,
}

impl<'a> Held<'a> {
    fn new(locals: &'a [&'a Layout]) -> Self {
        let mut places = HashMap::new();
        for (file, layout) in locals.iter().enumerate() {
            for (number, piece) in layout.pieces().iter().enumerate() {
                places.entry(piece.hash).or_insert((file, number));
            }
        }
        Self { locals, places }
    }

    /// A file and a piece of it with the same bytes; the one after the `last` found, if it fits, so that
    /// runs stay long.
    fn find(&self, wanted: &Piece, last: Option<(usize, usize)>) -> Option<(usize, usize)> {
        let same = |&(file, number): &(usize, usize)| {
            let piece = self.locals[file].pieces().get(number);
            piece.is_some_and(|piece| piece.hash == wanted.hash && piece.len == wanted.len)
        };
        let next = last.map(|(file, number)| (file, number + 1)).filter(same);
        next.or_else(|| self.places.get(&wanted.hash).copied().filter(same))
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_RUN, Origin, Plan};
    use crate::assembly::testing::{image, layout};
    use crate::bitmap::Bitmap;
    use proptest::prelude::*;

    #[test]
    fn neighbours_become_one_run() {
        let old = layout(&[(1, 10), (2, 20), (3, 30), (9, 5)]);
        let new = layout(&[(1, 10), (2, 20), (7, 9), (8, 8), (3, 30), (9, 5)]);
        let plan = Plan::make(&new, &Bitmap::new(6), &[&old]);
        let seen: Vec<_> = plan
            .runs()
            .iter()
            .map(|run| (run.first, run.count, run.len, run.origin))
            .collect();
        let local = |offset| Origin::Local { file: 0, offset };
        assert_eq!(
            seen,
            [
                (0, 2, 30, local(0)),
                (2, 2, 17, Origin::Source),
                (4, 2, 35, local(30))
            ]
        );
        assert_eq!((plan.local_bytes(), plan.source_bytes()), (65, 17));
        assert_eq!(plan.runs()[0].shareable(4), Some((0, 28)));
        assert_eq!(plan.runs()[2].shareable(4), None, "47 and 30");
        assert_eq!(plan.runs()[1].shareable(1), None);
    }

    proptest! {
        /// Against a model: every byte of the wanted file that is not there yet is written exactly once,
        /// and with the right value.
        #[test]
        fn proptest_a_plan_gives_the_wanted_file(
            new in image(), old in image(), other in image(), have in any::<u64>(), first in 0..3_usize,
        ) {
            let locals = [&old.layout, &other.layout];
            let mut verified = Bitmap::new(new.layout.pieces().len() as u64);
            (0..verified.len()).filter(|n| have >> (n % 64) & 1 == 1).for_each(|n| verified.set(n));
            let mut plan = Plan::make(&new.layout, &verified, &locals);
            let stay = plan.thin(first, 2);
            prop_assert!(stay[..first.min(2)].iter().all(|stays| *stays));
            let files: Vec<&Vec<u8>> = [&old.bytes, &other.bytes]
                .into_iter()
                .zip(&stay)
                .filter_map(|(bytes, stays)| stays.then_some(bytes))
                .collect();
            for file in first..files.len() {
                let used = |run: &super::Run| matches!(run.origin, Origin::Local { file: one, .. } if one == file);
                prop_assert!(plan.runs().iter().any(used));
            }
            let mut made = vec![0u8; new.bytes.len()];
            let mut written = vec![0u8; new.bytes.len()];
            for (number, piece) in new.layout.pieces().iter().enumerate() {
                if verified.get(number as u64) {
                    let at = usize::try_from(piece.offset).unwrap()..usize::try_from(piece.end()).unwrap();
                    made[at.clone()].copy_from_slice(&new.bytes[at.clone()]);
                    written[at].fill(1);
                }
            }
            for run in plan.runs() {
                let (at, len) = (usize::try_from(run.offset).unwrap(), usize::try_from(run.len).unwrap());
                let from = match run.origin {
                    Origin::Source => &new.bytes[at..at + len],
                    Origin::Local { file, offset } => {
                        let offset = usize::try_from(offset).unwrap();
                        &files[file][offset..offset + len]
                    }
                };
                made[at..at + len].copy_from_slice(from);
                written[at..at + len].iter_mut().for_each(|n| *n += 1);
                prop_assert!(run.count == 1 || run.len <= MAX_RUN);
                let first = &new.layout.pieces()[run.first];
                let last = &new.layout.pieces()[run.first + run.count - 1];
                prop_assert_eq!((first.offset, last.end()), (run.offset, run.offset + run.len));
            }
            let body = usize::try_from(new.layout.ending_offset()).unwrap();
            prop_assert!(written[..body].iter().all(|n| *n == 1));
            prop_assert_eq!(&made[..body], &new.bytes[..body]);
            // Nothing is asked of the source that a local image has.
            for run in plan.runs().iter().filter(|run| run.origin == Origin::Source) {
                for piece in &new.layout.pieces()[run.pieces()] {
                    let held = |layout: &crate::assembly::Layout| layout.pieces().iter().any(|p| p.hash == piece.hash);
                    prop_assert!(!locals.iter().any(|layout| held(layout)));
                }
            }
        }
    }
}
