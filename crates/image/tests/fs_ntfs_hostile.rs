//! NTFS metadata that mkntfs and ntfs-3g do not make: rare, contradictory, hostile.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests")]

mod ntfs_kit;

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use azud_core::io::ReadAt;
use azud_image::fs::{FsError, MapOptions, ntfs, read_head};
use ntfs_kit::{Image, Random, by_partclone, fill, make, make_holes, noise, ready, with_mounted};

const KEEP: MapOptions = MapOptions {
    keep_pagefile: true,
};
const LEAVE: MapOptions = MapOptions {
    keep_pagefile: false,
};

fn fresh(cluster: u32, mib: u64) -> Image {
    let dir = tempfile::tempdir().unwrap();
    Image::read(&make(dir.path(), cluster, mib))
}

/// Asserts damage whose description contains `what`.
fn corrupt(image: &Image, what: &str) {
    match ntfs::map(&image.0, &LEAVE) {
        Err(FsError::Corrupt { what: found, .. }) if found.contains(what) => {}
        other => panic!("{what}: {other:?}"),
    }
}

fn agrees_with_partclone(image: &Image) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("image");
    fs::write(&file, &image.0).unwrap();
    let volume = ntfs::map(&image.0, &KEEP).unwrap();
    assert_eq!((volume.block_size, volume.used), by_partclone(&file));
}

/// The header of an attribute without a name in clusters.
fn elsewhere(first: u64, last: u64, sizes: u64, pairs: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x40, 0, 0, 0, 1, 0];
    bytes.extend(first.to_le_bytes());
    bytes.extend(last.to_le_bytes());
    bytes.extend([0x40, 0, 0, 0, 0, 0, 0, 0]);
    for size in [sizes.next_multiple_of(512), sizes, sizes] {
        bytes.extend(size.to_le_bytes());
    }
    bytes.extend(pairs);
    pad(bytes)
}

/// A resident attribute without a name.
fn resident(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 24, 0, 0, 0, 3, 0];
    bytes.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
    bytes.extend([24, 0, 0, 0]);
    bytes.extend(value);
    pad(bytes)
}

fn pad(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let len = u32::try_from(bytes.len()).unwrap();
    bytes[4..8].copy_from_slice(&len.to_le_bytes());
    bytes
}

