//! btrfs volumes changed by hand: profiles that `mkfs.btrfs` does not make, unknown features, damage.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use azud_image::fs::{FsError, MapOptions, Volume, btrfs};
use azud_testkit::tools::{have, have_root, run};
use xfs_btrfs::{Dice, FileDevice, Mutated, fill, sparse, text, with_mounted};

mod xfs_btrfs;

const TOOLS: [&str; 2] = ["mkfs.btrfs", "btrfs"];
const SUPERBLOCK: usize = 64 << 10;
const DUP: u64 = 1 << 5;

fn mkfs(image: &Path, options: &str) {
    let mut args: Vec<&str> = options.split_whitespace().collect();
    args.extend(["-q", "-f", text(image)]);
    run("mkfs.btrfs", &args).unwrap();
}

fn map(image: &Path) -> Result<Volume, FsError> {
    btrfs::map(&FileDevice::open(image), &MapOptions::default())
}

fn u64_at(raw: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(raw[at..at + 8].try_into().unwrap())
}

fn u32_at(raw: &[u8], at: usize) -> usize {
    usize::try_from(u32::from_le_bytes(raw[at..at + 4].try_into().unwrap())).unwrap()
}

/// Makes the CRC of a superblock or tree block right again.
fn mend(block: &mut [u8]) {
    let sum = crc32c::crc32c(&block[32..]);
    block[..32].fill(0);
    block[..4].copy_from_slice(&sum.to_le_bytes());
}

/// Where valid tree blocks are, whether they are in use or not.
fn tree_blocks(raw: &[u8]) -> Vec<(usize, usize)> {
    let size = u32_at(raw, SUPERBLOCK + 0x94);
    let fsid = &raw[SUPERBLOCK + 32..SUPERBLOCK + 48];
    let valid = |at: &usize| {
        let Some(block) = raw.get(*at..at + size) else {
            return false;
        };
        &block[32..48] == fsid && u32_at(block, 0) == crc32c::crc32c(&block[32..]) as usize
    };
    (1 << 20..raw.len())
        .step_by(4096)
        .filter(valid)
        .map(|at| (at, size))
        .collect()
}

/// Changes the profile of every chunk that has a wanted one, in the chunk tree and in the superblock.
fn change_profile(raw: &mut [u8], from: u64, to: u64) -> usize {
    let mut changed = 0;
    let mut change = |flags: &mut [u8]| {
        let old = u64_at(flags, 0);
        if old & from != 0 {
            flags.copy_from_slice(&(old & !from | to).to_le_bytes());
            changed += 1;
        }
    };
    for (at, size) in tree_blocks(raw) {
        let block = &mut raw[at..at + size];
        if u64_at(block, 88) == 3 && block[100] == 0 {
            for item in 0..u32_at(block, 96) {
                let entry = 101 + item * 25;
                if block[entry + 8] == 228 {
                    let flags = 101 + u32_at(block, entry + 17) + 24;
                    change(&mut block[flags..flags + 8]);
                }
            }
            mend(block);
        }
    }
    let block = &mut raw[SUPERBLOCK..SUPERBLOCK + 4096];
    let mut at = 0x32B;
    let end = at + u32_at(block, 0xA0);
    while at < end {
        change(&mut block[at + 17 + 24..at + 17 + 32]);
        at += 17 + 48 + 32 * usize::from(block[at + 17 + 44]);
    }
    mend(block);
    changed
}

