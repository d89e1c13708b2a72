//! A file system for power cuts: it remembers what was synced, and after a cut nothing else need be there.
//!
//! Some of it may be lost to whoever reads, as by bad sectors. It lives in the test's own process, so the program that is tested has to be another one.

mod medium;
mod serve;

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use fuser::{BackgroundSession, Config, MountOption, SessionACL, spawn_mount};

pub use medium::Medium;

/// A medium in its computer.
#[derive(Debug)]
pub struct Forgetful {
    dir: tempfile::TempDir,
    session: Option<BackgroundSession>,
    power: Arc<Mutex<Power>>,
}

/// A medium, and whether it is fed.
#[derive(Debug)]
struct Power {
    medium: Medium,
    /// Changes and syncs so far.
    done: u64,
    /// After so many the power goes.
    cut_after: Option<u64>,
    is_cut: bool,
    /// Where no file can be read.
    unreadable: Range<u64>,
}

fn held(power: &Mutex<Power>) -> MutexGuard<'_, Power> {
    power.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Forgetful {
    /// Mounts it.
    ///
    /// # Errors
    /// Where FUSE file systems cannot be mounted: it takes root.
    pub fn mount(medium: Medium) -> Result<Self> {
        let mut computer = Self {
            dir: tempfile::tempdir()?,
            session: None,
            power: Arc::new(Mutex::new(Power {
                medium,
                done: 0,
                cut_after: None,
                is_cut: false,
                unreadable: 0..0,
            })),
        };
        computer.start()?;
        Ok(computer)
    }

    fn start(&mut self) -> Result<()> {
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName("forgetful".to_owned()),
            MountOption::NoAtime,
        ];
        config.acl = SessionACL::All;
        let served = serve::Served::new(Arc::clone(&self.power));
        let session = spawn_mount(served, self.dir.path(), &config);
        self.session = Some(session.context("mounting a FUSE file system")?);
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        match self.session.take() {
            Some(session) => session.umount_and_join().context("unmounting"),
            None => Ok(()),
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Changes and syncs since it was mounted, or since the power came back.
    pub fn done(&self) -> u64 {
        held(&self.power).done
    }

    /// With so many changes and syncs the power goes: the next one and everything after it fails, and is not done.
    pub fn cut_after(&self, changes: u64) {
        held(&self.power).cut_after = Some(changes);
    }

    /// From now on no file can be read at these offsets, as where the medium has bad sectors.
    pub fn lose(&self, offsets: Range<u64>) {
        held(&self.power).unreadable = offsets;
    }

    /// Whether the power has gone.
    pub fn is_cut(&self) -> bool {
        held(&self.power).is_cut
    }

    /// What is on it now, with all that would be lost.
    pub fn medium(&self) -> Medium {
        held(&self.power).medium.clone()
    }

    /// The power goes, if it has not gone, and comes back: chance tells what of the rest is there. Nobody may have it
    /// open.
    ///
    /// # Errors
    /// When somebody has, or it cannot be mounted again.
    pub fn cut(&mut self, random: &mut dyn FnMut() -> u64) -> Result<()> {
        held(&self.power).is_cut = true;
        self.stop()?;
        {
            let mut power = held(&self.power);
            let medium = std::mem::take(&mut power.medium);
            *power = Power {
                medium: medium.after_a_cut(random),
                done: 0,
                cut_after: None,
                is_cut: false,
                unreadable: power.unreadable.clone(),
            };
        }
        self.start()
    }
}

impl Drop for Forgetful {
    fn drop(&mut self) {
        let stopped = self.stop();
        crate::loops::complain(stopped);
    }
}
