//! What the kernel asks, and the answers.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use azud_core::format::Hash;
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    KernelConfig, LockOwner, OpenAccMode, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, Request,
};
use rustix::io::Errno as System;

use crate::content::{File, Reader};
use crate::errors::{errno, stale};
use crate::fresh::{FRESH, Fresh};
use crate::handles::Handles;
use crate::tree::{Kind, ROOT, Tree};
use crate::{Entry, Opened, Readers, Source};

/// The longest read that is asked for at once.
const MAX_READ: u32 = 1 << 20;
/// What `stat` tells as a block of a file.
const BLOCK: u64 = 512;
/// What `statfs` counts in.
const UNIT: u32 = 4096;

/// A view.
#[derive(Debug)]
pub(crate) struct View<S> {
    source: Arc<S>,
    readers: Readers,
    fresh: Fresh<S>,
    files: Handles<File>,
    folders: Handles<(u64, Arc<Tree>)>,
    reader: Reader,
    /// Which image a number stands for, once it was opened.
    known: Mutex<HashMap<u64, Hash>>,
    /// Since when it answers.
    since: SystemTime,
}

impl<S: Source> View<S> {
    pub(crate) fn new(source: S, readers: Readers) -> io::Result<Self> {
        let source = Arc::new(source);
        Ok(Self {
            fresh: Fresh::new(Arc::clone(&source)),
            source,
            readers,
            files: Handles::default(),
            folders: Handles::default(),
            reader: Reader::new()?,
            known: Mutex::default(),
            since: SystemTime::now(),
        })
    }

