//! How many requests are under way at once: as many as make it faster, and no more.

use std::time::Duration;

/// To begin with: enough for a near network.
const FIRST: usize = 4;
const LEAST: usize = 2;
const MOST: usize = 16;
/// How long a rate is taken, at least.
const WINDOW: Duration = Duration::from_millis(400);
/// More by this share, in percent, counts as faster.
const FASTER: u64 = 5;
/// After a step that did not help, so many windows pass before the next one.
const REST: u32 = 8;

/// A limit that climbs as long as the rate does; a failure takes half of it.
#[derive(Debug, Clone)]
pub struct Depth {
    limit: usize,
    /// The rate before the last step, in bytes a second.
    before: Option<u64>,
    bytes: u64,
    since: Option<Duration>,
    rest: u32,
}

impl Default for Depth {
    fn default() -> Self {
        Self {
            limit: FIRST,
            before: None,
            bytes: 0,
            since: None,
            rest: 0,
        }
    }
}

impl Depth {
    /// Requests that may be under way now.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes came, at a time by any clock that does not go back.
    pub fn arrived(&mut self, bytes: u64, now: Duration) {
        let since = *self.since.get_or_insert(now);
        self.bytes = self.bytes.saturating_add(bytes);
        let Some(time) = now.checked_sub(since).filter(|time| *time >= WINDOW) else {
            return;
        };
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = self.bytes.saturating_mul(1000) / millis;
        (self.bytes, self.since) = (0, Some(now));
        self.step(rate);
    }

    fn step(&mut self, rate: u64) {
        match self.before {
            _ if self.rest > 0 => self.rest -= 1,
            Some(before) if rate <= before.saturating_add(before / 100 * FASTER) => {
                self.limit = (self.limit - 1).max(LEAST);
                self.before = None;
                self.rest = REST;
            }
            _ if self.limit < MOST => {
                self.before = Some(rate);
                self.limit += 1;
            }
            _ => self.before = None,
        }
    }

    /// A request failed: whoever cannot keep up is asked for less at once.
    pub fn failed(&mut self, now: Duration) {
        self.limit = (self.limit / 2).max(LEAST);
        (self.before, self.bytes, self.since) = (None, 0, Some(now));
        self.rest = REST;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Depth, FIRST, LEAST, MOST};

    /// A minute on a way that gives `each` bytes a second to every request, and `all` at most.
    fn settle(each: u64, all: u64) -> usize {
        let mut depth = Depth::default();
        for tenth in 0..600 {
            let rate = (each * depth.limit() as u64).min(all);
            depth.arrived(rate / 10, Duration::from_millis(100 * tenth));
        }
        depth.limit()
    }

    #[test]
    fn a_long_way_takes_more_requests_than_a_short_one() {
        let near = settle(100_000_000, 118_000_000);
        assert!((FIRST - 2..=FIRST + 1).contains(&near), "{near}");
        let far = settle(8_000_000, 118_000_000);
        assert!((12..=MOST).contains(&far), "{far}");
    }

    #[test]
    fn failures_take_half() {
        let mut depth = Depth::default();
        for _ in 0..5 {
            depth.failed(Duration::ZERO);
        }
        assert_eq!(depth.limit(), LEAST);
    }

    proptest! {
        #[test]
        fn proptest_the_limit_keeps_its_bounds(events in prop::collection::vec((any::<u64>(), 0u64..2000, any::<bool>()), 0..200)) {
            let (mut depth, mut now) = (Depth::default(), 0);
            for (bytes, millis, good) in events {
                now += millis;
                let at = Duration::from_millis(now);
                if good { depth.arrived(bytes, at) } else { depth.failed(at) }
                prop_assert!((LEAST..=MOST).contains(&depth.limit()));
            }
        }
    }
}
