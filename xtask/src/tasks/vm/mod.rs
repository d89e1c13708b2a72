//! `cargo xtask vm`: a virtual machine with the kernel of Debian, for what the host's kernel lacks.

mod cpio;
mod job;
mod kernel;
mod machine;
mod options;
mod qemu;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Ended, output_of, root, say};
use job::Job;
use kernel::Kernel;

pub(super) use options::Options;

const HELP: &str = include_str!("help.txt");
/// The exit status when there is none of the command.
const NONE: u8 = 125;

/// Runs a command in a machine.
pub(super) fn run(args: &[String]) -> Result<()> {
    let Some(options) = Options::parse(args)? else {
        say(HELP.trim_end());
        return Ok(());
    };
    match start(&options)? {
        0 => Ok(()),
        status => Err(Ended(status).into()),
    }
}

/// Builds, boots, and returns the exit status of the command.
pub(super) fn start(options: &Options) -> Result<u8> {
    if options.build {
        cargo(&["build", "--quiet", "--package", "azud", "--bin", "azud"])?;
    }
    let target = target()?;
    let cache = target.join("vm");
    let kernel = Kernel::cached(&cache)?;
    let job = Job::write(&cache, options, &target.join("debug"))?;
    Ok(machine::boot(&kernel, options, &job)?.unwrap_or(NONE))
}

/// Runs cargo at the top of the workspace; what it prints comes through.
pub(super) fn cargo(args: &[&str]) -> Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let status = Command::new(cargo)
        .args(args)
        .current_dir(root())
        .status()
        .context("starting cargo")?;
    ensure!(status.success(), "cargo {}: {status}", args.join(" "));
    Ok(())
}

/// Where cargo builds.
fn target() -> Result<PathBuf> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let args = ["metadata", "--format-version=1", "--no-deps", "--offline"];
    let metadata: Value = serde_json::from_str(&output_of(&cargo, &args)?)?;
    let target = metadata["target_directory"].as_str();
    Ok(target.context("cargo metadata names no target")?.into())
}
