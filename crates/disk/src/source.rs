//! A device or file that an image is taken from. Nothing here can write.

use std::fs::{self, File, Metadata};
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use azud_core::io::ReadAt;
use rustix::fs::{Advice, OFlags, SeekFrom, fadvise, seek};
use rustix::io::Errno;

use crate::busy::check_unused;
use crate::direct::Direct;
use crate::error::{DiskError, Result};
use crate::facts::{DeviceFacts, Kind, kind_of};
use crate::holes::Holes;
use crate::{neighbours, sys};

/// What must stay as it was at the opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    len: u64,
    /// Device and inode of a file; device number of a device.
    identity: (u64, u64),
    /// Of files: seconds and nanoseconds of the last change of content.
    modified: (i64, i64),
    /// Of devices: the number of the medium.
    sequence: u64,
}

/// A device or file, opened for reading only; a device is held exclusively.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    file: File,
    facts: DeviceFacts,
    seen: Seen,
}

/// How [`Source::bulk`] reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Past the page cache where that works; else through it, leaving nothing behind in it.
    Direct,
    /// Through the page cache: right for what is likely to be there already.
    Cached,
}

impl Source {
    /// Opens a device (exclusively, and after everything written to it has reached the medium) or a file.
    ///
    /// # Errors
    /// [`DiskError::Mounted`] and [`DiskError::Busy`] when it is in use, and the kinds of [`DeviceFacts::read`].
    pub fn open(path: &Path) -> Result<Self> {
        let facts = DeviceFacts::read(path)?;
        check_unused(path)?;
        neighbours::settle(path);
        let exclusive = if facts.kind == Kind::BlockDevice {
            OFlags::EXCL
        } else {
            OFlags::empty()
        };
        let file = File::options()
            .read(true)
            .custom_flags((exclusive | OFlags::NONBLOCK).bits().cast_signed())
            .open(path)
            .map_err(|error| DiskError::at(path, "opening", error))?;
        let seen =
            look(&file, facts.kind).map_err(|error| DiskError::at(path, "looking", error))?;
        if facts.kind == Kind::BlockDevice {
            // Not permitted or not supported: then the page cache is as good as the kernel keeps it.
            let _ = file.sync_data();
            let _ = sys::flush_buffers(&file);
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            facts: DeviceFacts {
                len: seen.len,
                ..facts
            },
            seen,
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

    /// Lets `work` open a device exclusively by its path: some programs insist on it. Before and after, it is ours.
    ///
    /// # Errors
    /// The kinds of [`Source::open`], [`DiskError::Changed`] when it is not the same afterwards. Then it is not ours any more.
    pub fn lend<T>(&mut self, work: impl FnOnce(&Path) -> T) -> Result<T> {
        if self.facts.kind == Kind::BlockDevice {
            self.file = File::options()
                .read(true)
                .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
                .open(&self.path)
                .map_err(|error| DiskError::at(&self.path, "opening", error))?;
        }
        let done = work(&self.path);
        if self.facts.kind == Kind::BlockDevice {
            let again = Self::open(&self.path)?;
            if again.seen != self.seen {
                return Err(DiskError::Changed {
                    path: again.path,
                    what: "it was replaced while it was lent",
                });
            }
            *self = again;
        }
        Ok(done)
    }

    /// A second way in, for large ranges.
    ///
    /// # Errors
    /// When it cannot be opened once more.
    pub fn bulk(&self, access: Access) -> Result<Bulk> {
        let again = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let file = File::open(again)
            .map_err(|error| DiskError::at(&self.path, "opening for bulk reading", error))?;
        let direct = match access {
            Access::Cached => None,
            Access::Direct => Direct::of(&file, self.facts.kind, self.facts.logical_sector)
                .and_then(|direct| direct.switch_on(&file, self.seen.len)),
        };
        if direct.is_none() {
            // Advice: without it reading is slower, not wrong.
            let _ = fadvise(&file, 0, None, Advice::Sequential);
        }
        let forget = access == Access::Direct && direct.is_none();
        Ok(Bulk {
            file,
            direct,
            forget,
            len: self.seen.len,
        })
    }

    /// The parts of a range that are not holes, ascending. What lies outside them reads as zeros.
    /// Devices, and file systems that cannot tell, have one part.
    pub fn data_ranges(&self, range: Range<u64>) -> DataRanges<'_> {
        let end = range.end.min(self.seen.len);
        DataRanges {
            file: self.file.as_fd(),
            next: range.start,
            end,
            whole: self.facts.kind == Kind::BlockDevice,
        }
    }

    /// The holes of a file, ascending: they read as zeros and need no reading. A device tells none.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn holes(&self) -> Result<Holes> {
        let io = |error| DiskError::at(&self.path, "looking for holes", error);
        let (mut holes, mut at) = (Vec::new(), 0);
        for data in self.data_ranges(0..self.seen.len) {
            let data = data.map_err(io)?;
            if at < data.start {
                holes.push(at..data.start);
            }
            at = data.end;
        }
        if at < self.seen.len {
            holes.push(at..self.seen.len);
        }
        Ok(Holes(holes))
    }

