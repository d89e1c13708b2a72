//! Mounting and unmounting.
//!
//! Invariants: nothing is mounted through a symbolic link or over another mount; set-uid programs
//! and device nodes of what is mounted have no effect; a mount goes away with its [`Mounted`]
//! unless it is kept; what cannot be unmounted says who uses it.

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use crate::busy::{held_exclusively, mounted_extents};
use crate::command::{Tool, find};
use crate::error::{DiskError, Result};
use crate::extent::of_path;
use crate::mounts::{Mount, mounts};
use crate::running::Aside;
use crate::sys;
use crate::sysfs::BlockDev;

/// How often, and how long apart, a busy file system is tried again: programs that look at every new
/// mount let go of it soon.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);
/// Most users of a file system that are named.
const MAX_NAMED: usize = 8;
/// Types whose helpers only prepare what the kernel then mounts.
const IN_KERNEL: [&str; 4] = ["nfs", "nfs4", "cifs", "smb3"];

/// Who mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// The kernel: a file system of this type on a block device.
    Device(&'a str),
    /// The kernel: a directory that is seen at a second place.
    Bind,
    /// `mount -t TYPE`, with the helper that it calls (`mount.nfs`, `mount.cifs`, FUSE).
    Helper(&'a str),
}

/// What to mount where.
#[derive(Debug, Clone, Copy)]
pub struct Mounting<'a> {
    /// A device, a directory, or what the helper takes (`server:/path`).
    pub source: &'a OsStr,
    /// Where. Made if it is absent, with its parents.
    pub at: &'a Path,
    /// Who mounts.
    pub kind: Kind<'a>,
    /// Whether writing is refused.
    pub read_only: bool,
    /// The file system's own options, separated by commas. Never a secret: others see them.
    pub options: &'a str,
}

/// What is mounted somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountFacts {
    /// Where.
    pub at: PathBuf,
    /// What was mounted, as the file system calls it.
    pub source: PathBuf,
    /// Type of the file system.
    pub fs_type: String,
    /// Whether writing is refused.
    pub read_only: bool,
}

impl MountFacts {
    /// Whether it is a view of images that lie elsewhere (see [`view`](crate::view)).
    pub fn is_view(&self) -> bool {
        self.fs_type == crate::view::TYPE
    }

    fn of(mount: Mount) -> Self {
        Self {
            at: mount.at,
            source: mount.source,
            fs_type: mount.fs_type,
            read_only: mount.read_only,
        }
    }
}

/// A file system that was mounted; unmounted when it is dropped, unless it is kept.
#[derive(Debug)]
#[must_use]
pub struct Mounted {
    at: PathBuf,
    /// Whether the directory was made for it.
    made: bool,
    armed: bool,
    _aside: Aside,
}

impl Mounted {
    /// Where it is, free of symbolic links.
    pub fn at(&self) -> &Path {
        &self.at
    }

    /// Leaves it mounted.
    pub fn keep(mut self) -> PathBuf {
        self.armed = false;
        std::mem::take(&mut self.at)
    }

    /// Unmounts it now; a directory that was made for it goes too.
    ///
    /// # Errors
    /// Those of [`unmount`]. Then it stays mounted.
    pub fn unmount(mut self) -> Result<()> {
        self.armed = false;
        unmount(&self.at)?;
        self.tidy();
        Ok(())
    }

    fn tidy(&self) {
        if self.made {
            // Somebody may have put something there before it was mounted.
            let _ = fs::remove_dir(&self.at);
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        if unmount(&self.at).is_err() {
            // Nobody can be told any more: at least it is out of the way once its users are gone.
            let _ = rustix::mount::unmount(&self.at, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
        }
        self.tidy();
    }
}

/// Mounts.
///
/// # Errors
/// [`DiskError::BadMountPoint`]; [`DiskError::Mounted`] when something is mounted there already;
/// [`DiskError::MountUnsupported`], [`DiskError::Unmountable`], [`DiskError::ReadOnly`] for what the
/// kernel says of the source; [`DiskError::ToolMissing`] and [`DiskError::ToolFailed`] of a helper.
pub fn mount(what: &Mounting<'_>) -> Result<Mounted> {
    let place = Place::open(what.at)?;
    let aside = Aside::new();
    let done = match what.kind {
        Kind::Device(fs) => by_kernel(what, &place, fs),
        Kind::Bind => bind(what, &place),
        Kind::Helper(fs) => by_helper(what, &place, fs),
    };
    let mounted = Mounted {
        at: place.real,
        made: place.made,
        armed: done.is_ok(),
        _aside: aside,
    };
    if done.is_err() {
        mounted.tidy();
    }
    done.map(|()| mounted)
}

/// A directory where something is to be mounted.
struct Place {
    dir: OwnedFd,
    /// Its name, free of symbolic links.
    real: PathBuf,
    /// Whether it was made for this.
    made: bool,
}

impl Place {
    fn open(at: &Path) -> Result<Self> {
        let bad = |why| DiskError::BadMountPoint {
            at: at.to_owned(),
            why,
        };
        let made = match fs::symlink_metadata(at) {
            Ok(meta) if meta.is_symlink() => return Err(bad("it is a symbolic link")),
            Ok(meta) if !meta.is_dir() => return Err(bad("it is not a directory")),
            Ok(_) => false,
            Err(_) => {
                fs::create_dir_all(at)
                    .map_err(|error| DiskError::at(at, "making the directory", error))?;
                true
            }
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = rustix::fs::open(at, flags, Mode::empty())
            .map_err(|error| DiskError::at(at, "opening the directory", error))?;
        let real = fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd()))
            .map_err(|error| DiskError::at(at, "looking", error))?;
        match top(&real) {
            Some(there) => Err(DiskError::Mounted {
                path: there.source,
                at: real,
            }),
            None => Ok(Self { dir, real, made }),
        }
    }

    /// Its name by its descriptor: a link that takes the directory's place meanwhile leads nowhere.
    /// Once something is mounted it still means the directory below.
    fn held(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.dir.as_raw_fd()))
    }
}