fn line(kind: u8, first: u64, record: u64, id: u8) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0, 32, 0, 0, 26];
    bytes.extend(first.to_le_bytes());
    bytes.extend(record.to_le_bytes());
    bytes.extend([id, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// `len` clusters at `start`, then the end.
fn pairs(len: u8, start: usize) -> Vec<u8> {
    let start = u32::try_from(start).unwrap().to_le_bytes();
    vec![0x41, len, start[0], start[1], start[2], start[3], 0]
}

/// `$Bitmap` in two pieces, the second described by record 20.
fn scattered_bitmap() -> Image {
    let mut image = fresh(512, 24);
    let run = image.first_run(6, 0x80);
    let (start, count) = (run.start / 512, run.len() / 512);
    assert!(count > 8);
    let old = image.attributes(6);
    let bytes = image.attribute(6, 0x80).start + 48;
    let size = u64::from_le_bytes(image.0[bytes..bytes + 8].try_into().unwrap());
    let (own, other) = ((6 << 48) | 0x06, (20 << 48) | 0x14);
    let lines = [
        line(0x10, 0, own, 0),
        line(0x30, 0, own, 2),
        line(0x80, 0, own, 1),
        line(0x80, 5, other, 1),
    ];
    let list = resident(0x20, &lines.concat());
    let head = elsewhere(0, 4, size, &pairs(5, start));
    image.lay(6, 0, &[old[0].clone(), list, old[1].clone(), head]);
    let rest = u8::try_from(count - 5).unwrap();
    image.lay(
        20,
        own,
        &[elsewhere(5, count as u64 - 1, 0, &pairs(rest, start + 5))],
    );
    image
}

#[test]
fn a_bitmap_with_an_attribute_list() {
    if !ready() {
        return;
    }
    let image = scattered_bitmap();
    agrees_with_partclone(&image);
    let reused = image.record(20).start + 16;
    let mut other = image.clone();
    other.0[reused] += 1;
    corrupt(&other, "another file's");
    let mut other = image.clone();
    let base = image.record(20).start + 32;
    other.0[base] = 7;
    corrupt(&other, "does not continue");
    let mut gap = image.clone();
    let first = gap.attribute(20, 0x80).start + 16;
    gap.0[first] = 6;
    corrupt(&gap, "a list promises");
}

#[test]
fn a_resident_bitmap() {
    if !ready() {
        return;
    }
    let mut image = fresh(65536, 24);
    let run = image.first_run(6, 0x80);
    let bits = image.0[run.start..run.start + 48].to_vec();
    let mut attributes = image.attributes(6);
    attributes[2] = resident(0x80, &bits);
    image.lay(6, 0, &attributes);
    // With clusters of this size the mirror has this record, too, and partclone compares them.
    let mirror = image.first_run(1, 0x80).start + 6 * 1024;
    let record = image.record(6);
    image.0.copy_within(record, mirror);
    agrees_with_partclone(&image);
    attributes[2] = resident(0x80, &bits[..40]);
    image.lay(6, 0, &attributes);
    corrupt(&image, "$Bitmap has 40 bytes");
}

#[test]
fn contradictions_are_found() {
    if !ready() {
        return;
    }
    let clean = fresh(4096, 20);
    ntfs::map(&clean.0, &LEAVE).unwrap();
    let changed = |at: usize, byte: u8| {
        let mut image = clean.clone();
        image.0[at] = byte;
        image
    };
    let bits = clean.first_run(6, 0x80).start;
    let bitmap = clean.attribute(6, 0x80).start;
    corrupt(&changed(bits, 0xFE), "the boot sector lies in");
    corrupt(&changed(bits, 0x0F), "$MFT lies in");
    let mirror = clean.first_run(1, 0x80).start;
    corrupt(&changed(bits + mirror / 4096 / 8, 0), "$MFTMirr lies in");
    corrupt(&changed(mirror + 1024, b'X'), "$MFTMirr does not match");
    corrupt(
        &changed(clean.record(6).end - 1, 0x77),
        "only partly written",
    );
    corrupt(&changed(clean.record(6).start, b'B'), "no signature FILE");
    corrupt(&changed(clean.record(6).start + 22, 0), "marked unused");
    corrupt(&changed(bitmap + 12, 1), "holes or is compressed");
    let mut sparse = changed(bitmap + 0x40, 0x01);
    sparse.0[bitmap + 0x42] = 0;
    corrupt(&sparse, "holes or is compressed");
    corrupt(&changed(bitmap + 0x40, 0x29), "more than 8 bytes");
    corrupt(&changed(bitmap + 24, 9), "not as long as it says");
    corrupt(&changed(bitmap + 0x40 + 3, 0x7F), "outside the volume");
    corrupt(&changed(48, 0), "no signature FILE");
    corrupt(&changed(13, 3), "sectors per cluster");
    corrupt(&changed(12, 0), "sector size");
    corrupt(&changed(41, 0xFF), "its device only");
    let version = clean.attribute(3, 0x70).start + 24 + 8;
    assert!(matches!(
        ntfs::map(&changed(version, 4).0, &LEAVE),
        Err(FsError::Unsupported { .. })
    ));
    assert!(!ntfs::probe(&changed(3, b'-').0[..512]));
    assert!(!ntfs::probe(&clean.0[..11]));
    assert!(matches!(
        ntfs::map(&clean.0[..100].to_vec(), &LEAVE),
        Err(FsError::Corrupt { .. })
    ));
}

#[test]
fn a_page_file_cannot_take_the_metadata_along() {
    if !ready() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = make(dir.path(), 4096, 20);
    with_mounted(&file, |root| {
        fs::write(root.join("pagefile.sys"), noise(400_000, 1)).unwrap();
        fs::write(root.join("swapfile.sys"), noise(400_000, 2)).unwrap();
    });
    let clean = Image::read(&file);
    assert_eq!(ntfs::map(&clean.0, &LEAVE).unwrap().left_out.len(), 2);
    let record = |len: usize| {
        (24..200).find(|number| {
            let range = clean.record(*number);
            let names: Vec<u8> = "pagefile.sys"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect();
            clean.0[range.start..range.start + len]
                .windows(names.len())
                .any(|bytes| bytes == names)
        })
    };
    let record = record(1024).unwrap();
    let pairs_at = clean.attribute(record, 0x80).start + 0x40;
    let own = clean.first_run(record, 0x80);
    let claims = |start: usize| {
        let mut image = clean.clone();
        let count = u8::try_from(own.len() / 4096).unwrap();
        let bytes = pairs(count, start);
        image.0[pairs_at..pairs_at + 7].copy_from_slice(&bytes);
        let end = clean.attribute(record, 0x80).end;
        assert!(pairs_at + 7 <= end);
        image
    };
    ntfs::map(&claims(own.start / 4096).0, &LEAVE).unwrap();
    let mut compressed = clean.clone();
    compressed.0[clean.attribute(record, 0x80).start + 12] = 1;
    let left = ntfs::map(&compressed.0, &LEAVE).unwrap().left_out;
    assert!(
        left.len() == 1 && left[0].name == "swapfile.sys",
        "{left:?}"
    );
    let metadata = clean.first_run(0, 0x80).start / 4096;
    // The first 64 KiB are kept anyhow, so the metadata come after them or the volume begins with free clusters.
    let image = claims(metadata.saturating_sub(16));
    let error = ntfs::map(&image.0, &LEAVE).unwrap_err();
    assert!(matches!(error, FsError::Corrupt { .. }), "{error}");
    ntfs::map(&image.0, &KEEP).unwrap();
}

#[test]
fn the_backup_boot_sector_is_kept_wherever_it_is() {
    if !ready() {
        return;
    }
    let image = fresh(4096, 20);
    let sectors = 20 << 20 >> 9;
    let blocks = (sectors - 1) / 8 * 4096;
    let backup = (sectors - 1) * 512..sectors * 512;
    for (size, tails) in [
        (20 << 20, Some(blocks..20 << 20)),
        ((20 << 20) + 4096, Some(blocks..(20 << 20) + 4096)),
        (24 << 20, Some(backup.clone())),
        (backup.start, Some(blocks..backup.start)),
    ] {
        let mut device = image.0.clone();
        device.resize(usize::try_from(size).unwrap(), 0);
        let volume = ntfs::map(&device, &LEAVE).unwrap();
        assert_eq!(volume.tails, tails.into_iter().collect::<Vec<_>>());
        let guards = ntfs::guards(&read_head(&device).unwrap(), size);
        let last = size - 512..size;
        let expected: Vec<_> = [0..4096, backup.clone(), last]
            .into_iter()
            .filter(|range| range.end <= size)
            .collect();
        let expected = if size == 20 << 20 {
            expected[..2].to_vec()
        } else {
            expected
        };
        assert_eq!(guards, expected);
    }
    assert_eq!(ntfs::guards(&[], 0), []);
    assert_eq!(ntfs::guards(&[0; 512], 512), [0..512]);
    assert_eq!(ntfs::guards(&[0xFF; 512], 8192), [0..4096, 7680..8192]);
}

/// Counts what is read.
struct Counting<'a> {
    data: &'a [u8],
    len: u64,
    bytes: AtomicU64,
}

impl ReadAt for Counting<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<()> {
        self.bytes.fetch_add(buf.len() as u64, Relaxed);
        self.data.read_exact_at(buf, offset)
    }
}

