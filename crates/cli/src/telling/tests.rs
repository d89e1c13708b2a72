use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::sleep;
use std::time::{Duration, Instant};

use azud_core::code::Code;
use azud_core::report::{Report, State};
use azud_transport::NetError;

use super::{LAST_WORDS, Now, Relative, SHARE, Work};
use crate::failure::Failure;
use crate::progress::meter::Meter;

/// No longer than that, however slow this computer is.
const SOON: Duration = Duration::from_secs(5);

/// Work that took so long, of which the manager heard already or not.
fn work(took: Duration, heard: bool) -> Arc<Work> {
    Arc::new(Work {
        begun: Instant::now().checked_sub(took).unwrap(),
        done: AtomicU64::new(0),
        now: Mutex::new(Now {
            told: "10.0.0.1".to_owned(),
            report: Report::begun("pc1", "deploy", "REPO:win"),
            names: Relative::default(),
            meter: Meter::new(0, Duration::ZERO),
            last: false,
            heard,
            silent: false,
        }),
        changed: Condvar::new(),
    })
}

fn away() -> NetError {
    NetError::Unreachable {
        host: "10.0.0.1".to_owned(),
        source: std::io::ErrorKind::ConnectionRefused.into(),
    }
}

/// What a manager hears that is away for a time after the work; and how long its end is held.
fn heard(work: &Arc<Work>, gone: Duration, failure: Option<&Failure>) -> (Option<State>, Duration) {
    let begun = Instant::now();
    let heard = Arc::new(Mutex::new(None));
    let (told, hears) = (Arc::clone(work), Arc::clone(&heard));
    let thread = std::thread::spawn(move || {
        told.tell(|report| {
            if begun.elapsed() < gone {
                return Err(away());
            }
            *hears.lock().unwrap() = Some(report.state);
            Ok(())
        });
    });
    work.end(failure);
    let held = begun.elapsed();
    thread.join().unwrap();
    let heard = *heard.lock().unwrap();
    (heard, held)
}

#[test]
fn a_manager_that_is_away_for_a_moment_hears_how_long_work_ended() {
    let (long, gone) = (Duration::from_mins(1), Duration::from_secs(2));
    let (state, held) = heard(&work(long, true), gone, None);
    assert_eq!(state, Some(State::Done));
    assert!(held < SOON, "{held:?}");
}

#[test]
fn short_work_and_work_that_was_stopped_is_not_held_up() {
    let gone = Duration::from_mins(1);
    let stopped = Failure::new(Code::Interrupted, "");
    let short = (Duration::from_secs(3), None);
    for (took, failure) in [short, (Duration::from_secs(90), Some(&stopped))] {
        let (state, held) = heard(&work(took, true), gone, failure);
        assert_eq!(state, None);
        assert!(held < SOON, "{held:?}");
    }
}

#[test]
fn a_manager_that_never_heard_of_the_work_holds_it_for_a_moment_only() {
    let long = Duration::from_mins(1);
    let (state, held) = heard(&work(long, false), long, None);
    assert_eq!(state, None);
    assert!(held < 2 * LAST_WORDS, "{held:?}");
    let (_, held) = heard(&work(long, true), long, None);
    assert!(held >= long / SHARE, "{held:?}");
}

#[test]
fn a_manager_that_takes_a_report_and_says_nothing_holds_nobody() {
    let work = work(Duration::from_mins(1), false);
    let told = Arc::clone(&work);
    let (speaks, silence) = mpsc::channel::<()>();
    let (took, taken) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        told.tell(|_| {
            let _ = took.send(());
            let _ = silence.recv();
            Err(away())
        });
    });
    taken.recv().unwrap();
    let begun = Instant::now();
    work.end(None);
    let held = begun.elapsed();
    drop(speaks);
    thread.join().unwrap();
    assert!(held < 2 * LAST_WORDS, "{held:?}");
}

#[test]
fn a_manager_is_told_a_few_times_a_second_however_much_happens() {
    const FEW: Duration = Duration::from_millis(250);
    let work = work(Duration::ZERO, false);
    let (told, heard) = (Arc::clone(&work), Arc::new(Mutex::new(Vec::new())));
    let hears = Arc::clone(&heard);
    let thread = std::thread::spawn(move || {
        told.tell(|report| {
            hears.lock().unwrap().push((Instant::now(), report.done));
            Ok(())
        });
    });
    let end = Instant::now() + 10 * FEW;
    while Instant::now() < end {
        work.done.fetch_add(1, Ordering::Relaxed);
        work.changed.notify_all();
        sleep(Duration::from_millis(1));
    }
    work.end(None);
    thread.join().unwrap();
    let heard = heard.lock().unwrap();
    let (last, heard) = heard.split_last().unwrap();
    assert!((2..=10).contains(&heard.len()), "{} times", heard.len());
    let apart = |two: &[(Instant, u64)]| two[1].0 - two[0].0 >= FEW;
    assert!(heard.windows(2).all(apart), "{heard:?}");
    let done = work.done.load(Ordering::Relaxed);
    assert_eq!(last.1, done, "how it ended is told at once");
}
