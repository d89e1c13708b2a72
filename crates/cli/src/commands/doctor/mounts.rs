//! What is mounted where repositories belong.

use std::path::Path;
use std::thread;

use azud_core::layout::Layout;
use azud_core::reference::Where;
use azud_disk::machine::mounted_below;
use azud_disk::mounting::MountFacts;
use azud_disk::remote::{State, state};

use super::finding::Finding;
use crate::commands::repo::named_view;

/// Something mounted, and how it is.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) mount: MountFacts,
    pub(super) state: State,
    /// Whether something else is mounted over it.
    pub(super) covered: bool,
}

/// Asks all of them at once; none is waited for long.
pub(super) fn gather(layout: &Layout) -> Vec<Fact> {
    let mut mounts = mounted_below(layout.root());
    let is_medium = |mount: &MountFacts| {
        let name = mount.at.file_name().and_then(|name| name.to_str());
        let place = name.map(Where::parse);
        mount.at.parent() == Some(layout.mnt()) && matches!(place, Some(Ok(Where::Removable(_))))
    };
    let others = mounted_below(layout.base()).into_iter();
    mounts.extend(others.filter(|mount| !mount.at.starts_with(layout.root())));
    let media = mounted_below(layout.mnt()).into_iter();
    mounts.extend(media.filter(|it| is_medium(it) && !it.at.starts_with(layout.base())));
    if let Some(cache) = layout.former_cache_mount() {
        mounts.extend(mounted_below(cache));
    }
    let asked: Vec<_> = mounts
        .iter()
        .map(|mount| {
            let at = mount.at.clone();
            thread::spawn(move || state(&at))
        })
        .collect();
    let states: Vec<State> = asked
        .into_iter()
        .map(|asked| asked.join().unwrap_or(State::Unreachable))
        .collect();
    let covered = |number: usize, at: &Path| mounts[number + 1..].iter().any(|it| it.at == at);
    let numbered = mounts.iter().zip(states).enumerate();
    let facts = numbered.map(|(number, (mount, state))| Fact {
        covered: covered(number, &mount.at),
        mount: mount.clone(),
        state,
    });
    facts.collect()
}

pub(super) fn judge(facts: &[Fact]) -> Vec<Finding> {
    if facts.is_empty() {
        return vec![Finding::ok("no-mounts")];
    }
    facts.iter().map(judge_one).collect()
}

fn judge_one(fact: &Fact) -> Finding {
    let mount = &fact.mount;
    let finding = match (fact.state, fact.covered) {
        (State::Refused, _) => Finding::problem("view-refused"),
        (State::Unreachable, _) if mount.is_view() => Finding::problem("view-silent"),
        (State::Unreachable, _) => Finding::problem("mount-silent"),
        (State::Stale, _) => Finding::problem("mount-stale"),
        (State::Mounted, true) => Finding::warning("mount-covered"),
        (State::Mounted, false) if mount.read_only => Finding::ok("mount-read-only"),
        (State::Mounted, false) => Finding::ok("mount"),
    };
    // As it is called where it is taken away.
    let source = if mount.is_view() {
        named_view(&mount.source).0
    } else {
        mount.source.display().to_string()
    };
    finding
        .with("path", mount.at.display())
        .with("source", source)
        .with("fs", &mount.fs_type)
}

#[cfg(test)]
mod tests {
    use azud_disk::mounting::MountFacts;
    use azud_disk::remote::State as Is;

    use super::super::finding::{State, keys};
    use super::{Fact, judge};

    #[test]
    fn how_mounts_stand() {
        let fact = |state, covered, read_only| Fact {
            mount: MountFacts {
                at: "/r/10.0.0.1".into(),
                source: "10.0.0.1:/x".into(),
                fs_type: "nfs4".into(),
                read_only,
            },
            state,
            covered,
        };
        let view = |state| Fact {
            mount: MountFacts {
                fs_type: "fuse.azud".into(),
                ..fact(state, false, true).mount
            },
            ..fact(state, false, true)
        };
        let facts = [
            fact(Is::Mounted, false, false),
            fact(Is::Mounted, false, true),
            fact(Is::Mounted, true, true),
            fact(Is::Stale, true, false),
            fact(Is::Unreachable, false, true),
            view(Is::Unreachable),
            view(Is::Refused),
        ];
        let expected = [
            (State::Ok, "mount"),
            (State::Ok, "mount-read-only"),
            (State::Warning, "mount-covered"),
            (State::Problem, "mount-stale"),
            (State::Problem, "mount-silent"),
            (State::Problem, "view-silent"),
            (State::Problem, "view-refused"),
        ];
        assert_eq!(keys(&judge(&facts)), expected);
        assert_eq!(keys(&judge(&[])), [(State::Ok, "no-mounts")]);
    }
}
