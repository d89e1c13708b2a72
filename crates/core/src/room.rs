//! What the manager knows of the computers of a room: the newest that each told, and what failed and is not mended.
//! Bounded, whoever reports whatever.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::access::peer;
use crate::code::Code;
use crate::progress::Phase;
use crate::report::{Account, Report, State};

/// So many computers are known.
pub const HOSTS: usize = 4096;
/// So many failures of each are remembered, each of another job or image.
pub const FAILURES: usize = 3;
/// Seconds after which a failure is nobody's concern any more, unless nothing was heard of the computer since.
pub const OLD: u64 = 7 * 24 * 60 * 60;
/// The job that puts an image on a disk.
const RESTORING: &str = "image-restore";
/// Seconds after which a computer may be forgotten for another where each address has one only.
const FORGETTABLE: u64 = 600;
/// Seconds after which a computer of the same name at another address counts as the same one, which moved.
const MOVED: u64 = 24 * 60 * 60;
/// Seconds without a word after which a computer at work counts as silent: it was switched off, most likely.
pub const SILENT: u64 = 15;

/// The image that a computer carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Carried {
    /// The image, as it was named.
    pub image: String,
    /// Its identity, if that was told.
    pub identity: Option<String>,
    /// When it was restored, in seconds since 1970.
    pub since: u64,
}

/// A job that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Failed {
    /// The job.
    pub job: String,
    /// The image, as it was named.
    pub image: String,
    /// Where a copy of it was to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The stable code.
    pub code: String,
    /// What failed, in English.
    pub detail: Option<String>,
    /// When, in seconds since 1970.
    pub when: u64,
    /// The manager that failed or refused, if it is another one than that which was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
    /// The failure in languages, by their codes (`en`, `es`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub accounts: BTreeMap<String, Account>,
}

impl Failed {
    /// Whether a report is of the same work: its success mends this, and its failure is this one again.
    pub fn is_of(&self, report: &Report) -> bool {
        self.work() == (kind(&report.job), &report.image, report.to.as_deref())
    }

    /// Whether the success of a report says that this is over: it is of the same work, or of the same kind of work
    /// where this named an image that there is not.
    fn is_mended_by(&self, report: &Report) -> bool {
        let names_nothing = [Code::NotFound, Code::CaseTwin].map(Code::as_str);
        let is_done_right =
            names_nothing.contains(&self.code.as_str()) && kind(&self.job) == kind(&report.job);
        is_done_right || self.is_of(report)
    }

    /// What was to be done.
    fn work(&self) -> (&str, &str, Option<&str>) {
        (kind(&self.job), &self.image, self.to.as_deref())
    }
}

/// A computer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Computer {
    /// Where it reported from.
    pub address: String,
    /// When, in seconds since 1970.
    pub seen: u64,
    /// The newest that it told.
    pub report: Report,
    /// What was restored on it last.
    pub carries: Option<Carried>,
    /// What failed and did not succeed since, the newest first: the last failure of each job with each image. Where an
    /// image was named that there is not, the next success of that job says that it did. Those of more than a week ago
    /// go when the computer tells something else.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<Failed>))]
    pub failures: VecDeque<Failed>,
}

impl Computer {
    /// Whether it said that it is at work, and then nothing more. `now` in seconds since 1970.
    pub fn is_silent(&self, now: u64) -> bool {
        self.report.state == State::Running && away(self.seen, now) > SILENT
    }

    /// As it is shown at a time, in seconds since 1970: nothing of it is still to come.
    pub fn shown(&self, now: u64) -> Shown {
        let mut computer = self.clone();
        computer.forget_old(now);
        computer.seen = computer.seen.min(now);
        let failed = computer.failures.iter_mut().map(|it| &mut it.when);
        let carried = computer.carries.iter_mut().map(|it| &mut it.since);
        for time in failed.chain(carried) {
            *time = now.min(*time);
        }
        Shown {
            age: now - computer.seen,
            silent: self.is_silent(now),
            computer,
        }
    }

