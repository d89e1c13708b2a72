//! Programs on a kernel that lacks a system call, or in a sandbox that forbids it.

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::thread;

use anyhow::{Context, Result, anyhow};
use rustix::io::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

/// `openat2`, by its number, which is the same on every architecture.
const OPENAT2: i64 = 437;

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
    let errno = u32::try_from(errno.raw_os_error())?;
    let filter = SeccompFilter::new(
        BTreeMap::from([(OPENAT2, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(errno),
        std::env::consts::ARCH.try_into()?,
    )?;
    let filter = BpfProgram::try_from(filter)?;
    // The filter stays with its thread and with what the thread starts, so this process goes on as it was.
    thread::scope(|scope| {
        let run = scope.spawn(|| {
            apply_filter(&filter).context("filtering system calls")?;
            command.output().context("starting the program")
        });
        run.join().map_err(|_| anyhow!("the thread failed"))?
    })
}
