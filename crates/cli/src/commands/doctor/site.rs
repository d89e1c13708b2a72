//! Configuration, images root, addresses, and the names on disk.

use std::fs::Metadata;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use azud_core::namespace::Namespace;
use azud_core::reference::Host;
use azud_disk::own_addresses;
use azud_store::StoreError;
use azud_store::links::{self, Plan};

use super::finding::Finding;
use crate::failure::Failure;
use crate::site::{Site, config_file};

/// The file of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) path: PathBuf,
    /// Whether it is there.
    pub(super) there: bool,
    /// Whether others than root may change it.
    pub(super) open: bool,
    /// What is wrong with what was said, in it or elsewhere.
    pub(super) wrong: Option<String>,
}

/// How the images root is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    Directory,
    Missing,
    Other,
    Silent,
}

/// What is known of the site.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) site: Site,
    pub(super) root: Root,
    pub(super) addresses: Vec<IpAddr>,
}

impl Config {
    pub(super) fn look(wrong: Option<String>) -> Self {
        let path = config_file();
        let meta = std::fs::metadata(&path).ok();
        let open = |meta: &Metadata| meta.mode() & 0o022 != 0;
        Self {
            there: meta.is_some(),
            open: meta.as_ref().is_some_and(open),
            path,
            wrong,
        }
    }

    pub(super) fn judge(&self) -> Vec<Finding> {
        let told = |finding: Finding| finding.with("path", self.path.display());
        let mut found = vec![match (&self.wrong, self.there) {
            (Some(wrong), _) => Finding::problem("config-wrong").with("wrong", wrong),
            (None, true) => told(Finding::ok("config")),
            (None, false) => told(Finding::ok("no-config")),
        }];
        if self.open {
            found.push(told(Finding::warning("config-open")));
        }
        found
    }
}

impl Facts {
    /// The root has been looked at already, by somebody who need not wait for it.
    pub(super) fn gather(site: Site, root: Root) -> Self {
        Self {
            site,
            root,
            addresses: own_addresses().unwrap_or_default(),
        }
    }

    pub(super) fn judge(&self) -> Vec<Finding> {
        vec![
            self.judge_root(),
            self.judge_addresses(),
            self.judge_manager(),
        ]
    }

    fn judge_root(&self) -> Finding {
        let finding = match self.root {
            Root::Directory => Finding::ok("images-root"),
            Root::Missing => Finding::warning("no-images-root"),
            Root::Other => Finding::problem("images-root-no-directory"),
            Root::Silent => Finding::problem("images-root-silent"),
        };
        finding.with("path", self.site.layout.root().display())
    }

    fn judge_addresses(&self) -> Finding {
        if self.addresses.is_empty() {
            return Finding::warning("no-address");
        }
        let texts: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        Finding::ok("addresses").with("addresses", texts.join(", "))
    }

    fn judge_manager(&self) -> Finding {
        let own = |host: &&Host| matches!(host, Host::Address(it) if self.addresses.contains(it));
        match (self.site.serving, self.site.manager.first()) {
            (true, _) => Finding::ok("serving"),
            (false, None) => Finding::warning("no-manager"),
            (false, Some(first)) => match self.site.manager.iter().find(own) {
                Some(host) => Finding::warning("manager-is-here").with("host", host),
                None => Finding::ok("manager").with("host", first),
            },
        }
    }
}

/// How a directory is; it may hold who asks.
pub(super) fn look_at_root(root: &Path) -> Root {
    match std::fs::metadata(root) {
        Ok(meta) if meta.is_dir() => Root::Directory,
        Ok(_) => Root::Other,
        Err(_) => Root::Missing,
    }
}

/// What should be changed in the names on disk.
pub(super) fn plan(namespace: &Namespace) -> Result<Plan, StoreError> {
    let base = namespace.layout().base();
    links::plan(base, &namespace.aliases(), &namespace.views())
}

