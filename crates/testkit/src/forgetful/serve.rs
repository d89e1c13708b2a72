//! The file system as the kernel asks for it.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::medium::{Body, Medium, Node, TOP};
use super::{Power, held};

/// The kernel asks each time.
const NOT_KEPT: Duration = Duration::ZERO;
const BLOCK: u32 = 4096;
/// Blocks of the medium: 4 GiB.
const BLOCKS: u64 = 1 << 20;

/// `FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE`.
const HOLE: i32 = 3;

/// What answers the kernel.
#[derive(Debug)]
pub(super) struct Served(Arc<Mutex<Power>>);

type Done<T> = Result<T, Errno>;

impl Served {
    pub(super) fn new(power: Arc<Mutex<Power>>) -> Self {
        Self(power)
    }

    /// Looks at the medium, if there is power.
    fn look<T>(&self, look: impl FnOnce(&Medium) -> Done<T>) -> Done<T> {
        let power = held(&self.0);
        if power.is_cut {
            return Err(Errno::EIO);
        }
        look(&power.medium)
    }

    /// Changes it or has it synced, unless this is when the power goes.
    fn change<T>(&self, change: impl FnOnce(&mut Medium) -> Done<T>) -> Done<T> {
        let mut power = held(&self.0);
        if power.cut_after.is_some_and(|after| power.done >= after) {
            power.is_cut = true;
        }
        if power.is_cut {
            return Err(Errno::EIO);
        }
        power.done += 1;
        change(&mut power.medium)
    }
}

fn attributes(medium: &Medium, number: u64) -> Done<FileAttr> {
    let node = medium.node(number)?;
    let (kind, size) = match &node.body {
        Body::File(data) => (FileType::RegularFile, data.len()),
        Body::Folder(_) => (FileType::Directory, 0),
        Body::Link(to) => (FileType::Symlink, to.as_os_str().len()),
    };
    let Node {
        mode,
        owner,
        modified,
        ..
    } = node;
    Ok(FileAttr {
        ino: INodeNo(number),
        size: size as u64,
        blocks: size.div_ceil(512) as u64,
        atime: *modified,
        mtime: *modified,
        ctime: *modified,
        crtime: *modified,
        kind,
        perm: u16::try_from(mode & 0o7777).unwrap_or_default(),
        nlink: if number == TOP {
            2
        } else {
            medium.links(number)
        },
        uid: owner.0,
        gid: owner.1,
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    })
}

fn entry(reply: ReplyEntry, found: Done<FileAttr>) {
    match found {
        Ok(attributes) => reply.entry(&NOT_KEPT, &attributes, Generation(0)),
        Err(error) => reply.error(error),
    }
}

fn empty(reply: ReplyEmpty, done: Done<()>) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn place(offset: u64) -> Done<usize> {
    usize::try_from(offset).map_err(|_| Errno::EFBIG)
}

impl Served {
    fn made(&self, at: (u64, &OsStr), body: (Body, u32), request: &Request) -> Done<FileAttr> {
        let owner = (request.uid(), request.gid());
        self.change(|medium| {
            let number = medium.make(at, body, owner)?;
            attributes(medium, number)
        })
    }
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.look(|medium| attributes(medium, medium.find(parent.0, name)?));
        entry(reply, found);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.look(|medium| attributes(medium, ino.0)) {
            Ok(found) => reply.attr(&NOT_KEPT, &found),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let done = self.change(|medium| {
            if let Some(size) = size {
                medium.resize(ino.0, place(size)?)?;
            }
            let node = medium.node(ino.0)?.clone();
            let time = modified.map_or(node.modified, |time| match time {
                TimeOrNow::SpecificTime(time) => time,
                TimeOrNow::Now => SystemTime::now(),
            });
            let owner = (uid.unwrap_or(node.owner.0), gid.unwrap_or(node.owner.1));
            medium.note(ino.0, mode.unwrap_or(node.mode), owner, time)?;
            attributes(medium, ino.0)
        });
        match done {
            Ok(now) => reply.attr(&NOT_KEPT, &now),
            Err(error) => reply.error(error),
        }
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        let found = self.look(|medium| match &medium.node(ino.0)?.body {
            Body::Link(to) => Ok(to.clone()),
            Body::File(_) | Body::Folder(_) => Err(Errno::EINVAL),
        });
        match found {
            Ok(to) => reply.data(to.as_os_str().as_encoded_bytes()),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let body = (
            Body::Folder(std::collections::BTreeMap::new()),
            mode & !umask,
        );
        entry(reply, self.made((parent.0, name), body, request));
    }

    fn symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let body = (Body::Link(target.to_owned()), 0o777);
        entry(reply, self.made((parent.0, name), body, request));
    }

