//! What the namespace is built from: addresses, mounts, and what lies in the places for repositories.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use azud_core::layout::{Layout, Profile, is_reserved};
use azud_core::namespace::{Dead, Facts, Present};
use azud_core::reference::{Host, Where};
use azud_disk::mounting::{MountFacts, mounted_at};
use azud_disk::own_addresses;
use azud_disk::remote::{State, mounted_in, reach, states};
use azud_store::tree::Tree;

use crate::failure::Failure;
use crate::opened::host;
use crate::site::Site;

/// Types of file systems that come over the network.
const NETWORK: [&str; 4] = ["nfs", "nfs4", "cifs", "smb3"];

/// Looks at the machine.
pub(super) fn gather(site: &Site) -> Result<Facts, Failure> {
    let layout = &site.layout;
    let addresses = own_addresses()?;
    let look = Look::at(site);
    let serving = site.serving.then(|| {
        if let Some(dir) = &site.served {
            return dir.clone();
        }
        let own = addresses.iter().copied().map(Host::Address);
        let mut folders = own.map(|host| layout.host_mount(&host));
        folders
            .find(|folder| look.is_usable(folder) && is_real_dir(folder))
            .unwrap_or_else(|| layout.root().to_owned())
    });
    let mut present = look.in_base();
    if layout.base() != layout.mnt() {
        present.extend(look.removable());
    }
    if serving.is_none() {
        present.extend(look.manager_in_root());
    }
    present.extend(look.former_cache());
    Ok(Facts {
        layout: layout.clone(),
        addresses,
        hostname: Host::parse(&host()).ok(),
        serving,
        manager: site.manager.clone(),
        present,
        viewed: look.viewed(),
        dead: look.dead(),
    })
}

/// What is mounted at a place of the layout.
struct Mounted {
    fs_type: String,
    state: State,
}

/// A machine whose mounts were asked how they are. Those that do not answer, and directories that cannot be
/// reached, are not looked at again.
struct Look<'a> {
    site: &'a Site,
    mounts: BTreeMap<PathBuf, Mounted>,
    /// Where views are mounted. They are names for other programs; what they show is asked of its manager.
    views: BTreeMap<PathBuf, State>,
    /// Directories of the layout on whose way something does not answer.
    silent: Vec<PathBuf>,
}

impl<'a> Look<'a> {
    fn at(site: &'a Site) -> Self {
        let layout = &site.layout;
        let mut silent = Vec::new();
        let mut found = Vec::new();
        for dir in [layout.root(), layout.base(), layout.mnt()] {
            if silent.iter().any(|other| other == dir) {
                continue;
            }
            let Some(real) = reach(dir) else {
                silent.push(dir.to_owned());
                continue;
            };
            // By the names of the layout, which may be reached through links.
            let within = mounted_in(&real).into_iter().filter_map(|facts| {
                let name = facts.at.file_name()?;
                Some((dir.join(name), facts))
            });
            found.extend(within);
            found.extend(mounted_at(&real).map(|facts| (dir.to_owned(), facts)));
        }
        found.extend(former_cache(layout));
        let places: Vec<PathBuf> = found.iter().map(|(_, facts)| facts.at.clone()).collect();
        let states = states(&places);
        let (mut mounts, mut views) = (BTreeMap::new(), BTreeMap::new());
        for ((at, facts), state) in found.into_iter().zip(states) {
            if facts.is_view() {
                views.insert(at, state);
            } else {
                let fs_type = facts.fs_type;
                mounts.insert(at, Mounted { fs_type, state });
            }
        }
        Self {
            site,
            mounts,
            views,
            silent,
        }
    }

    fn layout(&self) -> &Layout {
        &self.site.layout
    }

    fn is_mounted(&self, at: &Path) -> bool {
        self.mounts.contains_key(at)
    }

    /// Whether it may be looked at: neither it nor what it lies in is dead.
    fn is_usable(&self, at: &Path) -> bool {
        let lives = |mounted: &Mounted| mounted.state == State::Mounted;
        let mut way = at.ancestors();
        way.all(|dir| {
            self.mounts.get(dir).is_none_or(lives) && !self.silent.iter().any(|it| it == dir)
        })
    }

    /// Something is there: a mount, or a directory that is not empty. An empty one is a mount point whose
    /// repository is not mounted; what was written there would vanish beneath it.
    fn is_there(&self, at: &Path) -> bool {
        let filled = || std::fs::read_dir(at).is_ok_and(|mut names| names.next().is_some());
        self.is_usable(at) && (self.is_mounted(at) || filled())
    }

    /// The views for which somebody answers, be it to others than this user.
    fn viewed(&self) -> Vec<Present> {
        let layout = self.layout();
        let answers = |state: &State| matches!(state, State::Mounted | State::Refused);
        let views = self.views.iter().filter(|(_, state)| answers(state));
        let place = |at: &Path| {
            let first = self.site.manager.first();
            if at == layout.root() || first.is_some_and(|host| layout.host_mount(host) == at) {
                return Some(Where::Manager);
            }
            let place = Where::parse(at.file_name()?.to_str()?).ok()?;
            matches!(place, Where::Host(_)).then_some(place)
        };
        let viewed = views.filter_map(|(at, _)| {
            let (place, at) = (place(at)?, at.clone());
            let inner = false;
            Some(Present { place, at, inner })
        });
        viewed.collect()
    }

