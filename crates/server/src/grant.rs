//! What somebody who asks may do and see.

use std::sync::Arc;

use azud_core::access::NamePattern;
use azud_core::reference::{Host, ImageRef, SubPath, Where};

use crate::mounts::{is_meant, means};
use crate::token::Role;

/// What the bearer of a token is allowed. Every route finds it among the extensions of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    role: Role,
    images: Arc<[NamePattern]>,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is none, or one that was taken back.
    Unknown,
    /// It has ended, or the manager's clock cannot tell.
    Expired,
    /// Its bearer is not where it is good.
    Elsewhere,
}

impl Grant {
    pub(crate) fn new(role: Role, images: &[NamePattern]) -> Self {
        Self {
            role,
            images: images.into(),
        }
    }

    /// What it allows.
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Whether an image is there for the bearer, by its name in the repository, or as `ADDRESS:sub/name` in one that
    /// is mounted here. What cannot be a name is not there for a token that is bound to images.
    pub(crate) fn sees(&self, name: &str) -> bool {
        self.sees_all() || is_meant(&self.images, name)
    }

    /// Whether one that lies in the folder of another is there for the bearer, by its bare name.
    pub(crate) fn sees_beside(&self, image: &SubPath, other: &str) -> bool {
        let path = image.folder().path().join(other);
        path.to_str().is_some_and(|name| self.sees(name))
    }

    /// Whether the bearer sees what a computer does with an image, by what it was called there; `own` are the
    /// manager's addresses and names.
    pub(crate) fn concerns(&self, reference: &str, own: &[Host]) -> bool {
        if self.sees_all() {
            return true;
        }
        // A file of the computer's own is nobody else's business.
        let Ok(ImageRef::Placed { place, image }) = ImageRef::parse(reference) else {
            return false;
        };
        match &place {
            // A cache has the manager's images, under their names.
            Where::Manager | Where::Cache => means(&self.images, None, &image),
            Where::Host(host) => {
                let other = Some(host).filter(|host| !own.contains(host));
                means(&self.images, other, &image)
            }
            Where::Removable(_) => false,
        }
    }

    /// Whether no image is hidden from the bearer.
    pub(crate) fn sees_all(&self) -> bool {
        self.images.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use azud_core::reference::Host;

    use super::{Grant, Role};

    fn sees(patterns: &[&str], name: &str) -> bool {
        let patterns: Vec<_> = patterns.iter().map(|it| it.parse().unwrap()).collect();
        Grant::new(Role::Read, &patterns).sees(name)
    }

    #[test]
    fn what_is_mounted_is_seen_by_who_is_bound_to_it_alone() {
        let image = "10.0.0.9:aula1/win";
        assert!(sees(&[], image));
        assert!(sees(&["10.0.0.9:aula1/*"], image) && sees(&["10.0.0.9:*"], image));
        assert!(sees(&["[fd00::9]:*"], "[fd00:0::9]:win"));
        for other in ["*", "*aula1/win", "aula1/*", "10.0.0.*", "10.0.0.8:*"] {
            assert!(!sees(&[other], image), "{other}");
        }
        assert!(!sees(&["10.0.0.9:*"], "aula1/win"));
    }

    #[test]
    fn what_computers_do_is_seen_as_the_images_are() {
        let own = ["10.0.0.1", "[fd00::1]", "og.campus.es"].map(|host| Host::parse(host).unwrap());
        let concerns = |pattern: &str, image: &str| {
            let patterns = [pattern.parse().unwrap()];
            Grant::new(Role::Write, &patterns).concerns(image, &own)
        };
        for place in [
            "REPO",
            "repo",
            "CACHE",
            "10.0.0.1",
            "[fd00:0::1]",
            "OG.campus.es",
        ] {
            assert!(
                concerns("aula1/*", &format!("{place}:aula1/exam")),
                "{place}"
            );
            assert!(
                !concerns("10.0.0.9:*", &format!("{place}:aula1/exam")),
                "{place}"
            );
        }
        for place in ["10.0.0.9", "USB-x", "DVD-x", "other.campus.es"] {
            assert!(
                !concerns("aula1/*", &format!("{place}:aula1/exam")),
                "{place}"
            );
        }
        assert!(concerns("10.0.0.9:*", "10.0.0.9:aula1/exam"));
        assert!(!concerns("10.0.0.9:*", "10.0.0.8:aula1/exam"));
        assert!(!concerns("aula1/*", "/aula1/exam") && !concerns("*", "exam"));
    }
}
