//! Progress of long work: a bar on a terminal, lines where there is none, objects for programs,
//! nothing with `--quiet`.
//!
//! Invariant: `advance` is an addition and a look at the clock; who draws takes a lock that nobody
//! waits for.

pub(crate) mod behind;
pub mod meter;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use azud_core::progress::{Interrupted, Phase, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::human;
use crate::i18n::Catalog;
use crate::interrupt;
use crate::output::Output;
use crate::telling::Teller;
use meter::{Meter, Reading};

/// Work that counts nothing is told of when it took so long.
const TELLING: Duration = Duration::from_secs(1);
/// Work that stands still is shown to do so; not more often.
const STILL: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Silent,
    Bar,
    Lines,
    Json,
}

impl Style {
    fn of(output: &Output) -> Self {
        match (output.mode(), output.terminal()) {
            (mode, _) if mode.quiet => Self::Silent,
            (mode, _) if mode.json => Self::Json,
            (_, true) => Self::Bar,
            (_, false) => Self::Lines,
        }
    }

    const fn interval(self) -> Duration {
        match self {
            Self::Silent => Duration::MAX,
            Self::Bar => Duration::from_millis(100),
            Self::Lines => Duration::from_secs(5),
            Self::Json => Duration::from_millis(200),
        }
    }
}

struct Running {
    phase: Phase,
    meter: Meter,
    bar: Option<ProgressBar>,
}

/// What took less was done along with what went before: no rate would be true.
const SHORT: Duration = Duration::from_millis(100);

/// Shows the progress of one command. Drop it before printing the result: that takes the bar away.
pub struct Reporter<'a> {
    face: Arc<Face>,
    /// Whoever looks whether the work stands still comes with the first of it.
    watch: Once,
    teller: Option<&'a Teller>,
}

/// What is shown, and to whom.
struct Face {
    catalog: Arc<Catalog>,
    output: Arc<Output>,
    style: Style,
    start: Instant,
    done: AtomicU64,
    /// When the next sign of life is due, in milliseconds since `start`.
    due: AtomicU64,
    running: Mutex<Option<Running>>,
}

impl std::fmt::Debug for Reporter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Reporter").field(&self.face.style).finish()
    }
}

impl<'a> Reporter<'a> {
    /// Nothing runs yet.
    pub fn new(catalog: &Arc<Catalog>, output: &Arc<Output>) -> Self {
        let face = Face {
            catalog: Arc::clone(catalog),
            output: Arc::clone(output),
            style: Style::of(output),
            start: Instant::now(),
            done: AtomicU64::new(0),
            due: AtomicU64::new(u64::MAX),
            running: Mutex::new(None),
        };
        face.schedule(Duration::ZERO);
        Self {
            face: Arc::new(face),
            watch: Once::new(),
            teller: None,
        }
    }

    /// The manager is told as well.
    #[must_use]
    pub fn telling(mut self, teller: &'a Teller) -> Self {
        self.teller = Some(teller);
        self
    }

    /// Where nothing advances, nobody draws: from now on somebody looks from time to time.
    fn watch(&self) {
        let (face, style) = (Arc::downgrade(&self.face), self.face.style);
        if style != Style::Silent {
            self.watch.call_once(|| {
                // Without it only standing still is not shown.
                let look = move || watch(&face, style.interval().max(STILL));
                let _ = thread::Builder::new().spawn(look);
            });
        }
    }
}

/// Looks until nobody has anything to show any more.
fn watch(face: &Weak<Face>, interval: Duration) {
    loop {
        thread::sleep(interval);
        let Some(face) = face.upgrade() else {
            return;
        };
        face.stand_at(face.start.elapsed());
    }
}

impl Face {
    fn begin_at(&self, phase: Phase, total: u64, now: Duration) {
        // Nobody said that what was going on came to its end.
        self.over(now, Meter::read);
        if self.style == Style::Silent {
            return;
        }
        self.done.store(0, Ordering::Relaxed);
        let bar = (self.style == Style::Bar).then(|| self.bar(phase, total));
        let meter = Meter::new(total, now);
        *self.lock() = Some(Running { phase, meter, bar });
    }

    fn advance_at(&self, bytes: u64, now: Duration) {
        let is_first = self.done.fetch_add(bytes, Ordering::Relaxed) == 0;
        if millis(now) < self.due.load(Ordering::Relaxed) {
            if is_first
                && let Ok(mut running) = self.running.try_lock()
                && let Some(running) = running.as_mut()
            {
                running.meter.read(now, bytes);
            }
            return;
        }
        // Whoever holds the lock is drawing already.
        if let Ok(mut running) = self.running.try_lock()
            && let Some(running) = running.as_mut()
        {
            self.schedule(now);
            let reading = running.meter.read(now, self.done.load(Ordering::Relaxed));
            self.draw(running, &reading);
        }
    }

    /// Shows how it is when nothing has advanced for a while.
    fn stand_at(&self, now: Duration) {
        let counts = |running: &Running| running.meter.counts();
        if self.lock().as_ref().is_some_and(counts) || self.done.load(Ordering::Relaxed) > 0 {
            self.advance_at(0, now);
        }
    }

