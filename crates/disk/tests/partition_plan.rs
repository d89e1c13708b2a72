//! Plans of partitions: for every disk and every table, nothing is overlapped and all rules hold.

use std::ops::Range;

use azud_disk::partition::{
    ALIGNMENT, Entry, MIN_SIZE, NewPartition, Place, PlanRefusal, RESERVED_AT_END, Scheme, Table,
    Wish, plan,
};
use proptest::prelude::*;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn entry(number: u32, range: Range<u64>, kind: &str) -> Entry {
    Entry {
        number,
        range,
        kind: kind.to_owned(),
        name: None,
        uuid: None,
        flags: String::new(),
    }
}

fn table(scheme: Scheme, sector: u32, entries: Vec<Entry>) -> Table {
    Table {
        scheme,
        id: "1".to_owned(),
        sector,
        usable: None,
        entries,
    }
}

fn wish(size: Option<u64>, place: Place) -> Wish {
    Wish {
        size,
        place,
        scheme: Scheme::Gpt,
        number: None,
    }
}

const ALL: Wish = Wish {
    size: None,
    place: Place::End,
    scheme: Scheme::Gpt,
    number: None,
};

fn range(planned: &Result<NewPartition, PlanRefusal>) -> Range<u64> {
    planned.as_ref().expect("a plan").range.clone()
}

#[test]
fn an_empty_disk_gives_all_but_its_ends() {
    let planned = plan(10 * GIB, 512, None, ALL).expect("room");
    assert!(planned.new_table);
    assert_eq!((planned.scheme, planned.number), (Scheme::Gpt, 1));
    assert_eq!(planned.range, MIB..10 * GIB - RESERVED_AT_END);
}

#[test]
fn a_size_goes_to_the_end_of_the_last_gap_that_holds_it() {
    let taken = vec![
        entry(1, MIB..2 * GIB, "7"),
        entry(2, 4 * GIB..9 * GIB, "83"),
    ];
    let table = table(Scheme::Mbr, 512, taken);
    let place = |size| {
        range(&plan(
            10 * GIB,
            512,
            Some(&table),
            wish(Some(size), Place::End),
        ))
    };
    let end = 10 * GIB - RESERVED_AT_END;
    assert_eq!(place(500 * MIB), end - 500 * MIB..end);
    assert_eq!(place(1500 * MIB), 4 * GIB - 1500 * MIB..4 * GIB);
    // Bytes that are no whole MiB are rounded up.
    assert_eq!(place(500 * MIB + 1), end - 501 * MIB..end);
    // Without a size, the largest gap.
    assert_eq!(
        range(&plan(10 * GIB, 512, Some(&table), ALL)),
        2 * GIB..4 * GIB
    );
    assert_eq!(
        plan(10 * GIB, 512, Some(&table), wish(Some(3 * GIB), Place::End)),
        Err(PlanRefusal::TooLittleRoom {
            largest: 2 * GIB,
            needed: 3 * GIB
        })
    );
}

#[test]
fn a_start_that_is_taken_is_refused() {
    let table = table(Scheme::Gpt, 4096, vec![entry(1, MIB..2 * GIB, "L")]);
    let at = |start, size| plan(10 * GIB, 4096, Some(&table), wish(size, Place::At(start)));
    assert_eq!(range(&at(3 * GIB, Some(GIB))), 3 * GIB..4 * GIB);
    assert_eq!(
        range(&at(3 * GIB, None)),
        3 * GIB..10 * GIB - RESERVED_AT_END
    );
    for (start, size) in [
        (GIB, None),
        (2 * GIB - MIB, Some(GIB)),
        (0, Some(GIB)),
        (9 * GIB, Some(GIB)),
        (20 * GIB, None),
        (u64::MAX - u64::MAX % MIB, Some(GIB)),
    ] {
        assert!(
            matches!(at(start, size), Err(PlanRefusal::Taken { .. })),
            "{start} {size:?}"
        );
    }
    assert!(matches!(
        at(3 * GIB + 512, None),
        Err(PlanRefusal::Unaligned { .. })
    ));
}

