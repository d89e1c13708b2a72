//! The programs of others that Azud runs, or that its remedies name.

use std::path::PathBuf;

use azud_disk::command::{find, package};

use super::finding::{Finding, State};

/// Each with what it is needed for, and how bad it is to be without.
const TOOLS: [(&str, &str, State); 14] = [
    ("blkid", "find-cache", State::Problem),
    ("mount", "mounting", State::Problem),
    ("sfdisk", "cache-table", State::Warning),
    ("wipefs", "cache", State::Warning),
    ("mkfs.ext4", "cache", State::Warning),
    ("mkfs.xfs", "cache-shares", State::Warning),
    ("mkfs.btrfs", "cache-shares", State::Warning),
    ("mount.nfs", "nfs", State::Warning),
    ("mount.cifs", "smb", State::Warning),
    ("partclone.f2fs", "other-file-systems", State::Warning),
    ("qemu-img", "qcow2", State::Warning),
    ("e2fsck", "dirty-ext", State::Warning),
    ("ntfsfix", "dirty-ntfs", State::Warning),
    ("fsck.fat", "dirty-fat", State::Warning),
];

/// A program, and where it is.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) name: &'static str,
    pub(super) need: &'static str,
    pub(super) without: State,
    pub(super) path: Option<PathBuf>,
}

pub(super) fn gather() -> Vec<Fact> {
    let facts = TOOLS.map(|(name, need, without)| Fact {
        name,
        need,
        without,
        path: find(name),
    });
    facts.into()
}

pub(super) fn judge(facts: &[Fact]) -> Vec<Finding> {
    let finding = |fact: &Fact| match &fact.path {
        Some(path) => Finding::ok("tool").with("path", path.display()),
        None => Finding::new(fact.without, "no-tool")
            .with("name", fact.name)
            .purpose(fact.need)
            .with("package", package(fact.name)),
    };
    facts.iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::super::finding::{Said, State, keys};
    use super::{TOOLS, gather, judge};

    #[test]
    fn a_missing_tool_is_told_with_its_package() {
        let mut facts = gather();
        assert_eq!(facts.len(), TOOLS.len());
        for fact in &mut facts {
            fact.path = None;
        }
        facts[0].path = Some("/sbin/blkid".into());
        let found = judge(&facts);
        let told = keys(&found);
        assert_eq!(told[0], (State::Ok, "tool"));
        assert_eq!(told[1], (State::Problem, "no-tool"));
        assert_eq!(told[2], (State::Warning, "no-tool"));
        let package = |name: &str| {
            let at = TOOLS.iter().position(|(tool, ..)| *tool == name).unwrap();
            found[at]
                .values
                .iter()
                .find(|(key, _)| *key == "package")
                .unwrap()
                .1
                .clone()
        };
        for (tool, from) in [
            ("mount.nfs", "nfs-common"),
            ("mount.cifs", "cifs-utils"),
            ("partclone.f2fs", "partclone"),
            ("fsck.fat", "dosfstools"),
        ] {
            assert_eq!(package(tool), Said::Text(from.into()), "{tool}");
        }
    }
}
