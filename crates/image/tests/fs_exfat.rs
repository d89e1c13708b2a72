//! exFAT against mkfs.exfat, exfat-fuse, fsck.exfat, dump.exfat, blkid and partclone.
#![allow(clippy::single_range_in_vec_init, reason = "one range is meant")]

mod fat_common;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use azud_core::io::ReadAt;
use azud_image::fs::exfat::{guards, map, probe};
use azud_image::fs::{FsError, FsKind, MapOptions, Volume, fat, read_head};
use azud_testkit::loops::{Loop, Mount};
use azud_testkit::poison;
use azud_testkit::tools::{have, have_root, run, sh};
use azud_testkit::tree::{self, Picture};
use fat_common::{Disk, Random, assert_same, assert_sane, at_once, blkid, name, partclone, sparse};

const TOOLS: &[&str] = &[
    "mkfs.exfat",
    "fsck.exfat",
    "dump.exfat",
    "blkid",
    "partclone.exfat",
];

/// KiB and options of `mkfs.exfat`.
const CASES: &[(u64, &str)] = &[
    (12_000, "-c 512 -b 512"),
    (20_001, "-c 1K -L one"),
    (32_768, "-c 4K"),
    (40_000, "-c 32K -L áéíóú"),
    (60_000, "-c 128K"),
    (40_000, "-c 4K -b 512"),
    (50_000, "-c 64K --pack-bitmap"),
];

fn make(image: &Path, (kib, options): (u64, &str)) -> Result<()> {
    sparse(image, kib * 1024)?;
    sh(
        &format!("LC_ALL=C.UTF-8 mkfs.exfat {options} \"$1\""),
        &[name(image)],
    )?;
    Ok(())
}

fn map_file(path: &Path) -> Result<Volume, FsError> {
    map(&Disk::open(path), &MapOptions::default())
}

/// Mounts with exfat-fuse, runs a script there (`$2` is the mount, `$3` another directory), unmounts.
fn mounted(image: &Path, script: &str, dir: &Path) -> Result<()> {
    let device = Loop::attach(image)?;
    let mount = Mount::new(device.path(), Some("exfat-fuse"), "")?;
    sh(script, &[device.name(), name(mount.path()), name(dir)])?;
    mount.unmount()?;
    run("blockdev", &["--flushbufs", device.name()])?;
    Ok(())
}

/// Files in, a third of them out again, more in: free space is dirty and files are in pieces.
fn fill(image: &Path, dir: &Path, total: u64) -> Result<()> {
    let mut random = Random(total);
    let files = fat_common::tree(&dir.join("in"), total, &mut random)?;
    fat_common::tree(&dir.join("in/late"), total / 4, &mut random)?;
    let remove: Vec<String> = files
        .iter()
        .step_by(3)
        .map(|f| format!("rm \"$2\"/'{}'", f.display()))
        .collect();
    let script = format!(
        "cp -r \"$3\"/in/a \"$3\"/in/b \"$2\" && {} && cp -r \"$3\"/in/late \"$2\"",
        remove.join(" && ")
    );
    mounted(image, &script, dir)
}

fn extract(image: &Path, to: &Path) -> Result<Picture> {
    fs::create_dir_all(to)?;
    mounted(image, "cp -a \"$2\"/. \"$3\"", to)?;
    let mut all = tree::picture(to)?;
    all.remove(Path::new(""));
    Ok(all)
}

/// The number behind a text in what dump.exfat prints.
fn dumped(image: &Path, what: &str) -> Result<u64> {
    let output = run("dump.exfat", &[name(image)])?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text
        .lines()
        .find(|line| line.starts_with(what))
        .context(text.clone())?;
    Ok(line.rsplit([' ', '\t']).next().context("number")?.parse()?)
}

