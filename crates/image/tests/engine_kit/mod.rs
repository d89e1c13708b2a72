//! What the tests of the engine share: volumes, how they are captured, every way to restore.
#![allow(clippy::cast_possible_truncation, reason = "sizes of test data")]

use azud_core::bitmap::Bitmap;
use azud_core::cut::Lengths;
use azud_core::format::index::Facts;
use azud_core::progress::Silent;
use azud_image::DEFAULT_LEVEL;
use azud_image::capture::{Base, CaptureOptions, Captured, DeviceContent, capture, read_tails};
use azud_image::fs::{FsKind, Volume};
use azud_image::restore::{Distance, RestoreOptions, Unused, Writes, Zeros};

pub(crate) mod devices;

pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // Half of it compresses.
        out.extend(if state >> 63 == 0 {
            state.to_le_bytes()
        } else {
            *b"azud azu"
        });
    }
    out.truncate(len);
    out
}

pub(crate) fn volume(device: &[u8], block_size: u32, used: impl Fn(u64) -> bool) -> Volume {
    let blocks = device.len() as u64 / u64::from(block_size);
    let mut map = Bitmap::new(blocks);
    (0..blocks)
        .filter(|block| used(*block))
        .for_each(|block| map.set(block));
    let end = blocks * u64::from(block_size);
    Volume {
        kind: FsKind::Raw,
        block_size,
        claimed_used: map.count(),
        used: map,
        device_size: device.len() as u64,
        tails: std::iter::once(end..device.len() as u64)
            .filter(|tail| !tail.is_empty())
            .collect(),
        label: None,
        uuid: None,
        sector_size: 0,
        left_out: Vec::new(),
    }
}

pub(crate) fn options<'a>(base: Option<&'a Base<'a>>, average: Option<u32>) -> CaptureOptions<'a> {
    CaptureOptions {
        level: DEFAULT_LEVEL,
        base,
        lengths: average.map(|average| Lengths {
            average,
            before_gap: average / 8,
        }),
        facts: Facts::default(),
    }
}

pub(crate) fn take(
    device: &[u8],
    volume: &Volume,
    options: &CaptureOptions<'_>,
) -> (Vec<u8>, Captured) {
    let content = DeviceContent::new(&device, &volume.used, volume.block_size);
    let tails = read_tails(&device, volume).expect("tails");
    let mut file = Vec::new();
    let captured = capture(volume, tails, content, options, (&mut file, &Silent)).expect("capture");
    assert_eq!(captured.file_len, file.len() as u64);
    (file, captured)
}

pub(crate) fn bytes_of(volume: &Volume, run: azud_core::bitmap::Run) -> std::ops::Range<usize> {
    let size = volume.block_size as usize;
    run.start as usize * size..(run.start + run.count) as usize * size
}

pub(crate) fn same_where_used(volume: &Volume, a: &[u8], b: &[u8]) {
    for run in volume.used.runs() {
        let range = bytes_of(volume, run);
        assert!(a[range.clone()] == b[range], "blocks {run:?} differ");
    }
    for tail in &volume.tails {
        let range = tail.start as usize..tail.end as usize;
        assert_eq!(a[range.clone()], b[range], "the tail differs");
    }
}

pub(crate) const PLAIN: RestoreOptions = RestoreOptions {
    changed_only: false,
    read_back: true,
    unused: Unused::Leave,
    writes: Writes::Parallel,
    zeros: Zeros::Write,
    target_sector: 0,
    distance: Distance::Near,
};

pub(crate) const MODES: [RestoreOptions; 4] = [
    PLAIN,
    RestoreOptions {
        changed_only: true,
        writes: Writes::Ascending,
        ..PLAIN
    },
    RestoreOptions {
        unused: Unused::Zero,
        writes: Writes::Ascending,
        zeros: Zeros::Punch,
        ..PLAIN
    },
    RestoreOptions {
        changed_only: true,
        unused: Unused::Discard,
        ..PLAIN
    },
];

pub(crate) fn sample() -> (Vec<u8>, Volume, Vec<u8>) {
    let device = noise(7, 6 << 20);
    let volume = volume(&device, 4096, |block| block % 11 != 3);
    let (file, _) = take(&device, &volume, &options(None, Some(128 << 10)));
    (device, volume, file)
}
