//! What killed runs left in the trees.

use std::path::PathBuf;

use azud_store::leftover::{Leftover, Standing, leftovers};

use super::finding::Finding;
use crate::human::shell_quoted;
use crate::opened::now;

/// What lies about in one tree.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) tree: PathBuf,
    pub(super) found: Result<Vec<Leftover>, String>,
}

/// Walks a tree; that may take its time.
pub(super) fn gather(tree: PathBuf) -> Fact {
    let found = leftovers(&tree, now()).map_err(|error| error.to_string());
    Fact { tree, found }
}

pub(super) fn judge(fact: &Fact) -> Vec<Finding> {
    let found = match &fact.found {
        Err(why) => {
            let finding = Finding::unknown("stages-unknown").term("why", why);
            return vec![finding.with("path", fact.tree.display())];
        }
        Ok(found) if found.is_empty() => {
            return vec![Finding::ok("stages").with("path", fact.tree.display())];
        }
        Ok(found) => found,
    };
    found.iter().map(judge_one).collect()
}

fn judge_one(left: &Leftover) -> Finding {
    let finding = match left.standing {
        Standing::AtWork => Finding::ok("stage-at-work"),
        Standing::Committed => Finding::warning("stage-committed"),
        Standing::BrokenOff => Finding::warning("stage-broken-off"),
        Standing::Abandoned => Finding::warning("stage-abandoned"),
    };
    finding
        .with("path", left.stage.display())
        .with("dir", shell_quoted(&left.dir))
        .with(
            "image",
            shell_quoted(left.image.as_ref().unwrap_or(&left.stage)),
        )
}

#[cfg(test)]
mod tests {
    use azud_store::leftover::{Leftover, Standing};

    use super::super::finding::{State, keys};
    use super::{Fact, judge};

    #[test]
    fn work_goes_on_or_was_left() {
        let left = |standing| Leftover {
            dir: "/r/a'b".into(),
            stage: "/r/a'b/.azud-stage-x".into(),
            image: None,
            standing,
        };
        let told = |found| {
            keys(&judge(&Fact {
                tree: "/r".into(),
                found,
            }))
        };
        let all = [
            Standing::AtWork,
            Standing::Committed,
            Standing::BrokenOff,
            Standing::Abandoned,
        ];
        let expected = [
            (State::Ok, "stage-at-work"),
            (State::Warning, "stage-committed"),
            (State::Warning, "stage-broken-off"),
            (State::Warning, "stage-abandoned"),
        ];
        assert_eq!(told(Ok(all.map(left).to_vec())), expected);
        assert_eq!(told(Ok(Vec::new())), [(State::Ok, "stages")]);
        assert_eq!(told(Err("no".into())), [(State::Unknown, "stages-unknown")]);
    }
}
