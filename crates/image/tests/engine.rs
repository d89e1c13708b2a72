//! The engine on devices in memory: what goes in comes out, whatever is asked, whatever breaks.
#![allow(clippy::cast_possible_truncation, reason = "sizes of test data")]

use azud_core::bitmap::Bitmap;
use azud_core::format::index::{Facts, Tail};
use azud_core::progress::Silent;
use azud_image::capture::{Base, CaptureOptions, Captured, DeviceContent, capture, read_tails};
use azud_image::fs::{FsKind, Volume};
use azud_image::restore::{RestoreOptions, Unused, Writes, restore, restore_pipe};
use azud_image::{DEFAULT_LEVEL, ImageError, Native, diff, verify, write_partclone};
use azud_testkit::memory::Memory;
use proptest::prelude::*;

fn noise(seed: u64, len: usize) -> Vec<u8> {
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

fn volume(device: &[u8], block_size: u32, used: impl Fn(u64) -> bool) -> Volume {
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

fn options<'a>(base: Option<&'a Base<'a>>, average: Option<u32>) -> CaptureOptions<'a> {
    CaptureOptions {
        level: DEFAULT_LEVEL,
        base,
        average,
        facts: Facts::default(),
    }
}

fn take(device: &[u8], volume: &Volume, options: &CaptureOptions<'_>) -> (Vec<u8>, Captured) {
    let content = DeviceContent::new(&device, &volume.used, volume.block_size);
    let tails = read_tails(&device, volume).expect("tails");
    let mut file = Vec::new();
    let captured = capture(volume, tails, content, options, (&mut file, &Silent)).expect("capture");
    assert_eq!(captured.file_len, file.len() as u64);
    (file, captured)
}

fn bytes_of(volume: &Volume, run: azud_core::bitmap::Run) -> std::ops::Range<usize> {
    let size = volume.block_size as usize;
    run.start as usize * size..(run.start + run.count) as usize * size
}

fn same_where_used(volume: &Volume, a: &[u8], b: &[u8]) {
    for run in volume.used.runs() {
        let range = bytes_of(volume, run);
        assert!(a[range.clone()] == b[range], "blocks {run:?} differ");
    }
    for tail in &volume.tails {
        let range = tail.start as usize..tail.end as usize;
        assert_eq!(a[range.clone()], b[range], "the tail differs");
    }
}

const PLAIN: RestoreOptions = RestoreOptions {
    changed_only: false,
    read_back: true,
    unused: Unused::Leave,
    writes: Writes::Parallel,
    blank: false,
};

const MODES: [RestoreOptions; 4] = [
    PLAIN,
    RestoreOptions {
        changed_only: true,
        writes: Writes::Ascending,
        ..PLAIN
    },
    RestoreOptions {
        unused: Unused::Zero,
        writes: Writes::Ascending,
        ..PLAIN
    },
    RestoreOptions {
        changed_only: true,
        unused: Unused::Discard,
        ..PLAIN
    },
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn proptest_what_goes_in_comes_out(
        seed in any::<u64>(), shift in 0u32..5, blocks in 1usize..900, odd in 0usize..3, density in 1u64..9,
    ) {
        let block_size = 512u32 << shift;
        let device = noise(seed, blocks * block_size as usize + odd * 512 % block_size as usize);
        let volume = volume(&device, block_size, |block| ((block / 7) ^ seed) % 9 < density);
        let (file, _) = take(&device, &volume, &options(None, Some(64 << 10)));
        let native = Native::open(&file).expect("opens");
        prop_assert_eq!(native.file_len(), file.len() as u64);
        verify(&native, &file, true, &Silent).expect("verifies");
        for (n, mode) in MODES.into_iter().flat_map(|mode| [(false, mode), (true, mode)]).enumerate() {
            let target = Memory::new(noise(seed ^ n as u64, device.len() + 8192));
            let done = match mode {
                (true, mode) => restore_pipe(file.as_slice(), &target, &mode, &Silent),
                (false, mode) => restore(&native, &file, &target, &mode, &Silent),
            };
            done.expect("restores");
            let bytes = target.bytes();
            same_where_used(&volume, &device, &bytes);
            if mode.1.unused != Unused::Leave {
                let zero = |run| bytes[bytes_of(&volume, run)].iter().all(|b| *b == 0);
                prop_assert!(volume.used.free_runs().all(zero));
            }
        }
    }
}

fn sample() -> (Vec<u8>, Volume, Vec<u8>) {
    let device = noise(7, 6 << 20);
    let volume = volume(&device, 4096, |block| block % 11 != 3);
    let (file, _) = take(&device, &volume, &options(None, Some(128 << 10)));
    (device, volume, file)
}

#[test]
fn a_base_gives_its_frames_and_a_small_change_costs_little() {
    let (mut device, _, file) = sample();
    device[3 << 20] ^= 1;
    let volume = volume(&device, 4096, |block| block % 11 != 3);
    let base = Base::open(&file).expect("opens");
    let (second, captured) = take(&device, &volume, &options(Some(&base), None));
    let (a, b) = (
        Native::open(&file).expect("opens"),
        Native::open(&second).expect("opens"),
    );
    let difference = diff(&a, &b);
    assert!(
        difference.new_frames <= 2 && difference.new_frames > 0,
        "{difference:?}"
    );
    assert_eq!(captured.reused_frames, difference.shared_frames);

    let target = Memory::new(vec![0; device.len()]);
    restore(&a, &file, &target, &PLAIN, &Silent).expect("restores");
    let mode = RestoreOptions {
        changed_only: true,
        ..PLAIN
    };
    let done = restore(&b, &second, &target, &mode, &Silent).expect("restores");
    same_where_used(&volume, &device, &target.bytes());
    // One block, and what guards an unknown content: 128 KiB at either end.
    assert!(done.written <= 4096 + 2 * (128 << 10), "{done:?}");
    target.take_log();
    restore(&b, &second, &target, &mode, &Silent).expect("restores");
    assert_eq!(
        target.take_log(),
        [],
        "nothing is written where nothing differs"
    );
}

#[test]
fn a_damaged_base_is_compressed_anew() {
    let (device, volume, file) = sample();
    let mut damaged = file.clone();
    let native = Native::open(&file).expect("opens");
    let middle = native.frames().len() / 2;
    damaged[native.offset(middle) as usize + 9] ^= 0x10;
    let base = Base::open(&damaged).expect("the index is whole");
    let (again, captured) = take(&device, &volume, &options(Some(&base), Some(128 << 10)));
    assert_eq!(captured.reused_frames, native.frames().len() - 1);
    assert_eq!(again, file, "the same level gives the same bytes");
}

#[test]
fn every_kind_of_damage_is_noticed_before_the_end() {
    let (_, volume, file) = sample();
    let step = file.len() / 400 + 1;
    for at in (0..file.len())
        .step_by(step)
        .chain(file.len() - 900..file.len())
    {
        let mut bad = file.clone();
        bad[at] ^= 1 << (at % 8);
        let whole = Native::open(&bad).and_then(|native| verify(&native, &bad, false, &Silent));
        assert!(whole.is_err(), "byte {at} of {}", file.len());
        let target = Memory::new(vec![0; volume.device_size as usize]);
        let piped = restore_pipe(bad.as_slice(), &target, &PLAIN, &Silent);
        let error = match piped {
            Ok(done) => panic!(
                "a pipe does not notice byte {at} of {}: {done:?}",
                file.len()
            ),
            Err(error) => error,
        };
        let head = &target.bytes()[..128 << 10];
        assert!(
            head.iter().all(|b| *b == 0),
            "{error}: the beginning was written"
        );
    }
    for len in (0..file.len()).step_by(step) {
        let cut = &file[..len].to_vec();
        assert!(Native::open(cut).is_err(), "cut at {len}");
        let target = Memory::new(vec![0; volume.device_size as usize]);
        restore_pipe(cut.as_slice(), &target, &PLAIN, &Silent).expect_err("too short");
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    let (_, volume, mut file) = sample();
    file.push(0);
    assert!(matches!(Native::open(&file), Err(ImageError::Format(_))));
    let target = Memory::new(vec![0; volume.device_size as usize]);
    restore_pipe(file.as_slice(), &target, &PLAIN, &Silent).expect_err("too long");
}

#[test]
fn a_target_that_is_too_small_is_not_touched() {
    let (_, volume, file) = sample();
    let native = Native::open(&file).expect("opens");
    let target = Memory::new(vec![9; native.minimum_size() as usize - 1]);
    let error = restore(&native, &file, &target, &PLAIN, &Silent).expect_err("too small");
    assert!(matches!(error, ImageError::TooSmall { .. }));
    restore_pipe(file.as_slice(), &target, &PLAIN, &Silent).expect_err("too small");
    assert_eq!(target.take_log(), []);
    let exact = Memory::new(vec![9; volume.minimum_size() as usize]);
    restore(&native, &file, &exact, &PLAIN, &Silent).expect("fits exactly");
}

#[test]
fn an_interrupted_restore_goes_on_with_changed_only() {
    let (device, volume, file) = sample();
    let native = Native::open(&file).expect("opens");
    for writes in [0, 1, 5, 20, 40] {
        let target = Memory::new(noise(99, device.len()));
        target.fail_after(writes);
        restore(&native, &file, &target, &PLAIN, &Silent).expect_err("the power went");
        let target = Memory::new(target.bytes());
        let mode = RestoreOptions {
            changed_only: true,
            ..PLAIN
        };
        let done = restore(&native, &file, &target, &mode, &Silent).expect("goes on");
        assert!(writes < 40 || done.kept > 0);
        same_where_used(&volume, &device, &target.bytes());
    }
}

#[test]
fn the_decoded_stream_is_what_zstd_says() {
    if !azud_testkit::tools::have(&["zstd"]) {
        return;
    }
    let (_, _, file) = sample();
    let native = Native::open(&file).expect("opens");
    let mut ours = Vec::new();
    write_partclone(&native, &file, &mut ours, &Silent).expect("decodes");
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.img");
    std::fs::write(&path, &file).expect("writes");
    let path = path.to_str().expect("UTF-8");
    let out = azud_testkit::tools::run("zstd", &["-dcq", path]).expect("zstd decodes");
    assert!(out.stdout == ours);
}

#[test]
fn tails_out_of_place_are_refused() {
    let (device, volume, _) = sample();
    let content = DeviceContent::new(&device, &volume.used, volume.block_size);
    let tails = vec![Tail {
        offset: 4096,
        bytes: vec![1; 512],
    }];
    let mut file = Vec::new();
    capture(
        &volume,
        tails,
        content,
        &options(None, None),
        (&mut file, &Silent),
    )
    .expect("writes what it is told");
    assert!(Native::open(&file).is_err());
}

#[test]
fn a_source_that_ends_early_is_an_error() {
    let (device, volume, _) = sample();
    let short: Vec<u8> = device[..3 << 20].to_vec();
    let content = DeviceContent::new(&short, &volume.used, volume.block_size);
    let mut file = Vec::new();
    let done = capture(
        &volume,
        Vec::new(),
        content,
        &options(None, None),
        (&mut file, &Silent),
    );
    assert!(matches!(done, Err(ImageError::Source { .. })));
}
