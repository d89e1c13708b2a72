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
mod tests {
    use super::{Computer, FAILURES, FORGETTABLE, HOSTS, MOVED, OLD, Room, SILENT};
    use crate::report::Report;

    fn report(host: &str, job: &str) -> Report {
        Report::begun(host, job, "REPO:aula1/win")
    }

    #[test]
    fn a_disk_that_is_half_written_carries_nothing() {
        let mut room = Room::default();
        let at = |phase: &str| Report {
            phase: Some(phase.to_owned()),
            ..report("pc1", "deploy")
        };
        let mut carries =
            |report: Report| room.note(report, "10.0.0.1", 1).unwrap().carries.is_some();
        assert!(carries(at("restore").finished()));
        assert!(carries(at("assemble")), "only the cache is written");
        assert!(carries(at("assemble").failed("repo/unreachable", "")));
        assert!(!carries(at("restore")));
        assert!(!carries(at("read-back")), "it is not done yet");
        assert!(!carries(at("restore").failed("disk/io", "")));
        assert!(carries(at("compare").finished()));
        assert!(!carries(at("compare").failed("disk/io", "")));
    }

    #[test]
    fn the_newest_counts_and_failures_are_remembered() {
        let mut room = Room::default();
        for time in 0..5 {
            let job = ["image-restore", "a", "b", "c", "a"][time];
            let failed = report("pc1", job).failed("disk/no-space", "full");
            room.note(failed, "10.0.0.1", time as u64).unwrap();
        }
        let done = Report {
            identity: Some("ab".repeat(32)),
            ..report("pc1", "deploy").finished()
        };
        let one = room.note(done, "10.0.0.1", 7).unwrap();
        assert_eq!((one.address.as_str(), one.seen), ("10.0.0.1", 7));
        let times: Vec<u64> = one.failures.iter().map(|it| it.when).collect();
        assert_eq!(times, [4, 3, 2], "each job once, the newest first");
        assert_eq!(times.len(), FAILURES);
        let carries = one.carries.clone().unwrap();
        assert_eq!(
            (carries.image.as_str(), carries.since),
            ("REPO:aula1/win", 7)
        );
        // A capture changes nothing about what it carries.
        let captured = report("pc1", "image-create").finished();
        let one = room.note(captured, "10.0.0.1", 8).unwrap();
        assert_eq!(one.carries, Some(carries));
        assert_eq!(room.computers().count(), 1);
    }

    #[test]
    fn a_failure_is_remembered_until_the_same_succeeds() {
        let mut room = Room::default();
        let of = |job, image| Report::begun("pc1", job, image);
        let mut left = |report: Report| {
            let computer = room.note(report, "10.0.0.1", 1).unwrap();
            let failures = computer.failures.iter();
            failures.map(|it| it.image.clone()).collect::<Vec<_>>()
        };
        let failed = |image| of("deploy", image).failed("disk/io", "");
        left(failed("REPO:win"));
        let both = left(failed("REPO:data"));
        assert_eq!(both, ["REPO:data", "REPO:win"]);
        assert_eq!(left(of("deploy", "REPO:win")), both, "it is tried again");
        assert_eq!(left(of("image-copy", "REPO:win").finished()), both);
        let restored = of("image-restore", "REPO:win").finished();
        assert_eq!(left(restored), ["REPO:data"]);
        assert_eq!(left(of("deploy", "REPO:new")), ["REPO:data"]);
        let copy = |to| of("image-copy", "REPO:win").going_to(to);
        left(copy("USB-a:win").failed("disk/no-space", ""));
        let elsewhere = left(copy("USB-b:win").finished());
        assert_eq!(elsewhere, ["REPO:win", "REPO:data"]);
        assert_eq!(left(copy("USB-a:win").finished()), ["REPO:data"]);
        let empty: [&str; 0] = [];
        assert_eq!(left(of("deploy", "REPO:data").finished()), empty);
    }

