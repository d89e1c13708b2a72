//! Deploying by way of the cache: frames go to the device as they arrive in the cache.

use std::io;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use azud_core::code::Code;
use azud_core::io::{ReadAt, WriteAt};
use azud_disk::target::Target;
use azud_image::restore::{Distance, Restored, restore};
use azud_store::assembly::{Assembly, Facts, Report};

use super::Job;
use super::shown::Done;
use crate::cached::{InUse, is_known_damaged};
use crate::commands::image::restore::finished;
use crate::confirm::Step;
use crate::failure::{Failure, Hint};
use crate::place::Located;
use crate::plan::Plan;
use crate::progress::behind::Behind;
use crate::receive::{Prepared, Received, Receiving};
use crate::trust::Trusted;

/// What the cache still lacks when the disk is done is a matter of its last pieces, as a rule: only what takes longer is
/// shown.
const SOON: Duration = Duration::from_millis(200);

/// Brings the cache up to date and restores from what arrives there.
pub(super) fn deploy(job: &Job<'_>, to: &Located, trusted: Option<Trusted>) -> Result<(), Failure> {
    let context = job.context;
    let receiving = Receiving {
        action: "deploy",
        from: &job.image.origin,
        among: job.among,
        to,
        native: Some(&job.image.native),
        terms: job.args.terms,
        trusted,
    };
    let prepared = receiving.prepare(context).map_err(or_without)?;
    let plan = Plan::new("deploy").text("source", job.source().name());
    let plan = receiving.rows(context, plan, prepared.prospect());
    let plan = prepared.tell(context, job.rows(plan)?);
    if job.settle(&plan)? == Step::Stop {
        return Ok(());
    }
    let target = job.open()?;
    both(job, &receiving, prepared, target)
}

fn both(
    job: &Job<'_>,
    receiving: &Receiving<'_>,
    prepared: Prepared<'_>,
    target: Target,
) -> Result<(), Failure> {
    let context = job.context;
    // Told only where the work ends before it begins.
    let mut done = Err(Failure::new(Code::Interrupted, ""));
    let received = receiving.carry_out(context, prepared, |assembly, facts| {
        let report;
        (report, done) = one_pass(job, assembly, facts, &target);
        report
    });
    let image = receiving.to.image.path();
    // It was sound as far as was known, or its damage would have been fetched.
    if received.as_ref().is_ok_and(Received::was_there) && is_known_damaged(&image) {
        let values = [("image", image.display().to_string().into())];
        let text = context.catalog.fmt("warn-hurt-here", &values);
        context.output.warn(&context.catalog, &text);
    }
    if let (Err(_), Ok(_)) = (&received, &done) {
        let values = [("device", job.device.display().to_string().into())];
        let text = context.catalog.fmt("warn-not-cached", &values);
        context.output.warn(&context.catalog, &text);
    }
    let restored = of_target(received.as_ref().err(), done);
    let (target, restored) = finished(context, target, restored)?;
    let used = InUse::begin(context, Some(&image));
    let identity = job.image.identity();
    used.restored(context, Some(identity), target.facts(), &job.device);
    let received = received.map_err(|failure| Failure {
        result: Some(Box::new(job.told(&Done {
            restored: &restored,
            received: None,
        }))),
        ..failure
    })?;
    job.show(&Done {
        restored: &restored,
        received: Some((&receiving.to.image, &received)),
    });
    Ok(())
}

/// What came of the target. Where both halves failed, the one that failed first says why; the other was only told to
/// stop.
fn of_target(
    received: Option<&Failure>,
    done: Result<Restored, Failure>,
) -> Result<Restored, Failure> {
    match (done, received) {
        (Err(_), Some(failure)) if failure.code != Code::Interrupted => Err(failure.clone()),
        (done, _) => done,
    }
}

/// Receives in a thread of its own, and restores what arrives.
fn one_pass(
    job: &Job<'_>,
    assembly: Assembly<'_>,
    facts: &Facts,
    target: &Target,
) -> (Result<Report, Failure>, Result<Restored, Failure>) {
    let reader = assembly.reader();
    let progress = job.context.progress();
    let behind = Behind::new(&progress);
    let (at_work, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let behind = &behind;
        let receiver = scope.spawn(move || {
            let _at_work = at_work;
            assembly.run(facts, behind)
        });
        let done = job.options(target, Distance::Near).and_then(|options| {
            let (native, target) = (&job.image.native, &Heard { target, behind });
            Ok(restore(native, &reader, target, &options, &progress)?)
        });
        if done.is_err() {
            behind.stop();
        } else if ended.recv_timeout(SOON) == Err(RecvTimeoutError::Timeout) {
            behind.come_forward();
        }
        let report = receiver.join().unwrap_or_else(|panic| resume_unwind(panic));
        let report = report.map(|report| Report {
            source: report.source + reader.fetched(),
            ..report
        });
        (report.map_err(Failure::from), done)
    })
}

