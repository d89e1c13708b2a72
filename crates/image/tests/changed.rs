//! Writing only what differs: one pass, exact, and in an order that a power cut cannot fool.
#![allow(clippy::cast_possible_truncation, reason = "sizes of test data")]

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use azud_core::cut::Lengths;
use azud_core::format::index::Facts;
use azud_core::io::{ReadAt, WriteAt};
use azud_core::progress::{Interrupted, Phase, Progress, Silent};
use azud_image::capture::{CaptureOptions, DeviceContent, capture};
use azud_image::restore::{RestoreOptions, Restored, Unused, Writes, restore, restore_pipe};
use azud_image::{DEFAULT_LEVEL, ImageError, Native};
use azud_testkit::memory::{Event, Memory};
use proptest::prelude::*;

const BLOCK: usize = 4096;
const MIB: usize = 1 << 20;
/// What guards an unknown content, at either end.
const EDGE: usize = 128 << 10;

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        out.extend((state >> 20).to_le_bytes());
    }
    out.truncate(len);
    out
}

fn image_of(device: &[u8]) -> Vec<u8> {
    let raw = azud_image::fs::raw::map(device.len() as u64);
    let content = DeviceContent::new(&device, &raw.used, raw.block_size);
    let options = CaptureOptions {
        level: DEFAULT_LEVEL,
        base: None,
        lengths: Some(Lengths {
            average: 128 << 10,
            before_gap: 64 << 10,
        }),
        facts: Facts::default(),
    };
    let mut file = Vec::new();
    capture(&raw, Vec::new(), content, &options, (&mut file, &Silent)).expect("captures");
    file
}

fn changed_only(writes: Writes) -> RestoreOptions {
    RestoreOptions {
        changed_only: true,
        writes,
        ..RestoreOptions::default()
    }
}

fn update(image: &[u8], target: &dyn WriteAt, writes: Writes) -> Result<Restored, ImageError> {
    let native = Native::open(&image).expect("opens");
    restore(&native, &image, target, &changed_only(writes), &Silent)
}

const BOTH: [Writes; 2] = [Writes::Parallel, Writes::Ascending];

fn flip(device: &mut [u8], block: usize) {
    device[block * BLOCK + 77] ^= 1;
}

/// What happened to a device: bytes read, or bytes written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Did {
    Read(Range<usize>),
    Wrote(Range<usize>),
    Flushed,
}

/// A device that remembers reads as well.
struct Watched(Memory, Mutex<Vec<Did>>);

impl Watched {
    fn new(bytes: Vec<u8>) -> Self {
        Self(Memory::new(bytes), Mutex::default())
    }

    fn did(&self, what: Did) {
        self.1.lock().expect("no panic").push(what);
    }
}

fn span(offset: u64, len: usize) -> Range<usize> {
    offset as usize..offset as usize + len
}

impl ReadAt for Watched {
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.did(Did::Read(span(offset, buf.len())));
        self.0.read_exact_at(buf, offset)
    }
}

impl WriteAt for Watched {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.did(Did::Wrote(span(offset, buf.len())));
        self.0.write_all_at(buf, offset)
    }
    fn flush(&self) -> io::Result<()> {
        self.did(Did::Flushed);
        self.0.flush()
    }
    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.0.discard(offset, len)
    }
    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        self.0.zero(offset, len)
    }
}

/// What was said to be done.
#[derive(Default)]
struct Said(Mutex<Vec<Phase>>);

impl Progress for Said {
    fn begin(&self, phase: Phase, _: u64) {
        self.0.lock().expect("no panic").push(phase);
    }
    fn advance(&self, _: u64) -> Result<(), Interrupted> {
        Ok(())
    }
}

/// An image of which nothing from `from` on is here before a target has been read from there on.
struct Arriving<'a> {
    image: &'a [u8],
    from: u64,
    compared: Mutex<bool>,
    changed: Condvar,
    /// Reads that nothing ever came for.
    in_vain: AtomicUsize,
}

impl ReadAt for Arriving<'_> {
    fn len(&self) -> u64 {
        self.image.len() as u64
    }
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        if offset >= self.from {
            let compared = self.compared.lock().expect("no panic");
            let long = Duration::from_secs(5);
            let waits = |compared: &mut bool| !*compared;
            let waited = self.changed.wait_timeout_while(compared, long, waits);
            if waited.expect("no panic").1.timed_out() {
                self.in_vain.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.image.read_exact_at(buf, offset)
    }
}

/// Its target.
struct Compared<'a>(Memory, &'a Arriving<'a>, Range<u64>);

impl ReadAt for Compared<'_> {
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        if self.2.contains(&offset) {
            *self.1.compared.lock().expect("no panic") = true;
            self.1.changed.notify_all();
        }
        self.0.read_exact_at(buf, offset)
    }
}

impl WriteAt for Compared<'_> {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(buf, offset)
    }
    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.0.discard(offset, len)
    }
    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        self.0.zero(offset, len)
    }
}

