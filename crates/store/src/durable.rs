//! The only place where names and contents of durable files change.
//!
//! Every step can be watched, and stopped, by a hook of the thread: that is how the tests kill a
//! process after each single one. A step that the hook refuses does not happen.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use azud_core::name::beside;
use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate};
use rustix::io::Errno;

use crate::error::{At, Result, StoreError};

/// A kind of step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// A directory is made.
    MakeDir,
    /// A file is made, empty.
    Create,
    /// A small file is written whole and synced.
    Write,
    /// The content of a file is synced.
    SyncFile,
    /// The names in a directory are synced.
    SyncDir,
    /// A symbolic link is made.
    Symlink,
    /// A second name is given to a file.
    Link,
    /// A file or directory is renamed.
    Rename,
    /// A file is removed.
    RemoveFile,
    /// An empty directory is removed.
    RemoveDir,
    /// Space is reserved for a part of a file.
    Reserve,
    /// A part of a small file is written over and synced.
    Record,
    /// The blocks of a part of a file are given back; it then reads as zeros.
    Punch,
}

/// A step about to be taken.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// What is done.
    pub op: Op,
    /// On what; for links and renames the new name.
    pub path: &'a Path,
}

/// Sees every step before it is taken; an error is what the step then says instead of happening.
pub type Hook = Box<dyn FnMut(Step<'_>) -> io::Result<()>>;

thread_local! {
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
}

/// Sets or takes away the hook of this thread. For tests.
pub fn set_hook(hook: Option<Hook>) {
    HOOK.with(|slot| *slot.borrow_mut() = hook);
}

fn step(op: Op, path: &Path) -> io::Result<()> {
    HOOK.with(|slot| match slot.try_borrow_mut() {
        Ok(mut hook) => hook.as_mut().map_or(Ok(()), |hook| hook(Step { op, path })),
        Err(_) => Ok(()),
    })
}

/// As the system's calls take it.
const NOFOLLOW: i32 = OFlags::NOFOLLOW.bits().cast_signed();

/// Makes a directory that must not exist.
pub(crate) fn make_dir(path: &Path) -> Result<()> {
    step(Op::MakeDir, path)
        .and_then(|()| fs::create_dir(path))
        .at("make the directory", path)
}

/// Makes a directory in an open one; `path` is how it is called. `false` if something has the name.
pub(crate) fn make_dir_at(dir: impl AsFd, name: &str, path: &Path) -> Result<bool> {
    let make = || {
        step(Op::MakeDir, path)?;
        match rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(0o777)) {
            Err(Errno::EXIST) => Ok(false),
            other => other.map(|()| true).map_err(io::Error::from),
        }
    };
    make().at("make the directory", path)
}

/// Makes a symbolic link; nothing may have the name.
pub(crate) fn symlink(target: &Path, path: &Path) -> Result<()> {
    step(Op::Symlink, path)
        .and_then(|()| std::os::unix::fs::symlink(target, path))
        .at("make the link", path)
}

/// Makes a directory unless it exists.
pub(crate) fn ensure_dir(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(no_directory(path)),
        Err(_) => make_dir(path),
    }
}

fn no_directory(path: &Path) -> StoreError {
    StoreError::NotAFile {
        path: path.to_owned(),
        what: "something else than the directory it should be",
    }
}

/// Makes a file that must not exist.
pub(crate) fn create(path: &Path) -> Result<File> {
    step(Op::Create, path)
        .and_then(|()| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .open(path)
        })
        .at("create", path)
}

/// How work that goes on opens its files: a link that somebody put into their place is not followed.
fn again() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(NOFOLLOW);
    options
}

/// Opens a file of work that goes on.
pub(crate) fn reopen(path: &Path) -> Result<File> {
    again().write(true).open(path).at("open", path)
}

/// As [`reopen`], for a file that is only added to.
pub(crate) fn reopen_log(path: &Path) -> Result<File> {
    again().append(true).open(path).at("open", path)
}

/// Writes a small file whole, onto the medium; its name is durable after [`sync_dir`]. A link is not followed.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<File> {
    let write = || {
        step(Op::Write, path)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .custom_flags(NOFOLLOW)
            .open(path)?;
        file.write_all(content)?;
        file.sync_all()?;
        Ok::<_, io::Error>(file)
    };
    write().at("write", path)
}

