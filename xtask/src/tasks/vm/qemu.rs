//! The devices of the machine, as QEMU is told them.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::find;

use super::job::Job;
use super::kernel::Kernel;
use super::options::Options;

/// The ways out of the machine, by the numbers that its scripts know.
pub(super) const PORTS: [&str; 3] = ["out", "err", "status"];

/// QEMU with everything that the options ask for; it connects to the sockets named by [`PORTS`] in the job's directory.
pub(super) fn command(kernel: &Kernel, options: &Options, job: &Job) -> Result<Command> {
    let program = find("qemu-system-x86_64")
        .context("qemu-system-x86_64 is not installed (package qemu-system-x86)")?;
    let (modules, place) = (word(&kernel.modules)?, word(job.path())?);
    let start = format!(
        "console=ttyS0 loglevel=4 panic=-1 mitigations=off random.trust_cpu=on azud.modules={modules} azud.job={place} -"
    );
    // Not whenever there is a /dev/kvm: inside some virtual machines it is there and hangs.
    let accel = if options.kvm { "kvm" } else { "tcg" };
    let mut qemu = Command::new(program);
    qemu.args(["-M", "q35", "-accel", accel, "-cpu", "max"])
        .args(["-smp", "2", "-nodefaults", "-no-reboot", "-display", "none"])
        .args(["-m", &options.memory.to_string()])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(&kernel.initramfs)
        .args(["-append", &start])
        .arg("-serial")
        .arg(joined("file:", &job.file("console"))?)
        .arg("-virtfs")
        .arg("local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap")
        .args(["-device", "virtio-serial"]);
    for (name, number) in PORTS.iter().zip(1..) {
        let socket = format!("socket,id={name},server=off,path=");
        qemu.arg("-chardev")
            .arg(joined(&socket, &job.file(name))?)
            .arg("-device")
            .arg(format!("virtserialport,chardev={name},nr={number}"));
    }
    drives(&mut qemu, options)?;
    qemu.stdin(Stdio::null()).stdout(Stdio::null());
    Ok(qemu)
}

/// Sticks, discs and disks.
fn drives(qemu: &mut Command, options: &Options) -> Result<()> {
    if !options.usb.is_empty() {
        qemu.args(["-device", "qemu-xhci"]);
    }
    let usb = options
        .usb
        .iter()
        .map(|file| (file, "usb-storage,removable=on"));
    let dvd = options.dvd.iter().map(|file| (file, "ide-cd"));
    let disks = options.disks.iter().map(|file| (file, "virtio-blk-pci"));
    let nvme = options.nvme.iter().map(|file| (file, "nvme"));
    for (number, (file, device)) in usb.chain(dvd).chain(disks).chain(nvme).enumerate() {
        let file = fs::canonicalize(file).with_context(|| format!("{}", file.display()))?;
        let kind = if device == "ide-cd" {
            ",media=cdrom,readonly=on"
        } else {
            ""
        };
        let drive = format!("if=none,id=drive{number},format=raw{kind},file=");
        qemu.arg("-drive")
            .arg(joined(&drive, &file)?)
            .arg("-device")
            .arg(format!("{device},drive=drive{number},serial=AZUD-{number}"));
    }
    Ok(())
}

/// A path as a word of the kernel's command line, which ends at blanks.
fn word(path: &Path) -> Result<&str> {
    let text = path.to_str().context("path is UTF-8")?;
    ensure!(
        !text.contains(char::is_whitespace),
        "{text}: the kernel cannot be told a path with blanks"
    );
    Ok(text)
}

/// An option of QEMU that ends with a path, whose commas are doubled.
fn joined(option: &str, path: &Path) -> Result<OsString> {
    let text = path.to_str().context("path is UTF-8")?;
    Ok((option.to_owned() + &text.replace(',', ",,")).into())
}
