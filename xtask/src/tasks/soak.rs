//! `cargo xtask soak [--to FILE] [NAMES]`: the long versions of the tests, and `docs/soak.md` or another file with what
//! came of them.
//!
//! Tests ask for `AZUD_SOAK` to know that they may take long. What they print on lines with `soak:` or
//! `seed` goes into the document.

use std::fmt::Write;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{complain, machine, root, say};

const DOCUMENT: &str = "docs/soak.md";

/// Packages whose tests have long versions.
const PACKAGES: [&str; 3] = ["azud", "azud-image", "azud-store"];

/// Cases of each property test.
const PROPERTY_CASES: &str = "10000";

/// Remarks of one test program that are kept; the others are counted.
const REMARKS: usize = 40;

/// What became of one test program.
#[derive(Debug, Default, PartialEq, Eq)]
struct Suite {
    name: String,
    passed: usize,
    failed: usize,
    /// As the test runner says it.
    seconds: String,
    remarks: Vec<String>,
    /// Remarks beyond those kept.
    more: usize,
}

/// Runs the tests, or only those whose name contains one of `args`.
pub(super) fn run(args: &[String]) -> Result<()> {
    let (to, args) = match args {
        [option, to, names @ ..] if option == "--to" => (to.as_str(), names),
        names => (DOCUMENT, names),
    };
    if let Some(option) = args.iter().find(|arg| arg.starts_with('-')) {
        bail!("takes names of tests, but was given {option}");
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    // Both streams through one pipe, so that what a test prints stays behind the name of its program.
    let script = "exec \"$@\" 2>&1";
    let mut command = Command::new("sh");
    // As the tests are built: what has long to run shall also meet checks for overflow.
    command.args(["-c", script, "sh", &cargo, "test", "--no-fail-fast"]);
    for package in PACKAGES {
        command.args(["--package", package]);
    }
    command.args(["--", "--nocapture"]).args(args);
    let mut child = command
        .current_dir(root())
        .env("AZUD_SOAK", "1")
        .env("AZUD_TEST_STRICT", "1")
        .env("PROPTEST_CASES", PROPERTY_CASES)
        .stdout(Stdio::piped())
        .spawn()
        .context("starting cargo")?;
    let output = child.stdout.take().context("cargo's output")?;
    let mut suites = Vec::new();
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        complain(&line);
        read(&mut suites, &line);
    }
    let good = child.wait()?.success();
    suites.retain(|suite: &Suite| suite.passed + suite.failed > 0);
    let text = document(&suites, args, good)?;
    fs::write(root().join(to), text)?;
    say(&format!("soak: {to} is written"));
    if !good || suites.is_empty() {
        bail!("tests failed, or there were none");
    }
    Ok(())
}

/// Takes a line of what cargo and the tests print.
fn read(suites: &mut Vec<Suite>, line: &str) {
    let trimmed = line.trim();
    if let Some(name) = program(trimmed) {
        suites.push(Suite {
            name,
            ..Suite::default()
        });
        return;
    }
    let Some(suite) = suites.last_mut() else {
        return;
    };
    // Without capturing, a test's own words may stand before it on the line.
    if let Some((_, result)) = trimmed.split_once("test result: ") {
        let count = |word: &str| {
            let before = result.split_once(&format!(" {word}"))?.0;
            before.rsplit(' ').next()?.parse().ok()
        };
        suite.passed = count("passed").unwrap_or(0);
        suite.failed = count("failed").unwrap_or(0);
        let seconds = result.rsplit_once("finished in ");
        seconds
            .map_or("", |(_, time)| time.trim_end_matches('s'))
            .clone_into(&mut suite.seconds);
    } else if trimmed.contains("soak: ") || trimmed.contains("seed ") {
        let remark = trimmed.rsplit("soak: ").next().unwrap_or(trimmed);
        if suite.remarks.len() < REMARKS {
            suite.remarks.push(remark.replace('|', "\\|"));
        } else {
            suite.more += 1;
        }
    }
}

/// The name of the test program that cargo starts.
fn program(line: &str) -> Option<String> {
    if let Some(package) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{package}, examples in its documentation"));
    }
    let rest = line.strip_prefix("Running ")?;
    let (source, file) = rest.split_once(" (")?;
    let stem = file.rsplit('/').next()?.trim_end_matches(')');
    let stem = stem.rsplit_once('-').map_or(stem, |(stem, _)| stem);
    if source.starts_with("unittests ") {
        return Some(format!("{stem}, unit tests"));
    }
    Some(source.to_owned())
}

fn document(suites: &[Suite], args: &[String], good: bool) -> Result<String> {
    let total = |of: fn(&Suite) -> usize| suites.iter().map(of).sum::<usize>();
    let mut text = format!(
        "# The long tests\n\nWritten by `{}`. {}. Every property test has {PROPERTY_CASES} cases.\n\n\
         **{}**: {} passed, {} failed.\n\n| tests | passed | failed | seconds |\n|---|---:|---:|---:|\n",
        ["cargo xtask soak", &args.join(" ")].join(" ").trim(),
        machine::line()?,
        if good { "Green" } else { "Red" },
        total(|suite| suite.passed),
        total(|suite| suite.failed)
    );
    for suite in suites {
        let Suite {
            name,
            passed,
            failed,
            seconds,
            ..
        } = suite;
        writeln!(text, "| `{name}` | {passed} | {failed} | {seconds} |")?;
    }
    for suite in suites.iter().filter(|suite| !suite.remarks.is_empty()) {
        text += &["\n`", &suite.name, "`:\n\n"].concat();
        for remark in &suite.remarks {
            text += &["- ", remark, "\n"].concat();
        }
        if suite.more > 0 {
            writeln!(text, "- and {} more lines", suite.more)?;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{Suite, read};

    #[test]
    fn counts_times_and_seeds_are_kept() {
        let output = "   Compiling azud v0.1.0\n\
            \u{20}    Running unittests src/main.rs (target/release/deps/azud-0a1b)\n\
            running 0 tests\n\
            test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            \u{20}    Running tests/kill.rs (target/release/deps/kill-77aa)\n\
            test a_kill ... soak: 200 kills of create, seed 7\n\
            nothing of note\n\
            restore with seed 8\n\
            ok\n\
            test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 61.25s\n";
        let mut suites = Vec::new();
        for line in output.lines() {
            read(&mut suites, line);
        }
        assert_eq!(suites[0].name, "azud, unit tests");
        let expected = Suite {
            name: "tests/kill.rs".to_owned(),
            passed: 3,
            failed: 1,
            seconds: "61.25".to_owned(),
            remarks: vec![
                "200 kills of create, seed 7".to_owned(),
                "restore with seed 8".to_owned(),
            ],
            more: 0,
        };
        assert_eq!(suites[1], expected);
    }
}
