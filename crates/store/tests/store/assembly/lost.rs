//! A sync that fails: the system tells of lost bytes once, and the next sync says that all is well.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::thread::sleep;
use std::time::Duration;

use azud_core::progress::Silent;
use azud_store::StoreError;
use azud_store::assembly::Moving;
use azud_store::durable::{Op, Step, set_hook};
use azud_store::publish::Outcome;
use rustix::io::Errno;

use super::faults::half_move;
use super::kit::{Memory, dir_with_old, moment, native, new, old, read_all, receive, receive_by};

/// Has one sync fail, and writes down what is done after it.
fn fail_once(which: impl Fn(&Step<'_>) -> bool + 'static, nth: usize) -> Rc<RefCell<Vec<Op>>> {
    let after = Rc::new(RefCell::new(Vec::new()));
    let (seen, mut count, mut failed) = (Rc::clone(&after), 0, false);
    set_hook(Some(Box::new(move |step| {
        if failed {
            seen.borrow_mut().push(step.op);
        } else if step.op == Op::SyncFile && which(&step) {
            count += 1;
            failed = count > nth;
        }
        if failed && seen.borrow().is_empty() {
            seen.borrow_mut().push(step.op);
            // Meanwhile others place what they have.
            sleep(Duration::from_millis(50));
            return Err(io::Error::from(Errno::IO));
        }
        Ok(())
    })));
    after
}

fn is_of_new(step: &Step<'_>) -> bool {
    let path = step.path.to_str().unwrap();
    path.contains("azud-assembly") && path.ends_with("deb.img")
}

#[test]
fn after_a_sync_that_failed_nothing_more_is_recorded() {
    for moving in [Moving::Never, Moving::Always] {
        for nth in 0.. {
            let (_dir, image) = dir_with_old();
            let after = fail_once(is_of_new, nth);
            let done = receive_by(&image, &Memory::new(new()), (moving, 1), &Silent);
            set_hook(None);
            let after = after.take();
            if after.is_empty() {
                done.unwrap();
                assert!(nth > 3, "{nth}");
                break;
            }
            let StoreError::Io { source, .. } = done.unwrap_err() else {
                panic!("another error")
            };
            assert_eq!(source.raw_os_error(), Some(Errno::IO.raw_os_error()));
            let wrong = [Op::Record, Op::Punch];
            let wrong = wrong.iter().any(|op| after.contains(op));
            assert!(!wrong, "{moving:?} at {nth}: {after:?}");
            assert!(read_all(&image.path()) == old());
            receive(&image, &Memory::new(new()), moving).unwrap();
            assert!(fs::read(image.path()).unwrap() == new());
        }
    }
}

/// What is read of a journal may be in memory alone, since the run that wrote it heard of a failure.
#[test]
fn nothing_is_given_up_before_the_journal_was_written_by_the_run_itself() {
    let (_dir, image) = dir_with_old();
    half_move(&image);
    let steps = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&steps);
    set_hook(Some(Box::new(move |step| {
        seen.borrow_mut().push(step.op);
        Ok(())
    })));
    receive(&image, &Memory::new(new()), Moving::Always).unwrap();
    set_hook(None);
    let steps = steps.take();
    let first = |op| steps.iter().position(|step| *step == op).unwrap();
    assert!(first(Op::Record) < first(Op::Punch), "{steps:?}");
}

/// What seems to be back in the old image may be in memory alone.
#[test]
fn what_was_put_back_before_a_sync_failed_is_put_back_again() {
    let (_dir, image) = dir_with_old();
    half_move(&image);
    let other = || native(&[7, 8, 400, 110, 9]);
    let is_of_old = |step: &Step<'_>| !step.path.to_str().unwrap().contains("azud-assembly");
    let after = fail_once(is_of_old, 0);
    receive_by(
        &image,
        &Memory::new(other()),
        (Moving::Never, 1 << 30),
        &Silent,
    )
    .unwrap_err();
    set_hook(None);
    let after = after.take();
    assert!(
        !after.is_empty() && !after.contains(&Op::Record),
        "{after:?}"
    );
    set_old(&image.path());
    let report = receive_by(
        &image,
        &Memory::new(other()),
        (Moving::Never, 1 << 30),
        &Silent,
    )
    .unwrap();
    let Some(Outcome::Updated { former }) = report.outcome else {
        panic!("{report:?}")
    };
    let former = former.join("deb.img");
    assert!(fs::read(&former).unwrap() == old());
    let written = fs::metadata(&former).unwrap().modified().unwrap();
    assert!(written > moment(), "nothing was written");
}

fn set_old(path: &Path) {
    File::open(path).unwrap().set_modified(moment()).unwrap();
}
