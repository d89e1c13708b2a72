//! What the running kernel drives, now or once a module is loaded.

use std::fs;
use std::path::{Path, PathBuf};

/// How the kernel stands to something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// It can be used.
    Ready,
    /// A module for it is installed and loads when it is first used.
    Loadable,
    /// Neither.
    Absent,
}

/// The drivers of the running kernel.
#[derive(Debug, Clone)]
pub struct Drivers {
    release: String,
    /// File systems that it has now.
    known: Vec<String>,
    /// The lists of modules that go with this very kernel, if they are there.
    modules: Option<Modules>,
}

#[derive(Debug, Clone)]
struct Modules {
    aliases: String,
    files: String,
}

impl Drivers {
    /// Reads what the kernel and its directory of modules tell.
    pub fn read() -> Self {
        Self::read_in(Path::new("/"))
    }

    fn read_in(top: &Path) -> Self {
        let text = |path: PathBuf| fs::read_to_string(path).ok();
        let line = text(top.join("proc/sys/kernel/osrelease"));
        let release = line.unwrap_or_default().trim().to_owned();
        let list = text(top.join("proc/filesystems")).unwrap_or_default();
        let known = list.lines().filter_map(|line| line.split('\t').nth(1));
        let known = known.map(str::to_owned).collect();
        let dirs = ["lib/modules", "usr/lib/modules"];
        let modules = dirs.into_iter().find_map(|dir| {
            let dir = top.join(dir).join(&release);
            // An empty release would name the directory of all kernels.
            let files = text(dir.join("modules.dep")).filter(|_| !release.is_empty())?;
            let aliases = text(dir.join("modules.alias")).unwrap_or_default();
            Some(Modules { aliases, files })
        });
        Self {
            release,
            known,
            modules,
        }
    }

    /// The kernel's release, as `uname -r` says it.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// Whether the modules of this very kernel are installed. After an update of the kernel they may be those of the
    /// next one.
    pub fn has_modules(&self) -> bool {
        self.modules.is_some()
    }

    /// A file system by its type (`vfat`).
    pub fn file_system(&self, kind: &str) -> Driver {
        let alias = format!("alias fs-{kind} ");
        if self.known.iter().any(|known| known == kind) {
            Driver::Ready
        } else {
            self.loadable(|modules| modules.aliases.lines().any(|it| it.starts_with(&alias)))
        }
    }

    /// Something that shows itself as a file when it is there, and its module.
    pub fn device(&self, node: &Path, module: &str) -> Driver {
        let file = format!("/{module}.ko");
        if node.exists() {
            Driver::Ready
        } else {
            self.loadable(|modules| {
                let mut names = modules
                    .files
                    .lines()
                    .filter_map(|line| line.split(':').next());
                names.any(|name| {
                    name.rfind(&file)
                        .is_some_and(|at| !name[at + 1..].contains('/'))
                })
            })
        }
    }

    fn loadable(&self, has: impl Fn(&Modules) -> bool) -> Driver {
        match &self.modules {
            Some(modules) if has(modules) => Driver::Loadable,
            _ => Driver::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Driver, Drivers};

    fn kernel(modules_of: &str) -> (tempfile::TempDir, Drivers) {
        let top = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = top.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/sys/kernel/osrelease", "6.1.0-9-amd64\n");
        write("proc/filesystems", "nodev\tproc\n\text4\n\tfuseblk\n");
        let dir = format!("lib/modules/{modules_of}");
        let dep = "kernel/drivers/block/loop.ko.xz:\nkernel/net/xloop.ko: kernel/x/fuse.ko\n";
        write(&format!("{dir}/modules.dep"), dep);
        let alias = "alias fs-nfs4 nfsv4\nalias fs-vfat vfat\nalias pci:fs-cifs x\n";
        write(&format!("{dir}/modules.alias"), alias);
        let drivers = Drivers::read_in(top.path());
        (top, drivers)
    }

    #[test]
    fn what_is_there_what_loads_and_what_is_absent() {
        let (top, drivers) = kernel("6.1.0-9-amd64");
        assert!(drivers.has_modules());
        assert_eq!(drivers.release(), "6.1.0-9-amd64");
        for (kind, driver) in [
            ("ext4", Driver::Ready),
            ("proc", Driver::Ready),
            ("vfat", Driver::Loadable),
            ("nfs4", Driver::Loadable),
            ("nfs", Driver::Absent),
            ("cifs", Driver::Absent),
            ("fuse", Driver::Absent),
        ] {
            assert_eq!(drivers.file_system(kind), driver, "{kind}");
        }
        let none = Path::new("/none");
        assert_eq!(drivers.device(top.path(), "x"), Driver::Ready);
        assert_eq!(drivers.device(none, "loop"), Driver::Loadable);
        assert_eq!(drivers.device(none, "fuse"), Driver::Absent);
    }

    #[test]
    fn modules_of_another_kernel_do_not_count() {
        let (_top, drivers) = kernel("6.1.0-10-amd64");
        assert!(!drivers.has_modules());
        assert_eq!(drivers.file_system("vfat"), Driver::Absent);
        assert_eq!(drivers.file_system("ext4"), Driver::Ready);
    }
}
