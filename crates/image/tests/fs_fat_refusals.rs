//! What FAT maps refuse, what they ignore, and what hostile boot sectors do to them: nothing.
#![allow(clippy::single_range_in_vec_init, reason = "one range is meant")]

mod fat_common;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use azud_image::fs::fat::{guards, map, probe};
use azud_image::fs::{FsError, FsKind, MapOptions, Volume, read_head};
use azud_testkit::tools::{have, sh};
use fat_common::{Disk, Random, assert_sane, name, sparse, tables};

const TOOLS: &[&str] = &["mkfs.fat"];

fn map_file(path: &Path) -> Result<Volume, FsError> {
    map(&Disk::open(path), &MapOptions::default())
}

fn samples() -> Result<Vec<(FsKind, tempfile::TempDir, PathBuf)>> {
    let all = [
        (FsKind::Fat12, "-F12 -s1", 1440),
        (FsKind::Fat16, "-F16 -s1", 4000),
        (FsKind::Fat32, "-F32 -s8", 4000),
    ];
    all.into_iter()
        .map(|(kind, options, kib)| {
            let dir = tempfile::tempdir()?;
            let image = dir.path().join("image");
            sparse(&image, kib * 1024)?;
            sh(&format!("mkfs.fat {options} \"$1\""), &[name(&image)])?;
            Ok((kind, dir, image))
        })
        .collect()
}

#[test]
fn dirty_volumes_are_refused_with_the_remedy() -> Result<()> {
    if !have(TOOLS) {
        return Ok(());
    }
    for (kind, _dir, image) in samples()? {
        let clean = fs::read(&image)?;
        let (fats, _) = tables(&clean);
        let mut bits = vec![
            (if kind == FsKind::Fat32 { 0x41 } else { 0x25 }, 1),
            (if kind == FsKind::Fat32 { 0x41 } else { 0x25 }, 2),
        ];
        match kind {
            FsKind::Fat16 => bits.extend([(fats[0] + 3, 0x80), (fats[0] + 3, 0x40)]),
            FsKind::Fat32 => bits.extend([(fats[0] + 7, 0x08), (fats[0] + 7, 0x04)]),
            _ => {}
        }
        for (at, bit) in bits {
            let mut dirty = clean.clone();
            dirty[at] ^= bit;
            let error = map(&dirty, &MapOptions::default()).expect_err("dirty");
            assert!(
                matches!(error, FsError::Dirty { .. }),
                "{kind:?} {at:#x}: {error}"
            );
            let remedy = error.remedy().expect("a remedy");
            assert!(remedy.contains("chkdsk X: /f") && remedy.contains("fsck.vfat -a DEVICE"));
        }
    }
    Ok(())
}

#[test]
fn tables_that_differ_are_refused_unless_they_are_no_mirrors() -> Result<()> {
    if !have(TOOLS) {
        return Ok(());
    }
    for (kind, _dir, image) in samples()? {
        let mut bytes = fs::read(&image)?;
        let volume = map(&bytes, &MapOptions::default())?;
        let (used, cluster) = (
            volume.used,
            u64::from(bytes[13]) * 512 / u64::from(volume.block_size),
        );
        let (fats, _) = tables(&bytes);
        bytes[fats[1] + 40] = 0xFF;
        let error = map(&bytes, &MapOptions::default()).expect_err("differs");
        assert!(
            matches!(error, FsError::Corrupt { .. }),
            "{kind:?}: {error}"
        );
        if kind == FsKind::Fat32 {
            bytes[40] = 0x80;
            assert_eq!(map(&bytes, &MapOptions::default())?.used, used);
            bytes[40] = 0x81;
            assert_eq!(
                map(&bytes, &MapOptions::default())?.used.count(),
                used.count() + cluster
            );
            bytes[40] = 0x82;
            assert!(matches!(
                map(&bytes, &MapOptions::default()),
                Err(FsError::Corrupt { .. })
            ));
            bytes[40] = 0;
            bytes[fats[1] + 40] = 0;
            // The four bits above the 28 of an entry say nothing.
            bytes[fats[0] + 43] = 0xF0;
            assert_eq!(map(&bytes, &MapOptions::default())?.used, used);
        }
    }
    Ok(())
}

#[test]
fn a_stale_free_count_changes_only_the_claim() -> Result<()> {
    if !have(TOOLS) {
        return Ok(());
    }
    let (_, _dir, image) = samples()?.pop().context("FAT32 is the last")?;
    let mut bytes = fs::read(&image)?;
    let volume = map(&bytes, &MapOptions::default())?;
    assert_eq!(volume.claimed_used, volume.used.count());
    bytes[512 + 488] ^= 1;
    let stale = map(&bytes, &MapOptions::default())?;
    assert_eq!(stale.used, volume.used);
    assert_ne!(stale.claimed_used, volume.claimed_used);
    bytes[512 + 488..512 + 492].fill(0xFF);
    assert_eq!(
        map(&bytes, &MapOptions::default())?.claimed_used,
        volume.claimed_used
    );
    Ok(())
}

