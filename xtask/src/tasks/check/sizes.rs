//! Files that a reader can hold in mind: at most 500 lines before the tests, 800 at the utmost.

use super::{Findings, Source, has_ending};

const WANTED: usize = 500;
const MOST: usize = 800;

pub(super) fn check(sources: &[Source], findings: &mut Findings) {
    for Source { path, text } in sources {
        if !has_ending(path, "rs") {
            continue;
        }
        let lines = text
            .lines()
            .take_while(|line| *line != "#[cfg(test)]")
            .count();
        let found = format!("{path} has {lines} lines, {WANTED} are wanted");
        if lines > MOST {
            findings.fail(found);
        } else if lines > WANTED {
            findings.warn(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Findings, Source, check};

    #[test]
    fn only_what_stands_before_the_tests_counts() {
        let source = |path: &str, lines: usize, tests: usize| Source {
            path: path.to_owned(),
            text: format!(
                "{}#[cfg(test)]\n{}",
                "x\n".repeat(lines),
                "y\n".repeat(tests)
            ),
        };
        let sources = [
            source("fine.rs", 500, 2000),
            source("long.rs", 501, 0),
            source("huge.rs", 801, 0),
            source("huge.md", 5000, 0),
        ];
        let mut findings = Findings::default();
        check(&sources, &mut findings);
        assert_eq!(findings.warnings, ["long.rs has 501 lines, 500 are wanted"]);
        assert_eq!(findings.failures, ["huge.rs has 801 lines, 500 are wanted"]);
    }
}
