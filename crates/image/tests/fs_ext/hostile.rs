//! Damaged and hostile structures: an error, in bounded time, never a panic.

use std::ops::Range;
use std::time::{Duration, Instant};

use azud_core::bitmap::Bitmap;
use azud_image::fs::{FsError, HEAD_LEN, MapOptions, Volume, ext};
use azud_testkit::tools::have;

use crate::kit;

const SUPER: usize = 1024;

#[allow(clippy::ptr_arg, reason = "a device is a sized type")]
fn map(bytes: &Vec<u8>) -> Result<Volume, FsError> {
    ext::map(bytes, &MapOptions::default())
}

fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Gives a changed superblock the checksum it would have.
fn seal(bytes: &mut [u8]) {
    let crc = !crc32c::crc32c(&bytes[SUPER..SUPER + 0x3FC]);
    bytes[SUPER + 0x3FC..SUPER + 0x400].copy_from_slice(&crc.to_le_bytes());
}

fn image(options: &str, size: &str) -> Vec<u8> {
    let (_dir, path) = kit::small(options, size).unwrap();
    std::fs::read(path).unwrap()
}

/// The bytes of the superblock's block, all descriptors and all bitmaps of a 1 KiB volume without `meta_bg`.
fn metadata(bytes: &[u8]) -> Vec<Range<usize>> {
    let wide = long(bytes, SUPER + 0x60) & 0x80 != 0;
    let size = if wide { 64 } else { 32 };
    let groups = (long(bytes, SUPER + 4) - 1).div_ceil(long(bytes, SUPER + 0x20)) as usize;
    let bitmaps = (0..groups).map(|group| {
        let block = long(bytes, 2048 + group * size) as usize;
        block * 1024..(block + 1) * 1024
    });
    let descriptors = 2048..2048 + groups * size;
    [SUPER..SUPER + 1024, descriptors]
        .into_iter()
        .chain(bitmaps)
        .collect()
}

#[test]
fn every_flipped_bit_under_a_checksum_is_found() {
    if !have(kit::TOOLS) {
        return;
    }
    let clean = image("-t ext4 -b 1024", "32M");
    let expected = map(&clean).unwrap().used;
    let mut bytes = clean.clone();
    let checked = metadata(&clean);
    // The superblock and the descriptors bit by bit, the bitmaps byte by byte.
    let flips = checked.iter().enumerate().flat_map(|(kind, range)| {
        range.clone().flat_map(move |at| {
            if kind < 2 { 0..8 } else { at % 8..at % 8 + 1 }.map(move |bit| (kind, at, bit))
        })
    });
    let mut harmless = 0;
    for (kind, at, bit) in flips {
        bytes[at] ^= 1 << bit;
        match map(&bytes) {
            Err(FsError::Corrupt { .. } | FsError::Unsupported { .. }) => {}
            // Without the flag there is no checksum, and the free counts decide; and what the bitmap of a
            // group says that was never written does not matter.
            Ok(volume) if (kind, at - SUPER, bit) == (0, 0x65, 2) || kind >= 2 => {
                assert_eq!(volume.used, expected);
                harmless += 1;
            }
            other => panic!("bit {bit} of byte {at:#x}: {other:?}"),
        }
        bytes[at] ^= 1 << bit;
    }
    let unwritten = checked[2..].len() * 1024 / 2;
    assert!(harmless <= unwritten + 1, "{harmless} flips went unnoticed");
    assert_eq!(bytes, clean);
}

#[test]
fn a_bitmap_whose_count_is_right_still_has_to_match_its_checksum() {
    if !have(kit::TOOLS) {
        return;
    }
    let mut bytes = image("-t ext4 -b 1024", "16M");
    let used = map(&bytes).unwrap().used;
    let bitmap = metadata(&bytes)[2].start;
    // A used block that is no metadata (the last of the group) against a free one.
    let last = (1..8192).rev().find(|block| used.get(*block)).unwrap();
    let free = (1..8192).find(|block| !used.get(*block)).unwrap();
    for block in [last, free] {
        let bit = usize::try_from(block - 1).unwrap();
        bytes[bitmap + bit / 8] ^= 1 << (bit % 8);
    }
    let error = map(&bytes).unwrap_err().to_string();
    assert!(
        error.contains("block bitmap of group 0 has a wrong checksum"),
        "{error}"
    );
}

#[test]
fn descriptors_under_crc16_are_checked_and_counts_always() {
    if !have(kit::TOOLS) {
        return;
    }
    for options in [
        "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg",
        "-t ext4 -b 1024 -O ^metadata_csum,^64bit,uninit_bg",
    ] {
        let mut bytes = image(options, "32M");
        map(&bytes).unwrap();
        for at in metadata(&bytes)[1].clone() {
            bytes[at] ^= 0x10;
            assert!(
                matches!(map(&bytes), Err(FsError::Corrupt { .. })),
                "{options}: {at:#x}"
            );
            bytes[at] ^= 0x10;
        }
    }
    let mut bytes = image("-t ext2 -b 1024", "32M");
    map(&bytes).unwrap();
    let ranges = metadata(&bytes);
    for at in [
        ranges[2].start + 700,
        ranges[3].start + 5,
        2048 + 0xC,
        2048 + 32 + 0xD,
        SUPER + 0xC,
    ] {
        bytes[at] ^= 0x10;
        let error = map(&bytes).unwrap_err().to_string();
        assert!(error.contains("free"), "{at:#x}: {error}");
        bytes[at] ^= 0x10;
    }
}

