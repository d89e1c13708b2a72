//! Nobody starts a program while somebody here holds locks: until it is what it will be, a new process has all open files
//! of this one, and so its locks, and the next who looks finds them held.

use std::fmt::Debug;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use azud_testkit::tools;

/// How many are at work. Whoever is may let others in: nobody waits for who waits.
static AT_WORK: Mutex<usize> = Mutex::new(0);
static LEFT: Condvar = Condvar::new();

fn at_work() -> MutexGuard<'static, usize> {
    AT_WORK.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        *at_work() -= 1;
        LEFT.notify_all();
    }
}

/// Does what holds locks until it is done.
pub(crate) fn with_locks<T>(work: impl FnOnce() -> T) -> T {
    *at_work() += 1;
    let _leaving = Leaving;
    work()
}

/// Does what starts a program when nobody is at work.
fn when_idle<T>(start: impl FnOnce() -> T) -> T {
    let idle = LEFT.wait_while(at_work(), |count| *count > 0);
    let _nobody = idle.unwrap_or_else(PoisonError::into_inner);
    start()
}

/// Starts a program.
pub(crate) fn start(command: &mut Command) -> Child {
    when_idle(|| command.spawn().unwrap())
}

/// The same, and waits for what it says.
pub(crate) fn output(command: &mut Command) -> Output {
    let child = start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    child.wait_with_output().unwrap()
}

/// Runs a program to its end.
pub(crate) fn run(program: &str, args: &[&str]) -> Output {
    when_idle(|| tools::run(program, args)).unwrap()
}

/// Runs a script to its end.
pub(crate) fn sh(script: &str, args: &[&str]) -> Output {
    when_idle(|| tools::sh(script, args)).unwrap()
}

/// What runs programs when it comes and when it goes.
pub(crate) struct Idle<T>(Option<T>);

impl<T> Idle<T> {
    pub(crate) fn make<E: Debug>(start: impl FnOnce() -> Result<T, E>) -> Self {
        Self(Some(when_idle(start).unwrap()))
    }

    /// Ends it otherwise than by dropping it.
    pub(crate) fn end<R>(mut self, end: impl FnOnce(T) -> R) -> R {
        let it = self.0.take().expect("it is there until its end");
        when_idle(|| end(it))
    }
}

impl<T> std::ops::Deref for Idle<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is there until its end")
    }
}

impl<T> Drop for Idle<T> {
    fn drop(&mut self) {
        if let Some(it) = self.0.take() {
            when_idle(|| drop(it));
        }
    }
}
