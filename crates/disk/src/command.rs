//! Running external programs.
//!
//! Invariants: a program that fails is an error for whoever reads its output, at the end of it and
//! never silently; no program outlives its handle; what it prints on its standard error is always
//! drained (or it would stand still) and its end is kept for the error.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error::{DiskError, Result};
use crate::running::Program;

/// How much of the standard error is kept.
const TAIL: usize = 4096;
/// How long to wait for the rest of the standard error after the program has ended: a grandchild may hold it open.
const TAIL_PATIENCE: Duration = Duration::from_secs(2);
/// Most that [`Tool::run`] takes of a standard output.
const OUTPUT_LIMIT: u64 = 64 << 20;
/// Searched after `PATH`, which for ordinary users lacks them.
const SYSTEM_DIRS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
/// Which Debian package brings a program, where the name differs.
const PACKAGES: &[(&str, &str)] = &[
    ("qemu-img", "qemu-utils"),
    ("qemu-nbd", "qemu-utils"),
    ("ntfsclone", "ntfs-3g"),
    ("ntfsfix", "ntfs-3g"),
    ("mkfs.ntfs", "ntfs-3g"),
    ("xz", "xz-utils"),
    ("losetup", "mount"),
    ("mke2fs", "e2fsprogs"),
    ("e2fsck", "e2fsprogs"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("mkfs.btrfs", "btrfs-progs"),
    ("sfdisk", "fdisk"),
    ("blkid", "util-linux"),
    ("wipefs", "util-linux"),
    ("mount.nfs", "nfs-common"),
    ("mount.cifs", "cifs-utils"),
    ("fsck.fat", "dosfstools"),
];

/// A program to be run, with its arguments.
#[derive(Debug)]
pub struct Tool {
    name: String,
    command: Command,
    accepted: Vec<i32>,
    interrupted: bool,
}

/// What a program that succeeded has printed.
#[derive(Debug)]
pub struct Output {
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// The end of its standard error.
    pub stderr: String,
    /// Its exit status, 0 or one that was accepted.
    pub status: i32,
}

/// Where a program is: in `PATH` or in the directories of the system's own programs.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).filter(|dir| dir.is_absolute());
    let dirs = dirs.chain(SYSTEM_DIRS.into_iter().map(PathBuf::from));
    dirs.map(|dir| dir.join(program))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
}

/// The Debian package that brings a program.
pub fn package(program: &str) -> &str {
    let listed = PACKAGES
        .iter()
        .find(|(name, _)| *name == program)
        .map(|(_, package)| *package);
    listed.unwrap_or(if program.starts_with("partclone.") {
        "partclone"
    } else {
        program
    })
}

