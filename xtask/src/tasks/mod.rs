//! The tasks, and what they share.

mod bench;
mod check;
mod deb;
mod machine;
mod soak;
mod static_client;
mod vm;
mod vm_tests;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A task of the house.
pub(crate) struct Task {
    /// As it is called.
    pub(crate) name: &'static str,
    /// What it does, in a line.
    about: &'static str,
    /// Does it, given the arguments after its name.
    pub(crate) run: fn(&[String]) -> Result<()>,
}

/// Every task.
pub(crate) const ALL: &[Task] = &[
    Task {
        name: "bench",
        about: "times and sizes against partclone, zstd and ntfsclone",
        run: bench::run,
    },
    Task {
        name: "check",
        about: "rules of the house: dependencies, sizes, words, links",
        run: check::run,
    },
    Task {
        name: "deb",
        about: "a Debian package of the program",
        run: deb::run_task,
    },
    Task {
        name: "deb-test",
        about: "installs that package into a clean Debian root and starts it there",
        run: deb::test::run_task,
    },
    Task {
        name: "soak",
        about: "the long versions of the tests",
        run: soak::run,
    },
    Task {
        name: "static",
        about: "the program in one file that needs no library",
        run: static_client::run_task,
    },
    Task {
        name: "static-test",
        about: "tests that program with the system calls of an old kernel",
        run: static_client::test,
    },
    Task {
        name: "vm",
        about: "runs a command in a virtual machine with Debian's kernel",
        run: vm::run,
    },
    Task {
        name: "vm-tests",
        about: "the tests that need that machine",
        run: vm_tests::run,
    },
];

/// The end of a task that passes on the exit status of what it ran.
#[derive(Debug)]
pub(crate) struct Ended(pub(crate) u8);

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit status {}", self.0)
    }
}

impl std::error::Error for Ended {}

/// Prints a line; a reader that went away is no trouble.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a line on standard error.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Lists the tasks.
pub(crate) fn say_all() {
    complain("Usage: cargo xtask TASK [ARGUMENT]...\n");
    for task in ALL {
        complain(&format!("  {:8} {}", task.name, task.about));
    }
}

/// The top of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("xtask lies in the workspace")
        .to_owned()
}

/// Builds the program as it is released; where it is.
pub(crate) fn released() -> Result<PathBuf> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    output_of(&cargo, &["build", "--quiet", "--release", "--bin", "azud"])?;
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root().join("target"), PathBuf::from);
    Ok(root().join(target).join("release/azud"))
}

/// What a program prints on standard output when run at the top of the workspace.
pub(crate) fn output_of(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(args)
        .current_dir(root())
        .output()
        .with_context(|| format!("starting {program}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{program} {}: {errors}",
        args.join(" ")
    );
    String::from_utf8(output.stdout).with_context(|| format!("output of {program}"))
}
