//! `v1.img`: an image of format version 1 that must open, verify and restore to the same bytes for ever.
//!
//! It was made by [`make`] at the time of version 0.1.0. To make it again, should another be wanted: run this
//! test with `AZUD_WRITE_GOLDEN=v1.img`; the file goes there.

use azud_core::bitmap::Bitmap;
use azud_core::cut::Lengths;
use azud_core::format::index::{Facts, SourceFacts};
use azud_core::progress::Silent;
use azud_image::capture::{CaptureOptions, Captured, DeviceContent, capture, read_tails};
use azud_image::fs::{FsKind, LeftOut, Volume};
use azud_image::restore::{RestoreOptions, restore, restore_pipe};
use azud_image::{Native, verify, write_partclone};
use azud_testkit::memory::Memory;

use super::{hex, noise};

pub(super) const FILE: &[u8] = include_bytes!("v1.img");
const BLOCK: u32 = 1024;
const BLOCKS: u64 = 90;
const IDENTITY: &str = "a6449ec771e7f1dddd9833ba53d70521d762d371b2c7cb6d9120940292fd3d3a";
const STREAM: &str = "8680643b2d0dc2b53da7818dff46e8388a757b63fdaee819a17a79312accabf3";

/// The device: 90 blocks and half a block, which is the tail.
pub(super) fn device() -> Vec<u8> {
    noise(2026, 90 * 1024 + 512)
}

/// Whatever the format can say of a volume; blocks 3, 10, 17 … and a run of twenty are free.
fn volume(device: &[u8]) -> Volume {
    let mut used = Bitmap::new(BLOCKS);
    (0..BLOCKS)
        .filter(|block| block % 7 != 3 && !(40..60).contains(block))
        .for_each(|block| used.set(block));
    Volume {
        kind: FsKind::Ntfs,
        block_size: BLOCK,
        claimed_used: 61,
        used,
        device_size: device.len() as u64,
        tails: vec![BLOCKS * u64::from(BLOCK)..device.len() as u64],
        label: Some("Aula ñ".to_owned()),
        uuid: Some("0123456789ABCDEF".to_owned()),
        sector_size: 512,
        left_out: vec![LeftOut {
            name: "pagefile.sys".to_owned(),
            bytes: 20 * u64::from(BLOCK),
        }],
    }
}

fn facts() -> Facts {
    Facts {
        created: "2026-01-02T03:04:05Z".to_owned(),
        host: "aula-1".to_owned(),
        dirty: Some("a reason".to_owned()),
        source: SourceFacts {
            path: "/dev/sda3".to_owned(),
            start: Some(1 << 20),
            disk_guid: Some("a disk".to_owned()),
            partition_guid: Some("a partition".to_owned()),
            logical_sector: Some(512),
        },
        ..Facts::default()
    }
}

/// Frames of some 16 KiB, and of 8 KiB before a gap.
const LENGTHS: Lengths = Lengths {
    average: 16 << 10,
    before_gap: 8 << 10,
};

/// Captures the volume in small frames.
fn make() -> (Vec<u8>, Captured) {
    let device = device();
    let volume = volume(&device);
    let content = DeviceContent::new(&device, &volume.used, BLOCK);
    let tails = read_tails(&device, &volume).expect("a tail");
    let options = CaptureOptions {
        level: 3,
        base: None,
        lengths: Some(LENGTHS),
        facts: facts(),
    };
    let mut file = Vec::new();
    let captured = capture(&volume, tails, content, &options, (&mut file, &Silent));
    (file, captured.expect("captures"))
}

#[test]
fn what_was_written_once_opens_verifies_and_decodes() {
    if let Some(path) = std::env::var_os("AZUD_WRITE_GOLDEN") {
        std::fs::write(path, make().0).expect("writes");
    }
    let native = Native::open(&FILE).expect("opens");
    assert_eq!(hex(native.identity()), IDENTITY);
    verify(&native, &FILE, true, &Silent).expect("verifies");
    let mut stream = Vec::new();
    write_partclone(&native, &FILE, &mut stream, &Silent).expect("decodes");
    assert_eq!(hex(blake3::hash(&stream).as_bytes()), STREAM);
    let said = native.facts();
    let expected = Facts {
        tool: "azud 0.1.0 zstd 1.5.7".to_owned(),
        fs: "NTFS".to_owned(),
        label: Some("Aula ñ".to_owned()),
        uuid: Some("0123456789ABCDEF".to_owned()),
        minimum_size: 90 * 1024 + 512,
        sector_size: 512,
        level: 3,
        cut: said.cut,
        left_out: vec![("pagefile.sys".to_owned(), 20 * 1024)],
        ..facts()
    };
    assert_eq!(said, &expected);
    assert_eq!(said.cut, LENGTHS.facts());
}

#[test]
fn what_was_written_once_restores_to_the_same_bytes() {
    let (device, native) = (device(), Native::open(&FILE).expect("opens"));
    let used = volume(&device).used;
    assert_eq!(native.geometry().used.to_bytes(), used.to_bytes());
    let options = RestoreOptions::default();
    let target = Memory::new(vec![0xEE; device.len()]);
    restore(&native, &FILE, &target, &options, &Silent).expect("restores");
    let piped = Memory::new(vec![0xEE; device.len()]);
    restore_pipe(FILE, &piped, &options, &Silent).expect("restores");
    let (target, piped) = (target.bytes(), piped.bytes());
    assert!(target == piped);
    let blocks = device.chunks(1024).zip(target.chunks(1024));
    for (n, (was, is)) in (0..).zip(blocks) {
        let kept = n == BLOCKS || used.get(n);
        // What guards an unknown content is zeroed where the image has nothing.
        assert!(was == is || !kept, "block {n}");
    }
}

#[test]
fn today_the_same_volume_gives_the_same_frames() {
    let native = Native::open(&FILE).expect("opens");
    let frames = make().1.index.frames;
    // The first holds the header, which names the version of this program.
    assert_eq!(frames[1..], native.frames()[1..]);
}
