//! A power cut at any moment of a restore leaves nothing that looks like a file system.
//!
//! The restore runs onto a device in memory that records every write; each prefix of the record up to a flush,
//! and samples between flushes with writes missing or out of order, are shown to `blkid` and to the
//! file system's own checker.
#![allow(clippy::cast_possible_truncation, reason = "sizes of test data")]

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Result;
use azud_core::cut::Lengths;
use azud_core::format::index::Facts;
use azud_core::progress::Silent;
use azud_image::capture::{CaptureOptions, DeviceContent, capture, read_tails};
use azud_image::fs::{MapOptions, map};
use azud_image::restore::{RestoreOptions, restore, restore_pipe};
use azud_image::{DEFAULT_LEVEL, Native};
use azud_testkit::memory::{Event, Memory, replay};
use azud_testkit::tools::{have, run_any, sh};

/// Makes a volume with `mkfs` (`$1` is the file, `$2` a tree to put into it) holding something.
fn volume(dir: &Path, name: &str, case: &Case) -> Result<Vec<u8>> {
    let tree = dir.join("tree");
    std::fs::create_dir_all(tree.join("sub"))?;
    for n in 0..40 {
        std::fs::write(
            tree.join(format!("sub/{name}-{n}")),
            vec![n as u8 + 1; 30_000 + n * 1000],
        )?;
    }
    let file = dir.join(name);
    let (file, tree) = (file.to_str().expect("UTF-8"), tree.to_str().expect("UTF-8"));
    let (mib, mkfs) = (case.mib, case.mkfs);
    sh(
        &format!("rm -f $1; truncate -s {mib}M $1; {mkfs}"),
        &[file, tree],
    )?;
    Ok(std::fs::read(file)?)
}

fn image_of(device: &[u8]) -> Result<Vec<u8>> {
    let volume = map(&device, &MapOptions::default())?.expect("a known file system");
    let content = DeviceContent::new(&device, &volume.used, volume.block_size);
    let options = CaptureOptions {
        level: DEFAULT_LEVEL,
        base: None,
        lengths: Some(Lengths {
            average: 64 << 10,
            before_gap: 32 << 10,
        }),
        facts: Facts::default(),
    };
    let mut file = Vec::new();
    capture(
        &volume,
        read_tails(&device, &volume)?,
        content,
        &options,
        (&mut file, &Silent),
    )?;
    Ok(file)
}

/// Writes all but the zeros, of which there are many.
fn write_sparse(file: &Path, bytes: &[u8]) -> Result<()> {
    const CHUNK: usize = 64 << 10;
    let out = File::create(file)?;
    out.set_len(bytes.len() as u64)?;
    for (n, chunk) in bytes.chunks(CHUNK).enumerate() {
        if chunk.iter().any(|byte| *byte != 0) {
            out.write_all_at(chunk, (n * CHUNK) as u64)?;
        }
    }
    Ok(())
}

/// What `blkid` and the checkers make of a device.
fn looks_like(dir: &Path, bytes: &[u8], checkers: &[&str]) -> Result<Option<String>> {
    let file = dir.join("cut");
    write_sparse(&file, bytes)?;
    let name = file.to_str().expect("UTF-8");
    let blkid = run_any("blkid", &["-p", name])?;
    if blkid.status.success() {
        return Ok(Some(String::from_utf8_lossy(&blkid.stdout).into_owned()));
    }
    for checker in checkers {
        if run_any("bash", &["-c", checker, "sh", name])?
            .status
            .success()
        {
            return Ok(Some(format!("{checker} accepts it")));
        }
    }
    Ok(None)
}

