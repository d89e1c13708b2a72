//! The work itself: fetch and copy, record now and then, move what moves, look once more.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use azud_core::assembly::{Layout, Need, Origin, Plan, Run};
use azud_core::bitmap::Bitmap;
use azud_core::progress::{Interrupted, Phase, Progress};

use super::arrivals::Ending;
use super::check::Checked;
use super::fill::{Event, Filler};
use super::look::View;
use super::moving::{Old, can_punch};
use super::state::Journal;
use super::{Assembly, Prospect, Report, Way, check};
use crate::durable;
use crate::error::{At, Result, StoreError};
use crate::publish::{Staging, Written};

/// After so long the journal is due.
const RECORD_TIME: Duration = Duration::from_secs(2);

/// A whole file is looked at once more after pieces of it had to be replaced, so often.
const LOOKS: u32 = 3;

/// An assembly at work.
pub(super) struct Work<'a> {
    assembly: &'a Assembly<'a>,
    view: View,
    file: File,
    path: PathBuf,
    journal: Journal,
    old: Option<Old>,
    shares: Option<u64>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    local: u64,
    left: u64,
    source: u64,
    missing: Vec<usize>,
    damaged: usize,
}

impl<'a> Work<'a> {
    /// Opens or makes the files, reserves the room.
    pub(super) fn begin(
        assembly: &'a Assembly<'a>,
        staging: &Staging,
        mut view: View,
    ) -> Result<Self> {
        let path = staging.path();
        let (file, journal) = match view.state.take() {
            Some(state) if path.exists() => {
                let file = durable::reopen(&path)?;
                (file, Journal::resume(staging.dir(), state.record)?)
            }
            _ => {
                let file = durable::create(&path)?;
                let journal = Journal::begin(staging.dir(), &assembly.wanted)?;
                durable::sync_dir(assembly.image.dir())?;
                (file, journal)
            }
        };
        let same_file = file.try_clone().at("open", &path)?;
        let arrivals = &assembly.arrivals;
        arrivals.begin(same_file, journal.tracker().placed());
        let shares = view
            .locals
            .first()
            .is_some_and(|local| view.medium.shares && shares(staging, local.stored.file()));
        let block = view.medium.block;
        let mut work = Self {
            assembly,
            file,
            path,
            journal,
            old: None,
            shares: shares.then_some(block),
            counts: Counts::default(),
            view,
        };
        if work.view.way == Way::Move {
            work.old = Some(work.take_old()?);
        }
        work.reserve()?;
        Ok(work)
    }

    fn take_old(&self) -> Result<Old> {
        let Some(local) = self.view.locals.first() else {
            return Err(StoreError::NotFound(self.assembly.image.path()));
        };
        let resumed = self.journal.tracker().recorded().moving.is_some();
        let (size, block) = (self.assembly.wanted.size(), self.view.medium.block);
        if !resumed && !can_punch(&self.file, &self.path, size, block) {
            return Err(StoreError::TooLittleRoom {
                path: self.assembly.image.path(),
                needs: self.view.need.copy,
                has: self.view.medium.available,
            });
        }
        Old::take(local)
    }

    /// Whether a run moves, and so must wait for its room.
    fn moves(&self, run: &Run) -> bool {
        let from_old = matches!(run.origin, Origin::Local { file: 0, .. });
        let shared = self
            .shares
            .is_some_and(|block| run.shareable(block).is_some());
        self.old.is_some() && from_old && !shared
    }

    /// Reserves the room of all that is written before anything moves.
    fn reserve(&self) -> Result<()> {
        let ending = self.assembly.wanted.ending().len() as u64;
        let ending = (self.assembly.wanted.ending_offset(), ending);
        let mut parts: Vec<(u64, u64)> = Vec::new();
        let runs = self.view.plan.runs().iter().filter(|run| !self.moves(run));
        for (offset, len) in runs.flat_map(|run| self.unshared(run)).chain([ending]) {
            match parts.last_mut() {
                Some((at, before)) if *at + *before == offset => *before += len,
                _ => parts.push((offset, len)),
            }
        }
        for (offset, len) in parts.into_iter().filter(|(_, len)| *len > 0) {
            durable::reserve(&self.file, &self.path, offset, len)?;
        }
        Ok(())
    }

