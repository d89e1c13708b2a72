//! Who uses a device is found and named; who does not use it is not blamed.

mod common;

use std::fs;
use std::path::Path;

use azud_core::code::Code;
use azud_disk::{DiskError, Source, Target, TargetOptions, check_unused, holds};
use azud_testkit::loops::{Loop, Mount};
use azud_testkit::tools::{have, have_root, run};
use common::{MIB, Parted, Swap, folder, hole};

const OPTIONS: TargetOptions = TargetOptions {
    create_len: None,
    direct: false,
    unit: 0,
};

fn mkfs(path: &Path) {
    run("mkfs.ext4", &["-q", "-F", path.to_str().expect("UTF-8")]).expect("mkfs.ext4");
}

/// The three ways to be refused agree.
fn refusal(path: &Path) -> DiskError {
    let error = check_unused(path).expect_err("in use");
    assert_eq!(Source::open(path).expect_err("in use").code(), error.code());
    assert_eq!(
        Target::open(path, OPTIONS).expect_err("in use").code(),
        error.code()
    );
    error
}

#[test]
fn loop_mounted_is_refused_with_the_mount_point() {
    if !have_root() || !have(&["mkfs.ext4", "losetup"]) {
        return;
    }
    let dir = folder();
    let file = hole(dir.path(), "disk", 16 * MIB);
    mkfs(&file);
    let device = Loop::attach(&file).expect("a loop device");
    check_unused(device.path()).expect("only attached");
    check_unused(&file).expect("only attached");
    let mount = Mount::new(device.path(), None, "").expect("a mount");
    for path in [device.path(), &file] {
        match refusal(path) {
            DiskError::Mounted { at, .. } => assert_eq!(at, mount.path()),
            other => panic!("{other}"),
        }
    }
    // Another window on the same bytes, and one beside them.
    let same = Loop::attach(&file).expect("a loop device");
    assert_eq!(refusal(same.path()).code(), Code::Mounted);
    mount.unmount().expect("unmounted");
    check_unused(device.path()).expect("unused again");
    drop(Source::open(device.path()).expect("unused again"));
}

#[test]
fn loop_a_partition_in_use_refuses_its_disk_but_not_its_neighbour() {
    if !have_root() || !have(&["mkfs.ext4", "sfdisk", "partx", "losetup"]) {
        return;
    }
    let dir = folder();
    let parted = Parted::new(&hole(dir.path(), "disk", 64 * MIB));
    let (first, second) = (parted.partition(1), parted.partition(2));
    mkfs(&first);
    let mount = Mount::new(&first, None, "").expect("a mount");
    for path in [&first, parted.disk.path(), &dir.path().join("disk")] {
        assert!(
            matches!(refusal(path), DiskError::Mounted { at, .. } if at == mount.path()),
            "{}",
            path.display()
        );
    }
    check_unused(&second).expect("the neighbour is free");
    drop(Source::open(&second).expect("the neighbour is free"));
    // A window of the file on the neighbour alone is free, one byte more is not.
    let offset = (22 * MIB).to_string();
    let beside =
        Loop::attach_with(&dir.path().join("disk"), &["--offset", &offset]).expect("a loop device");
    check_unused(beside.path()).expect("beside the mount");
    let early = (21 * MIB - 512).to_string();
    let touching =
        Loop::attach_with(&dir.path().join("disk"), &["--offset", &early]).expect("a loop device");
    assert_eq!(
        check_unused(touching.path()).expect_err("touches").code(),
        Code::Mounted
    );
}

#[test]
fn loop_swap_is_named() {
    if !have_root() || !have(&["mkswap", "swapon", "losetup"]) {
        return;
    }
    let dir = folder();
    let file = dir.path().join("swap");
    fs::write(&file, vec![0; 4 << 20]).expect("room");
    let device = Loop::attach(&file).expect("a loop device");
    // A kernel or container without swap has nothing to be tested.
    let Some(_swap) = Swap::on(device.path()) else {
        return;
    };
    let error = refusal(device.path());
    assert!(error.to_string().contains("swap"), "{error}");
    assert_eq!(check_unused(&file).expect_err("in use").code(), Code::Busy);
}

#[test]
fn loop_opened_exclusively_is_busy() {
    if !have_root() || !have(&["losetup"]) {
        return;
    }
    let dir = folder();
    let file = hole(dir.path(), "disk", MIB);
    let device = Loop::attach(&file).expect("a loop device");
    let target = Target::open(device.path(), OPTIONS).expect("free");
    for error in [
        check_unused(device.path()).expect_err("held"),
        check_unused(&file).expect_err("its bytes are held"),
        Source::open(device.path()).expect_err("held"),
        Target::open(device.path(), OPTIONS).expect_err("held"),
    ] {
        assert_eq!(error.code(), Code::Busy, "{error}");
    }
    drop(target);
    let source = Source::open(device.path()).expect("free");
    assert_eq!(
        Target::open(device.path(), OPTIONS)
            .expect_err("held by the source")
            .code(),
        Code::Busy
    );
    source.unchanged().expect("only looked at");
    drop(source);
    // A file is not written behind the back of a device that caches it.
    let error = Target::open(&file, OPTIONS).expect_err("attached");
    assert!(error.to_string().contains(device.name()), "{error}");
    drop(device);
    drop(Target::open(&file, OPTIONS).expect("detached"));
}