    /// Leaves out failures that nobody looks for any more. The newest that the computer told stays: it is how it is.
    fn forget_old(&mut self, now: u64) {
        let report = &self.report;
        let is_how_it_is = |failed: &Failed| report.state == State::Failed && failed.is_of(report);
        self.failures
            .retain(|it| is_how_it_is(it) || now.saturating_sub(it.when) <= OLD);
    }

    fn note(&mut self, now: u64) {
        // They go with the failure; twice they would only take memory.
        let accounts = mem::take(&mut self.report.accounts);
        let report = &self.report;
        let restores = kind(&report.job) == RESTORING;
        if report.state == State::Done && restores {
            self.carries = Some(Carried {
                image: report.image.clone(),
                identity: report.identity.clone(),
                since: now,
            });
        }
        if report.state != State::Done && restores && writes(report) {
            self.carries = None;
        }
        let failed = match (report.state, &report.code) {
            (State::Failed, Some(code)) => Some(Failed {
                job: report.job.clone(),
                image: report.image.clone(),
                to: report.to.clone(),
                code: code.clone(),
                detail: report.detail.clone(),
                manager: report.manager.clone(),
                accounts,
                when: now,
            }),
            (State::Done, _) => None,
            _ => return,
        };
        let is_over = |it: &Failed| match report.state {
            State::Done => it.is_mended_by(report),
            _ => it.is_of(report),
        };
        self.failures.retain(|it| !is_over(it));
        if let Some(failed) = failed {
            self.failures.push_front(failed);
        }
        self.forget_old(now);
        self.failures.truncate(FAILURES);
    }

    /// Leaves out of what was written down what does not belong there any more: programs before this one kept every failure.
    fn tidied(mut self) -> Self {
        let report = &self.report;
        let mut kept: VecDeque<Failed> = VecDeque::new();
        for failed in mem::take(&mut self.failures) {
            let is_mended = report.state == State::Done && failed.is_mended_by(report);
            if !is_mended && !kept.iter().any(|it| it.work() == failed.work()) {
                kept.push_back(failed);
            }
        }
        self.failures = kept;
        self.failures.truncate(FAILURES);
        self
    }
}

/// Jobs of a kind come to the same: an image is on a disk, whichever way it went there.
fn kind(job: &str) -> &str {
    match job {
        "deploy" => RESTORING,
        other => other,
    }
}

/// Whether a disk is being changed: what it held before, it does not hold any more.
fn writes(report: &Report) -> bool {
    let phases = [Phase::Restore, Phase::Compare].map(Phase::name);
    report
        .phase
        .as_deref()
        .is_some_and(|phase| phases.contains(&phase))
}

/// A computer as the manager shows it: its clock counts, not that of whoever looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Shown {
    /// Seconds since it reported.
    pub age: u64,
    /// Whether it is at work, but says nothing more.
    pub silent: bool,
    /// The computer.
    #[serde(flatten)]
    pub computer: Computer,
}

impl Shown {
    /// What of it concerns images that `sees` accepts; nothing if the computer works with another.
    pub fn concerning(mut self, sees: impl Fn(&str) -> bool) -> Option<Self> {
        let computer = &mut self.computer;
        if !sees(&computer.report.image) {
            return None;
        }
        computer.report.to.take_if(|to| !sees(to));
        computer.carries.take_if(|carried| !sees(&carried.image));
        computer.failures.retain(|failed| sees(&failed.image));
        for failed in &mut computer.failures {
            failed.to.take_if(|to| !sees(to));
        }
        Some(self)
    }
}

/// All computers, by name and address: live systems started from one boot image may all have the same name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Room {
    computers: BTreeMap<Key, Arc<Computer>>,
}

/// Name and address.
type Key = (String, String);

/// There are too many computers, all of them heard of lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {HOSTS} computers report")]
pub struct Full;

