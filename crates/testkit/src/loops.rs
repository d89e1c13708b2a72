//! Loop devices and mounts that go away with their guard.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::tools::{run, run_any};

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
        retry("losetup", &["--detach", self.name()]);
    }
}

/// A mounted file system; unmounted on drop.
#[derive(Debug)]
pub struct Mount {
    dir: tempfile::TempDir,
    mounted: bool,
}

impl Mount {
    /// Mounts `device` on a fresh directory with `mount -o OPTIONS` (FUSE helpers such as `ntfs-3g` by `-t`).
    ///
    /// # Errors
    /// When `mount` fails.
    pub fn new(device: &Path, fs_type: Option<&str>, options: &str) -> Result<Self> {
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

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Unmounts now and waits until it is gone (a FUSE unmount is asynchronous).
    ///
    /// # Errors
    /// When `umount` fails.
    pub fn unmount(mut self) -> Result<()> {
        self.mounted = false;
        let dir = self
            .dir
            .path()
            .to_str()
            .context("path is UTF-8")?
            .to_owned();
        run("sync", &["-f", &dir])?;
        run("umount", &[&dir])?;
        for _ in 0..100 {
            if run_any("pgrep", &["-f", &format!("ntfs-3g.*{dir}")])?
                .stdout
                .is_empty()
            {
                break;
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.mounted {
            retry(
                "umount",
                &[self.dir.path().to_str().expect("temporary paths are UTF-8")],
            );
        }
    }
}

fn retry(program: &str, args: &[&str]) {
    for _ in 0..40 {
        if run(program, args).is_ok() {
            return;
        }
        sleep(Duration::from_millis(50));
    }
    eprintln!("could not undo: {program} {args:?}");
}