#[test]
fn loop_read_only_device_is_no_target() {
    if !have_root() || !have(&["losetup"]) {
        return;
    }
    let dir = folder();
    let device =
        Loop::attach_with(&hole(dir.path(), "disk", MIB), &["--read-only"]).expect("a loop device");
    assert_eq!(
        Target::open(device.path(), OPTIONS)
            .expect_err("read-only")
            .code(),
        Code::ReadOnly
    );
    assert!(
        Source::open(device.path())
            .expect("readable")
            .facts()
            .read_only
    );
}

#[test]
fn loop_a_device_holds_what_is_mounted_from_it() {
    if !have_root() || !have(&["mkfs.ext4", "sfdisk", "partx", "losetup"]) {
        return;
    }
    let dir = folder();
    let outer = hole(dir.path(), "disk", 64 * MIB);
    let parted = Parted::new(&outer);
    mkfs(&parted.partition(1));
    let mount = Mount::new(&parted.partition(1), None, "").expect("a mount");
    let inner = hole(mount.path(), "inner.img", 8 * MIB);
    mkfs(&inner);
    let inner_mount = Mount::new(&inner, None, "loop").expect("a mount in the mount");
    let image = inner_mount.path().join("image");
    fs::write(&image, "x").expect("room");
    for holder in [
        &parted.partition(1),
        parted.disk.path(),
        &outer,
        &inner,
        &image,
    ] {
        assert!(
            holds(holder, &image).expect("known"),
            "{}",
            holder.display()
        );
        assert!(
            holds(holder, &inner_mount.path().join("not/yet/there")).expect("known")
                || *holder == image
        );
    }
    assert!(!holds(&parted.partition(2), &image).expect("known"));
    assert!(!holds(&image, &inner).expect("known"));
    // The partition's bytes are the file's own, so writing it would write into the file.
    assert!(holds(&parted.partition(1), &outer).expect("known"));
    assert!(
        !holds(&inner, &outer).expect("known"),
        "what lies on it does not hold it"
    );
    assert!(holds(Path::new("/nonexistent"), &image).is_err());
}

#[test]
fn loop_every_member_of_a_btrfs_is_in_use() {
    if !have_root() || !have(&["mkfs.btrfs", "losetup"]) {
        return;
    }
    let dir = folder();
    let files = ["a", "b"].map(|name| hole(dir.path(), name, 128 * MIB));
    let devices = files
        .each_ref()
        .map(|file| Loop::attach(file).expect("a loop device"));
    run(
        "mkfs.btrfs",
        &[
            "-q",
            "-d",
            "raid1",
            "-m",
            "raid1",
            devices[0].name(),
            devices[1].name(),
        ],
    )
    .expect("mkfs.btrfs");
    let option = format!("device={}", devices[1].name());
    let mount = Mount::new(devices[0].path(), None, &option).expect("a mount");
    for device in &devices {
        let error = check_unused(device.path()).expect_err("in use");
        assert!(
            matches!(error.code(), Code::Mounted | Code::Busy),
            "{error}"
        );
        assert!(
            holds(device.path(), &mount.path().join("file")).expect("known"),
            "{}",
            device.name()
        );
    }
    assert!(
        check_unused(devices[1].path())
            .expect_err("in use")
            .to_string()
            .contains("btrfs")
    );
}

#[test]
fn what_is_no_device_is_told_apart() {
    let dir = folder();
    let absent = dir.path().join("absent");
    assert!(matches!(
        check_unused(&absent),
        Err(DiskError::NotFound { .. })
    ));
    assert!(matches!(
        Source::open(&absent),
        Err(DiskError::NotFound { .. })
    ));
    assert!(matches!(
        Target::open(&absent, OPTIONS),
        Err(DiskError::NotFound { .. })
    ));
    for path in [dir.path(), Path::new("/dev/null")] {
        assert!(
            matches!(check_unused(path), Err(DiskError::NotADevice { .. })),
            "{}",
            path.display()
        );
        assert!(
            matches!(Source::open(path), Err(DiskError::NotADevice { .. })),
            "{}",
            path.display()
        );
        assert!(
            matches!(
                Target::open(path, OPTIONS),
                Err(DiskError::NotADevice { .. })
            ),
            "{}",
            path.display()
        );
    }
}
