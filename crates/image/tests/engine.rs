//! The engine on devices in memory: what goes in comes out, whatever is asked, whatever breaks.
#![allow(clippy::cast_possible_truncation, reason = "sizes of test data")]

use azud_core::format::container::{self, Trailer};
use azud_core::format::index::{Index, Tail};
use azud_core::io::ReadAt;
use azud_core::progress::Silent;
use azud_image::capture::{Base, DeviceContent, capture};
use azud_image::restore::{RestoreOptions, Unused, restore, restore_pipe};
use azud_image::{ImageError, Native, diff, verify, write_partclone};
use azud_testkit::memory::Memory;
use engine_kit::devices::Willful;
use engine_kit::{MODES, PLAIN, bytes_of, noise, options, same_where_used, sample, take, volume};
use proptest::prelude::*;

mod engine_kit;

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

/// A source that gives as many bytes at a time as it likes.
struct Choppy<R>(R, usize);

impl<R: std::io::Read> std::io::Read for Choppy<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.1 = self.1 * 31 % 65_521;
        let len = out.len().min(self.1);
        self.0.read(&mut out[..len])
    }
}

#[test]
fn how_the_source_is_read_leaves_no_trace() {
    let (device, volume, file) = sample();
    let content = DeviceContent::new(&device, &volume.used, volume.block_size);
    let mut again = Vec::new();
    let options = options(None, Some(128 << 10));
    capture(
        &volume,
        Vec::new(),
        Choppy(content, 17),
        &options,
        (&mut again, &Silent),
    )
    .expect("captures");
    assert!(again == file);
}