/// As where a cache is filled from a network: eight frames that differ are not here yet.
#[test]
fn frames_that_still_arrive_do_not_keep_the_rest_from_being_compared() {
    let wanted = noise(1, 16 * MIB);
    let mut disk = wanted.clone();
    for frame in 0..8 {
        flip(&mut disk, 2 * MIB / BLOCK + frame * (MIB / 2 / BLOCK));
    }
    let image = image_of(&wanted);
    let native = Native::open(&image.as_slice()).expect("opens");
    let arriving = Arriving {
        image: &image,
        from: MIB as u64,
        compared: Mutex::default(),
        changed: Condvar::new(),
        in_vain: AtomicUsize::new(0),
    };
    let beyond = 6 * MIB as u64..15 * MIB as u64;
    let target = Compared(Memory::new(disk), &arriving, beyond);
    let options = changed_only(Writes::Parallel);
    restore(&native, &arriving, &target, &options, &Silent).expect("restores");
    assert_eq!(arriving.in_vain.load(Ordering::Relaxed), 0);
    assert!(target.0.bytes() == wanted);
}

#[test]
fn what_compares_is_not_called_restoring_whatever_way_the_image_comes() {
    let wanted = noise(1, 4 * MIB);
    let image = image_of(&wanted);
    let native = Native::open(&image).expect("opens");
    for (options, phase) in [
        (changed_only(Writes::Parallel), Phase::Compare),
        (RestoreOptions::default(), Phase::Restore),
    ] {
        let target = Memory::new(wanted.clone());
        let said = Said::default();
        restore(&native, &image, &target, &options, &said).expect("restores");
        restore_pipe(&image[..], &target, &options, &said).expect("restores");
        assert_eq!(said.0.into_inner().expect("no panic"), [phase; 2]);
    }
}

#[test]
fn every_block_of_the_target_is_read_once() {
    let wanted = noise(1, 16 * MIB);
    let image = image_of(&wanted);
    let mut held = wanted.clone();
    let blocks = held.len() / BLOCK;
    (40..blocks - 40)
        .step_by(50)
        .for_each(|block| flip(&mut held, block));
    for writes in BOTH {
        let target = Watched::new(held.clone());
        let done = update(&image, &target, writes).expect("updates");
        assert!(target.0.bytes() == wanted, "{writes:?}");
        let flipped = (40..blocks - 40).step_by(50).count() * BLOCK;
        assert_eq!(done.written, (flipped + 2 * EDGE) as u64, "{writes:?}");
        let mut reads = vec![0u8; blocks];
        for did in target.1.into_inner().expect("no panic") {
            if let Did::Read(bytes) = did {
                (bytes.start / BLOCK..bytes.end.div_ceil(BLOCK))
                    .for_each(|block| reads[block] += 1);
            }
        }
        // The beginning and the end are looked at for what would be accepted, and frames there are judged before the wipe.
        let inner = &reads[5 * MIB / BLOCK..(held.len() - 2 * MIB) / BLOCK];
        assert!(
            inner.iter().all(|reads| *reads == 1),
            "{writes:?}: {inner:?}"
        );
    }
}

#[test]
fn the_first_difference_wipes_once_before_any_other_write() {
    let wanted = noise(2, 8 * MIB);
    let image = image_of(&wanted);
    // Every frame but those at the edges differs, so that all workers want to write at once.
    let mut held = wanted.clone();
    held[MIB..7 * MIB].fill(9);
    for writes in BOTH {
        let target = Memory::new(held.clone());
        update(&image, &target, writes).expect("updates");
        let log = target.take_log();
        let flushes: Vec<usize> = (0..log.len()).filter(|n| log[*n] == Event::Flush).collect();
        assert_eq!(
            flushes.len(),
            5,
            "wiped far and near, data, withheld, superblocks"
        );
        let guard =
            |offset: u64| (offset as usize) < EDGE || offset as usize >= wanted.len() - EDGE;
        for (n, event) in log[..flushes[1]].iter().enumerate() {
            let Event::Write(offset, bytes) = event else {
                continue;
            };
            assert_eq!(
                n < flushes[0],
                *offset as usize >= EDGE,
                "the head comes last"
            );
            assert!(
                guard(*offset) && bytes.iter().all(|byte| *byte == 0),
                "{offset} is wiped"
            );
        }
        for event in &log[flushes[1] + 1..flushes[3]] {
            let early = matches!(event, Event::Write(offset, _) if guard(*offset));
            assert!(!early, "{writes:?}: a guard came early");
        }
        // The primary superblock comes last.
        let last = log[flushes[3] + 1..flushes[4]].iter();
        let offsets: Vec<u64> = last
            .filter_map(|event| match event {
                Event::Write(offset, _) => Some(*offset),
                Event::Flush => None,
            })
            .collect();
        assert!(
            offsets.len() > 1 && offsets.is_sorted_by(|a, b| a > b),
            "{offsets:?}"
        );
        assert!(target.bytes() == wanted, "what guards came back");
    }
}

