//! This computer's clock, and those of the file systems that hold images.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use azud_disk::machine::skew;

use super::finding::Finding;
use crate::opened::rfc3339;

/// Before this the program did not exist: 2026-01-01.
const EARLIEST: Duration = Duration::from_hours(490_896);
/// 2100-01-01: beyond it lies a clock that lost its battery, or a joke.
const LATEST: Duration = Duration::from_hours(1_139_568);
/// Seconds between two clocks that nobody minds.
const TOLERABLE: u64 = 10;
/// Seconds beyond which servers refuse to be logged in to.
const TOO_FAR: u64 = 300;

/// The clock of a directory's file system.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) dir: PathBuf,
    /// Seconds that it is ahead, or why that is not known.
    pub(super) skew: Result<i64, String>,
}

/// Asks a file system; it may hold who asks.
pub(super) fn probe(dir: PathBuf) -> Probe {
    let skew = skew(&dir).map_err(|error| error.to_string());
    Probe { dir, skew }
}

pub(super) fn judge(now: SystemTime) -> Finding {
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let date = rfc3339(now);
    let finding = if (EARLIEST..LATEST).contains(&since) {
        Finding::ok("date")
    } else {
        Finding::problem("date-wrong")
    };
    finding.with("date", date)
}

pub(super) fn judge_probe(probe: &Probe) -> Finding {
    let finding = match &probe.skew {
        Err(why) => Finding::unknown("clock-unknown").term("why", why),
        Ok(skew) if skew.unsigned_abs() <= TOLERABLE => Finding::ok("clock"),
        Ok(skew) => {
            let finding = if skew.unsigned_abs() <= TOO_FAR {
                Finding::warning("clock-skew")
            } else {
                Finding::problem("clock-skew")
            };
            finding.with("seconds", format!("{skew:+}"))
        }
    };
    finding.with("path", probe.dir.display())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::super::finding::{Said, State, keys};
    use super::{Probe, judge, judge_probe};

    #[test]
    fn dates_that_cannot_be() {
        let told = |seconds| keys(&[judge(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))]);
        assert_eq!(told(0), [(State::Problem, "date-wrong")]);
        assert_eq!(told(1_767_225_599), [(State::Problem, "date-wrong")]);
        assert_eq!(told(1_767_225_600), [(State::Ok, "date")]);
        assert_eq!(told(4_102_444_800), [(State::Problem, "date-wrong")]);
    }

    #[test]
    fn a_date_is_told_to_the_second() {
        let now = SystemTime::UNIX_EPOCH + Duration::new(1_767_225_600, 475_003_518);
        let said = Said::Text("2026-01-01T00:00:00Z".to_owned());
        assert_eq!(judge(now).values, [("date", said)]);
    }

    #[test]
    fn other_clocks() {
        let skews = [
            Ok(0),
            Ok(-10),
            Ok(11),
            Ok(-300),
            Ok(301),
            Err("read-only".to_owned()),
        ];
        let found = skews.map(|skew| {
            judge_probe(&Probe {
                dir: "/r".into(),
                skew,
            })
        });
        let expected = [
            (State::Ok, "clock"),
            (State::Ok, "clock"),
            (State::Warning, "clock-skew"),
            (State::Warning, "clock-skew"),
            (State::Problem, "clock-skew"),
            (State::Unknown, "clock-unknown"),
        ];
        assert_eq!(keys(&found), expected);
    }
}
