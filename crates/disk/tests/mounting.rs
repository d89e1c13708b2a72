//! Mounts appear where they may, go with their guard, and say who keeps them.

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command};

use azud_core::code::Code;
use azud_disk::mounting::{Kind, Mounting, mount, mounted_at, mounts_of, unmount};
use azud_disk::{DiskError, check_unused};
use azud_testkit::loops::Loop;
use azud_testkit::tools::{have, have_root, run};
use common::{MIB, folder, hole, noise};

/// A process that works in a directory; ended on drop.
struct Worker(Child);

impl Worker {
    fn sleeping_in(dir: &Path) -> Self {
        let child = Command::new("sleep").arg("60").current_dir(dir).spawn();
        Self(child.expect("every system has sleep"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ready() -> bool {
    have_root() && have(&["mkfs.ext4", "losetup", "mount"])
}

fn ext4(dir: &Path) -> Loop {
    let file = hole(dir, "disk", 16 * MIB);
    let device = Loop::attach(&file).expect("a loop device");
    run("mkfs.ext4", &["-q", "-F", device.name()]).expect("mkfs.ext4");
    device
}

fn on<'a>(device: &'a Path, at: &'a Path) -> Mounting<'a> {
    Mounting {
        source: device.as_os_str(),
        at,
        kind: Kind::Device("ext4"),
        read_only: false,
        options: "",
    }
}

#[test]
fn loop_a_mount_goes_with_its_guard_unless_it_is_kept() {
    if !ready() {
        return;
    }
    let dir = folder();
    let device = ext4(dir.path());
    let at = dir.path().join("not/yet/there");
    let mounted = mount(&on(device.path(), &at)).expect("a mount");
    assert_eq!(mounted.at(), fs::canonicalize(&at).expect("it is there"));
    fs::write(at.join("file"), "x").expect("writable");
    let facts = mounted_at(&at).expect("it is mounted");
    assert_eq!((facts.fs_type.as_str(), facts.read_only), ("ext4", false));
    assert_eq!(facts.source, device.path());
    assert_eq!(mounts_of(device.path()), [facts]);
    drop(mounted);
    assert_eq!(mounted_at(&at), None);
    assert!(!at.exists(), "the directory was made for it");

    fs::create_dir_all(&at).expect("made by hand");
    let read_only = Mounting {
        read_only: true,
        ..on(device.path(), &at)
    };
    let kept = mount(&read_only).expect("a mount").keep();
    assert!(mounted_at(&kept).expect("it was kept").read_only);
    assert!(fs::write(at.join("file"), "y").is_err());
    unmount(&at).expect("nobody uses it");
    assert!(at.is_dir(), "it is not ours");
    assert_eq!(unmount(&at).expect_err("again").code(), Code::NotMounted);
    check_unused(device.path()).expect("free");
}

#[test]
fn loop_who_uses_it_is_named() {
    if !ready() {
        return;
    }
    let dir = folder();
    let device = ext4(dir.path());
    let at = dir.path().join("at");
    let mounted = mount(&on(device.path(), &at)).expect("a mount");
    let worker = Worker::sleeping_in(&at);
    let error = unmount(&at).expect_err("in use");
    assert_eq!(error.code(), Code::Busy);
    let expected = format!("sleep ({})", worker.0.id());
    assert!(error.to_string().contains(&expected), "{error}");
    drop(worker);
    mounted.unmount().expect("nobody uses it");

    // Others under it count too.
    let mounted = mount(&on(device.path(), &at)).expect("a mount");
    let below = at.join("below");
    let bound = Mounting {
        source: OsStr::new("/usr"),
        kind: Kind::Bind,
        ..on(device.path(), &below)
    };
    let inner = mount(&bound).expect("a mount in it");
    let error = unmount(&at).expect_err("in use");
    assert!(error.to_string().contains("below"), "{error}");
    inner.unmount().expect("nobody uses it");
    mounted.unmount().expect("nobody uses it");
}

#[test]
fn loop_a_bound_directory_can_be_read_only() {
    if !ready() {
        return;
    }
    let dir = folder();
    let (source, at) = (dir.path().join("source"), dir.path().join("at"));
    fs::create_dir(&source).expect("room");
    fs::write(source.join("file"), "x").expect("room");
    let bound = Mounting {
        source: source.as_os_str(),
        at: &at,
        kind: Kind::Bind,
        read_only: true,
        options: "",
    };
    let mounted = mount(&bound).expect("a mount");
    assert_eq!(fs::read(at.join("file")).expect("readable"), b"x");
    assert!(fs::write(at.join("file"), "y").is_err());
    fs::write(source.join("file"), "z").expect("the source is not limited");
    assert!(mounted_at(&at).expect("mounted").read_only);
    mounted.unmount().expect("nobody uses it");
}

#[test]
fn loop_bad_places_are_refused_and_nothing_stays() {
    if !ready() {
        return;
    }
    let dir = folder();
    let device = ext4(dir.path());
    let (real, link, file) = (
        dir.path().join("real"),
        dir.path().join("link"),
        dir.path().join("file"),
    );
    fs::create_dir(&real).expect("room");
    symlink(&real, &link).expect("room");
    fs::write(&file, "").expect("room");
    for place in [&link, &file] {
        let error = mount(&on(device.path(), place)).expect_err("no place");
        assert_eq!(error.code(), Code::MountPoint, "{error}");
    }
    let mounted = mount(&on(device.path(), &real)).expect("a mount");
    let error = mount(&on(device.path(), &real)).expect_err("over another");
    assert!(
        matches!(&error, DiskError::Mounted { at, .. } if at == mounted.at()),
        "{error}"
    );
    assert_eq!(mounts_of(device.path()).len(), 1);
    mounted.unmount().expect("nobody uses it");
}

#[test]
fn loop_what_the_kernel_refuses_is_told_apart() {
    if !ready() {
        return;
    }
    let dir = folder();
    let at = dir.path().join("at");
    let (file, _) = noise(dir.path(), "noise", MIB);
    let garbage = Loop::attach(&file).expect("a loop device");
    let error = mount(&on(garbage.path(), &at)).expect_err("garbage");
    assert_eq!(error.code(), Code::FsCorrupt, "{error}");
    let strange = Mounting {
        kind: Kind::Device("nosuchfs"),
        ..on(garbage.path(), &at)
    };
    let error = mount(&strange).expect_err("no such file system");
    assert_eq!(error.code(), Code::MountUnsupported, "{error}");
    let helped = Mounting {
        kind: Kind::Helper("nosuchfs"),
        ..on(garbage.path(), &at)
    };
    let error = mount(&helped).expect_err("no such file system");
    assert_eq!(error.code(), Code::MountUnsupported, "{error}");
    assert!(!at.exists(), "the directory was made for nothing");

    let device = ext4(dir.path());
    let protected =
        Loop::attach_with(&dir.path().join("disk"), &["--read-only"]).expect("a loop device");
    drop(device);
    let error = mount(&on(protected.path(), &at)).expect_err("write-protected");
    assert_eq!(error.code(), Code::ReadOnly, "{error}");
}