#[test]
fn sys_raid1_on_one_device_is_mapped_and_stripes_are_refused() {
    if !have(&TOOLS) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = sparse(dir.path(), "volume", 128);
    mkfs(&image, "-m dup");
    let original = fs::read(&image).unwrap();
    let whole = map(&image).unwrap();
    let options = MapOptions::default();
    for (to, name) in [
        (1 << 4, ""),
        (1 << 3, "RAID0"),
        (1 << 6, "RAID10"),
        (1 << 7, "RAID5"),
        (1 << 8, "RAID6"),
        (1 << 9, "0x200"),
    ] {
        let mut raw = original.clone();
        assert!(change_profile(&mut raw, DUP, to) >= 3);
        match btrfs::map(&raw, &options) {
            Ok(volume) => assert_eq!((volume.used, name), (whole.used.clone(), "")),
            Err(error) => {
                assert!(matches!(error, FsError::Unsupported { .. }), "{error}");
                assert!(
                    error.to_string().contains(name) && !name.is_empty(),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn sys_what_is_not_understood_is_refused() {
    if !have(&TOOLS) || !have(&["btrfstune"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (
        sparse(dir.path(), "one", 128),
        sparse(dir.path(), "two", 128),
    );
    run(
        "mkfs.btrfs",
        &[
            "-q",
            "-f",
            "-m",
            "raid1",
            "-d",
            "raid1",
            text(&one),
            text(&two),
        ],
    )
    .unwrap();
    assert!(matches!(
        map(&one).unwrap_err(),
        FsError::Unsupported { .. }
    ));
    mkfs(&one, "");
    let original = fs::read(&one).unwrap();
    run("btrfstune", &["-S", "1", text(&one)]).unwrap();
    assert!(map(&one).unwrap_err().to_string().contains("seed"));
    // Zoned, extent tree v2, stripe tree, unknown, unknown read-only, metadata dump, error flag.
    for (at, bit, corrupt) in [
        (0xBD, 0x10, false),
        (0xBD, 0x20, false),
        (0xBD, 0x40, false),
        (0xC0, 1, false),
        (0xB4, 0x10, false),
        (60, 2, false),
        (56, 4, true),
    ] {
        let mut raw = original.clone();
        raw[SUPERBLOCK + at] |= bit;
        mend(&mut raw[SUPERBLOCK..SUPERBLOCK + 4096]);
        let error = btrfs::map(&raw, &MapOptions::default()).unwrap_err();
        assert_eq!(matches!(error, FsError::Corrupt { .. }), corrupt, "{error}");
        assert_eq!(
            matches!(error, FsError::Unsupported { .. }),
            !corrupt,
            "{error}"
        );
    }
}

#[test]
fn sys_a_superblock_that_contradicts_is_refused() {
    if !have(&TOOLS) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = sparse(dir.path(), "volume", 128);
    mkfs(&image, "");
    let original = fs::read(&image).unwrap();
    let short = original[..original.len() - 4096].to_vec();
    assert!(matches!(
        btrfs::map(&short, &MapOptions::default()),
        Err(FsError::Corrupt { .. })
    ));
    let mut raw = original;
    raw[SUPERBLOCK + 0x78] ^= 0x10;
    assert!(
        matches!(
            btrfs::map(&raw, &MapOptions::default()),
            Err(FsError::Corrupt { .. })
        ),
        "checksum"
    );
    mend(&mut raw[SUPERBLOCK..SUPERBLOCK + 4096]);
    assert!(
        btrfs::map(&raw, &MapOptions::default())
            .unwrap_err()
            .to_string()
            .contains("counts")
    );
}

/// One of two copies damaged: the other one is read, as the kernel does.
#[test]
fn sys_a_damaged_copy_is_passed_over() {
    if !have(&TOOLS) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = sparse(dir.path(), "volume", 128);
    mkfs(&image, "-m dup");
    let raw = fs::read(&image).unwrap();
    let whole = map(&image).unwrap();
    let blocks = tree_blocks(&raw);
    let mut one_copy = raw.clone();
    let mut both = raw.clone();
    let mut seen = std::collections::BTreeSet::new();
    for (at, size) in blocks {
        if seen.insert(u64_at(&raw, at + 48)) {
            one_copy[at + 200..at + size].fill(0x5A);
        }
        both[at + 200..at + size].fill(0x5A);
    }
    assert_eq!(
        btrfs::map(&one_copy, &MapOptions::default()).unwrap().used,
        whole.used
    );
    assert!(matches!(
        btrfs::map(&both, &MapOptions::default()),
        Err(FsError::Corrupt { .. })
    ));
}

#[test]
fn sys_mutated_metadata_never_panics_nor_changes_a_map_behind_a_checksum() {
    if !have(&TOOLS) || !have_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (options, mib, seed) in [("-m single -n 4096", 112, 21), ("-m dup", 128, 22)] {
        let image = sparse(dir.path(), "volume", mib);
        mkfs(&image, options);
        with_mounted(&image, "", |root| fill(root, 600, &mut Dice::new(seed)));
        let raw = fs::read(&image).unwrap();
        let whole = map(&image).unwrap();
        // Of the trees: chunk, root and extent tree are read, the others are not.
        let mut places: Vec<(usize, usize)> = tree_blocks(&raw)
            .into_iter()
            .filter(|(at, _)| (1..=3).contains(&u64_at(&raw, at + 88)))
            .collect();
        let generation = u64_at(&raw, SUPERBLOCK + 0x48);
        places
            .retain(|(at, _)| u64_at(&raw, at + 80) + 2 > generation || u64_at(&raw, at + 88) == 3);
        places.extend([(SUPERBLOCK, 4096); 4]);
        let mut dice = Dice::new(seed);
        let (mut refused, mut other) = (0, 0);
        let begin = Instant::now();
        for round in 0..2500 {
            let mended = round % 3 != 0;
            let mutated = Mutated::new(&raw, &places, &mut dice, |block| {
                if mended {
                    mend(block);
                }
            });
            match btrfs::map(&mutated, &MapOptions::default()) {
                Err(_) => refused += 1,
                Ok(volume) if !mended => assert_eq!(volume.used, whole.used, "round {round}"),
                Ok(volume) => other += u64::from(volume.used != whole.used),
            }
        }
        writeln!(
            std::io::stderr(),
            "{options}: {refused} of 2500 refused, {other} other maps in {:?}",
            begin.elapsed()
        )
        .unwrap();
        assert!(refused > 200 && other <= 25 && begin.elapsed() < Duration::from_mins(2));
    }
}
