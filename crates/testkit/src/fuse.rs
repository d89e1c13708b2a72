//! File systems that a helper in user space mounts, where nobody else sees them.
//!
//! Invariant: such a mount lives in a mount namespace of its own. Programs that walk over all mounts
//! (`mkfs.btrfs` does) would fail on one whose helper is just ending, whichever test it belongs to.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{FlockOperation, flock};

use crate::loops::complain;
use crate::tools::find;

/// A program that mounts in user space.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Helper {
    program: &'static str,
    /// What keeps it in the foreground.
    stay: &'static [&'static str],
}

impl Helper {
    /// The helper for a type of file system, as `mount -t` knows it.
    pub(crate) fn named(fs_type: &str) -> Option<Self> {
        let (program, stay): (_, &[_]) = match fs_type {
            "ntfs-3g" => ("ntfs-3g", &["-o", "no_detach"]),
            "exfat-fuse" => ("mount.exfat-fuse", &["-d"]),
            _ => return None,
        };
        Some(Self { program, stay })
    }
}

/// A new namespace holds copies of all mounts, so devices that other tests unmount meanwhile would stay busy: those go first. The rest
/// waits until standard input ends, also when the test was killed.
const SCRIPT: &str = r#"tmp="$1"; dir="$2"; shift 2
awk -v tmp="$tmp/" '$1 ~ "^/dev/" && index($2, tmp) == 1 {print $2}' /proc/self/mounts | tac | xargs -r -n1 umount
"$@" "$dir" </dev/null >/dev/null & helper=$!
for i in $(seq 400); do
    mountpoint -q "$dir" && break
    kill -0 $helper || exit 1
    sleep 0.05
done
mountpoint -q "$dir"; echo $$
read -r line || :
sync -f "$dir"
for i in $(seq 200); do umount "$dir" 2>/dev/null && break; sleep 0.05; done
wait $helper"#;

/// A file system that a helper mounted; unmounted on drop.
#[derive(Debug)]
pub(crate) struct FuseMount {
    dir: tempfile::TempDir,
    path: PathBuf,
    keeper: Option<(Child, ChildStdin, File)>,
}

impl FuseMount {
    /// Mounts `device` with `-o OPTIONS`.
    ///
    /// # Errors
    /// When the helper is missing or fails.
    pub(crate) fn new(device: &Path, helper: Helper, options: &str) -> Result<Self> {
        let Helper { program, stay } = helper;
        let found = find(program).with_context(|| format!("{program} is not installed"))?;
        let dir = tempfile::tempdir()?;
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "bash", "-euo"]);
        command.args(["pipefail", "-c", SCRIPT, "sh"]);
        command.arg(std::env::temp_dir()).arg(dir.path());
        command.arg(found).args(stay);
        if !options.is_empty() {
            command.args(["-o", options]);
        }
        command.arg(device).env("LC_ALL", "C");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // A file: exfat-fuse says so much that it would fill a pipe.
        let log = tempfile::tempfile()?;
        command.stderr(log.try_clone()?);
        let _others_wait = lock(FlockOperation::LockExclusive)?;
        let mut child = command.spawn().context("starting unshare")?;
        let stdin = child.stdin.take().context("its standard input")?;
        let mut said = String::new();
        BufReader::new(child.stdout.take().context("its standard output")?).read_line(&mut said)?;
        if said.is_empty() {
            drop(stdin);
            let status = child.wait()?;
            bail!("{program} did not mount: {status}: {}", read(log)?);
        }
        let root = Path::new("/proc").join(said.trim()).join("root");
        let path = root.join(dir.path().strip_prefix("/").context("an absolute path")?);
        let keeper = Some((child, stdin, log));
        Ok(Self { dir, path, keeper })
    }

    /// Where its files are seen from outside of its namespace.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Unmounts and waits until the helper has written all.
    ///
    /// # Errors
    /// When it ends badly.
    pub(crate) fn end(&mut self) -> Result<()> {
        let Some((mut child, stdin, log)) = self.keeper.take() else {
            return Ok(());
        };
        drop(stdin);
        let status = child.wait()?;
        let dir = self.dir.path().display();
        ensure!(status.success(), "{dir}: {status}: {}", read(log)?);
        Ok(())
    }
}

impl Drop for FuseMount {
    fn drop(&mut self) {
        complain(self.end());
    }
}

/// All that was written to a file, from its beginning.
fn read(mut log: File) -> Result<String> {
    log.rewind()?;
    let mut bytes = Vec::new();
    log.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Waits until no namespace is being made, which would hold a copy of what was just unmounted.
pub(crate) fn settled() -> Result<()> {
    lock(FlockOperation::LockShared).map(drop)
}

/// A lock between all tests of this machine; it goes with the file.
fn lock(how: FlockOperation) -> Result<File> {
    let dir = File::open(std::env::temp_dir())?;
    flock(&dir, how)?;
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::loops::{Loop, Mount};
    use crate::tools::{have, have_root, run, sh};

    #[test]
    fn regression_others_do_not_see_helpers_come_and_go() {
        if !have_root() || !have(&["mkntfs", "ntfs-3g", "mkfs.btrfs", "unshare"]) {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        sh(
            r#"truncate -s 8M "$1"; truncate -s 64M "$2"; mkntfs -q -F -Q "$1""#,
            &[&at("ntfs"), &at("btrfs")],
        )
        .unwrap();
        let [ntfs, btrfs] = ["ntfs", "btrfs"].map(|file| Loop::attach(at(file).as_ref()).unwrap());
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..15 {
                    let mount = Mount::new(ntfs.path(), Some("ntfs-3g"), "").unwrap();
                    assert_eq!(fs::read_dir(mount.path()).unwrap().count(), number);
                    fs::write(mount.path().join(number.to_string()), "there").unwrap();
                    let seen = fs::read_to_string("/proc/mounts").unwrap();
                    assert!(!seen.contains(ntfs.name()), "{seen}");
                    mount.unmount().unwrap();
                }
                over.store(true, Ordering::Relaxed);
            });
            while !over.load(Ordering::Relaxed) {
                run("mkfs.btrfs", &["-q", "-f", "-M", btrfs.name()]).unwrap();
            }
        });
    }
}
