//! Who is at work in a stage directory, and whether they can still be.
//!
//! Nothing is cleared away under somebody who may be alive: a doubt leaves the directory for a day.

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

use crate::durable;
use crate::error::Result;
use crate::lock::try_lock;
use crate::slot::json;
use crate::stage::is_assembling;

/// The file that names the owner; locked as long as the owner lives.
pub(crate) const OWNER: &str = "owner";

/// After this long without a write, the work of a stranger counts as abandoned.
const STRANGERS: Duration = Duration::from_hours(24);

/// Younger stages without an owner may be in the making.
const IN_THE_MAKING: Duration = Duration::from_mins(1);

/// So much of a host's name is believed to be one.
const MAX_HOST: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    host: String,
    pid: i32,
    /// Changes with every start of the machine.
    boot_id: String,
    /// When the process started, in the kernel's ticks: a process id alone may have been given away again.
    started: u64,
}

/// What this computer knows of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// This very process.
    Ourselves,
    /// Another process of this computer, since its last start.
    Running,
    /// It was one, and has ended.
    Gone,
    /// Another computer's, or of this one before its last start: nothing is known here.
    Elsewhere,
}

impl Owner {
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// What this computer knows of it.
    pub(crate) fn standing(&self) -> Standing {
        let this = Self::this();
        if *self == this {
            Standing::Ourselves
        } else if self.host != this.host || this.boot_id.is_empty() || self.boot_id != this.boot_id
        {
            Standing::Elsewhere
        } else if is_running(self) {
            Standing::Running
        } else {
            Standing::Gone
        }
    }

    pub(crate) fn this() -> Self {
        let pid = rustix::process::getpid();
        let line = |path: &str| {
            fs::read_to_string(path)
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        Self {
            host: line("/proc/sys/kernel/hostname"),
            pid: pid.as_raw_nonzero().get(),
            boot_id: line("/proc/sys/kernel/random/boot_id"),
            started: Seen::of(pid).map_or(0, |seen| seen.started),
        }
    }
}

/// This process, in words that mean it and no other one: for whoever has to know later on whether it has ended.
pub fn this_process() -> String {
    serde_json::to_string(&Owner::this()).unwrap_or_default()
}

/// The computer that such words name; nothing in it that could pass for something else.
pub fn computer_of(process: &str) -> Option<String> {
    let owner = serde_json::from_str::<Owner>(process).ok()?;
    let named = shown_host(owner.host());
    (!named.is_empty()).then_some(named)
}

/// The name of a computer, as it is shown.
pub(crate) fn shown_host(host: &str) -> String {
    let shown = host.chars().filter(|c| !c.is_control());
    shown.take(MAX_HOST).collect()
}

/// Whether such words mean a process of this computer that has ended.
pub fn has_ended(process: &str) -> bool {
    let owner = serde_json::from_str::<Owner>(process);
    owner.is_ok_and(|owner| owner.standing() == Standing::Gone)
}

/// Writes who we are into a stage directory. The file must stay open for as long as the work lasts.
pub(crate) fn sign(stage: &Path) -> Result<File> {
    let path = stage.join(OWNER);
    let file = durable::write(&path, &json(&Owner::this(), &path)?)?;
    // Where nothing can be locked, the process id and the age decide alone.
    let _ = try_lock(&file);
    Ok(file)
}

/// Whether the owner of a stage directory is certainly gone. The caller holds the directory's lock,
/// so a stage without an owner is not one that is just being made here; elsewhere, [`is_young`] tells.
pub(crate) fn is_gone(stage: &Path, now: SystemTime) -> bool {
    let path = stage.join(OWNER);
    let Ok(text) = durable::read_small(&path, 64 * 1024) else {
        return matches!(durable::file_size(&path), Ok(None));
    };
    if is_locked(&path) {
        return false;
    }
    // Killed between making the file and writing it: stages too are made under the directory's lock.
    if text.is_empty() {
        return true;
    }
    let age_decides = || {
        last_write(stage)
            .is_some_and(|last| now.duration_since(last).is_ok_and(|age| age > STRANGERS))
    };
    let Ok(owner) = serde_json::from_slice::<Owner>(&text) else {
        return age_decides();
    };
    let this = Owner::this();
    if owner.host != this.host || owner.boot_id.is_empty() {
        return age_decides();
    }
    if owner.boot_id == this.boot_id {
        return !is_running(&owner);
    }
    // We, before our last start; or another computer of the same name (live systems have such): what
    // was written since we started is not ours.
    match (booted_at(), last_write(stage)) {
        (Some(boot), Some(last)) if last < boot => true,
        _ => age_decides(),
    }
}

/// Whether nobody has signed a stage yet, as far as can be told.
pub(crate) fn is_unsigned(stage: &Path) -> bool {
    let size = durable::file_size(&stage.join(OWNER));
    // An assembly that remembers something was signed before: its owner has left.
    matches!(size, Ok(None | Some(0))) && !is_assembling(stage)
}

/// Whether an unsigned stage may just be in the making. Whoever makes one on another computer, or on the one whose directory
/// this is, need not hold a lock that is seen here. `now` tells the time of the clock that gave the stage its times.
pub(crate) fn is_young(stage: &Path, now: SystemTime) -> bool {
    let age = |last| now.duration_since(last).unwrap_or_default();
    last_write(stage).is_none_or(|last| age(last) < IN_THE_MAKING)
}

fn is_locked(path: &Path) -> bool {
    // NFS locks exclusively only what is open for writing.
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .or_else(|_| File::open(path));
    file.is_ok_and(|file| try_lock(&file) == Ok(false))
}

fn is_running(owner: &Owner) -> bool {
    // Whatever else stands there would mean a group of processes, or every one.
    let Some(pid) = Some(owner.pid)
        .filter(|pid| *pid > 0)
        .and_then(Pid::from_raw)
    else {
        return false;
    };
    match Seen::of(pid) {
        Some(seen) => !seen.has_ended && (seen.started == owner.started || owner.started == 0),
        // Without /proc, or in one that hides others' processes, a signal tells.
        None => !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH)),
    }
}

