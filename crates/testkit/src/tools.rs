//! External programs and privileges that a test needs.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

/// Set (to anything) by `.ci/run`: what is missing then fails the test instead of skipping it.
pub const STRICT: &str = "AZUD_TEST_STRICT";

/// Whether every named program is installed. When one is missing: panics under [`STRICT`], else says so.
pub fn have(programs: &[&str]) -> bool {
    let missing: Vec<&str> = programs
        .iter()
        .copied()
        .filter(|p| find(p).is_none())
        .collect();
    require(
        missing.is_empty(),
        &format!("missing programs: {}", missing.join(", ")),
    )
}

/// Whether the test runs as root (same rule as [`have`]).
pub fn have_root() -> bool {
    require(rustix::process::geteuid().is_root(), "needs root")
}

fn require(met: bool, why: &str) -> bool {
    if !met {
        assert!(std::env::var_os(STRICT).is_none(), "{why}");
        eprintln!("skipped: {why}");
    }
    met
}

/// Where a program is, looking into the sbin directories as well.
pub fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"])
        .map(|dir| Path::new(dir).join(program))
        .find(|file| file.is_file())
}

/// Runs a program and returns its output; a failing status is an error that quotes what it printed.
///
/// # Errors
/// When it cannot be started or fails.
pub fn run(program: &str, args: &[&str]) -> Result<Output> {
    let output = run_any(program, args)?;
    if !output.status.success() {
        bail!(
            "{program} {}: {}\n{}{}",
            args.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(output)
}

/// Runs a program and returns its output whatever its status.
///
/// # Errors
/// When it cannot be started.
pub fn run_any(program: &str, args: &[&str]) -> Result<Output> {
    let path = find(program).with_context(|| format!("{program} is not installed"))?;
    Command::new(path)
        .args(args)
        .env("LC_ALL", "C")
        .output()
        .with_context(|| format!("starting {program}"))
}

/// Runs a shell script under `bash -euo pipefail`; `$1`, `$2` … are `args`.
///
/// # Errors
/// When any stage fails.
pub fn sh(script: &str, args: &[&str]) -> Result<Output> {
    let mut all = vec!["-euo", "pipefail", "-c", script, "sh"];
    all.extend(args);
    run("bash", &all)
}