#[test]
fn frames_end_at_gaps_and_the_index_says_how() {
    let device = noise(9, 2 << 20);
    let volume = volume(&device, 4096, |block| block % 64 < 40);
    let (file, captured) = take(&device, &volume, &options(None, None));
    let native = Native::open(&file).expect("opens");
    let cut = native.facts().cut;
    assert_eq!(
        (cut.rule, cut.average, cut.before_gap),
        (2, 1280 << 10, 64 << 10)
    );
    let data = &captured.index.frames[2..];
    assert_eq!(data.len(), 8);
    assert!(data.iter().all(|frame| frame.content_len == 40 * 4096));
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

/// The image with another index over the same frames.
fn with_index(file: &[u8], index: &Index) -> Vec<u8> {
    let mut out = file[..index.frames_len() as usize].to_vec();
    out.extend(container::ending(index).0);
    out
}

#[test]
fn regression_a_base_that_lies_about_its_content_is_not_believed() {
    let (mut device, volume, _) = sample();
    let plain = options(None, Some(128 << 10));
    let (old, captured) = take(&device, &volume, &plain);
    device[3 << 20] ^= 1;
    let (new, truth) = take(&device, &volume, &plain);
    // Its frame of the old content claims to be the new one.
    let mut index = captured.index;
    let changed = (0..index.frames.len())
        .find(|n| index.frames[*n].content_hash != truth.index.frames[*n].content_hash)
        .expect("one block differs");
    index.frames[changed].content_hash = truth.index.frames[changed].content_hash;
    let lie = with_index(&old, &index);
    let base = Base::open(&lie).expect("opens");
    let (again, _) = take(&device, &volume, &options(Some(&base), Some(128 << 10)));
    let native = Native::open(&again).expect("opens");
    verify(&native, &again, true, &Silent).expect("holds what was captured");
    assert!(again == new, "the same level gives the same bytes");
}

/// A file of holes with a few bytes at its end.
struct Sparse(u64, Vec<u8>);

impl ReadAt for Sparse {
    fn len(&self) -> u64 {
        self.0
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<()> {
        assert!(buf.len() < 1 << 30, "{} bytes at once", buf.len());
        let end = self.0 - self.1.len() as u64;
        for (n, byte) in buf.iter_mut().enumerate() {
            let at = (offset + n as u64).checked_sub(end);
            *byte = at.map_or(0, |at| self.1[at as usize]);
        }
        Ok(())
    }
}

#[test]
fn regression_an_index_of_gigabytes_is_refused() {
    let index_len = 5u64 << 30;
    let trailer = Trailer {
        index_offset: 0,
        index_len,
        identity: [0; 32],
    };
    let mut end = trailer.encode().to_vec();
    end.extend(container::seek_table(&Index::default(), 0));
    let file = Sparse(index_len + 8 + end.len() as u64, end);
    let error = Native::open(&file).expect_err("larger than any index");
    assert_eq!(error.code(), azud_core::code::Code::TooLarge, "{error}");
}

#[test]
fn regression_nothing_to_write_is_read_back_all_the_same() {
    let (device, _, file) = sample();
    let native = Native::open(&file).expect("opens");
    let target = Willful::of(device);
    let mode = RestoreOptions {
        changed_only: true,
        ..PLAIN
    };
    restore(&native, &file, &target, &mode, &Silent).expect("restores");
    assert_eq!(target.memory.take_log(), [], "nothing differs");
    assert_eq!(target.forgot.into_inner(), 1, "the medium was asked");
}

#[test]
fn what_the_medium_does_not_hold_is_found_by_reading_back() {
    let device = noise(8, (4 << 20) + 777);
    let volume = volume(&device, 4096, |_| true);
    let (file, _) = take(&device, &volume, &options(None, Some(128 << 10)));
    let native = Native::open(&file).expect("opens");
    for (lost, good) in [
        (None, true),
        (Some(2 << 20), false),
        (Some((4 << 20) + 700), false),
    ] {
        for pipe in [false, true] {
            let target = Willful {
                lost,
                ..Willful::of(vec![9; device.len()])
            };
            let done = if pipe {
                restore_pipe(file.as_slice(), &target, &PLAIN, &Silent)
            } else {
                restore(&native, &file, &target, &PLAIN, &Silent)
            };
            let told = matches!(done, Err(ImageError::ReadBack { .. }));
            assert!(
                if good { done.is_ok() } else { told },
                "{lost:?}, {pipe}: {done:?}"
            );
        }
    }
}

#[test]
fn content_that_is_not_what_the_index_says_is_found_by_decoding() {
    let (device, volume, _) = sample();
    let (file, captured) = take(&device, &volume, &options(None, Some(128 << 10)));
    let mut index = captured.index;
    let last = index.frames.len() - 1;
    index.frames[last].content_hash[0] ^= 1;
    let lie = with_index(&file, &index);
    let native = Native::open(&lie).expect("opens");
    verify(&native, &lie, false, &Silent).expect("the stored bytes are what the index says");
    let error = verify(&native, &lie, true, &Silent).expect_err("a lie");
    assert!(matches!(error, ImageError::Frames { bad, .. } if bad == [last]));
}

#[test]
fn a_stream_without_its_last_frame_is_no_volume() {
    let (device, volume, _) = sample();
    let (file, captured) = take(&device, &volume, &options(None, Some(128 << 10)));
    let mut index = captured.index;
    index.frames.pop();
    let cut = with_index(&file, &index);
    let target = Memory::new(vec![9; device.len()]);
    restore_pipe(cut.as_slice(), &target, &PLAIN, &Silent).expect_err("blocks are missing");
    assert!(
        target.bytes()[..128 << 10].iter().all(|b| *b == 0),
        "looks restored"
    );
}

#[test]
fn regression_a_tail_of_any_length_comes_from_a_stream_onto_whole_sectors() {
    let device = noise(9, (4 << 20) + 777);
    let volume = volume(&device, 4096, |block| block % 5 != 2);
    let (file, _) = take(&device, &volume, &options(None, Some(128 << 10)));
    let target = Willful {
        sector: 512,
        ..Willful::of(vec![9; (4 << 20) + 8192])
    };
    restore_pipe(file.as_slice(), &target, &PLAIN, &Silent).expect("restores");
    same_where_used(&volume, &device, &target.memory.bytes());
}

#[test]
fn regression_sectors_larger_than_the_file_system_knows_are_refused() {
    let (device, mut volume, _) = sample();
    volume.sector_size = 512;
    let (file, _) = take(&device, &volume, &options(None, None));
    let native = Native::open(&file).expect("opens");
    for (sector, good) in [(0, true), (512, true), (4096, false)] {
        let mode = RestoreOptions {
            target_sector: sector,
            ..PLAIN
        };
        let target = Memory::new(vec![0; device.len()]);
        let done = restore_pipe(file.as_slice(), &target, &mode, &Silent);
        assert_eq!(done.is_ok(), good, "a pipe, {sector}: {done:?}");
        let head = &target.bytes()[..128 << 10];
        assert!(good || head.iter().all(|b| *b == 0), "looks restored");
        let target = Memory::new(vec![9; device.len()]);
        let done = restore(&native, &file, &target, &mode, &Silent);
        assert_eq!(done.is_ok(), good, "a file, {sector}: {done:?}");
        assert!(good || target.take_log().is_empty(), "it was touched");
    }
}
