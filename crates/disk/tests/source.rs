//! Sources: facts, both ways of reading, holes, and what changes under them.

mod common;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use azud_core::code::Code;
use azud_core::io::{PageBuf, ReadAt};
use azud_disk::{Access, DeviceFacts, Kind, Source};
use azud_testkit::loops::Loop;
use azud_testkit::tools::{have, have_root, run};
use common::{MIB, Parted, Seeded, folder, hole, noise};

/// Random ranges read alike by all ways, into aligned and unaligned memory.
fn compare_reads(source: &Source, expected: &[u8], seed: u64) {
    let mut random = Seeded(seed);
    let ways = [
        source.bulk(Access::Direct).expect("bulk"),
        source.bulk(Access::Cached).expect("bulk"),
    ];
    let len = expected.len() as u64;
    for round in 0..60 {
        let (mut offset, mut count) = (random.below(len), random.below(3 * MIB) + 1);
        if round % 2 == 0 {
            offset -= offset % 4096;
            count = count.next_multiple_of(4096);
        }
        let count = usize::try_from(count.min(len - offset)).expect("small");
        let start = usize::try_from(offset).expect("small");
        let wanted = &expected[start..start + count];
        let mut buf = PageBuf::zeroed(count + 1);
        for way in &ways {
            for shift in [0, 1] {
                buf.fill(0xEE);
                way.read_exact_at(&mut buf[shift..shift + count], offset)
                    .expect("readable");
                assert!(
                    buf[shift..shift + count] == *wanted,
                    "seed {seed}: {offset}+{count} shifted {shift}"
                );
            }
        }
        source
            .read_exact_at(&mut buf[..count], offset)
            .expect("readable");
        assert!(buf[..count] == *wanted, "seed {seed}: {offset}+{count}");
    }
    for way in [&ways[0] as &dyn ReadAt, &ways[1], source] {
        assert_eq!(way.len(), len);
        for (offset, count) in [
            (len, 1),
            (len - 1, 2),
            (0, expected.len() + 1),
            (u64::MAX, 1),
            (len + 4096, 1),
        ] {
            let error = way
                .read_exact_at(&mut vec![0; count], offset)
                .expect_err("beyond the end");
            assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
        }
        way.read_exact_at(&mut [], len).expect("nothing at the end");
    }
}

#[test]
fn direct_and_cached_reads_of_files_agree() {
    let dir = folder();
    for len in [5 * MIB, 5 * MIB + 512, 3 * MIB + 77] {
        let (path, bytes) = noise(dir.path(), &len.to_string(), len);
        let source = Source::open(&path).expect("a file");
        compare_reads(&source, &bytes, len);
        source.unchanged().expect("only read");
    }
    let (path, bytes) = noise(dir.path(), "tiny", 9);
    let source = Source::open(&path).expect("a file");
    assert_eq!(
        source
            .bulk(Access::Direct)
            .expect("bulk")
            .direct_alignment(),
        None,
        "shorter than a sector"
    );
    compare_reads(&source, &bytes, 9);
}

#[test]
fn loop_direct_and_cached_reads_of_devices_agree() {
    if !have_root() || !have(&["losetup"]) {
        return;
    }
    let dir = folder();
    for sector in ["512", "4096"] {
        // One sector more than whole pages, for 512.
        let (path, bytes) = noise(
            dir.path(),
            sector,
            4 * MIB + sector.parse::<u64>().expect("a number"),
        );
        let device = Loop::attach_with(&path, &["--sector-size", sector]).expect("a loop device");
        let source = Source::open(device.path()).expect("free");
        assert_eq!(source.facts().logical_sector.to_string(), sector);
        assert_eq!(
            source
                .bulk(Access::Direct)
                .expect("bulk")
                .direct_alignment(),
            Some(source.facts().logical_sector)
        );
        compare_reads(&source, &bytes, 7);
        source.unchanged().expect("only read");
    }
}

#[test]
fn loop_what_was_written_through_another_name_is_seen() {
    if !have_root() || !have(&["sfdisk", "partx", "losetup"]) {
        return;
    }
    let dir = folder();
    let parted = Parted::new(&hole(dir.path(), "disk", 64 * MIB));
    let disk = File::options()
        .write(true)
        .read(true)
        .open(parted.disk.path())
        .expect("root");
    let mut seen = [0; 4096];
    // The partition's page cache holds the old bytes …
    let partition = File::open(parted.partition(1)).expect("root");
    partition.read_exact_at(&mut seen, 8192).expect("readable");
    // … and the new ones are only in the disk's.
    disk.write_all_at(&[7; 4096], MIB + 8192).expect("writable");
    let source = Source::open(&parted.partition(1)).expect("free");
    source.read_exact_at(&mut seen, 8192).expect("readable");
    assert_eq!(seen, [7; 4096]);
    let mut buf = PageBuf::zeroed(4096);
    source
        .bulk(Access::Direct)
        .expect("bulk")
        .read_exact_at(&mut buf, 8192)
        .expect("readable");
    assert_eq!(*buf, [7; 4096]);
}