#[test]
fn numbers_follow_the_habits_of_opengnsys() {
    let number = |scheme, numbers: &[u32]| {
        let taken = numbers.iter().map(|number| {
            let start = u64::from(*number) * 100 * MIB;
            entry(*number, start..start + 100 * MIB, "83")
        });
        let table = table(scheme, 512, taken.collect());
        plan(100 * GIB, 512, Some(&table), ALL).map(|new| new.number)
    };
    assert_eq!(number(Scheme::Mbr, &[1]), Ok(4));
    assert_eq!(number(Scheme::Mbr, &[1, 4]), Ok(3));
    assert_eq!(
        number(Scheme::Mbr, &[1, 2, 3, 4]),
        Err(PlanRefusal::NoNumber(4))
    );
    assert_eq!(number(Scheme::Gpt, &[]), Ok(1));
    assert_eq!(number(Scheme::Gpt, &[1, 2, 3]), Ok(5));
    let full: Vec<u32> = (1..=128).filter(|number| *number != 4).collect();
    assert_eq!(number(Scheme::Gpt, &full), Err(PlanRefusal::NoNumber(128)));
}

#[test]
fn logical_partitions_and_the_rest_of_their_container_are_not_free() {
    let taken = vec![
        entry(1, MIB..GIB, "7"),
        entry(2, GIB..9 * GIB, "5"),
        entry(5, GIB + MIB..2 * GIB, "83"),
    ];
    let table = table(Scheme::Mbr, 512, taken);
    assert_eq!(
        range(&plan(10 * GIB, 512, Some(&table), ALL)),
        9 * GIB..10 * GIB - RESERVED_AT_END
    );
}

#[test]
fn regression_an_entry_without_a_sector_divides_no_gap() {
    for at in [GIB, GIB + 512] {
        let taken = vec![entry(1, MIB..2 * MIB, "7"), entry(2, at..at, "83")];
        let table = table(Scheme::Gpt, 512, taken);
        let planned = range(&plan(4 * GIB, 512, Some(&table), ALL));
        assert_eq!(planned, 2 * MIB..4 * GIB - RESERVED_AT_END);
    }
}

#[test]
fn an_mbr_ends_where_it_can_count_to_and_a_gpt_where_it_says() {
    let mbr = table(Scheme::Mbr, 512, vec![entry(1, MIB..GIB, "7")]);
    let planned = range(&plan(4 << 40, 512, Some(&mbr), ALL));
    assert!(planned.end <= u64::from(u32::MAX) * 512 && planned.end > (2 << 40) - 2 * MIB);
    let gpt = Table {
        usable: Some(5 * GIB + 17..8 * GIB + 4096),
        ..table(Scheme::Gpt, 512, Vec::new())
    };
    assert_eq!(
        range(&plan(10 * GIB, 512, Some(&gpt), ALL)),
        5 * GIB + MIB..8 * GIB
    );
    assert!(matches!(
        plan(10 * GIB, 4096, Some(&gpt), ALL),
        Err(PlanRefusal::SectorSize { .. })
    ));
}

/// A stretch of a disk: free bytes before it, its own bytes, and how many logical partitions it is cut into if it
/// becomes an extended one.
#[derive(Debug, Clone)]
struct Stretch {
    gap: u64,
    len: u64,
    logical: u64,
}

fn stretches() -> impl Strategy<Value = Vec<Stretch>> {
    // Starts and ends lie on any sector; gaps are none, smaller than a cache, or ample.
    let gap = prop_oneof![Just(0), 0..60 * MIB, 40 * MIB..400 * MIB];
    let len = prop_oneof![Just(0), 1..MIB, MIB..300 * MIB];
    let stretch = (gap, len, 0..4u64).prop_map(|(gap, len, logical)| Stretch { gap, len, logical });
    prop::collection::vec(stretch, 0..7)
}