    fn end_at(&self, now: Duration) {
        self.over(now, Meter::end);
    }

    /// The last word of a phase, and how far it came by then.
    fn over(&self, now: Duration, last: impl Fn(&mut Meter, Duration, u64) -> Reading) {
        let Some(mut running) = self.lock().take() else {
            return;
        };
        self.schedule(now);
        let reading = last(&mut running.meter, now, self.done.load(Ordering::Relaxed));
        if let Some(bar) = running.bar.take() {
            bar.finish_and_clear();
        }
        if self.style == Style::Json {
            self.draw(&running, &reading);
        } else if reading.done > 0 || running.meter.elapsed(now) >= TELLING {
            self.output.note(&self.summary(&running, &reading, now));
        }
    }

    fn draw(&self, running: &Running, reading: &Reading) {
        match (self.style, &running.bar) {
            (Style::Json, _) => self.output.json(&json!({ "progress": {
                "phase": running.phase.name(),
                "done": reading.done,
                "total": reading.total,
                "rate": reading.rate,
                "eta_s": reading.left.map(|left| left.as_secs()),
            }})),
            (Style::Bar, Some(bar)) => {
                bar.set_position(reading.done);
                bar.set_message(self.pace(reading));
            }
            _ => {
                let phase = self.phase(running.phase);
                let share = human::percent(reading.done, reading.total);
                let share = if reading.total == 0 {
                    String::new()
                } else {
                    format!(" {share}")
                };
                self.output
                    .note(&format!("{phase}:{share} {}", self.pace(reading)));
            }
        }
    }

    /// `1.2 GiB of 3.4 GiB, 123 MiB/s, 12 s left`.
    fn pace(&self, reading: &Reading) -> String {
        let mut text = human::bytes(reading.done);
        if reading.total > 0 {
            text = self.catalog.fmt(
                "progress-of",
                &[
                    ("done", text.into()),
                    ("total", human::bytes(reading.total).into()),
                ],
            );
        }
        text += ", ";
        text += &human::bytes(reading.rate);
        text += "/s";
        if let Some(left) = reading.left {
            text += ", ";
            let left = human::guess(left).into();
            text += &self.catalog.fmt("progress-left", &[("time", left)]);
        }
        text
    }

    fn summary(&self, running: &Running, reading: &Reading, now: Duration) -> String {
        let time = running.meter.elapsed(now);
        if reading.done == 0 {
            let phase = self.phase(running.phase).into();
            let values = [("phase", phase), ("time", human::duration(time).into())];
            return self.catalog.fmt("progress-done", &values);
        }
        let key = if time < SHORT {
            "progress-short"
        } else {
            "progress-end"
        };
        self.catalog.fmt(
            key,
            &[
                ("phase", self.phase(running.phase).into()),
                ("done", human::bytes(reading.done).into()),
                ("time", human::duration(time).into()),
                ("rate", human::rate(reading.done, time).into()),
            ],
        )
    }

    fn bar(&self, phase: Phase, total: u64) -> ProgressBar {
        let template = if total > 0 {
            "{prefix} [{bar:20}] {percent:>3} % {msg}"
        } else {
            "{prefix} {spinner} {msg}"
        };
        let style = ProgressStyle::with_template(template).expect("the template is constant");
        let total = (total > 0).then_some(total);
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(self.phase(phase));
        bar.tick();
        bar
    }

    fn phase(&self, phase: Phase) -> String {
        self.catalog.text(&format!("phase-{}", phase.name()))
    }

