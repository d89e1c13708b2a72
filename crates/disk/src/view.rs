//! The machine's part of a view of images that lie elsewhere: the device on which the kernel asks, its mount, and the
//! process that answers. What is answered is known to others.
//!
//! Such a process outlives the command that started it, on purpose. It is handed the device in place of its standard
//! output and what it has to know on its standard input, so that nothing of it is seen among its arguments.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::error::{DiskError, Result};
use crate::mounting::{Kind, Mounted, Mounting, mount as mount_any, mounted_at};

/// What the kernel calls the type of a view.
pub const TYPE: &str = "fuse.azud";
/// Where the kernel asks.
const DEVICE: &str = "/dev/fuse";

/// Mounts a view; nobody answers there yet. Everybody may read it, within what the files' modes allow.
///
/// # Errors
/// [`DiskError::MountUnsupported`] where the kernel has no FUSE, and those of [`mount`](crate::mounting::mount).
pub fn mount(source: &OsStr, at: &Path) -> Result<(Mounted, File)> {
    let opened = File::options().read(true).write(true).open(DEVICE);
    let device = opened.map_err(|error| match error.kind() {
        ErrorKind::NotFound => DiskError::MountUnsupported {
            path: PathBuf::from(source),
            fs: TYPE.to_owned(),
        },
        _ => DiskError::at(Path::new(DEVICE), "opening", error),
    })?;
    let options = format!(
        "fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions",
        device.as_raw_fd()
    );
    let mounted = mount_any(&Mounting {
        source,
        at,
        kind: Kind::Device(TYPE),
        read_only: true,
        options: &options,
    })?;
    Ok((mounted, device))
}

/// Whether a view is mounted at a place, alive or not.
pub fn is_at(at: &Path) -> bool {
    mounted_at(at).is_some_and(|facts| facts.is_view())
}

/// A process that answers; ended when this is dropped, unless it is kept.
#[derive(Debug)]
#[must_use]
pub struct Answering(Option<Child>);

impl Answering {
    /// Starts this very program under another name.
    ///
    /// # Errors
    /// [`DiskError::Io`] when it cannot be started or told what it has to know.
    pub fn start(name: &str, shown: &[&OsStr], told: &[u8], device: File) -> Result<Self> {
        let program = Path::new("/proc/self/exe");
        let failed = |op| move |error| DiskError::at(program, op, error);
        let real = std::env::current_exe().map_err(failed("looking"))?;
        let child = Command::new(real)
            .arg0(name)
            .args(shown)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(device)
            .stderr(Stdio::null())
            .spawn();
        let mut answering = Self(Some(child.map_err(failed("starting"))?));
        let input = answering.0.as_mut().and_then(|child| child.stdin.take());
        if let Some(mut input) = input {
            input.write_all(told).map_err(failed("telling"))?;
        }
        Ok(answering)
    }

    /// Leaves it to itself.
    pub fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// In the process that answers: takes the device, and leaves the session of whoever started it. Nothing that is
/// printed from now on gets anywhere.
///
/// # Errors
/// [`DiskError::Io`].
pub fn take_device() -> Result<OwnedFd> {
    // It fails where it has one of its own already.
    let _ = rustix::process::setsid();
    let taken = std::io::stdout().as_fd().try_clone_to_owned();
    let device = taken.map_err(|error| DiskError::at(Path::new(DEVICE), "taking", error))?;
    let null = Path::new("/dev/null");
    let nowhere = File::options().write(true).open(null);
    let nowhere = nowhere.map_err(|error| DiskError::at(null, "opening", error))?;
    rustix::stdio::dup2_stdout(&nowhere).map_err(|error| DiskError::at(null, "using", error))?;
    Ok(device)
}
