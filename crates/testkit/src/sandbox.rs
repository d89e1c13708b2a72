//! Programs on a kernel that lacks system calls, or in a sandbox that forbids one.

use std::process::{Command, Output};
use std::thread;

use anyhow::{Context, Result, anyhow};
use rustix::io::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

/// `openat2`, by its number, which is the same on every architecture.
const OPENAT2: i64 = 437;

/// System calls that came after Linux 4.19. Since then they have one number on every architecture; these are more than
/// there are today.
const NEWER: std::ops::Range<i64> = 424..700;

/// Who has no `openat2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacking {
    /// Linux before 5.6: `ENOSYS`.
    Kernel,
    /// A sandbox that does not know it: `EPERM`.
    Sandbox,
}

/// Runs a program for which `openat2` always fails. What it starts has it no better.
///
/// # Errors
/// When the kernel takes no filters, or the program cannot be started.
pub fn without_openat2(command: &mut Command, who: Lacking) -> Result<Output> {
    let errno = match who {
        Lacking::Kernel => Errno::NOSYS,
        Lacking::Sandbox => Errno::PERM,
    };
    without(OPENAT2..OPENAT2 + 1, errno, || {
        command.output().context("starting the program")
    })
}

/// Does some work, and whatever programs that starts, with the system calls of Linux 4.19 alone.
///
/// # Errors
/// When the kernel takes no filters, or the work fails.
pub fn on_linux_4_19<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    without(NEWER, Errno::NOSYS, work)
}

/// Does some work, and whatever programs that starts, with these system calls alone: others fail with `EPERM`, as in a
/// unit of systemd that has a list of what is allowed.
///
/// # Errors
/// When the kernel takes no filters, or the work fails.
pub fn with_only<T: Send>(calls: &[i64], work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let others = failing(Errno::PERM)?;
    filtered(calls.iter().copied(), (SeccompAction::Allow, others), work)
}

/// Does some work in a thread for which these system calls fail.
fn without<T: Send>(
    calls: std::ops::Range<i64>,
    errno: Errno,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    filtered(calls, (failing(errno)?, SeccompAction::Allow), work)
}

fn failing(errno: Errno) -> Result<SeccompAction> {
    Ok(SeccompAction::Errno(u32::try_from(errno.raw_os_error())?))
}

/// Does some work in a thread, with this done about these system calls, and that about all others.
fn filtered<T: Send>(
    calls: impl Iterator<Item = i64>,
    (these, others): (SeccompAction, SeccompAction),
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    let filter = SeccompFilter::new(
        calls.map(|call| (call, Vec::new())).collect(),
        others,
        these,
        std::env::consts::ARCH.try_into()?,
    )?;
    let filter = BpfProgram::try_from(filter)?;
    // The filter stays with its thread and with what the thread starts, so this process goes on as it was.
    thread::scope(|scope| {
        let run = scope.spawn(|| {
            apply_filter(&filter).context("filtering system calls")?;
            work()
        });
        run.join().map_err(|_| anyhow!("the thread failed"))?
    })
}
