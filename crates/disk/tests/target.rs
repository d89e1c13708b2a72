//! Targets: every mode writes what a model in memory says, and holes stay holes.

mod common;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use azud_core::code::Code;
use azud_core::io::{PageBuf, ReadAt, WriteAt};
use azud_disk::error::code_of;
use azud_disk::{Target, TargetOptions};
use azud_testkit::loops::{Loop, Mount};
use azud_testkit::poison::{POISON, fill};
use azud_testkit::tools::{have, have_root, run};
use common::{MIB, Seeded, folder, hole, noise};

const LEN: u64 = 8 * MIB;

/// Writes, zeroings and readings at random, against a `Vec`; then the same seen by an ordinary reader.
fn against_model(target: &Target, path: &Path, unit: u64, seed: u64) {
    let mut random = Seeded(seed);
    let len = target.len();
    let mut model = vec![0; usize::try_from(len).expect("small")];
    target.read_exact_at(&mut model, 0).expect("readable");
    for step in 0..250 {
        let offset = random.below(len / unit) * unit;
        let longest = if random.below(8) == 0 {
            2 * MIB
        } else {
            40_000
        };
        let count = (random.below(longest) / unit + 1) * unit;
        let count = usize::try_from(count.min((len - offset) / unit * unit)).expect("small");
        let start = usize::try_from(offset).expect("small");
        let what = format!("seed {seed} step {step}: {offset}+{count}");
        match random.below(8) {
            0 => {
                target.zero(offset, count as u64).expect(&what);
                model[start..start + count].fill(0);
            }
            1 => {
                // Any range, also in direct mode.
                let (from, to) = (start + 1.min(count), start + count);
                let mut buf = vec![0; to - from];
                target.read_exact_at(&mut buf, from as u64).expect(&what);
                assert!(buf == model[from..to], "{what}");
            }
            kind => {
                let bytes = random.bytes(count);
                let shift = usize::from(kind % 2 == 0);
                let mut buf = PageBuf::zeroed(count + shift);
                buf[shift..].copy_from_slice(&bytes);
                target.write_all_at(&buf[shift..], offset).expect(&what);
                model[start..start + count].copy_from_slice(&bytes);
            }
        }
        if step % 50 == 0 {
            target.flush().expect("flushed");
        }
    }
    let mut all = vec![0; model.len()];
    target.read_exact_at(&mut all, 0).expect("readable");
    assert!(all == model, "seed {seed}: the target differs");
    assert!(
        fs::read(path).expect("readable") == model,
        "seed {seed}: a buffered reader sees something else"
    );
    target.flush().expect("flushed");
}

fn options(direct: bool, unit: u32) -> TargetOptions {
    TargetOptions {
        create_len: Some(LEN),
        direct,
        unit,
    }
}

#[test]
fn files_hold_what_was_written_in_every_mode() {
    let dir = folder();
    for (seed, (direct, unit)) in (1..).zip([
        (false, 1),
        (true, 1),
        (true, 4096),
        (false, 512),
        (true, 8192),
    ]) {
        let path = dir.path().join(format!("{direct}{unit}"));
        let target = Target::open(&path, options(direct, unit)).expect("a new file");
        assert!(target.is_new_file());
        assert_eq!(target.len(), LEN);
        if !direct || unit == 1 {
            assert_eq!(target.direct_alignment(), None, "nothing was promised");
        }
        against_model(&target, &path, u64::from(unit), seed);
        drop(target);
        let again = Target::open(&path, options(direct, unit)).expect("an old file");
        assert!(!again.is_new_file());
        against_model(&again, &path, u64::from(unit), seed + 100);
    }
}

#[test]
fn loop_devices_hold_what_was_written_in_every_mode() {
    if !have_root() || !have(&["losetup"]) {
        return;
    }
    let dir = folder();
    let modes = [
        ("512", false, 1),
        ("512", true, 512),
        ("4096", true, 512),
        ("4096", true, 4096),
        ("4096", false, 1),
    ];
    for (seed, (sector, direct, unit)) in (1..).zip(modes) {
        let path = dir.path().join(format!("{sector}{direct}{unit}"));
        // A sector beyond the last whole page, where sectors allow.
        let len = LEN + if sector == "512" { 512 } else { 0 };
        fill(&path, len).expect("room");
        let device = Loop::attach_with(&path, &["--sector-size", sector]).expect("a loop device");
        let target = Target::open(device.path(), options(direct, unit)).expect("free");
        assert!(!target.is_new_file());
        assert_eq!(target.len(), len, "create_len is for files");
        let sector: u32 = sector.parse().expect("a number");
        let expected = (direct && unit.is_multiple_of(sector)).then_some(sector);
        assert_eq!(
            target.direct_alignment(),
            expected,
            "sector {sector}, direct {direct}, unit {unit}"
        );
        against_model(&target, device.path(), u64::from(unit), seed);
        drop(target);
        let (on_device, in_file) = (fs::read(device.path()), fs::read(&path));
        assert!(
            on_device.expect("readable") == in_file.expect("readable"),
            "the loop's file differs"
        );
    }
}

