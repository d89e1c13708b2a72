//! Locks that every computer and every tool can see: `NAME.lock` beside an image, with its owner inside.
//!
//! A lock is taken by giving a file that is whole already its second name, which succeeds for one alone.
//! On this computer an owner that has ended is recognised; for others it is a lease: the holder gives a
//! sign of life every 15 seconds, and one that gave none for a minute has lapsed. Ages are differences
//! between times that the *file server* gave to two files, so no computer's clock matters. Whoever finds
//! a lapsed lock marks that it is breaking it, which one alone can, renames it away and looks at what it got:
//! if it was another one meanwhile, it goes back.
//! Nothing here relies on the system's own locks, which network file systems do not always carry.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, SystemTime};

use azud_core::name::ImageFile;

mod breaking;
mod holder;
mod live;
pub mod plain;

use self::breaking::{Draft, break_lock};
use self::holder::{Claim, Found};
use crate::durable;
use crate::error::{At, Result, StoreError};
use crate::owner::Owner;
use crate::side::LOCK;

pub(crate) use self::breaking::{is_one, sweep};
pub use self::holder::Holder;
pub use crate::owner::{computer_of, has_ended, this_process};

/// How the names of locks in the making, or being broken, begin.
const PREFIX: &str = ".azud-lease-";
/// How often a holder gives a sign of life.
const BEAT: Duration = Duration::from_secs(15);
/// How often a lock that comes and goes is looked at again.
const TRIES: u32 = 100;
const NAP: Duration = Duration::from_millis(10);

/// An image locked by us; the lock goes when this is dropped.
#[derive(Debug)]
pub struct Lease {
    image: PathBuf,
    path: PathBuf,
    claim: Claim,
    beat: Option<(Sender<()>, JoinHandle<()>)>,
}

/// Who has an image locked now, if anybody. A lock whose owner on this computer has ended is none.
pub fn holder(image: &ImageFile) -> Option<Holder> {
    let found = Found::read(&image.beside(LOCK)).ok()??;
    (found.is_dead_here() != Some(true)).then(|| found.holder())
}

/// Whether an image is locked by a lock that counts at `now`: one that the next who writes would break does not.
/// Ages are judged by the clock of this computer, so it is for directories on its own disks.
pub(crate) fn is_held(image: &ImageFile, now: SystemTime) -> bool {
    let found = Found::read(&image.beside(LOCK));
    // What cannot be read is somebody's.
    found.map_or(true, |found| {
        found.is_some_and(|found| !found.is_stale(now))
    })
}

/// Refuses an image that somebody is changing in place, as stock tools do, or that they have mounted.
///
/// # Errors
/// [`StoreError::Held`].
pub fn refuse_held(image: &ImageFile) -> Result<()> {
    match holder(image) {
        Some(by) => Err(held(&image.path(), by)),
        None => Ok(()),
    }
}

/// Refuses an image that another tool has locked: it may be changing it in place, which we never do.
///
/// # Errors
/// [`StoreError::Held`].
pub fn refuse_others(image: &ImageFile) -> Result<()> {
    match holder(image) {
        Some(by) if !matches!(by, Holder::Azud { .. }) => Err(held(&image.path(), by)),
        _ => Ok(()),
    }
}

/// Refuses an image that could not be locked now, as far as that can be told without trying: whether the lock of
/// another computer has lapsed shows only then.
///
/// # Errors
/// [`StoreError::Held`].
pub fn refuse_certain(image: &ImageFile, now: SystemTime) -> Result<()> {
    let Some(found) = Found::read(&image.beside(LOCK)).ok().flatten() else {
        return Ok(());
    };
    match found.holder() {
        Holder::Azud { here: false, .. } => Ok(()),
        _ if found.is_stale(now) => Ok(()),
        by => Err(held(&image.path(), by)),
    }
}

fn held(image: &Path, by: Holder) -> StoreError {
    StoreError::Held {
        image: image.to_owned(),
        by: Box::new(by),
    }
}

impl Lease {
    /// Locks an image, whether it exists or not. `now` is what people are told as the time of it.
    ///
    /// # Errors
    /// [`StoreError::Held`] by whom, [`StoreError::ReadOnly`], [`StoreError::Io`].
    pub fn take(image: &ImageFile, now: SystemTime) -> Result<Self> {
        Self::take_for(image, None, now)
    }

