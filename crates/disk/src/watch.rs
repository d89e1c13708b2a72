//! Waiting for something to be mounted, unmounted, plugged in or pulled.
//!
//! The kernel tells of mounts by its table, of devices by the nodes that it removes from `/dev`. Where it tells
//! nothing (containers), whoever waits looks again after a while.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use crate::error::{DiskError, Result};

const TABLE: &str = "/proc/self/mountinfo";
const NODES: &str = "/dev";
/// Nodes go one by one; who looks too early sees half of it.
const SETTLE: Duration = Duration::from_millis(50);

/// Something that can be waited for.
#[derive(Debug)]
pub struct Watch {
    table: File,
    nodes: Option<OwnedFd>,
}

/// Why the wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Something was mounted or unmounted.
    Mounts,
    /// A device came or went.
    Devices,
    /// The time has passed.
    Time,
}

impl Watch {
    /// Begins to watch: what happens from now on is told.
    ///
    /// # Errors
    /// [`DiskError::Io`] when the table of mounts cannot be opened.
    pub fn begin() -> Result<Self> {
        let table =
            File::open(TABLE).map_err(|error| DiskError::at(Path::new(TABLE), "opening", error))?;
        Ok(Self {
            table,
            nodes: nodes().ok(),
        })
    }

    /// Waits until something happens, at most for a time. One that ended for a device may stand for changes of
    /// mounts too.
    ///
    /// # Errors
    /// [`DiskError::Io`].
    pub fn wait(&self, most: Duration) -> Result<Woken> {
        let mut asked = vec![PollFd::new(&self.table, PollFlags::PRI)];
        asked.extend(self.nodes.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        let most = Timespec {
            tv_sec: i64::try_from(most.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(most.subsec_nanos()),
        };
        match poll(&mut asked, Some(&most)) {
            Ok(0) | Err(Errno::INTR) => return Ok(Woken::Time),
            Ok(_) => {}
            Err(error) => return Err(DiskError::at(Path::new(TABLE), "waiting", error)),
        }
        let told: Vec<bool> = asked.iter().map(|it| !it.revents().is_empty()).collect();
        if told.get(1) == Some(&true) {
            std::thread::sleep(SETTLE);
            self.forget();
            return Ok(Woken::Devices);
        }
        Ok(Woken::Mounts)
    }

    /// Takes what was told of nodes: that it was is enough.
    fn forget(&self) {
        let mut buffer = [0; 4096];
        while let Some(nodes) = &self.nodes
            && rustix::io::read(nodes, &mut buffer).is_ok_and(|count| count > 0)
        {}
    }
}

fn nodes() -> rustix::io::Result<OwnedFd> {
    let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    inotify::add_watch(&watch, NODES, WatchFlags::CREATE | WatchFlags::DELETE)?;
    Ok(watch)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Watch, Woken};

    #[test]
    fn waiting_ends() {
        let watch = Watch::begin().unwrap();
        let begun = Instant::now();
        // Other tests may mount something meanwhile.
        while watch.wait(Duration::from_millis(50)).unwrap() != Woken::Time {
            assert!(begun.elapsed() < Duration::from_mins(1));
        }
    }
}