#[test]
fn hostile_numbers_are_refused_before_anything_is_allocated() {
    if !have(kit::TOOLS) {
        return;
    }
    let clean = image("-t ext4 -b 1024", "16M");
    let fields: &[(&str, usize, &[u8])] = &[
        ("inodes", 0x00, &[0xFF; 4]),
        ("blocks", 0x04, &[0xFF; 4]),
        ("blocks, zero", 0x04, &[0; 4]),
        ("blocks, high", 0x150, &[0xFF; 4]),
        ("first block", 0x14, &[0xFF; 4]),
        ("block size", 0x18, &[6, 0, 0, 0]),
        ("blocks per group", 0x20, &[0; 4]),
        ("blocks per group, few", 0x20, &[8, 0, 0, 0]),
        ("blocks per group, many", 0x20, &[0xF8, 0xFF, 0xFF, 0xFF]),
        ("inodes per group", 0x28, &[0; 4]),
        ("inodes per group, many", 0x28, &[0xFF; 4]),
        ("inode size", 0x58, &[0, 0]),
        ("inode size, odd", 0x58, &[0x81, 0]),
        ("descriptor size", 0xFE, &[0, 0]),
        ("descriptor size, odd", 0xFE, &[65, 0]),
        ("descriptor size, large", 0xFE, &[0, 0x80]),
        ("reserved descriptors", 0xCE, &[0xFF, 0xFF]),
        ("checksum type", 0x175, &[2]),
    ];
    for (name, at, value) in fields {
        let mut bytes = clean.clone();
        bytes[SUPER + at..SUPER + at + value.len()].copy_from_slice(value);
        seal(&mut bytes);
        let result = map(&bytes);
        assert!(
            matches!(
                result,
                Err(FsError::Corrupt { .. } | FsError::Unsupported { .. })
            ),
            "{name}: {result:?}"
        );
        ext::guards(&bytes[..HEAD_LEN], u64::MAX);
    }
    let mut bytes = clean;
    seal(&mut bytes);
    map(&bytes).expect("sealing alone changes nothing");
}

#[test]
fn a_device_that_ends_early_is_an_error() {
    if !have(kit::TOOLS) {
        return;
    }
    let whole = image("-t ext4 -b 1024", "16M");
    for len in [
        0,
        1,
        1023,
        1024,
        2047,
        2048,
        2049,
        4096,
        100_000,
        whole.len() - 1,
    ] {
        let cut = whole[..len].to_vec();
        assert_eq!(ext::probe(&cut), len >= 2048, "{len}");
        assert!(map(&cut).is_err(), "{len}");
        ext::guards(&cut, len as u64);
    }
}

/// A small generator with its seed in view, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) >> 1).unwrap() % limit
    }
}

#[test]
fn thousands_of_random_changes_never_panic_nor_take_long() {
    if !have(kit::TOOLS) {
        return;
    }
    let volumes = [
        "-t ext2 -b 1024",
        "-t ext4 -b 1024",
        "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg",
        "-t ext4 -b 1024 -O ^metadata_csum",
    ];
    let (mut accepted, mut refused) = (0, 0);
    for (options, seed) in volumes.iter().zip(1u64..) {
        let mut bytes = image(options, "16M");
        let (clean, ranges) = (bytes.clone(), metadata(&bytes));
        let mut random = Random(seed);
        for round in 0..1500 {
            // Three times of four in superblock and descriptors: they steer everything else.
            let kinds = if random.below(4) == 0 {
                ranges.len()
            } else {
                2
            };
            let changed: Vec<usize> = (0..=random.below(4))
                .map(|_| {
                    let range = ranges[random.below(kinds)].clone();
                    range.start + random.below(range.len())
                })
                .collect();
            for at in &changed {
                bytes[*at] = u8::try_from(random.below(256)).unwrap();
            }
            if round % 2 == 0 {
                seal(&mut bytes);
            }
            let begun = Instant::now();
            match map(&bytes) {
                Ok(volume) => {
                    assert_plausible(&volume);
                    accepted += 1;
                }
                Err(_) => refused += 1,
            }
            ext::guards(&bytes[..HEAD_LEN], u64::MAX);
            assert!(
                begun.elapsed() < Duration::from_secs(5),
                "seed {seed} round {round}: {changed:?}"
            );
            for at in &changed {
                bytes[*at] = clean[*at];
            }
            bytes[SUPER..SUPER + 1024].copy_from_slice(&clean[SUPER..SUPER + 1024]);
        }
        assert_eq!(bytes, clean);
    }
    assert!(
        refused > 2000 && accepted > 50,
        "{accepted} accepted, {refused} refused"
    );
}

fn assert_plausible(volume: &Volume) {
    let Volume {
        used,
        block_size,
        device_size,
        ..
    } = volume;
    assert!(used.len() * u64::from(*block_size) <= *device_size);
    assert_ne!(used, &Bitmap::new(used.len()), "nothing used");
    assert!(used.get(0));
}