#[test]
fn a_target_that_cannot_be_wiped_is_not_written() {
    let wanted = noise(3, 6 * MIB);
    let image = image_of(&wanted);
    let held = noise(4, wanted.len());
    for writes in BOTH {
        // The flush between the two wipes fails, then the one after them.
        for most in [1, 2] {
            let target = Memory::new(held.clone());
            target.fail_after(most);
            update(&image, &target, writes).expect_err("the power went");
            let inner = EDGE..held.len() - EDGE;
            assert!(
                target.bytes()[inner.clone()] == held[inner],
                "{writes:?}, {most}"
            );
        }
    }
}

#[test]
fn a_damaged_frame_that_is_the_first_to_differ_leaves_the_target_alone() {
    let wanted = noise(5, 6 * MIB);
    let image = image_of(&wanted);
    let native = Native::open(&image).expect("opens");
    for at in [wanted.len() - 1, wanted.len() / 2] {
        let mut held = wanted.clone();
        held[at] ^= 1;
        let before =
            |start: &u64| *start as usize * native.geometry().header.block_size as usize <= at;
        let number = native.geometry().head_frames + native.starts().partition_point(before) - 1;
        let mut damaged = image.clone();
        damaged[native.offset(number) as usize + 20] ^= 4;
        for writes in BOTH {
            let target = Memory::new(held.clone());
            let error = update(&damaged, &target, writes).expect_err("damaged");
            assert!(matches!(error, ImageError::Frame { .. }), "{error}");
            assert_eq!(target.take_log(), [], "frame {number}");
        }
    }
}

#[test]
fn a_disk_that_turns_is_read_and_written_in_long_ascending_runs() {
    let wanted = noise(6, 80 * MIB);
    let image = image_of(&wanted);
    let target = Watched::new(vec![3; wanted.len()]);
    update(&image, &target, Writes::Ascending).expect("updates");
    assert!(target.0.bytes() == wanted);
    let did = target.1.into_inner().expect("no panic");
    let flushes: Vec<usize> = (0..did.len()).filter(|n| did[*n] == Did::Flushed).collect();
    let data = &did[flushes[1] + 1..flushes[2]];
    let places = |kind: fn(&Did) -> Option<usize>| data.iter().filter_map(kind).collect::<Vec<_>>();
    let wrote = places(|did| match did {
        Did::Wrote(bytes) => Some(bytes.start),
        _ => None,
    });
    assert!(wrote.is_sorted(), "ascending");
    // Several read at once, but nobody is far ahead.
    let read = places(|did| match did {
        Did::Read(bytes) => Some(bytes.start),
        _ => None,
    });
    let mut furthest = 0;
    for at in read {
        assert!(at + 64 * MIB > furthest, "{at} after {furthest}");
        furthest = furthest.max(at);
    }
    let turns = data.windows(2).filter(|pair| {
        matches!(
            pair,
            [Did::Read(_), Did::Wrote(_)] | [Did::Wrote(_), Did::Read(_)]
        )
    });
    // 80 MiB in batches of 32 MiB.
    let turns = turns.count();
    assert!((3..=6).contains(&turns), "{turns}");
}

#[test]
fn unused_blocks_are_treated_even_where_nothing_differs() {
    let wanted = noise(7, 4 * MIB);
    let image = image_of(&wanted);
    let native = Native::open(&image).expect("opens");
    let target = Memory::new(wanted.clone());
    let options = RestoreOptions {
        unused: Unused::Zero,
        ..changed_only(Writes::Parallel)
    };
    let done = restore(&native, &image, &target, &options, &Silent).expect("restores");
    // There is nothing unused, but the order is kept: wiped and written again.
    assert_eq!((done.written, done.fetched), (2 * EDGE as u64, 0));
    assert!(target.bytes() == wanted);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn proptest_what_is_written_is_what_differs(
        seed in any::<u64>(), blocks in 300usize..900, at in prop::collection::btree_set(0usize..900, 0..20), turns in any::<bool>(),
    ) {
        let wanted = noise(seed, blocks * BLOCK);
        let image = image_of(&wanted);
        let mut held = wanted.clone();
        let at: Vec<usize> = at.into_iter().filter(|block| *block < blocks).collect();
        for block in &at {
            flip(&mut held, *block);
        }
        let target = Memory::new(held);
        let done = update(&image, &target, BOTH[usize::from(turns)]).expect("updates");
        prop_assert!(target.bytes() == wanted);
        let edge = EDGE / BLOCK;
        let inner = at.iter().filter(|block| (edge..blocks - edge).contains(*block)).count();
        let expected = if at.is_empty() { 0 } else { inner * BLOCK + 2 * EDGE };
        prop_assert_eq!((done.written, done.kept), (expected as u64, (wanted.len() - expected) as u64));
        prop_assert_eq!(target.take_log().is_empty(), at.is_empty());
        let needed = done.fetched > 0;
        prop_assert_eq!(needed, !at.is_empty());
    }
}
