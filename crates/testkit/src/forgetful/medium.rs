//! What a medium holds now, what of it would be there after a power cut, and what is between the two.
//!
//! The model is that of POSIX, which promises less than most file systems keep: of a file only what was synced is
//! there, of a folder only the names that were there when it was synced. What was not synced is there or not, each
//! change by chance; a write may be torn. Names are kept in step with themselves: without a name's former change
//! there is no later one, and a rename is done in both folders or in none.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use fuser::Errno;

/// The number of a file, folder or link.
pub(super) type Number = u64;

/// The top folder.
pub(super) const TOP: Number = 1;

/// What is torn is torn at the edge of a sector.
const SECTOR: usize = 512;
/// So long ago is everything when the power is back: what has to be waited for has been waited for.
const AWAY: Duration = Duration::from_mins(10);

/// A file, folder or link.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) body: Body,
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    pub(super) modified: SystemTime,
}

/// What is in it.
#[derive(Debug, Clone)]
pub(super) enum Body {
    File(Vec<u8>),
    Folder(BTreeMap<OsString, Number>),
    Link(PathBuf),
}

/// A name in a folder.
type Name = (Number, OsString);

/// A change that would be lost.
#[derive(Debug, Clone)]
enum Change {
    /// A name leads to something, or to nothing any more.
    Named(Name, Option<Number>),
    /// A name is taken over by another one; with `true` each takes over the other's.
    Renamed(Name, Name, bool),
    /// Bytes of a file at an offset.
    Wrote(Number, usize, Vec<u8>),
    /// A file was cut or made longer.
    Sized(Number, usize),
    /// Mode, owner, time.
    Noted(Number, u32, (u32, u32), SystemTime),
}

impl Change {
    /// The names that it is about; none of a change within a file.
    fn names(&self) -> Vec<&Name> {
        match self {
            Self::Named(name, _) => vec![name],
            Self::Renamed(from, to, _) => vec![from, to],
            Self::Wrote(..) | Self::Sized(..) | Self::Noted(..) => Vec::new(),
        }
    }

    fn is_of_file(&self, file: Number) -> bool {
        match self {
            Self::Wrote(of, ..) | Self::Sized(of, _) | Self::Noted(of, ..) => *of == file,
            Self::Named(..) | Self::Renamed(..) => false,
        }
    }
}

type Nodes = HashMap<Number, Node>;

/// A medium.
#[derive(Debug, Clone)]
pub struct Medium {
    now: Nodes,
    synced: Nodes,
    changes: Vec<Change>,
    next: Number,
}

type Done<T> = Result<T, Errno>;

impl Medium {
    /// An empty one.
    pub fn new() -> Self {
        let top = Node {
            body: Body::Folder(BTreeMap::new()),
            mode: 0o755,
            owner: (0, 0),
            modified: SystemTime::now(),
        };
        let nodes = Nodes::from([(TOP, top)]);
        Self {
            now: nodes.clone(),
            synced: nodes,
            changes: Vec::new(),
            next: TOP + 1,
        }
    }

    pub(super) fn node(&self, number: Number) -> Done<&Node> {
        self.now.get(&number).ok_or(Errno::ENOENT)
    }

    pub(super) fn folder(&self, number: Number) -> Done<&BTreeMap<OsString, Number>> {
        match &self.node(number)?.body {
            Body::Folder(names) => Ok(names),
            Body::File(_) | Body::Link(_) => Err(Errno::ENOTDIR),
        }
    }

    pub(super) fn find(&self, folder: Number, name: &OsStr) -> Done<Number> {
        let found = self.folder(folder)?.get(name).copied();
        found.ok_or(Errno::ENOENT)
    }

