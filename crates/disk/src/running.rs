//! What is under way in this process and would outlive it, or be left standing half-way, if it just ended: external
//! programs and file systems that are mounted for a while.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Programs that may be stopped at any moment.
static PROGRAMS: Mutex<Programs> = Mutex::new(Programs {
    stopped: false,
    running: Vec::new(),
});
/// File systems that are mounted for a while.
static MOUNTS: AtomicUsize = AtomicUsize::new(0);

struct Programs {
    stopped: bool,
    running: Vec<(u32, OwnedFd)>,
}

fn programs() -> MutexGuard<'static, Programs> {
    PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program as long as this lives.
#[derive(Debug)]
pub(crate) struct Program(u32);

impl Program {
    /// Of a child that nobody has waited for yet. Kernels before 5.3 cannot name it safely; there it goes on.
    pub(crate) fn of(child: u32) -> Self {
        let pid = i32::try_from(child).ok().and_then(Pid::from_raw);
        let file = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        if let Some(file) = file {
            let mut programs = programs();
            if programs.stopped {
                end(&file);
            }
            programs.running.push((child, file));
        }
        Self(child)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        programs().running.retain(|(child, _)| *child != self.0);
    }
}

/// A file system that is mounted for a while, as long as this lives.
#[derive(Debug)]
pub(crate) struct Aside(());

impl Aside {
    pub(crate) fn new() -> Self {
        MOUNTS.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        MOUNTS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Ends every program that is run now or later, but for those that change what must not be half changed (see
/// [`Tool::uninterrupted`](crate::command::Tool::uninterrupted)). Whoever reads from one sees it fail.
pub fn stop_programs() {
    let mut programs = programs();
    programs.stopped = true;
    for (_, file) in &programs.running {
        end(file);
    }
}

fn end(program: &OwnedFd) {
    // It may have ended by itself.
    let _ = pidfd_send_signal(program, Signal::TERM);
}

/// Whether a file system is mounted that goes away by itself when its user is done.
pub fn has_mounts() -> bool {
    MOUNTS.load(Ordering::SeqCst) > 0
}

/// Whether nobody reads any more what is written there, or stops to within a time.
///
/// # Errors
/// What the system says.
pub fn is_closed(file: &impl AsFd, within: Duration) -> io::Result<bool> {
    let begun = Instant::now();
    loop {
        let left = within.saturating_sub(begun.elapsed());
        // That it is gone is told unasked.
        let mut files = [PollFd::new(file, PollFlags::empty())];
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut files, Some(&left)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether something can be read, its end included, within a time.
///
/// # Errors
/// What the system says.
pub fn is_readable(file: &impl AsFd, within: Duration) -> io::Result<bool> {
    let mut files = [PollFd::new(file, PollFlags::IN)];
    let within = Timespec::try_from(within).map_err(io::Error::other)?;
    match poll(&mut files, Some(&within)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