/// Writes a small file whole in the place of another, or of none: whoever looks sees the old content or the new.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let draft = &*beside(path, ".new");
    // What somebody planted there would be written instead.
    if fs::symlink_metadata(draft).is_ok_and(|meta| meta.is_symlink()) {
        remove_file(draft)?;
    }
    write(draft, content)?;
    rename(draft, path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Returns when the content of a file is on the medium.
pub(crate) fn sync_file(file: &File, path: &Path) -> Result<()> {
    step(Op::SyncFile, path)
        .and_then(|()| file.sync_all())
        .at("sync", path)
}

/// Writes a part of a small file, onto the medium.
pub(crate) fn record(file: &File, path: &Path, offset: u64, content: &[u8]) -> Result<()> {
    step(Op::Record, path)
        .and_then(|()| file.write_all_at(content, offset))
        .and_then(|()| file.sync_data())
        .at("write", path)
}

/// Reserves space for a part of a file, without making it longer: all of it, or none. Nobody writes the file meanwhile. File
/// systems that cannot are left in peace.
pub(crate) fn reserve(file: &File, path: &Path, offset: u64, len: u64) -> Result<()> {
    step(Op::Reserve, path).at("reserve space for", path)?;
    match fallocate(file, FallocateFlags::KEEP_SIZE, offset, len) {
        Err(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) if len > 0 => {
            // ext4 keeps what it found before there was no more; what lies behind the end of the file goes with this. The
            // error that counts is told either way.
            let _ = file.metadata().and_then(|meta| file.set_len(meta.len()));
            Err(Errno::NOSPC).at("reserve space for", path)
        }
        _ => Ok(()),
    }
}

/// Gives back the blocks of a part of a file.
pub(crate) fn punch(file: &File, path: &Path, offset: u64, len: u64) -> Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    step(Op::Punch, path)
        .and_then(|()| fallocate(file, flags, offset, len).map_err(io::Error::from))
        .at("give back space of", path)
}

/// Refuses to say of a file that it is on the medium once a sync of it has failed: the system tells of lost bytes once.
pub(crate) fn refuse_lost(lost: bool, path: &Path) -> Result<()> {
    if lost {
        let why = "an earlier flush failed: what was written may be lost";
        return Err(io::Error::other(why)).at("sync", path);
    }
    Ok(())
}

/// Returns when the names in a directory are on the medium. File systems that have no such notion are believed.
pub(crate) fn sync_dir(path: &Path) -> Result<()> {
    let sync = || {
        step(Op::SyncDir, path)?;
        match rustix::fs::fsync(File::open(path)?) {
            Err(Errno::INVAL | Errno::NOTSUP | Errno::NOSYS) => Ok(()),
            other => other.map_err(io::Error::from),
        }
    };
    sync().at("sync", path)
}

/// Renames; a file at the new name is replaced at once.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    step(Op::Rename, to)
        .and_then(|()| fs::rename(from, to))
        .at("rename to", to)
}

/// Gives a file a second name, or says `false` where the file system has none to give.
pub(crate) fn link(from: &Path, to: &Path) -> Result<bool> {
    let refused = |e: &io::Error| {
        let errno = Errno::from_io_error(e);
        matches!(
            errno,
            Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK | Errno::INVAL)
        )
    };
    match step(Op::Link, to).and_then(|()| fs::hard_link(from, to)) {
        Ok(()) => Ok(true),
        Err(error) if refused(&error) => Ok(false),
        Err(error) => Err(StoreError::io("link", to, error)),
    }
}

/// Gives a whole file a name that nobody has, or says `false` when somebody has it. Where there are hard
/// links, the old name stays.
pub(crate) fn name_exclusively(from: &Path, to: &Path) -> Result<bool> {
    let exists = |error: &io::Error| error.kind() == io::ErrorKind::AlreadyExists;
    match link(from, to) {
        Ok(true) => return Ok(true),
        Ok(false) => {}
        Err(StoreError::Io { source, .. }) if exists(&source) => return Ok(false),
        Err(error) => return Err(error),
    }
    let flags = rustix::fs::RenameFlags::NOREPLACE;
    let cwd = rustix::fs::CWD;
    let rename = || rustix::fs::renameat_with(cwd, from, cwd, to, flags).map_err(io::Error::from);
    match step(Op::Rename, to).and_then(|()| rename()) {
        Ok(()) => Ok(true),
        Err(error) if exists(&error) => Ok(false),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => copy_exclusively(from, to),
            _ => Err(StoreError::io("rename to", to, error)),
        },
    }
}