    fn unshared(&self, run: &Run) -> [(u64, u64); 2] {
        let end = run.offset + run.len;
        match self.shares.and_then(|block| run.shareable(block)) {
            Some((start, len)) => [
                (run.offset, start - run.offset),
                (start + len, end - start - len),
            ],
            None => [(run.offset, run.len), (end, 0)],
        }
    }

    /// Until the file is whole and on the medium.
    pub(super) fn run(&mut self, progress: &dyn Progress) -> Result<Written> {
        let mut checked = self.fill_followed(progress)?;
        for _ in 1..LOOKS {
            if let Some(written) = self.judge(checked) {
                return Ok(written);
            }
            self.fetch_missing(progress)?;
            checked = self.look(progress)?;
        }
        self.judge(checked).ok_or_else(|| {
            StoreError::corrupt(&self.path, "the medium does not keep what it is given")
        })
    }

    /// Fills the file, while somebody follows and looks at it.
    fn fill_followed(&mut self, progress: &dyn Progress) -> Result<Checked> {
        let assembly = self.assembly;
        let (arrivals, wanted) = (&*assembly.arrivals, &assembly.wanted);
        let path = self.path.clone();
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            let mut tell = move |len| {
                let sent = tell.send(len);
                sent.map_err(|_| StoreError::Interrupted(Interrupted))
            };
            let path = &path;
            let follower = scope.spawn(move || check::follow(arrivals, (wanted, path), &mut tell));
            let ending = Ending(arrivals);
            let done = self.fill_all(progress);
            drop(ending);
            let done = done.and_then(|()| rest(wanted, told, progress));
            let checked = follower
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            done?;
            checked?.ok_or(StoreError::Interrupted(Interrupted))
        })
    }

    fn fill_all(&mut self, progress: &dyn Progress) -> Result<()> {
        let runs = self.view.plan.runs();
        progress.begin(Phase::Assemble, runs.iter().map(|run| run.len).sum());
        let (moves, others): (Vec<Run>, Vec<Run>) = runs.iter().partition(|run| self.moves(run));
        self.fill(&others, progress)?;
        self.fetch_missing(progress)?;
        self.move_over(&moves, progress)?;
        self.fetch_missing(progress)?;
        progress.end();
        self.end()
    }

    fn fill(&mut self, runs: &[Run], progress: &dyn Progress) -> Result<()> {
        let Self {
            assembly,
            view,
            file,
            path,
            journal,
            counts,
            ..
        } = self;
        let filler = Filler {
            file,
            path,
            wanted: &assembly.wanted,
            locals: &view.locals,
            source: assembly.source,
            arrivals: &assembly.arrivals,
            hurts: &assembly.hurts,
            shares: self.shares,
        };
        let mut last = Instant::now();
        let done = filler.fill(runs, RECORD_TIME, |event| {
            match event {
                Event::Placed(pieces, origin) => {
                    let mut bytes = 0;
                    for number in pieces {
                        let len = assembly.wanted.pieces()[number].len;
                        journal.tracker_mut().place(number, len);
                        bytes += u64::from(len);
                    }
                    match origin {
                        Origin::Source => counts.source += bytes,
                        Origin::Local { file, .. } => {
                            counts.local += bytes;
                            counts.left += if view.left.contains(&file) { bytes } else { 0 };
                        }
                    }
                    // Also where the work is to end now, all of them are there.
                    progress.advance(bytes)?;
                }
                Event::Missing(number) => counts.missing.push(number),
                Event::Tick => {}
            }
            let fresh = journal.tracker().fresh_bytes();
            if fresh >= assembly.step || (fresh > 0 && last.elapsed() >= RECORD_TIME) {
                journal.record((file, path), None)?;
                last = Instant::now();
            }
            Ok(())
        });
        if journal.tracker().fresh_bytes() > 0 {
            // Also after a failure: what is here need not come again.
            let recorded = journal.record((file, path), None);
            return done.and(recorded);
        }
        done
    }

    /// Fetches what images here should have had.
    fn fetch_missing(&mut self, progress: &dyn Progress) -> Result<()> {
        let missing = std::mem::take(&mut self.counts.missing);
        if missing.is_empty() {
            return Ok(());
        }
        self.counts.damaged += missing.len();
        let mut there = Bitmap::full(self.assembly.wanted.pieces().len() as u64);
        for number in missing {
            there.clear(number as u64);
        }
        let plan = Plan::make(&self.assembly.wanted, &there, &[]);
        self.fill(plan.runs(), progress)
    }

    /// Copies, syncs, records and gives up, batch by batch.
    fn move_over(&mut self, runs: &[Run], progress: &dyn Progress) -> Result<()> {
        let Some(mut old) = self.old.take() else {
            return Ok(());
        };
        let block = self.view.medium.block;
        let room = self.view.medium.available;
        let room = Need::batch(room.saturating_sub(self.view.need.moving));
        let batch = room.min(self.assembly.step);
        let mut done = self.give_up(&mut old, block);
        let mut rest = runs;
        while done.is_ok() && !rest.is_empty() {
            let mut bytes = 0;
            let count = rest.iter().take_while(|run| {
                bytes += run.len;
                bytes <= batch
            });
            let (now, later) = rest.split_at(count.count().max(1));
            rest = later;
            done = self.fill(now, progress);
            done = done.and_then(|()| self.give_up(&mut old, block));
        }
        self.old = Some(old);
        done
    }

    /// Says in the journal that the old image is no longer whole, then gives up what is recorded.
    fn give_up(&mut self, old: &mut Old, block: u64) -> Result<()> {
        old.refuse_second_name()?;
        let moving = old.identity();
        if !self.journal.surely_moves(moving) {
            self.journal
                .record((&self.file, &self.path), Some(moving))?;
        }
        let recorded = &self.journal.tracker().recorded().verified;
        old.give_up(&self.assembly.wanted, recorded, block)
    }

    /// The ending, and the length.
    fn end(&mut self) -> Result<()> {
        let wanted = &self.assembly.wanted;
        let written = self
            .file
            .write_all_at(wanted.ending(), wanted.ending_offset());
        written.at("write", &self.path)?;
        self.file
            .set_len(wanted.size())
            .at("set the length of", &self.path)?;
        durable::sync_file(&self.file, &self.path)
    }

    /// Looks at the whole file again.
    fn look(&mut self, progress: &dyn Progress) -> Result<Checked> {
        let wanted = &self.assembly.wanted;
        progress.begin(Phase::Verify, wanted.ending_offset());
        let mut told = |len| Ok(progress.advance(len)?);
        let arrivals = &self.assembly.arrivals;
        let checked = check::follow(arrivals, (wanted, &self.path), &mut told)?;
        progress.end();
        checked.ok_or(StoreError::Interrupted(Interrupted))
    }

    /// What was written; `None` when pieces of it are not what they should be.
    fn judge(&mut self, checked: Checked) -> Option<Written> {
        if checked.bad.is_empty() && self.journal.tracker().is_complete() {
            return Some(Written {
                len: self.assembly.wanted.size(),
                sums: checked.sums,
            });
        }
        for number in checked.bad {
            self.journal.tracker_mut().lose(number);
            self.counts.missing.push(number);
        }
        None
    }

    pub(super) fn report(&self, prospect: &Prospect) -> Report {
        Report {
            way: self.view.way,
            resumed: prospect.resumed,
            local: self.counts.local,
            left: self.counts.left,
            source: self.counts.source,
            damaged: self.counts.damaged,
            ..Report::nothing(prospect)
        }
    }

    /// Closes the files: what is open NFS does not remove and SMB does not replace. Only an old image that is used up
    /// stays open, for as long as what is returned, so that nobody reads it until the new one is there.
    pub(super) fn close(mut self) -> Option<View> {
        self.view.locals.truncate(1);
        self.old.is_some().then_some(self.view)
    }
}

/// Shows how far those are who follow, and waits for them.
fn rest(wanted: &Layout, told: Receiver<u64>, progress: &dyn Progress) -> Result<()> {
    progress.begin(Phase::Verify, wanted.ending_offset());
    for len in told {
        progress.advance(len)?;
    }
    progress.end();
    Ok(())
}

/// Whether this file can share blocks with one that is made here; tried on one that is thrown away.
fn shares(staging: &Staging, with: &File) -> bool {
    let path = staging.dir().join("probe");
    let Ok(probe) = durable::create(&path) else {
        return false;
    };
    let shared = rustix::fs::ioctl_ficlone(&probe, with).is_ok();
    durable::remove_file(&path).is_ok() && shared
}
