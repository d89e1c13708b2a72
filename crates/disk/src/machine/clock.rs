//! The clock that a file system stamps files with: another computer's, where it comes over the network.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::error::{DiskError, Result};

/// How far the clock of a directory's file system is ahead of ours, in whole seconds; negative when it is
/// behind. A file is made for that: without a name, or where the file system knows none such, one that is
/// removed at once.
///
/// # Errors
/// [`DiskError::ReadOnly`], [`DiskError::Permission`], [`DiskError::Io`].
pub fn skew(dir: &Path) -> Result<i64> {
    let at = |error: io::Error| DiskError::at(dir, "making a file", error);
    let before = SystemTime::now();
    let stamp = stamp(dir).map_err(at)?;
    Ok(difference(stamp, before, SystemTime::now()))
}

/// A file that goes with this.
struct Probe(PathBuf);

impl Drop for Probe {
    fn drop(&mut self) {
        // Nothing better can be done with a file system that lets files be made and not removed.
        let _ = fs::remove_file(&self.0);
    }
}

fn stamp(dir: &Path) -> io::Result<SystemTime> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    if let Ok(fd) = openat(CWD, dir, flags, Mode::RUSR | Mode::WUSR) {
        return touch(&mut File::from(fd));
    }
    let path = dir.join(format!(".azud-clock-{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)?;
    let probe = Probe(path);
    touch(&mut file)?;
    drop(file);
    // By name again: what the client has cached of the open file may be its own idea of the time.
    fs::metadata(&probe.0)?.modified()
}

/// A byte makes the server set the time.
fn touch(file: &mut File) -> io::Result<SystemTime> {
    file.write_all(b"\n")?;
    file.sync_all()?;
    file.metadata()?.modified()
}

/// How far a stamp lies outside of the time in which it was made.
fn difference(stamp: SystemTime, before: SystemTime, after: SystemTime) -> i64 {
    let seconds = |span: std::time::Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    match (stamp.duration_since(after), before.duration_since(stamp)) {
        (Ok(ahead), _) => seconds(ahead),
        (_, Ok(behind)) => -seconds(behind),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use super::{difference, skew};

    #[test]
    fn only_what_lies_outside_counts() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(difference(at(15), at(10), at(20)), 0);
        assert_eq!(difference(at(25), at(10), at(20)), 5);
        assert_eq!(difference(at(3), at(10), at(20)), -7);
        assert_eq!(difference(at(10), at(10), at(10)), 0);
    }

    #[test]
    fn our_own_file_system_has_our_clock_and_keeps_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let found = skew(dir.path()).unwrap();
        assert!(found.abs() <= 2, "{found}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(skew(Path::new("/proc")).is_err());
    }
}