fn check_facts(image: &Path, volume: &Volume) -> Result<()> {
    assert_sane(volume);
    assert_eq!((volume.kind, volume.sector_size), (FsKind::ExFat, 512));
    assert_eq!(volume.label, blkid(image, "LABEL")?);
    assert_eq!(volume.uuid, blkid(image, "UUID")?);
    let heap = dumped(image, "Cluster Heap Offset")? * 512;
    let cluster = dumped(image, "Cluster size")?;
    let (total, free) = (
        dumped(image, "Total Clusters")?,
        dumped(image, "Free Clusters")?,
    );
    assert_eq!(
        u64::from(volume.block_size),
        1 << (4096 | heap | cluster).trailing_zeros()
    );
    assert_eq!(volume.used_bytes(), heap + (total - free) * cluster);
    assert_same(
        volume,
        &partclone("partclone.exfat", image)?,
        heap + total * cluster,
    );
    Ok(())
}

#[test]
fn filled_volumes_survive_a_poisoned_copy() -> Result<()> {
    if !have(TOOLS) || !have(&["mount.exfat-fuse"]) || !have_root() {
        return Ok(());
    }
    at_once(CASES, |case| {
        let dir = tempfile::tempdir()?;
        let image = dir.path().join("image");
        make(&image, *case)?;
        fill(&image, dir.path(), case.0 * 1024 / 4).context(case.1)?;
        let volume = map_file(&image).context(case.1)?;
        check_facts(&image, &volume).context(case.1)?;
        let copy = dir.path().join("copy");
        let used = (&volume.used, volume.block_size);
        poison::copy_used(&image, &copy, volume.device_size, used, &volume.tails)?;
        run("fsck.exfat", &["-n", name(&copy)])?;
        let before = extract(&image, &dir.path().join("before"))?;
        assert!(before.len() > 12);
        assert_eq!(
            before,
            extract(&copy, &dir.path().join("after"))?,
            "{}",
            case.1
        );
        Ok(())
    })
}

#[test]
fn sectors_of_4096_bytes() -> Result<()> {
    if !have(TOOLS) || !have_root() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let image = dir.path().join("image");
    sparse(&image, 40 << 20)?;
    let device = Loop::attach_with(&image, &["--sector-size", "4096"])?;
    run("mkfs.exfat", &["-c", "8K", device.name()])?;
    run("blockdev", &["--flushbufs", device.name()])?;
    drop(device);
    let volume = map_file(&image)?;
    assert_eq!((volume.sector_size, volume.block_size), (4096, 4096));
    let head = read_head(&Disk::open(&image))?;
    assert_eq!(guards(&head, 40 << 20), [0..49152, 49152..98304]);
    let theirs = partclone("partclone.exfat", &image)?;
    assert_same(&volume, &theirs, volume.minimum_size());
    Ok(())
}

/// A fresh volume in memory, with clusters of 4 KiB.
fn fresh() -> Result<Vec<u8>> {
    let dir = tempfile::tempdir()?;
    let image = dir.path().join("image");
    sparse(&image, 8 << 20)?;
    sh("mkfs.exfat -c 4K -b 16K \"$1\"", &[name(&image)])?;
    Ok(fs::read(&image)?)
}

fn map_bytes(bytes: &impl ReadAt) -> Result<Volume, FsError> {
    map(bytes, &MapOptions::default())
}

/// Makes the checksum of both boot regions right again.
fn seal(bytes: &mut [u8]) {
    let main = bytes[..11 * 512].to_vec();
    bytes[12 * 512..23 * 512].copy_from_slice(&main);
    let summed = main
        .iter()
        .enumerate()
        .filter(|(i, _)| !matches!(i, 106 | 107 | 112));
    let sum = summed.fold(0u32, |sum, (_, byte)| {
        sum.rotate_right(1).wrapping_add(u32::from(*byte))
    });
    for sector in [11, 23] {
        for word in bytes[sector * 512..(sector + 1) * 512].chunks_exact_mut(4) {
            word.copy_from_slice(&sum.to_le_bytes());
        }
    }
}

fn number(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four")) as usize
}

/// Byte offset of the root directory.
fn root_of(bytes: &[u8]) -> usize {
    number(bytes, 88) * 512 + (number(bytes, 96) - 2) * 4096
}

