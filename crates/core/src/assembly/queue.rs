//! Which run is begun next: the first that is left, or what somebody waits for.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Layout, Origin, Run};

/// The first requests ask for so many bytes, …
const FIRST: u64 = 256 << 10;
/// … and after so many of them the next ones ask for twice as much: all that are under way share the network, and whoever
/// reads from the front waits for all of them.
const STEP: usize = 8;

/// Runs that nobody has begun, by their first pieces.
#[derive(Debug, Default)]
pub struct Queue {
    left: BTreeMap<usize, Run>,
    given: usize,
}

impl Queue {
    /// Of these runs, none of which has pieces of another.
    pub fn of(runs: &[Run]) -> Self {
        Self {
            left: runs.iter().map(|run| (run.first, *run)).collect(),
            given: 0,
        }
    }

    /// Takes the first one, or its beginning.
    pub fn first(&mut self, wanted: &Layout) -> Option<Run> {
        let (first, run) = self.left.pop_first()?;
        let most = FIRST << (self.given / STEP).min(8);
        self.given += 1;
        let mut bytes = 0;
        let pieces = wanted.pieces()[run.pieces()].iter();
        let count = pieces.take_while(|piece| {
            bytes += u64::from(piece.len);
            bytes <= most
        });
        let end = first + count.count().max(1);
        Some(self.part(run, first..end, wanted))
    }

    /// Takes of these pieces those that lie in one run.
    pub fn of_these(&mut self, pieces: &Range<usize>, wanted: &Layout) -> Option<Run> {
        let before = self.left.range(..pieces.start).next_back();
        let before = before.filter(|(_, run)| run.pieces().end > pieces.start);
        let (first, _) = before.or_else(|| self.left.range(pieces.clone()).next())?;
        let first = *first;
        let run = self.left.remove(&first)?;
        let from = run.first.max(pieces.start);
        let end = run.pieces().end.min(pieces.end);
        Some(self.part(run, from..end, wanted))
    }

    /// These pieces of a run that was taken; the rest is left. What is local is taken whole: its blocks are shared, and a
    /// part has fewer whole ones.
    fn part(&mut self, run: Run, pieces: Range<usize>, wanted: &Layout) -> Run {
        if run.origin != Origin::Source {
            return run;
        }
        let of = |pieces: Range<usize>| {
            let (first, count) = (pieces.start, pieces.len());
            let inside = &wanted.pieces()[pieces];
            Run {
                first,
                count,
                offset: inside.first().map_or(run.offset, |piece| piece.offset),
                len: inside.iter().map(|piece| u64::from(piece.len)).sum(),
                origin: Origin::Source,
            }
        };
        for rest in [run.first..pieces.start, pieces.end..run.pieces().end] {
            if !rest.is_empty() {
                self.left.insert(rest.start, of(rest));
            }
        }
        of(pieces)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FIRST, Queue, STEP};
    use crate::assembly::testing::{image, layout};
    use crate::assembly::{Layout, Origin, Plan, Run};
    use crate::bitmap::Bitmap;

    fn all_of(wanted: &Layout, locals: &[&Layout]) -> (Plan, Queue) {
        let plan = Plan::make(wanted, &Bitmap::new(wanted.pieces().len() as u64), locals);
        let queue = Queue::of(plan.runs());
        (plan, queue)
    }

    fn seen(run: Option<Run>) -> Option<(usize, usize, u64, u64)> {
        run.map(|run| (run.first, run.count, run.offset, run.len))
    }

    #[test]
    fn what_is_waited_for_is_taken_out_of_its_run() {
        let wanted = layout(&[(1, 10), (2, 20), (3, 30), (4, 40), (5, 50)]);
        let (_, mut queue) = all_of(&wanted, &[]);
        assert_eq!(seen(queue.of_these(&(2..3), &wanted)), Some((2, 1, 30, 30)));
        assert_eq!(queue.of_these(&(2..3), &wanted), None, "it is begun");
        assert_eq!(seen(queue.of_these(&(1..5), &wanted)), Some((1, 1, 10, 20)));
        assert_eq!(seen(queue.first(&wanted)), Some((0, 1, 0, 10)));
        assert_eq!(seen(queue.of_these(&(1..4), &wanted)), Some((3, 1, 60, 40)));
        assert_eq!(seen(queue.first(&wanted)), Some((4, 1, 100, 50)));
        assert_eq!(queue.first(&wanted), None);
    }

    #[test]
    fn what_is_local_stays_whole() {
        let wanted = layout(&[(1, 10), (2, 20), (3, 30), (4, 40)]);
        let old = layout(&[(2, 20), (3, 30), (4, 40)]);
        let (plan, mut queue) = all_of(&wanted, &[&old]);
        assert_eq!(queue.of_these(&(2..3), &wanted), Some(plan.runs()[1]));
        assert_eq!(queue.first(&wanted), Some(plan.runs()[0]));
        assert_eq!(queue.first(&wanted), None);
    }

    #[test]
    fn the_first_ones_are_short() {
        let piece = u32::try_from(FIRST / 2).unwrap();
        let wanted = layout(&[(1, piece); 100]);
        let (_, mut queue) = all_of(&wanted, &[]);
        let counts = std::iter::from_fn(|| queue.first(&wanted)).map(|run| run.count);
        let counts: Vec<usize> = counts.collect();
        assert_eq!(counts[..STEP], [2; STEP]);
        assert!(counts[STEP..2 * STEP].iter().all(|count| *count <= 4));
        assert_eq!(counts.iter().sum::<usize>(), 100);
    }

    proptest! {
        /// Whatever is waited for in between: each piece is begun once, and with what its run has; what nobody waits for, in its
        /// order.
        #[test]
        fn proptest_each_piece_is_begun_once(
            new in image(), old in image(), asked in prop::collection::vec((any::<bool>(), 0usize..40, 1usize..4), 0..60),
        ) {
            let wanted = &new.layout;
            let (plan, mut queue) = all_of(wanted, &[&old.layout]);
            let (mut begun, mut unasked) = (Vec::new(), Vec::new());
            for (is_first, from, count) in asked {
                let run = if is_first { queue.first(wanted) } else { queue.of_these(&(from..from + count), wanted) };
                if let Some(run) = run {
                    let local = run.origin != Origin::Source;
                    prop_assert!(is_first || local || (from <= run.first && run.pieces().end <= from + count));
                    begun.push(run);
                    unasked.extend(is_first.then_some(run));
                }
            }
            unasked.extend(std::iter::from_fn(|| queue.first(wanted)).inspect(|run| begun.push(*run)));
            prop_assert!(unasked.is_sorted_by_key(|run| run.first), "{unasked:?}");
            begun.sort_by_key(|run| run.first);
            for run in &begun {
                let pieces = &wanted.pieces()[run.pieces()];
                prop_assert_eq!(run.offset, pieces[0].offset);
                prop_assert_eq!(run.offset + run.len, pieces[run.count - 1].end());
            }
            let each = |runs: &[Run]| -> Vec<usize> { runs.iter().flat_map(Run::pieces).collect() };
            prop_assert_eq!(each(&begun), each(plan.runs()));
            let local = |runs: &[Run]| -> Vec<Run> { runs.iter().filter(|run| run.origin != Origin::Source).copied().collect() };
            prop_assert_eq!(local(&begun), local(plan.runs()));
        }
    }
}
