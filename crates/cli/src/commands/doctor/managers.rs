//! The managers that are known here, and how they answer.

use std::time::Duration;

use azud_core::code::Code;

use super::finding::{Finding, Part};
use crate::commands::repo::{Answer, Asked, PATIENCE};
use crate::failure::Failure;

/// So many seconds apart nobody minds two clocks: what is shown of times is shown to the minute.
const TOLERABLE: u64 = 60;
/// A day apart tokens have ended before they were given out, and a manager whose clock stands a day before a token was
/// made does not take it.
const TOO_FAR: u64 = Duration::from_hours(24).as_secs();

pub(super) fn judge(asked: Result<Vec<Asked>, Failure>) -> Vec<Finding> {
    match asked {
        Err(failure) => {
            vec![Finding::unknown("managers-unknown").part("why", (Part::Message, failure))]
        }
        Ok(asked) if asked.is_empty() => vec![Finding::ok("no-managers")],
        Ok(asked) => asked.iter().flat_map(judge_one).collect(),
    }
}

/// That what is known under several names is one manager.
pub(super) fn judge_same(same: &[Vec<String>]) -> Vec<Finding> {
    let one = |hosts: &Vec<String>| Finding::ok("managers-same").with("hosts", hosts.join(", "));
    same.iter().map(one).collect()
}

fn judge_one(asked: &Asked) -> Vec<Finding> {
    let answer = judge_answer(asked).with("host", &asked.host);
    let clock = asked.ahead.and_then(judge_clock);
    let clock = clock.map(|finding| finding.with("host", &asked.host));
    [answer].into_iter().chain(clock).collect()
}

fn judge_answer(asked: &Asked) -> Finding {
    let told = |finding: Finding, failure: &Failure| {
        let hint = finding.part("hint", (Part::Hint, failure.clone()));
        hint.part("why", (Part::Message, failure.clone()))
    };
    match &asked.answer {
        Answer::Stands(allowed) => {
            let role = allowed.role.as_deref().unwrap_or("unknown");
            let allows = if allowed.read_only { "read-only" } else { role };
            Finding::ok("manager-answers")
                .with("milliseconds", asked.took.as_millis())
                .with("allows", allows)
        }
        // Others than root cannot read the token.
        Answer::Unasked(failure) if failure.code == Code::Permission => {
            told(Finding::unknown("manager-unasked"), failure)
        }
        Answer::Unasked(failure) => told(Finding::problem("manager-unusable"), failure),
        Answer::Silent(port) => Finding::problem("manager-silent")
            .with("seconds", PATIENCE.as_secs())
            .with("port", port),
        Answer::Unreachable(port, failure) => Finding::problem("manager-unreachable")
            .part("why", (Part::Causes, failure.clone()))
            .with("port", port),
        Answer::Nameless(_, failure) => {
            let finding = Finding::problem("manager-nameless");
            let finding = finding.part("hint", (Part::Hint, failure.clone()));
            finding.because(failure.clone())
        }
        Answer::Untrusted(failure) => told(Finding::problem("manager-untrusted"), failure),
        Answer::Refused(failure) => {
            let finding = Finding::problem("manager-refused");
            let finding = finding.part("hint", (Part::Hint, failure.clone()));
            finding.because(failure.clone())
        }
        Answer::Odd(failure) => told(Finding::problem("manager-odd"), failure),
    }
}

/// Nothing where its clock is right.
fn judge_clock(ahead: i64) -> Option<Finding> {
    let off = ahead.unsigned_abs();
    if off <= TOLERABLE {
        return None;
    }
    let finding = if off <= TOO_FAR {
        Finding::warning("manager-clock")
    } else {
        Finding::problem("manager-clock")
    };
    Some(finding.with("seconds", format!("{ahead:+}")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use azud_core::code::Code;
    use azud_transport::http::Allowed;

    use super::super::finding::{State, keys};
    use super::{Answer, Asked, judge};
    use crate::failure::Failure;

    fn told(answer: Answer, ahead: Option<i64>) -> Vec<(State, &'static str)> {
        let asked = Asked {
            host: "10.0.0.1".to_owned(),
            answer,
            took: Duration::from_millis(7),
            ahead,
        };
        keys(&judge(Ok(vec![asked])))
    }

    fn failure(code: Code) -> Failure {
        Failure::new(code, "why")
    }

    #[test]
    fn how_managers_answer() {
        use State::{Ok, Problem, Unknown};
        let stands = |role: Option<&str>, read_only| {
            let role = role.map(str::to_owned);
            Answer::Stands(Allowed { role, read_only })
        };
        for (answer, expected) in [
            (stands(Some("read"), false), (Ok, "manager-answers")),
            (stands(Some("other"), false), (Ok, "manager-answers")),
            (stands(None, false), (Ok, "manager-answers")),
            (stands(Some("write"), true), (Ok, "manager-answers")),
            (
                Answer::Unasked(failure(Code::Permission)),
                (Unknown, "manager-unasked"),
            ),
            (
                Answer::Unasked(failure(Code::BadToken)),
                (Problem, "manager-unusable"),
            ),
            (Answer::Silent(7443), (Problem, "manager-silent")),
            (
                Answer::Unreachable(7443, failure(Code::Unreachable)),
                (Problem, "manager-unreachable"),
            ),
            (
                Answer::Nameless(7443, failure(Code::Unreachable)),
                (Problem, "manager-nameless"),
            ),
            (
                Answer::Untrusted(failure(Code::Untrusted)),
                (Problem, "manager-untrusted"),
            ),
            (
                Answer::Refused(failure(Code::TokenExpired)),
                (Problem, "manager-refused"),
            ),
            (
                Answer::Odd(failure(Code::BadAnswer)),
                (Problem, "manager-odd"),
            ),
        ] {
            assert_eq!(told(answer, Some(0)), [expected]);
        }
        assert_eq!(keys(&judge(Result::Ok(vec![]))), [(Ok, "no-managers")]);
        let unread = judge(Err(failure(Code::Permission)));
        assert_eq!(keys(&unread), [(Unknown, "managers-unknown")]);
    }

    #[test]
    fn their_clocks() {
        let clock = |ahead| {
            let found = told(Answer::Refused(failure(Code::TokenExpired)), Some(ahead));
            found.get(1).copied()
        };
        let off = |state| Some((state, "manager-clock"));
        assert_eq!((clock(60), clock(-60)), (None, None));
        assert_eq!(clock(61), off(State::Warning));
        assert_eq!(clock(-86_400), off(State::Warning));
        assert_eq!(clock(86_401), off(State::Problem));
        assert_eq!(clock(i64::MIN), off(State::Problem));
    }
}