    /// What is mounted in the places of repositories and cannot be used.
    fn dead(&self) -> Vec<Dead> {
        let layout = self.layout();
        let base = self.silent.iter().filter(|dir| *dir != layout.mnt());
        let mut dead: Vec<Dead> = base
            .map(|dir| Dead {
                place: Where::Manager,
                at: dir.clone(),
                gone: false,
            })
            .collect();
        for (at, mounted) in &self.mounts {
            if mounted.state == State::Mounted {
                continue;
            }
            let name = at.file_name().and_then(|name| name.to_str());
            let place = match name.map(Where::parse) {
                _ if at == layout.root() || at == layout.base() => Where::Manager,
                _ if layout.former_cache_mount() == Some(at) => Where::Cache,
                Some(Ok(Where::Host(Host::Name(name)))) if self.is_cache(&name, at) => Where::Cache,
                Some(Ok(place)) => place,
                _ => continue,
            };
            let in_mnt = at.parent() == Some(layout.mnt()) && layout.mnt() != layout.base();
            if in_mnt && !matches!(place, Where::Removable(_)) {
                continue;
            }
            dead.push(Dead {
                place,
                at: at.clone(),
                gone: mounted.state == State::Stale,
            });
        }
        dead
    }

    /// Whether a mount is in the place of a cache partition under `eac`.
    fn is_cache(&self, name: &str, at: &Path) -> bool {
        let eac = self.layout().profile() == Profile::Eac;
        eac && at.parent() == Some(self.layout().mnt()) && is_partition(name)
    }

    /// Whether images lie deeper in it, as in a cache partition.
    fn has_inner(&self, at: &Path) -> bool {
        self.is_usable(at) && Tree::open(at, self.layout().inner()).is_ok()
    }

    /// The repositories in the layout's base, by the names of its folders.
    fn in_base(&self) -> Vec<Present> {
        let found = self.folders(self.layout().base()).into_iter();
        let present = found.filter_map(|(name, at)| {
            let place = self.place(&name, &at)?;
            let there = self.is_there(&at);
            let inner = place == Where::Cache || self.has_inner(&at);
            there.then_some(Present { place, at, inner })
        });
        present.collect()
    }

    fn place(&self, name: &str, at: &Path) -> Option<Where> {
        let place = Where::parse(name).ok()?;
        let eac = self.layout().profile() == Profile::Eac;
        match &place {
            Where::Cache => (self.is_mounted(at) || self.has_inner(at)).then_some(place),
            Where::Host(Host::Name(_)) if is_reserved(name) => None,
            // `/mnt/sda4`: only the cache is of interest.
            Where::Host(Host::Name(_)) if eac && is_partition(name) => {
                self.has_inner(at).then_some(Where::Cache)
            }
            // A folder of another name is an organisational unit, unless something is mounted on it.
            Where::Host(host @ Host::Name(_)) => {
                let known = self.site.manager.contains(host);
                (known || self.is_mounted(at)).then_some(place)
            }
            _ => Some(place),
        }
    }

    /// Removable storage, for layouts whose base is elsewhere.
    fn removable(&self) -> Vec<Present> {
        let found = self.folders(self.layout().mnt()).into_iter();
        let present = found.filter_map(|(name, at)| {
            let place = Where::parse(&name).ok()?;
            let there = matches!(place, Where::Removable(_)) && self.is_there(&at);
            there.then(|| Present {
                place,
                inner: self.has_inner(&at),
                at,
            })
        });
        present.collect()
    }

    /// A manager whose share is the root itself: always so under `eac`, and where OpenGnsys mounts it.
    fn manager_in_root(&self) -> Option<Present> {
        let root = self.layout().root();
        let there = match self.layout().profile() {
            Profile::Eac => self.is_there(root),
            Profile::OpenGnsys => {
                let mounted = self.mounts.get(root).filter(|_| self.is_usable(root));
                mounted.is_some_and(|it| NETWORK.contains(&it.fs_type.as_str()))
            }
        };
        there.then(|| Present {
            place: Where::Manager,
            at: root.to_owned(),
            inner: false,
        })
    }

    /// The real directories in a directory; links are names of something else.
    fn folders(&self, dir: &Path) -> Vec<(String, PathBuf)> {
        if !self.is_usable(dir) {
            return Vec::new();
        }
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let mut found: Vec<(String, PathBuf)> = entries
            .filter(|entry| !self.views.contains_key(&dir.join(entry.file_name())))
            .filter(|entry| {
                let mounted = self.is_mounted(&dir.join(entry.file_name()));
                mounted || entry.file_type().is_ok_and(|kind| kind.is_dir())
            })
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let at = dir.join(&name);
                Some((name, at))
            })
            .collect();
        found.sort();
        found
    }

    fn former_cache(&self) -> Option<Present> {
        let at = self.layout().former_cache_mount()?;
        (self.is_mounted(at) && self.is_usable(at)).then(|| Present {
            place: Where::Cache,
            at: at.to_owned(),
            inner: true,
        })
    }
}

/// What is mounted where OpenGnsys itself mounts the cache.
fn former_cache(layout: &Layout) -> Option<(PathBuf, MountFacts)> {
    let at = layout.former_cache_mount()?;
    let above = reach(at.parent()?)?;
    let real = above.join(at.file_name()?);
    let mut mounts = mounted_in(&above).into_iter();
    let facts = mounts.find(|facts| facts.at == real)?;
    Some((at.to_owned(), facts))
}

fn is_real_dir(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

/// Whether the kernel has a block device of this name, or the name looks like a partition's.
fn is_partition(name: &str) -> bool {
    let known = Path::new("/sys/class/block").join(name).exists();
    let (letters, digits) = name.split_at(
        name.find(|c: char| c.is_ascii_digit())
            .unwrap_or(name.len()),
    );
    let disk = matches!(letters, "nvme" | "mmcblk" | "loop" | "md")
        || (letters.len() >= 3 && matches!(letters.as_bytes()[..2], [b's' | b'h' | b'v', b'd']))
        || letters == "xvda";
    known || (disk && !digits.is_empty())
}