impl Tool {
    /// Finds a program by name (or takes it by path, if the name has a slash).
    ///
    /// # Errors
    /// [`DiskError::ToolMissing`].
    pub fn find(program: &str) -> Result<Self> {
        let missing = || DiskError::ToolMissing {
            program: program.to_owned(),
            package: package(program).to_owned(),
        };
        let by_path = program
            .contains('/')
            .then(|| PathBuf::from(program))
            .filter(|file| is_executable(file));
        let file = by_path.or_else(|| find(program)).ok_or_else(missing)?;
        let mut command = Command::new(file);
        // Messages that can be compared, whatever the user speaks.
        command.env("LC_ALL", "C").stdin(Stdio::null());
        // A group of its own: who ends it, and when, is not the terminal's to say.
        command.process_group(0);
        Ok(Self {
            name: program.to_owned(),
            command,
            accepted: vec![0],
            interrupted: true,
        })
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// What the program reads as standard input; nothing by default.
    #[must_use]
    pub fn stdin(mut self, input: impl Into<Stdio>) -> Self {
        self.command.stdin(input);
        self
    }

    /// Takes one more exit status as success (e.g. 1 of a checker that repaired).
    #[must_use]
    pub fn accept(mut self, status: i32) -> Self {
        self.accepted.push(status);
        self
    }

    /// Lets it come to its end even if [`stop_programs`](crate::running::stop_programs) ends others: it changes what
    /// must not be half changed.
    #[must_use]
    pub fn uninterrupted(mut self) -> Self {
        self.interrupted = false;
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// [`DiskError::ToolFailed`]; [`DiskError::Io`] when it cannot be started or prints without end.
    pub fn run(self) -> Result<Output> {
        let mut stream = self.stream()?;
        let mut stdout = Vec::new();
        let read = Read::by_ref(&mut stream)
            .take(OUTPUT_LIMIT)
            .read_to_end(&mut stdout);
        match (stream.end, read) {
            (Some(End::Well(status)), _) => Ok(Output {
                stdout,
                stderr: stream.stderr_tail(),
                status,
            }),
            (Some(End::Badly(status)), _) => Err(stream.failure(status)),
            (None, Ok(_)) => Err(stream.io(
                "reading what it prints: it is too much",
                io::ErrorKind::FileTooLarge.into(),
            )),
            (None, Err(error)) => Err(stream.io("reading what it prints", error)),
        }
    }

    /// Starts it; its standard output is read from what is returned.
    ///
    /// # Errors
    /// [`DiskError::Io`] when it cannot be started.
    pub fn stream(mut self) -> Result<Stream> {
        let program = PathBuf::from(self.command.get_program());
        let args: Vec<_> = self
            .command
            .get_args()
            .map(OsStr::to_string_lossy)
            .collect();
        let args = args.join(" ");
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self
            .command
            .spawn()
            .map_err(|error| DiskError::at(&program, "starting", error))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (name, accepted) = (self.name, self.accepted);
        let running = self.interrupted.then(|| Program::of(child.id()));
        let mut stream = Stream {
            name,
            program,
            args,
            accepted,
            child,
            running,
            stdout,
            tail: None,
            end: None,
        };
        // Only now, so that the child is ended if there is no thread to be had.
        let tail = stderr.map(Tail::follow).transpose();
        stream.tail = tail.map_err(|error| stream.io("starting a thread", error))?;
        Ok(stream)
    }
}

#[derive(Debug, Clone, Copy)]
enum End {
    Well(i32),
    Badly(ExitStatus),
}

/// A running program, read from its standard output; killed when dropped before its end.
///
/// At the end of the output it waits for the program: only success reads as end of file. The error
/// of a failure is an [`io::Error`] around [`DiskError::ToolFailed`] (see [`crate::error::inner`]).
#[derive(Debug)]
pub struct Stream {
    name: String,
    program: PathBuf,
    args: String,
    accepted: Vec<i32>,
    child: Child,
    running: Option<Program>,
    stdout: Option<ChildStdout>,
    tail: Option<Tail>,
    end: Option<End>,
}

impl Stream {
    /// Number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The end of what it has printed on its standard error so far.
    pub fn stderr_tail(&self) -> String {
        self.tail
            .as_ref()
            .map(|tail| tail.text(self.end.is_some()))
            .unwrap_or_default()
    }

    fn conclude(&mut self) -> io::Result<End> {
        // A program that goes on after closing its output must not be blocked by us holding the pipe.
        self.stdout = None;
        let status = self.child.wait()?;
        let end = match status.code() {
            Some(code) if self.accepted.contains(&code) => End::Well(code),
            _ => End::Badly(status),
        };
        self.end = Some(end);
        self.running = None;
        Ok(end)
    }

    fn failure(&self, status: ExitStatus) -> DiskError {
        DiskError::ToolFailed {
            program: self.name.clone(),
            args: self.args.clone(),
            status,
            stderr: self.stderr_tail(),
        }
    }

    fn io(&self, op: &'static str, source: io::Error) -> DiskError {
        DiskError::Io {
            path: self.program.clone(),
            op,
            source,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(stdout) = &mut self.stdout {
            let got = stdout.read(buf)?;
            if got > 0 || buf.is_empty() {
                return Ok(got);
            }
        }
        let end = match self.end {
            Some(end) => end,
            None => self.conclude()?,
        };
        match end {
            End::Well(_) => Ok(0),
            End::Badly(status) => Err(io::Error::other(self.failure(status))),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.end.is_none() {
            // It may have ended by itself meanwhile; then there is only a status to collect.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The last bytes of a standard error, kept by a thread that reads it to its end.
#[derive(Debug)]
struct Tail {
    kept: Arc<Mutex<VecDeque<u8>>>,
    ended: Mutex<Receiver<()>>,
}

impl Tail {
    fn follow(mut stderr: ChildStderr) -> io::Result<Self> {
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let keep = Arc::clone(&kept);
        let (done, ended) = channel::<()>();
        std::thread::Builder::new()
            .name("stderr".to_owned())
            .spawn(move || {
                let mut buf = [0; 1024];
                while let Ok(got @ 1..) = stderr.read(&mut buf) {
                    let mut keep = keep.lock().unwrap_or_else(PoisonError::into_inner);
                    keep.extend(&buf[..got]);
                    let surplus = keep.len().saturating_sub(TAIL);
                    keep.drain(..surplus);
                }
                // Whoever waits is woken by the channel's end.
                drop(done);
            })?;
        Ok(Self {
            kept,
            ended: Mutex::new(ended),
        })
    }

    /// What is kept, as text; `whole` waits for the rest first.
    fn text(&self, whole: bool) -> String {
        if whole {
            let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = ended.recv_timeout(TAIL_PATIENCE);
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(kept.make_contiguous())
            .trim()
            .to_owned()
    }
}