    fn schedule(&self, now: Duration) {
        let due = now.saturating_add(self.style.interval());
        self.due.store(millis(due), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Progress for Reporter<'_> {
    fn begin(&self, phase: Phase, total: u64) {
        if let Some(teller) = self.teller {
            teller.phase(phase, total);
        }
        self.face.begin_at(phase, total, self.face.start.elapsed());
        self.watch();
    }

    fn advance(&self, bytes: u64) -> Result<(), Interrupted> {
        if let Some(teller) = self.teller {
            teller.advance(bytes);
        }
        self.face.advance_at(bytes, self.face.start.elapsed());
        interrupt::go_on()
    }

    fn end(&self) {
        self.face.end_at(self.face.start.elapsed());
    }
}

impl Drop for Reporter<'_> {
    /// Work that failed half-way leaves no bar behind and no word of having ended.
    fn drop(&mut self) {
        if let Some(Running { bar: Some(bar), .. }) = self.face.lock().take() {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::time::{Duration, Instant};

    use azud_core::progress::{Phase, Progress};

    use super::{Reporter, STILL};
    use crate::i18n::{Catalog, Lang};
    use crate::output::memory::output;

    const MIB: u64 = 1 << 20;

    /// Ten seconds of work at 1 MiB every 10 ms; what was printed to either stream.
    fn work(json: bool, quiet: bool) -> (String, String) {
        let catalog = Catalog::new(Lang::En).into();
        let (output, out, err) = output(json, quiet);
        let reporter = Reporter::new(&catalog, &output.into());
        reporter
            .face
            .begin_at(Phase::Capture, 1000 * MIB, Duration::ZERO);
        for step in 1..=1000 {
            reporter
                .face
                .advance_at(MIB, Duration::from_millis(step * 10));
        }
        reporter.face.end_at(Duration::from_millis(10_001));
        (out.text(), err.text())
    }

    #[test]
    fn programs_get_at_most_five_objects_a_second() {
        let (out, err) = work(true, false);
        let lines: Vec<serde_json::Value> = out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!((45..=51).contains(&lines.len()), "{}", lines.len());
        let first = &lines[0]["progress"];
        assert_eq!(first["phase"], "capture");
        assert_eq!(first["done"], 20 * MIB);
        assert_eq!(first["total"], 1000 * MIB);
        assert_eq!(first["rate"], 100 * MIB);
        assert!(first["eta_s"].is_null(), "{first}");
        assert_eq!(lines[10]["progress"]["eta_s"], 7, "{:?}", lines[10]);
        assert_eq!(lines.last().unwrap()["progress"]["done"], 1000 * MIB);
        assert_eq!(err, "");
    }

    #[test]
    fn a_pipe_gets_a_line_every_five_seconds_and_one_at_the_end() {
        let (out, err) = work(false, false);
        assert_eq!(out, "");
        let lines: Vec<&str> = err.lines().collect();
        assert_eq!(lines.len(), 3, "{err}");
        assert_eq!(
            lines[0],
            "Capturing: 50.0 % 500 MiB of 1000 MiB, 100 MiB/s, 5 s left"
        );
        assert_eq!(lines[2], "Capturing: 1000 MiB in 10.0 s, 100 MiB/s");
    }

    /// Who asks another from time to time how far he is does not hear of the last piece.
    #[test]
    fn the_last_word_of_a_phase_is_the_whole() {
        let catalog = Catalog::new(Lang::En).into();
        for json in [true, false] {
            let (output, out, err) = output(json, false);
            let reporter = Reporter::new(&catalog, &output.into());
            reporter
                .face
                .begin_at(Phase::Assemble, 100 * MIB, Duration::ZERO);
            reporter.face.advance_at(97 * MIB, Duration::from_secs(1));
            reporter.face.end_at(Duration::from_secs(2));
            if !json {
                assert_eq!(err.text(), "Gathering: 100 MiB in 2.0 s, 50.0 MiB/s\n");
                continue;
            }
            let text = out.text();
            let last = text.lines().last().unwrap();
            let last: serde_json::Value = serde_json::from_str(last).unwrap();
            assert_eq!(last["progress"]["done"], 100 * MIB);
            assert_eq!(last["progress"]["eta_s"], 0);
        }
    }

    #[test]
    fn regression_work_that_counts_nothing_has_no_rate() {
        let catalog = Catalog::new(Lang::En).into();
        let (output, _, err) = output(false, false);
        let reporter = Reporter::new(&catalog, &output.into());
        reporter.face.begin_at(Phase::Map, 0, Duration::ZERO);
        reporter.face.end_at(Duration::from_millis(3));
        assert_eq!(err.text(), "", "nobody misses it");
        reporter.face.begin_at(Phase::Map, 0, Duration::ZERO);
        reporter.face.end_at(Duration::from_secs(7));
        assert_eq!(err.text(), "Reading the map: 7.0 s\n");
    }

    #[test]
    fn who_stands_still_is_shown_to_do_so() {
        let catalog = Catalog::new(Lang::En).into();
        let (output, out, _) = output(true, false);
        let reporter = Reporter::new(&catalog, &output.into());
        reporter.begin(Phase::Map, 0);
        thread::sleep(STILL * 3 / 2);
        assert_eq!(out.text(), "", "it counts nothing");
        reporter.begin(Phase::Assemble, 100);
        reporter.advance(50).unwrap();
        let before = out.text().lines().count();
        let begun = Instant::now();
        while out.text().lines().count() == before {
            assert!(begun.elapsed() < STILL * 60, "nobody looks");
            thread::sleep(STILL / 10);
        }
        let text = out.text();
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["progress"]["done"], 50);
        let face = Arc::downgrade(&reporter.face);
        drop(reporter);
        let lines = out.text().lines().count();
        while face.strong_count() > 0 {
            assert!(begun.elapsed() < STILL * 60, "somebody still looks");
            thread::sleep(STILL / 10);
        }
        assert_eq!(out.text().lines().count(), lines);
    }

    #[test]
    fn quiet_says_nothing() {
        assert_eq!(work(false, true), (String::new(), String::new()));
        assert_eq!(work(true, true), (String::new(), String::new()));
    }

    #[test]
    fn work_that_breaks_off_does_not_claim_to_have_ended() {
        let catalog = Catalog::new(Lang::En).into();
        let (output, _, err) = output(false, false);
        let reporter = Reporter::new(&catalog, &output.into());
        reporter.face.begin_at(Phase::Restore, 10, Duration::ZERO);
        reporter.face.advance_at(5, Duration::from_millis(1));
        drop(reporter);
        assert_eq!(err.text(), "");
    }
}
