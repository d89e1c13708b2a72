//! How fast work goes and how long it will still take; pure, the time is given.

use std::collections::VecDeque;
use std::time::Duration;

use crate::human::per_second;

/// How far back the rate looks: long enough to be calm, short enough to notice a slow disk.
const WINDOW: Duration = Duration::from_secs(10);

/// How long bytes are counted before it is said how long the rest will take: the first ones tell more of what had to be
/// waited for, and of what was in memory, than of the pace. As long as they are few, it takes a whole window.
const SURE: Duration = Duration::from_secs(2);

/// So many times what was counted is the whole where that is few.
const FEW: u64 = 20;

/// Samples kept at most; above this they are thinned by refusing those that come too soon.
const SPACING: Duration = Duration::from_millis(100);

/// What a moment of work looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Bytes done, never more than there are to do.
    pub done: u64,
    /// Bytes to do, 0 when unknown.
    pub total: u64,
    /// Bytes per second, lately.
    pub rate: u64,
    /// Time left, if that can be said.
    pub left: Option<Duration>,
}

/// Turns counts into rates.
#[derive(Debug)]
pub struct Meter {
    total: u64,
    began: Duration,
    /// Since when bytes are counted without a long break.
    moving: Option<Duration>,
    /// What was counted last, and when it changed.
    last: (Duration, u64),
    samples: VecDeque<(Duration, u64)>,
}

impl Meter {
    /// A meter that starts at `now` with nothing done.
    pub fn new(total: u64, now: Duration) -> Self {
        Self {
            total,
            began: now,
            moving: None,
            last: (now, 0),
            samples: VecDeque::from([(now, 0)]),
        }
    }

    /// Whether it is known how much there is to do.
    pub fn counts(&self) -> bool {
        self.total > 0
    }

    /// What can be said when `done` bytes are done at `now`.
    pub fn read(&mut self, now: Duration, done: u64) -> Reading {
        let (oldest, before) = *self.samples.front().expect("never empty");
        let rate = per_second(done.saturating_sub(before), now.saturating_sub(oldest));
        self.follow(now, done);
        let newest = self.samples.back().expect("never empty").0;
        if now.saturating_sub(newest) >= SPACING {
            self.samples.push_back((now, done));
        }
        // One sample outside the window stays, as the window's beginning.
        while self
            .samples
            .get(1)
            .is_some_and(|(time, _)| *time + WINDOW <= now)
        {
            self.samples.pop_front();
        }
        let sure = self.moving.is_some_and(|since| {
            let time = now.saturating_sub(since);
            time >= WINDOW || (time >= SURE && done.saturating_mul(FEW) >= self.total)
        });
        let missing = self.total.saturating_sub(done);
        let left = match missing.checked_div(rate) {
            Some(seconds) if sure && self.total > 0 => Some(Duration::from_secs(seconds)),
            _ => None,
        };
        Reading {
            // What goes beside the content (a header, a map) is counted, too.
            done: if self.total > 0 {
                done.min(self.total)
            } else {
                done
            },
            total: self.total,
            rate,
            left,
        }
    }

    /// Begins anew where bytes come after a break: when they began to come nobody knows.
    fn follow(&mut self, now: Duration, done: u64) {
        let (when, before) = self.last;
        if done == before {
            return;
        }
        self.last = (now, done);
        if self.moving.is_none() || now.saturating_sub(when) > WINDOW {
            self.moving = Some(now);
            self.samples.clear();
            self.samples.push_back((now, done));
        }
    }

    /// What can be said at `now`, when the work is over: all of it is done, also where the last of it was never counted.
    pub fn end(&mut self, now: Duration, done: u64) -> Reading {
        let reading = self.read(now, done);
        match self.total {
            0 => reading,
            total => Reading {
                done: total,
                left: Some(Duration::ZERO),
                ..reading
            },
        }
    }

    /// Time since the start.
    pub fn elapsed(&self, now: Duration) -> Duration {
        now.saturating_sub(self.began)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Meter;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_rate_follows_the_last_seconds() {
        let second = Duration::from_secs;
        let mut meter = Meter::new(1000 * MIB, second(5));
        let mut done = 0;
        for time in 6..=25 {
            done += 10 * MIB;
            assert_eq!(meter.read(second(time), done).rate, 10 * MIB);
        }
        for time in 26..=40 {
            done += MIB;
            meter.read(second(time), done);
        }
        let reading = meter.read(second(41), done + MIB);
        assert_eq!(reading.rate, MIB);
        assert_eq!(reading.left, Some(second(1000 - 200 - 16)));
        assert_eq!(meter.elapsed(second(41)), second(36));
    }

    #[test]
    fn nothing_is_promised_without_a_rate_or_a_total() {
        let second = Duration::from_secs;
        let left = |total, done| {
            let mut meter = Meter::new(total, Duration::ZERO);
            meter.read(second(1), done / 2);
            meter.read(second(5), done).left
        };
        assert_eq!(left(100, 0), None);
        assert_eq!(left(0, 50), None);
        assert_eq!(left(10, 50), Some(Duration::ZERO));
        assert_eq!(left(100, 50), Some(second(8)));
        let mut meter = Meter::new(100, Duration::ZERO);
        assert_eq!(meter.read(Duration::ZERO, 5).rate, 0);
    }

    /// Work that goes on where it was broken off waits for its first piece, and finds much in its place then.
    #[test]
    fn the_first_moments_promise_nothing() {
        let millis = Duration::from_millis;
        let mut meter = Meter::new(1000 * MIB, Duration::ZERO);
        let first = meter.read(millis(5000), MIB);
        assert_eq!(first.left, None, "an hour and a half");
        for step in 1..20 {
            let reading = meter.read(millis(5000 + step * 100), (1 + 10 * step) * MIB);
            assert_eq!(reading.left, None, "{step}");
        }
        let sure = meter.read(millis(7000), 201 * MIB);
        assert_eq!((sure.rate, sure.left), (100 * MIB, Some(millis(7000))));
        // Whoever asks from time to time sees a break, too.
        for second in 8..20 {
            meter.read(millis(second * 1000), 201 * MIB);
        }
        assert_eq!(meter.read(millis(20_000), 202 * MIB).left, None);
        let mut slow = Meter::new(1000 * MIB, Duration::ZERO);
        for step in 0..10 {
            let few = slow.read(millis(step * 1000), (step + 1) * MIB);
            assert_eq!(few.left, None, "{step}");
        }
        let sure = slow.read(millis(10_000), 11 * MIB);
        assert_eq!(sure.left, Some(millis(989_000)));
    }

    #[test]
    fn what_is_over_is_done_as_a_whole() {
        let second = Duration::from_secs(1);
        let end = |total, done| Meter::new(total, Duration::ZERO).end(second, done);
        assert_eq!((end(100, 97).done, end(100, 101).done), (100, 100));
        assert_eq!(end(100, 97).left, Some(Duration::ZERO));
        assert_eq!((end(0, 97).done, end(0, 97).left), (97, None));
        let mut meter = Meter::new(100, Duration::ZERO);
        assert_eq!(meter.read(second, 101).done, 100, "not even before");
    }

    #[test]
    fn memory_stays_bounded() {
        let mut meter = Meter::new(0, Duration::ZERO);
        for millis in 0..100_000 {
            meter.read(Duration::from_millis(millis), millis);
        }
        assert!(meter.samples.len() <= 102, "{}", meter.samples.len());
    }
}
