//! One start of the machine: what it says, its end.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixListener;
use std::process::Child;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::job::Job;
use super::kernel::Kernel;
use super::options::Options;
use super::qemu;

/// For the boot, and for the end, beside the time of the command.
const BOOT: Duration = Duration::from_mins(2);
/// Lines of the console that are shown when something went wrong.
const CONSOLE_LINES: usize = 25;

/// Runs the job and returns the exit status of its command; `None` when it never got that far.
pub(super) fn boot(kernel: &Kernel, options: &Options, job: &Job) -> Result<Option<u8>> {
    let mut qemu = qemu::command(kernel, options, job)?;
    let ports: Vec<UnixListener> = qemu::PORTS
        .iter()
        .map(|name| UnixListener::bind(job.file(name)))
        .collect::<io::Result<_>>()?;
    let mut machine = Machine(qemu.spawn().context("starting qemu-system-x86_64")?);
    let mut streams = ports.iter().map(|port| machine.connect(port));
    let (out, err) = (streams.next(), streams.next());
    let status = streams.next().context("the port of the status")??;
    let out = pass(out.context("the port of the output")??, io::stdout);
    let err = pass(err.context("the port of the errors")??, io::stderr);
    let status = thread::spawn(move || {
        let mut text = String::new();
        let mut status = status;
        let _ = status.read_to_string(&mut text);
        text.trim().parse().ok()
    });
    let in_time = machine.wait(options.timeout + BOOT)?;
    let _ = out.join();
    let _ = err.join();
    let status: Option<u8> = status.join().ok().flatten();
    let console = fs::read(job.file("console")).unwrap_or_default();
    let console = String::from_utf8_lossy(&console);
    let lines: Vec<&str> = console.lines().collect();
    let shown = match status {
        _ if options.log => lines.len(),
        Some(_) => 0,
        None => CONSOLE_LINES,
    };
    for line in &lines[lines.len().saturating_sub(shown)..] {
        super::super::complain(line.trim_end());
    }
    if !in_time {
        super::super::complain("vm: it ran out of time");
    }
    Ok(status)
}

/// A running QEMU, which ends with its handle.
struct Machine(Child);

impl Machine {
    /// Waits for QEMU to open a port; if it ended instead, it has said why on standard error.
    fn connect(&mut self, port: &UnixListener) -> Result<std::os::unix::net::UnixStream> {
        port.set_nonblocking(true)?;
        loop {
            match port.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    return Ok(stream);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(status) = self.0.try_wait()? {
                bail!("qemu-system-x86_64 did not start ({status})");
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// Whether it ended on its own before `most` had passed.
    fn wait(&mut self, most: Duration) -> Result<bool> {
        let end = Instant::now() + most;
        while Instant::now() < end {
            if self.0.try_wait()?.is_some() {
                return Ok(true);
            }
            sleep(Duration::from_millis(20));
        }
        self.0.kill()?;
        self.0.wait()?;
        Ok(false)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Copies a stream as it comes.
fn pass<W: Write>(
    mut from: impl Read + Send + 'static,
    to: impl FnOnce() -> W + Send + 'static,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut to = to();
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..count]).is_err() || to.flush().is_err() {
                break;
            }
        }
    })
}
