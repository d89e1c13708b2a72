use proptest::prelude::*;

use super::*;

const DEFAULT: Lengths = Lengths {
    average: DEFAULT_AVERAGE,
    before_gap: DEFAULT_BEFORE_GAP,
};

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        })
        .collect()
}

/// A device: what lies in each block of 4 KiB that is used, by the number of its content.
type Device = Vec<Option<u64>>;

/// Its frames: number of the first block, contents of all.
fn frames(device: &Device, lengths: Lengths) -> Vec<(u64, Vec<u64>)> {
    let mut used = Bitmap::new(device.len() as u64);
    let blocks = (0..).zip(device).filter_map(|(at, c)| c.map(|c| (at, c)));
    blocks.clone().for_each(|(at, _)| used.set(at));
    let mut cutter = Cutter::new(4096, lengths);
    let mut done: Vec<(u64, Vec<u64>)> = Vec::new();
    let mut begins = true;
    for (unit, (at, content)) in Units::new(&used, 4096).zip(blocks) {
        if begins {
            done.push((at, Vec::new()));
        }
        done.last_mut().expect("begun").1.push(content);
        begins = cutter.push(unit, &noise(content, 4096));
    }
    done
}

fn lens(device: &Device, lengths: Lengths) -> Vec<usize> {
    let frames = frames(device, lengths);
    frames.iter().map(|(_, units)| units.len() * 4096).collect()
}

fn run(blocks: std::ops::Range<u64>) -> Device {
    blocks.map(|n| Some(n * 2 + 1)).collect()
}

#[test]
fn frames_have_the_average_and_the_limits() {
    let lens = lens(&run(0..40_000), DEFAULT);
    let mean = lens.iter().sum::<usize>() / lens.len();
    assert!((1000 << 10..1400 << 10).contains(&mean), "{mean}");
    let whole = &lens[..lens.len() - 1];
    assert!(
        whole
            .iter()
            .all(|len| (320 << 10..=2560 << 10).contains(len))
    );
}

#[test]
fn equal_blocks_are_cut_only_at_the_greatest_size() {
    for average in [256 << 10, DEFAULT_AVERAGE, MAX_AVERAGE] {
        let lengths = Lengths { average, ..DEFAULT };
        let lens = lens(&vec![Some(1); 6000], lengths);
        assert_eq!(lens[0], average as usize * 2);
    }
}

#[test]
fn a_gap_ends_a_frame_that_is_long_enough() {
    let mut device = run(0..15);
    device.push(None);
    device.extend(run(20..36));
    device.push(None);
    device.extend(run(40..43));
    assert_eq!(lens(&device, DEFAULT), [31 * 4096, 3 * 4096]);
    device[7] = None;
    device[15] = Some(99);
    assert_eq!(lens(&device, DEFAULT), [31 * 4096, 3 * 4096]);
    device[16] = None;
    assert_eq!(lens(&device, DEFAULT), [30 * 4096, 3 * 4096]);
    device[17] = Some(7);
    let never = Lengths {
        before_gap: u32::MAX,
        ..DEFAULT
    };
    assert_eq!(lens(&device, never), [33 * 4096]);
}

#[test]
fn a_hole_within_two_windows_is_no_gap() {
    // Blocks of 1 KiB: the second window is half empty, the fourth is all empty.
    let mut used = Bitmap::new(40);
    used.set_range(0, 6);
    used.set_range(8, 4);
    used.set_range(17, 2);
    let units: Vec<_> = Units::new(&used, 1024).collect();
    let unit = |len, gap| Unit { len, gap };
    let wanted = [
        unit(4096, false),
        unit(2048, false),
        unit(4096, true),
        unit(2048, false),
    ];
    assert_eq!(units, wanted);
}

#[test]
fn lengths_grow_with_the_volume_and_follow_a_base() {
    let of = |used| Lengths::for_used(used);
    assert_eq!(of(0), DEFAULT);
    assert_eq!(of(60 << 30), DEFAULT);
    assert_eq!(
        (of(200 << 30).average, of(200 << 30).before_gap),
        (1280 << 10, 256 << 10)
    );
    assert_eq!(
        (of(1 << 44).average, of(1 << 44).before_gap),
        (MAX_AVERAGE, MAX_AVERAGE / 4)
    );
    assert_eq!(Lengths::of(DEFAULT.facts(), 100 << 30), Some(DEFAULT));
    assert_eq!(Lengths::of(DEFAULT.facts(), 200 << 30), None);
    let of_rule_1 = CutFacts {
        rule: 1,
        ..DEFAULT.facts()
    };
    assert_eq!(Lengths::of(of_rule_1, 1 << 30), None);
    for (average, before_gap) in [(0, 1 << 16), (1 << 30, 1 << 16), (1 << 20, 0)] {
        let hostile = CutFacts {
            average,
            before_gap,
            ..DEFAULT.facts()
        };
        assert_eq!(Lengths::of(hostile, 1 << 30), None, "{hostile:?}");
    }
}