/// What the kernel shows of a process (`proc_pid_stat(5)`).
struct Seen {
    /// It works no more, though whoever started it has not asked yet how it ended. One of several threads may still be
    /// writing while the first one has ended.
    has_ended: bool,
    /// When it started, in the kernel's ticks.
    started: u64,
}

impl Seen {
    fn of(pid: Pid) -> Option<Self> {
        let stat = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        // The name may hold anything.
        let after_name = &stat[stat.iter().rposition(|b| *b == b')')? + 1..];
        let text = std::str::from_utf8(after_name).ok()?;
        // Field 3 is the first one after the name.
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).copied();
        let threads: u32 = field(20)?.parse().ok()?;
        Some(Self {
            has_ended: matches!(field(3)?, "Z" | "X") && threads <= 1,
            started: field(22)?.parse().ok()?,
        })
    }
}

fn booted_at() -> Option<SystemTime> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let seconds = stat
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// When anything in the directory was last written.
pub(crate) fn last_write(stage: &Path) -> Option<SystemTime> {
    let modified = |path: &Path| {
        fs::symlink_metadata(path)
            .and_then(|meta| meta.modified())
            .ok()
    };
    let names = durable::names(stage).ok()?;
    names
        .iter()
        .filter_map(|name| modified(&stage.join(name)))
        .chain(modified(stage))
        .max()
}

#[cfg(test)]
mod tests {
    use super::{OWNER, Owner, STRANGERS, Seen, Standing, is_gone, sign};
    use rustix::process::Pid;
    use std::fs::{self, File};
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    fn stage(owner: &Owner) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(OWNER), serde_json::to_vec(owner).unwrap()).unwrap();
        dir
    }

    /// Everything in it was last touched then.
    fn touch(dir: &Path, when: SystemTime) {
        File::open(dir.join(OWNER))
            .unwrap()
            .set_modified(when)
            .unwrap();
        File::open(dir).unwrap().set_modified(when).unwrap();
    }

    #[test]
    fn our_own_work_is_alive_until_it_ends() {
        let now = SystemTime::now();
        let dir = tempfile::tempdir().unwrap();
        let open = sign(dir.path()).unwrap();
        assert!(!is_gone(dir.path(), now + 2 * STRANGERS));
        drop(open);
        assert!(!is_gone(dir.path(), now), "the process still runs");
        fs::write(dir.path().join(OWNER), "").unwrap();
        assert!(is_gone(dir.path(), now), "killed while it signed");
        fs::remove_file(dir.path().join(OWNER)).unwrap();
        assert!(is_gone(dir.path(), now));
    }

    #[test]
    fn a_process_that_ended_is_gone() {
        let now = SystemTime::now();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        child.wait().unwrap();
        assert!(is_gone(
            stage(&Owner {
                pid,
                ..Owner::this()
            })
            .path(),
            now
        ));
        let recycled = Owner {
            started: Owner::this().started + 1,
            ..Owner::this()
        };
        assert!(
            is_gone(stage(&recycled).path(), now),
            "the id was given to another process"
        );
    }

    #[test]
    fn regression_a_process_that_nobody_waits_for_is_gone() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let seen = Seen::of(Pid::from_raw(pid).unwrap()).unwrap();
        let owner = Owner {
            pid,
            started: seen.started,
            ..Owner::this()
        };
        assert_eq!(owner.standing(), Standing::Running);
        child.kill().unwrap();
        // Nobody asks how it ended until this has been seen.
        let ended = (0..1000).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            owner.standing() == Standing::Gone
        });
        let reaped = child.wait().unwrap();
        assert!(ended && !reaped.success());
    }

    #[test]
    fn another_start_of_the_machine_or_another_machine_of_its_name() {
        let now = SystemTime::now();
        let dir = stage(&Owner {
            boot_id: "before".into(),
            ..Owner::this()
        });
        assert!(
            !is_gone(dir.path(), now),
            "written since we started: somebody else's"
        );
        touch(
            dir.path(),
            super::booted_at().unwrap() - Duration::from_mins(1),
        );
        assert!(is_gone(dir.path(), now));
    }

    #[test]
    fn strangers_have_a_day() {
        let now = SystemTime::now();
        for dir in [
            stage(&Owner {
                host: "elsewhere".into(),
                ..Owner::this()
            }),
            {
                let dir = tempfile::tempdir().unwrap();
                fs::write(dir.path().join(OWNER), "{ nonsense").unwrap();
                dir
            },
        ] {
            assert!(!is_gone(dir.path(), now + STRANGERS / 2));
            touch(dir.path(), now - STRANGERS - Duration::from_secs(1));
            assert!(is_gone(dir.path(), now));
        }
    }
}