/// Where a file system offers neither links nor such a rename: whoever dies between the two steps leaves
/// an empty file.
fn copy_exclusively(from: &Path, to: &Path) -> Result<bool> {
    let content = read_small(from, 64 * 1024).at("read", from)?;
    match create(to) {
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
            Ok(false)
        }
        other => {
            let mut file = other?;
            file.write_all(&content).at("write", to)?;
            Ok(true)
        }
    }
}

/// Refuses a directory in which nothing can be made.
pub(crate) fn check_writable(dir: &Path) -> Result<()> {
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    rustix::fs::access(dir, access).at("write into", dir)
}

/// Removes a file, unless it is gone already.
pub(crate) fn remove_file(path: &Path) -> Result<()> {
    gone(step(Op::RemoveFile, path).and_then(|()| fs::remove_file(path))).at("remove", path)
}

/// How often an emptied directory is tried again before it counts as not empty.
const EMPTYING: u32 = 100;

/// Removes an empty directory, unless it is gone already. FUSE and NFS keep a file that was just closed
/// under a hidden name for a moment, so a directory that is not empty yet gets that moment.
pub(crate) fn remove_dir(path: &Path) -> Result<()> {
    let mut done = step(Op::RemoveDir, path).and_then(|()| fs::remove_dir(path));
    for _ in 0..EMPTYING {
        match &done {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            _ => break,
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
        done = fs::remove_dir(path);
    }
    gone(done).at("remove", path)
}

/// Removes a directory if nothing is in it; otherwise it stays.
pub(crate) fn remove_dir_if_empty(path: &Path) -> Result<()> {
    match step(Op::RemoveDir, path).and_then(|()| fs::remove_dir(path)) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        other => gone(other).at("remove", path),
    }
}

/// Removes a directory that holds only files.
pub(crate) fn remove_flat_dir(path: &Path) -> Result<()> {
    for entry in files(path)? {
        remove_file(&path.join(entry))?;
    }
    remove_emptied_dir(path)
}

/// On NFS a file that is removed while it is open stays under such a name until it is closed.
fn is_removed(name: &std::ffi::OsString) -> bool {
    name.as_encoded_bytes().starts_with(b".nfs")
}

/// The names in a directory, but for what is removed and still open.
pub(crate) fn files(dir: &Path) -> Result<Vec<std::ffi::OsString>> {
    let mut names = names(dir)?;
    names.retain(|name| !is_removed(name));
    Ok(names)
}

/// Removes a directory whose files were removed. While one of them is open on NFS or SMB, here or on another computer,
/// it stays, empty from the moment on in which that is closed, and the next run clears it away.
pub(crate) fn remove_emptied_dir(path: &Path) -> Result<()> {
    match remove_dir(path) {
        Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::DirectoryNotEmpty => {
            Ok(())
        }
        other => other,
    }
}

fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The names in a directory; none if it does not exist.
pub(crate) fn names(dir: &Path) -> Result<Vec<std::ffi::OsString>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.at("read the directory", dir)?,
    };
    entries
        .map(|entry| Ok(entry.at("read the directory", dir)?.file_name()))
        .collect()
}

/// The names in a directory of ours, as [`names`]. A link in its place is refused: it leads anywhere.
pub(crate) fn own_names(dir: &Path) -> Result<Vec<std::ffi::OsString>> {
    match fs::symlink_metadata(dir) {
        Ok(meta) if !meta.is_dir() => Err(no_directory(dir)),
        _ => names(dir),
    }
}

/// Whether there is a directory of that name; a link to one does not count.
pub(crate) fn is_dir(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

/// The symbolic links in a directory. Nothing in it is looked at: what is mounted on one of its names may never
/// answer.
pub(crate) fn links(dir: &Path) -> Result<Vec<std::ffi::OsString>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.at("read the directory", dir)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.at("read the directory", dir)?;
        if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
            found.push(entry.file_name());
        }
    }
    Ok(found)
}

/// The size of a regular file; `None` if there is none of that name (a link does not count).
pub(crate) fn file_size(path: &Path) -> Result<Option<u64>> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(meta.is_file().then_some(meta.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("look at", path, error)),
    }
}

/// Reads a small regular file, at most `limit` bytes of it; a link, pipe or device is never opened.
pub(crate) fn read_small(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // Non-blocking, so that a pipe put here cannot hold us.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut content = Vec::new();
    file.take(limit).read_to_end(&mut content)?;
    Ok(content)
}