#[test]
fn flags_are_believed() -> Result<()> {
    if !have(TOOLS) {
        return Ok(());
    }
    let mut bytes = fresh()?;
    map_bytes(&bytes)?;
    bytes[106] = 2;
    let error = map_bytes(&bytes).expect_err("dirty");
    assert!(matches!(error, FsError::Dirty { .. }), "{error}");
    let remedy = error.remedy().expect("a remedy");
    assert!(remedy.contains("chkdsk X: /f") && remedy.contains("fsck.exfat -p DEVICE"));
    bytes[106] = 4;
    assert!(matches!(map_bytes(&bytes), Err(FsError::Corrupt { .. })));
    bytes[106] = 1;
    assert!(matches!(map_bytes(&bytes), Err(FsError::Corrupt { .. })));
    // The flag that asks for zeroed free space and the fill level are no reason to refuse.
    bytes[106] = 8;
    bytes[112] = 77;
    map_bytes(&bytes)?;
    Ok(())
}

#[test]
fn both_boot_regions_count() -> Result<()> {
    if !have(TOOLS) {
        return Ok(());
    }
    let clean = fresh()?;
    for at in [
        200,
        3 * 512 + 7,
        11 * 512 + 100,
        12 * 512 + 200,
        23 * 512 + 511,
    ] {
        let mut bytes = clean.clone();
        bytes[at] ^= 0x10;
        let error = map_bytes(&bytes).expect_err("a damaged region");
        assert!(error.to_string().contains("checksum"), "{at}: {error}");
    }
    let mut bytes = clean.clone();
    bytes[96] += 1;
    seal(&mut bytes);
    let other = bytes[..12 * 512].to_vec();
    bytes[..12 * 512].copy_from_slice(&clean[..12 * 512]);
    assert_eq!(other.len(), 12 * 512);
    let error = map_bytes(&bytes).expect_err("regions that differ");
    assert!(error.to_string().contains("different volumes"), "{error}");
    Ok(())
}

#[test]
fn what_is_not_understood_is_refused() -> Result<()> {
    if !have(TOOLS) {
        return Ok(());
    }
    let clean = fresh()?;
    let (root, heap) = (root_of(&clean), number(&clean, 88) * 512);
    let refused = |change: &dyn Fn(&mut Vec<u8>), what: &str| {
        let mut bytes = clean.clone();
        change(&mut bytes);
        seal(&mut bytes);
        let error = map_bytes(&bytes).expect_err(what);
        assert!(error.to_string().contains(what), "{error}");
    };
    refused(&|b| b[110] = 2, "TexFAT");
    refused(&|b| b[105] = 2, "revision 2");
    refused(&|b| b[109] = 20, "larger than 32 MiB");
    refused(&|b| b[92..96].fill(0xFF), "number of clusters");
    refused(&|b| b[94] = 1, "FAT is too small");
    refused(
        &|b| b[72..80].copy_from_slice(&(1u64 << 40).to_le_bytes()),
        "but the device only",
    );
    refused(&|b| b[72..80].fill(0xFF), "overflows");
    refused(&|b| b[80] = 1, "overlaps");
    refused(&|b| b[98] = 9, "root directory lies outside");
    refused(&|b| b[root + 32] = 0x85, "no allocation bitmap");
    refused(&|b| b[root + 33] = 1, "more than one");
    refused(&|b| b[root + 32 + 24] = 1, "are needed");
    refused(&|b| b[root + 32 + 22] = 1, "does not exist");
    // The bitmap lies in cluster 2: its first bits are for itself, the upcase table and the root.
    refused(&|b| b[heap] ^= 1, "allocation bitmap is marked free");
    Ok(())
}

