//! The names of places on disk: links beside the folders, and views for trees without an inner path.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use super::{Namespace, Tree};
use crate::layout::{CACHE_FOLDER, Profile};
use crate::reference::{Host, Where};

/// A link that should stand in [`Layout::base`](crate::layout::Layout::base).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alias {
    /// Its name there.
    pub name: String,
    /// What it points to: relative to the base where that is possible, `.` for the base itself.
    pub target: PathBuf,
}

/// A directory in which a bare tree is seen at the path that images have in a cache partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The directory.
    pub dir: PathBuf,
    /// The path inside it that is a link to the tree.
    pub inner: PathBuf,
    /// The tree, absolute.
    pub target: PathBuf,
}

impl Namespace {
    /// The links that go with what is there, by name.
    pub fn aliases(&self) -> Vec<Alias> {
        let base = self.layout().base();
        let mut aliases = Vec::new();
        for tree in self.trees_that_stay() {
            let target = from(base, &tree.mount);
            let names = self.names(&tree).into_iter();
            let others = names.filter(|name| target != Path::new(name));
            aliases.extend(others.map(|name| Alias {
                name,
                target: target.clone(),
            }));
        }
        // Even to look at the place of a dead mount may take for ever.
        let dead = |name: &str| {
            self.facts
                .dead
                .iter()
                .any(|dead| dead.at == base.join(name))
        };
        aliases.retain(|alias| !dead(&alias.name));
        aliases.sort();
        aliases.dedup_by(|a, b| a.name == b.name);
        aliases
    }

    /// The trees that are there, and those whose servers may come back.
    fn trees_that_stay(&self) -> Vec<Tree> {
        let mut trees = self.trees_for_others();
        for dead in self.facts.dead.iter().filter(|dead| !dead.gone) {
            let place = self.meaning(&dead.place);
            if !trees.iter().any(|tree| tree.place == place) {
                trees.push(Tree {
                    place,
                    mount: dead.at.clone(),
                    // It cannot be asked; other computers' trees are bare, as a rule.
                    inner: PathBuf::new(),
                });
            }
        }
        trees
    }

    /// Every name under which a tree is to be found in the base.
    fn names(&self, tree: &Tree) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let mut add = |host: &Host| names.push(host.to_string());
        let own = self.facts.addresses.iter().copied().map(Host::Address);
        match &tree.place {
            Where::Manager => {
                self.facts.manager.iter().for_each(&mut add);
                if self.facts.serving.is_some() {
                    own.for_each(|host| add(&host));
                }
                names.extend(["REPO", "repo"].map(str::to_owned));
            }
            Where::Cache => {
                let loopback = [
                    IpAddr::V4(Ipv4Addr::LOCALHOST),
                    IpAddr::V6(Ipv6Addr::LOCALHOST),
                ];
                loopback.map(Host::Address).iter().for_each(&mut add);
                let own = own.filter(|host| self.meaning_of_host(host) == Where::Cache);
                own.for_each(|host| add(&host));
                names.extend(["CACHE", "cache", CACHE_FOLDER].map(str::to_owned));
            }
            Where::Host(host) => add(host),
            Where::Removable(medium) => names.push(medium.to_string()),
        }
        names
    }

    /// The views that the shell variables need.
    pub fn views(&self) -> Vec<View> {
        let trees = self.trees_that_stay().into_iter();
        trees.filter_map(|tree| self.view(&tree)).collect()
    }

    /// The view of a tree, if its own mount point will not do.
    pub(super) fn view(&self, tree: &Tree) -> Option<View> {
        let wanted = self.appended(&tree.place)?;
        (tree.inner != wanted).then(|| View {
            dir: self.layout().views().join(tree.place.to_string()),
            inner: wanted,
            target: tree.path(),
        })
    }

    /// What scripts append to the variable of a place before the image's own path; `None` if nothing.
    fn appended(&self, place: &Where) -> Option<PathBuf> {
        let layout = self.layout();
        match (layout.profile(), place) {
            (Profile::OpenGnsys, _) => Some(layout.inner().to_owned()),
            // `$CACHE$REPO`.
            (Profile::Eac, Where::Cache) => {
                let root = self.resolve(&Where::Manager).map(|tree| tree.path());
                let root = root.unwrap_or_else(|_| layout.root().to_owned());
                Some(root.strip_prefix("/").unwrap_or(&root).to_owned())
            }
            (Profile::Eac, _) => None,
        }
    }
}

/// A path as seen from a directory: only ever downwards, else absolute.
fn from(base: &Path, path: &Path) -> PathBuf {
    match path.strip_prefix(base) {
        Ok(rest) if rest.as_os_str().is_empty() => PathBuf::from("."),
        Ok(rest) => rest.to_owned(),
        Err(_) => path.to_owned(),
    }
}