    /// The same, and says who sends the image to us.
    ///
    /// # Errors
    /// As [`Lease::take`].
    pub(crate) fn take_for(
        image: &ImageFile,
        sender: Option<&str>,
        now: SystemTime,
    ) -> Result<Self> {
        let owner = Owner::this();
        let claim = Claim {
            owner,
            // Keys of a RandomState come from the system's random numbers.
            token: format!("{:016x}", RandomState::new().build_hasher().finish()),
            since: now
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            sender: sender.map(str::to_owned),
        };
        let lease = Self {
            image: image.path(),
            path: image.beside(LOCK),
            claim,
            beat: None,
        };
        live::add(&lease.claim.token);
        lease.hold()
    }

    fn hold(mut self) -> Result<Self> {
        let content = self.content()?;
        let file = self.place(&content)?;
        let (stop, stopped) = channel();
        let beat = move || {
            while stopped.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                // A beat that fails is a sign of life less; before publishing, the lock is looked at.
                let _ = refresh(&file, &content);
            }
        };
        let thread = std::thread::Builder::new().name("lease".into()).spawn(beat);
        self.beat = Some((stop, thread.at("start a thread for", &self.path)?));
        Ok(self)
    }

    fn content(&self) -> Result<Vec<u8>> {
        let mut line = serde_json::to_vec(&self.claim)
            .map_err(|error| StoreError::corrupt(&self.path, error.to_string()))?;
        line.push(b'\n');
        Ok(line)
    }

    /// Makes the lock under a name of its own and gives it the one that counts.
    fn place(&self, content: &[u8]) -> Result<File> {
        let draft = Draft(self.hidden(""));
        let server_now = make(&draft.0, content)?;
        for _ in 0..TRIES {
            if durable::name_exclusively(&draft.0, &self.path)? {
                drop(draft);
                return self.placed();
            }
            let Some(found) = Found::read(&self.path).at("read", &self.path)? else {
                sleep(NAP);
                continue;
            };
            if !found.is_stale(server_now) {
                return Err(held(&self.image, found.holder()));
            }
            break_lock(&self.path, (&found, server_now), &self.hidden("-broken"))?;
        }
        Err(StoreError::Locked(self.path.clone()))
    }

    /// The lock, opened by the name that counts and by no other: SMB refuses a computer that opens one file by two
    /// names, and NFS keeps a name that is removed as long as the file is open by it.
    fn placed(&self) -> Result<File> {
        let file = match File::options().read(true).write(true).open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(StoreError::Locked(self.path.clone()));
            }
            other => other.at("open", &self.path)?,
        };
        let found = Found::of(&file).at("read", &self.path)?;
        if found.claim().as_ref() != Some(&self.claim) {
            return Err(held(&self.image, found.holder()));
        }
        Ok(file)
    }

    fn hidden(&self, ending: &str) -> PathBuf {
        let name = format!("{PREFIX}{}{ending}", self.claim.token);
        self.path.with_file_name(name)
    }

    /// Makes sure that the lock is still ours: to be called before what it protects becomes visible.
    /// One that somebody removed, without taking it, is put there again.
    ///
    /// # Errors
    /// [`StoreError::Held`] when somebody took us for dead and locked it.
    pub fn confirm(&self) -> Result<()> {
        for _ in 0..TRIES {
            match Found::read(&self.path).at("read", &self.path)? {
                Some(found) if found.claim().as_ref() == Some(&self.claim) => return Ok(()),
                Some(found) => return Err(held(&self.image, found.holder())),
                // Somebody may be about to put back what was renamed by mistake.
                None => sleep(NAP),
            }
        }
        self.place(&self.content()?).map(drop)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.beat.take() {
            drop(stop);
            let _ = thread.join();
        }
        if let Ok(Some(found)) = Found::read(&self.path)
            && found.claim().as_ref() == Some(&self.claim)
        {
            // One that cannot be removed is seen to be dead: by its token, then by its process.
            let _ = durable::remove_file(&self.path);
        }
        live::remove(&self.claim.token);
    }
}

/// Makes a lock that has no effect yet, and says what time it is by the file server's clock: the time that a new
/// file has. What a client of SMB says of a file after writing to it is by its own clock.
fn make(draft: &Path, content: &[u8]) -> Result<SystemTime> {
    let file = durable::create(draft)?;
    let made = file.metadata().and_then(|meta| meta.modified());
    refresh(&file, content).at("write", draft)?;
    made.at("look at", draft)
}

/// Writes the same content again: the file server's clock gives it a new time, which the time that a
/// client sets would not on every protocol.
fn refresh(file: &File, content: &[u8]) -> std::io::Result<()> {
    file.write_all_at(content, 0)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