#[test]
fn only_fat_is_taken_for_fat() -> Result<()> {
    if !have(TOOLS) || !have(&["mkntfs", "mkfs.exfat", "mke2fs", "sfdisk"]) {
        return Ok(());
    }
    let others = [
        "mkntfs -F -Q -q \"$1\"",
        "mkfs.exfat \"$1\"",
        "mke2fs -q -F \"$1\"",
        "echo 'start=2048, type=c' | sfdisk -q \"$1\"",
        "echo 'start=2048' | sfdisk -q -X gpt \"$1\"",
        "head -c 1M /dev/urandom > \"$1\"",
        "true",
    ];
    for script in others {
        let dir = tempfile::tempdir()?;
        let image = dir.path().join("image");
        sparse(&image, 16 << 20)?;
        sh(script, &[name(&image)])?;
        let head = read_head(&Disk::open(&image))?;
        assert!(
            !probe(&head) && guards(&head, 16 << 20).is_empty(),
            "{script}"
        );
        assert!(
            matches!(map_file(&image), Err(FsError::Unsupported { .. })),
            "{script}"
        );
    }
    for (_, _dir, image) in samples()? {
        let mut head = read_head(&Disk::open(&image))?;
        assert!(probe(&head));
        head[3..11].copy_from_slice(b"-FVE-FS-");
        assert!(!probe(&head), "BitLocker");
        assert!(!probe(&head[..511]) && !probe(&[]));
    }
    Ok(())
}

#[test]
fn guards_name_the_boot_sectors() -> Result<()> {
    if !have(TOOLS) {
        return Ok(());
    }
    for (kind, _dir, image) in samples()? {
        let mut head = read_head(&Disk::open(&image))?;
        let size = fs::metadata(&image)?.len();
        if kind == FsKind::Fat32 {
            assert_eq!(guards(&head, size), [0..512, 3072..3584]);
            head[50] = 9;
            assert_eq!(guards(&head, size), [0..512, 4608..5120, 3072..3584]);
            assert_eq!(guards(&head, 1000), vec![0..512]);
        } else {
            assert_eq!(guards(&head, size), vec![0..512]);
        }
    }
    Ok(())
}

#[test]
fn sizes_that_cannot_be_are_refused() -> Result<()> {
    if !have(TOOLS) {
        return Ok(());
    }
    for (kind, _dir, image) in samples()? {
        let whole = fs::read(&image)?;
        let short = whole[..whole.len() - 512].to_vec();
        assert!(
            matches!(
                map(&short, &MapOptions::default()),
                Err(FsError::Corrupt { .. })
            ),
            "{kind:?}"
        );
        // Behind the volume the device may go on: that is not used.
        let mut long = whole.clone();
        long.resize(whole.len() + 5000, 0xA5);
        let volume = map(&long, &MapOptions::default())?;
        assert_eq!(volume.used, map(&whole, &MapOptions::default())?.used);
        assert!(volume.tails.is_empty());
    }
    Ok(())
}

/// The boot sector of a FAT32 of nearly 2 TiB with odd data, and nothing else: every other byte is zero.
struct Huge(Vec<u8>);

impl azud_core::io::ReadAt for Huge {
    fn len(&self) -> u64 {
        0xFFFF_FFFF * 512
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<()> {
        let start = self
            .0
            .len()
            .min(usize::try_from(offset).unwrap_or(usize::MAX));
        let have = &self.0[start..];
        let len = have.len().min(buf.len());
        buf[..len].copy_from_slice(&have[..len]);
        buf[len..].fill(0);
        Ok(())
    }
}

#[test]
fn two_tebibytes_with_odd_data_need_little_memory() -> Result<()> {
    let mut boot = vec![0; 512 * 40];
    boot[..11].copy_from_slice(b"\xEB\x58\x90MSWIN4.1");
    // 512 bytes, 64 sectors a cluster, 33 reserved, two FATs of 524,288 sectors, root at 2.
    boot[11..17].copy_from_slice(&[0, 2, 64, 33, 0, 2]);
    boot[21] = 0xF8;
    boot[32..36].fill(0xFF);
    boot[36..40].copy_from_slice(&524_288u32.to_le_bytes());
    boot[44] = 2;
    boot[510..512].copy_from_slice(&[0x55, 0xAA]);
    let entries: Vec<u8> = [0x0FFF_FFF8u32, 0x0FFF_FFFF, 0x0FFF_FFFF]
        .iter()
        .flat_map(|e| e.to_le_bytes())
        .collect();
    boot[33 * 512..33 * 512 + 12].copy_from_slice(&entries);
    let mut one = boot.clone();
    one[16] = 1;
    let volume = map(&Huge(one), &MapOptions::default())?;
    assert_eq!(volume.block_size, 4096);
    assert!(volume.used.len() <= 1 << 29);
    // 33 reserved sectors, the FAT and one cluster, rounded up to whole blocks.
    assert_eq!(
        volume.used.count(),
        (33 * 512 + 524_288 * 512 + 64 * 512u64).div_ceil(4096)
    );
    Ok(())
}

#[test]
fn mutations_never_panic() -> Result<()> {
    if !have(TOOLS) {
        return Ok(());
    }
    for (_, _dir, image) in samples()? {
        let clean = fs::read(&image)?;
        let mut random = Random(0xFA7);
        let mut accepted = 0;
        for _ in 0..1000 {
            let mut bytes = clean.clone();
            for _ in 0..=random.below(4) {
                let limit = if random.below(4) == 0 { 64 * 1024 } else { 92 };
                let at = usize::try_from(random.below(limit))?;
                bytes[at] = if random.below(2) == 0 {
                    u8::try_from(random.below(256))?
                } else {
                    [0, 1, 0x7F, 0x80, 0xFF][usize::try_from(random.below(5))?]
                };
            }
            if random.below(10) == 0 {
                bytes.truncate(usize::try_from(random.below(70_000))?);
            }
            let head = &bytes[..bytes.len().min(128 * 1024)];
            for guard in guards(head, bytes.len() as u64) {
                assert!(guard.start < guard.end && guard.end <= bytes.len() as u64);
            }
            if let Ok(volume) = map(&bytes, &MapOptions::default()) {
                assert!(probe(head));
                assert_sane(&volume);
                accepted += 1;
            }
        }
        assert!(
            (10..990).contains(&accepted),
            "{accepted} accepted: the mutations test nothing"
        );
    }
    Ok(())
}