/// Entries one after another, in sectors; of an MBR the second is extended and holds logical ones.
fn entries(scheme: Scheme, unit: u64, stretches: &[Stretch]) -> Vec<Entry> {
    let whole = |bytes: u64| bytes / unit * unit;
    let (mut at, mut number) = (whole(MIB), 0);
    let (mut found, mut logical) = (Vec::new(), Vec::new());
    for stretch in stretches {
        let range = at + whole(stretch.gap)..at + whole(stretch.gap) + whole(stretch.len);
        at = range.end;
        number += 1;
        if scheme == Scheme::Mbr && number > 4 {
            break;
        }
        let extended = scheme == Scheme::Mbr && number == 2;
        if extended {
            let part = whole((range.end - range.start) / (stretch.logical + 1));
            for (number, index) in (5..).zip(0..stretch.logical) {
                let start = range.start + index * part;
                logical.push(entry(number, start + unit..start + part.max(unit), "83"));
            }
        }
        found.push(entry(number, range, if extended { "5" } else { "83" }));
    }
    found.extend(
        logical
            .into_iter()
            .filter(|entry| entry.range.start < entry.range.end),
    );
    found
}

/// Disks as they are, with little or much room between and behind partitions, and tables that reach beyond the disk.
fn disks() -> impl Strategy<Value = (u64, Option<Table>)> {
    let sector = prop_oneof![Just(512u32), Just(4096)];
    let scheme = prop_oneof![Just(Scheme::Gpt), Just(Scheme::Mbr)];
    let behind = prop_oneof![Just(0), 0..8 * MIB, 50 * MIB..500 * MIB];
    let usable = prop::option::of((0..300 * MIB, 0..900 * MIB));
    let cut = prop::bool::weighted(0.1);
    let parts = (sector, scheme, stretches(), behind, usable, cut);
    (parts, prop::bool::weighted(0.05)).prop_map(|(parts, none)| {
        let (sector, scheme, stretches, behind, usable, cut) = parts;
        let entries = entries(scheme, sector.into(), &stretches);
        let last = entries.iter().map(|entry| entry.range.end).max();
        let len = last.unwrap_or(0) + behind;
        let unit = u64::from(sector);
        let usable = usable.map(|(start, len)| start / unit * unit..(start + len) / unit * unit);
        let table = Table {
            usable: usable.filter(|_| scheme == Scheme::Gpt),
            ..table(scheme, sector, entries)
        };
        (if cut { len / 2 } else { len }, (!none).then_some(table))
    })
}

/// The room that a plan may use, found sector by sector rather than by sorting: MiB by MiB, what nobody has.
fn free(disk_len: u64, table: Option<&Table>) -> Vec<bool> {
    let sector = table.map_or(512, |table| u64::from(table.sector));
    let end = disk_len.saturating_sub(RESERVED_AT_END);
    let limit = match table {
        Some(table) if table.scheme == Scheme::Mbr => end.min(u64::from(u32::MAX) * sector),
        _ => end,
    };
    let usable = table
        .and_then(|table| table.usable.clone())
        .unwrap_or(0..u64::MAX);
    let is_free = |mib: u64| {
        let (start, end) = (mib * MIB, (mib + 1) * MIB);
        let taken = |entry: &Entry| {
            !entry.range.is_empty() && entry.range.start < end && start < entry.range.end
        };
        mib > 0
            && end <= limit
            && usable.start <= start
            && end <= usable.end
            && !table.is_some_and(|table| table.entries.iter().any(taken))
    };
    (0..=disk_len / MIB).map(is_free).collect()
}

