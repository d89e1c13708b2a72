//! Disks with real tables on loop devices, and mounts, taken down whatever happens.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use azud_testkit::loops::Loop;
use azud_testkit::tools::{run, run_any, sh};

use crate::kit::{self, Random, Said, text};
use serde_json::Value;

pub(crate) const MIB: u64 = 1 << 20;

thread_local! {
    /// The disks of this test: what others make meanwhile does not count.
    static DISKS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Runs the program where neither this machine's images nor its media are, and of its disks only those of this test.
pub(crate) fn azud<S: AsRef<OsStr>>(args: &[S]) -> Result<Said> {
    let aside = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
    let mut command = kit::command(args);
    command
        .env("AZUD_ROOT", aside.join("root"))
        .env("AZUD_MNT", aside.join("mnt"))
        .env("AZUD_DISKS", DISKS.with_borrow(|disks| disks.join(":")));
    Said::of(&command.output()?)
}

/// Runs it; it must succeed.
pub(crate) fn done(args: &[&str]) -> Result<Value> {
    let said = azud(args)?;
    let value = said.done().with_context(|| format!("{args:?}"))?;
    Ok(value.clone())
}

/// Runs it; it must refuse. The code.
pub(crate) fn refused(args: &[&str]) -> Result<String> {
    let said = azud(args)?;
    let code = said.refused().with_context(|| format!("{args:?}"))?;
    Ok(code.to_owned())
}

/// A disk of zeros on a loop device; its partitions go with it.
pub(crate) struct Parted {
    device: Loop,
    file: PathBuf,
}

impl Parted {
    pub(crate) fn new(dir: &Path, name: &str, mib: u64, options: &[&str]) -> Result<Self> {
        let file = dir.join(name);
        File::create(&file)?.set_len(mib * MIB)?;
        let device = Loop::attach_with(&file, options)?;
        DISKS.with_borrow_mut(|disks| disks.push(device.name().to_owned()));
        Ok(Self { device, file })
    }

    pub(crate) fn name(&self) -> &str {
        self.device.name()
    }

    pub(crate) fn part(&self, number: u32) -> String {
        format!("{}p{number}", self.name())
    }

    /// Writes a table and shows its partitions to the kernel.
    pub(crate) fn table(&self, script: &str) -> Result<()> {
        let script = format!("printf '{script}' | sfdisk -q --no-reread --no-tell-kernel \"$1\"");
        sh(&script, &[self.name()])?;
        self.show()
    }

    /// Shows the partitions of the table to the kernel, which may not know how to read it.
    pub(crate) fn show(&self) -> Result<()> {
        run("partx", &["--update", self.name()]).map(drop)
    }

    /// The lines of the table that speak of partitions.
    pub(crate) fn entries(&self) -> Result<Vec<String>> {
        let dump = String::from_utf8(run("sfdisk", &["--dump", self.name()])?.stdout)?;
        let lines = dump.lines().filter(|line| line.starts_with("/dev/"));
        Ok(lines.map(str::to_owned).collect())
    }

    /// Noise in the bytes of a partition, and what it was.
    pub(crate) fn fill(&self, start_mib: u64, mib: u64) -> Result<Vec<u8>> {
        let mut random = Random(start_mib);
        let noise: Vec<u8> = std::iter::repeat_with(|| random.next().to_le_bytes())
            .take(usize::try_from(mib * MIB / 8)?)
            .flatten()
            .collect();
        let node = File::options().write(true).open(self.name())?;
        node.write_all_at(&noise, start_mib * MIB)?;
        node.sync_all()?;
        Ok(noise)
    }

    /// The bytes from a place on.
    pub(crate) fn read(&self, start_mib: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        File::open(self.name())?.read_exact_at(&mut bytes, start_mib * MIB)?;
        Ok(bytes)
    }

    /// A hash of the whole disk, asked of its file: the page caches of a disk and of its partitions
    /// do not know of each other.
    pub(crate) fn hash(&self) -> Result<String> {
        // `loop1p*`, never `loop1*`: `loop10` is somebody else's.
        let script = "shopt -s nullglob; sync \"$1\" \"$1\"p* && b2sum -l 256 \"$2\"";
        let output = sh(script, &[self.name(), text(&self.file)])?;
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Start and length of a partition in bytes, as the kernel shows it.
    pub(crate) fn span(&self, number: u32) -> Result<(u64, u64)> {
        let name = self.part(number);
        let name = name.strip_prefix("/dev/").context("a node")?;
        let ask = |what: &str| -> Result<u64> {
            let text = fs::read_to_string(format!("/sys/class/block/{name}/{what}"))?;
            Ok(text.trim().parse::<u64>()? * 512)
        };
        Ok((ask("start")?, ask("size")?))
    }
}

impl Drop for Parted {
    fn drop(&mut self) {
        DISKS.with_borrow_mut(|disks| disks.retain(|name| name != self.device.name()));
        // A loop device keeps its partitions when it gets another file. None there is no failure.
        let _ = run_any("partx", &["--delete", self.device.name()]);
    }
}

/// A place to mount at; whatever is mounted there is unmounted on drop.
pub(crate) struct Point(pub(crate) PathBuf);

impl Drop for Point {
    fn drop(&mut self) {
        let _ = run_any("umount", &["--quiet", text(&self.0)]);
    }
}

/// Fails unless a file system is sound.
pub(crate) fn check(device: &str, fs: &str) -> Result<()> {
    let (program, args): (&str, &[&str]) = match fs {
        "ext4" => ("e2fsck", &["-fn"]),
        "xfs" => ("xfs_repair", &["-n"]),
        _ => ("btrfs", &["check", "--readonly"]),
    };
    let mut args = args.to_vec();
    args.push(device);
    // A process in a copied mount namespace may keep it for a moment longer than we do.
    let mut done = run_any(program, &args)?;
    for _ in 0..20 {
        if !String::from_utf8_lossy(&done.stderr).contains("busy") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        done = run_any(program, &args)?;
    }
    ensure!(done.status.success(), "{program}: {done:?}");
    Ok(())
}
