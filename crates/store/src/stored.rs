//! An image file opened to be read.

use std::fs::{File, FileType, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use azud_core::io::ReadAt;
use rustix::fs::{Advice, FlockOperation, OFlags, fadvise, flock};
use rustix::io::Errno;

use crate::assembly::Parts;
use crate::catalogue::Stamp;
use crate::durable;
use crate::error::{At, Result, StoreError};
use crate::lock::try_lock;
use crate::room::on_medium;

/// An image that is replaced while it is being opened is opened again, so often.
const TRIES: u32 = 5;
/// So long is waited for those who have an image open that is to be ours alone. Who looks at it does so for
/// milliseconds, who restores it for minutes.
const PATIENCE: Duration = Duration::from_secs(5);
/// And for those who have one open that is to make room: nothing is lost where another goes instead.
const GLANCE: Duration = Duration::from_millis(300);
const NAP: Duration = Duration::from_millis(10);

/// A stored image. Its length is that at opening; a file cut short later gives `UnexpectedEof`.
#[derive(Debug)]
pub struct Stored {
    file: File,
    path: PathBuf,
    len: u64,
    /// Where its bytes are: some may have moved over to a newer version in the making.
    parts: Parts,
    /// Open a second time and locked, where nobody else may open it.
    alone: OnceLock<File>,
}

impl Stored {
    /// Opens an image file. One that is half moved over to a newer version is read from both files.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::NotAFile`], [`StoreError::Locked`] while its parts are moving,
    /// [`StoreError::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let mut tries = 0..TRIES;
        loop {
            let opened = match Self::open_once(path) {
                // Whoever asks whether somebody has it open has it for a moment.
                Err(StoreError::Locked(_)) if tries.next().is_some() => {
                    sleep(NAP);
                    continue;
                }
                other => other?,
            };
            // Replaced in between: what was opened may be a file whose parts were given up.
            let gone = opened.file.metadata().is_ok_and(|meta| meta.nlink() == 0);
            if !gone || tries.next().is_none() {
                return Ok(opened);
            }
        }
    }

    fn open_once(path: &Path) -> Result<Self> {
        // To open some devices is to use them.
        if let Ok(meta) = std::fs::metadata(path) {
            refuse_others(path, meta.file_type())?;
        }
        let file = open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::NotFound(path.to_owned()),
            _ => StoreError::io("open", path, error),
        })?;
        let meta = file
            .metadata()
            .map_err(|error| StoreError::io("look at", path, error))?;
        refuse_others(path, meta.file_type())?;
        // Where nothing can be locked, nothing is.
        if let Err(Errno::WOULDBLOCK) = flock(&file, FlockOperation::NonBlockingLockShared) {
            return Err(StoreError::Locked(path.to_owned()));
        }
        let mut stored = Self {
            file,
            path: path.to_owned(),
            len: meta.len(),
            parts: Parts::Here,
            alone: OnceLock::new(),
        };
        stored.parts = Parts::of(&stored);
        Ok(stored)
    }

    /// The file as it is.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Keeps all others from opening it until this is dropped, and opens it to be written. Who only looks is waited for: of
    /// two updates that begin together, the one that gives way has it open, too.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if somebody has it open and keeps it, or another file is in its place; what the system says,
    /// also where nothing can be locked.
    pub(crate) fn lock_alone(&self) -> Result<File> {
        // NFS locks exclusively only what is open for writing.
        let alone = durable::reopen(&self.path)?;
        let (ours, there) = (
            self.metadata()?,
            alone.metadata().at("look at", &self.path)?,
        );
        if (ours.dev(), ours.ino()) != (there.dev(), there.ino()) {
            return Err(StoreError::Locked(self.path.clone()));
        }
        let locked = within(PATIENCE, || {
            // What is open twice is in its own way.
            let _ = flock(&self.file, FlockOperation::Unlock);
            let locked = try_lock(&alone);
            if locked != Ok(true) {
                let _ = flock(&self.file, FlockOperation::NonBlockingLockShared);
            }
            locked
        });
        if !locked.at("lock", &self.path)? {
            return Err(StoreError::Locked(self.path.clone()));
        }
        let file = alone.try_clone().at("open", &self.path)?;
        let _ = self.alone.set(alone);
        Ok(file)
    }

    /// Refuses an image that has holes where parts of it may have been that nobody can find any more: for those who have
    /// no hashes to hold its bytes against.
    ///
    /// # Errors
    /// [`StoreError::HalfMoved`], [`StoreError::Io`].
    pub fn refuse_torn(&self) -> Result<()> {
        let has_holes = on_medium(&self.metadata()?) < self.len;
        match self.parts {
            Parts::Unknown if has_holes => Err(StoreError::HalfMoved(self.path.clone())),
            _ => Ok(()),
        }
    }

    /// What was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What tells whether the file is still the one that was opened.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn stamp(&self) -> Result<Stamp> {
        Ok(Stamp::of(&self.metadata()?))
    }

    /// What the system tells of the file now.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn metadata(&self) -> Result<Metadata> {
        let meta = self.file.metadata();
        meta.map_err(|error| StoreError::io("look at", &self.path, error))
    }

    /// Makes later reads come from the medium, as far as the system allows.
    pub fn forget_cached(&self) {
        // Advice: where it is not taken, the check that follows is weaker, not wrong.
        let _ = fadvise(&self.file, 0, None, Advice::DontNeed);
    }
}