    /// Whether it is still what was opened: same size, same file or medium, content not touched.
    ///
    /// # Errors
    /// [`DiskError::Changed`].
    pub fn unchanged(&self) -> Result<()> {
        let changed = |what| DiskError::Changed {
            path: self.path.clone(),
            what,
        };
        let there = fs::metadata(&self.path).map_err(|_| changed("it is gone"))?;
        if kind_of(&there) != Some(self.facts.kind)
            || identity(&there, self.facts.kind) != self.seen.identity
        {
            return Err(changed("something else has its name"));
        }
        let now = look(&self.file, self.facts.kind).map_err(|_| changed("it does not answer"))?;
        if now.len != self.seen.len {
            return Err(changed("its size"));
        }
        if now.sequence != self.seen.sequence {
            return Err(changed("its medium"));
        }
        if now.modified != self.seen.modified {
            return Err(changed("its content"));
        }
        Ok(())
    }
}

fn identity(meta: &Metadata, kind: Kind) -> (u64, u64) {
    match kind {
        Kind::BlockDevice => (meta.rdev(), 0),
        Kind::RegularFile => (meta.dev(), meta.ino()),
    }
}

fn look(file: &File, kind: Kind) -> io::Result<Seen> {
    let meta = file.metadata()?;
    if kind_of(&meta) != Some(kind) {
        return Err(io::Error::other("it was replaced while it was opened"));
    }
    let identity = identity(&meta, kind);
    Ok(match kind {
        Kind::RegularFile => Seen {
            len: meta.len(),
            identity,
            modified: (meta.mtime(), meta.mtime_nsec()),
            sequence: 0,
        },
        Kind::BlockDevice => {
            let sequence = sys::disk_sequence(file).unwrap_or(0);
            Seen {
                len: sys::device_size(file)?,
                identity,
                modified: (0, 0),
                sequence,
            }
        }
    })
}

/// `UnexpectedEof` unless the range lies within `total`.
pub(crate) fn check_range(offset: u64, len: usize, total: u64) -> io::Result<()> {
    match offset.checked_add(len as u64) {
        Some(end) if end <= total => Ok(()),
        _ => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the range reaches beyond the end",
        )),
    }
}

impl ReadAt for Source {
    fn len(&self) -> u64 {
        self.seen.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        check_range(offset, buf.len(), self.seen.len)?;
        self.file.read_exact_at(buf, offset)
    }
}

/// Reads large ranges of a [`Source`]; reading into [`azud_core::io::PageBuf`]s at multiples of 4096 copies nothing.
#[derive(Debug)]
pub struct Bulk {
    file: File,
    direct: Option<Direct>,
    /// Whether pages are dropped once read.
    forget: bool,
    len: u64,
}

impl Bulk {
    /// Whether it reads past the page cache, and what offsets should then be multiples of.
    pub fn direct_alignment(&self) -> Option<u32> {
        self.direct.as_ref().map(|direct| direct.unit)
    }
}

impl ReadAt for Bulk {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        check_range(offset, buf.len(), self.len)?;
        if let Some(direct) = &self.direct {
            return direct.read(&self.file, buf, offset);
        }
        self.file.read_exact_at(buf, offset)?;
        if self.forget
            && let Some(len) = NonZeroU64::new(buf.len() as u64)
        {
            let _ = fadvise(&self.file, offset, Some(len), Advice::DontNeed);
        }
        Ok(())
    }
}

/// Iterator over the parts of a file that are not holes.
#[derive(Debug)]
pub struct DataRanges<'a> {
    file: BorrowedFd<'a>,
    next: u64,
    end: u64,
    /// Whether all the rest is one part.
    whole: bool,
}

impl DataRanges<'_> {
    fn seek(&mut self) -> io::Result<Option<Range<u64>>> {
        if self.next >= self.end {
            return Ok(None);
        }
        let found = if self.whole {
            Err(Errno::INVAL)
        } else {
            seek(self.file, SeekFrom::Data(self.next))
        };
        let start = match found {
            Ok(start) => start,
            // "No such address": nothing but a hole up to the end.
            Err(Errno::NXIO) => self.end,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                let rest = self.next..self.end;
                self.next = self.end;
                return Ok(Some(rest));
            }
            Err(error) => return Err(error.into()),
        };
        if start >= self.end {
            self.next = self.end;
            return Ok(None);
        }
        let hole = match seek(self.file, SeekFrom::Hole(start)) {
            Ok(hole) => hole.min(self.end),
            // Shortened meanwhile: reading will say so.
            Err(Errno::NXIO) => self.end,
            Err(error) => return Err(error.into()),
        };
        self.next = hole.max(start + 1);
        Ok(Some(start..self.next))
    }
}

impl Iterator for DataRanges<'_> {
    type Item = io::Result<Range<u64>>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.seek();
        if found.is_err() {
            self.next = self.end;
        }
        found.transpose()
    }
}
