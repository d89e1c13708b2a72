//! `cargo xtask vm-tests`: the tests that need the virtual machine, in it.

use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::{Context, Result};
use azud_testkit::tools::sh;
use serde_json::Value;

use super::{Ended, output_of, say, vm};

/// Of the blank sticks and disks, in bytes.
const BLANK: u64 = 64 << 20;
/// What is on the disc.
const DISC: &str = "cd \"$1\"; mkdir -p disc/opt/opengnsys/images/aula1
    echo 'from a disc' >disc/opt/opengnsys/images/aula1/win.img
    genisoimage -quiet -V AZUD_DISC -R -J -o disc.iso disc";

/// Runs them, or those whose names contain one of `args`.
pub(super) fn run(args: &[String]) -> Result<()> {
    let begun = std::time::Instant::now();
    vm::cargo(&["build", "--quiet", "--package", "azud", "--bin", "azud"])?;
    let program = program()?;
    let dir = tempfile::tempdir()?;
    let path = dir.path();
    let blank = |name: &str| -> Result<PathBuf> {
        let file = path.join(name);
        File::create(&file)?.set_len(BLANK)?;
        Ok(file)
    };
    let blanks = |names: &[&str]| names.iter().map(|name| blank(name)).collect::<Result<_>>();
    sh(DISC, &[path.to_str().context("path is UTF-8")?])?;
    let mut command = vec![program];
    // The devices are there once for all.
    command.extend(["--nocapture", "--test-threads=1"].map(str::to_owned));
    command.extend(args.iter().cloned());
    let options = vm::Options {
        usb: blanks(&["sda", "sdb", "sdc", "sdd", "sde"])?,
        disks: blanks(&["vda", "vdb"])?,
        nvme: blanks(&["nvme0n1"])?,
        dvd: Some(path.join("disc.iso")),
        env: vec![azud_testkit::tools::STRICT.to_owned()],
        build: false,
        command,
        ..vm::Options::default()
    };
    let status = vm::start(&options)?;
    fs::remove_file(path.join("disc.iso"))?;
    say(&format!("vm-tests: {:.0} s", begun.elapsed().as_secs_f64()));
    match status {
        0 => Ok(()),
        status => Err(Ended(status).into()),
    }
}

/// Builds the test program and says where it is.
fn program() -> Result<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let args = [
        "test",
        "--no-run",
        "--quiet",
        "--package",
        "azud",
        "--test",
        "vm",
    ];
    let args = [&args[..], &["--message-format=json"]].concat();
    let told = output_of(&cargo, &args)?;
    let messages = told
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages.filter_map(|it| it["executable"].as_str().map(str::to_owned));
    programs
        .find(|program| {
            program
                .rsplit('/')
                .next()
                .is_some_and(|name| name.starts_with("vm-"))
        })
        .context("cargo built no test program called vm")
}