#[test]
fn edges_are_frozen() {
    let mut device = run(0..600);
    device[300] = None;
    let lengths = Lengths {
        average: 256 << 10,
        ..DEFAULT
    };
    assert_eq!(lens(&device, lengths), FROZEN);
}

const FROZEN: &[usize] = &[
    221_184, 65_536, 110_592, 159_744, 192_512, 94_208, 118_784, 266_240, 126_976, 524_288,
    368_640, 204_800,
];

fn device() -> impl Strategy<Value = Device> {
    let stretch = (any::<bool>(), 1usize..120, any::<u32>());
    proptest::collection::vec(stretch, 1..12).prop_map(|stretches| {
        let blocks = stretches.into_iter().flat_map(|(used, len, seed)| {
            (0..len as u64).map(move |n| used.then(|| u64::from(seed) * 4096 + n * 2 + 1))
        });
        blocks.collect()
    })
}

const SMALL: Lengths = Lengths {
    average: 128 << 10,
    before_gap: 16 << 10,
};

proptest! {
    #[test]
    fn proptest_units_cover_the_bitmap(bits in proptest::collection::vec(any::<bool>(), 0..300), shift in 0u32..5) {
        let mut used = Bitmap::new(bits.len() as u64);
        for (i, bit) in bits.iter().enumerate() { if *bit { used.set(i as u64) } }
        let block_size = 512 << shift;
        let got: Vec<Unit> = Units::new(&used, block_size).collect();
        let per = (4096 / block_size).max(1) as usize;
        let windows: Vec<u32> = bits.chunks(per)
            .map(|window| window.iter().filter(|b| **b).count() as u32 * block_size)
            .collect();
        let last = windows.iter().rposition(|len| *len > 0);
        let want: Vec<Unit> = windows.iter().enumerate()
            .filter(|(_, len)| **len > 0)
            .map(|(n, len)| Unit { len: *len, gap: Some(n) != last && windows[n + 1] == 0 })
            .collect();
        prop_assert_eq!(got, want);
    }

    #[test]
    fn proptest_lengths_hold(device in device()) {
        let lens = lens(&device, SMALL);
        let used = device.iter().flatten().count() * 4096;
        prop_assert_eq!(lens.iter().sum::<usize>(), used);
        for len in lens.iter().rev().skip(1) {
            prop_assert!((16 << 10..=256 << 10).contains(len), "{}", len);
        }
    }

    /// Other content before a gap leaves no trace after it, wherever both cuts end a frame there.
    #[test]
    fn proptest_frames_meet_again_after_an_insertion(
        device in device(), at in 0usize..200, inserted in 1usize..20,
    ) {
        let tail: Device = run(1_000_000..1_000_800);
        let mut changed: Device = device.clone();
        let at = at.min(changed.len());
        changed.splice(at..at, run(2_000_000..2_000_000 + inserted as u64));
        let contents = |mut device: Device| -> Vec<Vec<u64>> {
            device.extend(tail.clone());
            frames(&device, SMALL).into_iter().map(|(_, units)| units).collect()
        };
        let (one, other) = (contents(device), contents(changed));
        let same = one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
        let blocks: usize = one.iter().rev().take(same).map(Vec::len).sum();
        prop_assert!(blocks >= 300, "only the last {} blocks are cut alike", blocks);
    }

    /// A change in place is felt between the two nearest edges that both cuts have.
    #[test]
    fn proptest_a_change_stays_where_it_is(at in 0usize..1500) {
        let device = run(0..1500);
        let mut changed = device.clone();
        changed[at] = Some(9_999_999);
        let one: std::collections::HashSet<_> = frames(&device, SMALL).into_iter().collect();
        let lost: usize = frames(&changed, SMALL).into_iter().filter(|f| !one.contains(f)).map(|f| f.1.len()).sum();
        prop_assert!((1..=4 * 64).contains(&lost), "{} blocks in new frames", lost);
    }
}