/// MiB of the longest free run that begins at or behind a place.
fn longest(free: &[bool]) -> u64 {
    let runs = free.split(|is_free| !is_free);
    runs.map(|run| run.len() as u64).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn every_plan_keeps_the_rules(
        (disk_len, table) in disks(),
        size in prop::option::of(prop_oneof![0..60 * MIB, 0..400 * MIB]),
        start in prop::option::of(prop_oneof![0..900u64, Just(u64::MAX / MIB)]),
        number in prop::option::weighted(0.2, 0..7u32),
    ) {
        let sector = table.as_ref().map_or(512, |table| table.sector);
        let place = start.map_or(Place::End, |start| Place::At(start * MIB));
        let wish = Wish { number, ..wish(size, place) };
        let free = free(disk_len, table.as_ref());
        let new = match plan(disk_len, sector, table.as_ref(), wish) {
            Ok(new) => new,
            Err(PlanRefusal::TooLittleRoom { needed, largest }) => {
                // Then there is none.
                prop_assert_eq!(longest(&free) * MIB, largest);
                prop_assert!(largest < needed);
                return Ok(());
            }
            Err(PlanRefusal::Taken { range }) => {
                let mib = |at: u64| usize::try_from(at / MIB).unwrap_or(usize::MAX);
                let wanted = free.get(mib(range.start)..mib(range.end));
                prop_assert!(wanted.is_none_or(|wanted| wanted.contains(&false)), "{range:?}");
                return Ok(());
            }
            Err(PlanRefusal::NoNumber(_) | PlanRefusal::NotANumber(_)) => return Ok(()),
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        };
        let range = &new.range;
        prop_assert!(range.start >= ALIGNMENT && range.end <= disk_len - RESERVED_AT_END);
        prop_assert!(range.start % ALIGNMENT == 0 && range.end % ALIGNMENT == 0);
        let len = range.end - range.start;
        prop_assert!(len >= MIN_SIZE);
        if let Some(size) = size {
            prop_assert!(len >= size && len < size.max(MIN_SIZE) + ALIGNMENT);
        } else if start.is_none() {
            prop_assert_eq!(len, longest(&free) * MIB);
        }
        if let Place::At(start) = place {
            prop_assert_eq!(range.start, start);
        }
        if let Some(number) = number {
            prop_assert_eq!(new.number, number);
        }
        let last = if new.scheme == Scheme::Mbr { 4 } else { 128 };
        prop_assert!((1..=last).contains(&new.number));
        let entries = table.iter().flat_map(|table| &table.entries);
        for entry in entries {
            let apart = entry.range.end <= range.start || range.end <= entry.range.start
                || entry.range.is_empty();
            prop_assert!(apart, "{:?} on {:?}", range, entry);
            prop_assert_ne!(entry.number, new.number);
        }
        if let Some(usable) = table.as_ref().and_then(|table| table.usable.as_ref()) {
            prop_assert!(usable.start <= range.start && range.end <= usable.end);
        }
    }
}

/// The generator makes what the property is about: most disks have room, and refusals of every kind occur.
#[test]
fn the_disks_of_the_property_are_of_every_kind() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut between, mut full, mut logical, mut unaligned, mut large) = (0, 0, 0, 0, 0);
    for _ in 0..500 {
        let tree = disks().new_tree(&mut runner).expect("a disk");
        let (len, Some(table)) = tree.current() else {
            continue;
        };
        let last = table.entries.iter().map(|entry| entry.range.end).max();
        match plan(len, table.sector, Some(&table), ALL) {
            Ok(new) if Some(new.range.end) <= last => between += 1,
            Ok(_) => {}
            Err(_) => full += 1,
        }
        let is_logical = |entry: &Entry| table.scheme == Scheme::Mbr && entry.number > 4;
        logical += usize::from(table.entries.iter().any(is_logical));
        let aside = |entry: &Entry| !entry.range.start.is_multiple_of(MIB);
        unaligned += usize::from(table.entries.iter().any(aside));
        large += usize::from(table.sector == 4096);
    }
    for (kind, count) in [
        ("between", between),
        ("full", full),
        ("logical", logical),
        ("unaligned", unaligned),
        ("4K", large),
    ] {
        assert!(count >= 50, "{kind}: {count}");
    }
}