/// A target that tells at once that it fails: others of those who write wait for what may come last of all.
struct Heard<'a> {
    target: &'a dyn WriteAt,
    behind: &'a Behind<'a>,
}

impl Heard<'_> {
    fn hear(&self, done: io::Result<()>) -> io::Result<()> {
        // What a device cannot do is not missed.
        if matches!(&done, Err(error) if error.kind() != io::ErrorKind::Unsupported) {
            self.behind.stop();
        }
        done
    }
}

impl ReadAt for Heard<'_> {
    fn len(&self) -> u64 {
        self.target.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.hear(self.target.read_exact_at(buf, offset))
    }
}

impl WriteAt for Heard<'_> {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.hear(self.target.write_all_at(buf, offset))
    }

    fn flush(&self) -> io::Result<()> {
        self.hear(self.target.flush())
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.hear(self.target.discard(offset, len))
    }

    fn forget(&self) -> io::Result<()> {
        self.target.forget()
    }

    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        self.hear(self.target.zero(offset, len))
    }
}

/// Where the cache lacks room, the image can do without it.
fn or_without(failure: Failure) -> Failure {
    let lacks = [Code::NoRoom, Code::TooLittleRoom, Code::FileTooLarge];
    if !lacks.contains(&failure.code) {
        return failure;
    }
    failure.and_hint(Hint::of("deploy-without-cache"))
}

#[cfg(test)]
mod tests {
    use std::io;

    use azud_core::code::Code;
    use azud_core::io::{ReadAt, WriteAt};
    use azud_core::progress::{Interrupted, Progress, Silent};
    use azud_image::restore::Restored;

    use super::{Heard, of_target};
    use crate::failure::Failure;
    use crate::progress::behind::Behind;

    /// A disk that fails from its second half on.
    struct Failing;

    impl ReadAt for Failing {
        fn len(&self) -> u64 {
            100
        }

        fn read_exact_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
            Err(io::ErrorKind::Other.into())
        }
    }

    impl WriteAt for Failing {
        fn write_all_at(&self, _: &[u8], offset: u64) -> io::Result<()> {
            match offset {
                0..50 => Ok(()),
                _ => Err(io::ErrorKind::Other.into()),
            }
        }

        fn flush(&self) -> io::Result<()> {
            Err(io::ErrorKind::Other.into())
        }

        fn discard(&self, _: u64, _: u64) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn zero(&self, offset: u64, _: u64) -> io::Result<()> {
            self.write_all_at(&[], offset)
        }
    }

    #[test]
    fn a_disk_that_fails_ends_what_it_waits_for() {
        for way in 0..4 {
            let behind = Behind::new(&Silent);
            let target = Heard {
                target: &Failing,
                behind: &behind,
            };
            target.write_all_at(&[1], 0).unwrap();
            target.discard(0, 100).unwrap_err();
            target.zero(0, 50).unwrap();
            assert_eq!(behind.advance(1), Ok(()), "the disk is as it should be");
            let failed = match way {
                0 => target.write_all_at(&[1], 50),
                1 => target.zero(50, 50),
                2 => target.read_exact_at(&mut [0], 50),
                _ => target.flush(),
            };
            failed.unwrap_err();
            assert_eq!(behind.advance(1), Err(Interrupted));
        }
    }

    #[test]
    fn whoever_failed_first_says_why() {
        let failed = |code| Failure::new(code, "");
        let told = |received: Option<Code>, done: Option<Code>| {
            let done = done.map_or(Ok(Restored::default()), |code| Err(failed(code)));
            let received = received.map(failed);
            of_target(received.as_ref(), done).map_err(|failure| failure.code)
        };
        let (disk, cache, stopped) = (Code::Io, Code::NoSpace, Code::Interrupted);
        assert_eq!(told(None, Some(disk)), Err(disk));
        assert_eq!(told(Some(stopped), Some(disk)), Err(disk));
        assert_eq!(told(Some(cache), Some(disk)), Err(cache));
        assert_eq!(told(Some(stopped), Some(stopped)), Err(stopped));
        for received in [None, Some(cache)] {
            assert_eq!(told(received, None), Ok(Restored::default()));
        }
    }
}
