//! Repositories of others that are mounted on the manager's computer: what a NAS has reaches every client.

use std::fmt::Debug;
use std::path::PathBuf;

use axum::http::StatusCode;
use azud_core::access::NamePattern;
use azud_core::namespace::{self, PlaceError};
use azud_core::reference::{Folder, Host, ImageRef, SubPath, Where};
use azud_store::StoreError;
use azud_store::tree::Tree;

use crate::problem::Problem;

/// Who knows what is mounted here now.
pub trait Mounts: Debug + Send + Sync {
    /// Finds the repository of another computer.
    ///
    /// # Errors
    /// [`PlaceError`].
    fn find(&self, host: &Host) -> Result<namespace::Tree, PlaceError>;
}

/// A computer on which nothing of others is mounted.
#[derive(Debug, Clone, Copy)]
pub struct NoMounts;

impl Mounts for NoMounts {
    fn find(&self, host: &Host) -> Result<namespace::Tree, PlaceError> {
        let place = Where::Host(host.clone());
        Err(PlaceError::NotMounted { place, at: None })
    }
}

/// An image of another repository: `ADDRESS:sub/name`. Nobody else's names are understood: what is a cache, or the
/// manager, depends on who says it.
pub(crate) fn placed(name: &str) -> Option<(Host, SubPath)> {
    match ImageRef::parse(name) {
        Ok(ImageRef::Placed {
            place: Where::Host(host),
            image,
        }) => Some((host, image)),
        Ok(_) | Err(_) => None,
    }
}

/// An image's name, which is the same however somebody spelt it; what can be no name stays as it is.
pub(crate) fn whole_name(name: &str) -> String {
    match placed(name) {
        Some((host, image)) => format!("{host}:{image}"),
        None => SubPath::parse(name).map_or_else(|_| name.to_owned(), |name| name.to_string()),
    }
}

/// Whether one of these patterns means an image, by its name in the repository, or as `ADDRESS:sub/name` in one that is
/// mounted here. What cannot be a name is meant by none.
pub(crate) fn is_meant(patterns: &[NamePattern], name: &str) -> bool {
    match placed(name) {
        Some((host, image)) => means(patterns, Some(&host), &image),
        None => SubPath::parse(name).is_ok_and(|image| means(patterns, None, &image)),
    }
}

/// Whether one of these patterns means an image of another computer's repository or, without a host, of the manager's.
pub(crate) fn means(patterns: &[NamePattern], host: Option<&Host>, image: &SubPath) -> bool {
    patterns.iter().any(|pattern| match host {
        Some(host) => pattern
            .in_repository(host)
            .is_some_and(|rest| rest.matches(image)),
        None => pattern.matches(image),
    })
}

/// The tree of another computer's repository.
pub(crate) fn tree(mounts: &dyn Mounts, host: &Host) -> Result<Tree, Problem> {
    let found = mounts.find(host)?;
    match Tree::open(&found.mount, &found.inner) {
        // It was unmounted a moment ago: what is mounted is not looked at for every request.
        Err(StoreError::NotFound(_)) if !found.mount.is_dir() => {
            let place = Where::Host(host.clone());
            Err(PlaceError::NotMounted { place, at: None }.into())
        }
        opened => Ok(opened?),
    }
}

/// The directory of its images.
pub(crate) fn top(mounts: &dyn Mounts, host: &Host) -> Result<PathBuf, Problem> {
    Ok(tree(mounts, host)?.folder(&Folder::default())?)
}

impl From<PlaceError> for Problem {
    fn from(error: PlaceError) -> Self {
        let status = match &error {
            PlaceError::NotMounted { .. } | PlaceError::NoManager | PlaceError::Gone { .. } => {
                StatusCode::NOT_FOUND
            }
            PlaceError::Silent { .. } => StatusCode::BAD_GATEWAY,
            PlaceError::Ambiguous { .. } => StatusCode::CONFLICT,
        };
        // Where it is, or would be, is of no use to others.
        let text = match &error {
            PlaceError::NoManager => error.to_string(),
            PlaceError::NotMounted { place, .. } => format!("{place} is not mounted"),
            PlaceError::Gone { place, .. } => format!("{place}: what was mounted is gone"),
            PlaceError::Silent { place, .. } => format!("{place} does not answer"),
            PlaceError::Ambiguous { place, .. } => format!("{place} may be several"),
        };
        Self::new(status, error.code(), text)
    }
}
