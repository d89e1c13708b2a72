//! Debian's kernel, unpacked below `target/vm` and never installed, and the first files of the machine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use azud_testkit::tools::{find, run, sh};

use super::cpio::Archive;

/// What must be there before the host's files are: the channel to them, the layers, the ways out. Everything
/// else loads by itself, from the host's side.
const FIRST: [&str; 5] = [
    "virtio_pci",
    "virtio_console",
    "9pnet_virtio",
    "9p",
    "overlay",
];
const INITRAMFS: &str = include_str!("initramfs.sh");
/// Folders of modules that no test needs; they are most of the package.
const UNUSED: [&str; 6] = [
    "drivers/gpu",
    "drivers/media",
    "drivers/net/wireless",
    "drivers/infiniband",
    "drivers/iio",
    "sound",
];

/// A kernel that can be booted.
#[derive(Debug)]
pub(super) struct Kernel {
    /// The kernel itself.
    pub(super) image: PathBuf,
    /// The modules' directory, whose name is the version.
    pub(super) modules: PathBuf,
    /// The first files.
    pub(super) initramfs: PathBuf,
}

impl Kernel {
    /// The one in `cache`, fetched if there is none.
    pub(super) fn cached(cache: &Path) -> Result<Self> {
        let dir = cache.join("kernel");
        if !dir.exists() {
            fetch(cache, &dir)?;
        }
        let modules = only_entry(&dir.join("lib/modules"))?;
        let version = modules.file_name().unwrap_or_default().to_owned();
        let mut name = std::ffi::OsString::from("vmlinuz-");
        name.push(version);
        Ok(Self {
            image: dir.join("boot").join(name),
            initramfs: initramfs(cache, &modules)?,
            modules,
        })
    }
}

/// Downloads and unpacks into a directory beside, which gets its name when it is whole.
fn fetch(cache: &Path, dir: &Path) -> Result<()> {
    fs::create_dir_all(cache)?;
    let work = tempfile::Builder::new()
        .prefix("fetch-")
        .tempdir_in(cache)?;
    // linux-image-amd64 is an empty package that depends on the newest kernel.
    let script = "cd \"$1\"
        package=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \\(linux-image-[^ ]*\\).*/\\1/p' | head -n1)
        apt-get download --quiet \"$package\" >&2
        mkdir tree
        shift
        dpkg-deb --fsys-tarfile linux-image-*.deb |
            tar -x -C tree \"$@\" --exclude './usr' ./boot ./lib
        depmod -b tree \"$(ls tree/lib/modules)\"";
    let work_dir = work.path().to_str().context("path is UTF-8")?;
    let excludes: Vec<String> = UNUSED
        .iter()
        .map(|folder| format!("--exclude=./lib/modules/*/kernel/{folder}"))
        .collect();
    let mut args = vec![work_dir];
    args.extend(excludes.iter().map(String::as_str));
    sh(script, &args).context("fetching the kernel; does `apt-get update` help?")?;
    fs::rename(work.path().join("tree"), dir)?;
    Ok(())
}

fn only_entry(dir: &Path) -> Result<PathBuf> {
    let mut entries = fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
    let first = entries
        .next()
        .with_context(|| format!("{} is empty", dir.display()))??;
    ensure!(
        entries.next().is_none(),
        "{} holds several kernels: remove it",
        dir.display()
    );
    Ok(first.path())
}

/// The archive the kernel starts with: busybox, a few modules and a script. It is named by what it is made
/// of, so whatever changes makes another.
fn initramfs(cache: &Path, modules: &Path) -> Result<PathBuf> {
    let busybox = find("busybox").context("busybox is not installed (package busybox-static)")?;
    let linked = run("ldd", &[busybox.to_str().context("path is UTF-8")?]).is_ok();
    ensure!(
        !linked,
        "busybox needs libraries; the package is busybox-static"
    );
    let busybox = fs::read(busybox)?;
    let order = order(modules)?;
    let mut archive = Archive::default();
    for dir in ["bin", "proc", "sys", "dev", "modules"] {
        archive.dir(dir);
    }
    archive.file("bin/busybox", 0o755, &busybox);
    archive.file("init", 0o755, INITRAMFS.as_bytes());
    let mut names = String::new();
    for module in &order {
        let name = module.rsplit('/').next().unwrap_or(module);
        archive.file(
            &format!("modules/{name}"),
            0o644,
            &fs::read(modules.join(module))?,
        );
        names += name;
        names.push('\n');
    }
    archive.file("modules/order", 0o644, names.as_bytes());
    let bytes = archive.finish();
    let name = blake3::hash(&bytes).to_hex();
    let file = cache.join(format!("initramfs-{}", &name[..16]));
    if !file.exists() {
        let part = tempfile::NamedTempFile::new_in(cache)?;
        fs::write(part.path(), &bytes)?;
        part.persist(&file)?;
    }
    Ok(file)
}

/// The first modules, each after those it needs.
fn order(modules: &Path) -> Result<Vec<String>> {
    let table = fs::read_to_string(modules.join("modules.dep"))?;
    let builtin = fs::read_to_string(modules.join("modules.builtin"))?;
    let mut order: Vec<String> = Vec::new();
    for wanted in FIRST {
        let is_it = |path: &str| {
            let file = path.rsplit('/').next().unwrap_or(path);
            file.split('.').next() == Some(wanted)
        };
        if builtin.lines().any(is_it) {
            continue;
        }
        let line = table
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(path, _)| is_it(path));
        let Some((path, needs)) = line else {
            bail!("the kernel has no module {wanted}");
        };
        // modules.dep names what is needed last first.
        for module in needs.split_whitespace().rev().chain([path]) {
            if !order.iter().any(|known| known == module) {
                order.push(module.to_owned());
            }
        }
    }
    Ok(order)
}