fn flags(read_only: bool) -> MountFlags {
    let flags = MountFlags::NODEV | MountFlags::NOSUID;
    if read_only {
        flags | MountFlags::RDONLY
    } else {
        flags
    }
}

fn by_kernel(what: &Mounting<'_>, place: &Place, fs: &str) -> Result<()> {
    let source = Path::new(what.source);
    let options = CString::new(what.options).map_err(|_| DiskError::Io {
        path: source.to_owned(),
        op: "reading the options",
        source: std::io::ErrorKind::InvalidInput.into(),
    })?;
    let done = rustix::mount::mount(
        source,
        place.held(),
        fs,
        flags(what.read_only),
        Some(options.as_c_str()),
    );
    done.map_err(|error| refusal(source, fs, error))
}

/// What the kernel means.
fn refusal(source: &Path, fs: &str, error: Errno) -> DiskError {
    let path = source.to_owned();
    let fs = fs.to_owned();
    let write_protected =
        || File::open(source).is_ok_and(|node| sys::device_read_only(node) == Ok(true));
    match error {
        Errno::NODEV => DiskError::MountUnsupported { path, fs },
        Errno::INVAL | Errno::UCLEAN | Errno::BADMSG | Errno::FBIG => DiskError::Unmountable {
            path,
            fs,
            source: error.into(),
        },
        Errno::ACCESS if write_protected() => DiskError::ReadOnly { path },
        Errno::BUSY => match mounts_of(source).into_iter().next() {
            Some(there) => DiskError::Mounted { path, at: there.at },
            None => DiskError::at(source, "mounting", error),
        },
        _ => DiskError::at(source, "mounting", error),
    }
}

fn bind(what: &Mounting<'_>, place: &Place) -> Result<()> {
    let source = Path::new(what.source);
    rustix::mount::mount_bind(source, place.held())
        .map_err(|error| DiskError::at(source, "binding", error))?;
    // The first call ignores all flags.
    let flags = flags(what.read_only) | MountFlags::BIND;
    rustix::mount::mount_remount(&place.real, flags, c"").map_err(|error| {
        let _ = rustix::mount::unmount(&place.real, UnmountFlags::NOFOLLOW);
        DiskError::at(source, "limiting what may be done there", error)
    })
}

fn by_helper(what: &Mounting<'_>, place: &Place, fs: &str) -> Result<()> {
    let mut options = vec!["nosuid", "nodev", if what.read_only { "ro" } else { "rw" }];
    if !what.options.is_empty() {
        options.push(what.options);
    }
    let options = options.join(",");
    let tool = if IN_KERNEL.contains(&fs) {
        // The helper itself, so that it is its absence that is told.
        let helper = Tool::find(&format!("mount.{fs}"))?;
        helper
            .arg(what.source)
            .arg(&place.real)
            .args(["-o", &options])
    } else {
        let tool = Tool::find("mount")?.args(["-t", fs, "-o", &options, "--"]);
        tool.arg(what.source).arg(&place.real)
    };
    let done = tool.run().map(drop);
    if done.is_err() && top(&place.real).is_some() {
        // It was ended after it had mounted; what is said is why.
        let _ = unmount(&place.real);
    }
    done.map_err(|error| match error {
        DiskError::ToolFailed { .. } if !supported(fs) => DiskError::MountUnsupported {
            path: PathBuf::from(what.source),
            fs: fs.to_owned(),
        },
        error => error,
    })?;
    // A helper that promised too much must not leave us writing into the directory below.
    match top(&place.real) {
        Some(_) => Ok(()),
        None => Err(DiskError::NotMounted {
            at: place.real.clone(),
        }),
    }
}

/// Whether a mount could have come about: the kernel knows the type (the attempt has loaded its
/// module if there is one), or a FUSE helper stands for it.
fn supported(fs: &str) -> bool {
    let types = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let in_kernel = types.split_whitespace().any(|known| known == fs);
    let needs_kernel = IN_KERNEL.contains(&fs);
    in_kernel || (!needs_kernel && find(&format!("mount.{fs}")).is_some())
}

/// What is mounted at a directory; of several on top of each other the one that is seen.
pub fn mounted_at(at: &Path) -> Option<MountFacts> {
    top(&real_place(at)?)
}