    fn entry(&self, number: u64) -> io::Result<Entry> {
        let tree = self.fresh.tree()?;
        match tree.node(number).map(|node| &node.kind) {
            Some(Kind::File(entry)) => Ok(entry.clone()),
            Some(Kind::Folder(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(stale()),
        }
    }

    fn open_file(&self, number: u64) -> io::Result<(u64, bool)> {
        let entry = self.entry(number)?;
        let opened = self.source.open(&entry)?;
        if let Opened::Image(image) = &opened {
            let layout = image.layout();
            if layout.size() != entry.size || !self.is_known(number, layout.identity()) {
                self.fresh.renew(number);
                return Err(stale());
            }
        }
        let file = File::new(number, entry, opened);
        let small = file.is_small();
        Ok((self.files.open(file)?, small))
    }

    /// Whether a number stands for this image, as it always did. The kernel keeps bytes by it.
    fn is_known(&self, number: u64, identity: &Hash) -> bool {
        let tree = self.fresh.last();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|number, _| tree.node(*number).is_some());
        known.entry(number).or_insert(*identity) == identity
    }

    fn attributes(&self, number: u64) -> io::Result<FileAttr> {
        if number == ROOT {
            // It is there whether the source answers or not.
            return Ok(self.readable(self.folder(ROOT, &self.fresh.last())));
        }
        let tree = self.fresh.tree()?;
        if let Some(found) = self.found(number, &tree) {
            return Ok(found);
        }
        // Another has its name by now; who holds it open may still ask.
        let open = self.files.find(|file| file.number == number);
        let open = open.map(|it| self.readable(file(number, &it.entry)));
        open.ok_or_else(stale)
    }

    /// What a tree has under a number.
    fn found(&self, number: u64, tree: &Tree) -> Option<FileAttr> {
        let attr = match &tree.node(number)?.kind {
            Kind::Folder(_) => self.folder(number, tree),
            Kind::File(entry) => file(number, entry),
        };
        Some(self.readable(attr))
    }

    /// A folder is as old as the newest in it; where nothing tells that, as the view.
    fn folder(&self, number: u64, tree: &Tree) -> FileAttr {
        let newest = tree.newest(number).and_then(at);
        folder(number, newest.unwrap_or(self.since))
    }

    /// The kernel holds everybody to the modes.
    fn readable(&self, attr: FileAttr) -> FileAttr {
        let perm = attr.perm & self.readers.mask();
        FileAttr { perm, ..attr }
    }

    fn read_part(&self, fh: u64, offset: u64, len: u32) -> io::Result<crate::content::Part> {
        let file = self.files.get(fh).ok_or_else(stale)?;
        let len = usize::try_from(len.min(MAX_READ)).map_err(io::Error::other)?;
        self.reader.read(&file, offset, len)
    }

    fn space(&self) -> io::Result<(u64, u64)> {
        let tree = if let Some(tree) = self.fresh.recent() {
            tree
        } else {
            self.source.answers()?;
            self.fresh.last()
        };
        Ok(tree.sum())
    }
}

/// A time in seconds since 1970, if the computer can tell it.
fn at(seconds: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn folder(number: u64, written: SystemTime) -> FileAttr {
    FileAttr {
        ino: INodeNo(number),
        size: 0,
        blocks: 0,
        atime: written,
        mtime: written,
        ctime: written,
        crtime: UNIX_EPOCH,
        kind: FileType::Directory,
        perm: 0o555,
        nlink: 2,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: UNIT,
        flags: 0,
    }
}

fn file(number: u64, entry: &Entry) -> FileAttr {
    FileAttr {
        size: entry.size,
        blocks: entry.size.div_ceil(BLOCK),
        kind: FileType::RegularFile,
        perm: 0o444,
        nlink: 1,
        ..folder(number, at(entry.modified).unwrap_or(UNIX_EPOCH))
    }
}

impl<S: Source> Filesystem for View<S> {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Reads are as long as writes could be.
        let _ = config.set_max_write(MAX_READ);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.fresh.tree().map(|tree| {
            let number = name.to_str().and_then(|name| tree.child(parent.0, name))?;
            self.found(number, &tree)
        });
        match found {
            Ok(Some(attr)) => reply.entry(&FRESH, &attr, Generation(0)),
            Ok(None) => reply.error(Errno::from_i32(System::NOENT.raw_os_error())),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        // Of the root nothing is kept that was told before the source was asked.
        let lasts = match self.fresh.recent() {
            None if ino.0 == ROOT => Duration::ZERO,
            _ => FRESH,
        };
        match self.attributes(ino.0) {
            Ok(attr) => reply.attr(&lasts, &attr),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        if flags.acc_mode() != OpenAccMode::O_RDONLY {
            return reply.error(Errno::from_i32(System::ROFS.raw_os_error()));
        }
        match self.open_file(ino.0) {
            Ok((handle, small)) => {
                let flags = if small {
                    FopenFlags::FOPEN_DIRECT_IO
                } else {
                    FopenFlags::empty()
                };
                reply.opened(FileHandle(handle), flags);
            }
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.read_part(fh.0, offset, size) {
            Ok(part) => reply.data(part.as_ref()),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.files.close(fh.0);
        reply.ok();
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let opened = self.fresh.tree().and_then(|tree| {
            let there = tree.node(ino.0).is_some();
            let tree = there.then_some(tree).ok_or_else(stale)?;
            self.folders.open((ino.0, tree))
        });
        match opened {
            Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::empty()),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let Some(folder) = self.folders.get(fh.0) else {
            return reply.error(errno(&stale()));
        };
        let (number, tree) = (folder.0, &folder.1);
        let Some(node) = tree.node(number) else {
            return reply.error(errno(&stale()));
        };
        let Kind::Folder(names) = &node.kind else {
            return reply.error(Errno::from_i32(System::NOTDIR.raw_os_error()));
        };
        let own = [(".", number), ("..", node.parent)].into_iter();
        let names = names.iter().map(|(name, number)| (name.as_str(), *number));
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        for (at, (name, number)) in (1_u64..).zip(own.chain(names)).skip(skip) {
            let kind = match tree.node(number).map(|node| &node.kind) {
                Some(Kind::File(_)) => FileType::RegularFile,
                _ => FileType::Directory,
            };
            if reply.add(INodeNo(number), at, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, fh: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.folders.close(fh.0);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        match self.space() {
            Ok((files, bytes)) => {
                let blocks = bytes.div_ceil(UNIT.into());
                reply.statfs(blocks, 0, 0, files, 0, UNIT, 255, UNIT);
            }
            Err(error) => reply.error(errno(&error)),
        }
    }
}
