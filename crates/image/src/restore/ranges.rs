//! Sets of byte ranges, sorted and without overlaps.

use std::ops::Range;

/// Byte ranges in ascending order that neither touch nor overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// From any ranges: each widened to multiples of `unit`, cut at `end`, empty ones dropped.
    pub(crate) fn new(ranges: impl IntoIterator<Item = Range<u64>>, unit: u64, end: u64) -> Self {
        let widen = |range: Range<u64>| {
            let up = range.end.checked_next_multiple_of(unit).unwrap_or(end);
            range.start / unit * unit..up.min(end)
        };
        let mut all: Vec<_> = ranges
            .into_iter()
            .filter(|r| r.start < r.end)
            .map(widen)
            .filter(|r| r.start < r.end)
            .collect();
        all.sort_by_key(|range| range.start);
        let mut merged: Vec<Range<u64>> = Vec::new();
        for range in all {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        Self(merged)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.0.iter()
    }

    /// Whether any of `offset..offset + len` is inside.
    pub(crate) fn touches(&self, offset: u64, len: u64) -> bool {
        let at = self.0.partition_point(|range| range.end <= offset);
        self.0
            .get(at)
            .is_some_and(|range| range.start < offset + len)
    }

    /// Splits `offset..offset + len` at the edges of the set: (part, whether it is inside), ascending.
    pub(crate) fn split(&self, offset: u64, len: u64) -> Vec<(Range<u64>, bool)> {
        let (mut at, end) = (offset, offset + len);
        let first = self.0.partition_point(|range| range.end <= offset);
        let mut parts = Vec::new();
        for range in self.0[first..].iter().take_while(|range| range.start < end) {
            if at < range.start {
                parts.push((at..range.start, false));
            }
            let inside = at.max(range.start)..end.min(range.end);
            at = inside.end;
            parts.push((inside, true));
        }
        if at < end {
            parts.push((at..end, false));
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::Ranges;

    #[test]
    fn ranges_are_widened_merged_and_cut() {
        let ranges = Ranges::new(
            [5000..5001, 100..200, 4096..4097, 9000..99_999, 7..7],
            512,
            10_000,
        );
        let all: Vec<_> = ranges.iter().cloned().collect();
        assert_eq!(all, [0..512, 4096..5120, 8704..10_000]);
        assert!(ranges.touches(511, 1) && !ranges.touches(512, 3584) && ranges.touches(512, 3585));
        let parts = ranges.split(256, 8704);
        let want = [
            (256..512, true),
            (512..4096, false),
            (4096..5120, true),
            (5120..8704, false),
            (8704..8960, true),
        ];
        assert_eq!(parts, want);
        assert_eq!(ranges.split(600, 10), [(600..610, false)]);
    }
}