#[test]
fn holes_stay_and_come() {
    let dir = folder();
    for direct in [false, true] {
        let path = dir.path().join(format!("{direct}"));
        let target = Target::open(
            &path,
            TargetOptions {
                create_len: Some(64 * MIB),
                direct,
                unit: 4096,
            },
        )
        .expect("new");
        let blocks = || fs::metadata(&path).expect("there").blocks() * 512;
        target.zero(0, 64 * MIB).expect("a hole in a hole");
        assert_eq!(blocks(), 0, "nothing was written");
        target
            .write_all_at(&vec![POISON; 1 << 20], 10 * MIB)
            .expect("room");
        target.flush().expect("flushed");
        let one = blocks();
        assert!((MIB..MIB + 65536).contains(&one), "{one} bytes for one MiB");
        target.discard(10 * MIB, MIB / 2).expect("punched");
        target.zero(10 * MIB + MIB / 2, MIB / 4).expect("punched");
        target.flush().expect("flushed");
        assert!(
            blocks() <= MIB / 4 + 65536,
            "{} bytes for a quarter",
            blocks()
        );
        let mut buf = vec![1; 1 << 20];
        target.read_exact_at(&mut buf, 10 * MIB).expect("readable");
        assert!(
            buf[..3 << 18].iter().all(|byte| *byte == 0)
                && buf[3 << 18..].iter().all(|byte| *byte == POISON)
        );
        assert_eq!(fs::metadata(&path).expect("there").len(), 64 * MIB);
    }
}

#[test]
fn files_are_extended_and_never_shortened() {
    let dir = folder();
    let (path, bytes) = noise(dir.path(), "old", 10_000);
    let shorter = Target::open(
        &path,
        TargetOptions {
            create_len: Some(5000),
            ..TargetOptions::default()
        },
    )
    .expect("old");
    assert_eq!((shorter.len(), shorter.is_new_file()), (10_000, false));
    drop(shorter);
    let longer = Target::open(
        &path,
        TargetOptions {
            create_len: Some(3 * MIB),
            ..TargetOptions::default()
        },
    )
    .expect("old");
    assert_eq!((longer.len(), longer.is_new_file()), (3 * MIB, false));
    let mut head = vec![0; 12_000];
    longer.read_exact_at(&mut head, 0).expect("readable");
    assert!(head[..10_000] == bytes && head[10_000..].iter().all(|byte| *byte == 0));
    let empty = hole(dir.path(), "empty", 0);
    assert!(
        Target::open(&empty, options(false, 1))
            .expect("empty")
            .is_new_file()
    );
}

#[test]
fn what_leaves_the_target_or_breaks_the_promise_is_refused() {
    let dir = folder();
    let path = dir.path().join("file");
    let target = Target::open(&path, options(true, 4096)).expect("new");
    let mut outside = vec![(LEN, 4096), (LEN - 4096, 8192), (u64::MAX - 4095, 4096)];
    if target.direct_alignment().is_some() {
        outside.extend([(1, 4096), (4096, 100)]);
    }
    for (offset, len) in outside {
        let error = target
            .write_all_at(&vec![1; len], offset)
            .expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{offset}+{len}");
        assert_eq!(
            target.zero(offset, len as u64).expect_err("refused").kind(),
            ErrorKind::InvalidInput
        );
        assert_eq!(
            target
                .discard(offset, len as u64)
                .expect_err("refused")
                .kind(),
            ErrorKind::InvalidInput
        );
    }
    let error = target
        .read_exact_at(&mut [0; 2], LEN - 1)
        .expect_err("beyond");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert!(
        fs::read(&path)
            .expect("readable")
            .iter()
            .all(|byte| *byte == 0),
        "nothing was written"
    );
    assert_eq!(fs::metadata(&path).expect("there").len(), LEN);
}

#[test]
fn a_file_that_cannot_be_opened_is_not_left_behind() {
    let dir = folder();
    let path = dir.path().join("much");
    let most = TargetOptions {
        create_len: Some(u64::MAX),
        ..TargetOptions::default()
    };
    Target::open(&path, most).expect_err("no file is so long");
    assert!(!path.exists());
    let (old, _) = noise(dir.path(), "old", 100);
    Target::open(&old, most).expect_err("no file is so long");
    assert_eq!(fs::metadata(&old).expect("still there").len(), 100);
}

