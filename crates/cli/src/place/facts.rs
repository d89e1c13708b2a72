//! What the namespace is built from: addresses, mounts, and what lies in the places for repositories.

use std::path::{Path, PathBuf};

use azud_core::layout::{Layout, Profile, is_reserved};
use azud_core::namespace::{Facts, Present};
use azud_core::reference::{Host, Where};
use azud_disk::{mount_points, own_addresses};
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
    let look = Look {
        site,
        mounts: mount_points(),
    };
    let serving = site.serving.then(|| {
        let own = addresses.iter().copied().map(Host::Address);
        let mut folders = own.map(|host| layout.host_mount(&host));
        folders
            .find(|folder| is_real_dir(folder))
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
    })
}

struct Look<'a> {
    site: &'a Site,
    mounts: Vec<(PathBuf, String)>,
}

impl Look<'_> {
    fn layout(&self) -> &Layout {
        &self.site.layout
    }

    fn is_mounted(&self, at: &Path) -> bool {
        self.mounts.iter().any(|(mount, _)| mount == at)
    }

    /// Something is there: a mount, or a directory that is not empty. An empty one is a mount point whose
    /// repository is not mounted; what was written there would vanish beneath it.
    fn is_there(&self, at: &Path) -> bool {
        let filled = || std::fs::read_dir(at).is_ok_and(|mut names| names.next().is_some());
        self.is_mounted(at) || filled()
    }

    /// Whether images lie deeper in it, as in a cache partition.
    fn has_inner(&self, at: &Path) -> bool {
        Tree::open(at, self.layout().inner()).is_ok()
    }

    /// The repositories in the layout's base, by the names of its folders.
    fn in_base(&self) -> Vec<Present> {
        let found = folders(self.layout().base()).into_iter();
        let present = found.filter_map(|(name, at)| {
            let place = self.place(&name, &at)?;
            let inner = place == Where::Cache || self.has_inner(&at);
            self.is_there(&at).then_some(Present { place, at, inner })
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
        let found = folders(self.layout().mnt()).into_iter();
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
                let network =
                    |(at, kind): &(PathBuf, String)| at == root && NETWORK.contains(&kind.as_str());
                self.mounts.iter().any(network)
            }
        };
        there.then(|| Present {
            place: Where::Manager,
            at: root.to_owned(),
            inner: false,
        })
    }

    fn former_cache(&self) -> Option<Present> {
        let at = self.layout().former_cache_mount()?;
        self.is_mounted(at).then(|| Present {
            place: Where::Cache,
            at: at.to_owned(),
            inner: true,
        })
    }
}

/// The real directories in a directory; links are names of something else.
fn folders(dir: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<(String, PathBuf)> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .collect();
    found.sort();
    found
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
