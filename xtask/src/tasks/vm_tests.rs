//! `cargo xtask vm-tests`: the tests that need the virtual machine, in it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::sh;
use serde_json::Value;

use super::{Ended, output_of, say, vm};

/// Of the blank sticks and disks, in bytes.
const BLANK: u64 = 64 << 20;
/// Of the disk whose writes are recorded, and of the one that they are recorded on.
const RECORDED: u64 = 96 << 20;
const LOG: u64 = 1 << 30;
/// What is on the disc.
const DISC: &str = "cd \"$1\"; mkdir -p disc/opt/opengnsys/images/aula1
    echo 'from a disc' >disc/opt/opengnsys/images/aula1/win.img
    genisoimage -quiet -V AZUD_DISC -R -J -o disc.iso disc";

/// Runs them, or those whose names contain one of `args`.
pub(super) fn run(args: &[String]) -> Result<()> {
    let begun = std::time::Instant::now();
    vm::cargo(&["build", "--quiet", "--package", "azud", "--bin", "azud"])?;
    let program = program("vm")?;
    let dir = tempfile::tempdir()?;
    let path = dir.path();
    let blank = |name: &str, size: u64| -> Result<PathBuf> {
        let file = path.join(name);
        File::create(&file)?.set_len(size)?;
        Ok(file)
    };
    let blanks = |names: &[&str]| -> Result<Vec<_>> {
        names.iter().map(|name| blank(name, BLANK)).collect()
    };
    let log = blank("vdd", LOG)?;
    let mut disks = blanks(&["vda", "vdb"])?;
    disks.extend([blank("vdc", RECORDED)?, log.clone()]);
    sh(DISC, &[path.to_str().context("path is UTF-8")?])?;
    let mut command = vec![program];
    // The devices are there once for all.
    command.extend(["--nocapture", "--test-threads=1"].map(str::to_owned));
    command.extend(args.iter().cloned());
    let options = vm::Options {
        usb: blanks(&["sda", "sdb", "sdc", "sdd", "sde"])?,
        disks,
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
    if status != 0 {
        return Err(Ended(status).into());
    }
    // With names given, nothing may have been recorded.
    if args.is_empty() || is_written(&log)? {
        replay(&log)?;
    }
    Ok(())
}

fn is_written(file: &Path) -> Result<bool> {
    Ok(fs::metadata(file)?.blocks() > 0)
}

/// The disk as it was at any write, here: the host's file system is faster than the machine's.
fn replay(log: &Path) -> Result<()> {
    let status = Command::new(program("replay")?)
        .arg("--nocapture")
        .env("AZUD_WRITE_LOG", log)
        .env("AZUD_WRITE_SIZE", RECORDED.to_string())
        .env(azud_testkit::tools::STRICT, "1")
        .status()
        .context("starting the replay")?;
    ensure!(status.success(), "the replay of the writes: {status}");
    Ok(())
}

/// Builds the test program and says where it is.
fn program(test: &str) -> Result<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let args = [
        "test",
        "--no-run",
        "--quiet",
        "--package",
        "azud",
        "--test",
        test,
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
                .is_some_and(|name| name.starts_with(&format!("{test}-")))
        })
        .with_context(|| format!("cargo built no test program called {test}"))
}
