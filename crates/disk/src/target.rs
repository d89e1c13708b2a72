//! A device or file that an image is put on.
//!
//! Invariant: whether a target is written past the page cache is decided once, when it is opened,
//! from the alignment that the caller promises; a write that breaks the promise is refused. So a
//! page is never written both ways, which would let stale cached bytes win over written ones.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use azud_core::io::{ReadAt, WriteAt};
use azud_core::name::folder_of;
use rustix::fs::{
    Access, Advice, FallocateFlags, FlockOperation, OFlags, access, fadvise, fallocate, flock,
};
use rustix::io::Errno;

use crate::busy::check_unused;
use crate::direct::Direct;
use crate::error::{DiskError, Result};
use crate::extent::{devices_over, of_path};
use crate::facts::{DeviceFacts, Kind, kind_of};
use crate::source::check_range;
use crate::{neighbours, sys};

/// What the page cache works with: in buffered mode the kernel's own zeroing keeps to whole pages.
const PAGE: u64 = 4096;
/// How often to look again whether a loop device has gone.
const DETACHING: u32 = 10;
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// How to open a [`Target`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TargetOptions {
    /// Length that a regular file is created with or extended to; without it a file must exist.
    pub create_len: Option<u64>,
    /// Whether to write past the page cache if alignment and file system allow.
    pub direct: bool,
    /// What every offset and length of a write, discard or zeroing will be a multiple of; 0 for no promise.
    pub unit: u32,
}

/// A device, held exclusively, or a file, locked, opened for reading and writing.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    file: File,
    facts: DeviceFacts,
    direct: Option<Direct>,
    fresh: bool,
    created: bool,
    /// Whether the folder must still be synced, for a file that was created.
    entry_unsynced: AtomicBool,
    /// Whether anything was to be written.
    touched: AtomicBool,
    /// The kernel tells a lost write once; from then on every flush must fail.
    lost: AtomicBool,
}

impl Target {
    /// Opens a device or file. A file is created, or extended without writing, to
    /// [`TargetOptions::create_len`], and never shortened.
    ///
    /// # Errors
    /// [`DiskError::Mounted`] and [`DiskError::Busy`] (also when a file is attached to a loop device),
    /// [`DiskError::ReadOnly`], and the kinds of [`DeviceFacts::read`].
    pub fn open(path: &Path, options: TargetOptions) -> Result<Self> {
        Self::open_agreed(path, options, |_| Ok(()))
    }

    /// The same, if `agree` accepts what was found: the facts of what is open now, before a file is extended. An absent file counts
    /// as one of 0 bytes.
    ///
    /// # Errors
    /// What `agree` says, and as [`Target::open`]. Nothing was changed then.
    pub fn open_agreed(
        path: &Path,
        options: TargetOptions,
        agree: impl FnOnce(&DeviceFacts) -> Result<()>,
    ) -> Result<Self> {
        let created = create(path, options)?;
        let opened = Self::open_existing(path, options, (created, agree));
        let taken = matches!(opened, Err(DiskError::Busy { .. }));
        if opened.is_err() && created && !taken {
            // Ours and empty: nobody misses it, and the error says why.
            let _ = fs::remove_file(path);
        }
        opened
    }

    fn open_existing(
        path: &Path,
        options: TargetOptions,
        (created, agree): (bool, impl FnOnce(&DeviceFacts) -> Result<()>),
    ) -> Result<Self> {
        let mut facts = DeviceFacts::read(path)?;
        check_unused(path)?;
        let file = match facts.kind {
            Kind::BlockDevice => open_device(path, &facts)?,
            Kind::RegularFile => open_file(path)?,
        };
        let failed = |op| move |error: io::Error| DiskError::at(path, op, error);
        let meta = file.metadata().map_err(failed("looking"))?;
        if kind_of(&meta) != Some(facts.kind) {
            return Err(DiskError::Changed {
                path: path.to_owned(),
                what: "it was replaced while it was opened",
            });
        }
        let is_file = facts.kind == Kind::RegularFile;
        if is_file {
            facts.len = meta.len();
        }
        agree(&facts)?;
        let fresh = is_file && facts.len == 0;
        if is_file {
            facts.len = meta.len().max(options.create_len.unwrap_or(0));
            if facts.len > meta.len() {
                file.set_len(facts.len).map_err(failed("extending"))?;
            }
        }
        let direct = if options.direct {
            direct(&file, &facts, options.unit)
        } else {
            None
        };
        Ok(Self {
            path: path.to_owned(),
            file,
            facts,
            direct,
            fresh,
            created,
            entry_unsynced: AtomicBool::new(created),
            touched: AtomicBool::new(false),
            lost: AtomicBool::new(false),
        })
    }

