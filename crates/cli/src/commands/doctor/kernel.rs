//! What the kernel can do, and whether we may ask it.

use std::path::Path;

use azud_disk::machine::{Driver, Drivers, is_root, resolves_beneath};

use super::finding::Finding;

/// File systems, each with the type whose driver is asked for and what it is needed for.
const FILE_SYSTEMS: [(&str, &str, &str); 9] = [
    ("nfs4", "NFS", "nfs"),
    ("cifs", "SMB", "smb"),
    ("ext4", "ext4", "cache"),
    ("xfs", "XFS", "cache-shares"),
    ("btrfs", "btrfs", "cache-shares"),
    ("vfat", "FAT", "sticks"),
    ("exfat", "exFAT", "sticks"),
    ("ntfs3", "NTFS", "sticks"),
    ("iso9660", "ISO 9660", "discs"),
];
/// Others, by their node and module.
const DEVICES: [(&str, &str, &str, &str); 2] = [
    ("/dev/loop-control", "loop", "loop devices", "loops"),
    ("/dev/fuse", "fuse", "FUSE", "fuse"),
];

/// What was asked of the kernel.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) root: bool,
    pub(super) release: String,
    pub(super) has_modules: bool,
    pub(super) beneath: bool,
    /// What it drives, what that is needed for, and how it stands.
    pub(super) drivers: Vec<(&'static str, &'static str, Driver)>,
}

pub(super) fn gather() -> Facts {
    let drivers = Drivers::read();
    let systems = FILE_SYSTEMS.map(|(kind, name, need)| (name, need, drivers.file_system(kind)));
    let devices = DEVICES
        .map(|(node, module, name, need)| (name, need, drivers.device(Path::new(node), module)));
    Facts {
        root: is_root(),
        release: drivers.release().to_owned(),
        has_modules: drivers.has_modules(),
        beneath: resolves_beneath(),
        drivers: systems.into_iter().chain(devices).collect(),
    }
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut found = vec![if facts.root {
        Finding::ok("root")
    } else {
        Finding::warning("not-root")
    }];
    found.push(if facts.beneath {
        Finding::ok("openat2")
    } else {
        Finding::warning("no-openat2")
    });
    let absent = |driver: &Driver| *driver == Driver::Absent;
    let lacking = facts.drivers.iter().any(|(.., driver)| absent(driver));
    if lacking && !facts.has_modules {
        found.push(Finding::warning("no-modules").with("release", &facts.release));
    }
    found.extend(facts.drivers.iter().map(|(name, need, driver)| {
        let finding = match driver {
            Driver::Ready => Finding::ok("driver"),
            Driver::Loadable => Finding::ok("driver-loadable"),
            Driver::Absent => Finding::warning("no-driver").purpose(need),
        };
        finding.term("name", *name)
    }));
    found
}

#[cfg(test)]
mod tests {
    use azud_disk::machine::Driver;

    use super::super::finding::{State, check_words, keys};
    use super::{Facts, gather, judge};

    #[test]
    fn a_kernel_that_lacks_things_is_told_so() {
        let facts = |has_modules, drivers| Facts {
            root: false,
            release: "6.1".into(),
            has_modules,
            beneath: false,
            drivers,
        };
        let both = vec![
            ("NFS", "nfs", Driver::Absent),
            ("FAT", "sticks", Driver::Loadable),
        ];
        let first = [(State::Warning, "not-root"), (State::Warning, "no-openat2")];
        let last = [
            (State::Warning, "no-driver"),
            (State::Ok, "driver-loadable"),
        ];
        let found = keys(&judge(&facts(true, both.clone())));
        assert_eq!(found, [first, last].concat());
        let found = keys(&judge(&facts(false, both)));
        let modules = [(State::Warning, "no-modules")];
        assert_eq!(found, [&first[..], &modules, &last].concat());
    }

    #[test]
    fn a_kernel_without_modules_that_has_everything_is_in_order() {
        let facts = Facts {
            root: true,
            release: "6.1".into(),
            has_modules: false,
            beneath: true,
            drivers: vec![("NFS", "nfs", Driver::Ready)],
        };
        let found = keys(&judge(&facts));
        assert!(
            found.iter().all(|(state, _)| *state == State::Ok),
            "{found:?}"
        );
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn every_need_has_its_words() {
        let mut facts = gather();
        for (.., driver) in &mut facts.drivers {
            *driver = Driver::Absent;
        }
        check_words(&judge(&facts));
    }
}