    #[test]
    fn a_name_that_means_nothing_is_forgotten_when_the_work_is_done() {
        let mut room = Room::default();
        let of = |job, image| Report::begun("pc1", job, image);
        let mut left = |report: Report| {
            let computer = room.note(report, "10.0.0.1", 1).unwrap();
            let failures = computer.failures.iter();
            failures.map(|it| it.image.clone()).collect::<Vec<_>>()
        };
        left(of("image-restore", "REPO:wim").failed("image/not-found", ""));
        left(of("deploy", "REPO:Win").failed("image/case-twin", ""));
        left(of("deploy", "REPO:data").failed("disk/io", ""));
        let both = left(of("cache-update", "REPO:win").finished());
        assert_eq!(both, ["REPO:data", "REPO:Win", "REPO:wim"], "another work");
        assert_eq!(left(of("deploy", "REPO:win")), both, "it is not done yet");
        let failed = left(of("deploy", "REPO:win").failed("disk/io", ""));
        assert_eq!(failed, ["REPO:win", "REPO:data", "REPO:Win"]);
        assert_eq!(left(of("deploy", "REPO:win").finished()), ["REPO:data"]);
    }

    #[test]
    fn a_failure_of_long_ago_is_forgotten_unless_nothing_came_after_it() {
        let mut room = Room::default();
        let failed = report("pc1", "deploy").failed("disk/io", "");
        let one = room.note(failed, "10.0.0.1", 1).unwrap();
        let shown = |one: &Computer, now| one.shown(now).computer.failures.len();
        assert_eq!(shown(one, OLD + 2), 1, "it is how the computer is");
        let other = report("pc1", "image-create").finished();
        let one = room.note(other, "10.0.0.1", 2).unwrap();
        assert_eq!((shown(one, OLD + 1), shown(one, OLD + 2)), (1, 0));
        assert_eq!(one.failures.len(), 1);
        let other = report("pc1", "image-create").finished();
        let one = room.note(other, "10.0.0.1", OLD + 2).unwrap();
        assert!(one.failures.is_empty(), "nor is it kept");
    }

    #[test]
    fn two_of_one_name_are_two_until_one_has_moved() {
        let mut room = Room::default();
        let failed = report("live", "deploy").failed("disk/io", "");
        room.note(failed, "10.0.0.1", 1).unwrap();
        let other = report("live", "deploy").finished();
        room.note(other, "10.0.0.2", 2).unwrap();
        let carries = room.computers().map(|it| it.carries.is_some());
        assert_eq!(carries.collect::<Vec<_>>(), [false, true]);
        // The first comes by another address a day later; the second is heard of all the time.
        room.note(report("live", "deploy").finished(), "10.0.0.2", MOVED)
            .unwrap();
        let moved = room.note(report("live", "deploy"), "10.0.0.3", MOVED + 2);
        assert_eq!(moved.unwrap().failures.len(), 1);
        let addresses: Vec<_> = room.computers().map(|it| it.address.as_str()).collect();
        assert_eq!(addresses, ["10.0.0.2", "10.0.0.3"]);
    }

    #[test]
    fn who_says_nothing_more_is_silent() {
        let mut room = Room::default();
        room.note(report("pc1", "deploy"), "a", 100).unwrap();
        room.note(report("pc2", "deploy").finished(), "b", 100)
            .unwrap();
        assert_eq!(room.at_work(100 + SILENT), 1);
        assert_eq!(room.at_work(101 + SILENT), 0);
        let silent = room.computers().map(|it| it.is_silent(101 + SILENT));
        assert_eq!(silent.collect::<Vec<_>>(), [true, false]);
        // The clock went back a little; and so far that whoever is at work has to tell again.
        assert_eq!((room.at_work(100 - SILENT), room.at_work(0)), (1, 0));
    }

