//! The cache partition.

use std::path::Path;

use azud_disk::DiskError;
use azud_disk::cache::{self, Found, Hit};
use azud_disk::machine::direct_io;
use azud_disk::mounting::MountFacts;

use super::finding::{Finding, Part};
use crate::failure::Failure;
use crate::place;

/// What is known of the cache.
#[derive(Debug)]
pub(super) struct Facts {
    /// Whether this computer is the manager, which needs none.
    pub(super) serving: bool,
    pub(super) found: Result<Found, DiskError>,
    /// What the one cache offers where it is mounted.
    pub(super) offers: Offers,
    /// Whether nothing at all is on the one cache, where it has no file system that is recognised.
    pub(super) blank: bool,
}

/// What was tried on the mounted cache; `None` where it cannot be tried.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Offers {
    pub(super) clones: Option<bool>,
    pub(super) direct: Option<bool>,
}

impl Facts {
    /// Looks at every device; a slow one may hold who asks.
    pub(super) fn gather(serving: bool) -> Self {
        let found = cache::find(&place::disks());
        let hits = found.as_ref().map(|found| found.hits.as_slice());
        let only = hits.ok().and_then(|hits| cache::only(hits).ok());
        let mount = only.and_then(|hit| hit.mounts.first());
        let offers = mount.map(|mount| Offers::of(&mount.at));
        let blank = |hit: &Hit| {
            !hit.signature.is_recognised() && cache::blank(&hit.device).unwrap_or(false)
        };
        Self {
            serving,
            offers: offers.unwrap_or_default(),
            blank: only.is_some_and(blank),
            found,
        }
    }

    pub(super) fn judge(&self) -> Vec<Finding> {
        let found = match &self.found {
            Ok(found) => found,
            Err(error) => {
                return vec![Finding::unknown("cache-unknown").because(Failure::of(error))];
            }
        };
        let skipped = found.skipped.iter().map(|(device, why)| {
            let finding = Finding::unknown("device-unknown").because(Failure::of(why));
            finding.with("device", device.display())
        });
        let mut findings: Vec<Finding> = skipped.collect();
        match cache::only(&found.hits) {
            Ok(hit) => findings.extend(self.judge_hit(hit)),
            Err(DiskError::SeveralCaches { devices }) => {
                let texts: Vec<String> = devices
                    .iter()
                    .map(|device| device.display().to_string())
                    .collect();
                let second = texts.last().cloned().unwrap_or_default();
                let finding = Finding::problem("cache-several").with("devices", texts.join(", "));
                findings.push(finding.with("second", second));
            }
            Err(_) if self.serving => findings.push(Finding::ok("cache-unneeded")),
            Err(_) => findings.push(Finding::warning("no-cache")),
        }
        findings
    }

    fn judge_hit(&self, hit: &Hit) -> Vec<Finding> {
        let told = |finding: Finding| finding.with("device", hit.device.display());
        if !hit.signature.is_recognised() {
            let key = if self.blank {
                "cache-unformatted"
            } else {
                "cache-unrecognised"
            };
            return vec![told(Finding::problem(key))];
        }
        let Some(mount) = hit.mounts.first() else {
            return vec![told(Finding::warning("cache-unmounted"))];
        };
        let mut findings = vec![told(judge_mount(mount))];
        findings.extend(self.offers.judge());
        findings
    }
}

impl Offers {
    /// Tries what a directory offers.
    fn of(dir: &Path) -> Self {
        Self {
            clones: cache::clones(dir),
            direct: direct_io(dir),
        }
    }

    fn judge(self) -> [Finding; 2] {
        let shares = match self.clones {
            Some(true) => Finding::ok("cache-shares"),
            Some(false) => Finding::ok("cache-copies"),
            None => Finding::unknown("cache-shares-unknown"),
        };
        let direct = match self.direct {
            Some(true) => Finding::ok("cache-direct"),
            Some(false) => Finding::ok("cache-indirect"),
            None => Finding::unknown("cache-direct-unknown"),
        };
        [shares, direct]
    }
}

/// What is found of a directory that the environment names as the cache: it is looked at instead of the partition.
pub(super) fn judge_named(dir: &Path) -> Vec<Finding> {
    let named = Finding::ok("cache-named").with("path", dir.display());
    [named].into_iter().chain(Offers::of(dir).judge()).collect()
}

/// One that is named and cannot be used.
pub(super) fn judge_absent(failure: &Failure) -> Finding {
    let finding = Finding::problem("cache-named-absent").because(failure.clone());
    finding.part("hint", (Part::Hint, failure.clone()))
}

fn judge_mount(mount: &MountFacts) -> Finding {
    let finding = if mount.read_only {
        Finding::problem("cache-read-only")
    } else {
        Finding::ok("cache")
    };
    finding.with("path", mount.at.display())
}

