//! Time, CPU and memory of a command.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use azud_testkit::tools::run;

/// What one turn cost.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    /// Seconds from start to end.
    pub(super) wall: f64,
    /// Seconds of CPU, user and system, of all processes.
    pub(super) cpu: f64,
    /// Memory of the largest process at its peak, in bytes.
    pub(super) peak: u64,
}

/// Runs a shell script whose `$1`, `$2` … are `args`. What others left to be written is written before.
pub(super) fn measure(script: &str, args: &[&str]) -> Result<Sample> {
    run("sync", &[])?;
    let facts = tempfile::NamedTempFile::new()?;
    let begun = Instant::now();
    // GNU time asks wait4, which knows of all descendants.
    let output = Command::new("/usr/bin/time")
        .args(["-f", "%U %S %M", "-o"])
        .arg(facts.path())
        .args(["bash", "-euo", "pipefail", "-c", script, "sh"])
        .args(args)
        .env("LC_ALL", "C")
        .stdout(Stdio::null())
        .output()
        .context("starting /usr/bin/time")?;
    let wall = begun.elapsed().as_secs_f64();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{script}\nwith {args:?}: {}\n{errors}", output.status);
    }
    let line = fs::read_to_string(facts.path())?;
    parse(&line, wall).with_context(|| format!("unexpected words of time: {line}"))
}

/// The most memory that a running process ever had, in bytes.
pub(super) fn peak_of(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|rest| rest.split_ascii_whitespace().next());
    let kib: u64 = kib.context("no VmHWM")?.parse()?;
    Ok(kib * 1024)
}

fn parse(line: &str, wall: f64) -> Option<Sample> {
    let mut numbers = line.split_ascii_whitespace().map(str::parse::<f64>);
    let mut next = || numbers.next()?.ok();
    let cpu = next()? + next()?;
    let kib: u64 = line.split_ascii_whitespace().nth(2)?.parse().ok()?;
    Some(Sample {
        wall,
        cpu,
        peak: kib * 1024,
    })
}

/// CPU seconds that this process has used so far, user and system.
pub(super) fn own_cpu() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The second field is the program's name in brackets; user and system time are fields 14 and 15.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut ticks = fields.split_ascii_whitespace().skip(11).take(2);
    let mut next = || -> Option<f64> { ticks.next()?.parse().ok() };
    let (user, system) = next().zip(next()).context("/proc/self/stat is odd")?;
    // Linux shows 100 ticks a second on every machine.
    Ok((user + system) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_words_of_time_are_understood() {
        let sample = parse("1.50 0.25 2048\n", 3.0).unwrap();
        assert!((sample.cpu - 1.75).abs() < 1e-9);
        assert_eq!(sample.peak, 2 << 20);
        assert!(parse("Command exited with non-zero status 1", 3.0).is_none());
    }
}