/// The directory of this computer that is seen at a place once more, by its first name; none where a whole file system
/// is mounted.
pub fn bound_at(at: &Path) -> Option<PathBuf> {
    let real = real_place(at)?;
    let all = mounts();
    let there = all.iter().rfind(|mount| mount.at == real)?;
    let first = all.iter().find(|mount| {
        mount.dev == there.dev && mount.at != real && there.root.starts_with(&mount.root)
    })?;
    let inside = there.root.strip_prefix(&first.root).ok()?;
    // Joining nothing would add a slash.
    let parts = first.at.iter().chain(inside.iter());
    Some(parts.collect())
}

fn top(real: &Path) -> Option<MountFacts> {
    let found = mounts().into_iter().rfind(|mount| mount.at == real);
    found.map(MountFacts::of)
}

/// The place free of symbolic links. The place itself is not looked at: a server that does not answer would hold us.
fn real_place(at: &Path) -> Option<PathBuf> {
    let at = std::path::absolute(at).ok()?;
    let Some(name) = at.file_name() else {
        return Some(at);
    };
    if at.is_symlink() {
        return fs::canonicalize(&at).ok();
    }
    Some(fs::canonicalize(at.parent()?).ok()?.join(name))
}

/// Where the file system of a device (its bytes, under whatever name) is mounted.
pub fn mounts_of(device: &Path) -> Vec<MountFacts> {
    let Ok(extent) = of_path(device) else {
        return Vec::new();
    };
    let mounts = mounts().into_iter();
    mounts
        .filter(|mount| mounted_extents(mount).contains(&extent))
        .map(MountFacts::of)
        .collect()
}

/// Unmounts what is mounted at a directory, after everything is written. A file system that is busy
/// for a moment only is waited for; so is a FUSE helper that still writes.
///
/// # Errors
/// [`DiskError::NotMounted`]; [`DiskError::Busy`], which names who uses it.
pub fn unmount(at: &Path) -> Result<()> {
    let not_mounted = || DiskError::NotMounted { at: at.to_owned() };
    let real = real_place(at).ok_or_else(not_mounted)?;
    let facts = top(&real).ok_or_else(not_mounted)?;
    let mut tries = TRIES;
    loop {
        match rustix::mount::unmount(&real, UnmountFlags::NOFOLLOW) {
            Ok(()) => break,
            Err(Errno::BUSY) if tries > 0 => {
                tries -= 1;
                sleep(PAUSE);
            }
            Err(Errno::BUSY) => return Err(busy(&real)),
            Err(Errno::INVAL) => return Err(not_mounted()),
            Err(error) => return Err(DiskError::at(at, "unmounting", error)),
        }
    }
    if facts.fs_type.starts_with("fuse") {
        await_helper(&facts.source);
    }
    Ok(())
}

fn busy(at: &Path) -> DiskError {
    let users = users(at);
    let by = if users.is_empty() {
        "another program".to_owned()
    } else {
        users.join(", ")
    };
    DiskError::Busy {
        path: at.to_owned(),
        by,
    }
}

/// FUSE helpers write on after the unmount and hold their device to themselves meanwhile.
fn await_helper(source: &Path) {
    for _ in 0..TRIES * 5 {
        if !held_exclusively(source) {
            return;
        }
        sleep(PAUSE);
    }
}

/// Who keeps a mount busy: processes as `NAME (PID)`, mounts below it, loop devices over its files.
fn users(at: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let below = mounts();
    let below = below.iter().map(|mount| mount.at.as_path());
    found.extend(
        below
            .filter(|place| place.starts_with(at) && *place != at)
            .map(|place| format!("a mount on {}", place.display())),
    );
    for device in BlockDev::all() {
        if device
            .text("loop/backing_file")
            .is_some_and(|file| Path::new(&file).starts_with(at))
        {
            found.push(device.node().display().to_string());
        }
    }
    for process in processes().filter(|process| uses(&process.path(), at)) {
        let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        let pid = process.file_name();
        found.push(format!("{} ({})", name.trim(), pid.display()));
    }
    found.truncate(MAX_NAMED);
    found
}

/// Whether any process has a file of a directory open, works in it or runs from it. What processes of others do
/// is seen by root alone.
pub fn in_use(dir: &Path) -> bool {
    processes().any(|process| uses(&process.path(), dir))
}

fn processes() -> impl Iterator<Item = fs::DirEntry> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().as_bytes().iter().all(u8::is_ascii_digit))
}

/// Whether a process works in a directory, runs from it or has a file of it open. Links are read and not followed.
fn uses(process: &Path, at: &Path) -> bool {
    let own = ["cwd", "root", "exe"].map(|link| process.join(link));
    let open = fs::read_dir(process.join("fd")).into_iter().flatten();
    let mapped = fs::read_dir(process.join("map_files"))
        .into_iter()
        .flatten();
    let links = open.chain(mapped).flatten().map(|link| link.path());
    own.into_iter()
        .chain(links)
        .any(|link| fs::read_link(link).is_ok_and(|target| target.starts_with(at)))
}