/// Places worth changing: where structures are rather than where they are zero.
fn places(image: &Image) -> Vec<std::ops::Range<usize>> {
    let mut places = vec![3..80, 0..512];
    for record in (0..8).chain(12..22).chain(24..90) {
        let start = image.record(record).start;
        places.extend([start..start + 0x40, start..start + 0x200]);
    }
    for record in [0, 3, 5, 6] {
        let start = image.record(record).start;
        places.extend(std::iter::repeat_n(start..start + 0x200, 10));
    }
    let log = image.first_run(2, 0x80).start;
    let bits = image.first_run(6, 0x80);
    let index = image.first_run(5, 0xA0);
    places.extend([
        log..log + 64,
        bits,
        index.clone(),
        index.start..index.start + 0x80,
    ]);
    places
}

fn mutate(
    image: &mut Image,
    places: &[std::ops::Range<usize>],
    random: &mut Random,
) -> Vec<(usize, u8)> {
    let mut undo = Vec::new();
    for _ in 0..=random.below(3) {
        let place = &places[random.below(places.len())];
        let at = place.start + random.below(place.len());
        let value = match random.below(4) {
            0 => random.next(),
            1 => [
                0,
                1,
                0x7F,
                0x80,
                0xFF,
                0x7FFF,
                0x8000,
                0xFFFF,
                u64::MAX,
                i64::MAX.cast_unsigned(),
            ][random.below(10)],
            2 => random.next() % 16,
            _ => u64::from(image.0[at]) ^ 1 << random.below(8),
        };
        let len = [1, 1, 1, 2, 4, 8][random.below(6)].min(image.0.len() - at);
        for (offset, byte) in value.to_le_bytes()[..len].iter().enumerate() {
            undo.push((at + offset, image.0[at + offset]));
            image.0[at + offset] = *byte;
        }
    }
    undo
}

