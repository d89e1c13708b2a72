//! When runs are killed: at random moments, until enough of them came while there was something to break.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Random, command, soak};

/// Starts the program and kills it after `after`; whether it was still running.
pub(crate) fn kill_after<S: AsRef<OsStr>>(args: &[S], after: Duration) -> Result<bool> {
    let mut child = command(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    std::thread::sleep(after);
    child.kill()?;
    Ok(child.wait()?.code().is_none())
}

/// Moments of a run that is repeated: 10, or 200 with `AZUD_SOAK`, and more while too few of them hit.
#[derive(Debug)]
pub(crate) struct Kills {
    pub(crate) random: Random,
    /// How long a whole run takes.
    time: Duration,
    after: Duration,
    /// How many moments there were.
    turns: u64,
    hits: u64,
}

impl Kills {
    /// Of a run that takes `time`; `AZUD_SEED` or `seed` tells the moments.
    pub(crate) fn of(time: Duration, seed: u64) -> Self {
        Self {
            random: Random::seeded(seed),
            time,
            after: Duration::ZERO,
            turns: 0,
            hits: 0,
        }
    }

    fn wanted() -> u64 {
        if soak() { 200 } else { 10 }
    }

    fn enough(&self) -> bool {
        self.hits * 5 >= Self::wanted()
    }

    /// The next moment and its number; every third one in the run's last part, where things become visible.
    pub(crate) fn next(&mut self) -> Option<(u64, Duration)> {
        let number = self.turns;
        if number >= Self::wanted() && (self.enough() || number >= 5 * Self::wanted()) {
            return None;
        }
        let part = self.random.below(1000);
        let thousandths = if number % 3 == 2 {
            850 + part / 5
        } else {
            part
        };
        let thousandths = u32::try_from(thousandths).unwrap_or(0);
        self.after = self.time.mul_f64(f64::from(thousandths) / 1000.0);
        self.turns += 1;
        Some((number, self.after))
    }

    /// What came of the last moment: was it still running, and was that what the test is about?
    ///
    /// A machine is not always equally fast: what one run took follows the others, so that late moments stay late.
    pub(crate) fn note(&mut self, running: bool, hit: bool) {
        self.hits += u64::from(hit);
        self.time = self.time.mul_f64(if running { 1.03 } else { 0.9 });
    }

    /// The last moment in words.
    pub(crate) fn case(&self) -> String {
        let Self {
            turns, after, time, ..
        } = self;
        format!("kill {turns} after {after:?} of {time:?}")
    }

    /// Fails if hardly any moment was what the test is about.
    pub(crate) fn judge(&self, what: &str) -> Result<()> {
        let Self { turns, hits, .. } = self;
        println!("{hits} of {turns} {what}");
        ensure!(self.enough(), "only {hits} of {turns} {what}");
        Ok(())
    }
}