impl Room {
    /// Those that were written down; more than there may be are left out.
    pub fn of(computers: Vec<Computer>) -> Self {
        let fit = |computer: &Computer| computer.report.check().is_ok();
        let named = computers
            .into_iter()
            .filter(fit)
            .take(HOSTS)
            .map(|computer| {
                let computer = computer.tidied();
                let key = (computer.report.host.clone(), computer.address.clone());
                (key, Arc::new(computer))
            });
        Self {
            computers: named.collect(),
        }
    }

    /// Takes a report that was checked. Where there are too many, one computer makes room for a new one.
    ///
    /// # Errors
    /// [`Full`].
    pub fn note(&mut self, report: Report, address: &str, now: u64) -> Result<&Computer, Full> {
        let key = (report.host.clone(), address.to_owned());
        let former = self.computers.remove(&key);
        let former = former.or_else(|| self.moved(&report.host, now));
        if former.is_none() && self.computers.len() >= HOSTS {
            self.make_room(address, now)?;
        }
        let (carries, failures) = former
            .map(Arc::unwrap_or_clone)
            .map(|former| (former.carries, former.failures))
            .unwrap_or_default();
        let mut computer = Computer {
            address: address.to_owned(),
            seen: now,
            report,
            carries,
            failures,
        };
        computer.note(now);
        Ok(self.computers.entry(key).or_insert(Arc::new(computer)))
    }

    /// Forgets one for a new one: of the address with the most, the new one counted, the one that was silent longest.
    /// Whoever invents names loses their own thus, and not those of others; many behind one address are fine as long
    /// as there is room.
    fn make_room(&mut self, address: &str, now: u64) -> Result<(), Full> {
        let mut counts = HashMap::from([(whose(address), 1_usize)]);
        let all = self.computers.iter();
        let all: Vec<_> = all.map(|(key, it)| (whose(&key.1), key, it.seen)).collect();
        for (whose, ..) in &all {
            *counts.entry(*whose).or_default() += 1;
        }
        let most = counts.values().copied().max().unwrap_or(1);
        let of_most = all.iter().filter(|(whose, ..)| counts[whose] == most);
        let oldest = of_most.min_by_key(|(.., seen)| Reverse(away(*seen, now)));
        let is_to_go = |seen: u64| most > 1 || away(seen, now) > FORGETTABLE;
        let oldest = oldest.filter(|(.., seen)| is_to_go(*seen));
        let oldest = oldest.map(|(_, key, _)| (*key).clone()).ok_or(Full)?;
        self.computers.remove(&oldest);
        Ok(())
    }

    /// Takes away what was known under a name at addresses that nobody has used for long; the newest of it.
    fn moved(&mut self, host: &str, now: u64) -> Option<Arc<Computer>> {
        let is_old =
            |key: &Key, it: &mut Arc<Computer>| key.0 == host && away(it.seen, now) > MOVED;
        let old = self.computers.extract_if(.., is_old);
        old.map(|(_, computer)| computer).max_by_key(|it| it.seen)
    }

    /// All of them, by name and address.
    pub fn computers(&self) -> impl Iterator<Item = &Computer> {
        self.computers.values().map(AsRef::as_ref)
    }

    /// The same, to be looked at while the room changes.
    pub fn all(&self) -> Vec<Arc<Computer>> {
        self.computers.values().cloned().collect()
    }

    /// How many of them are at work now.
    pub fn at_work(&self, now: u64) -> usize {
        let works = |it: &&Computer| it.report.state == State::Running && !it.is_silent(now);
        self.computers().filter(works).count()
    }
}

/// How far a time is from now, in seconds. One that is still to come is of a clock that was ahead: it was long ago.
fn away(time: u64, now: u64) -> u64 {
    time.abs_diff(now)
}

/// Who shares with whom. What is no address is like itself alone.
fn whose(address: &str) -> Result<IpAddr, &str> {
    address.parse().map(peer).map_err(|_| address)
}

#[cfg(test)]
mod tests;