    /// How many names lead to it.
    pub(super) fn links(&self, number: Number) -> u32 {
        let names = |node: &Node| match &node.body {
            Body::Folder(names) => names.values().filter(|to| **to == number).count(),
            Body::File(_) | Body::Link(_) => 0,
        };
        let count: usize = self.now.values().map(names).sum();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn change(&mut self, change: Change) -> Done<()> {
        apply(&mut self.now, &change)?;
        self.changes.push(change);
        Ok(())
    }

    /// Makes something new under a name.
    pub(super) fn make(
        &mut self,
        (folder, name): (Number, &OsStr),
        (body, mode): (Body, u32),
        owner: (u32, u32),
    ) -> Done<Number> {
        if self.folder(folder)?.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        let number = self.next;
        self.next += 1;
        let node = Node {
            body,
            mode,
            owner,
            modified: SystemTime::now(),
        };
        // Without a name nobody sees it, so that it is there costs nothing.
        self.synced.insert(number, node.clone());
        self.now.insert(number, node);
        self.change(Change::Named((folder, name.to_owned()), Some(number)))?;
        Ok(number)
    }

    /// One more name for a file.
    pub(super) fn link(&mut self, number: Number, (folder, name): (Number, &OsStr)) -> Done<()> {
        if self.folder(folder)?.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        self.change(Change::Named((folder, name.to_owned()), Some(number)))
    }

    /// Takes a name away.
    pub(super) fn remove(&mut self, folder: Number, name: &OsStr) -> Done<()> {
        let number = self.find(folder, name)?;
        if matches!(&self.node(number)?.body, Body::Folder(names) if !names.is_empty()) {
            return Err(Errno::ENOTEMPTY);
        }
        self.change(Change::Named((folder, name.to_owned()), None))
    }

    /// Gives what a name leads to another name.
    pub(super) fn rename(
        &mut self,
        from: (Number, &OsStr),
        to: (Number, &OsStr),
        (replace, exchange): (bool, bool),
    ) -> Done<()> {
        self.find(from.0, from.1)?;
        let there = self.folder(to.0)?.get(to.1).copied();
        match there {
            None if exchange => return Err(Errno::ENOENT),
            Some(_) if !replace => return Err(Errno::EEXIST),
            Some(there) if !exchange => {
                if matches!(&self.node(there)?.body, Body::Folder(names) if !names.is_empty()) {
                    return Err(Errno::ENOTEMPTY);
                }
            }
            _ => (),
        }
        let name = |(folder, name): (Number, &OsStr)| (folder, name.to_owned());
        self.change(Change::Renamed(name(from), name(to), exchange))
    }

    pub(super) fn write(&mut self, file: Number, offset: usize, bytes: &[u8]) -> Done<()> {
        self.change(Change::Wrote(file, offset, bytes.to_owned()))
    }

    pub(super) fn resize(&mut self, file: Number, size: usize) -> Done<()> {
        self.change(Change::Sized(file, size))
    }

    pub(super) fn note(
        &mut self,
        number: Number,
        mode: u32,
        owner: (u32, u32),
        modified: SystemTime,
    ) -> Done<()> {
        self.change(Change::Noted(number, mode, owner, modified))
    }

    /// All of a file that is there now would be there afterwards; not its name.
    pub(super) fn sync_file(&mut self, file: Number) {
        self.settle(|change| change.is_of_file(file));
    }

    /// All names of a folder would be there afterwards, and whatever they need to be so.
    pub(super) fn sync_folder(&mut self, folder: Number) {
        let mut folders = BTreeSet::from([folder]);
        let mut needed = BTreeSet::new();
        for (number, change) in self.changes.iter().enumerate().rev() {
            let of: Vec<Number> = change.names().iter().map(|(folder, _)| *folder).collect();
            if of.iter().any(|folder| folders.contains(folder)) {
                needed.insert(number);
                folders.extend(of);
            }
        }
        let mut number = 0;
        self.settle(|_| {
            number += 1;
            needed.contains(&(number - 1))
        });
        self.sync_file(folder);
    }

    fn settle(&mut self, mut which: impl FnMut(&Change) -> bool) {
        for change in std::mem::take(&mut self.changes) {
            if which(&change) {
                // What a lost change would have made possible was settled with it.
                let _ = apply(&mut self.synced, &change);
            } else {
                self.changes.push(change);
            }
        }
    }

    /// What is found after a power cut: of what was not synced, each change is there by a chance that is itself
    /// chosen by chance, so that sometimes nothing is lost and sometimes all.
    #[must_use]
    pub fn after_a_cut(self, random: &mut dyn FnMut() -> u64) -> Self {
        let share = random() % 5;
        let mut there = self.synced;
        let mut lost: BTreeSet<Name> = BTreeSet::new();
        for change in self.changes {
            let survives = random() % 4 < share;
            let without = change.names().iter().any(|name| lost.contains(*name));
            if survives && !without {
                let _ = apply(&mut there, &torn(change, random));
            } else {
                lost.extend(change.names().into_iter().cloned());
            }
        }
        for node in there.values_mut() {
            node.modified -= AWAY;
        }
        Self {
            now: there.clone(),
            synced: there,
            changes: Vec::new(),
            next: self.next,
        }
    }
}

impl Default for Medium {
    fn default() -> Self {
        Self::new()
    }
}

/// One write in eight is there in part.
fn torn(change: Change, random: &mut dyn FnMut() -> u64) -> Change {
    match change {
        Change::Wrote(file, offset, mut bytes) if random().is_multiple_of(8) => {
            let sectors = bytes.len() / SECTOR + 1;
            let kept = usize::try_from(random()).unwrap_or_default() % sectors;
            bytes.truncate(kept * SECTOR);
            Change::Wrote(file, offset, bytes)
        }
        whole => whole,
    }
}

fn apply(nodes: &mut Nodes, change: &Change) -> Done<()> {
    match change {
        Change::Named((folder, name), to) => set(nodes, *folder, name, *to).map(drop),
        Change::Renamed(from, to, exchange) => {
            let moved = set(nodes, from.0, &from.1, None)?;
            let moved = moved.ok_or(Errno::ENOENT)?;
            let replaced = set(nodes, to.0, &to.1, Some(moved))?;
            let back = replaced.filter(|_| *exchange);
            back.map_or(Ok(()), |back| {
                set(nodes, from.0, &from.1, Some(back)).map(drop)
            })
        }
        Change::Wrote(file, offset, bytes) => {
            let data = data(nodes, *file)?;
            let end = offset + bytes.len();
            if data.len() < end {
                data.resize(end, 0);
            }
            data[*offset..end].copy_from_slice(bytes);
            touch(nodes, *file)
        }
        Change::Sized(file, size) => {
            data(nodes, *file)?.resize(*size, 0);
            touch(nodes, *file)
        }
        Change::Noted(number, mode, owner, modified) => {
            let node = nodes.get_mut(number).ok_or(Errno::ENOENT)?;
            (node.mode, node.owner, node.modified) = (*mode, *owner, *modified);
            Ok(())
        }
    }
}

fn touch(nodes: &mut Nodes, number: Number) -> Done<()> {
    nodes.get_mut(&number).ok_or(Errno::ENOENT)?.modified = SystemTime::now();
    Ok(())
}

fn data(nodes: &mut Nodes, file: Number) -> Done<&mut Vec<u8>> {
    match nodes.get_mut(&file).map(|node| &mut node.body) {
        Some(Body::File(data)) => Ok(data),
        Some(Body::Folder(_)) => Err(Errno::EISDIR),
        Some(Body::Link(_)) => Err(Errno::EINVAL),
        None => Err(Errno::ENOENT),
    }
}

/// Lets a name lead somewhere; where it led before.
fn set(
    nodes: &mut Nodes,
    folder: Number,
    name: &OsStr,
    to: Option<Number>,
) -> Done<Option<Number>> {
    let Some(Body::Folder(names)) = nodes.get_mut(&folder).map(|node| &mut node.body) else {
        return Err(Errno::ENOTDIR);
    };
    let before = match to {
        Some(to) => names.insert(name.to_owned(), to),
        None => names.remove(name),
    };
    touch(nodes, folder)?;
    Ok(before)
}

/// The parts of a path; only for tests, which know what they ask for.
#[cfg(test)]
fn parts(path: &str) -> impl Iterator<Item = &OsStr> {
    std::path::Path::new(path).iter()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::{Body, Medium, Number, TOP, parts};

    const ME: (u32, u32) = (0, 0);

    fn name(text: &str) -> &OsStr {
        OsStr::new(text)
    }

    fn file(medium: &mut Medium, at: &str, bytes: &[u8]) -> Number {
        let body = (Body::File(Vec::new()), 0o644);
        let number = medium.make((TOP, name(at)), body, ME).unwrap();
        medium.write(number, 0, bytes).unwrap();
        number
    }

    fn read(medium: &Medium, path: &str) -> Option<Vec<u8>> {
        let mut at = TOP;
        for part in parts(path) {
            at = medium.find(at, part).ok()?;
        }
        match &medium.node(at).ok()?.body {
            Body::File(data) => Some(data.clone()),
            Body::Folder(_) | Body::Link(_) => None,
        }
    }

    /// Nothing that was not synced is there.
    fn all_lost() -> impl FnMut() -> u64 {
        || 0
    }

    fn all_kept() -> impl FnMut() -> u64 {
        let mut first = true;
        move || if std::mem::take(&mut first) { 4 } else { 1 }
    }

    #[test]
    fn what_was_synced_is_there_and_nothing_else_need_be() {
        let mut medium = Medium::new();
        let number = file(&mut medium, "a", b"old");
        medium.sync_file(number);
        let cut = medium.clone().after_a_cut(&mut all_lost());
        assert_eq!(read(&cut, "a"), None, "its name was not synced");
        medium.sync_folder(TOP);
        medium.write(number, 0, b"new!").unwrap();
        file(&mut medium, "b", b"b");
        let lost = medium.clone().after_a_cut(&mut all_lost());
        assert_eq!(read(&lost, "a").unwrap(), b"old");
        assert_eq!(read(&lost, "b"), None);
        let kept = medium.after_a_cut(&mut all_kept());
        assert_eq!(read(&kept, "a").unwrap(), b"new!");
        assert_eq!(read(&kept, "b").unwrap(), b"b");
    }

    #[test]
    fn a_synced_name_does_not_bring_its_content() {
        let mut medium = Medium::new();
        file(&mut medium, "a", b"content");
        medium.sync_folder(TOP);
        let cut = medium.after_a_cut(&mut all_lost());
        assert_eq!(read(&cut, "a").unwrap(), b"");
    }

    #[test]
    fn a_rename_is_done_whole_or_not_at_all() {
        let mut medium = Medium::new();
        let body = (Body::Folder(std::collections::BTreeMap::new()), 0o755);
        let folder = medium.make((TOP, name("d")), body, ME).unwrap();
        let number = file(&mut medium, "a", b"x");
        medium.sync_file(number);
        medium.sync_folder(TOP);
        let (from, to) = ((TOP, name("a")), (folder, name("b")));
        medium.rename(from, to, (true, false)).unwrap();
        let lost = medium.clone().after_a_cut(&mut all_lost());
        assert!(read(&lost, "a").is_some() && read(&lost, "d/b").is_none());
        // Either folder brings both sides of it.
        for synced in [TOP, folder] {
            let mut medium = medium.clone();
            medium.sync_folder(synced);
            let cut = medium.after_a_cut(&mut all_lost());
            assert!(read(&cut, "a").is_none() && read(&cut, "d/b").is_some());
        }
    }

    #[test]
    fn without_the_former_change_of_a_name_there_is_no_later_one() {
        for seed in 0..200_u64 {
            let mut state = seed;
            let mut random = || {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                state >> 33
            };
            let mut medium = Medium::new();
            file(&mut medium, "part", b"1");
            let (from, to) = ((TOP, name("part")), (TOP, name("whole")));
            medium.rename(from, to, (true, false)).unwrap();
            let cut = medium.after_a_cut(&mut random);
            let both = read(&cut, "part").is_some() && read(&cut, "whole").is_some();
            assert!(!both, "seed {seed}");
        }
    }
}
