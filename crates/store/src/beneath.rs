//! Paths that cannot leave a directory, whatever links somebody planted in it.
//!
//! The kernel sees to it where it can (`openat2`, Linux 5.6). Elsewhere, and where a sandbox forbids that,
//! the path is walked step by step. Both follow links that stay inside, as long as they are relative, and
//! refuse the others; mounts inside may be entered. Magic links as in `/proc` lead nowhere.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2, readlinkat};
use rustix::io::Errno;

use crate::durable;
use crate::error::{At, Result, StoreError};

/// Who walks the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The kernel, in one call.
    Kernel,
    /// This program, component by component.
    Steps,
}

/// A directory that paths are resolved beneath.
#[derive(Debug)]
pub struct Beneath {
    top: OwnedFd,
    path: PathBuf,
    way: Way,
}

/// As many links as the kernel follows in one path.
const MAX_LINKS: u32 = 40;
/// The kernel gives up when a rename is under way at the same moment; it is asked again this often.
const TRIES: u32 = 100;

const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
const DIR: OFlags = LOOK.union(OFlags::DIRECTORY);

impl Beneath {
    /// Opens the directory; the best way that works here is taken.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::NotAFile`] if it is no directory, [`StoreError::Io`].
    pub fn open(top: &Path) -> Result<Self> {
        let mut beneath = Self::open_by(top, Way::Kernel)?;
        // EPERM: the usual answer of sandboxes to a system call that they do not know.
        let asked = beneath.by_kernel(Path::new("."), DIR);
        if matches!(asked, Err(Errno::NOSYS | Errno::PERM)) {
            beneath.way = Way::Steps;
        }
        Ok(beneath)
    }

    /// Opens the directory and resolves paths in a given way.
    ///
    /// # Errors
    /// As [`Beneath::open`].
    pub fn open_by(top: &Path, way: Way) -> Result<Self> {
        let fd = openat(CWD, top, DIR, Mode::empty());
        let top_fd = fd.map_err(|errno| refusal(errno, top))?;
        Ok(Self {
            top: top_fd,
            path: top.to_owned(),
            way,
        })
    }

    /// What was opened, as it was called.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A directory beneath, as a top of its own.
    ///
    /// # Errors
    /// As [`Beneath::open`]; [`StoreError::Outside`].
    pub fn enter(&self, sub: &Path) -> Result<Self> {
        let top = self.look(sub, DIR)?;
        let path = real_path(&top, &self.path.join(sub))?;
        Ok(Self {
            top,
            path,
            way: self.way,
        })
    }

    /// What a path leads to, and its path free of links.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Outside`], [`StoreError::Io`].
    pub fn look_at(&self, sub: &Path) -> Result<(PathBuf, Metadata)> {
        let shown = self.path.join(sub);
        let file = File::from(self.look(sub, LOOK)?);
        let meta = file.metadata().at("look at", &shown)?;
        Ok((real_path(&file, &shown)?, meta))
    }

    /// Opens a regular file to be read.
    ///
    /// # Errors
    /// As [`Beneath::look_at`]; [`StoreError::NotAFile`].
    pub fn open_file(&self, sub: &Path) -> Result<File> {
        let shown = self.path.join(sub);
        // Non-blocking, so that a pipe put here cannot hold us.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(self.look(sub, flags)?);
        if !file.metadata().at("look at", &shown)?.is_file() {
            return Err(StoreError::NotAFile {
                path: shown,
                what: "no regular file",
            });
        }
        Ok(file)
    }

    /// The names in a directory.
    ///
    /// # Errors
    /// As [`Beneath::open`]; [`StoreError::Outside`].
    pub fn names(&self, sub: &Path) -> Result<Vec<OsString>> {
        let shown = self.path.join(sub);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = self.look(sub, flags)?;
        let entries = rustix::fs::Dir::new(dir).at("read the directory", &shown)?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.at("read the directory", &shown)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        Ok(names)
    }

