//! Whether this computer's clock can be believed, before what it calls old goes for good.
//!
//! A dead battery or a wrong time server makes everything old at once. So it is written down how late it was last; where
//! it is much later now, nobody knows whether the manager was off for so long or the clock leapt, and nothing goes by
//! its age for a day. By then somebody has put right what was wrong.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use azud_store::retention::Retention;
use serde::{Deserialize, Serialize};

use crate::library::seconds;
use crate::state;

/// Below the state.
const FILE: &str = "clock.json";
const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;
/// So much later than last time is a leap.
const LEAP: u64 = 7 * DAY;

/// What is written down, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Seen {
    last: Option<u64>,
    leapt: Option<u64>,
}

impl Seen {
    /// At a later look, or one of a clock that went back.
    fn then(self, now: u64) -> Self {
        let Some(last) = self.last else {
            return Self {
                last: Some(now),
                leapt: None,
            };
        };
        let is_leap = now > last.saturating_add(LEAP);
        let is_doubted = |at: &u64| (*at..at.saturating_add(DAY)).contains(&now);
        Self {
            last: Some(now),
            leapt: if is_leap {
                Some(now)
            } else {
                self.leapt.filter(is_doubted)
            },
        }
    }
}

/// The clock, as this manager knows it.
#[derive(Debug)]
struct Clock {
    file: PathBuf,
    /// As it is now, and as it is in the file.
    seen: Mutex<(Seen, Seen)>,
}

impl Clock {
    fn of(state: &Path) -> Self {
        let file = state.join(FILE);
        // What cannot be read is as if it had never been written.
        let seen = state::read(&file).unwrap_or_default();
        Self {
            file,
            seen: Mutex::new((seen, seen)),
        }
    }

    /// Looks at it; whether it can be believed.
    fn look(&self, now: SystemTime) -> bool {
        let now = seconds(now).unwrap_or_default();
        let mut held = self.held();
        let (seen, written) = &mut *held;
        *seen = seen.then(now);
        let is_near = |last: u64| last.abs_diff(now) < HOUR;
        if seen.leapt != written.leapt || !written.last.is_some_and(is_near) {
            // Who cannot write it down knows it until the manager ends.
            let text = serde_json::to_vec(seen).unwrap_or_default();
            let _ = state::write(&self.file, &text);
            *written = *seen;
        }
        seen.leapt.is_none()
    }

    fn held(&self) -> MutexGuard<'_, (Seen, Seen)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For how long former versions stay.
#[derive(Debug)]
pub(crate) struct Rules {
    said: Retention,
    clock: Clock,
}

impl Rules {
    /// What was said, heeding the clock whose state is below `state`.
    pub(crate) fn new(said: Retention, state: &Path) -> Self {
        let clock = Clock::of(state);
        Self { said, clock }
    }

    /// Those that hold now: while the clock is doubted, none goes by its age.
    pub(crate) fn at(&self, now: SystemTime) -> Retention {
        // Where nothing stays anyway, no clock matters.
        if self.clock.look(now) || self.said.max_age.is_zero() {
            return self.said;
        }
        Retention {
            max_age: Duration::MAX,
            ..self.said
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{Clock, DAY, HOUR};

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    #[test]
    fn a_leap_is_doubted_for_a_day_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let clock = || Clock::of(dir.path());
        let first = clock();
        assert!(first.look(at(0)) && first.look(at(6 * DAY)));
        assert!(!clock().look(at(40 * DAY)));
        let later = clock();
        assert!(!later.look(at(40 * DAY + 23 * HOUR)));
        assert!(later.look(at(41 * DAY)) && clock().look(at(41 * DAY + 1)));
    }

    #[test]
    fn a_clock_that_goes_back_is_believed_and_its_next_leap_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::of(dir.path());
        assert!(clock.look(at(0)));
        assert!(!clock.look(at(4000 * DAY)));
        assert!(clock.look(at(HOUR)), "put right");
        assert!(!Clock::of(dir.path()).look(at(4000 * DAY)));
    }
}