/// Whether somebody has the image in a file open and keeps it: then its bytes stay, whatever becomes of its name. Who
/// only looks at it is waited for.
pub(crate) fn is_open(path: &Path) -> bool {
    // What is gone nobody has. NFS locks exclusively only what is open for writing.
    let Ok(file) = durable::reopen(path).or_else(|_| open(path)) else {
        return false;
    };
    is_kept(within(GLANCE, || try_lock(&file)))
}

/// What came of trying to lock, for so long as it is somebody else's.
fn within(
    patience: Duration,
    mut lock: impl FnMut() -> std::result::Result<bool, Errno>,
) -> std::result::Result<bool, Errno> {
    let start = Instant::now();
    loop {
        match lock() {
            Ok(false) if start.elapsed() <= patience => sleep(NAP),
            done => return done,
        }
    }
}

/// Whether somebody has a file of which this came of trying to lock it: also where that cannot be told. Where there are
/// no locks at all, nobody has one.
fn is_kept(locked: std::result::Result<bool, Errno>) -> bool {
    !matches!(locked, Ok(true) | Err(Errno::NOSYS | Errno::OPNOTSUPP))
}

/// Refuses what is no regular file.
fn refuse_others(path: &Path, kind: FileType) -> Result<()> {
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(StoreError::NotAFile {
        path: path.to_owned(),
        what,
    })
}

/// Opens for reading, leaving the file's times alone where the system allows: looking at an image is not
/// using it, and a cache goes by its last use. A pipe that came into its place does not hold us.
fn open(path: &Path) -> io::Result<File> {
    let open = |flags: OFlags| {
        let flags = flags.bits().cast_signed();
        File::options().read(true).custom_flags(flags).open(path)
    };
    match open(OFlags::NOATIME | OFlags::NONBLOCK) {
        // Only the owner and root may ask for it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => open(OFlags::NONBLOCK),
        other => other,
    }
}

impl ReadAt for Stored {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        match &self.parts {
            Parts::Moved(moved) => moved.read(&self.file, buf, offset),
            // Of what is missing the hashes tell, or [`Stored::refuse_torn`].
            Parts::Here | Parts::Unknown => self.file.read_exact_at(buf, offset),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::io::Errno;

    use super::{is_kept, within};

    /// NFS refuses in this way an exclusive lock of what is open for reading.
    #[test]
    fn a_lock_that_is_refused_is_none() {
        let refused = within(Duration::ZERO, || Err(Errno::BADF));
        assert_eq!(refused, Err(Errno::BADF));
        assert!(is_kept(refused), "nobody can tell");
        let mut tries = 0;
        let later = within(Duration::from_mins(1), || {
            tries += 1;
            Ok(tries == 3)
        });
        assert_eq!((later, tries), (Ok(true), 3));
        assert!(is_kept(within(Duration::ZERO, || Ok(false))));
        assert!(!is_kept(Ok(true)));
        for none in [Errno::NOSYS, Errno::OPNOTSUPP] {
            assert!(!is_kept(Err(none)), "nothing can ever go there");
        }
    }
}
