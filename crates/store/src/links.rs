//! Aliases and views on disk, kept in step with what is mounted.
//!
//! Links only: a file or directory of the user's is never replaced, and what others linked under a name
//! that is not ours stays. Every change is one rename or one `symlink`, so the names are there at any moment.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use azud_core::layout::{VIEWS, is_reserved};
use azud_core::namespace::{Alias, View};

use crate::durable;
use crate::error::{Result, StoreError};

/// A step towards the links that should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// A link that is missing.
    Make {
        /// The link.
        path: PathBuf,
        /// What it is to point to.
        target: PathBuf,
    },
    /// A link that points elsewhere.
    Repoint {
        /// The link.
        path: PathBuf,
        /// What it is to point to.
        target: PathBuf,
    },
    /// A link of ours to something that is gone, or what a killed run left of a view.
    Withdraw {
        /// The link or the empty directory.
        path: PathBuf,
    },
}

/// How the names of links begin while they are made.
const DRAFT: &str = ".azud-link-";
/// Views are as deep as the longest path inside a cache partition; deeper is not ours.
const MAX_DEPTH: usize = 16;

/// What is to be done, and what cannot.
#[derive(Debug, Default)]
pub struct Plan {
    /// The steps.
    pub changes: Vec<Change>,
    /// Names of links that something else has: each a [`StoreError::AliasTaken`].
    pub taken: Vec<StoreError>,
}

/// Brings the links of `base` in step; returns what was changed.
///
/// # Errors
/// As [`plan`] and [`apply`]; [`StoreError::AliasTaken`] after all other links were brought in step.
pub fn repair(base: &Path, aliases: &[Alias], views: &[View]) -> Result<Vec<Change>> {
    let Plan { changes, taken } = plan(base, aliases, views)?;
    apply(base, &changes)?;
    match taken.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(changes),
    }
}

/// What is to be done so that `base` has these aliases and views, and no stale ones.
///
/// # Errors
/// [`StoreError::Io`].
pub fn plan(base: &Path, aliases: &[Alias], views: &[View]) -> Result<Plan> {
    let mut wanted: BTreeMap<PathBuf, &Path> = BTreeMap::new();
    for alias in aliases {
        wanted.insert(base.join(&alias.name), &alias.target);
    }
    for view in views {
        wanted.insert(view.dir.join(&view.inner), &view.target);
    }
    let mut plan = Plan::default();
    for (path, target) in &wanted {
        match correction(path, target) {
            Ok(change) => plan.changes.extend(change),
            Err(error @ StoreError::AliasTaken { .. }) => plan.taken.push(error),
            Err(error) => return Err(error),
        }
    }
    let mut links = ours(base)?;
    views_in(&base.join(VIEWS), 0, &mut links)?;
    let needed = |path: &PathBuf| wanted.keys().any(|link| link.starts_with(path));
    let stale = links.into_iter().filter(|path| !needed(path));
    plan.changes
        .extend(stale.map(|path| Change::Withdraw { path }));
    Ok(plan)
}

/// What is to be done so that one link is there.
///
/// # Errors
/// [`StoreError::AliasTaken`] by what is no link, [`StoreError::Io`].
pub fn correction(path: &Path, target: &Path) -> Result<Option<Change>> {
    let (path, target) = (path.to_owned(), target.to_owned());
    match std::fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_symlink() => {
            let now = std::fs::read_link(&path);
            let now = now.map_err(|error| StoreError::io("read the link", &path, error))?;
            Ok((now != target).then_some(Change::Repoint { path, target }))
        }
        Ok(meta) => Err(taken(path, &meta)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(Some(Change::Make { path, target }))
        }
        Err(error) => Err(StoreError::io("look at", &path, error)),
    }
}

fn taken(path: PathBuf, meta: &std::fs::Metadata) -> StoreError {
    let what = if meta.is_dir() {
        "a directory"
    } else {
        "a file"
    };
    StoreError::AliasTaken { path, what }
}

