//! The system calls that a unit leaves to its service, by the sets of the systemd that is there.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::run;

use super::inside::Inside;
use super::unit::Unit;

/// What it takes to come as far as the manager: the root is entered and made strict, the account is taken on. By then
/// the rights to any of it are gone, whatever a filter says.
const STARTING: [&str; 3] = ["@mount", "@setuid", "capset"];

/// What systemd always allows where it has a list of what is allowed.
const ALWAYS: &str = "@default";

/// Sets of system calls by their names, of systemd.
struct Sets(BTreeMap<String, BTreeSet<String>>);

impl Sets {
    /// Understands what `systemd-analyze syscall-filter` says.
    fn parse(text: &str) -> Self {
        let mut sets = BTreeMap::<_, BTreeSet<_>>::new();
        let mut set = None;
        for line in text.lines() {
            let name = line.trim();
            if line.starts_with('@') {
                set = Some(name);
            } else if !line.starts_with(' ') {
                set = None;
            } else if let Some(set) = set.filter(|_| !name.starts_with('#')) {
                sets.entry(set.to_owned())
                    .or_default()
                    .insert(name.to_owned());
            }
        }
        Self(sets)
    }

    /// The calls that are meant by a name: a set, with the sets in it, or one call.
    fn calls(&self, name: &str) -> Result<BTreeSet<String>> {
        if !name.starts_with('@') {
            return Ok([name.to_owned()].into());
        }
        let members = self.0.get(name).with_context(|| format!("no {name}"))?;
        let mut calls = BTreeSet::new();
        for member in members {
            calls.append(&mut self.calls(member)?);
        }
        Ok(calls)
    }

    /// What these lines of a unit allow: the first says what is allowed at all, the others add to it and take away.
    fn allowed<'l>(&self, lines: impl Iterator<Item = &'l str>) -> Result<BTreeSet<String>> {
        let mut allowed = BTreeSet::new();
        for line in lines {
            let denied = line.strip_prefix('~');
            ensure!(
                denied.is_none() || !allowed.is_empty(),
                "a list of what is denied"
            );
            for name in denied.unwrap_or(line).split_whitespace() {
                let mut calls = self.calls(name)?;
                if denied.is_some() {
                    allowed.retain(|call| !calls.contains(call));
                } else {
                    allowed.append(&mut calls);
                }
            }
        }
        ensure!(!allowed.is_empty(), "there is no filter");
        allowed.append(&mut self.calls(ALWAYS)?);
        Ok(allowed)
    }
}

/// The numbers of what a unit allows, and of what starting it takes.
pub(super) fn numbers(inside: &Inside, unit: &Unit) -> Result<Vec<i64>> {
    let errno = unit.one("SystemCallErrorNumber")?;
    ensure!(errno == "EPERM", "another filter than this is: {errno}");
    let sets = Sets::parse(&inside.done("systemd-analyze syscall-filter --no-pager")?);
    let mut calls = sets.allowed(unit.all("SystemCallFilter"))?;
    for name in STARTING {
        calls.append(&mut sets.calls(name)?);
    }
    let args = ["-dM", "-E", "-x", "c", "-include", "sys/syscall.h"];
    let said = run("cc", &[&args[..], &["/dev/null"]].concat())?;
    let known = known(&String::from_utf8(said.stdout)?);
    // Many are those of other architectures.
    let numbers: Vec<i64> = calls
        .iter()
        .filter_map(|call| known.get(call))
        .copied()
        .collect();
    ensure!(numbers.len() > 100, "few system calls: {numbers:?}");
    Ok(numbers)
}

/// System calls and their numbers, of what the C compiler knows.
fn known(macros: &str) -> BTreeMap<String, i64> {
    let defined: BTreeMap<&str, &str> = macros
        .lines()
        .filter_map(|line| line.strip_prefix("#define ")?.split_once(' '))
        .collect();
    let calls = defined.iter().filter_map(|(name, value)| {
        let call = name.strip_prefix("__NR_")?;
        // Some are called otherwise first.
        let value = defined.get(value).unwrap_or(value);
        Some((call.to_owned(), value.parse().ok()?))
    });
    calls.collect()
}

#[cfg(test)]
mod tests {
    use super::{Sets, known};

    const SAID: &str = "@default\n    # Always\n    execve\n\n@a\n    # Calls\n    @b\n    read\n    nice\n\
        \n@b\n    # More\n    write\n    nice\n\n# Ungrouped:\n    odd\n";

    #[test]
    fn the_last_line_of_a_filter_has_the_last_word() {
        let sets = Sets::parse(SAID);
        let allowed = |lines: &[&str]| -> Option<Vec<String>> {
            let allowed = sets.allowed(lines.iter().copied()).ok()?;
            Some(allowed.into_iter().collect())
        };
        let some = |calls: &[&str]| Some(calls.iter().map(|call| (*call).to_owned()).collect());
        assert_eq!(allowed(&["@a"]), some(&["execve", "nice", "read", "write"]));
        assert_eq!(allowed(&["@a", "~@b"]), some(&["execve", "read"]));
        let given_back = ["@a", "~@b", "nice"];
        assert_eq!(allowed(&given_back), some(&["execve", "nice", "read"]));
        for bad in [&[][..], &["~@b"], &["@none"], &["@a", "~@a"]] {
            assert_eq!(allowed(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn numbers_are_found_also_behind_another_name() {
        let known = known(
            "#define __NR_read 0\n#define SYS_read __NR_read\n#define __NR_fcntl __NR3264_fcntl\n\
            #define __NR3264_fcntl 25\n#define __NR_void\n",
        );
        let known: Vec<_> = known
            .iter()
            .map(|(call, at)| (call.as_str(), *at))
            .collect();
        assert_eq!(known, [("fcntl", 25), ("read", 0)]);
    }
}