struct Case {
    name: &'static str,
    mib: usize,
    mkfs: &'static str,
    /// What the primary superblock takes.
    primary: Range<usize>,
    /// Scripts that succeed only when they find a superblock on `$1`, at least one of them also when it
    /// is a backup.
    checkers: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "ext4",
        mib: 48,
        mkfs: "mke2fs -q -t ext4 -b 1024 -d \"$2\" \"$1\"",
        primary: 1024..2048,
        checkers: &[
            "dumpe2fs -h \"$1\"",
            "dumpe2fs -h -o superblock=8193 \"$1\"",
            "e2fsck -fn \"$1\"",
        ],
    },
    Case {
        name: "ntfs",
        mib: 48,
        mkfs: "mkntfs -q -F -Q \"$1\"",
        primary: 0..512,
        // ntfsfix takes the backup only when it may write.
        checkers: &[
            "ntfsinfo -m \"$1\"",
            "ntfsfix -n \"$1\"",
            "tail -c 512 \"$1\" | grep -q NTFS",
        ],
    },
    Case {
        name: "xfs",
        mib: 64,
        // A folder becomes a description that mkfs.xfs understands.
        mkfs: r#"{ printf '%s\n' / '0 0' 'd--755 0 0'
            for f in "$2"/sub/*; do echo "${f##*/} ---644 0 0 $f"; done; echo '$'; } > "$1.proto"
            mkfs.xfs -q -f --unsupported -p "$1.proto" "$1""#,
        primary: 0..512,
        // It searches the whole device for a backup, and ends with 1 when it has found one.
        checkers: &[
            "xfs_repair -n -f \"$1\"",
            "xfs_repair -n -f \"$1\" 2>&1 | grep -q '^.*verified secondary superblock'",
        ],
    },
    Case {
        name: "btrfs",
        // Beyond 64 MiB there is a second superblock.
        mib: 80,
        mkfs: "mkfs.btrfs -q -f -M --rootdir \"$2\" \"$1\"; truncate -s 80M \"$1\"",
        primary: 0x1_0000..0x1_1000,
        checkers: &[
            "btrfs check --readonly \"$1\"",
            "btrfs check --readonly -s 1 \"$1\"",
        ],
    },
    Case {
        name: "fat32",
        mib: 48,
        mkfs: "mkfs.fat -F 32 -s 1 \"$1\"; mcopy -i \"$1\" -s \"$2\"/* ::",
        primary: 0..512,
        // The checker only compares with the backup; Windows and testdisk take it.
        checkers: &[
            "fsck.fat -n \"$1\"",
            "dd if=\"$1\" bs=512 skip=6 count=1 status=none | grep -q FAT32",
        ],
    },
    Case {
        name: "exfat",
        mib: 48,
        mkfs: "mkfs.exfat \"$1\"",
        primary: 0..12 * 512,
        checkers: &[
            "fsck.exfat -n \"$1\"",
            "dd if=\"$1\" bs=512 skip=12 count=1 status=none | grep -q EXFAT",
        ],
    },
];

/// A checker that finds nothing proves nothing: with its primary superblock gone, the backup must be seen.
fn checkers_find_backups(dir: &Path, case: &Case, whole: &[u8]) -> Result<()> {
    let mut bytes = whole.to_vec();
    bytes[case.primary.clone()].fill(0);
    let seen = looks_like(dir, &bytes, case.checkers)?;
    assert!(seen.is_some(), "{}: nobody sees the backup", case.name);
    Ok(())
}

fn prefixes_up_to_flushes(log: &[Event]) -> Vec<usize> {
    let flushes: Vec<usize> = log
        .iter()
        .enumerate()
        .filter(|(_, e)| **e == Event::Flush)
        .map(|(n, _)| n)
        .collect();
    assert!(
        flushes.len() >= 4,
        "wiped, data, withheld, superblocks: {}",
        flushes.len()
    );
    assert_eq!(
        flushes.last(),
        Some(&(log.len() - 1)),
        "nothing after the last flush"
    );
    flushes
}

/// How an image comes onto the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Whole,
    Pipe,
    Changed,
}

/// Replays the restore of `new` over `old`.
fn cut(dir: &Path, case: &Case, old: &[u8], new: &[u8], way: Way) -> Result<()> {
    let image = image_of(new)?;
    let native = Native::open(&image)?;
    let target = Memory::new(old.to_vec());
    let options = RestoreOptions {
        changed_only: way == Way::Changed,
        ..RestoreOptions::default()
    };
    if way == Way::Pipe {
        restore_pipe(image.as_slice(), &target, &options, &Silent)?;
    } else {
        restore(&native, &image, &target, &options, &Silent)?;
    }
    let log = target.take_log();
    let flushes = prefixes_up_to_flushes(&log);
    let (last, before) = flushes.split_last().expect("at least three");
    assert!(
        looks_like(dir, &replay(old, &log[..*last]), case.checkers)?.is_some(),
        "the restored volume is accepted"
    );
    // While what lies far from the head is wiped, the head tells what is there: the next run finds it again.
    let wiped = flushes[flushes.len() - 4];
    for end in before.iter().copied().filter(|end| *end < wiped) {
        let seen = looks_like(dir, &replay(old, &log[..end]), case.checkers)?;
        assert!(
            seen.is_some(),
            "{}: backups before their superblock",
            case.name
        );
    }
    // From then on, the old one is gone and the new one not there.
    let data_flush = before.last().expect("at least two");
    for end in before
        .iter()
        .copied()
        .filter(|end| *end >= wiped)
        .chain((wiped..*data_flush).step_by(log.len() / 4 + 1))
    {
        let seen = looks_like(dir, &replay(old, &log[..end]), case.checkers)?;
        assert_eq!(
            seen,
            None,
            "{} cut after {end} of {} events",
            case.name,
            log.len()
        );
    }
    // Between the wiping and the data flush the device may have done any of the writes.
    for keep in 0..3 {
        let some: Vec<Event> = log[..*data_flush]
            .iter()
            .enumerate()
            .filter(|(n, _)| *n <= wiped || n % 3 == keep)
            .map(|(_, event)| event.clone())
            .collect();
        let seen = looks_like(dir, &replay(old, &some), case.checkers)?;
        assert_eq!(seen, None, "{} with every third write only", case.name);
    }
    Ok(())
}

