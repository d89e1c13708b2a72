//! What places mean on this machine: one resolver for commands, links on disk and shell variables.
//!
//! Built from [`Facts`] that others gathered; nothing is looked up here.

mod aliases;
mod environment;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::code::Code;
use crate::layout::{Layout, Profile};
use crate::reference::{Host, Where};

pub use aliases::{Alias, View};
pub use environment::Variable;

/// What is known of this machine.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Where things lie.
    pub layout: Layout,
    /// The machine's own addresses; loopback need not be among them.
    pub addresses: Vec<IpAddr>,
    /// Its own name.
    pub hostname: Option<Host>,
    /// On the serving machine: the tree that it exports.
    pub serving: Option<PathBuf>,
    /// The manager by all its addresses and names; its folder has the first.
    pub manager: Vec<Host>,
    /// What is there to be used.
    pub present: Vec<Present>,
    /// Views of managers that are mounted: links and variables, which are for other programs, name them, and no place
    /// is looked for there.
    pub viewed: Vec<Present>,
    /// What is mounted and of no use; none of it is among `present`.
    pub dead: Vec<Dead>,
}

/// A repository that is there: mounted, or a directory in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// As its folder is named.
    pub place: Where,
    /// Where it is, absolute.
    pub at: PathBuf,
    /// Whether images lie at [`Layout::inner`] inside it, as in a cache partition, and not at its top.
    pub inner: bool,
}

/// A repository that is mounted and cannot be used. Whoever looks into it may wait for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    /// As its folder is named; the manager, if it is the base itself that cannot be looked at.
    pub place: Where,
    /// Where it is mounted.
    pub at: PathBuf,
    /// Whether it is gone for good (a medium that was pulled); else its server may come back.
    pub gone: bool,
}

/// A repository of this machine's, found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// What it is, aliases resolved.
    pub place: Where,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Where its images lie below that; empty for a bare tree.
    pub inner: PathBuf,
}

impl Tree {
    /// Where its images lie. A medium may have planted links on the way: whoever opens it does so beneath
    /// `mount`.
    pub fn path(&self) -> PathBuf {
        if self.inner.as_os_str().is_empty() {
            self.mount.clone()
        } else {
            self.mount.join(&self.inner)
        }
    }
}

/// Why a place is not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Nobody said who the manager is.
    #[error("REPO: no manager is configured on this computer")]
    NoManager,
    /// Nothing is mounted there.
    #[error("{place} is not mounted{}", at.as_ref().map(|at| format!(" at {}", at.display())).unwrap_or_default())]
    NotMounted {
        /// What was asked for.
        place: Where,
        /// Where it would be, if that is known.
        at: Option<PathBuf>,
    },
    /// It is mounted, and its server does not answer.
    #[error("{place} at {} does not answer", at.display())]
    Silent {
        /// What was asked for.
        place: Where,
        /// What does not answer.
        at: PathBuf,
    },
    /// It is mounted, and what was mounted is gone.
    #[error("{place}: what was mounted at {} is gone", at.display())]
    Gone {
        /// What was asked for.
        place: Where,
        /// Where it was.
        at: PathBuf,
    },
    /// Several answer to the name.
    #[error("{place} may be {}", list(among))]
    Ambiguous {
        /// What was asked for.
        place: Where,
        /// The candidates.
        among: Vec<PathBuf>,
    },
}

fn list(paths: &[PathBuf]) -> String {
    let texts: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    texts.join(" or ")
}

impl PlaceError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::NoManager => Code::NoManager,
            Self::NotMounted { .. } => Code::PlaceNotMounted,
            Self::Silent { .. } => Code::PlaceSilent,
            Self::Gone { .. } => Code::PlaceGone,
            Self::Ambiguous { .. } => Code::AmbiguousPlace,
        }
    }
}

/// The places of this machine.
#[derive(Debug, Clone)]
pub struct Namespace {
    facts: Facts,
}

impl Namespace {
    /// The places that follow from facts.
    pub fn new(facts: Facts) -> Self {
        Self { facts }
    }

    /// Where things lie.
    pub fn layout(&self) -> &Layout {
        &self.facts.layout
    }

    /// What a place means here: a computer may turn out to be the manager or this machine, whose addresses
    /// mean its cache on a client and `REPO` on the serving machine.
    pub fn meaning(&self, place: &Where) -> Where {
        match place {
            Where::Host(host) => self.meaning_of_host(host),
            Where::Manager | Where::Cache | Where::Removable(_) => place.clone(),
        }
    }

    /// Whether this computer has an address or a name.
    pub fn is_own(&self, host: &Host) -> bool {
        match host {
            Host::Address(address) => self.facts.addresses.contains(address),
            Host::Name(_) => self.facts.hostname.as_ref() == Some(host),
        }
    }

    fn meaning_of_host(&self, host: &Host) -> Where {
        let facts = &self.facts;
        let own = self.is_own(host);
        if facts.manager.contains(host) || (own && facts.serving.is_some()) {
            Where::Manager
        } else if own {
            Where::Cache
        } else {
            Where::Host(host.clone())
        }
    }

    /// Where a place is mounted, or is to be. Under `eac` the cache's mount is named after its device, so
    /// use [`Layout::cache_mount`] to mount it.
    ///
    /// # Errors
    /// [`PlaceError`].
    pub fn mount_point(&self, place: &Where) -> Result<PathBuf, PlaceError> {
        let layout = self.layout();
        match self.meaning(place) {
            Where::Manager => match (&self.facts.serving, layout.profile()) {
                (Some(tree), _) => Ok(tree.clone()),
                (None, Profile::Eac) => Ok(layout.root().to_owned()),
                (None, Profile::OpenGnsys) => {
                    let host = self.facts.manager.first().ok_or(PlaceError::NoManager)?;
                    Ok(layout.host_mount(host))
                }
            },
            Where::Cache if layout.profile() == Profile::OpenGnsys => Ok(layout.cache_mount("")),
            Where::Cache => Ok(self.resolve(&Where::Cache)?.mount),
            Where::Host(host) => Ok(layout.host_mount(&host)),
            Where::Removable(medium) => Ok(layout.removable_mount(&medium)),
        }
    }