#[test]
fn the_bitmap_is_followed_through_the_fat() -> Result<()> {
    if !have(TOOLS) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let image = dir.path().join("image");
    make(&image, (30_000, "-c 512 -b 16K"))?;
    let mut bytes = fs::read(&image)?;
    let before = map_bytes(&bytes)?;
    let (fat, heap) = (number(&bytes, 80) * 512, number(&bytes, 88) * 512);
    let at = |cluster: usize| heap + (cluster - 2) * 512;
    let link = |bytes: &mut [u8], from: usize, to: u32| {
        bytes[fat + from * 4..fat + from * 4 + 4].copy_from_slice(&to.to_le_bytes());
    };
    // The second cluster of the bitmap moves to 5000, whose bit is in it; the old place becomes garbage.
    let next = number(&bytes, fat + 8);
    assert_eq!(next, 3, "the bitmap has several clusters");
    bytes[at(2) + (5000 - 2) / 8 % 512] |= 0;
    let bit = 5000 - 2;
    let second = bytes[at(3)..at(4)].to_vec();
    bytes[at(5000)..at(5001)].copy_from_slice(&second);
    let holder = if bit / 8 < 512 { at(2) } else { at(5000) };
    bytes[holder + bit / 8 % 512] |= 1 << (bit % 8);
    bytes[at(3)..at(4)].fill(0xFF);
    let after = number(&bytes, fat + 12);
    link(&mut bytes, 2, 5000);
    link(&mut bytes, 5000, u32::try_from(after)?);
    let moved = map_bytes(&bytes)?;
    assert_eq!(moved.used.count(), before.used.count() + 1);
    link(&mut bytes, 5000, 2);
    let error = map_bytes(&bytes).expect_err("a circle");
    assert!(error.to_string().contains("circle"), "{error}");
    link(&mut bytes, 5000, 0xFFFF_FFFF);
    assert!(
        map_bytes(&bytes)
            .expect_err("too short")
            .to_string()
            .contains("ends after")
    );
    link(&mut bytes, 5000, 0);
    assert!(
        map_bytes(&bytes)
            .expect_err("broken")
            .to_string()
            .contains("leads to 0x0")
    );
    Ok(())
}

#[test]
fn probe_and_guards_know_exfat_only() -> Result<()> {
    if !have(TOOLS) || !have(&["mkntfs", "mkfs.fat"]) {
        return Ok(());
    }
    let bytes = fresh()?;
    assert!(probe(&bytes) && !fat::probe(&bytes));
    assert_eq!(guards(&bytes, 8 << 20), [0..6144, 6144..12288]);
    assert_eq!(guards(&bytes, 7000), vec![0..6144]);
    for script in ["mkntfs -F -Q -q \"$1\"", "mkfs.fat \"$1\"", "true"] {
        let dir = tempfile::tempdir()?;
        let image = dir.path().join("image");
        sparse(&image, 8 << 20)?;
        sh(script, &[name(&image)])?;
        let head = read_head(&Disk::open(&image))?;
        assert!(
            !probe(&head) && guards(&head, 8 << 20).is_empty(),
            "{script}"
        );
        assert!(
            matches!(map_file(&image), Err(FsError::Unsupported { .. })),
            "{script}"
        );
    }
    assert!(!probe(&[]) && !probe(&bytes[..511]));
    assert!(map_bytes(&bytes[..600].to_vec()).is_err() && map_bytes(&Vec::new()).is_err());
    Ok(())
}

#[test]
fn mutations_never_panic() -> Result<()> {
    if !have(TOOLS) {
        return Ok(());
    }
    let clean = fresh()?;
    let (fat, root) = (number(&clean, 80) * 512, root_of(&clean));
    let heap = number(&clean, 88) * 512;
    let mut random = Random(0xE0FA7);
    let mut accepted = 0;
    for _ in 0..2500 {
        let mut bytes = clean.clone();
        for _ in 0..=random.below(3) {
            let (start, len) = [(64, 50), (fat, 32), (root, 128), (heap, 64), (0, 16384)]
                [usize::try_from(random.below(5))?];
            let at = start + usize::try_from(random.below(len))?;
            let edge = [0, 1, 0x7F, 0x80, 0xFF][usize::try_from(random.below(5))?];
            bytes[at] = if random.below(2) == 0 {
                u8::try_from(random.below(256))?
            } else {
                edge
            };
        }
        if random.below(5) > 0 {
            seal(&mut bytes);
        }
        if random.below(12) == 0 {
            bytes.truncate(usize::try_from(random.below(60_000))?);
        }
        for guard in guards(&bytes, bytes.len() as u64) {
            assert!(guard.start < guard.end && guard.end <= bytes.len() as u64);
        }
        if let Ok(volume) = map_bytes(&bytes) {
            assert!(probe(&bytes));
            assert_sane(&volume);
            accepted += 1;
        }
    }
    assert!(
        (50..2400).contains(&accepted),
        "{accepted} accepted: the mutations test nothing"
    );
    Ok(())
}