    /// What was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is.
    pub fn facts(&self) -> &DeviceFacts {
        &self.facts
    }

    /// Removes the file again if opening made it; whether it did. Anything that was there before stays, and so does
    /// what somebody else put in its place.
    pub fn abandon(self) -> bool {
        let ours = || {
            let (open, there) = (self.file.metadata()?, fs::symlink_metadata(&self.path)?);
            Ok::<_, io::Error>((open.dev(), open.ino()) == (there.dev(), there.ino()))
        };
        self.created && ours().unwrap_or(false) && fs::remove_file(&self.path).is_ok()
    }

    /// Whether the medium spins, so that only ascending writes are fast. `false` when nothing tells.
    pub fn rotational(&self) -> bool {
        self.facts.rotational.unwrap_or(false)
    }

    /// Whether it was an empty or absent file when it was opened: everything not written reads as zeros.
    pub fn is_new_file(&self) -> bool {
        self.fresh
    }

    /// In direct mode, what every offset and length must be a multiple of; `None` in buffered mode.
    pub fn direct_alignment(&self) -> Option<u32> {
        self.direct.as_ref().map(|direct| direct.unit)
    }

    /// Whether a write, a discard or a zeroing was begun since it was opened: until then it holds what it held.
    pub fn is_touched(&self) -> bool {
        self.touched.load(Ordering::Relaxed)
    }

    /// Refuses what leaves the target or, in direct mode, is not aligned; what passes is going to change it.
    fn check(&self, offset: u64, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| ErrorKind::InvalidInput)?;
        check_range(offset, len, self.facts.len)
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        match &self.direct {
            Some(direct) if !direct.aligned(offset, len) => {
                let why = format!(
                    "{offset}+{len} is not a multiple of {}, as was promised",
                    direct.unit
                );
                Err(io::Error::new(ErrorKind::InvalidInput, why))
            }
            _ => {
                self.touched.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    fn write_zeros(&self, mut offset: u64, end: u64) -> io::Result<()> {
        while offset < end {
            let take = (end - offset).min(ZEROS.len() as u64);
            let zeros = &ZEROS[..usize::try_from(take).expect("at most the length of a slice")];
            self.write_all_at(zeros, offset)?;
            offset += take;
        }
        Ok(())
    }

    /// The largest part of a range that the device may zero or discard by itself.
    fn inner(&self, offset: u64, len: u64) -> Option<(u64, u64)> {
        let unit = match &self.direct {
            Some(direct) => u64::from(direct.unit).max(u64::from(self.facts.logical_sector)),
            None => PAGE.max(u64::from(self.facts.logical_sector)),
        };
        let start = offset.checked_next_multiple_of(unit)?;
        let end = offset + len;
        // The last page of a device may be a short one.
        let end = if end == self.facts.len {
            end
        } else {
            end - end % unit
        };
        (start < end).then_some((start, end))
    }

    fn zero_range(&self, start: u64, len: u64) -> rustix::io::Result<()> {
        match self.facts.kind {
            Kind::BlockDevice => sys::zero_out(&self.file, start, len),
            Kind::RegularFile => self.punch(start, len),
        }
    }

    fn punch(&self, start: u64, len: u64) -> rustix::io::Result<()> {
        fallocate(
            &self.file,
            FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
            start,
            len,
        )
    }
}

/// Refuses a folder in which no target can be made: on a medium that is read-only, immutable, or somebody else's.
///
/// # Errors
/// [`DiskError::ReadOnly`], [`DiskError::Permission`], [`DiskError::Io`].
pub fn check_folder(folder: &Path) -> Result<()> {
    access(folder, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|errno| DiskError::at(folder, "making a file", errno))
}

/// Creates the file if it is wanted and absent; whether it did.
fn create(path: &Path, options: TargetOptions) -> Result<bool> {
    if options.create_len.is_none() || fs::metadata(path).is_ok() {
        return Ok(false);
    }
    match File::options().write(true).create_new(true).open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(DiskError::at(path, "creating", error)),
    }
}

fn open_device(path: &Path, facts: &DeviceFacts) -> Result<File> {
    if facts.read_only {
        return Err(DiskError::ReadOnly {
            path: path.to_owned(),
        });
    }
    neighbours::settle(path);
    File::options()
        .read(true)
        .write(true)
        .custom_flags((OFlags::EXCL | OFlags::NONBLOCK).bits().cast_signed())
        .open(path)
        .map_err(|error| DiskError::at(path, "opening for writing", error))
}

fn open_file(path: &Path) -> Result<File> {
    // A loop device caches what its file held: written behind its back, it would go on showing that.
    let mut over = devices_over(&of_path(path)?);
    for _ in 0..DETACHING {
        if over.is_empty() {
            break;
        }
        // Detached a moment ago, it goes away when the last one who looks at it has closed it.
        std::thread::sleep(Duration::from_millis(10));
        over = devices_over(&of_path(path)?);
    }
    if let Some(over) = over.first() {
        return Err(DiskError::Busy {
            path: path.to_owned(),
            by: over.node().display().to_string(),
        });
    }
    let file = File::options()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|error| DiskError::at(path, "opening for writing", error))?;
    // What exclusive opening is for devices. A file system without locks is believed.
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err(DiskError::Busy {
            path: path.to_owned(),
            by: "another program, which has locked it".to_owned(),
        }),
        _ => Ok(file),
    }
}

