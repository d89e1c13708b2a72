//! Loop devices and mounts that go away with their guard.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::fuse::{FuseMount, Helper, settled};
use crate::tools::run;

/// A loop device over a file; detached on drop.
#[derive(Debug)]
pub struct Loop {
    device: PathBuf,
}

impl Loop {
    /// Attaches `file`.
    ///
    /// # Errors
    /// When `losetup` fails.
    pub fn attach(file: &Path) -> Result<Self> {
        Self::attach_with(file, &[])
    }

    /// Attaches `file` with more `losetup` options (`-r`, `-P`, `--sector-size 4096` …).
    ///
    /// # Errors
    /// When `losetup` fails.
    pub fn attach_with(file: &Path, options: &[&str]) -> Result<Self> {
        let mut args = vec!["--find", "--show"];
        args.extend(options);
        let file = file.to_str().context("path is UTF-8")?;
        args.push(file);
        let output = run("losetup", &args)?;
        Ok(Self {
            device: PathBuf::from(String::from_utf8(output.stdout)?.trim()),
        })
    }

    /// The device, e.g. `/dev/loop3`.
    pub fn path(&self) -> &Path {
        &self.device
    }

    /// The device as text.
    pub fn name(&self) -> &str {
        self.device.to_str().expect("loop device names are ASCII")
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        complain(retry("losetup", &["--detach", self.name()]));
    }
}

/// A mounted file system; unmounted on drop.
#[derive(Debug)]
pub struct Mount(Kind);

#[derive(Debug)]
enum Kind {
    Kernel(KernelMount),
    Fuse(FuseMount),
}

impl Mount {
    /// Mounts `device` on a fresh directory with `mount -o OPTIONS`; `ntfs-3g` and `exfat-fuse` where other
    /// programs do not see it.
    ///
    /// # Errors
    /// When `mount` or the helper fails.
    pub fn new(device: &Path, fs_type: Option<&str>, options: &str) -> Result<Self> {
        let helper = fs_type.and_then(Helper::named);
        Ok(Self(match helper {
            Some(helper) => Kind::Fuse(FuseMount::new(device, helper, options)?),
            None => Kind::Kernel(KernelMount::new(device, fs_type, options)?),
        }))
    }

    /// Where its files are. Do not resolve it: that of a helper goes through a link to another root.
    pub fn path(&self) -> &Path {
        match &self.0 {
            Kind::Kernel(mount) => mount.dir.path(),
            Kind::Fuse(mount) => mount.path(),
        }
    }

    /// Unmounts now, and waits until all is written and the device is free.
    ///
    /// # Errors
    /// When it stays busy, or a helper ends badly.
    pub fn unmount(self) -> Result<()> {
        match self.0 {
            Kind::Kernel(mut mount) => mount.end(),
            Kind::Fuse(mut mount) => mount.end(),
        }
    }
}

/// A file system that the kernel mounted.
#[derive(Debug)]
struct KernelMount {
    dir: tempfile::TempDir,
    mounted: bool,
}

impl KernelMount {
    fn new(device: &Path, fs_type: Option<&str>, options: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut args = Vec::new();
        if let Some(fs_type) = fs_type {
            args.extend(["-t", fs_type]);
        }
        if !options.is_empty() {
            args.extend(["-o", options]);
        }
        args.push(device.to_str().context("path is UTF-8")?);
        args.push(dir.path().to_str().context("path is UTF-8")?);
        run("mount", &args)?;
        Ok(Self { dir, mounted: true })
    }

    fn end(&mut self) -> Result<()> {
        if std::mem::take(&mut self.mounted) {
            let dir = self.dir.path().to_str().context("path is UTF-8")?;
            // A child that another test just started may still hold a file that it inherited.
            retry("umount", &[dir])?;
            settled()?;
        }
        Ok(())
    }
}

impl Drop for KernelMount {
    fn drop(&mut self) {
        complain(self.end());
    }
}

/// Again and again for two seconds.
fn retry(program: &str, args: &[&str]) -> Result<()> {
    let mut tries = 0;
    loop {
        match run(program, args) {
            Err(_) if tries < 40 => tries += 1,
            done => return done.map(drop),
        }
        sleep(Duration::from_millis(50));
    }
}

/// Says what could not be undone; a guard cannot return it.
pub(crate) fn complain(undone: Result<()>) {
    if let Err(error) = undone {
        eprintln!("could not undo: {error:#}");
    }
}