    fn link(
        &self,
        _: &Request,
        ino: INodeNo,
        newparent: INodeNo,
        newname: &OsStr,
        reply: ReplyEntry,
    ) {
        let done = self.change(|medium| {
            medium.link(ino.0, (newparent.0, newname))?;
            attributes(medium, ino.0)
        });
        entry(reply, done);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.change(|medium| medium.remove(parent.0, name)));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.change(|medium| medium.remove(parent.0, name)));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = ((parent.0, name), (newparent.0, newname));
        let replace = !flags.contains(RenameFlags::RENAME_NOREPLACE);
        let exchange = flags.contains(RenameFlags::RENAME_EXCHANGE);
        let done = self.change(|medium| medium.rename(from, to, (replace, exchange)));
        empty(reply, done);
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let body = (Body::File(Vec::new()), mode & !umask);
        match self.made((parent.0, name), body, request) {
            Ok(made) => {
                let (handle, flags) = (FileHandle(0), FopenFlags::empty());
                reply.created(&NOT_KEPT, &made, Generation(0), handle, flags);
            }
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::empty());
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let lost = held(&self.0).unreadable.clone();
        let is_lost = offset < lost.end && lost.start < offset + u64::from(size);
        let part = self.look(|medium| match &medium.node(ino.0)?.body {
            Body::File(data) if is_lost && place(lost.start)? < data.len() => Err(Errno::EIO),
            Body::File(data) => {
                let start = place(offset)?.min(data.len());
                let end = start.saturating_add(size as usize).min(data.len());
                Ok(data[start..end].to_owned())
            }
            Body::Folder(_) | Body::Link(_) => Err(Errno::EINVAL),
        });
        match part {
            Ok(part) => reply.data(&part),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let done = self.change(|medium| medium.write(ino.0, place(offset)?, data));
        match done {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(error) => reply.error(error),
        }
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let done = self.change(|medium| {
            let end = place(offset.saturating_add(length))?;
            let Body::File(data) = &medium.node(ino.0)?.body else {
                return Err(Errno::EINVAL);
            };
            match mode {
                0 if data.len() < end => medium.resize(ino.0, end),
                0 => Ok(()),
                HOLE => {
                    let start = place(offset)?;
                    let zeros = vec![0; end.min(data.len()).saturating_sub(start)];
                    medium.write(ino.0, start, &zeros)
                }
                _ => Err(Errno::EOPNOTSUPP),
            }
        });
        empty(reply, done);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let done = self.change(|medium| {
            medium.sync_file(ino.0);
            Ok(())
        });
        empty(reply, done);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let done = self.change(|medium| {
            medium.sync_folder(ino.0);
            Ok(())
        });
        empty(reply, done);
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let names = self.look(|medium| {
            let kind = |number: &u64| match medium.node(*number).map(|node| &node.body) {
                Ok(Body::Folder(_)) => FileType::Directory,
                Ok(Body::Link(_)) => FileType::Symlink,
                Ok(Body::File(_)) | Err(_) => FileType::RegularFile,
            };
            let names = medium.folder(ino.0)?.iter();
            let all: Vec<_> = names
                .map(|(name, number)| (*number, kind(number), name.clone()))
                .collect();
            Ok(all)
        });
        let names = match names {
            Ok(names) => names,
            Err(error) => return reply.error(error),
        };
        for (at, (number, kind, name)) in (1..).zip(names) {
            if at > offset && reply.add(INodeNo(number), at, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(
            BLOCKS,
            BLOCKS / 2,
            BLOCKS / 2,
            BLOCKS,
            BLOCKS / 2,
            BLOCK,
            255,
            BLOCK,
        );
    }
}