#[cfg(test)]
mod tests {
    use azud_disk::DiskError;
    use azud_disk::cache::{Found, Hit, Rule, Signature};
    use azud_disk::mounting::MountFacts;

    use super::super::finding::{State, keys};
    use super::{Facts, Offers};
    use crate::i18n::{Catalog, Lang};

    fn hit(device: &str, is_fs: bool, mounted: Option<bool>) -> Hit {
        let mount = mounted.map(|read_only| MountFacts {
            at: "/c".into(),
            source: device.into(),
            fs_type: "ext4".into(),
            read_only,
        });
        Hit {
            device: device.into(),
            disk: None,
            rule: Rule::FsLabel,
            len: 1,
            removable: false,
            signature: Signature {
                is_fs,
                ..Signature::default()
            },
            mounts: mount.into_iter().collect(),
        }
    }

    fn told(serving: bool, hits: Vec<Hit>, offers: Offers) -> Vec<(State, &'static str)> {
        let found = Found {
            hits,
            skipped: Vec::new(),
        };
        let facts = Facts {
            serving,
            found: Ok(found),
            offers,
            blank: true,
        };
        keys(&facts.judge())
    }

    #[test]
    fn none_one_and_two() {
        let none = Offers::default();
        assert_eq!(told(false, vec![], none), [(State::Warning, "no-cache")]);
        assert_eq!(told(true, vec![], none), [(State::Ok, "cache-unneeded")]);
        let two = vec![hit("/dev/a1", true, None), hit("/dev/b1", true, None)];
        assert_eq!(told(false, two, none), [(State::Problem, "cache-several")]);
        let bare = vec![hit("/dev/a1", false, None)];
        assert_eq!(
            told(false, bare, none),
            [(State::Problem, "cache-unformatted")]
        );
        let off = vec![hit("/dev/a1", true, None)];
        assert_eq!(
            told(false, off, none),
            [(State::Warning, "cache-unmounted")]
        );
    }

    #[test]
    fn only_a_blank_one_is_to_be_formatted() {
        let judged = |blank| {
            let hits = vec![hit("/dev/a1", false, None)];
            let skipped = Vec::new();
            let found = Ok(Found { hits, skipped });
            let (serving, offers) = (false, Offers::default());
            let facts = Facts {
                serving,
                found,
                offers,
                blank,
            };
            facts.judge()
        };
        for catalog in Lang::ALL.map(Catalog::new) {
            let remedy = |blank| judged(blank)[0].remedy(&catalog).expect("a remedy");
            assert!(remedy(true).starts_with("sudo azud cache init"));
            let careful = remedy(false);
            let at = |word| careful.find(word).expect(word);
            assert!(at("blkid") < at("e2fsck -fn") && at("e2fsck -fn") < at("--reformat"));
        }
        assert_eq!(
            keys(&judged(false)),
            [(State::Problem, "cache-unrecognised")]
        );
    }

    #[test]
    fn a_mounted_cache_is_told_by_what_it_offers() {
        let offers = |clones, direct| Offers { clones, direct };
        let mounted = |read_only| vec![hit("/dev/a1", true, Some(read_only))];
        let expected = [
            (State::Ok, "cache"),
            (State::Ok, "cache-shares"),
            (State::Ok, "cache-indirect"),
        ];
        let found = told(false, mounted(false), offers(Some(true), Some(false)));
        assert_eq!(found, expected);
        let found = told(false, mounted(false), offers(Some(false), Some(true)));
        assert_eq!(
            found[1..],
            [(State::Ok, "cache-copies"), (State::Ok, "cache-direct")]
        );
        let expected = [
            (State::Problem, "cache-read-only"),
            (State::Unknown, "cache-shares-unknown"),
            (State::Unknown, "cache-direct-unknown"),
        ];
        assert_eq!(told(false, mounted(true), offers(None, None)), expected);
    }

    #[test]
    fn a_directory_that_is_named_is_looked_at_instead() {
        let dir = tempfile::tempdir().unwrap();
        let found = super::judge_named(dir.path());
        assert_eq!(keys(&found)[0], (State::Ok, "cache-named"));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn what_cannot_be_looked_at_is_told() {
        let skipped = DiskError::NotFound {
            path: "/dev/x".into(),
        };
        let found = Found {
            hits: Vec::new(),
            skipped: vec![("/dev/x".into(), skipped)],
        };
        let facts = |found| Facts {
            serving: true,
            found,
            offers: Offers::default(),
            blank: false,
        };
        let expected = [
            (State::Unknown, "device-unknown"),
            (State::Ok, "cache-unneeded"),
        ];
        assert_eq!(keys(&facts(Ok(found)).judge()), expected);
        let error = DiskError::ToolMissing {
            program: "blkid".into(),
            package: "util-linux".into(),
        };
        assert_eq!(
            keys(&facts(Err(error)).judge()),
            [(State::Unknown, "cache-unknown")]
        );
    }
}