/// The volume with other content in some used blocks that are no superblock: a checker accepts it or not, `blkid` does.
fn touched(device: &[u8]) -> Result<Vec<u8>> {
    let volume = map(&device, &MapOptions::default())?.expect("a known file system");
    let mut bytes = device.to_vec();
    let size = volume.block_size as usize;
    let mut count = 0;
    for run in volume.used.runs() {
        for at in (run.start..run.start + run.count).map(|block| block as usize * size) {
            let block = &mut bytes[at..at + size];
            // Files hold one value over and over; free records are zero.
            if at > 1 << 20 && block.iter().all(|byte| *byte == block[0]) {
                block.fill(0x5A);
                count += 1;
            }
        }
    }
    assert!(count > 0, "nothing differs");
    Ok(bytes)
}

#[test]
fn an_interrupted_restore_never_looks_valid() -> Result<()> {
    if !have(&[
        "mke2fs",
        "e2fsck",
        "dumpe2fs",
        "mkntfs",
        "ntfsfix",
        "ntfsinfo",
        "blkid",
        "mkfs.xfs",
        "xfs_repair",
        "mkfs.btrfs",
        "btrfs",
        "mkfs.fat",
        "fsck.fat",
        "mcopy",
        "mkfs.exfat",
        "fsck.exfat",
    ]) {
        return Ok(());
    }
    // Over another file system, over the same kind with other content, over itself with other files; from a file, from a pipe, and
    // only what differs.
    let next = |n: usize| &CASES[(n + 1) % CASES.len()];
    let work = |n: usize| {
        let (case, dir) = (&CASES[n], tempfile::tempdir()?);
        let new = volume(dir.path(), case.name, case)?;
        checkers_find_backups(dir.path(), case, &new)?;
        let mut other = volume(dir.path(), "another", next(n))?;
        other.resize(new.len(), 0);
        cut(dir.path(), case, &other, &new, Way::Whole)?;
        let other = volume(dir.path(), "other", case)?;
        cut(dir.path(), case, &other, &new, Way::Pipe)?;
        cut(dir.path(), case, &other, &new, Way::Changed)?;
        cut(dir.path(), case, &touched(&new)?, &new, Way::Changed)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|first| scope.spawn(move || (first..CASES.len()).step_by(2).try_for_each(work)))
            .collect();
        let mut ends = workers
            .into_iter()
            .map(|worker| worker.join().expect("the assertions hold"));
        ends.try_for_each(|end| end)
    })
}

#[test]
fn regression_superblocks_wait_until_all_else_is_on_the_medium() -> Result<()> {
    if !have(&["mke2fs"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    // The backups of the old volume lie where the new one has data.
    let old = volume(dir.path(), "old", &CASES[0])?;
    let size = old.len();
    let new: Vec<u8> = (0..size).map(|n| (n % 251) as u8 + 1).collect();
    let raw = azud_image::fs::raw::map(new.len() as u64);
    let options = CaptureOptions {
        level: DEFAULT_LEVEL,
        base: None,
        lengths: None,
        facts: Facts::default(),
    };
    let content = DeviceContent::new(&new, &raw.used, raw.block_size);
    let mut image = Vec::new();
    capture(&raw, Vec::new(), content, &options, (&mut image, &Silent))?;
    let native = Native::open(&image)?;
    let target = Memory::new(old.clone());
    let options = RestoreOptions::default();
    restore(&native, &image, &target, &options, &Silent)?;
    let log = target.take_log();
    let flushes = prefixes_up_to_flushes(&log);
    let before = replay(&old, &log[..flushes[flushes.len() - 2]]);
    let edge = 128 << 10;
    assert!(
        before[edge..size - edge] == new[edge..size - edge],
        "data was still on its way when the superblocks came"
    );
    assert!(replay(&old, &log) == new);
    Ok(())
}
