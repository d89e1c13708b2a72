//! A power cut at any moment of a restore leaves nothing that looks like a file system.
//!
//! The restore runs onto a device in memory that records every write; each prefix of the record up to a flush,
//! and samples between flushes with writes missing or out of order, are shown to `blkid` and to the
//! file system's own checker.
#![allow(clippy::cast_possible_truncation, reason = "sizes of test data")]

use std::path::Path;

use anyhow::Result;
use azud_core::format::index::Facts;
use azud_core::progress::Silent;
use azud_image::capture::{CaptureOptions, DeviceContent, capture, read_tails};
use azud_image::fs::{MapOptions, map};
use azud_image::restore::{RestoreOptions, restore, restore_pipe};
use azud_image::{DEFAULT_LEVEL, Native};
use azud_testkit::memory::{Event, Memory, replay};
use azud_testkit::tools::{have, run, run_any, sh};

const SIZE: usize = 48 << 20;

/// Makes a volume with `mkfs` (`$1` is the file) holding something.
fn volume(dir: &Path, name: &str, mkfs: &str) -> Result<Vec<u8>> {
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
    sh(&format!("truncate -s {SIZE} $1; {mkfs}"), &[file, tree])?;
    Ok(std::fs::read(file)?)
}

fn image_of(device: &[u8]) -> Result<Vec<u8>> {
    let volume = map(&device, &MapOptions::default())?.expect("a known file system");
    let content = DeviceContent::new(&device, &volume.used, volume.block_size);
    let options = CaptureOptions {
        level: DEFAULT_LEVEL,
        base: None,
        average: Some(64 << 10),
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

/// What `blkid` and the checkers make of a device.
fn looks_like(dir: &Path, bytes: &[u8], checkers: &[&str]) -> Result<Option<String>> {
    let file = dir.join("cut");
    std::fs::write(&file, bytes)?;
    let name = file.to_str().expect("UTF-8");
    let blkid = run_any("blkid", &["-p", name])?;
    if blkid.status.success() {
        return Ok(Some(String::from_utf8_lossy(&blkid.stdout).into_owned()));
    }
    for checker in checkers {
        let words: Vec<&str> = checker.split(' ').chain([name]).collect();
        let done = run_any(words[0], &words[1..])?;
        if done.status.success() {
            return Ok(Some(format!("{checker} accepts it")));
        }
    }
    Ok(None)
}

struct Case {
    name: &'static str,
    mkfs: &'static str,
    /// Commands that succeed only when they find a superblock, backups included.
    checkers: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "ext4",
        mkfs: "mke2fs -q -t ext4 -b 1024 -d \"$2\" \"$1\"",
        checkers: &[
            "dumpe2fs -h",
            "dumpe2fs -h -o superblock=8193",
            "e2fsck -fn",
        ],
    },
    Case {
        name: "ntfs",
        mkfs: "mkntfs -q -F -Q \"$1\"",
        checkers: &["ntfsinfo -m", "ntfsfix -n"],
    },
];

fn prefixes_up_to_flushes(log: &[Event]) -> Vec<usize> {
    let flushes: Vec<usize> = log
        .iter()
        .enumerate()
        .filter(|(_, e)| **e == Event::Flush)
        .map(|(n, _)| n)
        .collect();
    assert!(
        flushes.len() >= 3,
        "wiped, data, superblocks: {}",
        flushes.len()
    );
    assert_eq!(
        flushes.last(),
        Some(&(log.len() - 1)),
        "nothing after the last flush"
    );
    flushes
}

/// Replays the restore of `new` over `old`.
fn cut(dir: &Path, case: &Case, old: &[u8], new: &[u8], pipe: bool) -> Result<()> {
    let image = image_of(new)?;
    let native = Native::open(&image)?;
    let target = Memory::new(old.to_vec());
    if pipe {
        restore_pipe(
            image.as_slice(),
            &target,
            &RestoreOptions::default(),
            &Silent,
        )?;
    } else {
        restore(
            &native,
            &image,
            &target,
            &RestoreOptions::default(),
            &Silent,
        )?;
    }
    let log = target.take_log();
    let flushes = prefixes_up_to_flushes(&log);
    let (last, before) = flushes.split_last().expect("at least three");
    assert!(
        looks_like(dir, &replay(old, &log[..*last]), case.checkers)?.is_some(),
        "the restored volume is accepted"
    );
    // From the first flush on, the old one is gone and the new one not there.
    let data_flush = before.last().expect("at least two");
    for end in before
        .iter()
        .copied()
        .chain((flushes[0]..*data_flush).step_by(log.len() / 4 + 1))
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
    // Between the first and the data flush the device may have done any of the writes.
    for keep in 0..3 {
        let some: Vec<Event> = log[..*data_flush]
            .iter()
            .enumerate()
            .filter(|(n, _)| *n <= flushes[0] || n % 3 == keep)
            .map(|(_, event)| event.clone())
            .collect();
        let seen = looks_like(dir, &replay(old, &some), case.checkers)?;
        assert_eq!(seen, None, "{} with every third write only", case.name);
    }
    Ok(())
}

#[test]
fn an_interrupted_restore_never_looks_valid() -> Result<()> {
    if !have(&[
        "mke2fs", "e2fsck", "dumpe2fs", "mkntfs", "ntfsfix", "ntfsinfo", "blkid",
    ]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let volumes: Vec<Vec<u8>> = CASES
        .iter()
        .map(|case| volume(dir.path(), case.name, case.mkfs))
        .collect::<Result<_>>()?;
    for (n, case) in CASES.iter().enumerate() {
        // Over another file system, over the same kind with other content, from a file and from a pipe.
        cut(
            dir.path(),
            case,
            &volumes[(n + 1) % CASES.len()],
            &volumes[n],
            false,
        )?;
        let other = volume(dir.path(), "other", case.mkfs)?;
        cut(dir.path(), case, &other, &volumes[n], true)?;
    }
    run(
        "rm",
        &["-rf", dir.path().join("tree").to_str().expect("UTF-8")],
    )?;
    Ok(())
}

#[test]
fn regression_superblocks_wait_until_all_else_is_on_the_medium() -> Result<()> {
    if !have(&["mke2fs"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    // The backups of the old volume lie where the new one has data.
    let old = volume(dir.path(), "old", CASES[0].mkfs)?;
    let new: Vec<u8> = (0..SIZE).map(|n| (n % 251) as u8 + 1).collect();
    let raw = azud_image::fs::raw::map(new.len() as u64);
    let options = CaptureOptions {
        level: DEFAULT_LEVEL,
        base: None,
        average: None,
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
        before[edge..SIZE - edge] == new[edge..SIZE - edge],
        "data was still on its way when the superblocks came"
    );
    assert!(replay(&old, &log) == new);
    Ok(())
}
