//! The folders and files of a view, from a list that somebody sent.

use std::collections::{BTreeMap, HashMap};

use crate::Entry;

/// The number of the root.
pub(crate) const ROOT: u64 = 1;
/// The longest name of a file system.
const MAX_NAME: usize = 255;
/// The longest path.
const MAX_PATH: usize = 4096;
/// The deepest folder.
const MAX_DEPTH: usize = 64;
/// More files than this no manager has.
const MAX_FILES: usize = 1 << 20;
/// What is known of files and folders takes no more memory than this: each folder of a long path has a path of its own.
const MAX_BYTES: usize = 128 << 20;
/// What a file or a folder takes besides its paths and its name.
const OWN: usize = 256;

/// A folder or a file.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) parent: u64,
    pub(crate) kind: Kind,
    /// The newest that is in a folder, in seconds since 1970.
    newest: u64,
}

/// Which of both.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// The numbers of what is in it.
    Folder(BTreeMap<String, u64>),
    File(Entry),
}

/// What a source had when it was asked. Numbers belong to one file for ever: what takes its place has another.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: HashMap<u64, Node>,
    paths: HashMap<String, u64>,
    next: u64,
    /// Memory that it takes, about.
    bytes: usize,
}

impl Default for Tree {
    fn default() -> Self {
        let root = Node {
            parent: ROOT,
            kind: Kind::Folder(BTreeMap::new()),
            newest: 0,
        };
        Self {
            nodes: HashMap::from([(ROOT, root)]),
            paths: HashMap::new(),
            next: ROOT + 1,
            bytes: 0,
        }
    }
}

impl Tree {
    /// Of a list; what is as it was in the former tree keeps its number, unless `renewed` has it. Names that are none
    /// are left out, and so is what is in the way of another or too much.
    pub(crate) fn of(
        entries: impl IntoIterator<Item = Entry>,
        former: &Self,
        renewed: &dyn Fn(u64) -> bool,
    ) -> Self {
        let mut tree = Self {
            next: former.next,
            ..Self::default()
        };
        for entry in entries.into_iter().take(MAX_FILES) {
            if tree.bytes >= MAX_BYTES {
                break;
            }
            if is_path(&entry.path) && i64::try_from(entry.size).is_ok() {
                tree.add(entry, former, renewed);
            }
        }
        tree
    }

    fn add(&mut self, entry: Entry, former: &Self, renewed: &dyn Fn(u64) -> bool) {
        let (folders, name) = match entry.path.rsplit_once('/') {
            Some((folders, name)) => (Some(folders), name),
            None => (None, entry.path.as_str()),
        };
        let parent = folders.map_or(Some(ROOT), |path| self.folder(path, former));
        let Some(parent) = parent.filter(|_| !self.paths.contains_key(&entry.path)) else {
            return;
        };
        let before = former.paths.get(&entry.path).copied();
        let before = before.filter(|number| former.is_same(*number, &entry) && !renewed(*number));
        let number = before.unwrap_or_else(|| self.fresh());
        let (name, path) = (name.to_owned(), entry.path.clone());
        self.age(parent, entry.modified);
        self.put((parent, name), (path, number), Kind::File(entry));
    }

    /// A folder, and all those that it is in, are as new as what is put into it.
    fn age(&mut self, mut folder: u64, modified: u64) {
        while let Some(node) = self.nodes.get_mut(&folder)
            && node.newest < modified
        {
            node.newest = modified;
            folder = node.parent;
        }
    }

    /// When the newest file in a folder was written; none where it has none, or none tells.
    pub(crate) fn newest(&self, folder: u64) -> Option<u64> {
        let newest = self.nodes.get(&folder).map(|node| node.newest);
        newest.filter(|seconds| *seconds > 0)
    }

    /// The number of a folder, which is made with those above it; none where a file is in its way.
    fn folder(&mut self, path: &str, former: &Self) -> Option<u64> {
        if let Some(number) = self.paths.get(path) {
            let folder = matches!(self.nodes[number].kind, Kind::Folder(_));
            return folder.then_some(*number);
        }
        let (parent, name) = match path.rsplit_once('/') {
            Some((above, name)) => (self.folder(above, former)?, name),
            None => (ROOT, path),
        };
        let is_folder = |number: &u64| matches!(former.nodes[number].kind, Kind::Folder(_));
        let before = former.paths.get(path).copied().filter(is_folder);
        let number = before.unwrap_or_else(|| self.fresh());
        let at = (parent, name.to_owned());
        self.put(at, (path.to_owned(), number), Kind::Folder(BTreeMap::new()));
        Some(number)
    }