/// Never a panic, never more reading than the volume could explain, and a map that fits its device.
fn survives_mutations(image: &mut Image, seed: u64, rounds: usize) {
    let places = places(image);
    let mut random = Random(seed);
    let (mut good, mut most) = (0, 0);
    for round in 0..rounds {
        let undo = mutate(image, &places, &mut random);
        let len = if random.below(8) == 0 {
            1 << 60
        } else {
            image.0.len() as u64
        };
        let device = Counting {
            data: &image.0,
            len,
            bytes: AtomicU64::new(0),
        };
        for options in [LEAVE, KEEP] {
            if let Ok(volume) = ntfs::map(&device, &options) {
                good += 1;
                let blocks = volume.used.len() * u64::from(volume.block_size);
                assert!(blocks <= len, "seed {seed} round {round}");
                let inside = |tail: &std::ops::Range<u64>| blocks <= tail.start && tail.end <= len;
                assert!(volume.tails.iter().all(inside), "seed {seed} round {round}");
            }
        }
        let guards = ntfs::guards(&image.0[..4096], len);
        assert!(
            guards
                .iter()
                .all(|range| range.start < range.end && range.end <= len),
            "seed {seed} round {round}"
        );
        most = most.max(device.bytes.into_inner());
        for (at, byte) in undo.into_iter().rev() {
            image.0[at] = byte;
        }
    }
    assert!(most < 64 << 20, "seed {seed}: {most} bytes were read");
    assert!(
        good > rounds / 10 && good < 2 * rounds,
        "seed {seed}: {good} of {rounds} twice"
    );
    eprintln!(
        "seed {seed}: {good} maps of {}, at most {most} bytes read for two",
        2 * rounds
    );
    ntfs::map(&image.0, &LEAVE).expect("all changes were undone");
}

#[test]
fn mutations_of_a_usual_volume() {
    if !ready() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = make(dir.path(), 1024, 20);
    with_mounted(&file, |root| {
        fs::write(root.join("pagefile.sys"), noise(400_000, 1)).unwrap();
        fs::write(root.join("hiberfil.sys"), vec![0; 100_000]).unwrap();
        fill(root, 50);
    });
    survives_mutations(&mut Image::read(&file), 1, 6000);
}

#[test]
fn mutations_of_a_scattered_volume() {
    if !ready() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = make(dir.path(), 512, 20);
    with_mounted(&file, |root| {
        for i in 0..60 {
            fs::write(
                root.join(format!("a fairly long name in the root directory {i}")),
                [0; 10],
            )
            .unwrap();
        }
        make_holes(&root.join("holes"), 5000);
        fs::write(root.join("pagefile.sys"), noise(1 << 20, 1)).unwrap();
        for i in 0..6000 {
            if fs::write(root.join(format!("holes/small {i}")), [b'x'; 100]).is_err() {
                break;
            }
        }
    });
    let mut image = Image::read(&file);
    image.attribute(0, 0x20);
    survives_mutations(&mut image, 2, 6000);
}