/// Direct I/O, if everything that will be written is aligned enough for it.
fn direct(file: &File, facts: &DeviceFacts, unit: u32) -> Option<Direct> {
    let direct = Direct::of(file, facts.kind, facts.logical_sector)?;
    let fits = unit != 0
        && unit.is_multiple_of(direct.unit)
        && facts.len.is_multiple_of(u64::from(direct.unit));
    if fits {
        direct.switch_on(file, facts.len)
    } else {
        None
    }
}

impl ReadAt for Target {
    fn len(&self) -> u64 {
        self.facts.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        check_range(offset, buf.len(), self.facts.len)?;
        match &self.direct {
            Some(direct) => direct.read(&self.file, buf, offset),
            None => self.file.read_exact_at(buf, offset),
        }
    }
}

impl WriteAt for Target {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.check(offset, buf.len() as u64)?;
        match &self.direct {
            Some(direct) => direct.write(&self.file, buf, offset),
            None => self.file.write_all_at(buf, offset),
        }
    }

    fn flush(&self) -> io::Result<()> {
        if self.lost.load(Ordering::Acquire) {
            return Err(io::Error::other(
                "an earlier flush failed: what was written may be lost",
            ));
        }
        let entry_unsynced = self.entry_unsynced.swap(false, Ordering::AcqRel);
        let mut result = self.file.sync_data();
        if result.is_ok() && entry_unsynced {
            result = File::open(folder_of(&self.path)).and_then(|folder| folder.sync_all());
        }
        if result.is_err() {
            self.lost.store(true, Ordering::Release);
        }
        result
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.check(offset, len)?;
        let Some((start, end)) = self.inner(offset, len) else {
            return Ok(());
        };
        let done = match self.facts.kind {
            Kind::BlockDevice => sys::discard(&self.file, start, end - start),
            Kind::RegularFile => self.punch(start, end - start),
        };
        match done {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOTTY) => {
                Err(ErrorKind::Unsupported.into())
            }
            done => Ok(done?),
        }
    }

    fn forget(&self) -> io::Result<()> {
        // Only what is on the medium is dropped from memory.
        self.flush()?;
        if self.direct.is_some() {
            return Ok(());
        }
        if self.facts.kind == Kind::BlockDevice {
            // Not permitted to everybody; the advice below is.
            let _ = sys::flush_buffers(&self.file);
        }
        Ok(fadvise(&self.file, 0, None, Advice::DontNeed)?)
    }

    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        self.check(offset, len)?;
        let Some((start, end)) = self.inner(offset, len) else {
            return self.write_zeros(offset, offset + len);
        };
        match self.zero_range(start, end - start) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOTTY | Errno::INVAL) => {
                self.write_zeros(start, end)?;
            }
            done => done?,
        }
        self.write_zeros(offset, start)?;
        self.write_zeros(end, offset + len)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.facts.kind == Kind::BlockDevice {
            neighbours::settle(&self.path);
        }
    }
}