#[test]
fn loop_discard_frees_the_backing() {
    if !have_root() || !have(&["losetup"]) {
        return;
    }
    let dir = folder();
    let path = dir.path().join("disk");
    fill(&path, LEN).expect("room");
    let device = Loop::attach(&path).expect("a loop device");
    let target = Target::open(device.path(), options(true, 4096)).expect("free");
    let before = fs::metadata(&path).expect("there").blocks();
    match target.discard(0, LEN / 2) {
        Ok(()) => assert!(fs::metadata(&path).expect("there").blocks() <= before / 2 + 64),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
    }
    let mut rest = vec![0; usize::try_from(LEN / 2).expect("small")];
    target.read_exact_at(&mut rest, LEN / 2).expect("readable");
    assert!(
        rest.iter().all(|byte| *byte == POISON),
        "the other half is as it was"
    );
}

#[test]
fn loop_a_full_medium_is_an_error() {
    if !have_root() || !have(&["mkfs.ext4", "losetup"]) {
        return;
    }
    let dir = folder();
    let disk = hole(dir.path(), "disk", 8 * MIB);
    run("mkfs.ext4", &["-q", "-F", disk.to_str().expect("UTF-8")]).expect("mkfs.ext4");
    let mount = Mount::new(&disk, None, "loop").expect("a mount");
    let too_much = |target: &Target| {
        (0..32).find_map(|mib| target.write_all_at(&vec![1; 1 << 20], mib * MIB).err())
    };
    for direct in [true, false] {
        let path = mount.path().join(format!("{direct}"));
        let options = TargetOptions {
            create_len: Some(32 * MIB),
            direct,
            unit: 4096,
        };
        let target = Target::open(&path, options).expect("sparse");
        let error = too_much(&target)
            .or_else(|| target.flush().err())
            .expect("8 MiB do not hold 32");
        assert_eq!(code_of(&error), Code::NoSpace, "{error}");
        drop(target);
        fs::remove_file(path).expect("ours");
    }
    // Below a device the loss shows only when the cache is written out, and only once.
    let path = hole(mount.path(), "below", 32 * MIB);
    let device = Loop::attach(&path).expect("a loop device");
    let target = Target::open(device.path(), options(false, 1)).expect("free");
    too_much(&target)
        .or_else(|| target.flush().err())
        .expect("8 MiB do not hold 32");
    let again = [target.flush(), target.flush()];
    assert!(
        again.iter().all(Result::is_err),
        "what is lost stays lost: {again:?}"
    );
}

#[test]
fn many_writers_do_not_disturb_each_other() {
    let dir = folder();
    let path = dir.path().join("file");
    let target = Target::open(&path, options(true, 4096)).expect("new");
    std::thread::scope(|scope| {
        for writer in 0..6_u8 {
            let target = &target;
            scope.spawn(move || {
                for at in (u64::from(writer)..LEN / 4096).step_by(6) {
                    // Through memory of the target's own, which the writers share.
                    let mut page = PageBuf::zeroed(4097);
                    page.fill(writer + 1);
                    target
                        .write_all_at(&page[1..], at * 4096)
                        .expect("writable");
                    let mut back = vec![0; 4095];
                    target
                        .read_exact_at(&mut back, at * 4096 + 1)
                        .expect("readable");
                    assert!(back.iter().all(|byte| *byte == writer + 1));
                }
            });
        }
    });
    let all = fs::read(&path).expect("readable");
    assert!(
        (0..)
            .zip(all.chunks(4096))
            .all(|(at, page)| page.iter().all(|byte| u64::from(*byte) == at % 6 + 1))
    );
}

#[test]
fn regression_forgetting_reads_the_medium_again() {
    if !have_root() || !have(&["losetup"]) {
        return;
    }
    let dir = folder();
    let path = dir.path().join("medium");
    fill(&path, LEN).expect("room");
    let device = Loop::attach(&path).expect("a loop device");
    let target = Target::open(device.path(), options(false, 1)).expect("free");
    target.write_all_at(&[1; 4096], 4096).expect("written");
    target.flush().expect("flushed");
    // A medium that does not keep what it was given: the page cache knows nothing of it.
    let medium = fs::File::options().write(true).open(&path).expect("there");
    std::os::unix::fs::FileExt::write_all_at(&medium, &[2; 4096], 4096).expect("written");
    let mut seen = [0; 4096];
    target.forget().expect("forgotten");
    target.read_exact_at(&mut seen, 4096).expect("readable");
    assert!(seen == [2; 4096], "read from memory, not from the medium");
}

#[test]
fn regression_a_file_is_one_writers_target() {
    let dir = folder();
    let path = dir.path().join("file");
    let first = Target::open(&path, options(false, 1)).expect("a new file");
    let second = Target::open(&path, options(false, 1)).expect_err("taken");
    assert_eq!(second.code(), Code::Busy);
    drop(first);
    Target::open(&path, options(false, 1)).expect("free again");
}