    #[test]
    fn a_flood_of_names_does_not_drive_out_who_is_there() {
        let mut room = Room::default();
        let nat = |number: usize| (format!("live{number}"), "10.9.0.1");
        for (host, address) in (0..60).map(nat) {
            room.note(report(&host, "deploy"), address, 1).unwrap();
        }
        for number in 0..40 {
            let address = format!("10.0.0.{number}");
            room.note(report("pc", "deploy"), &address, 1).unwrap();
        }
        // Later than that, and from as many addresses as one computer of IPv6 has.
        for number in 0..HOSTS + 200 {
            let (host, address) = (format!("invented{number}"), format!("fd00::{number:x}"));
            let time = 2 * FORGETTABLE + number as u64;
            room.note(report(&host, "deploy"), &address, time).unwrap();
        }
        let there = |address: &str| {
            let all = room.computers();
            all.filter(|it| it.address.starts_with(address)).count()
        };
        assert_eq!((there("10.9."), there("10.0.")), (60, 40));
        assert_eq!(room.computers().count(), HOSTS);
        let latest = format!("invented{}", HOSTS + 199);
        assert!(room.computers().any(|it| it.report.host == latest));
        let new = room.note(report("new", "deploy"), "10.0.1.1", 3 * FORGETTABLE);
        assert!(new.is_ok(), "who comes then has its place");
        assert_eq!(room.computers().count(), HOSTS);
    }

    #[test]
    fn regression_what_a_clock_that_was_ahead_noted_does_not_last() {
        let mut room = Room::default();
        let (ahead, now) = (4 * OLD, OLD);
        let failed = report("pc1", "deploy").failed("disk/io", "");
        room.note(failed, "10.0.0.1", ahead).unwrap();
        room.note(report("pc1", "deploy"), "10.0.0.1", ahead)
            .unwrap();
        assert_eq!((room.at_work(ahead), room.at_work(now)), (1, 0));
        let shown = room.computers().next().unwrap().shown(now);
        assert!(shown.silent);
        assert_eq!((shown.age, shown.computer.seen), (0, now));
        assert_eq!(shown.computer.failures[0].when, now, "it is not lost");
        // It goes for others first, and where it is now it is the same one.
        room.note(report("pc2", "deploy"), "10.0.0.1", now).unwrap();
        room.note(report("pc1", "deploy"), "10.0.0.2", now).unwrap();
        let all = room
            .computers()
            .map(|it| (it.report.host.as_str(), it.address.as_str()));
        assert_eq!(
            all.collect::<Vec<_>>(),
            [("pc1", "10.0.0.2"), ("pc2", "10.0.0.1")]
        );
        for number in room.computers().count()..HOSTS {
            let host = format!("pc{}", number + 1);
            room.note(report(&host, "deploy"), "10.0.0.1", now).unwrap();
        }
        room.note(report("pc9", "deploy"), "10.0.0.1", ahead)
            .unwrap();
        room.note(report("new", "deploy"), "10.0.0.1", now).unwrap();
        assert!(room.computers().all(|it| it.report.host != "pc9"));
    }

    #[test]
    fn where_all_are_single_who_was_heard_of_lately_stays() {
        let mut room = Room::default();
        for number in 0..u32::try_from(HOSTS).unwrap() {
            let time = if number == 7 { 1 } else { 2 };
            let address = std::net::Ipv4Addr::from_bits(number).to_string();
            room.note(report("pc", "deploy"), &address, time).unwrap();
        }
        let mut new = |time| room.note(report("pc", "deploy"), "10.0.0.1", time).is_ok();
        assert!(!new(FORGETTABLE + 1));
        assert!(new(FORGETTABLE + 2));
        let gone = std::net::Ipv4Addr::from_bits(7).to_string();
        assert_eq!(room.computers().count(), HOSTS);
        assert!(room.computers().all(|it| it.address != gone));
    }

    #[test]
    fn what_was_written_down_comes_back() {
        let mut room = Room::default();
        let failed = report("pc1", "deploy").failed("disk/io", "no");
        room.note(failed, "10.0.0.1", 5).unwrap();
        let text = serde_json::to_string(&room.computers().collect::<Vec<_>>()).unwrap();
        let mut kept = serde_json::from_str::<Vec<super::Computer>>(&text).unwrap();
        assert_eq!(Room::of(kept.clone()), room);
        // Written down by programs that remembered every failure.
        let again = kept[0].failures[0].clone();
        kept[0].failures.push_back(again.clone());
        assert_eq!(Room::of(kept.clone()), room);
        kept[0].report = report("pc1", "deploy").finished();
        assert!(
            Room::of(kept.clone())
                .computers()
                .all(|it| it.failures.is_empty())
        );
        kept[0].report.host = "\u{1b}".to_owned();
        assert_eq!(Room::of(kept), Room::default());
    }
}
