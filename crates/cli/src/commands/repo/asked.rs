//! How the managers that are known here answer: all are asked at once, and nobody is waited for long.

use std::thread;
use std::time::{Duration, Instant};

use azud_transport::NetError;
use azud_transport::http::{Allowed, Client, Manager};

use super::access::How;
use super::known::Register;
use super::{login, manager};
use crate::failure::Failure;
use crate::opened::{now, seconds};

/// So long has a manager for its answer, from the search for its address to the last byte.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A manager that was asked.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) host: String,
    pub(crate) answer: Answer,
    /// How long it took.
    pub(crate) took: Duration,
    /// Seconds that its clock is ahead, if it told the time.
    pub(crate) ahead: Option<i64>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It lets this computer in.
    Stands(Allowed),
    /// It was not asked: what is kept of it cannot be read, or is of no use.
    Unasked(Failure),
    /// Nothing came in time from that port.
    Silent(u16),
    /// The way to that port of it is barred or broke.
    Unreachable(u16, Failure),
    /// Of its name no address is known, to ask at that port.
    Nameless(u16, Failure),
    /// Somebody of another authority answers.
    Untrusted(Failure),
    /// It does not take the token.
    Refused(Failure),
    /// It is busy, or says what no manager should.
    Odd(Failure),
}

impl Answer {
    /// In the words of the list.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Stands(_) => "answers",
            // So it is for others than root.
            Self::Unasked(_) => "unmounted",
            Self::Untrusted(_) => "untrusted",
            Self::Refused(_) => "refused",
            Self::Silent(_) | Self::Unreachable(..) | Self::Nameless(..) | Self::Odd(_) => {
                "unreachable"
            }
        }
    }

    /// The port at which nobody answers.
    pub(super) fn silent_at(&self) -> Option<u16> {
        match self {
            Self::Silent(port) | Self::Unreachable(port, _) | Self::Nameless(port, _) => {
                Some(*port)
            }
            _ => None,
        }
    }

    fn of(error: &NetError, port: u16) -> Self {
        let failure = Failure::of(error);
        match error {
            error if error.is_silence() => Self::Silent(port),
            NetError::Unreachable { .. } => Self::Unreachable(port, failure),
            NetError::Nameless { .. } => Self::Nameless(port, failure),
            NetError::Untrusted { .. } => Self::Untrusted(failure),
            NetError::Unauthorised { .. }
            | NetError::TokenExpired { .. }
            | NetError::TokenElsewhere { .. } => Self::Refused(failure),
            _ => Self::Odd(failure),
        }
    }
}

/// Asks all managers that are known.
///
/// # Errors
/// When it cannot be read which are.
pub(crate) fn ask_known() -> Result<Vec<Asked>, Failure> {
    let known = Register::read()?.known.into_iter();
    let managers = known.filter(|known| known.protocol == How::Http);
    let hosts: Vec<String> = managers.map(|known| known.address).collect();
    Ok(ask_all(&hosts, PATIENCE))
}

/// Asks managers, in the order in which they are named; each has so long for its answer.
pub(super) fn ask_all(hosts: &[String], patience: Duration) -> Vec<Asked> {
    let ask = |host| ask(host, patience);
    thread::scope(|scope| {
        let asked = hosts.iter().map(|host| scope.spawn(move || ask(host)));
        let asked: Vec<_> = asked.collect();
        let answers = asked.into_iter().filter_map(|asked| asked.join().ok());
        answers.flatten().collect()
    })
}

/// Asks one; nothing if it was forgotten meanwhile. What is kept of it stays as it is.
fn ask(host: &str, patience: Duration) -> Option<Asked> {
    let unasked = |failure| Asked {
        host: host.to_owned(),
        answer: Answer::Unasked(failure),
        took: Duration::ZERO,
        ahead: None,
    };
    match manager::kept_with(host, login::valid) {
        Ok(None) => None,
        Ok(Some(manager)) => Some(ask_manager(&manager, patience).unwrap_or_else(unasked)),
        Err(failure) => Some(unasked(failure)),
    }
}

fn ask_manager(manager: &Manager, patience: Duration) -> Result<Asked, Failure> {
    let client = Client::new(manager)?;
    let (from, begun) = (now(), Instant::now());
    let standing = client.standing(patience);
    let took = begun.elapsed();
    let between = (seconds(from), seconds(from + took));
    let date = standing.date.as_deref();
    Ok(Asked {
        host: manager.host.clone(),
        answer: match standing.allowed {
            Ok(allowed) => Answer::Stands(allowed),
            Err(error) => Answer::of(&error, manager.port),
        },
        took,
        ahead: date.and_then(|date| ahead(date, between)),
    })
}

/// Seconds that a clock is ahead which said so at some time between two; none where that can be the time it took.
fn ahead(date: &str, (from, to): (u64, u64)) -> Option<i64> {
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    let said = parser.parse_timestamp(date).ok()?.as_second();
    let [from, to] = [from, to].map(|time| i64::try_from(time).unwrap_or(i64::MAX));
    // It says whole seconds, and may have read its clock a moment before.
    Some(if said > to {
        said - to
    } else {
        (said + 1 - from).min(0)
    })
}

#[cfg(test)]
mod tests {
    use super::ahead;

    #[test]
    fn a_clock_is_off_by_what_the_time_of_the_answer_does_not_explain() {
        let date = "Thu, 01 Jan 2026 00:00:00 GMT";
        let said = 1_767_225_600;
        for (from, to, expected) in [
            (said, said, 0),
            (said - 4, said + 1, 0),
            (said + 1, said + 1, 0),
            (said + 61, said + 63, -60),
            (said - 65, said - 60, 60),
            (0, 0, 1_767_225_600),
        ] {
            assert_eq!(ahead(date, (from, to)), Some(expected), "{from} {to}");
        }
        for none in ["", "soon", "Thu, 01 Jan 99999 00:00:00 GMT"] {
            assert_eq!(ahead(none, (said, said)), None, "{none}");
        }
    }
}
