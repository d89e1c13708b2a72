//! Every write to a disk is recorded while images on it are replaced. What it would hold had the power gone meanwhile is
//! looked at outside (`replay.rs`), where the log is left.

use anyhow::{Context, Result};
use azud_testkit::loops::Mount;
use azud_testkit::tools::{run, run_any, sh};

use crate::in_vm;
use crate::steps::{Steps, VERSIONS};

/// The disk, and the one that the log is written to.
const DISK: &str = "/dev/vdc";
const LOG: &str = "/dev/vdd";
/// The device's name.
const NAME: &str = "recorded";

/// A device that records what is written to a disk.
struct Recorder;

impl Recorder {
    fn new() -> Result<Self> {
        run("modprobe", &["--all", "dm_log_writes", "ext4"])?;
        let script = "sectors=$(blockdev --getsz \"$1\")
            echo \"0 $sectors log-writes $1 $2\" |
                dmsetup create --noudevrules --noudevsync \"$3\"";
        sh(script, &[DISK, LOG, NAME])?;
        Ok(Self)
    }

    /// Nobody else in this machine gives devices names.
    fn device() -> Result<String> {
        let args = [
            "info",
            "--columns",
            "--noheadings",
            "-o",
            "blkdevname",
            NAME,
        ];
        let name = String::from_utf8(run("dmsetup", &args)?.stdout)?;
        Ok(format!("/dev/{}", name.trim()))
    }

    /// What comes before is in the log before the mark, as far as it is certain.
    fn mark(text: &str) -> Result<()> {
        run("dmsetup", &["message", NAME, "0", "mark", text]).map(drop)
    }

    fn end(self) -> Result<()> {
        drop(self);
        // What the kernel has of the log goes to the disk.
        sh("sync; blockdev --flushbufs \"$1\"", &[LOG]).map(drop)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = run_any(
            "dmsetup",
            &["remove", "--retry", "--noudevrules", "--noudevsync", NAME],
        );
    }
}

/// The clock of this machine, turned back two days: whoever finds the disk is another computer, to which a lock in the
/// making is one that may still be made, for a day.
struct Earlier;

const TURN: &str = "date -s \"@$(($(date +%s) $1 172800))\"";

impl Earlier {
    fn new() -> Result<Self> {
        sh(TURN, &["-"]).map(|_| Self)
    }
}

impl Drop for Earlier {
    fn drop(&mut self) {
        let _ = sh(TURN, &["+"]);
    }
}

#[test]
fn vm_every_write_is_recorded_while_images_are_replaced() -> Result<()> {
    if !in_vm() {
        return Ok(());
    }
    let _earlier = Earlier::new()?;
    let steps = Steps::new()?;
    let recorder = Recorder::new()?;
    let device = Recorder::device()?;
    // Nothing is written behind our back, now or later.
    let extra = "nodiscard,lazy_itable_init=0,lazy_journal_init=0";
    run("mkfs.ext4", &["-q", "-m", "0", "-E", extra, &device])?;
    // ext4 writes names only after the data behind them; the file system may as well be one that does not.
    let careless = "data=writeback,noauto_da_alloc,commit=1";
    let mount = Mount::new(device.as_ref(), Some("ext4"), careless)?;
    std::fs::remove_dir(mount.path().join("lost+found"))?;
    let image = mount.path().join("aula.img");
    steps.take(0, &image)?;
    Recorder::mark("done-0")?;
    for version in 1..VERSIONS {
        Recorder::mark(&format!("begin-{version}"))?;
        steps.take(version, &image).context("recording")?;
        Recorder::mark(&format!("done-{version}"))?;
    }
    mount.unmount()?;
    recorder.end()
}