    /// Makes the directories that are missing on a path of plain names; returns its path free of links.
    ///
    /// # Errors
    /// As [`Beneath::open`]; [`StoreError::Outside`].
    pub fn make_dirs(&self, names: &[String]) -> Result<PathBuf> {
        let mut sub = PathBuf::new();
        for name in names {
            let parent = self.look(&sub, DIR)?;
            sub.push(name);
            if self.look(&sub, DIR).is_err() {
                let shown = self.path.join(&sub);
                if durable::make_dir_at(&parent, name, &shown)? {
                    durable::sync_dir(&real_path(&parent, &shown)?)?;
                }
            }
        }
        let dir = self.look(&sub, DIR)?;
        real_path(&dir, &self.path.join(&sub))
    }

    fn look(&self, sub: &Path, flags: OFlags) -> Result<OwnedFd> {
        let sub = if sub.as_os_str().is_empty() {
            Path::new(".")
        } else {
            sub
        };
        let found = match self.way {
            Way::Kernel => self.by_kernel(sub, flags),
            Way::Steps => self.by_steps(sub, flags),
        };
        found.map_err(|errno| refusal(errno, &self.path.join(sub)))
    }

    fn by_kernel(&self, sub: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..TRIES {
            match openat2(&self.top, sub, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN) => {}
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }

    fn by_steps(&self, sub: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let mut left = parts(sub)?;
        let mut links = 0;
        // The directories from the top to where we are: `..` goes back in here, never on disk.
        let mut walked: Vec<OwnedFd> = Vec::new();
        while let Some(name) = left.pop_front() {
            if name == ".." {
                walked.pop().ok_or(Errno::XDEV)?;
                continue;
            }
            let here = walked.last().unwrap_or(&self.top);
            let last = left.is_empty();
            let step = openat(here, &name, LOOK | OFlags::NOFOLLOW, Mode::empty())?;
            if is_link(&step)? {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                let target = readlinkat(&step, c"", Vec::new())?;
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                for part in parts(&target)?.into_iter().rev() {
                    left.push_front(part);
                }
            } else if last {
                // Opened anew for its use; a link put there meanwhile is not followed.
                return openat(here, &name, flags | OFlags::NOFOLLOW, Mode::empty());
            } else {
                walked.push(step);
            }
        }
        let here = walked.last().unwrap_or(&self.top);
        openat(here, c".", flags, Mode::empty())
    }
}

/// The components of a relative path.
fn parts(path: &Path) -> rustix::io::Result<VecDeque<OsString>> {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| match part {
            Component::Normal(name) => Ok(name.to_owned()),
            Component::ParentDir => Ok(OsString::from("..")),
            _ => Err(Errno::XDEV),
        })
        .collect()
}

fn is_link(fd: &OwnedFd) -> rustix::io::Result<bool> {
    let mode = rustix::fs::fstat(fd)?.st_mode;
    Ok(rustix::fs::FileType::from_raw_mode(mode) == rustix::fs::FileType::Symlink)
}

fn refusal(errno: Errno, path: &Path) -> StoreError {
    let path = path.to_owned();
    match errno {
        Errno::XDEV => StoreError::Outside { path },
        Errno::NOENT => StoreError::NotFound(path),
        Errno::NOTDIR => StoreError::NotAFile {
            path,
            what: "not a directory all the way",
        },
        _ => StoreError::io("open", &path, errno.into()),
    }
}

/// The path of something open, as the kernel knows it now.
fn real_path(fd: &impl AsFd, shown: &Path) -> Result<PathBuf> {
    let link = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    let real = std::fs::read_link(link).at("find the path of", shown)?;
    if real.is_absolute() {
        Ok(real)
    } else {
        Err(StoreError::io(
            "find the path of",
            shown,
            io::ErrorKind::NotFound.into(),
        ))
    }
}