/// The links in the base that an earlier run may have made: a name of a repository, a target as we write it.
fn ours(base: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for name in durable::links(base)? {
        let path = base.join(&name);
        let Ok(target) = std::fs::read_link(&path) else {
            continue;
        };
        let name = name.to_string_lossy();
        if name.starts_with(DRAFT) || (is_reserved(&name) && is_our_target(&target)) {
            found.push(path);
        }
    }
    Ok(found)
}

/// `.`, an entry beside the link, or a mounted medium.
fn is_our_target(target: &Path) -> bool {
    let mut parts = target.components();
    match (parts.next(), parts.next()) {
        (Some(Component::CurDir | Component::Normal(_)), None) => true,
        (Some(Component::RootDir), Some(_)) => {
            let name = target.file_name().and_then(|name| name.to_str());
            name.is_some_and(is_reserved)
        }
        _ => false,
    }
}

/// The links in the directory of views, and directories without any.
fn views_in(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    if depth == MAX_DEPTH || !is_real_dir(dir) {
        return Ok(());
    }
    let names = durable::names(dir)?;
    if names.is_empty() {
        found.push(dir.to_owned());
    }
    for name in names {
        let path = dir.join(name);
        if path.is_symlink() {
            found.push(path);
        } else {
            views_in(&path, depth + 1, found)?;
        }
    }
    Ok(())
}

fn is_real_dir(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

/// Carries out what was planned, in the order of the plan.
///
/// # Errors
/// [`StoreError::AliasTaken`] when something came there meanwhile; [`StoreError::ReadOnly`],
/// [`StoreError::Io`]. What is done by then stays done: another run goes on.
pub fn apply(base: &Path, changes: &[Change]) -> Result<()> {
    let makes = |change: &Change| matches!(change, Change::Make { .. });
    if changes.iter().any(makes) {
        make_base(base)?;
    }
    for change in changes {
        match change {
            Change::Make { path, target } => {
                for dir in missing_dirs(base, path) {
                    durable::ensure_dir(&dir)?;
                }
                durable::symlink(target, path)?;
            }
            Change::Repoint { path, target } => repoint(base, path, target)?,
            Change::Withdraw { path } => withdraw(base, path)?,
        }
    }
    Ok(())
}

/// Makes the base, and what it lies in, where it is absent: on a new machine nothing may be there yet.
fn make_base(base: &Path) -> Result<()> {
    let missing = base.ancestors().take_while(|dir| !dir.exists());
    let mut missing: Vec<&Path> = missing.collect();
    missing.reverse();
    missing.into_iter().try_for_each(durable::ensure_dir)
}

/// The directories below the base on the way to a link.
fn missing_dirs(base: &Path, path: &Path) -> Vec<PathBuf> {
    let above = path.ancestors().skip(1);
    let mut dirs: Vec<PathBuf> = above
        .take_while(|dir| *dir != base)
        .map(Path::to_owned)
        .collect();
    dirs.reverse();
    dirs
}

fn repoint(base: &Path, path: &Path, target: &Path) -> Result<()> {
    let draft = base.join(format!("{DRAFT}{}", std::process::id()));
    durable::remove_file(&draft)?;
    durable::symlink(target, &draft)?;
    // Looked at again: a file that came meanwhile is not ours to replace.
    let replaced = match std::fs::symlink_metadata(path) {
        Ok(meta) if !meta.is_symlink() => Err(taken(path.to_owned(), &meta)),
        _ => durable::rename(&draft, path),
    };
    if replaced.is_err() {
        durable::remove_file(&draft)?;
    }
    replaced
}

fn withdraw(base: &Path, path: &Path) -> Result<()> {
    if path.is_symlink() {
        durable::remove_file(path)?;
    } else {
        durable::remove_dir_if_empty(path)?;
    }
    let mut dirs = missing_dirs(base, path);
    dirs.reverse();
    dirs.iter()
        .try_for_each(|dir| durable::remove_dir_if_empty(dir))
}