pub(super) fn judge_names(base: &Path, plan: &Result<Plan, StoreError>) -> Vec<Finding> {
    let plan = match plan {
        Ok(plan) => plan,
        Err(error) => return vec![Finding::unknown("names-unknown").because(Failure::of(error))],
    };
    let taken = plan.taken.iter().filter_map(|error| match error {
        StoreError::AliasTaken { path, .. } => {
            Some(Finding::problem("name-taken").with("path", path.display()))
        }
        _ => None,
    });
    let mut found: Vec<Finding> = taken.collect();
    found.push(if plan.changes.is_empty() {
        Finding::ok("names").with("path", base.display())
    } else {
        Finding::warning("names-stale")
            .with("path", base.display())
            .with("count", plan.changes.len())
    });
    found
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use azud_core::layout::{Layout, Profile};
    use azud_core::reference::Host;
    use azud_store::StoreError;
    use azud_store::links::{Change, Plan};

    use super::super::finding::{State, keys};
    use super::{Config, Facts, Root, judge_names};
    use crate::site::Site;

    fn facts(manager: &str, serving: bool, root: Root, own: &str) -> Facts {
        let hosts = manager
            .split_whitespace()
            .map(|it| Host::parse(it).unwrap());
        let site = Site {
            layout: Layout::new(Profile::OpenGnsys, None, None).unwrap(),
            manager: hosts.collect(),
            serving,
            served: None,
            trust: Vec::new(),
        };
        let addresses = own.split_whitespace().map(|it| it.parse().unwrap());
        Facts {
            site,
            root,
            addresses: addresses.collect(),
        }
    }

    #[test]
    fn root_addresses_and_manager() {
        use State::{Ok, Problem, Warning};
        let cases = [
            (
                facts("10.0.0.1 og", false, Root::Directory, "10.0.0.5 fd00::5"),
                [(Ok, "images-root"), (Ok, "addresses"), (Ok, "manager")],
            ),
            (
                facts("", false, Root::Missing, ""),
                [
                    (Warning, "no-images-root"),
                    (Warning, "no-address"),
                    (Warning, "no-manager"),
                ],
            ),
            (
                facts("og 10.0.0.1", false, Root::Other, "10.0.0.1"),
                [
                    (Problem, "images-root-no-directory"),
                    (Ok, "addresses"),
                    (Warning, "manager-is-here"),
                ],
            ),
            (
                facts("10.0.0.1", true, Root::Silent, "10.0.0.1"),
                [
                    (Problem, "images-root-silent"),
                    (Ok, "addresses"),
                    (Ok, "serving"),
                ],
            ),
        ];
        for (facts, expected) in cases {
            assert_eq!(keys(&facts.judge()), expected, "{facts:?}");
        }
    }

    #[test]
    fn the_configuration_is_there_or_not_or_wrong_or_open() {
        let config = |there, open, wrong: Option<&str>| Config {
            path: "/etc/azud/azud.toml".into(),
            there,
            open,
            wrong: wrong.map(str::to_owned),
        };
        let told = |config: Config| keys(&config.judge());
        assert_eq!(told(config(true, false, None)), [(State::Ok, "config")]);
        assert_eq!(told(config(false, false, None)), [(State::Ok, "no-config")]);
        let bad = config(true, true, Some("/etc/azud/azud.toml:2: unknown field"));
        let both = [
            (State::Problem, "config-wrong"),
            (State::Warning, "config-open"),
        ];
        assert_eq!(told(bad), both);
    }

    #[test]
    fn names_on_disk() {
        let told = |plan| keys(&judge_names(Path::new("/r"), &plan));
        assert_eq!(told(Ok(Plan::default())), [(State::Ok, "names")]);
        let plan = Plan {
            changes: vec![Change::Withdraw {
                path: "/r/USB-x".into(),
            }],
            taken: vec![StoreError::AliasTaken {
                path: "/r/REPO".into(),
                what: "a file",
            }],
        };
        let both = [
            (State::Problem, "name-taken"),
            (State::Warning, "names-stale"),
        ];
        assert_eq!(told(Ok(plan)), both);
        let error = StoreError::NotFound("/r".into());
        assert_eq!(told(Err(error)), [(State::Unknown, "names-unknown")]);
    }
}
