//! Two shapes of parallel work, both with bounded memory and the first error winning.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

/// How many workers computing needs.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(2, usize::from)
}

/// The first error any thread met.
struct Failure<E> {
    failed: AtomicBool,
    error: Mutex<Option<E>>,
}

impl<E> Failure<E> {
    fn new() -> Self {
        Self {
            failed: AtomicBool::new(false),
            error: Mutex::new(None),
        }
    }

    fn set(&self, error: E) {
        let mut first = self.error.lock().expect("no holder panics");
        first.get_or_insert(error);
        self.stop();
    }

    /// Ends the others' work without an error of its own.
    fn stop(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    fn into_result(self) -> Result<(), E> {
        self.error
            .into_inner()
            .expect("no holder panics")
            .map_or(Ok(()), Err)
    }
}

/// Ends the others' work when its thread panics: nobody shall wait for what will be thrown away.
struct Alarm<'a, E>(&'a Failure<E>);

impl<E> Drop for Alarm<'_, E> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

/// Works on the numbers `0..count` in ascending order, `threads` at a time. Each thread has a state of its own.
///
/// # Errors
/// The first error; the others' work is abandoned between items.
pub(crate) fn each<S, E: Send>(
    threads: usize,
    count: usize,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let failure = Failure::new();
    thread::scope(|scope| {
        for _ in 0..threads.min(count) {
            scope.spawn(|| {
                let _alarm = Alarm(&failure);
                let mut state = state();
                while !failure.is_set() {
                    let item = next.fetch_add(1, Ordering::Relaxed);
                    if item >= count {
                        break;
                    }
                    if let Err(error) = work(&mut state, item) {
                        failure.set(error);
                    }
                }
            });
        }
    });
    failure.into_result()
}

/// A pipeline: one producer, `threads` workers, and a consumer that sees the results in the order of
/// the jobs. At most `depth` jobs are between producer and consumer.
pub(crate) struct Pipeline {
    /// Number of workers.
    pub(crate) threads: usize,
    /// Jobs under way at once.
    pub(crate) depth: usize,
}

impl Pipeline {
    /// Runs until `next` has no more jobs and all results are consumed.
    ///
    /// # Errors
    /// The first error of any part; the rest is abandoned.
    pub(crate) fn run<J: Send, R: Send, S, E: Send>(
        &self,
        next: impl FnMut() -> Result<Option<J>, E> + Send,
        state: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, J) -> Result<R, E> + Sync,
        consume: impl FnMut(R) -> Result<(), E>,
    ) -> Result<(), E> {
        let failure = Failure::new();
        let (tokens_in, tokens) = bounded(self.depth);
        for _ in 0..self.depth {
            tokens_in
                .send(())
                .expect("the channel has room for all tokens");
        }
        let (jobs_in, jobs) = bounded(self.depth);
        let (results_in, results) = bounded(self.depth);
        thread::scope(|scope| {
            scope.spawn(|| produce(next, tokens, jobs_in, &failure));
            for _ in 0..self.threads {
                let (jobs, results_in) = (jobs.clone(), results_in.clone());
                scope.spawn(|| {
                    let (jobs, results_in) = (jobs, results_in);
                    let mut state = state();
                    for (number, job) in jobs {
                        // A panic goes the way of the results: a job that never arrives would be waited for.
                        let result =
                            panic::catch_unwind(AssertUnwindSafe(|| work(&mut state, job)));
                        // Nobody listens any more after a failure elsewhere.
                        if results_in.send((number, result)).is_err() || failure.is_set() {
                            return;
                        }
                    }
                });
            }
            drop((jobs, results_in));
            if let Err(error) = in_order(results, tokens_in, consume) {
                failure.set(error);
            }
        });
        failure.into_result()
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "dropping the channels ends the other sides"
)]
fn produce<J, E>(
    mut next: impl FnMut() -> Result<Option<J>, E>,
    tokens: Receiver<()>,
    jobs: Sender<(usize, J)>,
    failure: &Failure<E>,
) {
    let mut number = 0;
    while tokens.recv().is_ok() && !failure.is_set() {
        match next() {
            Ok(Some(job)) => {
                if jobs.send((number, job)).is_err() {
                    return;
                }
                number += 1;
            }
            Ok(None) => return,
            Err(error) => return failure.set(error),
        }
    }
}

