//! Reading no faster than asked, so that whoever works at the machine does not notice.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use azud_core::io::ReadAt;

/// How fast all that is read through it may go.
#[derive(Debug)]
pub(super) struct Throttle {
    /// Bytes per second; `None` for as fast as it goes.
    rate: Option<u64>,
    begun: Instant,
    done: AtomicU64,
}

impl Throttle {
    pub(super) fn new(rate: Option<u64>) -> Self {
        Self {
            rate,
            begun: Instant::now(),
            done: AtomicU64::new(0),
        }
    }

    /// A file that is read through it.
    pub(super) fn over<'a>(&'a self, file: &'a dyn ReadAt) -> impl ReadAt + 'a {
        Throttled {
            throttle: self,
            file,
        }
    }

    /// How long to wait before `bytes` more are read.
    fn wait(&self, bytes: u64, elapsed: Duration) -> Duration {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed);
        let Some(rate) = self.rate else {
            return Duration::ZERO;
        };
        let due = u128::from(done) * 1_000_000 / u128::from(rate.max(1));
        let due = Duration::from_micros(u64::try_from(due).unwrap_or(u64::MAX));
        due.saturating_sub(elapsed)
    }
}

struct Throttled<'a> {
    throttle: &'a Throttle,
    file: &'a dyn ReadAt,
}

impl ReadAt for Throttled<'_> {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let throttle = self.throttle;
        sleep(throttle.wait(buf.len() as u64, throttle.begun.elapsed()));
        self.file.read_exact_at(buf, offset)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Throttle;

    #[test]
    fn the_rate_holds_over_all_that_is_read() {
        let throttle = Throttle::new(Some(1000));
        let second = Duration::from_secs(1);
        assert_eq!(throttle.wait(500, Duration::ZERO), Duration::ZERO);
        assert_eq!(throttle.wait(1500, Duration::ZERO), second / 2);
        assert_eq!(throttle.wait(1, second), second);
        assert_eq!(
            throttle.wait(1, 3 * second),
            Duration::ZERO,
            "it was slower anyway"
        );
        let free = Throttle::new(None);
        assert_eq!(free.wait(u64::MAX, Duration::ZERO), Duration::ZERO);
        assert!(Throttle::new(Some(0)).wait(1, Duration::ZERO).is_zero());
    }
}
