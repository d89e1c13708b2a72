//! What the tests of FAT and exFAT share.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use azud_core::bitmap::Bitmap;
use azud_core::io::ReadAt;
use azud_image::fs::Volume;
use azud_testkit::tools::{run, run_any};

/// A file as a device.
pub struct Disk(File);

impl Disk {
    pub fn open(path: &Path) -> Self {
        Self(File::open(path).expect("the test made it"))
    }
}

impl ReadAt for Disk {
    fn len(&self) -> u64 {
        self.0.metadata().map_or(0, |meta| meta.len())
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }
}

/// Small, fast and always the same.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut all: Vec<u8> = Vec::with_capacity(len + 8);
        while all.len() < len {
            all.extend(self.next().to_le_bytes());
        }
        all.truncate(len);
        all
    }
}

pub fn name(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// A file of zeros that takes no space.
pub fn sparse(path: &Path, len: u64) -> Result<()> {
    Ok(File::create(path)?.set_len(len)?)
}

/// Puts files `0`, `1` … of random content into directories `a` and `b` below `root`; `total` bytes in all, about.
pub fn tree(root: &Path, total: u64, random: &mut Random) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut written = 0;
    for dir in ["a", "b"] {
        fs::create_dir_all(root.join(dir))?;
    }
    while written < total {
        let len = random.below(total / 12) + random.below(700);
        let dir = if files.len() % 2 == 0 { "a" } else { "b" };
        let file = PathBuf::from(dir).join(format!("{} {len:x}.dat", files.len()));
        fs::write(root.join(&file), random.bytes(usize::try_from(len)?))?;
        files.push(file);
        written += len;
    }
    Ok(files)
}

/// Type, label and UUID as `blkid` sees them.
pub fn blkid(path: &Path, tag: &str) -> Result<Option<String>> {
    let output = run_any("blkid", &["-p", "-o", "value", "-s", tag, name(path)])?;
    let value = String::from_utf8(output.stdout)?.trim_end().to_owned();
    Ok((!value.is_empty()).then_some(value))
}

/// Makes an image with partclone and gives back its bitmap and block size.
pub fn partclone(program: &str, source: &Path) -> Result<(Bitmap, u32)> {
    let dir = tempfile::tempdir()?;
    let (image, log) = (dir.path().join("image"), dir.path().join("log"));
    let (image_name, log_name) = (name(&image), name(&log));
    run(
        program,
        &[
            "-c",
            "-a0",
            "-q",
            "-s",
            name(source),
            "-o",
            image_name,
            "-L",
            log_name,
        ],
    )?;
    let bytes = fs::read(&image)?;
    let blocks = u64::from_le_bytes(bytes[60..68].try_into()?);
    let len = usize::try_from(blocks.div_ceil(8))?;
    let map = Bitmap::from_bytes(&bytes[110..110 + len], blocks).context("bitmap")?;
    Ok((map, u32::from_le_bytes(bytes[84..88].try_into()?)))
}

/// Fails unless both maps mean the same bytes up to `end`, and ours none behind it.
pub fn assert_same(ours: &Volume, (theirs, block): &(Bitmap, u32), end: u64) {
    assert!(theirs.len() * u64::from(*block) >= end);
    let last = ours.used.last_used().map_or(0, |last| last + 1);
    assert!(last * u64::from(ours.block_size) <= end);
    assert!(ours.tails.iter().all(|tail| tail.end <= end));
    for at in (0..end).step_by(512) {
        let us = ours.used.get(at / u64::from(ours.block_size))
            || ours.tails.iter().any(|t| t.contains(&at));
        let them = theirs.get(at / u64::from(*block));
        assert_eq!(us, them, "byte {at}: ours {us}, partclone {them}");
    }
}

/// What every map must hold to, however odd the volume.
pub fn assert_sane(volume: &Volume) {
    let end = volume.used.len() * u64::from(volume.block_size);
    assert!(volume.block_size.is_power_of_two() && volume.block_size >= 512);
    assert!(end <= volume.device_size);
    for tail in &volume.tails {
        assert!(tail.start >= end && tail.start < tail.end && tail.end <= volume.device_size);
    }
}

/// partclone takes its seconds, mostly asleep: three cases at a time.
pub fn at_once<T: Sync>(cases: &[T], test: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            test(case)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..3).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("the test's assertions"))
    })
}

/// Byte offset of each FAT and length of one, from the boot sector.
pub fn tables(head: &[u8]) -> (Vec<usize>, usize) {
    let short = |at: usize| usize::from(u16::from_le_bytes([head[at], head[at + 1]]));
    let sector = short(11);
    let len = if short(22) == 0 { short(36) } else { short(22) } * sector;
    let start = short(14) * sector;
    (
        (0..usize::from(head[16]))
            .map(|i| start + i * len)
            .collect(),
        len,
    )
}