    fn put(&mut self, (parent, name): (u64, String), (path, number): (String, u64), kind: Kind) {
        self.bytes += 2 * path.len() + name.len() + OWN;
        self.paths.insert(path, number);
        let newest = 0;
        let node = Node {
            parent,
            kind,
            newest,
        };
        self.nodes.insert(number, node);
        if let Some(Node {
            kind: Kind::Folder(names),
            ..
        }) = self.nodes.get_mut(&parent)
        {
            names.insert(name, number);
        }
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Whether a file is still the one with this number.
    fn is_same(&self, number: u64, entry: &Entry) -> bool {
        let Some(Kind::File(before)) = self.nodes.get(&number).map(|node| &node.kind) else {
            return false;
        };
        match (&before.identity, &entry.identity) {
            (Some(before), Some(now)) => before == now && entry.size == self.size(number),
            _ => (before.size, before.modified) == (entry.size, entry.modified),
        }
    }

    /// What has a number.
    pub(crate) fn node(&self, number: u64) -> Option<&Node> {
        self.nodes.get(&number)
    }

    /// The number of a name in a folder.
    pub(crate) fn child(&self, folder: u64, name: &str) -> Option<u64> {
        match &self.nodes.get(&folder)?.kind {
            Kind::Folder(names) => names.get(name).copied(),
            Kind::File(_) => None,
        }
    }

    /// The bytes of a file.
    pub(crate) fn size(&self, number: u64) -> u64 {
        match self.nodes.get(&number).map(|node| &node.kind) {
            Some(Kind::File(entry)) => entry.size,
            _ => 0,
        }
    }

    /// All files: how many, and their bytes.
    pub(crate) fn sum(&self) -> (u64, u64) {
        let sizes = self.nodes.keys().map(|number| self.size(*number));
        let bytes = sizes.fold(0_u64, u64::saturating_add);
        (self.nodes.len() as u64, bytes)
    }
}

/// Whether a path leads to a file below the root: nothing of it is hidden, above, or no name.
fn is_path(path: &str) -> bool {
    let is_name = |name: &str| {
        let shown = !name.is_empty() && !name.starts_with('.');
        shown && name.len() <= MAX_NAME && !name.chars().any(char::is_control)
    };
    path.len() <= MAX_PATH && path.split('/').count() <= MAX_DEPTH && path.split('/').all(is_name)
}

#[cfg(test)]
mod tests {
    use super::{Kind, ROOT, Tree};
    use crate::Entry;

    fn entry(path: &str, size: u64, identity: Option<&str>) -> Entry {
        Entry {
            path: path.to_owned(),
            size,
            modified: 7,
            identity: identity.map(str::to_owned),
        }
    }

    fn tree(entries: Vec<Entry>, former: &Tree) -> Tree {
        Tree::of(entries, former, &|_| false)
    }

    fn at(tree: &Tree, path: &str) -> Option<u64> {
        path.split('/')
            .try_fold(ROOT, |folder, name| tree.child(folder, name))
    }

    #[test]
    fn hostile_names_are_left_out() {
        let long = "x".repeat(256);
        let deep = vec!["d"; 65].join("/");
        let wide = vec!["d".repeat(200); 30].join("/");
        let bad = [
            "", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", ".", "./a", "a/.", ".a", "a\0b",
            "a\nb", &long, &deep, &wide,
        ];
        let mut entries: Vec<Entry> = bad.iter().map(|path| entry(path, 1, None)).collect();
        entries.push(entry("big", u64::MAX, None));
        entries.push(entry("good", 1, None));
        let tree = tree(entries, &Tree::default());
        let Some(Kind::Folder(names)) = tree.node(ROOT).map(|node| node.kind.clone()) else {
            panic!("a folder");
        };
        assert_eq!(names.keys().collect::<Vec<_>>(), ["good"]);
        assert_eq!(tree.sum().0, 2, "nothing else lies anywhere");
    }

    /// A list that is short enough to be taken makes no tree that is too large: 63 folders for each file of 4 KB.
    #[test]
    fn a_hostile_list_takes_no_more_memory_than_it_may() {
        let deep = |number: u32| {
            let mut path = vec![format!("{number:060}"); 63].join("/");
            path.push_str("/f");
            entry(&path, 1, None)
        };
        let tree = Tree::of((0..20_000).map(deep), &Tree::default(), &|_| false);
        let paths: usize = tree.paths.keys().map(String::len).sum();
        assert!(tree.sum().0 > 10_000 && at(&tree, &deep(0).path).is_some());
        assert!(paths <= super::MAX_BYTES, "{paths} bytes of paths");
    }

    #[test]
    fn what_is_in_the_way_of_another_is_left_out() {
        let entries = ["a", "a/b", "c/d", "c", "e", "e"].map(|path| entry(path, 1, None));
        let tree = tree(entries.to_vec(), &Tree::default());
        assert!(at(&tree, "a/b").is_none() && at(&tree, "c/d").is_some());
        assert!(matches!(
            tree.node(at(&tree, "c").unwrap()).unwrap().kind,
            Kind::Folder(_)
        ));
        // The root, a, c, c/d, e.
        assert_eq!(tree.sum().0, 5);
    }

    #[test]
    fn a_number_belongs_to_one_file_for_ever() {
        let first = vec![entry("s/a", 1, None), entry("s/b", 2, Some("x"))];
        let first = tree(first, &Tree::default());
        let number = |tree: &Tree, path: &str| at(tree, path).unwrap();
        // The index of one was made, the other was touched only.
        let same = [
            entry("s/a", 1, Some("y")),
            Entry {
                modified: 9,
                ..entry("s/b", 2, Some("x"))
            },
        ];
        let second = tree(same.to_vec(), &first);
        for path in ["s", "s/a", "s/b"] {
            assert_eq!(number(&first, path), number(&second, path), "{path}");
        }
        let other = [entry("s/a", 1, Some("z")), entry("s/b", 3, None)];
        let third = tree(other.to_vec(), &second);
        for path in ["s/a", "s/b"] {
            let numbers = [&first, &second].map(|tree| number(tree, path));
            assert!(!numbers.contains(&number(&third, path)), "{path}");
        }
        let fourth = tree(vec![entry("s", 1, None)], &third);
        assert_ne!(number(&fourth, "s"), number(&first, "s"));
        let renewed = Tree::of(vec![entry("s", 1, None)], &fourth, &|_| true);
        assert_ne!(number(&fourth, "s"), number(&renewed, "s"));
    }
}