#[test]
fn holes_are_told_from_data() {
    let dir = folder();
    let path = hole(dir.path(), "sparse", 64 * MIB);
    let file = File::options().write(true).open(&path).expect("ours");
    for at in [MIB, 10 * MIB, 63 * MIB] {
        file.write_all_at(&vec![1; 65536], at).expect("room");
    }
    let source = Source::open(&path).expect("a file");
    let ranges = |range| {
        source
            .data_ranges(range)
            .collect::<std::io::Result<Vec<_>>>()
            .expect("told")
    };
    let all = ranges(0..u64::MAX);
    assert_eq!(
        all,
        [
            MIB..MIB + 65536,
            10 * MIB..10 * MIB + 65536,
            63 * MIB..63 * MIB + 65536
        ]
    );
    assert_eq!(
        ranges(MIB + 4096..10 * MIB + 4096),
        [MIB + 4096..MIB + 65536, 10 * MIB..10 * MIB + 4096]
    );
    assert!(ranges(20 * MIB..30 * MIB).is_empty() && ranges(64 * MIB..99 * MIB).is_empty());
    let empty = hole(dir.path(), "empty", 0);
    assert!(
        Source::open(&empty)
            .expect("a file")
            .data_ranges(0..9)
            .next()
            .is_none()
    );
}

#[test]
fn changes_are_seen() {
    let dir = folder();
    let changed = |name: &str, change: &dyn Fn(&Path)| {
        let (path, _) = noise(dir.path(), name, 8192);
        let source = Source::open(&path).expect("a file");
        source.unchanged().expect("not yet");
        // File times are as coarse as the kernel's tick.
        File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_modified(std::time::UNIX_EPOCH))
            .expect("ours");
        let source = if name == "content" {
            source
        } else {
            Source::open(&path).expect("a file")
        };
        change(&path);
        let error = source.unchanged().expect_err(name);
        assert_eq!(error.code(), Code::Changed);
        assert!(error.to_string().contains(name), "{error}");
    };
    changed("content", &|_| {});
    changed("size", &|path| {
        File::options()
            .write(true)
            .open(path)
            .and_then(|file| file.set_len(4096))
            .expect("ours");
    });
    changed("gone", &|path| fs::remove_file(path).expect("ours"));
    changed("name", &|path| {
        fs::write(path.with_extension("new"), [0; 8192]).expect("room");
        fs::rename(path.with_extension("new"), path).expect("ours");
    });
}

#[test]
fn loop_a_changed_or_shrunk_device_is_seen() {
    if !have_root() || !have(&["losetup"]) {
        return;
    }
    let dir = folder();
    let path = hole(dir.path(), "disk", 2 * MIB);
    let device = Loop::attach(&path).expect("a loop device");
    let source = Source::open(device.path()).expect("free");
    File::options()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_len(MIB))
        .expect("ours");
    run("losetup", &["--set-capacity", device.name()]).expect("losetup");
    assert_eq!(
        source.unchanged().expect_err("shrunk").code(),
        Code::Changed
    );
    let error = source
        .bulk(Access::Direct)
        .expect("bulk")
        .read_exact_at(&mut vec![0; 8192], MIB)
        .expect_err("gone");
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
}

#[test]
fn loop_a_lent_device_is_free_meanwhile_and_ours_again_afterwards() {
    if !have_root() {
        return;
    }
    let dir = folder();
    let file = hole(dir.path(), "device", MIB);
    let device = Loop::attach(&file).expect("loop");
    let mut source = Source::open(device.path()).expect("a device");
    let claim = |path: &Path| Source::open(path).map_err(|error| error.code());
    assert_eq!(claim(device.path()).err(), Some(Code::Busy));
    let meanwhile = source.lend(|path| claim(path).map(drop)).expect("lent");
    assert_eq!(meanwhile, Ok(()));
    assert_eq!(claim(device.path()).err(), Some(Code::Busy));

    let kept = source.lend(claim).map(drop);
    assert_eq!(kept.map_err(|error| error.code()), Err(Code::Busy));

    let mut source = Source::open(&file).expect("a file");
    let same = source
        .lend(|path| path == file)
        .expect("a file is not held");
    assert!(same);
}

#[test]
fn loop_facts_of_partitions_and_files() {
    if !have_root() || !have(&["sfdisk", "partx", "losetup"]) {
        return;
    }
    let dir = folder();
    let file = hole(dir.path(), "disk", 64 * MIB);
    let parted = Parted::new(&file);
    let disk = DeviceFacts::read(parted.disk.path()).expect("a disk");
    assert_eq!(
        (disk.kind, disk.len, disk.logical_sector),
        (Kind::BlockDevice, 64 * MIB, 512)
    );
    assert_eq!((disk.partition, disk.read_only), (None, false));
    assert_eq!(
        disk.table_id.as_deref(),
        Some("11111111-2222-3333-4444-555555555555")
    );
    let first = DeviceFacts::read(&parted.partition(1)).expect("a partition");
    assert_eq!(
        (first.len, first.start_sector()),
        (Parted::PARTITION, Some(2048))
    );
    assert_eq!(
        first.partition_id.as_deref(),
        Some("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")
    );
    assert_eq!(first.table_id, disk.table_id);
    assert!(first.rotational.is_some());
    let second = DeviceFacts::read(&parted.partition(2)).expect("a partition");
    let place = second.partition.expect("a partition");
    assert_eq!(
        (place.number, place.start, place.disk.as_path()),
        (2, 22 * MIB, parted.disk.path())
    );
    let facts = DeviceFacts::read(&file).expect("a file");
    assert_eq!(
        (facts.kind, facts.len, facts.logical_sector),
        (Kind::RegularFile, 64 * MIB, 512)
    );
}
