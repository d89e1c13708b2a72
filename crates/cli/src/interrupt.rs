//! Signals that ask for an end: SIGINT (Ctrl-C), SIGTERM, SIGHUP.
//!
//! As long as a plan is only read, or a question stands, nothing has been changed and the program ends at once.
//! From the plan on, the first signal asks the work to stop at the next safe moment: what was begun is cleared away,
//! or kept to be gone on with. A second one ends the program there and then, as if it were killed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use azud_core::code::Code;
use azud_core::progress::Interrupted;
use azud_disk::running::{has_mounts, is_readable, stop_programs};
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::{emulate_default_handler, signal_name};

use crate::failure::{Failure, Hint};
use crate::i18n::{Catalog, Lang};
use crate::output::Output;

/// The signal that came first, 0 for none.
static ASKED: AtomicI32 = AtomicI32::new(0);
/// Whether the work has begun. Whoever ends the program at once holds this until it has ended.
static AT_WORK: Mutex<bool> = Mutex::new(false);

/// Whether a question stands.
static ASKING: AtomicBool = AtomicBool::new(false);

/// Whether being ended is how the command ends.
static WATCHING: AtomicBool = AtomicBool::new(false);

/// How often a file system that is mounted for a moment is waited for, and how long each time.
const TRIES: u32 = 100;
const NAP: Duration = Duration::from_millis(50);

fn at_work() -> MutexGuard<'static, bool> {
    AT_WORK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on signals wait for a safe moment.
pub(crate) fn begin_work() {
    *at_work() = true;
}

/// Asks whether the work is to begin.
pub(crate) fn question<T>(ask: impl FnOnce() -> T) -> T {
    ASKING.store(true, Ordering::SeqCst);
    let answer = ask();
    ASKING.store(false, Ordering::SeqCst);
    answer
}

/// From now on nothing but waiting is done: a signal ends it, and that is no error.
pub(crate) fn only_watches() {
    WATCHING.store(true, Ordering::SeqCst);
}

/// Whether the work may go on.
pub(crate) fn go_on() -> Result<(), Interrupted> {
    match ASKED.load(Ordering::Relaxed) {
        0 => Ok(()),
        _ => Err(Interrupted),
    }
}

/// Whether it is to end.
pub(crate) fn is_asked() -> bool {
    go_on().is_err()
}

/// What a failure is called after a signal: the reason is no fault, and what it kept from being done neither.
pub(crate) fn told(failure: Failure) -> Failure {
    if status().is_none() {
        return failure;
    }
    let is_told = failure.code == Code::Interrupted;
    Failure {
        result: failure.result,
        hint: failure.hint.filter(|_| is_told),
        ..Failure::new(Code::Interrupted, Interrupted.to_string())
    }
}

/// The exit status that a signal asks for: 128 and its number.
pub(crate) fn status() -> Option<u8> {
    let _until_ended = at_work();
    match ASKED.load(Ordering::SeqCst) {
        0 => None,
        signal => Some(128 + u8::try_from(signal).unwrap_or(0)),
    }
}

/// Heeds signals from now on; `output` is where the end is told. Those that our caller has switched off stay so
/// (`nohup`, jobs in the background).
pub(crate) fn watch(lang: Lang, output: impl FnOnce() -> Output + Send + 'static) {
    let heeded = [SIGINT, SIGTERM, SIGHUP].into_iter();
    let heeded = heeded.filter(|signal| !is_ignored(*signal));
    // Without a handler the system's own way holds, and the next run clears up.
    let Ok(mut signals) = Signals::new(heeded) else {
        return;
    };
    let heed = move || {
        let mut signals = signals.forever();
        if let Some(signal) = signals.next() {
            first(signal, lang, output());
        }
        for signal in signals {
            let _ = emulate_default_handler(signal);
        }
    };
    let _ = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(heed);
}

#[expect(
    clippy::exit,
    reason = "who waits for an answer cannot be woken, and nothing is open"
)]
fn first(signal: i32, lang: Lang, output: Output) {
    for _ in 0..TRIES {
        let working = at_work();
        if !*working && has_mounts() {
            drop(working);
            sleep(NAP);
            continue;
        }
        if *working {
            break;
        }
        ASKED.store(signal, Ordering::SeqCst);
        stop_programs();
        // Who reads lines takes the last one for the result: none of the work comes after it. Elsewhere somebody may be
        // waiting for his reader with the lock in his hands.
        let _last_word = output.mode().json.then(|| io::stdout().lock());
        if output.terminal() {
            // The question, or the bar, stands on this line.
            output.note("");
        }
        if !WATCHING.load(Ordering::SeqCst) {
            let mut failure = Failure::new(Code::Interrupted, "");
            if ASKING.load(Ordering::SeqCst) {
                failure = failure.with_hint(Hint::of("hint-nothing-begun"));
            }
            output.failure(&Catalog::new(lang), &failure);
        }
        let _ = output.finish();
        std::process::exit(128 + signal);
    }
    let name = signal_name(signal);
    output.has_news(json!({ "stopping": { "signal": name } }));
    ASKED.store(signal, Ordering::SeqCst);
    stop_programs();
    say_heard(lang, output);
}

/// Says that the signal was heard, in a thread of its own: where nobody reads, the next signal is to be heard all the same.
fn say_heard(lang: Lang, output: Output) {
    let say = move || {
        output.tell_news();
        let mode = output.mode();
        if mode.json || mode.quiet {
            return;
        }
        let line = Catalog::new(lang).text("stopping");
        // On a terminal the bar stands on this line.
        let begin = if output.terminal() { "\n" } else { "" };
        output.note(&format!("{begin}{line}"));
    };
    let _ = std::thread::Builder::new().spawn(say);
}

/// Whether our caller told the system to keep a signal from us.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Standard input; waiting for it ends when the work is to end.
///
/// # Errors
/// When there is none.
pub(crate) fn stdin() -> Result<impl BufRead + Send, Failure> {
    let file = io::stdin().as_fd().try_clone_to_owned();
    let file = file.map_err(|error| Failure::io(Path::new("/dev/stdin"), &error))?;
    Ok(BufReader::with_capacity(1 << 16, Patient(File::from(file))))
}

/// The first line of standard input, of so many bytes at most; waiting for it ends when the work is to end.
///
/// # Errors
/// When it cannot be read, or is no text.
pub(crate) fn line(longest: u64) -> Result<String, Failure> {
    let mut line = String::new();
    let read = stdin()?.take(longest).read_line(&mut line);
    read.map_err(|error| Failure::io(Path::new("/dev/stdin"), &error))?;
    Ok(line)
}

/// A stream that may not come.
struct Patient<R>(R);

impl<R: Read + AsFd> Read for Patient<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while !is_readable(&self.0, NAP)? {
            go_on().map_err(io::Error::other)?;
        }
        self.0.read(buf)
    }
}