    /// Finds a place among what is there.
    ///
    /// # Errors
    /// [`PlaceError`]; of several that answer to a name the one at its proper mount point is taken.
    pub fn resolve(&self, place: &Where) -> Result<Tree, PlaceError> {
        let meaning = self.meaning(place);
        if let (Where::Manager, Some(tree)) = (&meaning, &self.facts.serving) {
            return Ok(Tree {
                place: meaning,
                mount: tree.clone(),
                inner: PathBuf::new(),
            });
        }
        let found = self.candidates(&meaning);
        let proper = match meaning {
            Where::Cache if self.layout().profile() == Profile::Eac => None,
            _ => self.mount_point(&meaning).ok(),
        };
        let chosen = found
            .iter()
            .find(|present| Some(&present.at) == proper.as_ref());
        if let (None, []) = (chosen, found.as_slice())
            && let Some(dead) = self.dead_one(&meaning, proper.as_deref())
        {
            let (place, at) = (place.clone(), dead.at.clone());
            return Err(if dead.gone {
                PlaceError::Gone { place, at }
            } else {
                PlaceError::Silent { place, at }
            });
        }
        match (chosen, found.as_slice()) {
            (Some(present), _) | (None, [present]) => Ok(self.tree(present)),
            (None, []) if meaning == Where::Manager && proper.is_none() => {
                Err(PlaceError::NoManager)
            }
            (None, []) => Err(PlaceError::NotMounted {
                place: place.clone(),
                at: proper,
            }),
            (None, several) => Err(PlaceError::Ambiguous {
                place: place.clone(),
                among: several.iter().map(|present| present.at.clone()).collect(),
            }),
        }
    }

    /// What is mounted and of no use.
    pub fn dead(&self) -> &[Dead] {
        &self.facts.dead
    }

    /// Whether the directory that holds repositories and aliases can be looked at.
    ///
    /// # Errors
    /// [`PlaceError::Silent`].
    pub fn check_base(&self) -> Result<(), PlaceError> {
        let base = self.layout().base();
        let around = |dead: &&Dead| base.starts_with(&dead.at);
        match self.facts.dead.iter().find(around) {
            Some(dead) => Err(PlaceError::Silent {
                place: dead.place.clone(),
                at: dead.at.clone(),
            }),
            None => Ok(()),
        }
    }

    /// The dead repository of that meaning, or the one in which its place lies.
    fn dead_one(&self, meaning: &Where, proper: Option<&Path>) -> Option<&Dead> {
        let mut dead = self.facts.dead.iter();
        let is_it = |dead: &&Dead| {
            alike(&self.meaning(&dead.place), meaning)
                || proper.is_some_and(|proper| proper.starts_with(&dead.at))
        };
        dead.find(is_it)
    }

    /// What is there under a name; of media, those of exactly that id before those in another case.
    fn candidates(&self, meaning: &Where) -> Vec<&Present> {
        let present = self.facts.present.iter();
        let exact: Vec<&Present> = present
            .clone()
            .filter(|present| self.meaning(&present.place) == *meaning)
            .collect();
        let Where::Removable(medium) = meaning else {
            return exact;
        };
        if !exact.is_empty() {
            return exact;
        }
        let wanted = Where::Removable(medium.clone());
        present.filter(|it| alike(&it.place, &wanted)).collect()
    }

    fn tree(&self, present: &Present) -> Tree {
        Tree {
            place: self.meaning(&present.place),
            mount: present.at.clone(),
            inner: if present.inner {
                self.layout().inner().to_owned()
            } else {
                PathBuf::new()
            },
        }
    }

    /// Every tree that is there, each once: the manager's, the cache, other computers', removable media.
    pub fn trees(&self) -> Vec<Tree> {
        let mut places: Vec<Where> = vec![Where::Manager, Where::Cache];
        let present = self.facts.present.iter();
        places.extend(present.map(|present| self.meaning(&present.place)));
        places.sort();
        places.dedup();
        let found = places.iter().map(|place| self.resolve(place));
        found.filter_map(Result::ok).collect()
    }

    /// As [`Namespace::trees`], for other programs: where there is nothing but a view of a manager, that.
    fn trees_for_others(&self) -> Vec<Tree> {
        let mut trees = self.trees();
        for tree in self.facts.viewed.iter().map(|viewed| self.tree(viewed)) {
            if !trees.iter().any(|other| other.place == tree.place) {
                trees.push(tree);
            }
        }
        trees
    }

    /// The tree that holds a path of this machine, and the rest of the path; the deepest, should one lie in
    /// another.
    pub fn tree_of<'a>(&self, path: &'a Path) -> Option<(Tree, &'a Path)> {
        let trees = self.trees().into_iter();
        let within = trees.filter_map(|tree| Some((path.strip_prefix(tree.path()).ok()?, tree)));
        let (rest, tree) = within.min_by_key(|(rest, _)| rest.as_os_str().len())?;
        Some((tree, rest))
    }
}

/// Whether two mean the same; media do so in any case of letters.
fn alike(one: &Where, other: &Where) -> bool {
    match (one, other) {
        (Where::Removable(one), Where::Removable(other)) => {
            one.to_string().to_lowercase() == other.to_string().to_lowercase()
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests;