/// Consumes results in order. Returning drops the channels, which ends producer and workers.
#[expect(
    clippy::needless_pass_by_value,
    reason = "dropping the channels ends the other sides"
)]
fn in_order<R, E>(
    results: Receiver<(usize, thread::Result<Result<R, E>>)>,
    tokens: Sender<()>,
    mut consume: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let mut early = BTreeMap::new();
    let mut expected = 0;
    for (number, result) in results {
        let result = result.unwrap_or_else(|panic| panic::resume_unwind(panic));
        early.insert(number, result?);
        while let Some(result) = early.remove(&expected) {
            expected += 1;
            consume(result)?;
            // The producer may be gone already; then nobody needs the token.
            let _ = tokens.send(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_keeps_the_order() {
        let mut jobs = 0..1000u64;
        let mut seen = Vec::new();
        let pipeline = Pipeline {
            threads: 4,
            depth: 6,
        };
        let work = |(): &mut (), n: u64| {
            if n.is_multiple_of(7) {
                thread::yield_now();
            }
            Ok::<_, ()>(n * 2)
        };
        let done = pipeline.run(
            || Ok(jobs.next()),
            || (),
            work,
            |n| {
                seen.push(n);
                Ok(())
            },
        );
        assert_eq!(done, Ok(()));
        assert_eq!(seen, (0..1000).map(|n| n * 2).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_error_ends_a_pipeline_wherever_it_happens() {
        for place in 0..3 {
            let mut jobs = 0..1000u64;
            let fail = |here: u64, n: u64| {
                if here == place && n == 500 {
                    Err(here)
                } else {
                    Ok(())
                }
            };
            let result = Pipeline {
                threads: 3,
                depth: 4,
            }
            .run(
                || {
                    let job = jobs.next();
                    fail(0, job.unwrap_or(0))?;
                    Ok(job)
                },
                || (),
                |(), n| fail(1, n).map(|()| n),
                |n| fail(2, n),
            );
            assert_eq!(result, Err(place));
        }
        assert_eq!(
            each(3, 100, || (), |(), n| if n == 50 { Err(n) } else { Ok(()) }),
            Err(50)
        );
    }

    #[test]
    fn regression_a_panic_ends_everything() {
        let (done, ended) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let pipeline = Pipeline {
                threads: 3,
                depth: 4,
            };
            let mut jobs = 0..1000u64;
            let piped = panic::catch_unwind(AssertUnwindSafe(|| {
                pipeline.run(
                    || Ok::<_, ()>(jobs.next()),
                    || (),
                    |(), n| {
                        assert!(n != 50, "on purpose");
                        Ok(n)
                    },
                    |_| Ok(()),
                )
            }));
            let worked = AtomicUsize::new(0);
            let counted = panic::catch_unwind(AssertUnwindSafe(|| {
                each(
                    2,
                    100_000,
                    || (),
                    |(), n| {
                        assert!(n != 50, "on purpose");
                        worked.fetch_add(1, Ordering::Relaxed);
                        thread::yield_now();
                        Ok::<_, ()>(())
                    },
                )
            }));
            let _ = done.send((piped.is_err(), counted.is_err(), worked.into_inner()));
        });
        let (piped, counted, worked) = ended
            .recv_timeout(std::time::Duration::from_secs(20))
            .expect("neither waits for ever");
        assert!(piped && counted, "the panic is not swallowed");
        assert!(worked < 99_000, "{worked} items after a panic");
    }
}
